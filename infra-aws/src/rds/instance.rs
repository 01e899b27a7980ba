//! `aws:rds:DbInstance`: a PostgreSQL instance.

mod replica;
mod requests;
mod storage;

use super::{
    TIMEOUT, account_problems, declared_group, declared_groups, declared_port, declared_version, delete_when_idle,
    derived_name, final_snapshot, name_problem, retag, url, wait_until_deleted, with_tls,
};
use crate::{error::AwsError, prelude::*};
use aws_sdk_rds::{
    Client,
    types::{self, Endpoint, PendingModifiedValues},
};
use infra_core::target::Readiness;

/// A PostgreSQL instance of RDS.
///
/// A new instance is empty, or has the data of `snapshot`, or replicates another instance. Changes are applied
/// immediately, not in the maintenance window. The plan of a deletion without a final snapshot warns of the lost data.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # use infra_core::random::Password;
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let network = virginia.lookup(DefaultVpc);
/// # let access = virginia.add("access", SecurityGroup::in_vpc(network.vpc_id));
/// let password = stack.add("password", Password::of_length(32));
/// let database = virginia.add("database", DbInstance {
///     version: Some("17".into()),
///     security_groups: vec![access.id],
///     backup_retention: 7,
///     ..DbInstance::postgres("db.t4g.micro", "tasks", "cloud", password.value)
/// });
/// stack.export("endpoint", database.endpoint);
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `CreateDBInstance`, or `RestoreDBInstanceFromDBSnapshot` with a `snapshot`, after `DescribeDBSnapshots` if
///   `encrypted` is true, or `CreateDBInstanceReadReplica` with `replicate_from`; `DescribeDBInstances` until the instance
///   is available; with a snapshot or as a replica also `ModifyDBInstance` for the settings that such a request does not
///   contain
/// - Read: `DescribeDBInstances`
/// - Update: `DescribeDBInstances`, `ModifyDBInstance`, `AddTagsToResource`, `RemoveTagsFromResource`;
///   `PromoteReadReplica` if `replicate_from` is removed
/// - Delete: `DescribeDBInstances`, `DeleteDBInstance`; `DescribeDBInstances` until the instance is deleted
///
/// # Replacement
/// A change of `name`, `database`, `user`, `subnet_group`, `encrypted` or `snapshot` replaces the instance, because RDS
/// cannot change them. The new instance is created before the previous one is deleted, so a declared `name` has to
/// change together with the others. **The new instance does not have the data of the previous one**, of which a final
/// snapshot is kept unless `final_snapshot` is false. A replica that is to replicate another instance is not replaced:
/// the update is refused.
///
/// # Import
/// The import takes the identifier of the instance. The API does not return the password: the first `up` sets the
/// declared one.
///
/// ```console
/// $ stack import aws:rds:DbInstance database tasks --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:rds:DbInstance", timeout = TIMEOUT * 2)]
// The flags are those of AWS's API.
#[allow(clippy::struct_excessive_bools)]
pub struct DbInstance {
    /// Identifier, unique in the account and region: up to 63 lower-case letters, digits and `-`, beginning with a
    /// letter, without `--` and without `-` at the end. When omitted, the declaration's name with a unique suffix. A
    /// change replaces the instance.
    #[resource(replace)]
    pub name: Option<String>,
    /// Class of the instance, such as `db.t4g.micro`.
    pub class: String,
    /// Version of PostgreSQL: `17` for any minor version, or `17.4`; the default of RDS when omitted. Another version
    /// upgrades the instance, also to another major version.
    pub version: Option<String>,
    /// Name of a database that is created with the instance, besides `postgres`: up to 63 letters, digits and `_`,
    /// beginning with a letter. A change replaces the instance.
    #[resource(replace)]
    pub database: Option<String>,
    /// Name of the master user: up to 63 letters, digits and `_`, beginning with a letter, and neither `admin` nor
    /// `rdsadmin`. A change replaces the instance.
    #[resource(replace)]
    pub user: String,
    /// Password of the master user: 8 to 128 printable ASCII characters without `/`, `@`, `"` and spaces; secret.
    #[resource(secret)]
    pub password: Input<String>,
    /// Allocated storage: 20 to 65,536 GiB, at least 100 for `io1` and `io2`, and 5 to 3072 for `standard`; 20 by default.
    /// RDS cannot reduce it: a plan with a lower number is refused.
    pub allocated_storage: u32,
    /// Limit of storage autoscaling, in GiB and more than `allocated_storage`; no autoscaling when omitted.
    pub max_allocated_storage: Option<u32>,
    /// Type of the storage: `gp3`, `gp2`, `io2`, `io1` or `standard`; the default of RDS, `gp3`, for a new instance when
    /// omitted.
    pub storage_type: Option<String>,
    /// Provisioned IOPS. `io1` and `io2` need 1000 to 256,000, at least half and at most 50 (`io1`) or 1000 (`io2`) for
    /// each GiB; `gp3` accepts 12,000 to 64,000 from 400 GiB on, 12,000 when omitted. The other types have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iops: Option<u32>,
    /// Provisioned throughput of `gp3` from 400 GiB on: 500 to 4000 MiB/s; 500 when omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_throughput: Option<u32>,
    /// Port, 1150 to 65,535; 5432 for a new instance when omitted.
    pub port: Option<u16>,
    /// Name of the [`DbSubnetGroup`](crate::DbSubnetGroup); the default VPC when omitted. A change replaces the
    /// instance.
    #[resource(replace)]
    pub subnet_group: Option<Input<DbSubnetGroupName>>,
    /// Ids of the security groups. When empty, the instance is created with the group `default` of the VPC, and an
    /// update changes nothing.
    #[serde(default)]
    pub security_groups: Vec<Input<SecurityGroupId>>,
    /// Name of the [`DbParameterGroup`](crate::DbParameterGroup); when omitted, the default group of the engine's
    /// version, or that of the source of a replica.
    pub parameter_group: Option<Input<DbParameterGroupName>>,
    /// Indicates whether there is a standby in another availability zone, for failover; false by default.
    pub multi_az: bool,
    /// Indicates whether the instance has a public address; false by default. The default of RDS, which depends on the
    /// subnet group, never applies.
    pub public: bool,
    /// Indicates whether the storage is encrypted; false by default. The storage of an encrypted snapshot is always
    /// encrypted, and that of another one never: `true` is refused then. For a replica it has no effect. A change
    /// replaces the instance.
    #[resource(replace)]
    pub encrypted: bool,
    /// Retention of automated backups, 0 to 35 days; 0 disables them. 1 by default, and 0 for [`DbInstance::replica`].
    pub backup_retention: u32,
    /// Indicates whether RDS refuses to delete the instance; false by default.
    pub deletion_protection: bool,
    /// Indicates whether a snapshot is created when the instance is deleted, except for a replica; true by default.
    pub final_snapshot: bool,
    /// Identifier or ARN of the snapshot with the initial data, which determines `database` and `user`; none by
    /// default. A change replaces the instance.
    #[resource(replace)]
    pub snapshot: Option<Input<String>>,
    /// Identifier of the instance of which this one is a read replica; none by default. The source determines
    /// `database`, `user` and `password`, and needs automated backups. When it is removed, the replica is promoted to
    /// an independent instance.
    pub replicate_from: Option<Input<DbInstanceId>>,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`DbInstance`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct DbInstanceOutputs {
    /// Identifier of the instance.
    #[output(regional)]
    pub id: Output<DbInstanceId>,
    /// Amazon Resource Name of the instance.
    #[output(regional)]
    pub arn: Output<Arn<DbInstance>>,
    /// Host name and port: `HOST:PORT`.
    #[output(changes_on_update)]
    pub endpoint: Output<String>,
    /// Host name of the instance.
    pub address: Output<String>,
    /// Port of the instance.
    #[output(changes_on_update)]
    pub port: Output<u16>,
    /// URL with the password, `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, and outside of the local cloud with
    /// `?sslmode=require`; secret.
    #[output(secret, changes_on_update)]
    pub url: Output<String>,
}

impl DbInstance {
    /// Returns an instance of this class with 20 GiB of storage, this database, and this user with its password.
    pub fn postgres(
        class: impl Into<String>,
        database: impl Into<String>,
        user: impl Into<String>,
        password: impl Into<Input<String>>,
    ) -> Self {
        Self {
            name: None,
            class: class.into(),
            version: None,
            database: Some(database.into()),
            user: user.into(),
            password: password.into(),
            allocated_storage: 20,
            max_allocated_storage: None,
            storage_type: None,
            iops: None,
            storage_throughput: None,
            port: None,
            subnet_group: None,
            security_groups: Vec::new(),
            parameter_group: None,
            multi_az: false,
            public: false,
            encrypted: false,
            backup_retention: 1,
            deletion_protection: false,
            final_snapshot: true,
            snapshot: None,
            replicate_from: None,
            tags: BTreeMap::new(),
        }
    }

