//! Condition keys of the resources of RDS.
//!
//! Source: Service Authorization Reference, "Amazon RDS".

use super::Context;
use crate::model::Region;
use crate::model::tags::Tags;

/// Adds the keys of a resource: `kind` is the part of its ARN before the id, such as `db` or `subgrp`.
pub(super) fn describe(region: &Region, kind: &str, id: &str, context: &mut Context) {
    let databases = &region.rds;
    let mut tag = |key: &str, tags: Option<&Tags>| {
        context.set_tags("aws:ResourceTag", tags.into_iter().flatten());
        context.set_tags(key, tags.into_iter().flatten());
    };
    match kind {
        "db" => {
            let instance = databases.instances.get(id);
            tag("rds:db-tag", instance.map(|it| &it.tags));
            if let Some(instance) = instance {
                context.set("rds:DatabaseEngine", &instance.engine);
                context.set("rds:DatabaseClass", &instance.class);
                context.set("rds:StorageSize", instance.storage.allocated_gib.to_string());
                context.set("rds:MultiAz", instance.second_zone.is_some().to_string());
                context.maybe("rds:Piops", instance.storage.iops.map(|iops| iops.to_string()));
            }
        }
        "cluster" => {
            let cluster = databases.clusters.get(id);
            tag("rds:cluster-tag", cluster.map(|it| &it.tags));
            context.maybe("rds:DatabaseEngine", cluster.map(|it| it.engine.as_str()));
            context.maybe("rds:StorageEncrypted", cluster.map(|it| it.encrypted.to_string()));
        }
        "snapshot" => tag("rds:snapshot-tag", databases.snapshots.get(id).map(|it| &it.tags)),
        "cluster-snapshot" => {
            tag("rds:cluster-snapshot-tag", databases.cluster_snapshots.get(id).map(|it| &it.tags));
        }
        "pg" => tag("rds:pg-tag", databases.parameter_groups.get(id).map(|it| &it.tags)),
        "cluster-pg" => tag("rds:cluster-pg-tag", databases.cluster_parameter_groups.get(id).map(|it| &it.tags)),
        "subgrp" => tag("rds:subgrp-tag", databases.subnet_groups.get(id).map(|it| &it.tags)),
        _ => {}
    }
}
