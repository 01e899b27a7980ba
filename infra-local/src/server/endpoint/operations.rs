//! The operations of all services with their parameters and permissions, for checks against AWS's service models and its
//! Service Authorization Reference.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::service::{Service, action_prefix};
use crate::access::{Dependent, Resource};
use crate::services::Operation;

/// Parameters of an operation, as operation tables write them: `Filter.N.Value.N`, and in JSON `Filters.Values`; and the
/// permissions that it needs.
#[derive(Debug, Serialize)]
pub(super) struct Parameters {
    honoured: BTreeSet<String>,
    ignored: BTreeSet<&'static str>,
    permissions: Permissions,
}

/// Permissions that an operation needs.
#[derive(Debug, Serialize)]
struct Permissions {
    /// The operation's own action; `None` if every caller may execute it.
    action: Option<String>,
    /// Forms of the ARNs of its resources; those that depend on the request or the state have none.
    resources: Vec<String>,
    /// True if the operation is authorised on single resources.
    has_resources: bool,
    /// Other actions.
    dependents: BTreeSet<&'static str>,
    /// Condition keys that are taken from parameters, with the part of the ARN to which each applies.
    keys: BTreeSet<(&'static str, &'static str)>,
}

/// Returns the operations of each service, by the service's credential scope. S3's operations have no tables.
pub(super) fn all() -> BTreeMap<&'static str, BTreeMap<&'static str, Parameters>> {
    let services = Service::names().filter_map(|name| {
        let operations = match Service::named(name)? {
            Service::Query { operations, .. } => of(name, operations),
            Service::Json { operations, .. } | Service::QueryCompatible { operations, .. } => of(name, operations),
            Service::S3 => return None,
        };
        Some((name, operations))
    });
    services.collect()
}