    /// Returns a read replica of `source` with this class; the database, the user and the password are those of the source.
    pub fn replica(
        class: impl Into<String>,
        source: impl Into<Input<DbInstanceId>>,
        database: impl Into<String>,
        user: impl Into<String>,
        password: impl Into<Input<String>>,
    ) -> Self {
        let replicate_from = Some(source.into());
        Self { replicate_from, backup_retention: 0, ..Self::postgres(class, database, user, password) }
    }

    fn identifier(&self, cx: &Context<'_>) -> String {
        self.name.clone().unwrap_or_else(|| derived_name(cx, 63))
    }
}

impl AwsResource for DbInstance {}

impl Described for DbInstance {
    type Client = Aws;
    type Api = Client;
    /// The instance, and whether clients connect with TLS.
    type Description = (types::DbInstance, bool);

    const FOUND_BY: FoundBy = FoundBy::Name;

    fn loses(&self, _: Option<&Self>) -> Option<String> {
        let is_lost = self.replicate_from.is_none() && !self.final_snapshot;
        is_lost.then(|| "its databases, without a final snapshot".to_owned())
    }

    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = name_problem(self.name.as_deref(), 63).into_iter().collect();
        problems.extend(account_problems(&self.user, &self.password, self.database.as_deref()));
        let mut refuse = |wrong: bool, property: &str, message: &str| {
            if wrong {
                problems.push(Problem::new(property, message));
            }
        };
        refuse(!self.class.starts_with("db."), "class", "write a class like `db.t4g.micro`");
        let shrinks = self.max_allocated_storage.is_some_and(|most| most <= self.allocated_storage);
        refuse(shrinks, "max_allocated_storage", "the maximum must be more than the allocated storage");
        refuse(self.backup_retention > 35, "backup_retention", "backups are kept for up to 35 days");
        refuse(self.port.is_some_and(|port| port < 1150), "port", "the port is 1150 to 65535");
        let both = self.snapshot.is_some() && self.replicate_from.is_some();
        refuse(both, "snapshot", "a replica has the data of its source, not of a snapshot");
        problems.extend(storage::problems(self));
        problems
    }

