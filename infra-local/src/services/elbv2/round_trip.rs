//! Parameters of Elastic Load Balancing that are read back.
#![allow(clippy::unwrap_used)]

use super::OPERATIONS;
use crate::testing::round_trip::{self, Trip, Variables, WriteOnly, check_query};

const BALANCER: &[(&str, &str)] =
    &[("DescribeLoadBalancers", ""), ("DescribeTags", "ResourceArns.member.1={balancer}")];
const GROUPS: &[(&str, &str)] = &[("DescribeTargetGroups", ""), ("DescribeTags", "ResourceArns.member.1={group}")];
const LISTENERS: &[(&str, &str)] =
    &[("DescribeListeners", "LoadBalancerArn={balancer}"), ("DescribeTags", "ResourceArns.member.1={listener}")];
const RULES: &[(&str, &str)] = &[
    ("DescribeRules", "ListenerArn={listener}"),
    ("DescribeTags", "ResourceArns.member.1={rule}"),
    ("DescribeListeners", "ListenerArns.member.1={listener}"),
];

const TRIPS: &[Trip] = &[
    Trip {
        operation: "CreateLoadBalancer",
        request: "Name=shop&Scheme=internal&Type=application&IpAddressType=ipv4&SecurityGroups.member.1={group1}\
                  &Subnets.member.1={subnet1}&Subnets.member.2={subnet2}&Tags.member.1.Key=team&Tags.member.1.Value=blue",
        keep: &[("balancer", "LoadBalancerArn")],
        reads: BALANCER,
        renamed: &[("Name", "LoadBalancerName")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "CreateLoadBalancer",
        request: "Name=mapped&SubnetMappings.member.1.SubnetId={subnet1}&SubnetMappings.member.2.SubnetId={subnet2}",
        reads: BALANCER,
        ..Trip::EMPTY
    },
    Trip {
        operation: "SetSubnets",
        request: "LoadBalancerArn={balancer}&IpAddressType=ipv4&Subnets.member.1={subnet2}&Subnets.member.2={subnet3}",
        reads: BALANCER,
        ..Trip::EMPTY
    },
    Trip {
        operation: "SetSubnets",
        request: "LoadBalancerArn={balancer}&SubnetMappings.member.1.SubnetId={subnet1}\
                  &SubnetMappings.member.2.SubnetId={subnet3}",
        reads: BALANCER,
        ..Trip::EMPTY
    },
    Trip {
        operation: "SetSecurityGroups",
        request: "LoadBalancerArn={balancer}&SecurityGroups.member.1={group1}",
        reads: BALANCER,
        ..Trip::EMPTY
    },
    Trip {
        operation: "SetIpAddressType",
        request: "LoadBalancerArn={balancer}&IpAddressType=ipv4",
        reads: BALANCER,
        ..Trip::EMPTY
    },
    Trip {
        operation: "ModifyLoadBalancerAttributes",
        request: "LoadBalancerArn={balancer}&Attributes.member.1.Key=idle_timeout.timeout_seconds\
                  &Attributes.member.1.Value=77&Attributes.member.2.Key=access_logs.s3.prefix\
                  &Attributes.member.2.Value=from-shop",
        reads: &[("DescribeLoadBalancers", ""), ("DescribeLoadBalancerAttributes", "LoadBalancerArn={balancer}")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "CreateTargetGroup",
        request: "Name=app&Protocol=HTTPS&ProtocolVersion=HTTP1&Port=8443&VpcId={vpc}&TargetType=ip&IpAddressType=ipv4\
                  &HealthCheckProtocol=HTTPS&HealthCheckPort=8444&HealthCheckEnabled=true&HealthCheckPath=/up\
                  &HealthCheckIntervalSeconds=41&HealthCheckTimeoutSeconds=13&HealthyThresholdCount=7\
                  &UnhealthyThresholdCount=9&Matcher.HttpCode=200-204&Tags.member.1.Key=team&Tags.member.1.Value=red",
        keep: &[("group", "TargetGroupArn")],
        reads: GROUPS,
        renamed: &[("Name", "TargetGroupName")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "CreateTargetGroup",
        request: "Name=calls&Protocol=HTTP&ProtocolVersion=GRPC&Port=9000&VpcId={vpc}&Matcher.GrpcCode=0-5",
        keep: &[("calls", "TargetGroupArn")],
        reads: &[("DescribeTargetGroups", "")],
        renamed: &[("Name", "TargetGroupName")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "ModifyTargetGroup",
        request: "TargetGroupArn={group}&HealthCheckProtocol=HTTP&HealthCheckPort=8445&HealthCheckEnabled=true\
                  &HealthCheckPath=/ready&HealthCheckIntervalSeconds=43&HealthCheckTimeoutSeconds=17\
                  &HealthyThresholdCount=6&UnhealthyThresholdCount=8&Matcher.HttpCode=201",
        reads: &[("DescribeTargetGroups", "TargetGroupArns.member.1={group}")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "ModifyTargetGroup",
        request: "TargetGroupArn={calls}&Matcher.GrpcCode=7",
        reads: &[("DescribeTargetGroups", "TargetGroupArns.member.1={calls}")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "ModifyTargetGroupAttributes",
        request: "TargetGroupArn={group}&Attributes.member.1.Key=deregistration_delay.timeout_seconds\
                  &Attributes.member.1.Value=123",
        reads: &[("DescribeTargetGroups", ""), ("DescribeTargetGroupAttributes", "TargetGroupArn={group}")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "RegisterTargets",
        request: "TargetGroupArn={group}&Targets.member.1.Id=127.0.0.1&Targets.member.1.Port=8081\
                  &Targets.member.1.AvailabilityZone=all",
        reads: &[("DescribeTargetGroups", ""), ("DescribeTargetHealth", "TargetGroupArn={group}")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "CreateListener",
        request: "LoadBalancerArn={balancer}&Protocol=HTTPS&Port=8443&SslPolicy=ELBSecurityPolicy-TLS13-1-2-2021-06\
                  &MutualAuthentication.Mode=off&Certificates.member.1.CertificateArn={certificate}\
                  &DefaultActions.member.1.Type=forward&DefaultActions.member.1.Order=1\
                  &DefaultActions.member.1.TargetGroupArn={group}\
                  &DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn={group}\
                  &DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.Weight=77\
                  &DefaultActions.member.1.ForwardConfig.TargetGroupStickinessConfig.Enabled=true\
                  &DefaultActions.member.1.ForwardConfig.TargetGroupStickinessConfig.DurationSeconds=4321\
                  &Tags.member.1.Key=team&Tags.member.1.Value=green",
        keep: &[("listener", "ListenerArn")],
        reads: LISTENERS,
        ..Trip::EMPTY
    },
    Trip {
        operation: "ModifyListener",
        request: "ListenerArn={listener}&Protocol=HTTPS&Port=8444&SslPolicy=ELBSecurityPolicy-TLS13-1-3-2021-06\
                  &MutualAuthentication.Mode=off&Certificates.member.1.CertificateArn={certificate}\
                  &DefaultActions.member.1.Type=redirect&DefaultActions.member.1.Order=1\
                  &DefaultActions.member.1.RedirectConfig.Protocol=HTTP&DefaultActions.member.1.RedirectConfig.Host=a.example\
                  &DefaultActions.member.1.RedirectConfig.Port=8088&DefaultActions.member.1.RedirectConfig.Path=/there\
                  &DefaultActions.member.1.RedirectConfig.Query=from%3Dhere\
                  &DefaultActions.member.1.RedirectConfig.StatusCode=HTTP_302",
        reads: LISTENERS,
        ..Trip::EMPTY
    },
    Trip {
        operation: "ModifyListenerAttributes",
        request: "ListenerArn={listener}&Attributes.member.1.Key=routing.http.response.x_frame_options.header_value\
                  &Attributes.member.1.Value=DENY",
        reads: &[
            ("DescribeListeners", "ListenerArns.member.1={listener}"),
            ("DescribeListenerAttributes", "ListenerArn={listener}"),
        ],
        ..Trip::EMPTY
    },
    Trip {
        operation: "AddListenerCertificates",
        request: "ListenerArn={listener}&Certificates.member.1.CertificateArn={other}",
        reads: &[
            ("DescribeListeners", "ListenerArns.member.1={listener}"),
            ("DescribeListenerCertificates", "ListenerArn={listener}"),
        ],
        ..Trip::EMPTY
    },
    Trip {
        operation: "CreateRule",
        request: "ListenerArn={listener}&Priority=71&Conditions.member.1.Field=path-pattern\
                  &Conditions.member.1.Values.member.1=/older&Conditions.member.2.Field=host-header\
                  &Conditions.member.2.HostHeaderConfig.Values.member.1=*.example\
                  &Conditions.member.3.Field=http-header&Conditions.member.3.HttpHeaderConfig.HttpHeaderName=X-Kind\
                  &Conditions.member.3.HttpHeaderConfig.Values.member.1=robot*\
                  &Actions.member.1.Type=fixed-response&Actions.member.1.Order=1\
                  &Actions.member.1.FixedResponseConfig.StatusCode=418\
                  &Actions.member.1.FixedResponseConfig.ContentType=text/css\
                  &Actions.member.1.FixedResponseConfig.MessageBody=teapot&Tags.member.1.Key=team&Tags.member.1.Value=pink",
        keep: &[("rule", "RuleArn")],
        reads: RULES,
        ..Trip::EMPTY
    },
    Trip {
        operation: "ModifyRule",
        request: "RuleArn={rule}&Conditions.member.1.Field=path-pattern\
                  &Conditions.member.1.PathPatternConfig.Values.member.1=/newer\
                  &Conditions.member.2.Field=http-request-method\
                  &Conditions.member.2.HttpRequestMethodConfig.Values.member.1=PURGE\
                  &Conditions.member.3.Field=query-string\
                  &Conditions.member.3.QueryStringConfig.Values.member.1.Key=colour\
                  &Conditions.member.3.QueryStringConfig.Values.member.1.Value=purple\
                  &Conditions.member.4.Field=source-ip\
                  &Conditions.member.4.SourceIpConfig.Values.member.1=192.0.2.0/24\
                  &Actions.member.1.Type=forward&Actions.member.1.Order=1&Actions.member.1.TargetGroupArn={group}",
        reads: RULES,
        ..Trip::EMPTY
    },
    Trip {
        operation: "SetRulePriorities",
        request: "RulePriorities.member.1.RuleArn={rule}&RulePriorities.member.1.Priority=72",
        reads: RULES,
        ..Trip::EMPTY
    },
    Trip {
        operation: "AddTags",
        request: "ResourceArns.member.1={group}&Tags.member.1.Key=stage&Tags.member.1.Value=canary",
        reads: &[("DescribeTags", "ResourceArns.member.1={group}")],
        ..Trip::EMPTY
    },
];

const WRITE_ONLY: &[WriteOnly] = &[
    WriteOnly(
        "*",
        &["SubnetMappings.N.AllocationId", "SubnetMappings.N.PrivateIPv4Address", "SubnetMappings.N.IPv6Address"],
        "refused as by application load balancers on AWS",
    ),
    WriteOnly(
        "CreateListener",
        &["Certificates.N.IsDefault"],
        "refused, as the certificate of a listener is the default",
    ),
    WriteOnly(
        "ModifyListener",
        &["Certificates.N.IsDefault"],
        "refused, as the certificate of a listener is the default",
    ),
    WriteOnly("AddListenerCertificates", &["Certificates.N.IsDefault"], "refused, as AWS does"),
    WriteOnly(
        "CreateRule",
        &[
            "Conditions.N.PathPatternConfig.Values.N",
            "Conditions.N.HttpRequestMethodConfig.Values.N",
            "Conditions.N.QueryStringConfig.Values.N.Key",
            "Conditions.N.QueryStringConfig.Values.N.Value",
            "Conditions.N.SourceIpConfig.Values.N",
        ],
        "read back after ModifyRule, which parses them by the same function",
    ),
    WriteOnly(
        "ModifyRule",
        &[
            "Conditions.N.Values.N",
            "Conditions.N.HostHeaderConfig.Values.N",
            "Conditions.N.HttpHeaderConfig.HttpHeaderName",
            "Conditions.N.HttpHeaderConfig.Values.N",
        ],
        "read back after CreateRule, which parses them by the same function",
    ),
    WriteOnly(
        "CreateListener",
        &[
            "DefaultActions.N.RedirectConfig.Protocol",
            "DefaultActions.N.RedirectConfig.Host",
            "DefaultActions.N.RedirectConfig.Port",
            "DefaultActions.N.RedirectConfig.Path",
            "DefaultActions.N.RedirectConfig.Query",
            "DefaultActions.N.RedirectConfig.StatusCode",
            "DefaultActions.N.FixedResponseConfig.StatusCode",
            "DefaultActions.N.FixedResponseConfig.ContentType",
            "DefaultActions.N.FixedResponseConfig.MessageBody",
        ],
        "read back after ModifyListener and CreateRule, which parse actions by the same function",
    ),
    WriteOnly(
        "ModifyListener",
        &[
            "DefaultActions.N.TargetGroupArn",
            "DefaultActions.N.ForwardConfig.TargetGroups.N.TargetGroupArn",
            "DefaultActions.N.ForwardConfig.TargetGroups.N.Weight",
            "DefaultActions.N.ForwardConfig.TargetGroupStickinessConfig.Enabled",
            "DefaultActions.N.ForwardConfig.TargetGroupStickinessConfig.DurationSeconds",
            "DefaultActions.N.FixedResponseConfig.StatusCode",
            "DefaultActions.N.FixedResponseConfig.ContentType",
            "DefaultActions.N.FixedResponseConfig.MessageBody",
        ],
        "read back after CreateListener and CreateRule, which parse actions by the same function",
    ),
    WriteOnly(
        "*",
        &[
            "Actions.N.ForwardConfig.TargetGroups.N.TargetGroupArn",
            "Actions.N.ForwardConfig.TargetGroups.N.Weight",
            "Actions.N.ForwardConfig.TargetGroupStickinessConfig.Enabled",
            "Actions.N.ForwardConfig.TargetGroupStickinessConfig.DurationSeconds",
            "Actions.N.RedirectConfig.Protocol",
            "Actions.N.RedirectConfig.Host",
            "Actions.N.RedirectConfig.Port",
            "Actions.N.RedirectConfig.Path",
            "Actions.N.RedirectConfig.Query",
            "Actions.N.RedirectConfig.StatusCode",
        ],
        "read back after CreateListener and ModifyListener, which parse actions by the same function",
    ),
    WriteOnly("CreateRule", &["Actions.N.TargetGroupArn"], "read back after ModifyRule"),
    WriteOnly(
        "ModifyRule",
        &[
            "Actions.N.FixedResponseConfig.StatusCode",
            "Actions.N.FixedResponseConfig.ContentType",
            "Actions.N.FixedResponseConfig.MessageBody",
        ],
        "read back after CreateRule",
    ),
    WriteOnly("DeleteLoadBalancer", &["*"], "identifies the resource to delete"),
    WriteOnly("DeleteTargetGroup", &["*"], "identifies the resource to delete"),
    WriteOnly("DeleteListener", &["*"], "identifies the resource to delete"),
    WriteOnly("DeleteRule", &["*"], "identifies the resource to delete"),
    WriteOnly("DeregisterTargets", &["*"], "identifies the targets to remove"),
    WriteOnly("RemoveListenerCertificates", &["*"], "identifies the certificates to remove"),
    WriteOnly("RemoveTags", &["*"], "identifies the tags to remove"),
];

#[test]
fn parameters_are_read_back() {
    let mut plane = round_trip::plane();
    let region = plane.cloud.regions.get_mut("us-east-1").unwrap();
    let subnets: Vec<String> = region.ec2.subnets.keys().cloned().collect();
    let mut variables = Variables::from([
        ("subnet1", subnets[0].clone()),
        ("subnet2", subnets[1].clone()),
        ("subnet3", subnets[2].clone()),
        ("vpc", region.ec2.vpcs.keys().next().unwrap().clone()),
        ("group1", region.ec2.security_groups.keys().next().unwrap().clone()),
    ]);
    for name in ["certificate", "other"] {
        variables.insert(name, super::tests::certificate(&mut plane, name));
    }
    check_query(&mut plane, OPERATIONS, TRIPS, WRITE_ONLY, variables);
}
