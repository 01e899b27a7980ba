"""Preparations of the examples of Elastic Load Balancing."""

import re

DIFFERENCES = {
    ("DescribeTargetHealth", "TargetHealthDescriptions.TargetHealth"): "no listener uses the prepared target group",
    ("DescribeSSLPolicies", "SslPolicies.Ciphers"): "the ciphers of the policy's successor",
    ("DescribeSSLPolicies", "SslPolicies.SslProtocols"): "the protocols of the policy's successor",
}
EXCLUSIVE = {}
IMPOSSIBLE = {}


def prepare(example):
    given, operation = example.input, example.operation
    text = str(given)
    for name in ("my-load-balancer", "my-internal-load-balancer", "my-targets", "my-https-targets"):
        if given.get("Name") == name:
            example.unique(name)
    if "Subnets" in given:
        for documented, actual in zip(given["Subnets"], example.world.default_subnets()):
            example.actual[documented] = actual
    for security_group in given.get("SecurityGroups", []):
        example.actual[security_group] = example.call(
            "CreateSecurityGroup",
            "ec2",
            VpcId=example.world.default_vpc(),
            GroupName=f"group-{example.suffix}",
            Description="d",
        )["GroupId"]
    # The documented policy is no longer offered by Application Load Balancers.
    example.actual["ELBSecurityPolicy-2015-05"] = "ELBSecurityPolicy-2016-08"
    example.actual["sg-5943793c"] = example.actual.get("sg-5943793c") or default_group(example)
    if "VpcId" in given:
        example.actual[given["VpcId"]] = example.world.default_vpc()
    if "server-certificate" in text:
        for certificate in given["Certificates"]:
            example.actual[certificate["CertificateArn"]] = example.certificate()
    for arn in sorted(set(re.findall(r"arn:aws:elasticloadbalancing:[^'\"]+", text))):
        kind = arn.split(":")[5].split("/")[0]
        example.actual[arn] = KINDS[kind](example, arn)
    for target in given.get("Targets", []):
        if target["Id"] not in example.actual:
            example.actual[target["Id"]] = example.instance()
    # The policy of the prepared listeners of Application Load Balancers.
    example.actual["ELBSecurityPolicy-2015-05"] = "ELBSecurityPolicy-2016-08"
    ARRANGED.get(operation, lambda example: None)(example)


def default_group(example):
    filters = [
        {"Name": "vpc-id", "Values": [example.world.default_vpc()]},
        {"Name": "group-name", "Values": ["default"]},
    ]
    return example.call("DescribeSecurityGroups", "ec2", Filters=filters)["SecurityGroups"][0]["GroupId"]


def targets(example, arn):
    """Creates a target group, which a listener uses if the output says so."""
    secure = "https" in arn
    made = example.call(
        "CreateTargetGroup",
        Name=f"targets-{example.world.number()}",
        VpcId=example.world.default_vpc(),
        Protocol="HTTPS" if secure else "HTTP",
        Port=443 if secure else 80,
    )["TargetGroups"][0]["TargetGroupArn"]
    if "LoadBalancerArns" in str(example.output):
        example.call(
            "CreateListener",
            LoadBalancerArn=balancer(example),
            Port=80,
            Protocol="HTTP",
            DefaultActions=[{"Type": "forward", "TargetGroupArn": made}],
        )
    return made


def balancer(example, arn=None):
    return example.fact(
        "balancer",
        lambda: example.call(
            "CreateLoadBalancer", Name=f"balancer-{example.suffix}", Subnets=example.world.default_subnets()[:2]
        )["LoadBalancers"][0]["LoadBalancerArn"],
    )


def listener(example, arn=None):
    secure = "Certificates" in example.input
    more = (
        {
            "Port": 443,
            "Protocol": "HTTPS",
            "Certificates": [{"CertificateArn": example.certificate()}],
            "SslPolicy": "ELBSecurityPolicy-2016-08",
        }
        if secure
        else {"Port": 80, "Protocol": "HTTP"}
    )
    return example.fact(
        "listener",
        lambda: example.call(
            "CreateListener",
            LoadBalancerArn=balancer(example),
            DefaultActions=[{"Type": "forward", "TargetGroupArn": targets(example, "")}],
            **more,
        )["Listeners"][0]["ListenerArn"],
    )


def rule(example, arn):
    pattern = "/img/*" if "/img/*" in str(example.output) else "/images/*"
    return example.call(
        "CreateRule",
        ListenerArn=listener(example),
        Priority=10,
        Actions=[{"Type": "forward", "TargetGroupArn": targets(example, "")}],
        Conditions=[{"Field": "path-pattern", "Values": [pattern]}],
    )["Rules"][0]["RuleArn"]


KINDS = {"targetgroup": targets, "loadbalancer": balancer, "listener": listener, "listener-rule": rule}


def tagged(example):
    tags = [{"Key": "project", "Value": "lima"}, {"Key": "department", "Value": "digital-media"}]
    example.call("AddTags", ResourceArns=[example.actual[arn] for arn in example.input["ResourceArns"]], Tags=tags)


def registered(example):
    arn = example.actual[example.input["TargetGroupArn"]]
    for target in example.output["TargetHealthDescriptions"][:1] if example.output else example.input["Targets"]:
        target = target.get("Target", target)
        actual = example.actual.get(target["Id"]) or example.instance()
        example.actual[target["Id"]] = actual
        example.call("RegisterTargets", TargetGroupArn=arn, Targets=[{"Id": actual}])


def logs(example):
    attributes = {one["Key"]: one for one in example.input["Attributes"]}
    if "access_logs.s3.bucket" in attributes:
        name = f"my-loadbalancer-logs-{example.suffix}"
        example.call("CreateBucket", "s3", Bucket=name)
        example.call(
            "PutBucketPolicy",
            "s3",
            Bucket=name,
            Policy='{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
            '"Principal":{"Service":"logdelivery.elasticloadbalancing.amazonaws.com"},"Action":"s3:PutObject",'
            f'"Resource":"arn:aws:s3:::{name}/*"}}]}}',
        )
        attributes["access_logs.s3.bucket"]["Value"] = name


ARRANGED = {
    "DescribeTags": tagged,
    "RemoveTags": tagged,
    "DeregisterTargets": registered,
    "DescribeTargetHealth": registered,
    "ModifyLoadBalancerAttributes": logs,
}
