//! `aws:rds:DbParameterGroup`: parameters of PostgreSQL for instances.

use super::{
    derived_name,
    parameters::{Operations, described},
};
use crate::prelude::*;

/// Parameters of PostgreSQL for the instances that use the group.
///
/// Created by `CreateDBParameterGroup`; parameters are changed in place by `ModifyDBParameterGroup` and
/// `ResetDBParameterGroup`, tags by `AddTagsToResource` and `RemoveTagsFromResource`. Dynamic parameters take effect
/// immediately, static ones when an instance is rebooted.
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:rds:DbParameterGroup")]
pub struct DbParameterGroup {
    /// Name; derived from the declaration's name when omitted.
    #[resource(replace)]
    pub name: Option<String>,
    /// Engine and major version: `postgres15`, `aurora-postgresql15`.
    #[resource(replace)]
    pub family: String,
    /// Description.
    #[resource(replace)]
    pub description: String,
    /// Parameters: name → value, such as `max_connections`. A value may be a formula like
    /// `{DBInstanceClassMemory/9531392}`.
    pub parameters: BTreeMap<String, String>,
    /// User-defined tags.
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
