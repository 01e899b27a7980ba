"""Errors of Elastic Load Balancing."""

from errors import Case, fill, unknown

NO_TRUST_STORES = "trust stores (mutual TLS) are refused by name"
REASONS = {
    "TrustStoreNotFound": NO_TRUST_STORES,
    "TrustStoreNotReady": NO_TRUST_STORES,
    "TooManyLoadBalancers": "other services' cases create load balancers at the same time",
    "TooManyTargetGroups": "quotas of thousands of resources",
    "TooManyRegistrationsForTargetId": "quotas of hundreds of resources",
    **{
        (operation, "TooManyTargets"): "targets are counted by group, when they are registered"
        for operation in ("CreateListener", "CreateRule", "ModifyListener", "ModifyRule")
    },
    "TooManyUniqueTargetGroupsPerLoadBalancer": "quotas of hundreds of resources",
    "TargetGroupAssociationLimit": "a target group of Application Load Balancers has no such limit here",
    "HealthUnavailable": "an internal failure",
    "CapacityReservationPending": "capacity reservations",
    "ALPNPolicyNotFound": "ALPN policies of Network Load Balancers",
    "AllocationIdNotFound": "addresses of Network Load Balancers",
    "AvailabilityZoneNotSupported": "all zones are supported",
    "UnsupportedProtocol": "Network Load Balancers",
    **{
        (operation, "TooManyCertificates"): "the listener itself has one certificate"
        for operation in ("CreateListener", "ModifyListener")
    },
    ("ModifyListener", "TooManyListeners"): "a change adds no listener",
    ("SetSubnets", "CapacityReservationPending"): "capacity reservations",
    ("DescribeTags", "TrustStoreNotFound"): NO_TRUST_STORES,
    "InvalidScheme": "the constraint of the scheme is checked before",
    "IncompatibleProtocols": "Network Load Balancers",
    "InvalidConfigurationRequest": "violated constraints and dependencies have the code ValidationError",
    ("CreateLoadBalancer", "ResourceInUse"): "addresses of Network Load Balancers",
    ("CreateLoadBalancer", "OperationNotPermitted"): "a permission of the account",
    ("DeleteListener", "ResourceInUse"): "endpoint services",
    ("DeleteLoadBalancer", "ResourceInUse"): "endpoint services",
    ("DeregisterTargets", "InvalidTarget"): "a target that is not registered is ignored",
    (
        "DeleteLoadBalancer",
        "LoadBalancerNotFound",
    ): "deleting an absent load balancer succeeds, as the API reference says",
    ("RemoveTags", "TooManyTags"): "a quota that a removal cannot exceed",
    "InvalidSubnet": "subnets that are too small",
    "InvalidLoadBalancerAction": "actions of Network Load Balancers",
}


