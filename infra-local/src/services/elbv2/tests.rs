//! Tests of the operations.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;

use chrono::Utc;

use super::*;
use crate::testing::{ControlPlane, code, element, outline};

struct World {
    plane: ControlPlane,
    subnets: Vec<String>,
    vpc: String,
}

impl World {
    fn new() -> Self {
        let plane = ControlPlane::new();
        let region = &plane.cloud.regions["us-east-1"];
        let subnets = region.ec2.subnets.keys().cloned().collect();
        let vpc = region.ec2.vpcs.keys().next().unwrap().clone();
        Self { plane, subnets, vpc }
    }

    /// Returns the response as XML, or the error's code and message.
    fn call(&mut self, name: &str, form: &str) -> Result<String, String> {
        self.plane.query(OPERATIONS, name, form)
    }

    fn balancer(&mut self, name: &str) -> String {
        let form = format!("Name={name}&Subnets.member.1={}&Subnets.member.2={}", self.subnets[0], self.subnets[1]);
        element(&self.call("CreateLoadBalancer", &form).unwrap(), "LoadBalancerArn").to_owned()
    }

    fn targets(&mut self, name: &str) -> String {
        let form = format!("Name={name}&Protocol=HTTP&Port=8080&VpcId={}", self.vpc);
        element(&self.call("CreateTargetGroup", &form).unwrap(), "TargetGroupArn").to_owned()
    }
}

