//! Read replicas.

use super::DbInstance;
use crate::prelude::*;
use aws_sdk_rds::{Client, types};

/// Returns the instance that a replica replicates.
pub(super) fn source(instance: &types::DbInstance) -> Option<&str> {
    instance.read_replica_source_db_instance_identifier().filter(|source| !source.is_empty())
}

/// Promotes a replica to an independent instance when it is declared without a source, and returns whether it did.
pub(super) async fn promote(rds: &Client, instance: &types::DbInstance, new: &DbInstance) -> Result<bool> {
    let id = instance.db_instance_identifier().unwrap_or_default();
    let wanted = new.replicate_from.as_ref().map(Input::known).transpose()?;
    match (source(instance), wanted) {
        (Some(source), None) => {
            let call = rds.promote_read_replica().db_instance_identifier(id);
            let call = call.backup_retention_period(new.backup_retention.cast_signed());
            call.send().await.context("PromoteReadReplica")?;
            tracing::debug!(id, source, "promoted a read replica");
            Ok(true)
        }
        (existing, Some(wanted)) if existing != Some(wanted.as_str()) => {
            let replicates = existing.map_or_else(|| "no other instance".to_owned(), |source| format!("`{source}`"));
            let message = format!("`{id}` replicates {replicates}, and cannot be changed to replicate `{wanted}`");
            Err(ProviderError::refused(message).hint(
                "replace the instance: `up --replace` with its URN, or declare the new replica under another name",
            ))
        }
        _ => Ok(false),
    }
}

/// Replaces the settings that a replica inherits from its source by the recorded ones.
pub(super) fn as_declared(existing: DbInstance, instance: &types::DbInstance, recorded: &DbInstance) -> DbInstance {
    if source(instance).is_none() || recorded.replicate_from.is_none() {
        return existing;
    }
    let recorded = recorded.clone();
    DbInstance {
        database: recorded.database,
        user: recorded.user,
        allocated_storage: existing.allocated_storage.min(recorded.allocated_storage),
        max_allocated_storage: recorded.max_allocated_storage.and(existing.max_allocated_storage),
        encrypted: recorded.encrypted,
        port: recorded.port.and(existing.port),
        subnet_group: recorded.subnet_group.and(existing.subnet_group),
        parameter_group: recorded.parameter_group.and(existing.parameter_group),
        ..existing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_inherited_from_the_source_are_no_drift() {
        let recorded =
            DbInstance::replica("db.t4g.micro", DbInstanceId::from("tasks"), "tasks", "cloud", "long-enough");
        let replica = types::DbInstance::builder()
            .db_instance_identifier("replica")
            .read_replica_source_db_instance_identifier("tasks");
        let inherited = DbInstance {
            allocated_storage: 100,
            max_allocated_storage: Some(200),
            encrypted: true,
            port: Some(5433),
            ..recorded.clone()
        };
        let json = |inputs: &DbInstance| serde_json::to_value(inputs).ok();
        let read = as_declared(inherited.clone(), &replica.build(), &recorded);
        assert_eq!(json(&read), json(&recorded));
        // It was promoted outside of infra: it inherits nothing any more.
        let promoted = as_declared(inherited.clone(), &types::DbInstance::builder().build(), &recorded);
        assert_eq!(json(&promoted), json(&inherited));
    }
}
