//! `aws:rds:ClusterParameterGroup`: how the engine of clusters is configured.

use super::{
    own_tags,
    parameters::{self, Declared, Group, Of, ParameterGroup},
};
use crate::{
    client::Aws,
    ids::{Arn, DbClusterParameterGroupName},
    region::AwsResource,
};
use aws_sdk_rds::types::Tag;
use infra_core::{
    Output, Resource, Schema,
    provider::{Context, Created, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Parameters of PostgreSQL that hold for whole Aurora clusters, such as those of replication; the groups of their
/// instances come before it.
///
/// Made by `CreateDBClusterParameterGroup`; parameters are set by `ModifyDBClusterParameterGroup` and given back to the
/// engine by `ResetDBClusterParameterGroup`. Dynamic ones reach running clusters at once, static ones when their instances
/// are rebooted. Tags are changed with `AddTagsToResource` and `RemoveTagsFromResource`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DbClusterParameterGroup {
    /// Its name; derived from the declaration's when none is given.
    pub name: Option<String>,
    /// The engine and major version it is for: `aurora-postgresql15`.
    pub family: String,
    /// What it is for.
    pub description: String,
    /// Values by name, such as `max_connections`; formulas like `{DBInstanceClassMemory/9531392}` are AWS's.
    pub parameters: BTreeMap<String, String>,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What a [`DbClusterParameterGroup`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DbClusterParameterGroupOutputs {
    /// Its name.
    pub name: Output<DbClusterParameterGroupName>,
    /// Its Amazon Resource Name.
    pub arn: Output<Arn<DbClusterParameterGroup>>,
}

impl DbClusterParameterGroup {
    /// A group for this engine and major version, with the engine's defaults.
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
}

impl Resource for DbClusterParameterGroup {
    const TYPE: &'static str = "aws:rds:ClusterParameterGroup";
    type Outputs = DbClusterParameterGroupOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["name", "family", "description"]).regional(["name", "arn"])
    }
}

impl AwsResource for DbClusterParameterGroup {}

impl Handler for DbClusterParameterGroup {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        parameters::check(&self.declared())
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        parameters::create(cx, inputs).await
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        parameters::read(cx, &prior.id, &prior.inputs).await
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        parameters::update(cx, prior, inputs).await
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        parameters::delete(cx, prior).await
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        parameters::read(cx, id, &Self { name: Some(String::new()), ..Self::of_family("") }).await
    }

    fn recovery() -> Recovery<Self> {
        Recovery::name(|cx: &Context<'_, Aws>, inputs| Box::pin(parameters::find(cx, inputs)))
    }
}

impl ParameterGroup for DbClusterParameterGroup {
    const OF: Of = Of::Clusters;

    fn declared(&self) -> Declared<'_> {
        Declared {
            name: self.name.as_deref(),
            family: &self.family,
            description: &self.description,
            parameters: &self.parameters,
            tags: &self.tags,
        }
    }

    fn living(group: &Group, parameters: BTreeMap<String, String>, tags: &[Tag], recorded: &Self) -> Created<Self> {
        Created {
            id: group.name.clone(),
            inputs: Some(Self {
                name: recorded.name.as_ref().map(|_| group.name.clone()),
                family: group.family.clone(),
                description: group.description.clone(),
                parameters,
                tags: own_tags(tags, &recorded.tags),
            }),
            outputs: DbClusterParameterGroupOutputs {
                name: DbClusterParameterGroupName::from(group.name.as_str()).into(),
                arn: Arn::from(group.arn.as_str()).into(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lives_as_declared_shows_no_drift() {
        let recorded = DbClusterParameterGroup::of_family("aurora-postgresql15").set("work_mem", 4096);
        let group = Group {
            name: "group-abc".into(),
            family: "aurora-postgresql15".into(),
            description: "Managed by infra".into(),
            arn: "arn:aws:rds:r:1:cluster-pg:group-abc".into(),
        };
        let lives = DbClusterParameterGroup::living(&group, recorded.parameters.clone(), &[], &recorded);
        assert_eq!(lives.id, "group-abc");
        assert_eq!(serde_json::to_value(lives.inputs).ok(), serde_json::to_value(Some(recorded)).ok());
    }
}
