//! Actions that a request needs permission for, with their resources and condition keys.
//!
//! Source: AWS, "Service Authorization Reference": the dependent actions and the condition keys of each operation.

use super::request_tags::RequestTags;
use super::resource::{identified, requested_resources};
use super::{RequestedResource, Resource, attributes};
use crate::model::{Account, Cloud};

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
    /// Tagging actions of the operation's service.
    pub(crate) tagging: &'static [Tagging],
}

/// A condition key whose values are a parameter of the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// Beginning of the names of the operations that have the key.
    pub(crate) operations: &'static str,
    /// Part of the ARNs to which the key applies, such as `:instance/`; empty for all.
    pub(crate) resource: &'static str,
    /// Parameter, as operation tables write it.
    pub(crate) parameter: &'static str,
    pub(crate) name: &'static str,
    /// Form of the values, with `{region}`, `{account}` and `{}` for the parameter's value.
    pub(crate) form: &'static str,
}

/// Action that an operation needs to tag the resource that it creates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tagging {
    /// Beginning of the names of the operations.
    pub(crate) operations: &'static str,
    pub(crate) action: &'static str,
    /// Condition key that contains the name of the operation, such as `elasticloadbalancing:CreateAction`.
    pub(crate) create_action: Option<&'static str>,
    /// Operations that create a part of their resource, which is the one that is tagged.
    pub(crate) parts: &'static [Part],
}

/// The ARN of a part consists of that of its container, with another kind, and an id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) operation: &'static str,
    /// Kind in the ARN of the container, such as `:loadbalancer/`.
    pub(crate) container: &'static str,
    /// Kind in the ARN of the part, such as `:listener/`.
    pub(crate) kind: &'static str,
}

/// Another action that an operation needs permission for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dependent {
    /// An action on these resources, if the request contains the parameter.
    When { parameter: &'static str, action: &'static str, resources: &'static [Resource] },
    /// `iam:PassRole` for the role that the service receives.
    PassRole { role: Resource, service: &'static str },
}

impl Dependent {
    /// Declares an action that a request with this parameter needs.
    pub(crate) const fn when(
        parameter: &'static str,
        action: &'static str,
        resources: &'static [Resource],
    ) -> Dependent {
        Dependent::When { parameter, action, resources }
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
        }
    }

    /// Returns the action.
    pub(crate) fn action(&self) -> &'static str {
        match self {
            Dependent::When { action, .. } => action,
            Dependent::PassRole { .. } => "iam:PassRole",
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

/// Returns the actions that a request needs permission for: the operation's own, the dependent ones, and those that tag
/// new resources.
pub(crate) fn requirements(cloud: &Cloud, needs: &Needs, request: &RequestFacts<'_>) -> Vec<Requirement> {
    let RequestFacts { service, operation, region, parameters, tags } = *request;
    let own = request.describe(cloud, needs, requested_resources(needs.resources, cloud, region, parameters));
    let created = own.first().cloned();
    let mut all = vec![Requirement { action: format!("{service}:{operation}"), resources: own }];
    for dependent in needs.dependents {
        let resources = match dependent {
            Dependent::When { parameter, .. } if !request.has(parameter) => Vec::new(),
            Dependent::When { resources, .. } => {
                request.describe(cloud, needs, requested_resources(resources, cloud, region, parameters))
            }
            Dependent::PassRole { role, service } => {
                let mut roles = request.describe(cloud, needs, identified(&[*role], cloud, region, parameters));
                roles.iter_mut().for_each(|role| role.context.set("iam:PassedToService", *service));
                roles
            }
        };
        all.push(Requirement { action: dependent.action().to_owned(), resources });
    }
    let tagging = needs.tagging.iter().find(|it| operation.starts_with(it.operations) && tags.has_tags());
    if let (Some(tagging), Some(own)) = (tagging, created) {
        let part = tagging.parts.iter().find(|part| part.operation == operation);
        let part = part.map(|part| format!("{}/*", own.arn.replacen(part.container, part.kind, 1)));
        let part = part.map(|arn| request.describe(cloud, needs, vec![RequestedResource::new(arn)]));
        let mut created = part.and_then(|mut part| part.pop()).unwrap_or(own);
        created.context.maybe(tagging.create_action.unwrap_or_default(), tagging.create_action.map(|_| operation));
        all.push(Requirement { action: tagging.action.to_owned(), resources: vec![created] });
    }
    if service == "ec2" {
        all.push(Requirement { action: "ec2:CreateTags".to_owned(), resources: tagged_by_ec2(cloud, request, tags) });
    }
    all.retain(|requirement| !requirement.resources.is_empty());
    all
}

/// Returns the new resources that `TagSpecification` tags.
fn tagged_by_ec2(cloud: &Cloud, request: &RequestFacts<'_>, tags: &RequestTags) -> Vec<RequestedResource> {
    let resource = |kind: &str| {
        let mut resource = RequestedResource::new(attributes::new_ec2_arn(cloud.scope(request.region), kind));
        resource.context = tags.context_for("ec2", &resource.arn);
        resource.context.set("ec2:CreateAction", request.operation);
        resource.context.set("ec2:Region", request.region);
        resource
    };
    tags.created_types().map(resource).collect()
}

impl RequestFacts<'_> {
    fn has(&self, parameter: &str) -> bool {
        self.parameters.iter().any(|(name, value)| name == parameter && !value.is_empty())
    }

    /// Adds the condition keys of the existing resources and of the request.
    fn describe(&self, cloud: &Cloud, needs: &Needs, mut resources: Vec<RequestedResource>) -> Vec<RequestedResource> {
        for resource in &mut resources {
            let mut context = attributes::of(cloud, &resource.arn);
            context.merge(&resource.context);
            context.merge(&self.tags.context_for(self.service, &resource.arn));
            resource.context = context;
            for key in needs.keys {
                self.add_key(cloud.account, key, resource);
            }
        }
        resources
    }

    /// Adds a key to a resource's context, if it applies to the resource and the request has the parameter.
    fn add_key(&self, account: Account, key: &Key, resource: &mut RequestedResource) {
        if !self.operation.starts_with(key.operations) || !resource.arn.contains(key.resource) {
            return;
        }
        let values = self.parameters.iter().filter(|(name, value)| name == key.parameter && !value.is_empty());
        let form = key.form.replace("{region}", self.region).replace("{account}", account.as_str());
        let values: Vec<String> = values.map(|(_, value)| form.replace("{}", value)).collect();
        if !values.is_empty() {
            resource.context.set_all(key.name, values);
        }
    }
}
