//! `aws:rds:DbCluster`: an Aurora PostgreSQL cluster with its instances.

use super::{
    TIMEOUT, account_problems, declared_group, declared_groups, declared_port, declared_version, delete_when_idle,
    derived_name, differ, final_snapshot, known_groups, known_name,
    members::{self, ENGINE, Members},
    name_problem, retag, url, wait_until_deleted, with_tls,
};
use crate::{error::AwsError, prelude::*};
use aws_sdk_rds::{Client, operation::modify_db_cluster::builders::ModifyDBClusterFluentBuilder as Modify, types};
use infra_core::target::Readiness;

/// An Aurora PostgreSQL cluster: one writer and readers of the same data. When the writer fails, a reader becomes the
/// writer, with the same endpoint.
///
/// Created by `CreateDBCluster`, or by `RestoreDBClusterFromSnapshot` when it has a snapshot, and a `CreateDBInstance` for
/// each of its instances, whose names are the cluster's and a number; changed in place by `ModifyDBCluster`,
/// `ModifyDBInstance`, and by creating and deleting instances; deleted by `DeleteDBInstance` and `DeleteDBCluster`, which
/// by default creates a final snapshot.
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:rds:DbCluster", timeout = TIMEOUT * 2)]
// The API has these switches.
#[allow(clippy::struct_excessive_bools)]
pub struct DbCluster {
    /// Identifier, unique in the account and region; derived from the declaration's name when omitted.
    #[resource(replace)]
    pub name: Option<String>,
    /// Class of the instances, such as `db.t4g.medium`.
    pub class: String,
    /// Number of instances: one writer, the others readers.
    pub instances: u32,
    /// Version of PostgreSQL, such as `15` for its newest minor version; the API's default when omitted.
    pub version: Option<String>,
    /// Name of a database that is created with the cluster, besides `postgres`.
    #[resource(replace)]
    pub database: Option<String>,
    /// Name of the master user.
    #[resource(replace)]
    pub user: String,
    /// Password of the master user, which the API does not return.
    #[resource(secret)]
    pub password: Input<String>,
    /// Port of the endpoints; 5432 when omitted.
    pub port: Option<u16>,
    /// Subnet group; the default VPC when omitted.
    #[resource(replace)]
    pub subnet_group: Option<Input<DbSubnetGroupName>>,
    /// Security groups; the VPC's default group when empty.
    #[serde(default)]
    pub security_groups: Vec<Input<SecurityGroupId>>,
    /// Parameter group of the instances; the engine's defaults when omitted.
    pub parameter_group: Option<Input<DbParameterGroupName>>,
    /// Parameter group of the cluster; the engine's defaults when omitted.
    pub cluster_parameter_group: Option<Input<DbClusterParameterGroupName>>,
    /// Indicates whether the instances have public addresses.
    pub public: bool,
    /// Indicates whether the storage is encrypted.
    #[resource(replace)]
    pub encrypted: bool,
    /// Retention of automated backups, 1 to 35 days.
    pub backup_retention: u32,
    /// Indicates whether the API refuses to delete the cluster.
    pub deletion_protection: bool,
    /// Indicates whether a final snapshot is created when the cluster is deleted.
    pub final_snapshot: bool,
    /// Snapshot with the initial data, which determines `database` and `user`.
    #[resource(replace)]
    pub snapshot: Option<Input<String>>,
    /// User-defined tags, also of instances when they are created.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`DbCluster`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct DbClusterOutputs {
    /// Identifier of the cluster.
    #[output(regional)]
    pub id: Output<DbClusterId>,
    /// Amazon Resource Name of the cluster.
    #[output(regional)]
    pub arn: Output<Arn<DbCluster>>,
    /// Host and port of the writer: `HOST:PORT`.
    #[output(changes_on_update)]
    pub writer_endpoint: Output<String>,
    /// Host and port of the readers, in turn; of the writer when there are none.
    #[output(changes_on_update)]
    pub reader_endpoint: Output<String>,
    /// URL of the writer with the password: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    #[output(secret, changes_on_update)]
    pub url: Output<String>,
    /// URL of the readers with the password.
    #[output(secret, changes_on_update)]
    pub reader_url: Output<String>,
}

impl DbCluster {
    /// Returns a cluster of one writer and one reader of this class, with this database, and this user with its password.
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

    fn identifier(&self, cx: &Context<'_>) -> String {
        // The names of the instances add a number.
        self.name.clone().unwrap_or_else(|| derived_name(cx, 60))
    }

    fn members<'a>(&'a self, cluster: &'a str) -> Result<Members<'a>> {
        Ok(Members {
            cluster,
            count: self.instances,
            class: &self.class,
            parameter_group: known_name(self.parameter_group.as_ref())?,
            public: self.public,
            tags: &self.tags,
        })
    }
}