    fn check_update(&self, prior: &Self) -> Vec<Problem> {
        storage::reduction(prior, self).into_iter().collect()
    }

    async fn create(cx: &Context<'_>, rds: &Client, inputs: &Self) -> Result<Self::Description> {
        let id = inputs.identifier(cx);
        let created = match (&inputs.snapshot, &inputs.replicate_from) {
            (Some(snapshot), _) => requests::restore(cx, rds, &id, &snapshot.known()?, inputs).await?,
            (None, Some(source)) => requests::replicate(cx, rds, &id, &source.known()?, inputs).await?,
            (None, None) => requests::create(cx, rds, &id, inputs).await?,
        };
        Ok((created.ok_or_else(|| ProviderError::unsure("the response contains no instance"))?, with_tls(cx)))
    }

    async fn apply(cx: &Context<'_>, rds: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let (id, new) = (update.id, update.new);
        let mut instance = wait_until_available(cx, rds, id).await?;
        // A request that restores or replicates does not contain all settings, such as the password.
        if update.old.is_some() || new.snapshot.is_some() || new.replicate_from.is_some() {
            let promoted = update.old.is_some() && replica::promote(rds, &instance, new).await?;
            if promoted {
                instance = wait_until_available(cx, rds, id).await?;
            }
            let password = new.password.known()?;
            let same = update.old.is_some_and(|old| old.password.known().is_ok_and(|old| old == password));
            let password = ((promoted || !same) && new.replicate_from.is_none()).then_some(password);
            requests::modify(rds, &instance, new, password).await?;
            let arn = instance.db_instance_arn().unwrap_or_default();
            retag(rds, arn, update.old.map(|old| &old.tags), &new.tags).await?;
            instance = wait_until_available(cx, rds, id).await?;
        }
        Ok(Self::normalize(&(instance, with_tls(cx)), Some(new)).outputs)
    }

    async fn delete(cx: &Context<'_>, rds: &Client, prior: &Prior<Self>) -> Result<()> {
        let id = &prior.id;
        let (instance, _) = Self::require(cx, rds, id).await?;
        let independent = replica::source(&instance).is_none();
        let snapshot = (prior.inputs.final_snapshot && independent).then(|| final_snapshot(cx, id));
        let deleted = delete_when_idle(cx, async || {
            if find(rds, id).await?.is_some_and(|instance| instance.db_instance_status() == Some("deleting")) {
                return Ok(());
            }
            let call = rds.delete_db_instance().db_instance_identifier(id).skip_final_snapshot(snapshot.is_none());
            let call = call.set_final_db_snapshot_identifier(snapshot.clone());
            call.send().await.context("DeleteDBInstance").map(drop)
        });
        deleted.await.map_err(|error| {
            let hint = "set `deletion_protection: false`, run `up`, then delete the instance";
            if prior.inputs.deletion_protection { error.hint(hint) } else { error }
        })?;
        wait_until_deleted(cx, async || Ok(find(rds, id).await?.is_some())).await
    }

