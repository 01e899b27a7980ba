//! `aws:rds:DbInstance`: a PostgreSQL server that AWS looks after.

use super::{
    PATIENCE, account_problems, are_ours, derived_name, known_groups, last_snapshot, living_groups, living_version,
    name_problem, own_tags, replica, retag, tag_list, url,
};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{Arn, DbInstanceId, DbParameterGroupName, DbSubnetGroupName, SecurityGroupId},
    region::AwsResource,
    wait,
};
use aws_sdk_rds::{
    Client,
    operation::modify_db_instance::builders::ModifyDBInstanceFluentBuilder as Modify,
    types::{DbInstance as Described, Endpoint, PendingModifiedValues},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
    target::Readiness,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A PostgreSQL server that AWS looks after.
///
/// Made by `CreateDBInstance`, by `RestoreDBInstanceFromDBSnapshot` when a snapshot is given, or by
/// `CreateDBInstanceReadReplica` when it replicates another one; changed in place, and at once, by `ModifyDBInstance`,
/// and by `PromoteReadReplica` when it is to replicate no more; deleted by `DeleteDBInstance`, which leaves a last
/// snapshot unless told otherwise or it is a replica.
#[derive(Clone, Debug, Serialize, Deserialize)]
// The switches are AWS's.
#[allow(clippy::struct_excessive_bools)]
pub struct DbInstance {
    /// Its identifier, unique in account and region; derived from the declaration's name when none is given.
    pub name: Option<String>,
    /// Its class, such as `db.t4g.micro`.
    pub class: String,
    /// The version of PostgreSQL, such as `15` for the newest of its minor ones; AWS's default when none is given.
    pub version: Option<String>,
    /// The database that is made with it, besides `postgres`.
    pub database: Option<String>,
    /// The master user.
    pub user: String,
    /// The master user's password, which AWS never tells again.
    pub password: Input<String>,
    /// How much storage it has, in GiB.
    pub allocated_storage: u32,
    /// Up to how much its storage may grow by itself, in GiB.
    pub max_allocated_storage: Option<u32>,
    /// `gp2`, `gp3`, `io1`…; `gp2` when none is given.
    pub storage_type: Option<String>,
    /// The port it listens on; 5432 when none is given.
    pub port: Option<u16>,
    /// Where its address comes from; the default VPC when none is given.
    pub subnet_group: Option<Input<DbSubnetGroupName>>,
    /// Who may reach it; the VPC's default group when none is given.
    #[serde(default)]
    pub security_groups: Vec<Input<SecurityGroupId>>,
    /// How PostgreSQL is configured; the engine's defaults when none is given.
    pub parameter_group: Option<Input<DbParameterGroupName>>,
    /// Whether a standby in another zone takes over when it fails.
    pub multi_az: bool,
    /// Whether it has an address on the internet.
    pub public: bool,
    /// Whether its storage is encrypted.
    pub encrypted: bool,
    /// How many days backups are kept, up to 35; 0 makes none.
    pub backup_retention: u32,
    /// Whether AWS refuses to delete it.
    pub deletion_protection: bool,
    /// Whether a last snapshot is left when it is deleted, as AWS has it by default.
    pub final_snapshot: bool,
    /// The snapshot that its data comes from; then `database` and `user` are those of the snapshot.
    pub snapshot: Option<Input<String>>,
    /// The instance that it replicates, and can be read instead of. Then `database`, `user` and `password` are those of
    /// that one, whose backups must be kept. Taken away, it becomes an instance of its own.
    pub replicate_from: Option<Input<DbInstanceId>>,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What a [`DbInstance`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DbInstanceOutputs {
    /// Its identifier.
    pub id: Output<DbInstanceId>,
    /// Its Amazon Resource Name.
    pub arn: Output<Arn<DbInstance>>,
    /// `HOST:PORT`.
    pub endpoint: Output<String>,
    /// The host alone.
    pub address: Output<String>,
    /// The port alone.
    pub port: Output<u16>,
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, secret.
    pub url: Output<String>,
}

impl DbInstance {
    /// A server of this class with 20 GiB of storage, this database, and this user with its password.
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

    /// A read replica of `source` with this class; the database, the user and the password are those of the source.
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

    fn identifier(&self, cx: &Context<'_, Aws>) -> String {
        self.name.clone().unwrap_or_else(|| derived_name(cx, 63))
    }
}

impl Resource for DbInstance {
    const TYPE: &'static str = "aws:rds:DbInstance";
    type Outputs = DbInstanceOutputs;

    fn schema() -> Schema {
        Schema::new()
            .replace_on(["name", "database", "user", "subnet_group", "encrypted", "snapshot"])
            .secret(["password", "url"])
            .changes_on_update(["endpoint", "port", "url"])
            .regional(["id", "arn"])
            .timeout(PATIENCE * 2)
    }
}

impl AwsResource for DbInstance {}

impl Handler for DbInstance {
    type Client = Aws;

    fn loses(&self, _: Option<&Self>) -> Option<String> {
        let alone = self.replicate_from.is_none() && !self.final_snapshot;
        alone.then(|| "its databases, of which no last snapshot is made".to_owned())
    }

    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = name_problem(self.name.as_deref(), 63).into_iter().collect();
        problems.extend(account_problems(&self.user, &self.password, self.database.as_deref()));
        let mut refuse = |wrong: bool, property: &str, message: &str| {
            if wrong {
                problems.push(Problem::new(property, message));
            }
        };
        refuse(!self.class.starts_with("db."), "class", "the classes of databases are called like `db.t4g.micro`");
        refuse(!(5..=65_536).contains(&self.allocated_storage), "allocated_storage", "it takes 5 to 65536 GiB");
        let shrinks = self.max_allocated_storage.is_some_and(|most| most <= self.allocated_storage);
        refuse(shrinks, "max_allocated_storage", "it must be more than what is allocated at the beginning");
        refuse(self.backup_retention > 35, "backup_retention", "backups are kept for up to 35 days");
        refuse(self.port.is_some_and(|port| port < 1150), "port", "it takes 1150 to 65535");
        let both = self.snapshot.is_some() && self.replicate_from.is_some();
        refuse(both, "snapshot", "what replicates another instance has the data of that one");
        problems
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let rds = cx.client().rds(cx.region()?).await;
        let id = inputs.identifier(cx);
        let made = match (&inputs.snapshot, &inputs.replicate_from) {
            (Some(snapshot), _) => restore(cx, &rds, &id, &snapshot.known()?, inputs).await?,
            (None, Some(source)) => replica::make(cx, &rds, &id, &source.known()?, inputs).await?,
            (None, None) => make(cx, &rds, &id, inputs).await?,
        };
        let mut instance = match made {
            Ok(instance) => instance.ok_or_else(|| lost(&id))?,
            // The SDK repeats a request whose answer was lost.
            Err(error) if error.kind == ErrorKind::AlreadyExists => {
                let ours = ours(cx, &rds, &id).await?;
                ours.ok_or_else(|| error.hint("choose another name, or delete the instance that has it"))?
            }
            Err(error) => return Err(error.into()),
        };
        let available = async {
            instance = available(cx, &rds, &id).await?;
            if inputs.snapshot.is_some() {
                // What a snapshot does not bring, its password above all.
                converge(&rds, &instance, inputs, Some(inputs.password.known()?)).await?;
                instance = self::available(cx, &rds, &id).await?;
            } else if inputs.replicate_from.is_some() {
                converge(&rds, &instance, inputs, None).await?;
                instance = self::available(cx, &rds, &id).await?;
            }
            Ok::<_, ProviderError>(())
        };
        match available.await {
            Ok(()) => Ok(Created { inputs: None, ..live(cx, &instance, inputs)? }),
            Err(error) => Err(live(cx, &instance, inputs)?.failed(error)),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let rds = cx.client().rds(cx.region()?).await;
        describe(&rds, &prior.id).await?.map(|instance| live(cx, &instance, &prior.inputs)).transpose()
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let rds = cx.client().rds(cx.region()?).await;
        let mut instance = available(cx, &rds, &prior.id).await?;
        let promoted = replica::promote(&rds, &instance, inputs).await?;
        if promoted {
            instance = available(cx, &rds, &prior.id).await?;
        }
        let password = inputs.password.known()?;
        let other = promoted || prior.inputs.password.known().ok().as_ref() != Some(&password);
        let password = (other && inputs.replicate_from.is_none()).then_some(password);
        converge(&rds, &instance, inputs, password).await?;
        retag(&rds, instance.db_instance_arn().unwrap_or_default(), &prior.inputs.tags, &inputs.tags).await?;
        let instance = available(cx, &rds, &prior.id).await?;
        Ok(live(cx, &instance, inputs)?.outputs)
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let rds = cx.client().rds(cx.region()?).await;
        let id = &prior.id;
        let instance = describe(&rds, id).await?.ok_or_else(|| lost(id))?;
        let own = replica::source(&instance).is_none();
        let last = (prior.inputs.final_snapshot && own).then(|| last_snapshot(cx, id));
        // What is being made, changed or backed up cannot be deleted yet.
        let deleted = wait::retry(cx, "waiting until it may be deleted", PATIENCE, is_busy, async || {
            if describe(&rds, id).await?.is_some_and(|instance| instance.db_instance_status() == Some("deleting")) {
                return Ok(());
            }
            let call = rds.delete_db_instance().db_instance_identifier(id).skip_final_snapshot(last.is_none());
            let call = call.set_final_db_snapshot_identifier(last.clone());
            call.send().await.context("DeleteDBInstance").map(drop)
        });
        deleted.await.map_err(|error| {
            let hint = "say `deletion_protection: false`, run `up`, and then delete it";
            if prior.inputs.deletion_protection { error.hint(hint) } else { error }
        })?;
        if cx.client().readiness() == Readiness::ControlPlane {
            return Ok(());
        }
        wait::until(cx, "waiting until the instance is gone", PATIENCE, async || {
            Ok(describe(&rds, id).await?.is_none().then_some(()))
        })
        .await
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let rds = cx.client().rds(cx.region()?).await;
        let security_groups = vec![SecurityGroupId::from("").into()];
        let named = Self { name: Some(String::new()), security_groups, ..Self::postgres("", "", "", "") };
        describe(&rds, id).await?.map(|instance| live(cx, &instance, &named)).transpose()
    }

    fn recovery() -> Recovery<Self> {
        Recovery::name(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let rds = cx.client().rds(cx.region()?).await;
                let instance = ours(cx, &rds, &inputs.identifier(cx)).await?;
                Ok(Found::from(instance.map(|instance| live(cx, &instance, inputs)).transpose()?))
            })
        })
    }
}

