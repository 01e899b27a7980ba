//! AWS managed policies, restricted to the services of the local cloud.

use serde_json::{Value, json};

/// Names of the known policies.
const NAMES: &[&str] = &[
    "AdministratorAccess",
    "PowerUserAccess",
    "ReadOnlyAccess",
    "IAMFullAccess",
    "IAMReadOnlyAccess",
    "AmazonEC2FullAccess",
    "AmazonEC2ReadOnlyAccess",
    "AutoScalingFullAccess",
    "ElasticLoadBalancingFullAccess",
    "AmazonS3FullAccess",
    "AmazonS3ReadOnlyAccess",
    "AmazonRDSFullAccess",
    "AmazonRDSReadOnlyAccess",
    "AmazonSSMFullAccess",
    "AmazonSSMReadOnlyAccess",
    "AmazonSSMManagedInstanceCore",
    "CloudWatchFullAccess",
    "CloudWatchReadOnlyAccess",
    "CloudWatchLogsFullAccess",
    "CloudWatchAgentServerPolicy",
];

/// Returns the ARNs of the known policies.
pub(crate) fn arns() -> impl Iterator<Item = String> {
    NAMES.iter().map(|name| format!("arn:aws:iam::aws:policy/{name}"))
}

/// Returns the document of an AWS managed policy, or `None` if the local cloud does not know it.
pub(crate) fn document(arn: &str) -> Option<String> {
    let name = arn.strip_prefix("arn:aws:iam::aws:policy/")?.rsplit('/').next()?;
    let reads = |services: &[&str]| -> Vec<String> {
        let verbs = ["Describe*", "Get*", "List*"];
        services.iter().flat_map(|service| verbs.map(|verb| format!("{service}:{verb}"))).collect()
    };
    let all = |services: &[&str]| services.iter().map(|service| format!("{service}:*")).collect();
    let statement = match name {
        "AdministratorAccess" => allow(vec!["*".to_owned()]),
        "PowerUserAccess" => {
            json!({"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"})
        }
        "ReadOnlyAccess" => allow(reads(&[
            "acm",
            "autoscaling",
            "cloudformation",
            "cloudwatch",
            "ec2",
            "elasticloadbalancing",
            "iam",
            "logs",
            "rds",
            "s3",
            "ssm",
            "sts",
        ])),
        "IAMFullAccess" => allow(all(&["iam"])),
        "IAMReadOnlyAccess" => allow(reads(&["iam"])),
        "AmazonEC2FullAccess" => allow(all(&["ec2", "elasticloadbalancing", "cloudwatch", "autoscaling"])),
        "AmazonEC2ReadOnlyAccess" => allow(reads(&["ec2", "elasticloadbalancing", "cloudwatch", "autoscaling"])),
        "AutoScalingFullAccess" => allow(all(&["autoscaling"])),
        "ElasticLoadBalancingFullAccess" => allow(all(&["elasticloadbalancing"])),
        "AmazonS3FullAccess" => allow(all(&["s3"])),
        "AmazonS3ReadOnlyAccess" => allow(reads(&["s3"])),
        "AmazonRDSFullAccess" => allow(all(&["rds"])),
        "AmazonRDSReadOnlyAccess" => allow(reads(&["rds"])),
        "AmazonSSMFullAccess" => allow(all(&["ssm"])),
        "AmazonSSMReadOnlyAccess" => allow(reads(&["ssm"])),
        "AmazonSSMManagedInstanceCore" => allow(vec!["ssm:GetParameter".to_owned(), "ssm:GetParameters".to_owned()]),
        "CloudWatchFullAccess" => allow(all(&["cloudwatch", "logs"])),
        "CloudWatchReadOnlyAccess" => allow(reads(&["cloudwatch", "logs"])),
        "CloudWatchLogsFullAccess" => allow(all(&["logs"])),
        "CloudWatchAgentServerPolicy" => allow(
            [
                "cloudwatch:PutMetricData",
                "ec2:DescribeTags",
                "logs:PutLogEvents",
                "logs:CreateLogStream",
                "logs:CreateLogGroup",
            ]
            .map(str::to_owned)
            .to_vec(),
        ),
        _ => return None,
    };
    Some(json!({"Version": "2012-10-17", "Statement": [statement]}).to_string())
}

fn allow(actions: Vec<String>) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": "*"})
}

#[cfg(test)]
mod tests {
    use super::super::Document;
    use super::*;

    #[test]
    fn managed_policies_are_valid_documents() {
        for arn in arns() {
            assert!(document(&arn).is_some_and(|text| Document::parse(&text).is_ok()), "{arn}");
        }
        assert_eq!(document("arn:aws:iam::aws:policy/NoSuchThing"), None);
        assert_eq!(document("arn:aws:iam::000000000000:policy/AdministratorAccess"), None);
    }
}