    async fn describe(cx: &Context<'_>, rds: &Client, id: &str) -> Result<Option<Self::Description>> {
        Ok(find(rds, id).await?.map(|instance| (instance, with_tls(cx))))
    }

    async fn find_created(cx: &Context<'_>, rds: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        let existing = Self::describe(cx, rds, &inputs.identifier(cx)).await?;
        Ok(existing.filter(|(instance, _)| tags::are_of_operation(cx, instance.tag_list())))
    }

    fn normalize((instance, tls): &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let id = instance.db_instance_identifier().unwrap_or_default();
        let inputs = declared(instance, recorded);
        let address = instance.endpoint().and_then(|endpoint| endpoint.address()).unwrap_or_default();
        let port = port_of(instance).and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
        let endpoint = format!("{address}:{port}");
        let password = inputs.password.known().unwrap_or_default();
        let outputs = DbInstanceOutputs {
            id: DbInstanceId::from(id).into(),
            arn: Arn::from(instance.db_instance_arn().unwrap_or_default()).into(),
            url: url(*tls, &inputs.user, &password, &endpoint, inputs.database.as_deref()).into(),
            endpoint: endpoint.into(),
            address: address.into(),
            port: port.into(),
        };
        Created { id: id.to_owned(), inputs: Some(inputs), outputs }
    }
}

/// Converts the description of an instance into the inputs that declare it.
fn declared(instance: &types::DbInstance, recorded: Option<&DbInstance>) -> DbInstance {
    let blank = DbInstance::postgres("", "", "", "");
    let old = recorded.unwrap_or(&blank);
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let number = |number: Option<i32>, otherwise: u32| number.map_or(otherwise, i32::cast_unsigned);
    let storage = number(instance.allocated_storage(), old.allocated_storage);
    let limit = instance.max_allocated_storage().map(i32::cast_unsigned);
    let subnet_group = instance.db_subnet_group().and_then(|group| group.db_subnet_group_name());
    let (storage_type, iops, storage_throughput) = storage::declared(instance, recorded);
    let declared = DbInstance {
        name: recorded.is_none_or(|old| old.name.is_some()).then(|| text(instance.db_instance_identifier())),
        class: text(instance.db_instance_class()),
        version: declared_version(instance.engine_version(), old.version.as_deref()),
        // A snapshot determines these, whatever is declared.
        database: if old.snapshot.is_some() { old.database.clone() } else { instance.db_name.clone() },
        user: if old.snapshot.is_some() { old.user.clone() } else { text(instance.master_username()) },
        password: old.password.clone(),
        // Growth by autoscaling is no drift.
        allocated_storage: match recorded {
            Some(recorded) if limit.is_some() => storage.min(recorded.allocated_storage.max(1)),
            _ => storage,
        },
        max_allocated_storage: limit,
        storage_type,
        iops,
        storage_throughput,
        port: declared_port(port_of(instance), old.port),
        subnet_group: declared_group(subnet_group, old.subnet_group.as_ref()),
        security_groups: declared_groups(
            instance.vpc_security_groups(),
            recorded.map(|recorded| recorded.security_groups.as_slice()),
        ),
        parameter_group: declared_group(parameter_group_of(instance), old.parameter_group.as_ref()),
        multi_az: instance.multi_az().unwrap_or_default(),
        public: instance.publicly_accessible().unwrap_or_default(),
        encrypted: if old.snapshot.is_some() {
            old.encrypted
        } else {
            instance.storage_encrypted().unwrap_or_default()
        },
        backup_retention: number(instance.backup_retention_period(), old.backup_retention),
        deletion_protection: instance.deletion_protection().unwrap_or_default(),
        final_snapshot: old.final_snapshot,
        snapshot: old.snapshot.clone(),
        replicate_from: replica::source(instance).map(|source| DbInstanceId::from(source).into()),
        tags: tags::declared(instance.tag_list(), recorded.map(|recorded| &recorded.tags)),
    };
    replica::as_declared(declared, instance, old)
}

async fn find(rds: &Client, id: &str) -> Result<Option<types::DbInstance>, AwsError> {
    let response = rds.describe_db_instances().db_instance_identifier(id).send().await.context("DescribeDBInstances");
    Ok(found(response)?.and_then(|response| response.db_instances?.pop()))
}

