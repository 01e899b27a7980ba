//! Instances that replicate another one.

use super::{
    instance::{DbInstance, Made},
    known_groups, tag_list,
};
use crate::{client::Aws, error::SdkContext, ids::DbInstanceId};
use aws_sdk_rds::{Client, types::DbInstance as Described};
use infra_core::{
    Input,
    provider::{Context, ProviderError},
};

/// Makes an instance that replicates `source`.
pub(super) async fn make(
    cx: &Context<'_, Aws>,
    rds: &Client,
    id: &str,
    source: &DbInstanceId,
    inputs: &DbInstance,
) -> Made {
    let groups = known_groups(&inputs.security_groups)?;
    let answer = rds
        .create_db_instance_read_replica()
        .db_instance_identifier(id)
        .source_db_instance_identifier(source.as_str())
        .db_instance_class(&inputs.class)
        .set_max_allocated_storage(inputs.max_allocated_storage.map(u32::cast_signed))
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
        .context("CreateDBInstanceReadReplica");
    Ok(answer.map(|answer| answer.db_instance))
}

/// The instance that one replicates.
pub(super) fn source(instance: &Described) -> Option<&str> {
    instance.read_replica_source_db_instance_identifier().filter(|source| !source.is_empty())
}

/// Makes a replica an instance of its own when it is to replicate no more, and says whether it did.
pub(super) async fn promote(rds: &Client, instance: &Described, inputs: &DbInstance) -> Result<bool, ProviderError> {
    let id = instance.db_instance_identifier().unwrap_or_default();
    let wanted = inputs.replicate_from.as_ref().map(Input::known).transpose()?;
    match (source(instance), wanted) {
        (Some(source), None) => {
            let call = rds.promote_read_replica().db_instance_identifier(id);
            let call = call.backup_retention_period(inputs.backup_retention.cast_signed());
            call.send().await.context("PromoteReadReplica")?;
            tracing::debug!(id, source, "replicates no more");
            Ok(true)
        }
        (living, Some(wanted)) if living != Some(wanted.as_str()) => {
            let replicates = living.map_or_else(|| "no other instance".to_owned(), |source| format!("`{source}`"));
            let refused = format!("{id} replicates {replicates}, and cannot be made to replicate `{wanted}`");
            Err(ProviderError::refused(refused).hint(
                "a replica of it is another instance: name this one to `up --replace`, or declare it under another name",
            ))
        }
        _ => Ok(false),
    }
}

/// What lives, in the declared words where a replica has the same from its source.
pub(super) fn as_declared(lives: DbInstance, instance: &Described, recorded: &DbInstance) -> DbInstance {
    if source(instance).is_none() || recorded.replicate_from.is_none() {
        return lives;
    }
    let recorded = recorded.clone();
    DbInstance {
        database: recorded.database,
        user: recorded.user,
        allocated_storage: lives.allocated_storage.min(recorded.allocated_storage),
        max_allocated_storage: recorded.max_allocated_storage.and(lives.max_allocated_storage),
        encrypted: recorded.encrypted,
        port: recorded.port.and(lives.port),
        subnet_group: recorded.subnet_group.and(lives.subnet_group),
        parameter_group: recorded.parameter_group.and(lives.parameter_group),
        ..lives
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_replica_has_from_its_source_is_no_drift() {
        let recorded =
            DbInstance::replica("db.t4g.micro", DbInstanceId::from("tasks"), "tasks", "cloud", "long-enough");
        let lives =
            Described::builder().db_instance_identifier("replica").read_replica_source_db_instance_identifier("tasks");
        let inherited = DbInstance {
            allocated_storage: 100,
            max_allocated_storage: Some(200),
            encrypted: true,
            port: Some(5433),
            ..recorded.clone()
        };
        let json = |inputs: &DbInstance| serde_json::to_value(inputs).ok();
        let read = as_declared(inherited.clone(), &lives.build(), &recorded);
        assert_eq!(json(&read), json(&recorded));
        // Somebody has promoted it: all of it is its own by now.
        let promoted = as_declared(inherited.clone(), &Described::builder().build(), &recorded);
        assert_eq!(json(&promoted), json(&inherited));
    }
}
