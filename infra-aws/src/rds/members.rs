//! Instances of a cluster.

use super::{TIMEOUT, default_group, instance::failure};
use crate::{error::AwsError, prelude::*};
use aws_sdk_rds::{
    Client,
    types::{DbInstance, Filter},
};
use infra_core::target::Readiness;

/// Engine of clusters and of their instances.
pub(super) const ENGINE: &str = "aurora-postgresql";

/// Settings of all instances of a cluster.
pub(super) struct Members<'a> {
    pub(super) cluster: &'a str,
    pub(super) count: u32,
    pub(super) class: &'a str,
    /// Declared version of the engine.
    pub(super) version: Option<&'a str>,
    /// Parameter group, or the default one of the engine's version.
    pub(super) parameter_group: Option<String>,
    pub(super) public: bool,
    pub(super) tags: &'a BTreeMap<String, String>,
}

impl Members<'_> {
    /// Creates, changes and deletes instances, and waits until all are available. The writer is deleted last.
    pub(super) async fn apply(&self, cx: &Context<'_>, rds: &Client, writer: Option<&str>) -> Result<()> {
        let existing = members_of(rds, self.cluster).await?;
        let wanted = self.count as usize;
        let mut names: Vec<String> =
            existing.iter().filter_map(|member| member.db_instance_identifier.clone()).collect();
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
        let remains = |member: &&DbInstance| names.iter().any(|name| member.db_instance_identifier() == Some(name));
        for member in existing.iter().filter(remains) {
            self.modify(rds, member).await?;
        }
        self.wait_until_available(cx, rds).await
    }

    async fn add(&self, cx: &Context<'_>, rds: &Client, name: &str) -> Result<()> {
        let response = rds
            .create_db_instance()
            .db_instance_identifier(name)
            .db_cluster_identifier(self.cluster)
            .db_instance_class(self.class)
            .engine(ENGINE)
            .set_db_parameter_group_name(self.parameter_group.clone())
            .publicly_accessible(self.public)
            .set_tags(Some(tags::for_create(cx, self.tags)))
            .send()
            .await
            .context("CreateDBInstance");
        match response {
            Ok(_) => Ok(()),
            // The SDK repeats a request whose response was lost. An instance of another owner is not in the cluster.
            Err(error) if error.kind == ErrorKind::AlreadyExists && self.has(rds, name).await? => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn has(&self, rds: &Client, name: &str) -> Result<bool> {
        let members = members_of(rds, self.cluster).await?;
        Ok(members.iter().any(|member| member.db_instance_identifier() == Some(name)))
    }

    async fn modify(&self, rds: &Client, member: &DbInstance) -> Result<()> {
        let group = member.db_parameter_groups().first().and_then(|group| group.db_parameter_group_name());
        let default = || default_group(ENGINE, self.version, member.engine_version());
        let wanted = self.parameter_group.clone().unwrap_or_else(default);
        let other_group = Some(wanted).filter(|wanted| group != Some(wanted));
        let other_class = Some(self.class).filter(|class| member.db_instance_class() != Some(class));
        let other_public = Some(self.public).filter(|public| member.publicly_accessible() != Some(*public));
        if other_group.is_none() && other_class.is_none() && other_public.is_none() {
            return Ok(());
        }
        let id = member.db_instance_identifier().unwrap_or_default();
        rds.modify_db_instance()
            .db_instance_identifier(id)
            .apply_immediately(true)
            .set_db_parameter_group_name(other_group)
            .set_db_instance_class(other_class.map(str::to_owned))
            .set_publicly_accessible(other_public)
            .send()
            .await
            .context("ModifyDBInstance")?;
        Ok(())
    }

    async fn wait_until_available(&self, cx: &Context<'_>, rds: &Client) -> Result<()> {
        if cx.client().readiness() == Readiness::ControlPlane {
            return Ok(());
        }
        wait::until(cx, "waiting until the cluster's instances are available", TIMEOUT, async || {
            let members = members_of(rds, self.cluster).await?;
            if let Some(error) = members.iter().find_map(failure) {
                return Err(error);
            }
            let available = |member: &DbInstance| {
                member.db_instance_status() == Some("available") && member.db_instance_class() == Some(self.class)
            };
            let all_available = members.len() == self.count as usize && members.iter().all(available);
            Ok(all_available.then_some(()))
        })
        .await
    }

    fn name(&self, number: u32) -> String {
        format!("{}-{number}", self.cluster)
    }
}

/// Requests the deletion of every instance of a cluster.
pub(super) async fn delete_all(rds: &Client, cluster: &str) -> Result<(), AwsError> {
    for member in members_of(rds, cluster).await? {
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

/// Returns the instances of a cluster.
pub(super) async fn members_of(rds: &Client, cluster: &str) -> Result<Vec<DbInstance>, AwsError> {
    let filter = Filter::builder().name("db-cluster-id").values(cluster).build();
    let response = rds.describe_db_instances().filters(filter).send().await.context("DescribeDBInstances")?;
    Ok(response.db_instances.unwrap_or_default())
}
