//! ARNs of the resources of a request, as policies name them.
//!
//! Each operation declares its resources in its service's table. Source: AWS, "Service Authorization Reference", one page
//! per service, <https://docs.aws.amazon.com/service-authorization/latest/reference/>.

use super::RequestedResource;
use crate::model::Cloud;

/// A resource that an operation needs permission for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Resource {
    /// The resource whose ARN is the value of this parameter.
    Arn(&'static str),
    /// The resource that this parameter names, and the form of its ARN: `{region}`, `{account}`, and `{}` for the name. An
    /// ARN in place of the name is used as it is.
    Named(&'static str, &'static str),
    /// The resource that this parameter identifies, and the function that returns its ARN from the state, the region and
    /// the parameter's value.
    Resolved(&'static str, Resolve),
    /// The resource that this parameter identifies, with its own policy and condition keys.
    Found(&'static str, Find),
    /// The resource that the operation creates: the form of its ARN, with `*` in place of an id that does not exist yet.
    Created(&'static str),
    /// The resources that the function derives from the state, the region and all parameters.
    Computed(Compute),
}

/// Returns the ARN of the resource that a parameter's value identifies, from the state, the region and the value.
type Resolve = fn(&Cloud, &str, &str) -> Option<String>;

/// Returns the resource that a parameter's value identifies, from the state, the region and the value.
type Find = fn(&Cloud, &str, &str) -> Option<RequestedResource>;

/// Returns the resources of a request, from the state, the region and all parameters.
type Compute = fn(&Cloud, &str, &[(String, String)]) -> Vec<RequestedResource>;

impl Resource {
    /// Returns the parameter that identifies the resource, as operation tables write it.
    pub(crate) fn parameter(&self) -> Option<&'static str> {
        match self {
            Resource::Arn(parameter)
            | Resource::Named(parameter, _)
            | Resource::Resolved(parameter, _)
            | Resource::Found(parameter, _) => Some(parameter),
            Resource::Created(_) | Resource::Computed(_) => None,
        }
    }

    /// Returns the form of the ARN, if it does not depend on the state.
    pub(crate) fn form(&self) -> Option<&'static str> {
        match self {
            Resource::Named(_, form) | Resource::Created(form) => Some(form),
            Resource::Arn(_) | Resource::Resolved(..) | Resource::Found(..) | Resource::Computed(_) => None,
        }
    }

    /// Returns the ARN of the resource that `value`, the value of the parameter, identifies.
    pub(crate) fn arn(&self, cloud: &Cloud, region: &str, value: &str) -> Option<String> {
        let form = match self {
            Resource::Arn(_) => return Some(value.to_owned()),
            Resource::Resolved(_, resolve) => return resolve(cloud, region, value),
            Resource::Found(_, find) => return find(cloud, region, value).map(|found| found.arn),
            Resource::Named(..) if value.starts_with("arn:") => return Some(value.to_owned()),
            Resource::Computed(_) => return None,
            Resource::Named(_, form) | Resource::Created(form) => form,
        };
        Some(form.replace("{region}", region).replace("{account}", cloud.account.as_str()).replace("{}", value))
    }

    fn requested(&self, cloud: &Cloud, region: &str, value: &str) -> Option<RequestedResource> {
        match self {
            Resource::Found(_, find) => find(cloud, region, value),
            _ => self.arn(cloud, region, value).map(RequestedResource::new),
        }
    }
}

/// Returns the resources that a request identifies, each once. `parameters` are the names as operation tables write them,
/// and the values.
pub(crate) fn identified(
    resources: &[Resource],
    cloud: &Cloud,
    region: &str,
    parameters: &[(String, String)],
) -> Vec<RequestedResource> {
    let mut found: Vec<RequestedResource> = Vec::new();
    let mut add = |resource: Option<RequestedResource>| {
        if let Some(resource) = resource.filter(|it| !found.iter().any(|known| known.arn == it.arn)) {
            found.push(resource);
        }
    };
    for resource in resources {
        if let Resource::Computed(compute) = resource {
            compute(cloud, region, parameters).into_iter().for_each(|it| add(Some(it)));
            continue;
        }
        match resource.parameter() {
            Some(parameter) => {
                let values = parameters.iter().filter(|(name, value)| name == parameter && !value.is_empty());
                values.for_each(|(_, value)| add(resource.requested(cloud, region, value)));
            }
            None => add(resource.requested(cloud, region, "")),
        }
    }
    found
}

/// Returns the resources of an operation in a request; `*` alone if the request identifies none.
pub(crate) fn requested_resources(
    resources: &[Resource],
    cloud: &Cloud,
    region: &str,
    parameters: &[(String, String)],
) -> Vec<RequestedResource> {
    let found = identified(resources, cloud, region, parameters);
    if found.is_empty() { vec![RequestedResource::new("*")] } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_resource_has_an_arn() {
        let resources = &[
            Resource::Arn("RoleArn"),
            Resource::Named("Names.N", "arn:aws:x:{region}:{account}:thing/{}"),
            Resource::Resolved("Id", |_, region, id| Some(format!("{region}/{id}"))),
            Resource::Created("arn:aws:x:{region}::new/*"),
        ];
        let arns = |parameters: &[(&str, &str)]| {
            let parameters: Vec<_> =
                parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let found = requested_resources(resources, &Cloud::default(), "us-east-1", &parameters);
            found.into_iter().map(|resource| resource.arn).collect::<Vec<_>>()
        };
        assert_eq!(
            arns(&[("RoleArn", "arn:r"), ("Names.N", "a"), ("Names.N", "arn:b"), ("Id", "1"), ("Other", "c")]),
            ["arn:r", "arn:aws:x:us-east-1:000000000000:thing/a", "arn:b", "us-east-1/1", "arn:aws:x:us-east-1::new/*",]
        );
        assert_eq!(arns(&[("Id", "")]), ["arn:aws:x:us-east-1::new/*"]);
    }

    #[test]
    fn request_without_a_resource_is_authorised_on_all_resources() {
        let found = requested_resources(&[Resource::Arn("RoleArn")], &Cloud::default(), "us-east-1", &[]);
        assert_eq!(found, [RequestedResource::new("*")]);
    }
}