def cases(world, model, operations):
    n, elb = f"errors-{world.number()}", world.client("elbv2")
    vpc, subnets = world.default_vpc(), world.default_subnets()
    balancer = elb.create_load_balancer(Name=n, Subnets=subnets[:2])["LoadBalancers"][0]["LoadBalancerArn"]
    target = elb.create_target_group(Name=n, Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0]["TargetGroupArn"]
    actions = [{"Type": "forward", "TargetGroupArn": target}]
    listener = elb.create_listener(LoadBalancerArn=balancer, Port=80, Protocol="HTTP", DefaultActions=actions)[
        "Listeners"
    ][0]["ListenerArn"]
    conditions = [{"Field": "path-pattern", "Values": ["/x"]}]
    rule = elb.create_rule(ListenerArn=listener, Priority=1, Actions=actions, Conditions=conditions)["Rules"][0][
        "RuleArn"
    ]
    certificate = world.call("acm", "RequestCertificate", DomainName=f"{n}.example.com")["CertificateArn"]
    samples = {
        "LoadBalancerArn": balancer,
        "TargetGroupArn": target,
        "ListenerArn": listener,
        "RuleArn": rule,
        "DefaultActions": actions,
        "Actions": actions,
        "Conditions": conditions,
        "Priority": 9,
        ("ModifyLoadBalancerAttributes", "Attributes"): [{"Key": "idle_timeout.timeout_seconds", "Value": "60"}],
        ("ModifyTargetGroupAttributes", "Attributes"): [{"Key": "deregistration_delay.timeout_seconds", "Value": "60"}],
        ("ModifyListenerAttributes", "Attributes"): [{"Key": "routing.http.response.server.enabled", "Value": "true"}],
        "Certificates": [{"CertificateArn": certificate}],
        "ResourceArns": [balancer],
        "Tags": [{"Key": "k", "Value": "v"}],
        "TagKeys": ["k"],
        "Targets": [{"Id": "i-00000000000000000"}],
        "Name": n,
        "RulePriorities": [{"RuleArn": rule, "Priority": 3}],
        "SecurityGroups": [group(world)],
        "Subnets": subnets[:2],
        "IpAddressType": "ipv4",
    }

    def none(arn):
        return arn.rsplit("/", 1)[0] + "/0000000000000000"

    table = {
        "LoadBalancerArn": ("LoadBalancerNotFound", none(balancer)),
        "LoadBalancerArns": ("LoadBalancerNotFound", none(balancer)),
        "TargetGroupArn": ("TargetGroupNotFound", none(target)),
        "TargetGroupArns": ("TargetGroupNotFound", none(target)),
        "ListenerArn": ("ListenerNotFound", none(listener)),
        "ListenerArns": ("ListenerNotFound", none(listener)),
        "RuleArn": ("RuleNotFound", none(rule)),
        "RuleArns": ("RuleNotFound", none(rule)),
        "SslPolicy": ("SSLPolicyNotFound", "none"),
    }
    kept = {
        ("CreateListener", "SslPolicy"),
        ("ModifyListener", "SslPolicy"),
        ("DeleteTargetGroup", "TargetGroupArn"),
        ("DeleteLoadBalancer", "LoadBalancerArn"),
        ("CreateListener", "LoadBalancerArn"),
    }
    yield from unknown(model, operations, samples, table, kept)
    yield Case(
        "CreateListener",
        "LoadBalancerNotFound",
        {"LoadBalancerArn": none(balancer), "Port": 81, "Protocol": "HTTP", "DefaultActions": actions},
    )
    yield Case("SetRulePriorities", "RuleNotFound", {"RulePriorities": [{"RuleArn": none(rule), "Priority": 7}]})
    yield Case("DescribeSSLPolicies", "SSLPolicyNotFound", {"Names": ["none"]})
    secure = {"LoadBalancerArn": balancer, "Port": 443, "Protocol": "HTTPS", "DefaultActions": actions}
    yield Case(
        "CreateListener", "SSLPolicyNotFound", {**secure, "Certificates": samples["Certificates"], "SslPolicy": "none"}
    )
    missing = certificate.rsplit("/", 1)[0] + "/00000000-0000-0000-0000-000000000000"
    yield Case("CreateListener", "CertificateNotFound", {**secure, "Certificates": [{"CertificateArn": missing}]})
    https = elb.create_listener(**secure, Certificates=samples["Certificates"])["Listeners"][0]["ListenerArn"]
    yield Case("ModifyListener", "SSLPolicyNotFound", {"ListenerArn": https, "SslPolicy": "none"})
    yield Case(
        "ModifyListener", "CertificateNotFound", {"ListenerArn": https, "Certificates": [{"CertificateArn": missing}]}
    )
    yield Case(
        "AddListenerCertificates",
        "CertificateNotFound",
        {"ListenerArn": https, "Certificates": [{"CertificateArn": missing}]},
    )
    yield Case(
        "CreateListener",
        "DuplicateListener",
        {"LoadBalancerArn": balancer, "Port": 80, "Protocol": "HTTP", "DefaultActions": actions},
        "A listener already exists on this port for this load balancer",
    )
    yield Case("ModifyListener", "DuplicateListener", {"ListenerArn": https, "Port": 80})
    bad = [{"Type": "forward", "TargetGroupArn": none(target)}]
    for operation, given in {
        "CreateListener": {"LoadBalancerArn": balancer, "Port": 82, "Protocol": "HTTP", "DefaultActions": bad},
        "ModifyListener": {"ListenerArn": listener, "DefaultActions": bad},
        "CreateRule": {"ListenerArn": listener, "Priority": 5, "Conditions": conditions, "Actions": bad},
        "ModifyRule": {"RuleArn": rule, "Actions": bad},
    }.items():
        yield Case(operation, "TargetGroupNotFound", given)
        member = "DefaultActions" if "DefaultActions" in given else "Actions"
        fixed = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}
        yield Case(operation, "TooManyActions", {**given, member: [{**fixed, "Order": order} for order in range(1, 7)]})
    yield Case(
        "CreateRule",
        "PriorityInUse",
        {"ListenerArn": listener, "Priority": 1, "Actions": actions, "Conditions": conditions},
        "Priority",
    )
    second = elb.create_rule(ListenerArn=listener, Priority=2, Actions=actions, Conditions=conditions)["Rules"][0][
        "RuleArn"
    ]
    yield Case("SetRulePriorities", "PriorityInUse", {"RulePriorities": [{"RuleArn": second, "Priority": 1}]})
    default = elb.describe_rules(ListenerArn=listener)["Rules"][-1]["RuleArn"]
    for operation, more in {"DeleteRule": {}, "ModifyRule": {"Conditions": conditions}}.items():
        yield Case(operation, "OperationNotPermitted", {"RuleArn": default, **more})
    yield Case("SetRulePriorities", "OperationNotPermitted", {"RulePriorities": [{"RuleArn": default, "Priority": 7}]})
    yield Case(
        "DeleteTargetGroup", "ResourceInUse", {"TargetGroupArn": target}, "is currently in use by a listener or a rule"
    )
    yield Case(
        "CreateTargetGroup", "DuplicateTargetGroupName", {"Name": n, "Protocol": "HTTPS", "Port": 443, "VpcId": vpc}
    )
    yield Case(
        "CreateLoadBalancer", "DuplicateLoadBalancerName", {"Name": n, "Subnets": subnets[1:3], "Scheme": "internal"}
    )
    create = {"Name": f"{n}-2", "Subnets": subnets[:2]}
    yield Case("CreateLoadBalancer", "SubnetNotFound", {**create, "Subnets": ["subnet-00000000000000000", subnets[0]]})
    yield Case(
        "SetSubnets",
        "SubnetNotFound",
        {"LoadBalancerArn": balancer, "Subnets": ["subnet-00000000000000000", subnets[0]]},
    )
    second_subnet = same_zone(world, subnets[0])
    for operation, given in {"CreateLoadBalancer": create, "SetSubnets": {"LoadBalancerArn": balancer}}.items():
        yield Case(
            operation,
            "InvalidConfigurationRequest",
            {**given, "Subnets": [subnets[0], second_subnet]},
            "cannot be attached to multiple subnets in the same Availability Zone",
        )
    for operation, given in {"CreateLoadBalancer": create, "SetSecurityGroups": {"LoadBalancerArn": balancer}}.items():
        yield Case(operation, "InvalidSecurityGroup", {**given, "SecurityGroups": ["sg-00000000000000000"]})
    yield Case(
        "RegisterTargets", "InvalidTarget", {"TargetGroupArn": target, "Targets": [{"Id": "i-00000000000000000"}]}
    )
    yield Case(
        "DescribeTargetHealth", "InvalidTarget", {"TargetGroupArn": target, "Targets": [{"Id": "i-00000000000000000"}]}
    )
    twice = [{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}]
    many = [{"Key": f"k{number}", "Value": "v"} for number in range(51)]
    creations = {
        "CreateLoadBalancer": create,
        "CreateTargetGroup": {"Name": f"{n}-3", "Protocol": "HTTP", "Port": 80, "VpcId": vpc},
        "CreateListener": {"LoadBalancerArn": balancer, "Port": 83, "Protocol": "HTTP", "DefaultActions": actions},
        "CreateRule": {"ListenerArn": listener, "Priority": 8, "Conditions": conditions, "Actions": actions},
    }
    yield Case("AddTags", "DuplicateTagKeys", {"ResourceArns": [balancer], "Tags": twice})
    yield Case("CreateLoadBalancer", "DuplicateTagKeys", {**create, "Tags": twice})
    for operation, given in creations.items():
        yield Case(operation, "TooManyTags", {**given, "Tags": many})
    yield Case("AddTags", "TooManyTags", {"ResourceArns": [balancer], "Tags": many})
    for kind, arn, operation in (
        ("LoadBalancer", balancer, "LoadBalancer"),
        ("TargetGroup", target, "TargetGroup"),
        ("Listener", listener, "Listener"),
        ("Rule", rule, "Rule"),
    ):
        for tagging, more in {
            "AddTags": {"Tags": twice[:1]},
            "RemoveTags": {"TagKeys": ["k"]},
            "DescribeTags": {},
        }.items():
            yield Case(tagging, f"{operation}NotFound", {"ResourceArns": [none(arn)], **more})
    yield Case(
        "ModifyLoadBalancerAttributes",
        "InvalidConfigurationRequest",
        {"LoadBalancerArn": balancer, "Attributes": [{"Key": "none", "Value": "v"}]},
        "Load balancer attribute key 'none' is not recognized",
    )
    yield Case(
        "ModifyTargetGroupAttributes",
        "InvalidConfigurationRequest",
        {"TargetGroupArn": target, "Attributes": [{"Key": "none", "Value": "v"}]},
        "Target group attribute key 'none' is not recognized",
    )
    yield Case(
        "ModifyListenerAttributes",
        "InvalidConfigurationRequest",
        {"ListenerArn": listener, "Attributes": [{"Key": "none", "Value": "v"}]},
    )
    yield Case(
        "RemoveListenerCertificates",
        "OperationNotPermitted",
        {"ListenerArn": https, "Certificates": samples["Certificates"]},
    )
    yield from quotas(world, elb, samples, https)
    elb.modify_load_balancer_attributes(
        LoadBalancerArn=balancer, Attributes=[{"Key": "deletion_protection.enabled", "Value": "true"}]
    )
    yield Case("DeleteLoadBalancer", "OperationNotPermitted", {"LoadBalancerArn": balancer}, "deletion protection")
    elb.modify_load_balancer_attributes(
        LoadBalancerArn=balancer, Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}]
    )


