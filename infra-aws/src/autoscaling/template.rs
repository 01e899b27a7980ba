//! Versions of launch templates in requests and descriptions.

use crate::prelude::*;
use aws_sdk_autoscaling::types::LaunchTemplateSpecification;

/// Converts a version of a template for a request.
pub(super) fn specification(template: &LaunchTemplateVersion) -> LaunchTemplateSpecification {
    let id = template.id.as_str();
    LaunchTemplateSpecification::builder().launch_template_id(id).version(template.version.to_string()).build()
}

/// Converts the version of a description; none if it is no number.
pub(super) fn version(specification: Option<&LaunchTemplateSpecification>) -> Option<LaunchTemplateVersion> {
    let specification = specification?;
    let version = specification.version()?.parse().ok()?;
    Some(LaunchTemplateVersion { id: LaunchTemplateId::from(specification.launch_template_id()?), version })
}
