//! ARNs of the resources of a request, as policies name them.
//!
//! Each operation declares its resources in its service's table. Source: AWS, "Service Authorization Reference", one page
//! per service, <https://docs.aws.amazon.com/service-authorization/latest/reference/>.

use crate::model::{ACCOUNT, Cloud};

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
    /// The resource that the operation creates: the form of its ARN, with `*` in place of an id that does not exist yet.
    Created(&'static str),
}

/// Returns the ARN of the resource that a parameter's value identifies, from the state, the region and the value.
type Resolve = fn(&Cloud, &str, &str) -> Option<String>;

impl Resource {
    /// Returns the parameter that identifies the resource, as operation tables write it.
    pub(crate) fn parameter(&self) -> Option<&'static str> {
        match self {
            Resource::Arn(parameter) | Resource::Named(parameter, _) | Resource::Resolved(parameter, _) => {
                Some(parameter)
            }
            Resource::Created(_) => None,
        }
    }

    /// Returns the ARN of the resource that `value`, the value of the parameter, identifies.
    pub(crate) fn arn(&self, cloud: &Cloud, region: &str, value: &str) -> Option<String> {
        let form = match self {
            Resource::Arn(_) => return Some(value.to_owned()),
            Resource::Resolved(_, resolve) => return resolve(cloud, region, value),
            Resource::Named(..) if value.starts_with("arn:") => return Some(value.to_owned()),
            Resource::Named(_, form) | Resource::Created(form) => form,
        };
        Some(form.replace("{region}", region).replace("{account}", ACCOUNT).replace("{}", value))
    }
}

/// Returns the ARNs of an operation's resources in a request; `*` alone if the request identifies none. `parameters` are
/// the names as operation tables write them, and the values.
pub(crate) fn arns(
    resources: &[Resource],
    cloud: &Cloud,
    region: &str,
    parameters: &[(String, String)],
) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for resource in resources {
        match resource.parameter() {
            Some(parameter) => {
                let values = parameters.iter().filter(|(name, value)| name == parameter && !value.is_empty());
                found.extend(values.filter_map(|(_, value)| resource.arn(cloud, region, value)));
            }
            None => found.extend(resource.arn(cloud, region, "")),
        }
    }
    if found.is_empty() {
        found.push("*".to_owned());
    }
    found
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
            arns(resources, &Cloud::default(), "us-east-1", &parameters)
        };
        assert_eq!(
            arns(&[("RoleArn", "arn:r"), ("Names.N", "a"), ("Names.N", "arn:b"), ("Id", "1"), ("Other", "c")]),
            ["arn:r", "arn:aws:x:us-east-1:000000000000:thing/a", "arn:b", "us-east-1/1", "arn:aws:x:us-east-1::new/*",]
        );
        assert_eq!(arns(&[("Id", "")]), ["arn:aws:x:us-east-1::new/*"]);
    }

    #[test]
    fn request_without_a_resource_is_authorised_on_all_resources() {
        assert_eq!(arns(&[Resource::Arn("RoleArn")], &Cloud::default(), "us-east-1", &[]), ["*"]);
    }
}