impl AwsResource for DbCluster {}

impl Described for DbCluster {
    type Client = Aws;
    type Api = Client;
    /// The cluster, its instances, and whether clients connect with TLS.
    type Description = (types::DbCluster, Vec<types::DbInstance>, bool);

    const FOUND_BY: FoundBy = FoundBy::Name;

    fn loses(&self, _: Option<&Self>) -> Option<String> {
        (!self.final_snapshot).then(|| "its databases, without a final snapshot".to_owned())
    }

    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = name_problem(self.name.as_deref(), 60).into_iter().collect();
        problems.extend(account_problems(&self.user, &self.password, self.database.as_deref()));
        let mut refuse = |wrong: bool, property: &str, message: &str| {
            if wrong {
                problems.push(Problem::new(property, message));
            }
        };
        refuse(!self.class.starts_with("db."), "class", "write a class like `db.t4g.medium`");
        refuse(!(1..=16).contains(&self.instances), "instances", "a cluster has 1 to 16 instances");
        refuse(!(1..=35).contains(&self.backup_retention), "backup_retention", "backups are kept for 1 to 35 days");
        refuse(self.port.is_some_and(|port| port < 1150), "port", "the port is 1150 to 65535");
        problems
    }

    async fn create(cx: &Context<'_>, rds: &Client, inputs: &Self) -> Result<Self::Description> {
        let id = inputs.identifier(cx);
        let created = match &inputs.snapshot {
            Some(snapshot) => restore(cx, rds, &id, &snapshot.known()?, inputs).await?,
            None => create(cx, rds, &id, inputs).await?,
        };
        let created = created.ok_or_else(|| ProviderError::unsure("the response contains no cluster"))?;
        Ok((created, Vec::new(), with_tls(cx)))
    }

    async fn apply(cx: &Context<'_>, rds: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let (id, new) = (update.id, update.new);
        let cluster = wait_until_available(cx, rds, id).await?;
        // A request that restores does not contain all settings, such as the password.
        if update.old.is_some() || new.snapshot.is_some() {
            let password = new.password.known()?;
            let same = update.old.is_some_and(|old| old.password.known().is_ok_and(|old| old == password));
            modify(rds, &cluster, new, (!same).then_some(password)).await?;
        }
        new.members(id)?.apply(cx, rds, writer(&cluster)).await?;
        let arn = cluster.db_cluster_arn().unwrap_or_default();
        retag(rds, arn, update.old.map(|old| &old.tags), &new.tags).await?;
        let cluster = wait_until_available(cx, rds, id).await?;
        Ok(Self::normalize(&(cluster, Vec::new(), with_tls(cx)), Some(new)).outputs)
    }

    async fn delete(cx: &Context<'_>, rds: &Client, prior: &Prior<Self>) -> Result<()> {
        let id = &prior.id;
        let (cluster, ..) = Self::require(cx, rds, id).await?;
        if cluster.deletion_protection() == Some(true) {
            return Err(ProviderError::refused(format!("the cluster `{id}` is protected from deletion"))
                .hint("set `deletion_protection: false`, run `up`, then delete the cluster"));
        }
        let snapshot = prior.inputs.final_snapshot.then(|| final_snapshot(cx, id));
        let deleted = delete_when_idle(cx, async || {
            members::delete_all(rds, id).await?;
            match find(rds, id).await? {
                None => return Ok(()),
                Some(cluster) if cluster.status() == Some("deleting") => return Ok(()),
                Some(_) => {}
            }
            let call = rds.delete_db_cluster().db_cluster_identifier(id).skip_final_snapshot(snapshot.is_none());
            let call = call.set_final_db_snapshot_identifier(snapshot.clone());
            call.send().await.context("DeleteDBCluster").map(drop)
        });
        deleted.await?;
        wait_until_deleted(cx, async || Ok(find(rds, id).await?.is_some())).await
    }

    async fn describe(cx: &Context<'_>, rds: &Client, id: &str) -> Result<Option<Self::Description>> {
        let Some(cluster) = find(rds, id).await? else { return Ok(None) };
        Ok(Some((cluster, members::members_of(rds, id).await?, with_tls(cx))))
    }

    async fn find_created(cx: &Context<'_>, rds: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        let existing = Self::describe(cx, rds, &inputs.identifier(cx)).await?;
        Ok(existing.filter(|(cluster, ..)| tags::are_of_operation(cx, cluster.tag_list())))
    }

    fn normalize((cluster, members, tls): &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let id = cluster.db_cluster_identifier().unwrap_or_default();
        let blank = Self::aurora_postgresql("", "", "", "");
        let old = recorded.unwrap_or(&blank);
        let port = cluster.port().unwrap_or(5432);
        let at = |host: Option<&str>| format!("{}:{port}", host.unwrap_or_default());
        let (writer, reader) = (at(cluster.endpoint()), at(cluster.reader_endpoint()));
        let user = cluster.master_username().unwrap_or(&old.user);
        let database = cluster.database_name().or(old.database.as_deref());
        let password = old.password.known().unwrap_or_default();
        let outputs = DbClusterOutputs {
            id: DbClusterId::from(id).into(),
            arn: Arn::from(cluster.db_cluster_arn().unwrap_or_default()).into(),
            url: url(*tls, user, &password, &writer, database).into(),
            reader_url: url(*tls, user, &password, &reader, database).into(),
            writer_endpoint: writer.into(),
            reader_endpoint: reader.into(),
        };
        Created { id: id.to_owned(), inputs: Some(declared(cluster, members, recorded, old)), outputs }
    }
}