/// The answer of a request that makes an instance; what the request needs may be unknown.
pub(super) type Made = Result<Result<Option<Described>, AwsError>, ProviderError>;

async fn make(cx: &Context<'_, Aws>, rds: &Client, id: &str, inputs: &DbInstance) -> Made {
    let groups = known_groups(&inputs.security_groups)?;
    let answer = rds
        .create_db_instance()
        .db_instance_identifier(id)
        .db_instance_class(&inputs.class)
        .engine("postgres")
        .set_engine_version(inputs.version.clone())
        .set_db_name(inputs.database.clone())
        .master_username(&inputs.user)
        .master_user_password(inputs.password.known()?)
        .allocated_storage(inputs.allocated_storage.cast_signed())
        .set_max_allocated_storage(inputs.max_allocated_storage.map(u32::cast_signed))
        .set_storage_type(inputs.storage_type.clone())
        .set_port(inputs.port.map(i32::from))
        .set_db_subnet_group_name(inputs.subnet_group.as_ref().map(Input::known).transpose()?.map(String::from))
        .set_vpc_security_group_ids((!groups.is_empty()).then_some(groups))
        .set_db_parameter_group_name(inputs.parameter_group.as_ref().map(Input::known).transpose()?.map(String::from))
        .multi_az(inputs.multi_az)
        .publicly_accessible(inputs.public)
        .storage_encrypted(inputs.encrypted)
        .backup_retention_period(inputs.backup_retention.cast_signed())
        .deletion_protection(inputs.deletion_protection)
        .set_tags(Some(tag_list(cx, &inputs.tags)))
        .send()
        .await
        .context("CreateDBInstance");
    Ok(answer.map(|answer| answer.db_instance))
}

