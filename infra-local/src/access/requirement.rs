//! Actions that a request needs permission for, with their resources and condition keys.
//!
//! Source: AWS, "Service Authorization Reference": the dependent actions and the condition keys of each operation.

use super::request_tags::RequestTags;
use super::resource::{identified, requested_resources};
use super::{RequestedResource, Resource, attributes};
use crate::model::Cloud;

/// An action that a request needs permission for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Requirement {
    /// `ec2:RunInstances`
    pub(crate) action: String,
    pub(crate) resources: Vec<RequestedResource>,
}

/// Permissions that an operation needs, as its row in the operation table declares them.
pub(crate) struct Needs {
    pub(crate) resources: &'static [Resource],
    pub(crate) dependents: &'static [Dependent],
    /// Condition keys of the operation's service.
    pub(crate) keys: &'static [Key],
}

/// A condition key whose values are a parameter of the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// Name of the only operation that has the key; `None` for all.
    pub(crate) operation: Option<&'static str>,
    /// Part of the ARNs to which the key applies, such as `:instance/`; empty for all.
    pub(crate) resource: &'static str,
    /// Parameter, as operation tables write it.
    pub(crate) parameter: &'static str,
    pub(crate) name: &'static str,
}

/// Another action that an operation needs permission for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dependent {
    /// An action on these resources, if the request contains the parameter.
    When {
        parameter: &'static str,
        action: &'static str,
        resources: &'static [Resource],
        /// Condition key that contains the name of the operation, such as `rds:CreateAction`.
        create_action: Option<&'static str>,
    },
    /// `iam:PassRole` for the role that the service receives.
    PassRole { role: Resource, service: &'static str },
    /// `ec2:CreateTags` on the resources that the operation creates with `TagSpecification`.
    TagSpecifications,
}

impl Dependent {
    /// Declares an action that a request with this parameter needs.
    pub(crate) const fn when(
        parameter: &'static str,
        action: &'static str,
        resources: &'static [Resource],
    ) -> Dependent {
        Dependent::When { parameter, action, resources, create_action: None }
    }

    /// Declares the action that tags the resource which the operation creates.
    pub(crate) const fn tagging(
        parameter: &'static str,
        action: &'static str,
        resources: &'static [Resource],
        create_action: Option<&'static str>,
    ) -> Dependent {
        Dependent::When { parameter, action, resources, create_action }
    }

    /// Declares that the operation passes a role to a service.
    pub(crate) const fn pass_role(service: &'static str, role: Resource) -> Dependent {
        Dependent::PassRole { role, service }
    }

    /// Returns the parameter that triggers the action, and the other parameters that identify resources.
    #[cfg(test)]
    pub(crate) fn parameters(&self) -> Vec<&'static str> {
        match self {
            Dependent::When { parameter, resources, .. } => {
                [*parameter].into_iter().chain(resources.iter().filter_map(Resource::parameter)).collect()
            }
            Dependent::PassRole { role, .. } => role.parameter().into_iter().collect(),
            Dependent::TagSpecifications => vec!["TagSpecification.N.ResourceType"],
        }
    }

    /// Returns the action.
    pub(crate) fn action(&self) -> &'static str {
        match self {
            Dependent::When { action, .. } => action,
            Dependent::PassRole { .. } => "iam:PassRole",
            Dependent::TagSpecifications => "ec2:CreateTags",
        }
    }
}

/// A request, as far as authorisation needs it.
pub(crate) struct RequestFacts<'a> {
    /// Prefix of the service's actions.
    pub(crate) service: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) region: &'a str,
    /// Names as operation tables write them, and values.
    pub(crate) parameters: &'a [(String, String)],
    pub(crate) tags: &'a RequestTags,
}

/// Returns the actions that a request needs permission for: the operation's own, and the dependent ones.
pub(crate) fn requirements(cloud: &Cloud, needs: &Needs, request: &RequestFacts<'_>) -> Vec<Requirement> {
    let RequestFacts { service, operation, region, parameters, tags } = *request;
    let mut resources = requested_resources(needs.resources, cloud, region, parameters);
    for resource in &mut resources {
        resource.describe(cloud);
        resource.context.merge(&tags.context_for(service, &resource.arn));
        for key in needs.keys {
            key.add(operation, parameters, resource);
        }
    }
    let mut all = vec![Requirement { action: format!("{service}:{operation}"), resources }];
    for dependent in needs.dependents {
        all.extend(dependent.requirements(cloud, request));
    }
    all
}

impl Key {
    /// Adds the key to a resource's context, if it applies to it and the request has the parameter.
    fn add(&self, operation: &str, parameters: &[(String, String)], resource: &mut RequestedResource) {
        let is_of_operation = self.operation.is_none_or(|own| own == operation);
        if !is_of_operation || !self.resource.is_empty() && !resource.arn.contains(self.resource) {
            return;
        }
        let values = parameters.iter().filter(|(name, value)| name == self.parameter && !value.is_empty());
        let values: Vec<String> = values.map(|(_, value)| value.clone()).collect();
        if !values.is_empty() {
            resource.context.set_all(self.name, values);
        }
    }
}

impl Dependent {
    fn requirements(&self, cloud: &Cloud, request: &RequestFacts<'_>) -> Vec<Requirement> {
        let RequestFacts { service, operation, region, parameters, tags } = *request;
        let requirement =
            |resources: Vec<RequestedResource>| Requirement { action: self.action().to_owned(), resources };
        match self {
            Dependent::When { parameter, resources, create_action, .. } => {
                if !parameters.iter().any(|(name, _)| name == parameter) {
                    return Vec::new();
                }
                let mut found = requested_resources(resources, cloud, region, parameters);
                for resource in &mut found {
                    resource.describe(cloud);
                    resource.context.merge(&tags.context_for(service, &resource.arn));
                    resource.context.maybe(create_action.unwrap_or_default(), create_action.map(|_| operation));
                }
                vec![requirement(found)]
            }
            Dependent::PassRole { role, service } => {
                let mut roles = identified(&[*role], cloud, region, parameters);
                for role in &mut roles {
                    role.describe(cloud);
                    role.context.set("iam:PassedToService", *service);
                }
                if roles.is_empty() { Vec::new() } else { vec![requirement(roles)] }
            }
            Dependent::TagSpecifications => {
                let created = tags.created_types().map(|kind| {
                    let mut resource = RequestedResource::new(attributes::new_ec2_arn(region, kind));
                    resource.context = tags.context_for(service, &resource.arn).with("ec2:CreateAction", operation);
                    resource
                });
                let created: Vec<_> = created.collect();
                if created.is_empty() { Vec::new() } else { vec![requirement(created)] }
            }
        }
    }
}

impl RequestedResource {
    /// Adds the condition keys that describe the existing resource.
    fn describe(&mut self, cloud: &Cloud) {
        let mut context = attributes::of(cloud, &self.arn);
        context.merge(&self.context);
        self.context = context;
    }
}
