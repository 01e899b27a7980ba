//! The instances of a cluster: as many as it should have.

use super::{PATIENCE, instance::broken, tag_list};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    wait,
};
use aws_sdk_rds::{
    Client,
    types::{DbInstance as Described, Filter},
};
use infra_core::{
    provider::{Context, ErrorKind, ProviderError},
    target::Readiness,
};
use std::collections::BTreeMap;

/// The engine of all clusters and of their instances.
pub(super) const ENGINE: &str = "aurora-postgresql";

/// What all instances of a cluster are like.
pub(super) struct Members<'a> {
    pub(super) cluster: &'a str,
    pub(super) count: u32,
    pub(super) class: &'a str,
    pub(super) parameter_group: Option<String>,
    pub(super) public: bool,
    pub(super) tags: &'a BTreeMap<String, String>,
}

impl Members<'_> {
    /// Brings the instances in order, whatever they are now, and waits until all are available. The writer is the last
    /// one that goes.
    pub(super) async fn converge(
        &self,
        cx: &Context<'_, Aws>,
        rds: &Client,
        writer: Option<&str>,
    ) -> Result<(), ProviderError> {
        let living = living(rds, self.cluster).await?;
        let wanted = self.count as usize;
        let mut names: Vec<String> = living.iter().filter_map(|member| member.db_instance_identifier.clone()).collect();
        for number in 1.. {
            if names.len() >= wanted {
                break;
            }
            let name = self.name(number);
            if !names.contains(&name) {
                self.add(cx, rds, &name).await?;
                names.push(name);
            }
        }
        names.sort_by_key(|name| (Some(name.as_str()) != writer, name.len(), name.clone()));
        for name in names.split_off(wanted.min(names.len())) {
            delete(rds, &name).await?;
        }
        for member in
            living.iter().filter(|member| names.iter().any(|name| member.db_instance_identifier() == Some(name)))
        {
            self.modify(rds, member).await?;
        }
        self.settled(cx, rds).await
    }

    async fn add(&self, cx: &Context<'_, Aws>, rds: &Client, name: &str) -> Result<(), ProviderError> {
        let answer = rds
            .create_db_instance()
            .db_instance_identifier(name)
            .db_cluster_identifier(self.cluster)
            .db_instance_class(self.class)
            .engine(ENGINE)
            .set_db_parameter_group_name(self.parameter_group.clone())
            .publicly_accessible(self.public)
            .set_tags(Some(tag_list(cx, self.tags)))
            .send()
            .await
            .context("CreateDBInstance");
        match answer {
            Ok(_) => Ok(()),
            // The SDK repeats a request whose answer was lost; what is somebody else's is not in the cluster.
            Err(error) if error.kind == ErrorKind::AlreadyExists && self.has(rds, name).await? => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn has(&self, rds: &Client, name: &str) -> Result<bool, AwsError> {
        let members = living(rds, self.cluster).await?;
        Ok(members.iter().any(|member| member.db_instance_identifier() == Some(name)))
    }

    async fn modify(&self, rds: &Client, member: &Described) -> Result<(), ProviderError> {
        let group = member.db_parameter_groups().first().and_then(|group| group.db_parameter_group_name());
        let other_group = self.parameter_group.as_deref().filter(|wanted| group != Some(wanted));
        let other_class = Some(self.class).filter(|class| member.db_instance_class() != Some(class));
        let other_public = Some(self.public).filter(|public| member.publicly_accessible() != Some(*public));
        if other_group.is_none() && other_class.is_none() && other_public.is_none() {
            return Ok(());
        }
        let id = member.db_instance_identifier().unwrap_or_default();
        rds.modify_db_instance()
            .db_instance_identifier(id)
            .apply_immediately(true)
            .set_db_parameter_group_name(other_group.map(str::to_owned))
            .set_db_instance_class(other_class.map(str::to_owned))
            .set_publicly_accessible(other_public)
            .send()
            .await
            .context("ModifyDBInstance")?;
        Ok(())
    }

    /// Waits until there are as many as there should be, and nothing is going on with any of them.
    async fn settled(&self, cx: &Context<'_, Aws>, rds: &Client) -> Result<(), ProviderError> {
        if cx.client().readiness() == Readiness::ControlPlane {
            return Ok(());
        }
        wait::until(cx, "waiting until the cluster's instances are available", PATIENCE, async || {
            let members = living(rds, self.cluster).await?;
            if let Some(error) = members.iter().find_map(broken) {
                return Err(error);
            }
            let available = |member: &Described| {
                member.db_instance_status() == Some("available") && member.db_instance_class() == Some(self.class)
            };
            let settled = members.len() == self.count as usize && members.iter().all(available);
            Ok(settled.then_some(()))
        })
        .await
    }

    fn name(&self, number: u32) -> String {
        format!("{}-{number}", self.cluster)
    }
}

/// Deletes every instance of a cluster, and returns once they are on their way out.
pub(super) async fn delete_all(rds: &Client, cluster: &str) -> Result<(), AwsError> {
    for member in living(rds, cluster).await? {
        if member.db_instance_status() != Some("deleting") {
            delete(rds, member.db_instance_identifier().unwrap_or_default()).await?;
        }
    }
    Ok(())
}

async fn delete(rds: &Client, name: &str) -> Result<(), AwsError> {
    let call = rds.delete_db_instance().db_instance_identifier(name).skip_final_snapshot(true);
    found(call.send().await.context("DeleteDBInstance")).map(drop)
}

/// The instances of a cluster.
pub(super) async fn living(rds: &Client, cluster: &str) -> Result<Vec<Described>, AwsError> {
    let filter = Filter::builder().name("db-cluster-id").values(cluster).build();
    let answer = rds.describe_db_instances().filters(filter).send().await.context("DescribeDBInstances")?;
    Ok(answer.db_instances.unwrap_or_default())
}
