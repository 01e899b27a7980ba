//! `aws:rds:DbParameterGroup`: parameters of PostgreSQL for instances.

use super::{
    derived_name,
    parameters::{Operations, described},
};
use crate::prelude::*;

/// A DB parameter group: parameters of PostgreSQL for the instances that use it.
///
/// Dynamic parameters take effect immediately, static ones when an instance is rebooted.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let parameters = virginia.add("parameters", DbParameterGroup {
///     description: "More memory for sorting".into(),
///     ..DbParameterGroup::of_family("postgres17").set("work_mem", 16384)
/// });
/// virginia.add("database", DbInstance {
///     version: Some("17".into()),
///     parameter_group: Some(parameters.name),
///     ..DbInstance::postgres("db.t4g.micro", "tasks", "cloud", "long-enough")
/// });
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `CreateDBParameterGroup`; `DescribeDBParameters`, `ModifyDBParameterGroup`
/// - Read: `DescribeDBParameterGroups`, `DescribeDBParameters`, `ListTagsForResource`
/// - Update: `DescribeDBParameters`, `ModifyDBParameterGroup`, `ResetDBParameterGroup`, `AddTagsToResource`,
///   `RemoveTagsFromResource`
/// - Delete: `DeleteDBParameterGroup`, repeated while an instance uses the group
///
/// # Replacement
/// A change of `name`, `family` or `description` replaces the group, because RDS cannot change them. The new group is
/// created before the previous one is deleted, so a declared `name` has to change together with the others. Instances
/// use the new group without being replaced.
///
/// # Import
/// The import takes the name of the group:
///
/// ```console
/// $ stack import aws:rds:DbParameterGroup parameters tasks --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:rds:DbParameterGroup")]
pub struct DbParameterGroup {
    /// Name, unique in the account and region: up to 255 lower-case letters, digits and `-`, beginning with a letter,
    /// without `--` and without `-` at the end. When omitted, the declaration's name with a unique suffix. A change
    /// replaces the group.
    #[resource(replace)]
    pub name: Option<String>,
    /// Engine and major version: `postgres17`, or `aurora-postgresql16` for the instances of a cluster. A change
    /// replaces the group.
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

/// Outputs of a [`DbParameterGroup`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct DbParameterGroupOutputs {
    /// Name of the group.
    #[output(regional)]
    pub name: Output<DbParameterGroupName>,
    /// Amazon Resource Name of the group.
    #[output(regional)]
    pub arn: Output<Arn<DbParameterGroup>>,
}

impl DbParameterGroup {
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

impl AwsResource for DbParameterGroup {}

described!(DbParameterGroup, DbParameterGroupOutputs, DbParameterGroupName, Operations::Instances);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_refuses_families_without_version_and_upper_case_names() {
        assert!(DbParameterGroup::of_family("postgres15").set("work_mem", 4096).check().is_empty());
        let problems = DbParameterGroup::of_family("postgres").set("DateStyle", "ISO").check();
        let properties: Vec<_> = problems.into_iter().map(|problem| problem.property).collect();
        assert_eq!(properties, ["family", "parameters"]);
    }
}