#[test]
fn a_balancer_has_an_address_until_it_is_deleted() {
    let mut world = World::new();
    let arn = world.balancer("web");
    assert_eq!(world.balancer("web"), arn);
    let shown = world.call("DescribeLoadBalancers", "Names.member.1=web").unwrap();
    let address: std::net::Ipv4Addr = element(&shown, "DNSName").parse().unwrap();
    assert!(address.is_loopback());
    insta::assert_snapshot!(outline(&shown), @"
    DescribeLoadBalancersResponse
      DescribeLoadBalancersResult
        LoadBalancers
          member
            LoadBalancerArn: arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/web/[id]
            DNSName: [address]
            CanonicalHostedZoneId: Z35SXDOTRQ7X7K
            CreatedTime: [time]
            LoadBalancerName: web
            Scheme: internet-facing
            VpcId: vpc-[id]
            State
              Code: provisioning
            Type: application
            AvailabilityZones
              member
                ZoneName: [zone]
                SubnetId: subnet-[id]
                LoadBalancerAddresses
              member
                ZoneName: [zone]
                SubnetId: subnet-[id]
                LoadBalancerAddresses
            SecurityGroups
              member: sg-[id]
            IpAddressType: ipv4
      ResponseMetadata
        RequestId: r
    ");
    let targets_in_use = |world: &World| {
        let subnets = world.plane.cloud.regions["us-east-1"].ec2.subnets.values();
        subnets.map(|subnet| subnet.hosts.len()).sum::<usize>()
    };
    assert_eq!(targets_in_use(&world), 2);
    world.call("DeleteLoadBalancer", &format!("LoadBalancerArn={arn}")).unwrap();
    world.call("DeleteLoadBalancer", &format!("LoadBalancerArn={arn}")).unwrap();
    assert_eq!(targets_in_use(&world), 0);
    assert_eq!(code(world.call("DescribeLoadBalancers", "Names.member.1=web")), "LoadBalancerNotFound");
}

#[test]
fn names_and_zones_are_validated() {
    let mut world = World::new();
    let subnets = format!("Subnets.member.1={}&Subnets.member.2={}", world.subnets[0], world.subnets[1]);
    let twice = format!("Subnets.member.1={0}&Subnets.member.2={0}", world.subnets[0]);
    for name in ["-a", "a-", "a_b", "internal-a", &"x".repeat(33)] {
        assert_eq!(
            code(world.call("CreateLoadBalancer", &format!("Name={name}&{subnets}"))),
            "ValidationError",
            "{name}"
        );
    }
    assert_eq!(code(world.call("CreateLoadBalancer", &format!("Name=a&{twice}"))), "InvalidConfigurationRequest");
    let network = format!("Name=a&Type=network&{subnets}");
    assert!(world.call("CreateLoadBalancer", &network).unwrap_err().contains("of type 'network'"));
    let mapped = format!(
        "Name=a&{}&SubnetMappings.member.1.AllocationId=eipalloc-1",
        subnets
            .replace("Subnets.member.1", "SubnetMappings.member.1.SubnetId")
            .replace("Subnets.member.2", "SubnetMappings.member.2.SubnetId")
    );
    assert!(world.call("CreateLoadBalancer", &mapped).unwrap_err().contains("Elastic IP addresses are not supported"));
    let pool = format!("Name=a&CustomerOwnedIpv4Pool=p&{subnets}");
    assert_eq!(code(world.call("CreateLoadBalancer", &pool)), "UnsupportedParameter");
}

#[test]
fn a_listener_prevents_the_deletion_of_its_target_group_and_an_occupied_port_is_reported() {
    let mut world = World::new();
    let (balancer, targets) = (world.balancer("web"), world.targets("app"));
    let shown = world.call("DescribeLoadBalancers", "").unwrap();
    let address = element(&shown, "DNSName");
    let taken = TcpListener::bind((address, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let form = format!(
        "LoadBalancerArn={balancer}&Protocol=HTTP&Port={port}&DefaultActions.member.1.Type=forward\
         &DefaultActions.member.1.TargetGroupArn={targets}"
    );
    let refused = world.call("CreateListener", &form).unwrap_err();
    assert!(refused.contains(&format!("{address}:{port}")), "{refused}");
    drop(taken);
    let listener = element(&world.call("CreateListener", &form).unwrap(), "ListenerArn").to_owned();
    assert_eq!(code(world.call("CreateListener", &form)), "DuplicateListener");
    assert_eq!(code(world.call("DeleteTargetGroup", &format!("TargetGroupArn={targets}"))), "ResourceInUse");
    world.call("DeleteListener", &format!("ListenerArn={listener}")).unwrap();
    world.call("DeleteTargetGroup", &format!("TargetGroupArn={targets}")).unwrap();
    assert_eq!(code(world.call("DeleteListener", &format!("ListenerArn={listener}"))), "ListenerNotFound");
}

#[test]
fn attributes_are_honoured_or_refused_and_described_with_their_defaults() {
    let mut world = World::new();
    let arn = world.targets("app");
    let change = |key: &str, value: &str| {
        format!("TargetGroupArn={arn}&Attributes.member.1.Key={key}&Attributes.member.1.Value={value}")
    };
    let delay = "deregistration_delay.timeout_seconds";
    world.call("ModifyTargetGroupAttributes", &change(delay, "5")).unwrap();
    let anomalies = "load_balancing.algorithm.anomaly_mitigation";
    let cookie = "stickiness.app_cookie.cookie_name";
    for (key, value) in [
        (delay, "3601"),
        ("slow_start.duration_seconds", "29"),
        (cookie, "AWSALB1"),
        ("stickiness.enabled", "yes"),
        (anomalies, "on"),
        ("no.such", "1"),
    ] {
        assert_eq!(
            code(world.call("ModifyTargetGroupAttributes", &change(key, value))),
            "InvalidConfigurationRequest",
            "{key}"
        );
    }
    world.call("ModifyTargetGroupAttributes", &change("stickiness.enabled", "true")).unwrap();
    // Combinations of attributes.
    let application = change("stickiness.type", "app_cookie");
    assert_eq!(code(world.call("ModifyTargetGroupAttributes", &application)), "InvalidConfigurationRequest");
    world.call("ModifyTargetGroupAttributes", &change(cookie, "session")).unwrap();
    world.call("ModifyTargetGroupAttributes", &application).unwrap();
    world.call("ModifyTargetGroupAttributes", &change("slow_start.duration_seconds", "30")).unwrap();
    let fewest = change("load_balancing.algorithm.type", "least_outstanding_requests");
    assert_eq!(code(world.call("ModifyTargetGroupAttributes", &fewest)), "InvalidConfigurationRequest");
    let shown = world.call("DescribeTargetGroupAttributes", &format!("TargetGroupArn={arn}")).unwrap();
    assert!(shown.contains(&format!("<Key>{delay}</Key><Value>5</Value>")), "{shown}");
    assert!(shown.contains("<Key>load_balancing.algorithm.type</Key><Value>round_robin</Value>"), "{shown}");
}

#[test]
fn attributes_without_a_data_plane_are_refused_by_name() {
    let mut world = World::new();
    let (balancer, group) = (world.balancer("web"), world.targets("app"));
    for (operation, resource, key, value) in [
        ("ModifyLoadBalancerAttributes", format!("LoadBalancerArn={balancer}"), "health_check_logs.s3.enabled", "true"),
        (
            "ModifyLoadBalancerAttributes",
            format!("LoadBalancerArn={balancer}"),
            "load_balancing.cross_zone.enabled",
            "false",
        ),
        (
            "ModifyTargetGroupAttributes",
            format!("TargetGroupArn={group}"),
            "load_balancing.cross_zone.enabled",
            "false",
        ),
        (
            "ModifyTargetGroupAttributes",
            format!("TargetGroupArn={group}"),
            "load_balancing.algorithm.anomaly_mitigation",
            "on",
        ),
    ] {
        let form = format!("{resource}&Attributes.member.1.Key={key}&Attributes.member.1.Value={value}");
        let error = world.call(operation, &form).unwrap_err();
        assert!(error.starts_with("InvalidConfigurationRequest: ") && error.contains(key), "{error}");
    }
    // Logs need a bucket.
    let logs = format!(
        "LoadBalancerArn={balancer}&Attributes.member.1.Key=access_logs.s3.enabled&Attributes.member.1.Value=true"
    );
    let error = world.call("ModifyLoadBalancerAttributes", &logs).unwrap_err();
    assert_eq!(error, "InvalidConfigurationRequest: The value of 'access_logs.s3.bucket' cannot be empty");
}

/// Creates a listener that forwards to a group, and returns both ARNs.
fn listening(world: &mut World) -> (String, String) {
    let (balancer, targets) = (world.balancer("web"), world.targets("app"));
    let address: std::net::Ipv4Addr =
        element(&world.call("DescribeLoadBalancers", "").unwrap(), "DNSName").parse().unwrap();
    let port = TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port();
    let form = format!(
        "LoadBalancerArn={balancer}&Protocol=HTTP&Port={port}&DefaultActions.member.1.Type=forward\
         &DefaultActions.member.1.TargetGroupArn={targets}"
    );
    (element(&world.call("CreateListener", &form).unwrap(), "ListenerArn").to_owned(), targets)
}

const PATH: &str = "Conditions.member.1.Field=path-pattern&Conditions.member.1.Values.member.1=/a*";
const FIXED: &str = "Actions.member.1.Type=fixed-response&Actions.member.1.FixedResponseConfig.StatusCode=404";

/// Returns the priorities of a listener's rules, in the order of the response.
fn priorities(world: &mut World, listener: &str) -> Vec<String> {
    let shown = world.call("DescribeRules", &format!("ListenerArn={listener}")).unwrap();
    shown.split("<Priority>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
}

#[test]
fn rules_are_sorted_by_priority_and_can_swap_priorities() {
    let mut world = World::new();
    let (listener, targets) = listening(&mut world);
    let create = |world: &mut World, priority: u32| {
        let form = format!("ListenerArn={listener}&Priority={priority}&{PATH}&{FIXED}");
        world.call("CreateRule", &form).map(|answer| element(&answer, "RuleArn").to_owned())
    };
    let (one, other) = (create(&mut world, 10).unwrap(), create(&mut world, 9).unwrap());
    assert!(one.starts_with(&listener.replace(":listener/", ":listener-rule/")), "{one}");
    assert_eq!(code(create(&mut world, 10)), "PriorityInUse");
    assert_eq!(code(create(&mut world, 50_001)), "ValidationError");
    assert_eq!(priorities(&mut world, &listener), ["9", "10", "default"]);

    let swap = format!(
        "RulePriorities.member.1.RuleArn={one}&RulePriorities.member.1.Priority=9\
         &RulePriorities.member.2.RuleArn={other}&RulePriorities.member.2.Priority=10"
    );
    world.call("SetRulePriorities", &swap).unwrap();
    let shown = world.call("DescribeRules", &format!("RuleArns.member.1={one}")).unwrap();
    assert_eq!(element(&shown, "Priority"), "9");
    let taken = format!("RulePriorities.member.1.RuleArn={one}&RulePriorities.member.1.Priority=10");
    assert_eq!(code(world.call("SetRulePriorities", &taken)), "PriorityInUse");

    let forward = format!(
        "RuleArn={one}&Actions.member.1.Type=forward\
         &Actions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn={targets}\
         &Actions.member.1.ForwardConfig.TargetGroupStickinessConfig.Enabled=true\
         &Actions.member.1.ForwardConfig.TargetGroupStickinessConfig.DurationSeconds=60"
    );
    let shown = world.call("ModifyRule", &forward).unwrap();
    assert!(shown.contains("<Values><member>/a*</member></Values>"), "the conditions stay: {shown}");
    assert!(shown.contains("<Enabled>true</Enabled><DurationSeconds>60</DurationSeconds>"), "{shown}");
    world.call("DeleteRule", &format!("RuleArn={other}")).unwrap();
    assert_eq!(code(world.call("DeleteRule", &format!("RuleArn={other}"))), "RuleNotFound");
    let shown = world.call("DescribeRules", &format!("ListenerArn={listener}")).unwrap();
    let default = shown.split("<RuleArn>").last().unwrap().split('<').next().unwrap().to_owned();
    assert_eq!(code(world.call("DeleteRule", &format!("RuleArn={default}"))), "OperationNotPermitted");
    assert_eq!(code(world.call("DeleteTargetGroup", &format!("TargetGroupArn={targets}"))), "ResourceInUse");

    let tag = format!("ResourceArns.member.1={one}&Tags.member.1.Key=team&Tags.member.1.Value=blue");
    world.call("AddTags", &tag).unwrap();
    let shown = world.call("DescribeTags", &format!("ResourceArns.member.1={one}")).unwrap();
    assert_eq!(element(&shown, "Value"), "blue");
}

#[test]
fn invalid_rules_are_refused() {
    let mut world = World::new();
    let (listener, _) = listening(&mut world);
    let mut refused = |conditions: &str, actions: &str, expected: &str| {
        let form = format!("ListenerArn={listener}&Priority=1&{conditions}&{actions}");
        let error = world.call("CreateRule", &form).unwrap_err();
        assert!(error.starts_with(expected), "{conditions} {actions}: {error}");
    };
    refused("", FIXED, "ValidationError");
    refused(PATH, "", "ValidationError");
    refused(&format!("{PATH}&{}", PATH.replace("member.1", "member.2")), FIXED, "ValidationError");
    let values = (1..=6).map(|index| format!("Conditions.member.1.Values.member.{index}=/{index}"));
    let values = values.collect::<Vec<_>>().join("&");
    refused(&format!("Conditions.member.1.Field=path-pattern&{values}"), FIXED, "ValidationError");
    refused("Conditions.member.1.Field=colour&Conditions.member.1.Values.member.1=x", FIXED, "ValidationError");
    let source = "Conditions.member.1.Field=source-ip&Conditions.member.1.SourceIpConfig.Values.member.1=10.0.0.1";
    refused(source, FIXED, "ValidationError");
    refused(PATH, "Actions.member.1.Type=authenticate-oidc", "InvalidConfigurationRequest");
    refused(PATH, "Actions.member.1.Type=dance", "ValidationError");
    let status = "Actions.member.1.Type=fixed-response&Actions.member.1.FixedResponseConfig.StatusCode=302";
    refused(PATH, status, "InvalidLoadBalancerAction");
    let redirect = "Actions.member.1.Type=redirect&Actions.member.1.RedirectConfig.StatusCode=HTTP_301";
    refused(PATH, redirect, "InvalidLoadBalancerAction");
    let with = |part: &str| format!("{redirect}&Actions.member.1.RedirectConfig.{part}");
    refused(PATH, &with("Protocol=FTP"), "InvalidLoadBalancerAction");
    refused(PATH, &with("Path=x"), "InvalidLoadBalancerAction");
    refused(PATH, &with("Host=%23{colour}"), "InvalidLoadBalancerAction");
    let forward = "Actions.member.1.Type=forward&Actions.member.1.TargetGroupArn=arn:aws:x:targetgroup/no/1";
    refused(PATH, forward, "TargetGroupNotFound");
    refused(PATH, &format!("{FIXED}&{}", FIXED.replace("member.1", "member.2")), "InvalidLoadBalancerAction");
    refused(&format!("{PATH}&Transforms.member.1.Type=url-rewrite"), FIXED, "UnsupportedParameter");
}

/// Adds a certificate without content, and returns its ARN.
pub(super) fn certificate(plane: &mut ControlPlane, name: &str) -> String {
    let arn = plane.cloud.scope("us-east-1").arn("acm", format_args!("certificate/{name}"));
    let moment = Utc::now();
    let facts = crate::model::acm::Facts {
        domain: name.to_owned(),
        names: vec![name.to_owned()],
        serial: String::new(),
        subject: String::new(),
        issuer: String::new(),
        not_before: moment,
        not_after: moment,
        key_algorithm: "EC_prime256v1".to_owned(),
        signature_algorithm: String::new(),
        key_usages: Vec::new(),
        extended_key_usages: Vec::new(),
    };
    let certificate = crate::model::acm::Certificate {
        arn: arn.clone(),
        body: String::new(),
        chain: None,
        private_key: String::new(),
        facts,
        imported: moment,
        requested: None,
        tags: Tags::new(),
    };
    plane.cloud.regions.get_mut("us-east-1").unwrap().acm.certificates.insert(arn.clone(), certificate);
    arn
}

#[test]
fn https_listeners_require_existing_certificates() {
    let mut world = World::new();
    let balancer = world.balancer("web");
    let (one, other) = (certificate(&mut world.plane, "one"), certificate(&mut world.plane, "other"));
    let fixed = FIXED.replace("Actions", "DefaultActions");
    let form = |more: &str| format!("LoadBalancerArn={balancer}&Protocol=HTTPS&Port=8443&{fixed}{more}");
    let shown = |arn: &str| format!("&Certificates.member.1.CertificateArn={arn}");
    assert_eq!(code(world.call("CreateListener", &form(""))), "ValidationError");
    assert_eq!(code(world.call("CreateListener", &form(&shown("arn:aws:acm:x")))), "CertificateNotFound");
    let policy = form(&format!("{}&SslPolicy=no-such", shown(&one)));
    assert_eq!(code(world.call("CreateListener", &policy)), "SSLPolicyNotFound");
    let answer = world.call("CreateListener", &form(&shown(&one))).unwrap();
    assert_eq!(element(&answer, "SslPolicy"), "ELBSecurityPolicy-2016-08");
    let listener = element(&answer, "ListenerArn").to_owned();

    let change = |arn: &str| format!("ListenerArn={listener}&Certificates.member.1.CertificateArn={arn}");
    world.call("AddListenerCertificates", &change(&other)).unwrap();
    let described = world.call("DescribeListenerCertificates", &format!("ListenerArn={listener}")).unwrap();
    assert_eq!(described.matches("<IsDefault>true</IsDefault>").count(), 1);
    assert_eq!(described.matches("<CertificateArn>").count(), 2);
    assert_eq!(code(world.call("RemoveListenerCertificates", &change(&one))), "OperationNotPermitted");
    world.call("ModifyListener", &change(&other)).unwrap();
    let described = world.call("DescribeListenerCertificates", &format!("ListenerArn={listener}")).unwrap();
    assert_eq!(described.matches("<CertificateArn>").count(), 1, "it took the default's place");

    let plain = world.call("ModifyListener", &format!("ListenerArn={listener}&Protocol=HTTP")).unwrap();
    assert!(!plain.contains("SslPolicy"), "{plain}");
    assert_eq!(code(world.call("AddListenerCertificates", &change(&one))), "ValidationError");
    let name = "Names.member.1=ELBSecurityPolicy-TLS13-1-3-2021-06";
    let policies = world.call("DescribeSSLPolicies", name).unwrap();
    assert!(policies.contains("TLSv1.3") && !policies.contains("TLSv1.2"), "{policies}");
}

#[test]
fn a_group_belongs_to_one_balancer_and_accepts_targets_of_its_type() {
    let mut world = World::new();
    let (_, targets) = listening(&mut world);
    let other = world.balancer("other");
    let form = format!(
        "LoadBalancerArn={other}&Protocol=HTTP&Port=8081&DefaultActions.member.1.Type=forward\
         &DefaultActions.member.1.TargetGroupArn={targets}"
    );
    assert_eq!(code(world.call("CreateListener", &form)), "TargetGroupAssociationLimit");
    let form = format!("Name=addresses&Protocol=HTTP&Port=80&TargetType=ip&VpcId={}", world.vpc);
    let addresses = element(&world.call("CreateTargetGroup", &form).unwrap(), "TargetGroupArn").to_owned();
    let register = |arn: &str, id: &str| format!("TargetGroupArn={arn}&Targets.member.1.Id={id}");
    world.call("RegisterTargets", &register(&addresses, "127.0.0.1")).unwrap();
    assert_eq!(code(world.call("RegisterTargets", &register(&addresses, "10.0.0.1"))), "InvalidTarget");
    assert_eq!(code(world.call("RegisterTargets", &register(&addresses, "i-1"))), "ValidationError");
    assert_eq!(code(world.call("RegisterTargets", &register(&targets, "127.0.0.1"))), "InvalidTarget");
    let health = world.call("DescribeTargetHealth", &format!("TargetGroupArn={addresses}")).unwrap();
    assert_eq!((element(&health, "Id"), element(&health, "Port")), ("127.0.0.1", "80"));
    world.plane.cloud.use_private_addresses();
    for private in ["172.31.0.9", "10.0.0.1", "100.64.0.1"] {
        world.call("RegisterTargets", &register(&addresses, private)).unwrap();
    }
    for public in ["127.0.0.1", "192.0.2.1", "100.128.0.1"] {
        assert_eq!(code(world.call("RegisterTargets", &register(&addresses, public))), "InvalidTarget");
    }
    let limits = world.call("DescribeAccountLimits", "").unwrap();
    assert!(limits.contains("<Name>rules-per-application-load-balancer</Name><Max>100</Max>"), "{limits}");
}

#[test]
fn target_groups_have_the_defaults_of_their_type_and_protocol() {
    let mut world = World::new();
    let vpc = world.vpc.clone();
    let mut create = |form: &str| world.call("CreateTargetGroup", &form.replace("{vpc}", &vpc));
    let tcp = create("Name=tcp&Protocol=TCP&Port=5432&VpcId={vpc}").unwrap();
    insta::assert_snapshot!(outline(&tcp), @"
    CreateTargetGroupResponse
      CreateTargetGroupResult
        TargetGroups
          member
            TargetGroupArn: arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/tcp/[id]
            TargetGroupName: tcp
            Protocol: TCP
            Port: 5432
            VpcId: vpc-[id]
            HealthCheckProtocol: TCP
            HealthCheckPort: traffic-port
            HealthCheckEnabled: true
            HealthCheckIntervalSeconds: 30
            HealthCheckTimeoutSeconds: 10
            HealthyThresholdCount: 5
            UnhealthyThresholdCount: 2
            LoadBalancerArns
            TargetType: instance
            IpAddressType: ipv4
      ResponseMetadata
        RequestId: r
    ");
    let functions = create("Name=functions&TargetType=lambda").unwrap();
    assert!(!functions.contains("<Protocol>") && !functions.contains("<VpcId>"), "{functions}");
    assert_eq!(element(&functions, "HealthCheckEnabled"), "false");
    assert_eq!(element(&functions, "HealthCheckIntervalSeconds"), "35");
    let grpc = create("Name=grpc&Protocol=HTTP&ProtocolVersion=GRPC&Port=80&VpcId={vpc}").unwrap();
    assert_eq!((element(&grpc, "GrpcCode"), element(&grpc, "HealthCheckPath")), ("12", "/AWS.ALB/healthcheck"));
    let geneve = create("Name=geneve&Protocol=GENEVE&Port=6081&VpcId={vpc}").unwrap();
    assert_eq!((element(&geneve, "HealthCheckPort"), element(&geneve, "HealthCheckIntervalSeconds")), ("80", "10"));
    let checked = create("Name=checked&Protocol=TLS&Port=443&VpcId={vpc}&HealthCheckProtocol=HTTP").unwrap();
    assert_eq!((element(&checked, "HttpCode"), element(&checked, "HealthCheckTimeoutSeconds")), ("200-399", "6"));

    for (form, expected) in [
        ("Name=x&Port=80&VpcId={vpc}", "ValidationError: A protocol must be specified"),
        ("Name=x&Protocol=HTTP&VpcId={vpc}", "ValidationError: A port must be specified"),
        ("Name=x&Protocol=HTTP&Port=80", "ValidationError: A VPC ID must be specified"),
        (
            "Name=x&Protocol=TCP&Port=80&VpcId={vpc}&HealthCheckPath=/",
            "ValidationError: You cannot specify a health check path",
        ),
        (
            "Name=x&Protocol=TCP&Port=80&VpcId={vpc}&Matcher.HttpCode=200",
            "InvalidConfigurationRequest: Custom health check matchers are not supported",
        ),
        (
            "Name=x&Protocol=HTTP&Port=80&VpcId={vpc}&HealthCheckEnabled=false",
            "ValidationError: Health check enabled must be true for target groups with target type 'instance'",
        ),
        (
            "Name=x&Protocol=HTTP&Port=80&VpcId={vpc}&HealthCheckProtocol=TCP",
            "ValidationError: Health check protocol 'TCP' must be one of 'HTTP, HTTPS'",
        ),
        (
            "Name=x&Protocol=HTTP&Port=80&VpcId={vpc}&Matcher.GrpcCode=1",
            "InvalidConfigurationRequest: You must specify HTTP",
        ),
        ("Name=x&TargetType=lambda&Port=80", "ValidationError: A port cannot be specified"),
        (
            "Name=x&TargetType=alb&Protocol=HTTP&Port=80&VpcId={vpc}",
            "ValidationError: Protocol 'HTTP' is not supported",
        ),
        ("Name=x&Protocol=GENEVE&Port=80&VpcId={vpc}", "ValidationError: Port '80' must be 6081"),
    ] {
        let error = create(form).unwrap_err();
        assert!(error.starts_with(expected), "{form}: {error}");
    }
    let attributes = world
        .call("DescribeTargetGroupAttributes", &format!("TargetGroupArn={}", element(&functions, "TargetGroupArn")))
        .unwrap();
    assert_eq!(attributes.matches("<Key>").count(), 1);
    assert_eq!(element(&attributes, "Key"), "lambda.multi_value_headers.enabled");
}

#[test]
fn application_load_balancers_forward_only_to_groups_of_http() {
    let mut world = World::new();
    let balancer = world.balancer("web");
    let vpc = world.vpc.clone();
    for (form, expected) in [
        (format!("Name=tcp&Protocol=TCP&Port=80&VpcId={vpc}"), "IncompatibleProtocols: The target group 'arn:"),
        (
            format!("Name=grpc&Protocol=HTTP&ProtocolVersion=GRPC&Port=80&VpcId={vpc}"),
            "InvalidLoadBalancerAction: Listener protocol 'HTTP' is not supported with a target group with the \
             protocol-version 'GRPC'",
        ),
        ("Name=functions&TargetType=lambda".to_owned(), "InvalidConfigurationRequest: The local cloud has no Lambda"),
    ] {
        let created = world.call("CreateTargetGroup", &form).unwrap();
        let arn = element(&created, "TargetGroupArn");
        let listener = format!(
            "LoadBalancerArn={balancer}&Protocol=HTTP&Port=8080&DefaultActions.member.1.Type=forward\
             &DefaultActions.member.1.TargetGroupArn={arn}"
        );
        let error = world.call("CreateListener", &listener).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn checks_of_targets_are_in_the_clear_by_default() {
    let mut world = World::new();
    let form = |more: &str| format!("Name=tls&Port=8443&VpcId={}&{more}", world.vpc);
    let [secure, checked] =
        ["Protocol=HTTPS&ProtocolVersion=HTTP1", "Protocol=HTTPS&HealthCheckProtocol=HTTPS"].map(form);
    let created = world.call("CreateTargetGroup", &secure).unwrap();
    let shown = |answer: &str| ["Protocol", "HealthCheckProtocol"].map(|name| element(answer, name).to_owned());
    assert_eq!(shown(&created), ["HTTPS", "HTTP"]);
    assert_eq!(code(world.call("CreateTargetGroup", &checked)), "DuplicateTargetGroupName");
    let form = format!("TargetGroupArn={}&HealthCheckProtocol=HTTPS", element(&created, "TargetGroupArn"));
    assert_eq!(shown(&world.call("ModifyTargetGroup", &form).unwrap()), ["HTTPS", "HTTPS"]);
}

#[test]
fn unknown_resources_are_reported_with_the_texts_of_aws() {
    let mut world = World::new();
    let (listener, _) = listening(&mut world);
    let arn = |kind: &str| format!("arn:aws:elasticloadbalancing:us-east-1:000000000000:{kind}/no/0123456789abcdef");
    for (operation, form, expected) in [
        (
            "DescribeLoadBalancers",
            format!("LoadBalancerArns.member.1={}", arn("loadbalancer/app")),
            "LoadBalancerNotFound: One or more load balancers not found",
        ),
        (
            "DescribeLoadBalancers",
            "Names.member.1=no".to_owned(),
            "LoadBalancerNotFound: Load balancers '[no]' not found",
        ),
        (
            "DescribeTargetGroups",
            "Names.member.1=no".to_owned(),
            "TargetGroupNotFound: One or more target groups not found",
        ),
        (
            "DescribeListeners",
            format!("ListenerArns.member.1={}", arn("listener/app")),
            "ListenerNotFound: One or more listeners not found",
        ),
        (
            "DescribeRules",
            format!("RuleArns.member.1={}", arn("listener-rule/app")),
            "RuleNotFound: One or more rules not found",
        ),
        (
            "CreateListener",
            format!("LoadBalancerArn={}&Port=80", arn("loadbalancer/app")),
            "ValidationError: A listener protocol must be specified",
        ),
        (
            "ModifyListener",
            format!("ListenerArn={listener}&Protocol=TCP"),
            "ValidationError: Listener protocol 'TCP' must be one of 'HTTP, HTTPS'",
        ),
    ] {
        assert_eq!(world.call(operation, &form).unwrap_err(), expected);
    }
}
