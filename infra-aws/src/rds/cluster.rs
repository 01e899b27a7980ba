//! `aws:rds:DbCluster`: an Aurora PostgreSQL cluster with its instances.

use super::{
    TIMEOUT, account_problems, declared_group, declared_groups, declared_port, declared_version, default_group,
    delete_when_idle, derived_name, differ, final_snapshot, known_groups, known_name,
    members::{self, ENGINE, Members},
    name_problem, retag, unencrypted, url, wait_until_deleted, with_tls,
};
use crate::{error::AwsError, prelude::*};
use aws_sdk_rds::{Client, operation::modify_db_cluster::builders::ModifyDBClusterFluentBuilder as Modify, types};
use infra_core::target::Readiness;

/// An Aurora PostgreSQL cluster with its instances: one writer, and readers of the same data.
///
/// When the writer fails, a reader becomes the writer, with the same endpoint. The names of the instances are the
/// cluster's and a number: `tasks-1`. Changes are applied immediately, not in the maintenance window. The plan of a
/// deletion without a final snapshot warns of the lost data.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # use infra_core::random::Password;
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let network = virginia.lookup(DefaultVpc);
/// let password = stack.add("password", Password::of_length(32));
/// let subnets = virginia.add("subnets", DbSubnetGroup::of(network.subnets));
/// let cluster = virginia.add("cluster", DbCluster {
///     instances: 3,
///     subnet_group: Some(subnets.name),
///     ..DbCluster::aurora_postgresql("db.t4g.medium", "tasks", "cloud", password.value)
/// });
/// stack.export("writer", cluster.writer_endpoint);
/// stack.export("readers", cluster.reader_endpoint);
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `CreateDBCluster`, or `RestoreDBClusterFromSnapshot` with a `snapshot`, after `DescribeDBClusterSnapshots` if
///   `encrypted` is true; `DescribeDBClusters` until the cluster is available; with a snapshot also `ModifyDBCluster` for
///   the settings that such a request does not contain; `CreateDBInstance` for each instance; `DescribeDBInstances` until
///   all are available
/// - Read: `DescribeDBClusters`, `DescribeDBInstances`
/// - Update: those of a read, `ModifyDBCluster`, `CreateDBInstance`, `ModifyDBInstance`, `DeleteDBInstance`,
///   `AddTagsToResource`, `RemoveTagsFromResource`
/// - Delete: those of a read, `DeleteDBInstance`, `DeleteDBCluster`; `DescribeDBClusters` until the cluster is deleted
///
/// # Replacement
/// A change of `name`, `database`, `user`, `subnet_group`, `encrypted` or `snapshot` replaces the cluster, because RDS
/// cannot change them. The new cluster is created before the previous one is deleted, so a declared `name` has to
/// change together with the others. **The new cluster does not have the data of the previous one**, of which a final
/// snapshot is kept unless `final_snapshot` is false.
///
/// # Import
/// The import takes the identifier of the cluster; its instances are imported with it. The API does not return the
/// password: the first `up` sets the declared one.
///
/// ```console
/// $ stack import aws:rds:DbCluster cluster tasks --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:rds:DbCluster", timeout = TIMEOUT * 2)]
// The flags are those of AWS's API.
#[allow(clippy::struct_excessive_bools)]
pub struct DbCluster {
    /// Identifier, unique in the account and region: up to 60 lower-case letters, digits and `-`, beginning with a
    /// letter, without `--` and without `-` at the end. When omitted, the declaration's name with a unique suffix. A
    /// change replaces the cluster.
    #[resource(replace)]
    pub name: Option<String>,
    /// Class of the instances, such as `db.t4g.medium`.
    pub class: String,
    /// Number of instances, 1 to 16: one writer, the others readers. 2 by default. The writer is deleted last.
    pub instances: u32,
    /// Version of PostgreSQL: `16` for any minor version, or `16.4`; the default of RDS when omitted. Another version
    /// upgrades the cluster, also to another major version.
    pub version: Option<String>,
    /// Name of a database that is created with the cluster, besides `postgres`: up to 63 letters, digits and `_`,
    /// beginning with a letter. A change replaces the cluster.
    #[resource(replace)]
    pub database: Option<String>,
    /// Name of the master user: up to 63 letters, digits and `_`, beginning with a letter, and neither `admin` nor
    /// `rdsadmin`. A change replaces the cluster.
    #[resource(replace)]
    pub user: String,
    /// Password of the master user: 8 to 128 printable ASCII characters without `/`, `@`, `"` and spaces; secret.
    #[resource(secret)]
    pub password: Input<String>,
    /// Port of the endpoints, 1150 to 65,535; 5432 for a new cluster when omitted.
    pub port: Option<u16>,
    /// Name of the [`DbSubnetGroup`](crate::DbSubnetGroup); the default VPC when omitted. A change replaces the
    /// cluster.
    #[resource(replace)]
    pub subnet_group: Option<Input<DbSubnetGroupName>>,
    /// Ids of the security groups. When empty, the cluster is created with the group `default` of the VPC, and an
    /// update changes nothing.
    #[serde(default)]
    pub security_groups: Vec<Input<SecurityGroupId>>,
    /// Name of the [`DbParameterGroup`](crate::DbParameterGroup) of the instances; the default group of the engine's
    /// version when omitted.
    pub parameter_group: Option<Input<DbParameterGroupName>>,
    /// Name of the [`DbClusterParameterGroup`](crate::DbClusterParameterGroup); the default group of the engine's
    /// version when omitted.
    pub cluster_parameter_group: Option<Input<DbClusterParameterGroupName>>,
    /// Indicates whether the instances have public addresses; false by default.
    pub public: bool,
    /// Indicates whether the storage is encrypted; false by default. The storage of an encrypted snapshot is always
    /// encrypted, and that of another one never: `true` is refused then. A change replaces the cluster.
    #[resource(replace)]
    pub encrypted: bool,
    /// Retention of automated backups, 1 to 35 days; 1 by default.
    pub backup_retention: u32,
    /// Indicates whether RDS refuses to delete the cluster; false by default.
    pub deletion_protection: bool,
    /// Indicates whether a snapshot is created when the cluster is deleted; true by default.
    pub final_snapshot: bool,
    /// Identifier or ARN of the snapshot with the initial data, which determines `database` and `user`; none by
    /// default. A change replaces the cluster.
    #[resource(replace)]
    pub snapshot: Option<Input<String>>,
    /// User-defined tags: key → value. Instances have those of their creation.
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
    /// Host name and port of the writer: `HOST:PORT`.
    #[output(changes_on_update)]
    pub writer_endpoint: Output<String>,
    /// Host name and port of the readers in turn, or of the writer if there are none: `HOST:PORT`.
    #[output(changes_on_update)]
    pub reader_endpoint: Output<String>,
    /// URL of the writer with the password, `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, and outside of the local
    /// cloud with `?sslmode=require`; secret.
    #[output(secret, changes_on_update)]
    pub url: Output<String>,
    /// URL of the readers with the password, in the form of `url`; secret.
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
            version: self.version.as_deref(),
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
        // A snapshot determines these, whatever is declared.
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
        // A single instance that differs is drift.
        public: old.public != members.iter().any(|member| member.publicly_accessible() == Some(!old.public)),
        encrypted: if from_snapshot { old.encrypted } else { cluster.storage_encrypted().unwrap_or_default() },
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

/// Refuses a snapshot whose storage is not encrypted: neither is that of the cluster then.
async fn refuse_unencrypted(rds: &Client, snapshot: &str) -> Result<()> {
    let call = rds.describe_db_cluster_snapshots().db_cluster_snapshot_identifier(snapshot).include_shared(true);
    // The restore reports a snapshot that does not exist, and accepts one of an instance.
    let response = found(call.send().await.context("DescribeDBClusterSnapshots"))?;
    let described = response.and_then(|response| response.db_cluster_snapshots?.pop());
    match described.and_then(|snapshot| snapshot.storage_encrypted) {
        Some(false) => Err(unencrypted(snapshot, "CopyDBClusterSnapshot")),
        _ => Ok(()),
    }
}

async fn restore(
    cx: &Context<'_>,
    rds: &Client,
    id: &str,
    snapshot: &str,
    inputs: &DbCluster,
) -> Result<Option<types::DbCluster>> {
    if inputs.encrypted {
        refuse_unencrypted(rds, snapshot).await?;
    }
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
    let default = || default_group(ENGINE, inputs.version.as_deref(), cluster.engine_version());
    Ok(known_name(inputs.cluster_parameter_group.as_ref())?.unwrap_or_else(default))
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
