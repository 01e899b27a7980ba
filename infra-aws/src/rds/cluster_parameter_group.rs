//! `aws:rds:ClusterParameterGroup`: parameters of PostgreSQL for clusters.

use super::{
    derived_name,
    parameters::{Operations, described},
};
use crate::prelude::*;

/// Parameters of PostgreSQL for whole Aurora clusters, such as those of replication. The parameter groups of the instances
/// take precedence.
///
/// Created by `CreateDBClusterParameterGroup`; parameters are changed in place by `ModifyDBClusterParameterGroup` and
/// `ResetDBClusterParameterGroup`, tags by `AddTagsToResource` and `RemoveTagsFromResource`. Dynamic parameters take effect
/// immediately, static ones when the instances are rebooted.
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:rds:ClusterParameterGroup")]
pub struct DbClusterParameterGroup {
    /// Name; derived from the declaration's name when omitted.
    #[resource(replace)]
    pub name: Option<String>,
    /// Engine and major version: `aurora-postgresql15`.
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
