//! ARNs of the resources of a request, as policies name them.
//!
//! Source: AWS, "Service Authorization Reference", one page per service.

use crate::model::ACCOUNT;
use crate::model::iam::Iam;

/// Names of EC2's kinds in ARNs, by the prefix of their ids.
const EC2_KINDS: &[(&str, &str)] = &[
    ("i-", "instance"),
    ("vpc-", "vpc"),
    ("subnet-", "subnet"),
    ("sg-", "security-group"),
    ("sgr-", "security-group-rule"),
    ("lt-", "launch-template"),
    ("eni-", "network-interface"),
    ("vol-", "volume"),
    ("snap-", "snapshot"),
    ("rtb-", "route-table"),
    ("igw-", "internet-gateway"),
    ("nat-", "natgateway"),
    ("eipalloc-", "elastic-ip"),
    ("pcx-", "vpc-peering-connection"),
    ("key-", "key-pair"),
];

/// Kinds that EC2's operations create.
const EC2_CREATIONS: &[(&str, &str)] = &[
    ("RunInstances", "instance"),
    ("CreateVpc", "vpc"),
    ("CreateSubnet", "subnet"),
    ("CreateSecurityGroup", "security-group"),
    ("CreateLaunchTemplate", "launch-template"),
    ("CreateRouteTable", "route-table"),
    ("CreateInternetGateway", "internet-gateway"),
    ("CreateNatGateway", "natgateway"),
    ("AllocateAddress", "elastic-ip"),
    ("CreateVpcPeeringConnection", "vpc-peering-connection"),
    ("CreateKeyPair", "key-pair"),
    ("ImportKeyPair", "key-pair"),
    ("CreateImage", "image"),
];

/// Parameters that name something, by service: the parameter, and the ARN around its value.
const NAMED: &[(&str, &str, &str)] = &[
    (
        "autoscaling",
        "AutoScalingGroupName",
        "arn:aws:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{}",
    ),
    (
        "autoscaling",
        "AutoScalingGroupNames",
        "arn:aws:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{}",
    ),
    ("cloudwatch", "AlarmName", "arn:aws:cloudwatch:{region}:{account}:alarm:{}"),
    ("cloudwatch", "AlarmNames", "arn:aws:cloudwatch:{region}:{account}:alarm:{}"),
    ("iam", "PolicyName", "arn:aws:iam::{account}:policy/{}"),
    ("logs", "logGroupName", "arn:aws:logs:{region}:{account}:log-group:{}"),
    ("rds", "DBInstanceIdentifier", "arn:aws:rds:{region}:{account}:db:{}"),
    ("rds", "DBClusterIdentifier", "arn:aws:rds:{region}:{account}:cluster:{}"),
    ("rds", "DBSubnetGroupName", "arn:aws:rds:{region}:{account}:subgrp:{}"),
    ("rds", "DBParameterGroupName", "arn:aws:rds:{region}:{account}:pg:{}"),
    ("rds", "DBSnapshotIdentifier", "arn:aws:rds:{region}:{account}:snapshot:{}"),
    ("elasticloadbalancing", "Name", "arn:aws:elasticloadbalancing:{region}:{account}:*/{}/*"),
];

/// The ARNs of what a request names, or would make; `*` alone when it names nothing. `parameters` are names without
/// numbers, and their values.
pub(crate) fn resources(
    iam: &Iam,
    service: &str,
    operation: &str,
    region: &str,
    parameters: &[(String, String)],
) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (name, value) in parameters {
        let last = name.rsplit('.').find(|part| *part != "N").unwrap_or(name);
        if name.contains("Filter") || value.is_empty() {
            continue;
        }
        if value.starts_with("arn:") && (last.ends_with("Arn") || last.ends_with("Arns")) {
            found.push(value.clone());
        } else if let Some(arn) = named(iam, service, name, last, value, region) {
            found.push(arn);
        }
    }
    if service == "ec2"
        && let Some((_, kind)) = EC2_CREATIONS.iter().find(|(creation, _)| *creation == operation)
    {
        found.push(format!("arn:aws:ec2:{region}:{ACCOUNT}:{kind}/*"));
    }
    if found.is_empty() {
        found.push("*".to_owned());
    }
    found
}

fn named(iam: &Iam, service: &str, name: &str, last: &str, value: &str, region: &str) -> Option<String> {
    match service {
        "ec2" => ec2(last, value, region),
        "iam" if last == "RoleName" => Some(match iam.roles.get(value) {
            Some(role) => role.arn.clone(),
            None => format!("arn:aws:iam::{ACCOUNT}:role/{value}"),
        }),
        "iam" if last == "UserName" => Some(match iam.users.get(value) {
            Some(user) => user.arn.clone(),
            None => format!("arn:aws:iam::{ACCOUNT}:user/{value}"),
        }),
        "iam" if last == "InstanceProfileName" => Some(match iam.instance_profiles.get(value) {
            Some(profile) => profile.arn.clone(),
            None => format!("arn:aws:iam::{ACCOUNT}:instance-profile/{value}"),
        }),
        "ssm" if ["Name", "Names", "Path", "ResourceId"].contains(&last) && !name.contains("Tags") => {
            let name = value.split(':').next().unwrap_or(value);
            let slash = if name.starts_with('/') { "" } else { "/" };
            Some(format!("arn:aws:ssm:{region}:{ACCOUNT}:parameter{slash}{name}"))
        }
        _ => {
            let (_, _, form) = NAMED.iter().find(|(of, parameter, _)| *of == service && *parameter == last)?;
            Some(form.replace("{region}", region).replace("{account}", ACCOUNT).replace("{}", value))
        }
    }
}

fn ec2(last: &str, value: &str, region: &str) -> Option<String> {
    if value.starts_with("ami-") {
        return Some(format!("arn:aws:ec2:{region}::image/{value}"));
    }
    if last == "KeyName" {
        return Some(format!("arn:aws:ec2:{region}:{ACCOUNT}:key-pair/{value}"));
    }
    let (_, kind) = EC2_KINDS.iter().find(|(prefix, _)| value.starts_with(prefix))?;
    Some(format!("arn:aws:ec2:{region}:{ACCOUNT}:{kind}/{value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arns(service: &str, operation: &str, parameters: &[(&str, &str)]) -> Vec<String> {
        let parameters: Vec<_> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        resources(&Iam::default(), service, operation, "us-east-1", &parameters)
    }

    #[test]
    fn named_resources_become_arns() {
        assert_eq!(
            arns("ec2", "RunInstances", &[("ImageId", "ami-1"), ("SecurityGroupId.N", "sg-1"), ("MinCount", "1")]),
            [
                "arn:aws:ec2:us-east-1::image/ami-1",
                "arn:aws:ec2:us-east-1:000000000000:security-group/sg-1",
                "arn:aws:ec2:us-east-1:000000000000:instance/*",
            ]
        );
        assert_eq!(
            arns("ssm", "GetParameters", &[("Names.N", "/a/b:3")]),
            ["arn:aws:ssm:us-east-1:000000000000:parameter/a/b"]
        );
        assert_eq!(arns("iam", "GetRole", &[("RoleName", "web")]), ["arn:aws:iam::000000000000:role/web"]);
        assert_eq!(arns("ec2", "DescribeInstances", &[("Filter.N.Value.N", "i-1")]), ["*"]);
    }
}