/// Waits until the instance is available and has no pending changes.
async fn wait_until_available(cx: &Context<'_>, rds: &Client, id: &str) -> Result<types::DbInstance> {
    let control_plane = cx.client().readiness() == Readiness::ControlPlane;
    wait::until(cx, "waiting until the instance is available", TIMEOUT, async || {
        let (instance, _) = DbInstance::require(cx, rds, id).await?;
        if let Some(error) = failure(&instance) {
            return Err(error);
        }
        let status = instance.db_instance_status().unwrap_or_default();
        let available = ["available", "storage-optimization"].contains(&status)
            && instance.pending_modified_values().is_none_or(is_empty);
        Ok((control_plane || available).then_some(instance))
    })
    .await
}

fn is_empty(pending: &PendingModifiedValues) -> bool {
    pending.db_instance_class().is_none()
        && pending.allocated_storage().is_none()
        && pending.master_user_password().is_none()
        && pending.port().is_none()
        && pending.multi_az().is_none()
        && pending.engine_version().is_none()
        && pending.storage_type().is_none()
}

/// Returns the error of an instance whose state does not change without intervention.
pub(super) fn failure(instance: &types::DbInstance) -> Option<ProviderError> {
    let status = instance.db_instance_status().unwrap_or_default();
    let failed = status.starts_with("incompatible-")
        || status.starts_with("inaccessible-")
        || ["failed", "restore-error", "storage-full"].contains(&status);
    let id = instance.db_instance_identifier().unwrap_or_default();
    let causes: Vec<&str> = instance.status_infos().iter().filter_map(|info| info.message()).collect();
    let error = ProviderError::refused(format!("the instance `{id}` is {status}: {}", causes.join("; ")));
    failed.then(|| error.hint("correct the cause, which the events and logs of the instance contain"))
}

fn port_of(instance: &types::DbInstance) -> Option<i32> {
    instance.endpoint().and_then(Endpoint::port)
}

fn parameter_group_of(instance: &types::DbInstance) -> Option<&str> {
    instance.db_parameter_groups().first()?.db_parameter_group_name()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_rds::types::{DbInstanceStatusInfo, DbParameterGroupStatus};

    fn recorded() -> DbInstance {
        DbInstance {
            version: Some("15".into()),
            ..DbInstance::postgres("db.t4g.micro", "tasks", "cloud", "long-enough")
        }
    }

    #[test]
    fn check_refuses_values_outside_the_limits() {
        assert!(recorded().check().is_empty());
        let bad = DbInstance {
            class: "t4g.micro".into(),
            allocated_storage: 4,
            max_allocated_storage: Some(3),
            backup_retention: 36,
            port: Some(80),
            ..recorded()
        };
        let properties: Vec<_> = bad.check().into_iter().map(|problem| problem.property).collect();
        assert_eq!(properties, ["class", "max_allocated_storage", "backup_retention", "port", "allocated_storage"]);
    }

    #[test]
    fn existing_instance_as_declared_shows_no_drift() {
        let group = DbParameterGroupStatus::builder().db_parameter_group_name("default.postgres15").build();
        let existing = types::DbInstance::builder()
            .db_instance_identifier("tasks-abc")
            .db_instance_class("db.t4g.micro")
            .engine_version("15.18")
            .db_name("tasks")
            .master_username("cloud")
            .allocated_storage(20)
            .endpoint(Endpoint::builder().address("h").port(5432).build())
            .db_parameter_groups(group)
            .storage_type("gp2")
            .backup_retention_period(1);
        let json = |inputs: &DbInstance| serde_json::to_value(inputs).ok();
        let read = |instance| DbInstance::normalize(&(instance, false), Some(&recorded())).inputs;
        assert_eq!(read(existing.clone().build()).as_ref().and_then(json), json(&recorded()));
        let changed = read(existing.backup_retention_period(7).multi_az(true).build());
        assert_eq!(changed.map(|inputs| (inputs.backup_retention, inputs.multi_az)), Some((7, true)));
    }

    #[test]
    fn failure_of_an_instance_contains_the_cause() {
        let info = DbInstanceStatusInfo::builder().message("port 5432 is taken").build();
        let existing = types::DbInstance::builder().db_instance_identifier("tasks").status_infos(info);
        assert!(failure(&existing.clone().db_instance_status("modifying").build()).is_none());
        let error = failure(&existing.db_instance_status("incompatible-network").build());
        assert!(error.is_some_and(|error| error.message.contains("port 5432 is taken")));
    }
}