def quotas(world, elb, samples, https):
    """Yields the errors of exceeded quotas."""
    rule = {name: samples[name] for name in ("ListenerArn", "Actions", "Conditions")}
    fill(lambda number: elb.create_rule(**rule, Priority=100 + number))
    yield Case("CreateRule", "TooManyRules", {**rule, "Priority": 50000})
    listener = {"LoadBalancerArn": samples["LoadBalancerArn"], "Protocol": "HTTP", "DefaultActions": samples["DefaultActions"]}
    fill(lambda number: elb.create_listener(**listener, Port=10000 + number))
    yield Case("CreateListener", "TooManyListeners", {**listener, "Port": 20000})
    name = f"errors-{world.number()}"
    certificates = [
        world.call("acm", "RequestCertificate", DomainName=f"{name}-{number}.example.com")["CertificateArn"]
        for number in range(26)
    ]
    certificates = [{"CertificateArn": arn} for arn in certificates]
    yield Case("AddListenerCertificates", "TooManyCertificates", {"ListenerArn": https, "Certificates": certificates})
    created = elb.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=world.default_vpc(), TargetType="ip")
    targets = [{"Id": f"127.0.{number // 250}.{number % 250 + 1}"} for number in range(1001)]
    arn = created["TargetGroups"][0]["TargetGroupArn"]
    yield Case("RegisterTargets", "TooManyTargets", {"TargetGroupArn": arn, "Targets": targets})


def group(world):
    filters = [{"Name": "vpc-id", "Values": [world.default_vpc()]}, {"Name": "group-name", "Values": ["default"]}]
    return world.call("ec2", "DescribeSecurityGroups", Filters=filters)["SecurityGroups"][0]["GroupId"]


def same_zone(world, subnet):
    zone = world.call("ec2", "DescribeSubnets", SubnetIds=[subnet])["Subnets"][0]["AvailabilityZone"]
    return world.call(
        "ec2", "CreateSubnet", VpcId=world.default_vpc(), CidrBlock="172.31.240.0/24", AvailabilityZone=zone
    )["Subnet"]["SubnetId"]
