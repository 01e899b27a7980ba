//! Condition keys that actions take from the parameters of a request, and the actions that tag new resources.
//!
//! Source: AWS, "Service Authorization Reference", one page per service.

use crate::access::{Key, Part, Tagging};

/// Declares the key `name` with the values of a parameter, on resources whose ARN contains `resource`.
const fn key(resource: &'static str, parameter: &'static str, name: &'static str) -> Key {
    Key { operations: "", resource, parameter, name, form: "{}" }
}

/// Declares a key of the operations whose names begin like this.
const fn key_of(operations: &'static str, key: Key) -> Key {
    Key { operations, ..key }
}

/// Declares a key whose values are ARNs that contain the parameter.
const fn arn(resource: &'static str, parameter: &'static str, name: &'static str, form: &'static str) -> Key {
    Key { operations: "", resource, parameter, name, form }
}

/// Returns the condition keys of the actions with this prefix.
pub(crate) fn condition_keys(service: &str) -> &'static [Key] {
    match service {
        "acm" => ACM,
        "autoscaling" => AUTOSCALING,
        "cloudwatch" => CLOUDWATCH,
        "ec2" => EC2,
        "elasticloadbalancing" => ELASTIC_LOAD_BALANCING,
        "iam" => IAM,
        "rds" => RDS,
        "sts" => STS,
        _ => &[],
    }
}

/// Returns the tagging actions of a service. EC2's are derived from `TagSpecification`.
pub(crate) fn tagging(service: &str) -> &'static [Tagging] {
    match service {
        "acm" => ACM_TAGGING,
        "autoscaling" => AUTOSCALING_TAGGING,
        "cloudwatch" => CLOUDWATCH_TAGGING,
        "elasticloadbalancing" => ELASTIC_LOAD_BALANCING_TAGGING,
        "iam" => IAM_TAGGING,
        "logs" => LOGS_TAGGING,
        "rds" => RDS_TAGGING,
        "ssm" => SSM_TAGGING,
        _ => &[],
    }
}

const fn creates(operations: &'static str, action: &'static str) -> Tagging {
    Tagging { operations, action, create_action: None, parts: &[] }
}

const ACM: &[Key] = &[
    key("", "DomainName", "acm:DomainNames"),
    key("", "ValidationMethod", "acm:ValidationMethod"),
    key("", "KeyAlgorithm", "acm:KeyAlgorithm"),
];
const ACM_TAGGING: &[Tagging] = &[
    creates("ImportCertificate", "acm:AddTagsToCertificate"),
    creates("RequestCertificate", "acm:AddTagsToCertificate"),
];

const AUTOSCALING: &[Key] = &[
    key("", "MinSize", "autoscaling:MinSize"),
    key("", "MaxSize", "autoscaling:MaxSize"),
    key("", "TargetGroupARNs.N", "autoscaling:TargetGroupARNs"),
    key("", "VPCZoneIdentifier", "autoscaling:VPCZoneIdentifiers"),
];
// "Tag Auto Scaling groups and instances" in the service's user guide grants both actions.
const AUTOSCALING_TAGGING: &[Tagging] = &[creates("CreateAutoScalingGroup", "autoscaling:CreateOrUpdateTags")];

const CLOUDWATCH: &[Key] = &[
    key_of("PutMetricData", key("", "Namespace", "cloudwatch:namespace")),
    key("", "AlarmActions", "cloudwatch:AlarmActions"),
];
const CLOUDWATCH_TAGGING: &[Tagging] = &[creates("PutMetricAlarm", "cloudwatch:TagResource")];

const VPC_ARN: &str = "arn:aws:ec2:{region}:{account}:vpc/{}";
const EC2: &[Key] = &[
    arn(":vpc-peering-connection/", "VpcId", "ec2:RequesterVpc", VPC_ARN),
    arn(":vpc-peering-connection/", "PeerVpcId", "ec2:AccepterVpc", VPC_ARN),
    key(":volume/*", "AvailabilityZone", "ec2:AvailabilityZone"),
    key(":volume/*", "VolumeType", "ec2:VolumeType"),
    key(":volume/*", "Size", "ec2:VolumeSize"),
    key(":volume/*", "Iops", "ec2:VolumeIops"),
    key(":volume/*", "Throughput", "ec2:VolumeThroughput"),
    key(":volume/*", "Encrypted", "ec2:Encrypted"),
    key(":key-pair/", "KeyType", "ec2:KeyPairType"),
    key_of("Modify", key(":instance/", "Attribute", "ec2:Attribute")),
];