/// Converts the descriptions of a cluster and its instances into the inputs that declare it. `old` are the recorded
/// inputs, or blank ones.
fn declared(
    cluster: &types::DbCluster,
    members: &[types::DbInstance],
    recorded: Option<&DbCluster>,
    old: &DbCluster,
) -> DbCluster {
    // A single instance of another class is drift.
    let has_other_class = |member: &&types::DbInstance| member.db_instance_class() != Some(&old.class);
    let member = members.iter().find(has_other_class).or(members.first());
    let parameter_group = member.and_then(|member| member.db_parameter_groups().first()?.db_parameter_group_name());
    let from_snapshot = old.snapshot.is_some();
    let user = cluster.master_username().unwrap_or_default().to_owned();
    DbCluster {
        name: if recorded.is_none_or(|old| old.name.is_some()) { cluster.db_cluster_identifier.clone() } else { None },
        class: member.and_then(|member| member.db_instance_class.clone()).unwrap_or_else(|| old.class.clone()),
        instances: members.len() as u32,
        version: declared_version(cluster.engine_version(), old.version.as_deref()),
        // A snapshot determines both, whatever is declared.
        database: if from_snapshot { old.database.clone() } else { cluster.database_name.clone() },
        user: if from_snapshot { old.user.clone() } else { user },
        password: old.password.clone(),
        port: declared_port(cluster.port(), old.port),
        subnet_group: declared_group(cluster.db_subnet_group(), old.subnet_group.as_ref()),
        security_groups: declared_groups(
            cluster.vpc_security_groups(),
            recorded.map(|recorded| recorded.security_groups.as_slice()),
        ),
        parameter_group: declared_group(parameter_group, old.parameter_group.as_ref()),
        cluster_parameter_group: declared_group(
            cluster.db_cluster_parameter_group(),
            old.cluster_parameter_group.as_ref(),
        ),
        public: members.iter().any(|member| member.publicly_accessible() == Some(true)),
        encrypted: cluster.storage_encrypted().unwrap_or_default(),
        backup_retention: cluster.backup_retention_period().map_or(old.backup_retention, i32::cast_unsigned),
        deletion_protection: cluster.deletion_protection().unwrap_or_default(),
        final_snapshot: old.final_snapshot,
        snapshot: old.snapshot.clone(),
        tags: tags::declared(cluster.tag_list(), recorded.map(|recorded| &recorded.tags)),
    }
}

async fn find(rds: &Client, id: &str) -> Result<Option<types::DbCluster>, AwsError> {
    let response = rds.describe_db_clusters().db_cluster_identifier(id).send().await.context("DescribeDBClusters");
    Ok(found(response)?.and_then(|response| response.db_clusters?.pop()))
}

async fn create(cx: &Context<'_>, rds: &Client, id: &str, inputs: &DbCluster) -> Result<Option<types::DbCluster>> {
    let response = rds
        .create_db_cluster()
        .db_cluster_identifier(id)
        .engine(ENGINE)
        .set_engine_version(inputs.version.clone())
        .set_database_name(inputs.database.clone())
        .master_username(&inputs.user)
        .master_user_password(inputs.password.known()?)
        .set_port(inputs.port.map(i32::from))
        .set_db_subnet_group_name(known_name(inputs.subnet_group.as_ref())?)
        .set_vpc_security_group_ids(known_groups(&inputs.security_groups)?)
        .set_db_cluster_parameter_group_name(known_name(inputs.cluster_parameter_group.as_ref())?)
        .storage_encrypted(inputs.encrypted)
        .backup_retention_period(inputs.backup_retention.cast_signed())
        .deletion_protection(inputs.deletion_protection)
        .set_tags(Some(tags::for_create(cx, &inputs.tags)))
        .send()
        .await
        .context("CreateDBCluster")?;
    Ok(response.db_cluster)
}

