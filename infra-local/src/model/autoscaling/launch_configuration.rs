//! Launch configurations: the predecessors of launch templates.

use serde::{Deserialize, Serialize};

use crate::model::ec2::launch_template::{LaunchData, LaunchTemplate, TemplateReference};

/// A launch configuration, which never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LaunchConfiguration {
    pub(crate) arn: String,
    /// The parameters as the only version of a template. Its id begins with [`PREFIX`], so groups refer to both alike.
    pub(crate) template: LaunchTemplate,
}

/// Beginning of the ids of the templates of launch configurations, which no launch template has.
pub(crate) const PREFIX: &str = "launch-configuration:";

impl LaunchConfiguration {
    /// Returns the name.
    pub(crate) fn name(&self) -> &str {
        &self.template.name
    }

    /// Returns the parameters of launches.
    pub(crate) fn data(&self) -> Option<&LaunchData> {
        self.template.versions.values().next().map(|version| &version.data)
    }

    /// Returns the reference of a group to the configuration.
    pub(crate) fn reference(&self) -> TemplateReference {
        TemplateReference {
            id: Some(self.template.id.clone()),
            name: Some(self.template.name.clone()),
            version: Some("1".to_owned()),
        }
    }
}

/// Returns the name of the launch configuration that a template's id stands for.
pub(crate) fn name_of(template: &str) -> Option<&str> {
    template.strip_prefix(PREFIX)
}