async fn restore(cx: &Context<'_, Aws>, rds: &Client, id: &str, snapshot: &str, inputs: &DbInstance) -> Made {
    let groups = known_groups(&inputs.security_groups)?;
    let answer = rds
        .restore_db_instance_from_db_snapshot()
        .db_instance_identifier(id)
        .db_snapshot_identifier(snapshot)
        .db_instance_class(&inputs.class)
        .set_storage_type(inputs.storage_type.clone())
        .set_port(inputs.port.map(i32::from))
        .set_db_subnet_group_name(inputs.subnet_group.as_ref().map(Input::known).transpose()?.map(String::from))
        .set_vpc_security_group_ids((!groups.is_empty()).then_some(groups))
        .set_db_parameter_group_name(inputs.parameter_group.as_ref().map(Input::known).transpose()?.map(String::from))
        .multi_az(inputs.multi_az)
        .publicly_accessible(inputs.public)
        .deletion_protection(inputs.deletion_protection)
        .set_tags(Some(tag_list(cx, &inputs.tags)))
        .send()
        .await
        .context("RestoreDBInstanceFromDBSnapshot");
    Ok(answer.map(|answer| answer.db_instance))
}

/// Brings an instance in order, whatever it is now.
async fn converge(
    rds: &Client,
    instance: &Described,
    inputs: &DbInstance,
    password: Option<String>,
) -> Result<(), ProviderError> {
    let id = instance.db_instance_identifier().unwrap_or_default();
    let mut call = rds.modify_db_instance().db_instance_identifier(id).apply_immediately(true);
    let mut changes = password.is_some();
    let mut change = |differs: bool, set: &dyn Fn(Modify) -> Modify| {
        if differs {
            changes = true;
            call = set(call.clone());
        }
    };
    let (class, storage) = (&inputs.class, inputs.allocated_storage.cast_signed());
    change(instance.db_instance_class() != Some(class), &|call| call.db_instance_class(class));
    change(instance.allocated_storage() < Some(storage), &|call| call.allocated_storage(storage));
    let most = inputs.max_allocated_storage.map(u32::cast_signed);
    // Asking for no more than there is ends autoscaling.
    change(instance.max_allocated_storage() != most, &|call| call.max_allocated_storage(most.unwrap_or(storage)));
    if let Some(kind) = &inputs.storage_type {
        change(instance.storage_type() != Some(kind), &|call| call.storage_type(kind));
    }
    if let Some(port) = inputs.port.map(i32::from) {
        change(port_of(instance) != Some(port), &|call| call.db_port_number(port));
    }
    let version = living_version(instance.engine_version(), inputs.version.as_deref());
    change(version != inputs.version, &|call| {
        call.set_engine_version(inputs.version.clone()).allow_major_version_upgrade(true)
    });
    let groups = known_groups(&inputs.security_groups)?;
    let living = known_groups(&living_groups(instance.vpc_security_groups(), &inputs.security_groups))?;
    change(living != groups, &|call| call.set_vpc_security_group_ids(Some(groups.clone())));
    let group = wanted_group(instance, inputs)?;
    let living = instance.db_parameter_groups().first().and_then(|group| group.db_parameter_group_name());
    change(living != Some(&group), &|call| call.db_parameter_group_name(&group));
    change(instance.multi_az() != Some(inputs.multi_az), &|call| call.multi_az(inputs.multi_az));
    change(instance.publicly_accessible() != Some(inputs.public), &|call| call.publicly_accessible(inputs.public));
    let days = inputs.backup_retention.cast_signed();
    change(instance.backup_retention_period() != Some(days), &|call| call.backup_retention_period(days));
    let protection = inputs.deletion_protection;
    change(instance.deletion_protection() != Some(protection), &|call| call.deletion_protection(protection));
    if changes {
        call.set_master_user_password(password).send().await.context("ModifyDBInstance")?;
    }
    Ok(())
}