fn of<I, O>(service: &str, tables: &[&'static [Operation<I, O>]]) -> BTreeMap<&'static str, Parameters> {
    let operations = tables.iter().flat_map(|table| table.iter()).map(|operation| {
        let (honoured, ignored) = (operation.all_parameters(), operation.ignored().collect());
        (
            operation.name,
            Parameters { honoured, ignored, permissions: Permissions::of(action_prefix(service), operation) },
        )
    });
    operations.collect()
}

impl Permissions {
    fn of<I, O>(prefix: &str, operation: &Operation<I, O>) -> Permissions {
        let needs = operation.needs(prefix);
        let all = operation.all_parameters();
        let has = |parameter: &str| all.contains(parameter);
        let mut dependents: BTreeSet<_> = needs.dependents.iter().map(Dependent::action).collect();
        if ["Tags.N.Key", "Tags.Tag.N.Key", "Tags.Key", "Tags", "tags"].into_iter().any(has) {
            let of_operation = needs.tagging.iter().find(|tagging| operation.name.starts_with(tagging.operations));
            dependents.extend(of_operation.map(|tagging| tagging.action));
        }
        if prefix == "ec2" && has("TagSpecification.N.ResourceType") {
            dependents.insert("ec2:CreateTags");
        }
        let keys = needs.keys.iter().filter(|key| operation.name.starts_with(key.operations) && has(key.parameter));
        Permissions {
            action: operation.needs_permission.then(|| format!("{prefix}:{}", operation.name)),
            resources: needs.resources.iter().filter_map(Resource::form).map(str::to_owned).collect(),
            has_resources: !needs.resources.is_empty(),
            dependents,
            keys: keys.map(|key| (key.name, key.resource)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::access;
    use crate::access::{Needs, RequestFacts, RequestTags};
    use crate::model::Cloud;
    use crate::server::calls::secrets;
    use crate::server::endpoint::service::find_operation;
    use crate::wire::constraint;

    fn check_resources<I, O>(service: &str, tables: &[&'static [Operation<I, O>]]) {
        for operation in tables.iter().flat_map(|table| table.iter()) {
            let of_dependents = operation.dependents.iter().flat_map(Dependent::parameters);
            for parameter in operation.resources.iter().filter_map(Resource::parameter).chain(of_dependents) {
                let known = operation.parameters().contains(&parameter);
                assert!(known, "{service}:{} has no parameter {parameter}", operation.name);
            }
        }
    }

    #[test]
    fn parameters_that_identify_resources_are_honoured() {
        for name in Service::names() {
            match Service::named(name) {
                Some(Service::Query { operations, .. }) => check_resources(name, operations),
                Some(Service::Json { operations, .. } | Service::QueryCompatible { operations, .. }) => {
                    check_resources(name, operations);
                }
                // Its operations have no tables.
                Some(Service::S3) => assert_eq!(name, "s3"),
                None => panic!("{name} is no service"),
            }
        }
    }

    #[test]
    fn parameters_that_are_hidden_from_recorded_calls_exist() {
        let all = all();
        for (service, operation, name) in secrets::parameters() {
            let parameters = &all[service][operation];
            let mut known = parameters.honoured.iter().map(String::as_str).chain(parameters.ignored.iter().copied());
            assert!(
                known.any(|known| known.split('.').any(|part| part == name)),
                "{service}:{operation} has no {name}"
            );
        }
    }

    #[test]
    fn every_operation_has_the_constraints_of_its_model() {
        let all = all();
        let operations =
            all.iter().flat_map(|(service, operations)| operations.keys().map(move |name| (*service, *name)));
        let missing: Vec<_> = operations.filter(|(service, name)| !constraint::has_row(service, name)).collect();
        assert!(missing.is_empty(), "run tests/peers/constraints.py (it needs botocore), which adds {missing:?}");
    }

    fn arns(service: &str, operation: &str, parameters: &[(&str, &str)]) -> Vec<String> {
        let resources = match Service::named(service) {
            Some(Service::Query { operations, .. }) => {
                find_operation(operations, operation).map(|found| found.resources)
            }
            Some(Service::Json { operations, .. } | Service::QueryCompatible { operations, .. }) => {
                find_operation(operations, operation).map(|found| found.resources)
            }
            Some(Service::S3) | None => panic!("{service} has no table"),
        };
        let parameters: Vec<_> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let needs = Needs { resources: resources.unwrap(), dependents: &[], keys: &[], tagging: &[] };
        let tags = RequestTags::default();
        let facts = RequestFacts { service, operation, region: "us-east-1", parameters: &parameters, tags: &tags };
        let mut cloud = Cloud::default();
        cloud.complete();
        let requirements = access::requirements(&cloud, &needs, &facts);
        requirements[0].resources.iter().map(|resource| resource.arn.clone()).collect()
    }

    #[test]
    fn resources_of_requests_have_arns() {
        let launch = [
            ("ImageId", "ami-1"),
            ("SecurityGroupId.N", "sg-1"),
            ("NetworkInterface.N.SubnetId", "subnet-1"),
            ("MinCount", "1"),
        ];
        assert_eq!(
            arns("ec2", "RunInstances", &launch),
            [
                "arn:aws:ec2:us-east-1::image/ami-1",
                "arn:aws:ec2:us-east-1:000000000000:instance/*",
                "arn:aws:ec2:us-east-1:000000000000:network-interface/*",
                "arn:aws:ec2:us-east-1:000000000000:volume/*",
                "arn:aws:ec2:us-east-1:000000000000:subnet/subnet-1",
                "arn:aws:ec2:us-east-1:000000000000:security-group/sg-1",
            ]
        );
        assert_eq!(
            arns("ec2", "CreateTags", &[("ResourceId.N", "snap-1"), ("ResourceId.N", "vpc-1")]),
            ["arn:aws:ec2:us-east-1::snapshot/snap-1", "arn:aws:ec2:us-east-1:000000000000:vpc/vpc-1"]
        );
        assert_eq!(
            arns("ssm", "GetParameters", &[("Names", "/a/b:3")]),
            ["arn:aws:ssm:us-east-1:000000000000:parameter/a/b"]
        );
        assert_eq!(arns("iam", "GetRole", &[("RoleName", "web")]), ["arn:aws:iam::000000000000:role/web"]);
    }

    #[test]
    fn ec2_describe_operations_are_authorised_on_all_resources() {
        assert_eq!(arns("ec2", "DescribeInstances", &[("InstanceId.N", "i-1")]), ["*"]);
    }

    #[test]
    fn role_policy_operations_are_authorised_on_the_role() {
        let parameters = [("RoleName", "web"), ("PolicyArn", "arn:aws:iam::aws:policy/ReadOnlyAccess")];
        assert_eq!(arns("iam", "AttachRolePolicy", &parameters), ["arn:aws:iam::000000000000:role/web"]);
    }

    #[test]
    fn operation_names_are_unique_in_their_table() {
        let tables = Service::names().filter_map(Service::named).map(|service| match service {
            Service::Query { operations, .. } => operations.iter().map(|table| table.len()).sum(),
            Service::Json { operations, .. } | Service::QueryCompatible { operations, .. } => {
                operations.iter().map(|table| table.len()).sum()
            }
            Service::S3 => 0_usize,
        });
        assert_eq!(tables.sum::<usize>(), all().values().map(BTreeMap::len).sum::<usize>());
    }
}
