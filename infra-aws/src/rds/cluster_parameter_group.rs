//! `aws:rds:ClusterParameterGroup`: parameters of PostgreSQL for clusters.

use super::{
    derived_name,
    parameters::{Operations, described},
};
use crate::prelude::*;

/// A DB cluster parameter group: parameters of PostgreSQL for whole Aurora clusters.
///
/// The parameter groups of the instances take precedence. Dynamic parameters take effect immediately, static ones when
/// the instances are rebooted.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let parameters = DbClusterParameterGroup::of_family("aurora-postgresql16").set("rds.logical_replication", 1);
/// let parameters = virginia.add("parameters", parameters);
/// virginia.add("cluster", DbCluster {
///     cluster_parameter_group: Some(parameters.name),
///     ..DbCluster::aurora_postgresql("db.t4g.medium", "tasks", "cloud", "long-enough")
/// });
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `CreateDBClusterParameterGroup`; `DescribeDBClusterParameters`, `ModifyDBClusterParameterGroup`
/// - Read: `DescribeDBClusterParameterGroups`, `DescribeDBClusterParameters`, `ListTagsForResource`
/// - Update: `DescribeDBClusterParameters`, `ModifyDBClusterParameterGroup`, `ResetDBClusterParameterGroup`,
///   `AddTagsToResource`, `RemoveTagsFromResource`
/// - Delete: `DeleteDBClusterParameterGroup`, repeated while a cluster uses the group
///
/// # Replacement
/// A change of `name`, `family` or `description` replaces the group, because RDS cannot change them. The new group is
/// created before the previous one is deleted, so a declared `name` has to change together with the others. Clusters
/// use the new group without being replaced.
///
/// # Import
/// The import takes the name of the group:
///
/// ```console
/// $ stack import aws:rds:ClusterParameterGroup parameters tasks --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:rds:ClusterParameterGroup")]
pub struct DbClusterParameterGroup {
    /// Name, unique in the account and region: up to 255 lower-case letters, digits and `-`, beginning with a letter,
    /// without `--` and without `-` at the end. When omitted, the declaration's name with a unique suffix. A change
    /// replaces the group.
    #[resource(replace)]
    pub name: Option<String>,
    /// Engine and major version: `aurora-postgresql16`. A change replaces the group.
    #[resource(replace)]
    pub family: String,
    /// Purpose of the group; `Managed by infra` by default. A change replaces the group.
    #[resource(replace)]
    pub description: String,
    /// Parameters that differ from the engine's defaults: name in lower case → value, which may be a formula like
    /// `{DBInstanceClassMemory/9531392}`. A parameter that is removed gets its default.
    pub parameters: BTreeMap<String, String>,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`DbClusterParameterGroup`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct DbClusterParameterGroupOutputs {
    /// Name of the group.
    #[output(regional)]
    pub name: Output<DbClusterParameterGroupName>,
    /// Amazon Resource Name of the group.
    #[output(regional)]
    pub arn: Output<Arn<DbClusterParameterGroup>>,
}

impl DbClusterParameterGroup {
    /// Returns a group for this engine and major version, with the engine's defaults.
    pub fn of_family(family: impl Into<String>) -> Self {
        Self {
            name: None,
            family: family.into(),
            description: "Managed by infra".to_owned(),
            parameters: BTreeMap::new(),
            tags: BTreeMap::new(),
        }
    }

    /// Sets a parameter.
    pub fn set(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.parameters.insert(name.into(), value.to_string());
        self
    }

    fn group_name(&self, cx: &Context<'_>) -> String {
        self.name.clone().unwrap_or_else(|| derived_name(cx, 255))
    }
}

impl AwsResource for DbClusterParameterGroup {}

described!(DbClusterParameterGroup, DbClusterParameterGroupOutputs, DbClusterParameterGroupName, Operations::Clusters);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rds::parameters::Group;

    #[test]
    fn existing_group_as_declared_shows_no_drift() {
        let declared = DbClusterParameterGroup::of_family("aurora-postgresql15").set("work_mem", 4096);
        let group = Group {
            name: "group-abc".into(),
            family: "aurora-postgresql15".into(),
            description: "Managed by infra".into(),
            parameters: declared.parameters.clone(),
            ..Group::default()
        };
        let existing = DbClusterParameterGroup::normalize(&group, Some(&declared));
        assert_eq!(existing.id, "group-abc");
        assert_eq!(serde_json::to_value(existing.inputs).ok(), serde_json::to_value(Some(declared)).ok());
    }
}