/// The parameter group an instance is to have: without one of its own, that of its engine.
fn wanted_group(instance: &Described, inputs: &DbInstance) -> Result<String, ProviderError> {
    if let Some(group) = &inputs.parameter_group {
        return Ok(group.known()?.into());
    }
    let living = instance.db_parameter_groups().first().and_then(|group| group.db_parameter_group_name());
    if let (Some(inherited), true) = (living, inputs.replicate_from.is_some()) {
        return Ok(inherited.to_owned());
    }
    let major = instance.engine_version().and_then(|version| version.split('.').next()).unwrap_or_default();
    Ok(format!("default.postgres{major}"))
}

/// Waits until nothing is going on with an instance any more.
async fn available(cx: &Context<'_, Aws>, rds: &Client, id: &str) -> Result<Described, ProviderError> {
    let ready = cx.client().readiness() == Readiness::ControlPlane;
    wait::until(cx, "waiting until the instance is available", PATIENCE, async || {
        let instance = describe(rds, id).await?.ok_or_else(|| lost(id))?;
        if let Some(error) = broken(&instance) {
            return Err(error);
        }
        let settled = ["available", "storage-optimization"]
            .contains(&instance.db_instance_status().unwrap_or_default())
            && instance.pending_modified_values().is_none_or(is_settled);
        Ok((ready || settled).then_some(instance))
    })
    .await
}

