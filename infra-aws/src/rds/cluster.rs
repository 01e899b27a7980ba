//! `aws:rds:DbCluster`: an Aurora PostgreSQL cluster with its instances.

use super::{
    PATIENCE, account_problems, are_ours, derived_name, known_groups, last_snapshot, living_groups, living_version,
    members::{self, ENGINE, Members},
    name_problem, own_tags, retag, tag_list, url,
};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{Arn, DbClusterId, DbClusterParameterGroupName, DbParameterGroupName, DbSubnetGroupName, SecurityGroupId},
    region::AwsResource,
    wait,
};
use aws_sdk_rds::{
    Client,
    operation::modify_db_cluster::builders::ModifyDBClusterFluentBuilder as Modify,
    types::{DbCluster as Described, DbInstance as Member},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
    target::Readiness,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An Aurora PostgreSQL cluster: one writer and readers over the same data. When the writer fails, a reader takes its
/// place behind the same endpoint.
///
/// Made by `CreateDBCluster` (or `RestoreDBClusterFromSnapshot` when a snapshot is given) and a `CreateDBInstance` for
/// each of its instances, which are called like the cluster with a number; changed in place by `ModifyDBCluster`,
/// `ModifyDBInstance`, and by making and deleting instances; deleted by `DeleteDBInstance` and `DeleteDBCluster`, which
/// leaves a last snapshot unless told otherwise.
#[derive(Clone, Debug, Serialize, Deserialize)]
// The switches are AWS's.
#[allow(clippy::struct_excessive_bools)]
pub struct DbCluster {
    /// Its identifier, unique in account and region; derived from the declaration's name when none is given.
    pub name: Option<String>,
    /// The class of its instances, such as `db.t4g.medium`.
    pub class: String,
    /// How many instances it has: one writes, the others read.
    pub instances: u32,
    /// The version of PostgreSQL, such as `15` for the newest of its minor ones; AWS's default when none is given.
    pub version: Option<String>,
    /// The database that is made with it, besides `postgres`.
    pub database: Option<String>,
    /// The master user.
    pub user: String,
    /// The master user's password, which AWS never tells again.
    pub password: Input<String>,
    /// The port of its endpoints; 5432 when none is given.
    pub port: Option<u16>,
    /// Where its addresses come from; the default VPC when none is given.
    pub subnet_group: Option<Input<DbSubnetGroupName>>,
    /// Who may reach it; the VPC's default group when none is given.
    #[serde(default)]
    pub security_groups: Vec<Input<SecurityGroupId>>,
    /// How PostgreSQL is configured on its instances; the engine's defaults when none is given.
    pub parameter_group: Option<Input<DbParameterGroupName>>,
    /// How PostgreSQL is configured in the cluster as a whole; the engine's defaults when none is given.
    pub cluster_parameter_group: Option<Input<DbClusterParameterGroupName>>,
    /// Whether its instances have addresses on the internet.
    pub public: bool,
    /// Whether its storage is encrypted.
    pub encrypted: bool,
    /// How many days backups are kept, 1 to 35.
    pub backup_retention: u32,
    /// Whether AWS refuses to delete it.
    pub deletion_protection: bool,
    /// Whether a last snapshot is left when it is deleted, as AWS has it by default.
    pub final_snapshot: bool,
    /// The snapshot that its data comes from; then `database` and `user` are those of the snapshot.
    pub snapshot: Option<Input<String>>,
    /// Tags of one's own, also of its instances when they are made.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What a [`DbCluster`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DbClusterOutputs {
    /// Its identifier.
    pub id: Output<DbClusterId>,
    /// Its Amazon Resource Name.
    pub arn: Output<Arn<DbCluster>>,
    /// `HOST:PORT` of whichever instance writes.
    pub writer_endpoint: Output<String>,
    /// `HOST:PORT` of the readers in turn; of the writer when there are none.
    pub reader_endpoint: Output<String>,
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE` of the writer, secret.
    pub url: Output<String>,
    /// The same of the readers, secret.
    pub reader_url: Output<String>,
}

impl DbCluster {
    /// A cluster of one writer and one reader of this class, with this database, and this user with its password.
    pub fn aurora_postgresql(
        class: impl Into<String>,
        database: impl Into<String>,
        user: impl Into<String>,
        password: impl Into<Input<String>>,
    ) -> Self {
        Self {
            name: None,
            class: class.into(),
            instances: 2,
            version: None,
            database: Some(database.into()),
            user: user.into(),
            password: password.into(),
            port: None,
            subnet_group: None,
            security_groups: Vec::new(),
            parameter_group: None,
            cluster_parameter_group: None,
            public: false,
            encrypted: false,
            backup_retention: 1,
            deletion_protection: false,
            final_snapshot: true,
            snapshot: None,
            tags: BTreeMap::new(),
        }
    }

    fn identifier(&self, cx: &Context<'_, Aws>) -> String {
        // The numbers of its instances go behind it.
        self.name.clone().unwrap_or_else(|| derived_name(cx, 60))
    }

    fn own_group(&self) -> Result<Option<String>, ProviderError> {
        Ok(self.cluster_parameter_group.as_ref().map(Input::known).transpose()?.map(String::from))
    }

    fn members<'a>(&'a self, cluster: &'a str) -> Result<Members<'a>, ProviderError> {
        Ok(Members {
            cluster,
            count: self.instances,
            class: &self.class,
            parameter_group: self.parameter_group.as_ref().map(Input::known).transpose()?.map(String::from),
            public: self.public,
            tags: &self.tags,
        })
    }
}

impl Resource for DbCluster {
    const TYPE: &'static str = "aws:rds:DbCluster";
    type Outputs = DbClusterOutputs;

    fn schema() -> Schema {
        Schema::new()
            .replace_on(["name", "database", "user", "subnet_group", "encrypted", "snapshot"])
            .secret(["password", "url", "reader_url"])
            .changes_on_update(["writer_endpoint", "reader_endpoint", "url", "reader_url"])
            .regional(["id", "arn"])
            .timeout(PATIENCE * 2)
    }
}

impl AwsResource for DbCluster {}

impl Handler for DbCluster {
    type Client = Aws;

    fn loses(&self, _: Option<&Self>) -> Option<String> {
        (!self.final_snapshot).then(|| "its databases, of which no last snapshot is made".to_owned())
    }

    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = name_problem(self.name.as_deref(), 60).into_iter().collect();
        problems.extend(account_problems(&self.user, &self.password, self.database.as_deref()));
        let mut refuse = |wrong: bool, property: &str, message: &str| {
            if wrong {
                problems.push(Problem::new(property, message));
            }
        };
        refuse(!self.class.starts_with("db."), "class", "the classes of databases are called like `db.t4g.medium`");
        refuse(!(1..=16).contains(&self.instances), "instances", "a cluster has 1 to 16 instances");
        refuse(!(1..=35).contains(&self.backup_retention), "backup_retention", "backups are kept for 1 to 35 days");
        refuse(self.port.is_some_and(|port| port < 1150), "port", "it takes 1150 to 65535");
        problems
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let rds = cx.client().rds(cx.region()?).await;
        let id = inputs.identifier(cx);
        let made = match &inputs.snapshot {
            Some(snapshot) => restore(cx, &rds, &id, &snapshot.known()?, inputs).await?,
            None => make(cx, &rds, &id, inputs).await?,
        };
        let cluster = match made {
            Ok(cluster) => cluster.ok_or_else(|| lost(&id))?,
            // The SDK repeats a request whose answer was lost.
            Err(error) if error.kind == ErrorKind::AlreadyExists => {
                let ours = ours(cx, &rds, &id).await?;
                ours.ok_or_else(|| error.hint("choose another name, or delete the cluster that has it"))?
            }
            Err(error) => return Err(error.into()),
        };
        let filled = async {
            let cluster = available(cx, &rds, &id).await?;
            if inputs.snapshot.is_some() {
                converge(&rds, &cluster, inputs, Some(inputs.password.known()?)).await?;
            }
            inputs.members(&id)?.converge(cx, &rds, writer(&cluster)).await?;
            available(cx, &rds, &id).await
        };
        match filled.await {
            Ok(cluster) => Ok(Created { inputs: None, ..live(cx, &rds, &cluster, inputs).await? }),
            Err(error) => Err(live(cx, &rds, &cluster, inputs).await?.failed(error)),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let rds = cx.client().rds(cx.region()?).await;
        match describe(&rds, &prior.id).await? {
            Some(cluster) => Ok(Some(live(cx, &rds, &cluster, &prior.inputs).await?)),
            None => Ok(None),
        }
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let rds = cx.client().rds(cx.region()?).await;
        let cluster = available(cx, &rds, &prior.id).await?;
        let password = inputs.password.known()?;
        let password = (prior.inputs.password.known().ok().as_ref() != Some(&password)).then_some(password);
        converge(&rds, &cluster, inputs, password).await?;
        inputs.members(&prior.id)?.converge(cx, &rds, writer(&cluster)).await?;
        retag(&rds, cluster.db_cluster_arn().unwrap_or_default(), &prior.inputs.tags, &inputs.tags).await?;
        let cluster = available(cx, &rds, &prior.id).await?;
        Ok(outputs(cx, &cluster, inputs, &inputs.password.known()?))
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let rds = cx.client().rds(cx.region()?).await;
        let id = &prior.id;
        let cluster = describe(&rds, id).await?.ok_or_else(|| lost(id))?;
        if cluster.deletion_protection() == Some(true) {
            return Err(ProviderError::refused(format!("the cluster {id} is protected from being deleted"))
                .hint("say `deletion_protection: false`, run `up`, and then delete it"));
        }
        let last = prior.inputs.final_snapshot.then(|| last_snapshot(cx, id));
        let deleted = wait::retry(cx, "waiting until it may be deleted", PATIENCE, is_busy, async || {
            members::delete_all(&rds, id).await?;
            match describe(&rds, id).await? {
                None => return Ok(()),
                Some(cluster) if cluster.status() == Some("deleting") => return Ok(()),
                Some(_) => {}
            }
            let call = rds.delete_db_cluster().db_cluster_identifier(id).skip_final_snapshot(last.is_none());
            let call = call.set_final_db_snapshot_identifier(last.clone());
            call.send().await.context("DeleteDBCluster").map(drop)
        });
        deleted.await?;
        if cx.client().readiness() == Readiness::ControlPlane {
            return Ok(());
        }
        wait::until(cx, "waiting until the cluster is gone", PATIENCE, async || {
            Ok(describe(&rds, id).await?.is_none().then_some(()))
        })
        .await
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let rds = cx.client().rds(cx.region()?).await;
        let security_groups = vec![SecurityGroupId::from("").into()];
        let named = Self { name: Some(String::new()), security_groups, ..Self::aurora_postgresql("", "", "", "") };
        match describe(&rds, id).await? {
            Some(cluster) => Ok(Some(live(cx, &rds, &cluster, &named).await?)),
            None => Ok(None),
        }
    }

    fn recovery() -> Recovery<Self> {
        Recovery::name(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let rds = cx.client().rds(cx.region()?).await;
                match ours(cx, &rds, &inputs.identifier(cx)).await? {
                    // Instances that are missing show as a difference, which the next run makes good.
                    Some(cluster) => Ok(Found::Found(live(cx, &rds, &cluster, inputs).await?)),
                    None => Ok(Found::Absent),
                }
            })
        })
    }
}

/// The answer of a request that makes a cluster; what the request needs may be unknown.
type Made = Result<Result<Option<Described>, AwsError>, ProviderError>;

async fn make(cx: &Context<'_, Aws>, rds: &Client, id: &str, inputs: &DbCluster) -> Made {
    let groups = known_groups(&inputs.security_groups)?;
    let answer = rds
        .create_db_cluster()
        .db_cluster_identifier(id)
        .engine(ENGINE)
        .set_engine_version(inputs.version.clone())
        .set_database_name(inputs.database.clone())
        .master_username(&inputs.user)
        .master_user_password(inputs.password.known()?)
        .set_port(inputs.port.map(i32::from))
        .set_db_subnet_group_name(inputs.subnet_group.as_ref().map(Input::known).transpose()?.map(String::from))
        .set_vpc_security_group_ids((!groups.is_empty()).then_some(groups))
        .set_db_cluster_parameter_group_name(inputs.own_group()?)
        .storage_encrypted(inputs.encrypted)
        .backup_retention_period(inputs.backup_retention.cast_signed())
        .deletion_protection(inputs.deletion_protection)
        .set_tags(Some(tag_list(cx, &inputs.tags)))
        .send()
        .await
        .context("CreateDBCluster");
    Ok(answer.map(|answer| answer.db_cluster))
}

async fn restore(cx: &Context<'_, Aws>, rds: &Client, id: &str, snapshot: &str, inputs: &DbCluster) -> Made {
    let groups = known_groups(&inputs.security_groups)?;
    let answer = rds
        .restore_db_cluster_from_snapshot()
        .db_cluster_identifier(id)
        .snapshot_identifier(snapshot)
        .engine(ENGINE)
        .set_engine_version(inputs.version.clone())
        .set_port(inputs.port.map(i32::from))
        .set_db_subnet_group_name(inputs.subnet_group.as_ref().map(Input::known).transpose()?.map(String::from))
        .set_vpc_security_group_ids((!groups.is_empty()).then_some(groups))
        .set_db_cluster_parameter_group_name(inputs.own_group()?)
        .deletion_protection(inputs.deletion_protection)
        .set_tags(Some(tag_list(cx, &inputs.tags)))
        .send()
        .await
        .context("RestoreDBClusterFromSnapshot");
    Ok(answer.map(|answer| answer.db_cluster))
}

/// Brings the cluster itself in order, whatever it is now.
async fn converge(
    rds: &Client,
    cluster: &Described,
    inputs: &DbCluster,
    password: Option<String>,
) -> Result<(), ProviderError> {
    let id = cluster.db_cluster_identifier().unwrap_or_default();
    let mut call = rds.modify_db_cluster().db_cluster_identifier(id).apply_immediately(true);
    let mut changes = password.is_some();
    let mut change = |differs: bool, set: &dyn Fn(Modify) -> Modify| {
        if differs {
            changes = true;
            call = set(call.clone());
        }
    };
    if let Some(port) = inputs.port.map(i32::from) {
        change(cluster.port() != Some(port), &|call| call.port(port));
    }
    let version = living_version(cluster.engine_version(), inputs.version.as_deref());
    change(version != inputs.version, &|call| {
        call.set_engine_version(inputs.version.clone()).allow_major_version_upgrade(true)
    });
    let groups = known_groups(&inputs.security_groups)?;
    let living = known_groups(&living_groups(cluster.vpc_security_groups(), &inputs.security_groups))?;
    change(living != groups, &|call| call.set_vpc_security_group_ids(Some(groups.clone())));
    let group = wanted_group(cluster, inputs)?;
    change(cluster.db_cluster_parameter_group() != Some(&group), &|call| call.db_cluster_parameter_group_name(&group));
    let days = inputs.backup_retention.cast_signed();
    change(cluster.backup_retention_period() != Some(days), &|call| call.backup_retention_period(days));
    let protection = inputs.deletion_protection;
    change(cluster.deletion_protection() != Some(protection), &|call| call.deletion_protection(protection));
    if changes {
        call.set_master_user_password(password).send().await.context("ModifyDBCluster")?;
    }
    Ok(())
}

/// The group that a cluster is to have: without one of its own, that of its engine.
fn wanted_group(cluster: &Described, inputs: &DbCluster) -> Result<String, ProviderError> {
    let major = cluster.engine_version().and_then(|version| version.split('.').next()).unwrap_or_default();
    Ok(inputs.own_group()?.unwrap_or_else(|| format!("default.{ENGINE}{major}")))
}

/// Waits until nothing is going on with the cluster any more.
async fn available(cx: &Context<'_, Aws>, rds: &Client, id: &str) -> Result<Described, ProviderError> {
    let ready = cx.client().readiness() == Readiness::ControlPlane;
    wait::until(cx, "waiting until the cluster is available", PATIENCE, async || {
        let cluster = describe(rds, id).await?.ok_or_else(|| lost(id))?;
        let status = cluster.status().unwrap_or_default();
        if status.contains("failed") || status.starts_with("inaccessible-") {
            return Err(ProviderError::refused(format!("the cluster {id} is {status}"))
                .hint("look at its events, correct what they complain about, or delete it"));
        }
        let pending = cluster.pending_modified_values().is_some_and(|pending| pending.master_user_password().is_some());
        let settled = status == "available" && !pending;
        Ok((ready || settled).then_some(cluster))
    })
    .await
}

/// Whether a deletion may be asked for again.
fn is_busy(error: &AwsError) -> bool {
    error.is(&["InvalidDBClusterStateFault", "InvalidDBInstanceState", "InvalidDBInstanceStateFault"])
}

async fn describe(rds: &Client, id: &str) -> Result<Option<Described>, AwsError> {
    let answer = rds.describe_db_clusters().db_cluster_identifier(id).send().await.context("DescribeDBClusters");
    Ok(found(answer)?.and_then(|answer| answer.db_clusters.unwrap_or_default().pop()))
}

/// The cluster of this identifier, if this very operation made it.
async fn ours(cx: &Context<'_, Aws>, rds: &Client, id: &str) -> Result<Option<Described>, AwsError> {
    Ok(describe(rds, id).await?.filter(|cluster| are_ours(cx, cluster.tag_list())))
}

fn lost(id: &str) -> ProviderError {
    ProviderError::of(ErrorKind::NotFound, format!("the DB cluster {id} is gone"))
}

fn writer(cluster: &Described) -> Option<&str> {
    let writer = cluster.db_cluster_members().iter().find(|member| member.is_cluster_writer() == Some(true));
    writer.and_then(|member| member.db_instance_identifier())
}

/// The cluster as it lives, in the words of the recorded inputs where they say the same.
async fn live(
    cx: &Context<'_, Aws>,
    rds: &Client,
    cluster: &Described,
    recorded: &DbCluster,
) -> Result<Created<DbCluster>, ProviderError> {
    let id = cluster.db_cluster_identifier().unwrap_or_default();
    let members = members::living(rds, id).await?;
    Ok(Created {
        id: id.to_owned(),
        inputs: Some(inputs(cluster, &members, recorded)),
        outputs: outputs(cx, cluster, recorded, &recorded.password.known()?),
    })
}

fn outputs(cx: &Context<'_, Aws>, cluster: &Described, recorded: &DbCluster, password: &str) -> DbClusterOutputs {
    let port = cluster.port().unwrap_or(5432);
    let at = |host: Option<&str>| format!("{}:{port}", host.unwrap_or_default());
    let (writer, reader) = (at(cluster.endpoint()), at(cluster.reader_endpoint()));
    let user = cluster.master_username().unwrap_or(&recorded.user);
    let database = cluster.database_name().or(recorded.database.as_deref());
    DbClusterOutputs {
        id: DbClusterId::from(cluster.db_cluster_identifier().unwrap_or_default()).into(),
        arn: Arn::from(cluster.db_cluster_arn().unwrap_or_default()).into(),
        url: url(cx, user, password, &writer, database).into(),
        reader_url: url(cx, user, password, &reader, database).into(),
        writer_endpoint: writer.into(),
        reader_endpoint: reader.into(),
    }
}

fn inputs(cluster: &Described, members: &[Member], recorded: &DbCluster) -> DbCluster {
    // One instance of another class is enough to be brought in order.
    let class = |member: &&Member| member.db_instance_class() != Some(&recorded.class);
    let other = members.iter().find(class).or(members.first());
    let group = other.and_then(|member| member.db_parameter_groups().first()?.db_parameter_group_name());
    let subnets = cluster.db_subnet_group().filter(|name| recorded.subnet_group.is_some() || *name != "default");
    let port = cluster.port().and_then(|port| u16::try_from(port).ok());
    let of_snapshot = recorded.snapshot.is_some();
    let user = cluster.master_username().unwrap_or_default().to_owned();
    DbCluster {
        name: recorded.name.as_ref().and(cluster.db_cluster_identifier.clone()),
        class: other.and_then(|member| member.db_instance_class.clone()).unwrap_or_else(|| recorded.class.clone()),
        instances: members.len() as u32,
        version: living_version(cluster.engine_version(), recorded.version.as_deref()),
        // A snapshot brings its own, whatever is said here.
        database: if of_snapshot { recorded.database.clone() } else { cluster.database_name.clone() },
        user: if of_snapshot { recorded.user.clone() } else { user },
        password: recorded.password.clone(),
        port: if recorded.port.is_some() || port.is_some_and(|port| port != 5432) { port } else { None },
        subnet_group: subnets.map(|name| DbSubnetGroupName::from(name).into()),
        security_groups: living_groups(cluster.vpc_security_groups(), &recorded.security_groups),
        parameter_group: group
            .filter(|name| recorded.parameter_group.is_some() || !name.starts_with("default."))
            .map(|name| DbParameterGroupName::from(name).into()),
        cluster_parameter_group: cluster
            .db_cluster_parameter_group()
            .filter(|name| recorded.cluster_parameter_group.is_some() || !name.starts_with("default."))
            .map(|name| DbClusterParameterGroupName::from(name).into()),
        public: members.iter().any(|member| member.publicly_accessible() == Some(true)),
        encrypted: cluster.storage_encrypted().unwrap_or_default(),
        backup_retention: cluster.backup_retention_period().map_or(recorded.backup_retention, i32::cast_unsigned),
        deletion_protection: cluster.deletion_protection().unwrap_or_default(),
        final_snapshot: recorded.final_snapshot,
        snapshot: recorded.snapshot.clone(),
        tags: own_tags(cluster.tag_list(), &recorded.tags),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded() -> DbCluster {
        DbCluster::aurora_postgresql("db.t4g.medium", "tasks", "cloud", "long-enough")
    }

    #[test]
    fn check_knows_the_limits() {
        assert!(recorded().check().is_empty());
        let bad = DbCluster { instances: 0, backup_retention: 0, class: "big".into(), port: Some(80), ..recorded() };
        let properties: Vec<_> = bad.check().into_iter().map(|problem| problem.property).collect();
        assert_eq!(properties, ["class", "instances", "backup_retention", "port"]);
    }

    #[test]
    fn a_missing_instance_and_another_class_are_drift() {
        let cluster = Described::builder().db_cluster_identifier("c").database_name("tasks").master_username("cloud");
        let cluster = cluster.port(5432).backup_retention_period(1).build();
        let member = |class: &str| Member::builder().db_instance_class(class).build();
        let json = |inputs: &DbCluster| serde_json::to_value(inputs).ok();
        let both = [member("db.t4g.medium"), member("db.t4g.medium")];
        assert_eq!(json(&inputs(&cluster, &both, &recorded())), json(&recorded()));
        let changed = inputs(&cluster, &[member("db.r6g.large")], &recorded());
        assert_eq!((changed.instances, changed.class.as_str()), (1, "db.r6g.large"));
    }
}
