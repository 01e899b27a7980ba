//! Requests that create and change instances.

use super::{
    DbInstance, parameter_group_of,
    storage::{self, Performance},
};
use crate::{
    prelude::*,
    rds::{declared_version, default_group, differ, known_groups, known_name, unencrypted},
};
use aws_sdk_rds::{
    Client,
    operation::modify_db_instance::builders::ModifyDBInstanceFluentBuilder as Modify,
    types::{self, Endpoint},
};

/// Creates an empty instance.
pub(super) async fn create(
    cx: &Context<'_>,
    rds: &Client,
    id: &str,
    inputs: &DbInstance,
) -> Result<Option<types::DbInstance>> {
    let Performance { iops, throughput } = storage::performance(inputs);
    let response = rds
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
        .set_iops(iops)
        .set_storage_throughput(throughput)
        .set_port(inputs.port.map(i32::from))
        .set_db_subnet_group_name(known_name(inputs.subnet_group.as_ref())?)
        .set_vpc_security_group_ids(known_groups(&inputs.security_groups)?)
        .set_db_parameter_group_name(known_name(inputs.parameter_group.as_ref())?)
        .multi_az(inputs.multi_az)
        .publicly_accessible(inputs.public)
        .storage_encrypted(inputs.encrypted)
        .backup_retention_period(inputs.backup_retention.cast_signed())
        .deletion_protection(inputs.deletion_protection)
        .set_tags(Some(tags::for_create(cx, &inputs.tags)))
        .send()
        .await
        .context("CreateDBInstance")?;
    Ok(response.db_instance)
}

/// Refuses a snapshot whose storage is not encrypted: neither is that of the instance then.
async fn refuse_unencrypted(rds: &Client, snapshot: &str) -> Result<()> {
    let call = rds.describe_db_snapshots().db_snapshot_identifier(snapshot).include_shared(true);
    // The restore reports a snapshot that does not exist.
    let response = found(call.send().await.context("DescribeDBSnapshots"))?;
    let described = response.and_then(|response| response.db_snapshots?.pop());
    match described.and_then(|snapshot| snapshot.encrypted) {
        Some(false) => Err(unencrypted(snapshot, "CopyDBSnapshot")),
        _ => Ok(()),
    }
}

/// Creates an instance with the data of a snapshot.
pub(super) async fn restore(
    cx: &Context<'_>,
    rds: &Client,
    id: &str,
    snapshot: &str,
    inputs: &DbInstance,
) -> Result<Option<types::DbInstance>> {
    if inputs.encrypted {
        refuse_unencrypted(rds, snapshot).await?;
    }
    let Performance { iops, throughput } = storage::performance(inputs);
    let response = rds
        .restore_db_instance_from_db_snapshot()
        .db_instance_identifier(id)
        .db_snapshot_identifier(snapshot)
        .db_instance_class(&inputs.class)
        .set_storage_type(inputs.storage_type.clone())
        .set_iops(iops)
        .set_storage_throughput(throughput)
        .set_port(inputs.port.map(i32::from))
        .set_db_subnet_group_name(known_name(inputs.subnet_group.as_ref())?)
        .set_vpc_security_group_ids(known_groups(&inputs.security_groups)?)
        .set_db_parameter_group_name(known_name(inputs.parameter_group.as_ref())?)
        .multi_az(inputs.multi_az)
        .publicly_accessible(inputs.public)
        .deletion_protection(inputs.deletion_protection)
        .set_tags(Some(tags::for_create(cx, &inputs.tags)))
        .send()
        .await
        .context("RestoreDBInstanceFromDBSnapshot")?;
    Ok(response.db_instance)
}

/// Creates a read replica of `source`.
pub(super) async fn replicate(
    cx: &Context<'_>,
    rds: &Client,
    id: &str,
    source: &DbInstanceId,
    inputs: &DbInstance,
) -> Result<Option<types::DbInstance>> {
    let Performance { iops, throughput } = storage::performance(inputs);
    let response = rds
        .create_db_instance_read_replica()
        .db_instance_identifier(id)
        .source_db_instance_identifier(source.as_str())
        .db_instance_class(&inputs.class)
        .set_max_allocated_storage(inputs.max_allocated_storage.map(u32::cast_signed))
        .set_storage_type(inputs.storage_type.clone())
        .set_iops(iops)
        .set_storage_throughput(throughput)
        .set_port(inputs.port.map(i32::from))
        .set_db_subnet_group_name(known_name(inputs.subnet_group.as_ref())?)
        .set_vpc_security_group_ids(known_groups(&inputs.security_groups)?)
        .set_db_parameter_group_name(known_name(inputs.parameter_group.as_ref())?)
        .multi_az(inputs.multi_az)
        .publicly_accessible(inputs.public)
        .deletion_protection(inputs.deletion_protection)
        .set_tags(Some(tags::for_create(cx, &inputs.tags)))
        .send()
        .await
        .context("CreateDBInstanceReadReplica")?;
    Ok(response.db_instance)
}

/// Changes the settings that differ, and the password if there is a new one.
pub(super) async fn modify(
    rds: &Client,
    instance: &types::DbInstance,
    inputs: &DbInstance,
    password: Option<String>,
) -> Result<()> {
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
    let most = inputs.max_allocated_storage.map(u32::cast_signed);
    // A maximum that is equal to the allocated storage disables autoscaling.
    change(instance.max_allocated_storage() != most, &|call| call.max_allocated_storage(most.unwrap_or(storage)));
    let Performance { iops, throughput } = storage::performance(inputs);
    let kind = inputs.storage_type.as_deref();
    let grows = instance.allocated_storage() < Some(storage);
    let differs = kind.is_some_and(|kind| instance.storage_type() != Some(kind))
        || iops.is_some_and(|iops| instance.iops() != Some(iops))
        || throughput.is_some_and(|throughput| instance.storage_throughput() != Some(throughput));
    // A change of the size needs the IOPS, and a change of the IOPS the size. Storage autoscaling may have increased it.
    change(grows || differs, &|call| {
        call.allocated_storage(instance.allocated_storage().unwrap_or_default().max(storage))
            .set_storage_type(kind.map(str::to_owned))
            .set_iops(iops)
            .set_storage_throughput(throughput)
    });
    if let Some(port) = inputs.port.map(i32::from) {
        change(instance.endpoint().and_then(Endpoint::port) != Some(port), &|call| call.db_port_number(port));
    }
    let version = declared_version(instance.engine_version(), inputs.version.as_deref());
    change(version != inputs.version, &|call| {
        call.set_engine_version(inputs.version.clone()).allow_major_version_upgrade(true)
    });
    let groups = known_groups(&inputs.security_groups)?;
    let other_groups = differ(instance.vpc_security_groups(), groups.as_deref());
    change(other_groups, &|call| call.set_vpc_security_group_ids(groups.clone()));
    let group = wanted_group(instance, inputs)?;
    change(parameter_group_of(instance) != Some(&group), &|call| call.db_parameter_group_name(&group));
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

/// Returns the declared parameter group, the one that a replica inherits, or the default one of the engine.
fn wanted_group(instance: &types::DbInstance, inputs: &DbInstance) -> Result<String> {
    if let Some(group) = &inputs.parameter_group {
        return Ok(group.known()?.into());
    }
    if let (Some(inherited), true) = (parameter_group_of(instance), inputs.replicate_from.is_some()) {
        return Ok(inherited.to_owned());
    }
    Ok(default_group("postgres", inputs.version.as_deref(), instance.engine_version()))
}