/// Whether nothing that was changed is still to come.
fn is_settled(pending: &PendingModifiedValues) -> bool {
    pending.db_instance_class().is_none()
        && pending.allocated_storage().is_none()
        && pending.master_user_password().is_none()
        && pending.port().is_none()
        && pending.multi_az().is_none()
        && pending.engine_version().is_none()
        && pending.storage_type().is_none()
}

/// A state that only somebody's help ends.
pub(super) fn broken(instance: &Described) -> Option<ProviderError> {
    let status = instance.db_instance_status().unwrap_or_default();
    let hopeless = status.starts_with("incompatible-")
        || status.starts_with("inaccessible-")
        || ["failed", "restore-error", "storage-full"].contains(&status);
    let id = instance.db_instance_identifier().unwrap_or_default();
    let why: Vec<&str> = instance.status_infos().iter().filter_map(|info| info.message()).collect();
    let error = ProviderError::refused(format!("the database {id} is {status}: {}", why.join("; ")));
    hopeless.then(|| error.hint("look at its events and logs, and correct what they complain about"))
}

/// Whether a deletion may be asked for again.
fn is_busy(error: &AwsError) -> bool {
    error.is(&["InvalidDBInstanceState", "InvalidDBInstanceStateFault"])
}

async fn describe(rds: &Client, id: &str) -> Result<Option<Described>, AwsError> {
    let answer = rds.describe_db_instances().db_instance_identifier(id).send().await.context("DescribeDBInstances");
    Ok(found(answer)?.and_then(|answer| answer.db_instances.unwrap_or_default().pop()))
}

/// The instance of this identifier, if this very operation made it.
async fn ours(cx: &Context<'_, Aws>, rds: &Client, id: &str) -> Result<Option<Described>, AwsError> {
    Ok(describe(rds, id).await?.filter(|instance| are_ours(cx, instance.tag_list())))
}

fn lost(id: &str) -> ProviderError {
    ProviderError::of(ErrorKind::NotFound, format!("the DB instance {id} is gone"))
}

fn port_of(instance: &Described) -> Option<i32> {
    instance.endpoint().and_then(Endpoint::port)
}

/// The instance as it lives, in the words of the recorded inputs where they say the same.
fn live(
    cx: &Context<'_, Aws>,
    instance: &Described,
    recorded: &DbInstance,
) -> Result<Created<DbInstance>, ProviderError> {
    let id = instance.db_instance_identifier().unwrap_or_default();
    let address = instance.endpoint().and_then(|endpoint| endpoint.address()).unwrap_or_default();
    let port = port_of(instance).and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
    let endpoint = format!("{address}:{port}");
    let inputs = replica::as_declared(inputs(instance, recorded), instance, recorded);
    let password = recorded.password.known()?;
    let outputs = DbInstanceOutputs {
        id: DbInstanceId::from(id).into(),
        arn: Arn::from(instance.db_instance_arn().unwrap_or_default()).into(),
        url: url(cx, &inputs.user, &password, &endpoint, inputs.database.as_deref()).into(),
        endpoint: endpoint.into(),
        address: address.into(),
        port: port.into(),
    };
    Ok(Created { id: id.to_owned(), inputs: Some(inputs), outputs })
}

