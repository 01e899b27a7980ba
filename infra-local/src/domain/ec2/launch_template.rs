//! Resolution of references to launch templates and their versions.

use crate::model::Region;
use crate::model::autoscaling::launch_configuration;
use crate::model::ec2::launch_template::{LaunchData, LaunchTemplate, TemplateReference, TemplateVersion};
use crate::wire::{ApiError, Outcome};

/// Returns the launch data of the referenced template version.
pub(crate) fn resolve<'a>(
    region: &'a Region,
    reference: &TemplateReference,
) -> Outcome<(&'a LaunchTemplate, u64, &'a LaunchData)> {
    let template = lookup(region, reference.id.as_deref(), reference.name.as_deref())?;
    let (number, version) = version(template, reference.version.as_deref())?;
    Ok((template, number, &version.data))
}

/// Finds a template by its id or its name.
pub(crate) fn lookup<'a>(region: &'a Region, id: Option<&str>, name: Option<&str>) -> Outcome<&'a LaunchTemplate> {
    match (id, name) {
        (Some(id), _) if launch_configuration::name_of(id).is_some() => template(region, id),
        (Some(_), Some(_)) => Err(ApiError::new(
            "InvalidParameterCombination",
            "Specify either the launch template's id or its name, not both",
        )),
        (Some(id), None) => template(region, id),
        (None, Some(name)) => region
            .ec2
            .launch_templates
            .values()
            .find(|template| template.name == name)
            .ok_or_else(|| unknown_name(name)),
        (None, None) => Err(ApiError::missing("LaunchTemplateId or LaunchTemplateName")),
    }
}

/// Returns a version by number, `$Latest` or `$Default`.
pub(crate) fn version<'a>(template: &'a LaunchTemplate, text: Option<&str>) -> Outcome<(u64, &'a TemplateVersion)> {
    let number = match text {
        None | Some("" | "$Default") => Some(template.default_version),
        Some("$Latest") => template.versions.keys().next_back().copied(),
        Some(number) => number.parse().ok(),
    };
    number.and_then(|number| Some((number, template.versions.get(&number)?))).ok_or_else(|| {
        ApiError::new(
            "InvalidLaunchTemplateId.VersionNotFound",
            format!(
                "Could not find the specified version {} for the launch template with ID {}.",
                text.unwrap_or_default(),
                template.id
            ),
        )
    })
}

/// Finds a template by its id.
pub(crate) fn template<'a>(region: &'a Region, id: &str) -> Outcome<&'a LaunchTemplate> {
    if let Some(name) = launch_configuration::name_of(id) {
        let found = region.autoscaling.launch_configurations.get(name);
        return found.map(|found| &found.template).ok_or_else(|| unknown_name(name));
    }
    region.ec2.launch_templates.get(id).ok_or_else(|| unknown_id(id))
}

pub(crate) fn unknown_id(id: &str) -> ApiError {
    ApiError::new(
        "InvalidLaunchTemplateId.NotFound",
        format!("The specified launch template, with template ID {id}, does not exist."),
    )
}

pub(crate) fn unknown_name(name: &str) -> ApiError {
    ApiError::new(
        "InvalidLaunchTemplateName.NotFoundException",
        format!("The specified launch template, with template name {name}, does not exist."),
    )
}