async fn restore(
    cx: &Context<'_>,
    rds: &Client,
    id: &str,
    snapshot: &str,
    inputs: &DbCluster,
) -> Result<Option<types::DbCluster>> {
    let response = rds
        .restore_db_cluster_from_snapshot()
        .db_cluster_identifier(id)
        .snapshot_identifier(snapshot)
        .engine(ENGINE)
        .set_engine_version(inputs.version.clone())
        .set_port(inputs.port.map(i32::from))
        .set_db_subnet_group_name(known_name(inputs.subnet_group.as_ref())?)
        .set_vpc_security_group_ids(known_groups(&inputs.security_groups)?)
        .set_db_cluster_parameter_group_name(known_name(inputs.cluster_parameter_group.as_ref())?)
        .deletion_protection(inputs.deletion_protection)
        .set_tags(Some(tags::for_create(cx, &inputs.tags)))
        .send()
        .await
        .context("RestoreDBClusterFromSnapshot")?;
    Ok(response.db_cluster)
}

/// Changes the settings of the cluster itself that differ, and the password if there is a new one.
async fn modify(rds: &Client, cluster: &types::DbCluster, inputs: &DbCluster, password: Option<String>) -> Result<()> {
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
    let version = declared_version(cluster.engine_version(), inputs.version.as_deref());
    change(version != inputs.version, &|call| {
        call.set_engine_version(inputs.version.clone()).allow_major_version_upgrade(true)
    });
    let groups = known_groups(&inputs.security_groups)?;
    let other_groups = differ(cluster.vpc_security_groups(), groups.as_deref());
    change(other_groups, &|call| call.set_vpc_security_group_ids(groups.clone()));
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

/// Returns the declared parameter group, or the default one of the engine.
fn wanted_group(cluster: &types::DbCluster, inputs: &DbCluster) -> Result<String> {
    let major = cluster.engine_version().and_then(|version| version.split('.').next()).unwrap_or_default();
    Ok(known_name(inputs.cluster_parameter_group.as_ref())?.unwrap_or_else(|| format!("default.{ENGINE}{major}")))
}

/// Waits until the cluster is available and its password is not being changed.
async fn wait_until_available(cx: &Context<'_>, rds: &Client, id: &str) -> Result<types::DbCluster> {
    let control_plane = cx.client().readiness() == Readiness::ControlPlane;
    wait::until(cx, "waiting until the cluster is available", TIMEOUT, async || {
        let deleted = || ProviderError::of(ErrorKind::NotFound, format!("the cluster `{id}` does not exist any more"));
        let cluster = find(rds, id).await?.ok_or_else(deleted)?;
        let status = cluster.status().unwrap_or_default();
        if status.contains("failed") || status.starts_with("inaccessible-") {
            return Err(ProviderError::refused(format!("the cluster `{id}` is {status}"))
                .hint("correct the cause, which the events of the cluster contain, or delete the cluster"));
        }
        let pending = cluster.pending_modified_values().is_some_and(|pending| pending.master_user_password().is_some());
        let available = status == "available" && !pending;
        Ok((control_plane || available).then_some(cluster))
    })
    .await
}

fn writer(cluster: &types::DbCluster) -> Option<&str> {
    let writer = cluster.db_cluster_members().iter().find(|member| member.is_cluster_writer() == Some(true));
    writer.and_then(|member| member.db_instance_identifier())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded() -> DbCluster {
        DbCluster::aurora_postgresql("db.t4g.medium", "tasks", "cloud", "long-enough")
    }

    #[test]
    fn check_refuses_values_outside_the_limits() {
        assert!(recorded().check().is_empty());
        let bad = DbCluster { instances: 0, backup_retention: 0, class: "big".into(), port: Some(80), ..recorded() };
        let properties: Vec<_> = bad.check().into_iter().map(|problem| problem.property).collect();
        assert_eq!(properties, ["class", "instances", "backup_retention", "port"]);
    }

    #[test]
    fn missing_instance_and_another_class_are_drift() {
        let cluster =
            types::DbCluster::builder().db_cluster_identifier("c").database_name("tasks").master_username("cloud");
        let cluster = cluster.port(5432).backup_retention_period(1).build();
        let member = |class: &str| types::DbInstance::builder().db_instance_class(class).build();
        let json = |inputs: &DbCluster| serde_json::to_value(inputs).ok();
        let read = |members| DbCluster::normalize(&(cluster.clone(), members, false), Some(&recorded())).inputs;
        let both = vec![member("db.t4g.medium"), member("db.t4g.medium")];
        assert_eq!(read(both).as_ref().and_then(json), json(&recorded()));
        let changed = read(vec![member("db.r6g.large")]);
        assert_eq!(changed.map(|inputs| (inputs.instances, inputs.class)), Some((1, "db.r6g.large".to_owned())));
    }
}