fn inputs(instance: &Described, recorded: &DbInstance) -> DbInstance {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let number = |number: Option<i32>, otherwise: u32| number.map_or(otherwise, i32::cast_unsigned);
    let storage = number(instance.allocated_storage(), recorded.allocated_storage);
    let most = instance.max_allocated_storage().map(i32::cast_unsigned);
    let group = instance.db_parameter_groups().first().and_then(|group| group.db_parameter_group_name());
    let subnets = instance.db_subnet_group().and_then(|group| group.db_subnet_group_name());
    let port = port_of(instance).and_then(|port| u16::try_from(port).ok());
    DbInstance {
        name: recorded.name.as_ref().map(|_| text(instance.db_instance_identifier())),
        class: text(instance.db_instance_class()),
        version: living_version(instance.engine_version(), recorded.version.as_deref()),
        // A snapshot brings its own, whatever is said here.
        database: if recorded.snapshot.is_some() { recorded.database.clone() } else { instance.db_name.clone() },
        user: if recorded.snapshot.is_some() { recorded.user.clone() } else { text(instance.master_username()) },
        password: recorded.password.clone(),
        // What has grown by itself was not changed by anybody.
        allocated_storage: if most.is_some() { storage.min(recorded.allocated_storage.max(1)) } else { storage },
        max_allocated_storage: most,
        storage_type: recorded.storage_type.as_ref().and(instance.storage_type.clone()),
        port: if recorded.port.is_some() || port.is_some_and(|port| port != 5432) { port } else { None },
        subnet_group: if recorded.subnet_group.is_some() || subnets.is_some_and(|name| name != "default") {
            subnets.map(|name| DbSubnetGroupName::from(name).into())
        } else {
            None
        },
        security_groups: living_groups(instance.vpc_security_groups(), &recorded.security_groups),
        parameter_group: group
            .filter(|name| recorded.parameter_group.is_some() || !name.starts_with("default."))
            .map(|name| DbParameterGroupName::from(name).into()),
        multi_az: instance.multi_az().unwrap_or_default(),
        public: instance.publicly_accessible().unwrap_or_default(),
        encrypted: instance.storage_encrypted().unwrap_or_default(),
        backup_retention: number(instance.backup_retention_period(), recorded.backup_retention),
        deletion_protection: instance.deletion_protection().unwrap_or_default(),
        final_snapshot: recorded.final_snapshot,
        snapshot: recorded.snapshot.clone(),
        replicate_from: replica::source(instance).map(|source| DbInstanceId::from(source).into()),
        tags: own_tags(instance.tag_list(), &recorded.tags),
    }
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
    fn check_knows_the_limits() {
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
        assert_eq!(properties, ["class", "allocated_storage", "max_allocated_storage", "backup_retention", "port"]);
    }

    #[test]
    fn what_lives_as_declared_shows_no_drift() {
        let group = DbParameterGroupStatus::builder().db_parameter_group_name("default.postgres15").build();
        let lives = Described::builder()
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
        assert_eq!(json(&inputs(&lives.clone().build(), &recorded())), json(&recorded()));
        let changed = inputs(&lives.backup_retention_period(7).multi_az(true).build(), &recorded());
        assert_eq!((changed.backup_retention, changed.multi_az), (7, true));
    }

    #[test]
    fn a_broken_instance_says_why() {
        let info = DbInstanceStatusInfo::builder().message("port 5432 is taken").build();
        let lives = Described::builder().db_instance_identifier("tasks").status_infos(info);
        assert!(broken(&lives.clone().db_instance_status("modifying").build()).is_none());
        let error = broken(&lives.db_instance_status("incompatible-network").build());
        assert!(error.is_some_and(|error| error.message.contains("port 5432 is taken")));
    }
}