const ELASTIC_LOAD_BALANCING: &[Key] = &[
    key(":loadbalancer/", "Scheme", "elasticloadbalancing:Scheme"),
    key(":loadbalancer/", "Subnets.N", "elasticloadbalancing:Subnet"),
    key(":loadbalancer/", "SecurityGroups.N", "elasticloadbalancing:SecurityGroup"),
    key(":loadbalancer/", "Protocol", "elasticloadbalancing:ListenerProtocol"),
    key(":loadbalancer/", "SslPolicy", "elasticloadbalancing:SecurityPolicy"),
    key(":listener/", "Protocol", "elasticloadbalancing:ListenerProtocol"),
    key(":listener/", "SslPolicy", "elasticloadbalancing:SecurityPolicy"),
];
const ELASTIC_LOAD_BALANCING_TAGGING: &[Tagging] = &[Tagging {
    create_action: Some("elasticloadbalancing:CreateAction"),
    parts: &[
        Part { operation: "CreateListener", container: ":loadbalancer/", kind: ":listener/" },
        Part { operation: "CreateRule", container: ":listener/", kind: ":listener-rule/" },
    ],
    ..creates("Create", "elasticloadbalancing:AddTags")
}];

const IAM: &[Key] = &[
    key(":role/", "PermissionsBoundary", "iam:PermissionsBoundary"),
    key(":user/", "PermissionsBoundary", "iam:PermissionsBoundary"),
    key(":role/", "PolicyArn", "iam:PolicyARN"),
    key(":user/", "PolicyArn", "iam:PolicyARN"),
    key(":group/", "PolicyArn", "iam:PolicyARN"),
    key(":role/", "AWSServiceName", "iam:AWSServiceName"),
];
const IAM_TAGGING: &[Tagging] = &[
    creates("CreateRole", "iam:TagRole"),
    creates("CreateUser", "iam:TagUser"),
    creates("CreateInstanceProfile", "iam:TagInstanceProfile"),
    creates("CreateOpenIDConnectProvider", "iam:TagOpenIDConnectProvider"),
    creates("CreatePolicy", "iam:TagPolicy"),
];

const LOGS_TAGGING: &[Tagging] = &[creates("CreateLogGroup", "logs:TagResource")];

const RDS: &[Key] = &[
    key(":db:", "Engine", "rds:DatabaseEngine"),
    key_of("Create", key(":cluster:", "Engine", "rds:DatabaseEngine")),
    key(":db:", "DBInstanceClass", "rds:DatabaseClass"),
    key(":cluster:", "DBClusterInstanceClass", "rds:DatabaseClass"),
    key(":db:", "DBName", "rds:DatabaseName"),
    key_of("Create", key(":cluster:", "DatabaseName", "rds:DatabaseName")),
    key(":db:", "MultiAZ", "rds:MultiAz"),
    key(":db:", "StorageEncrypted", "rds:StorageEncrypted"),
    key(":cluster:", "StorageEncrypted", "rds:StorageEncrypted"),
    key(":db:", "AllocatedStorage", "rds:StorageSize"),
    key(":db:", "Iops", "rds:Piops"),
    key(":db:", "ManageMasterUserPassword", "rds:ManageMasterUserPassword"),
    key(":cluster:", "ManageMasterUserPassword", "rds:ManageMasterUserPassword"),
];
const RDS_TAGGING: &[Tagging] = &[
    creates("Create", "rds:AddTagsToResource"),
    creates("Restore", "rds:AddTagsToResource"),
    creates("Copy", "rds:AddTagsToResource"),
];

const SSM_TAGGING: &[Tagging] = &[creates("PutParameter", "ssm:AddTagsToResource")];

const STS: &[Key] = &[
    key("", "RoleSessionName", "sts:RoleSessionName"),
    key("", "ExternalId", "sts:ExternalId"),
    key("", "SourceIdentity", "sts:SourceIdentity"),
    key("", "TransitiveTagKeys.N", "sts:TransitiveTagKeys"),
];
