"""Preparations of the examples of Auto Scaling."""

from world import DOCUMENTED_ACCOUNT, eventually

PREPARED = "the preparation creates another state"
# Differences from the documented outputs, with their reasons.
DIFFERENCES = {
    ("DescribeAccountLimits", "MaxNumberOfAutoScalingGroups"): "AWS's present quota",
    ("DescribeAccountLimits", "MaxNumberOfLaunchConfigurations"): "AWS's present quota",
    ("DescribeAccountLimits", "NumberOfAutoScalingGroups"): PREPARED,
    ("DescribeAccountLimits", "NumberOfLaunchConfigurations"): PREPARED,
    ("DescribeAdjustmentTypes", "AdjustmentTypes.AdjustmentType"): "the example has a misprint",
    ("DescribeAutoScalingGroups", "AutoScalingGroups.AvailabilityZones"): PREPARED,
    (
        "DescribeAutoScalingGroups",
        "AutoScalingGroups.Instances.LaunchConfigurationName",
    ): "the prepared group has a launch template",
    (
        "DescribeAutoScalingGroups",
        "AutoScalingGroups.LaunchConfigurationName",
    ): "the prepared group has a launch template",
    (
        "DescribeAutoScalingInstances",
        "AutoScalingInstances.LaunchConfigurationName",
    ): "the prepared group has a launch template",
    ("DescribeAutoScalingGroups", "AutoScalingGroups.HealthCheckGracePeriod"): "300 in the console, 0 in the API",
    ("DescribeAutoScalingGroups", "AutoScalingGroups.MaxSize"): PREPARED,
    ("DescribeAutoScalingGroups", "AutoScalingGroups.MinSize"): PREPARED,
    ("DescribeLaunchConfigurations", "LaunchConfigurations.SecurityGroups"): PREPARED,
    ("DescribeInstanceRefreshes", "InstanceRefreshes.InstancesToUpdate"): PREPARED,
    ("DescribeInstanceRefreshes", "InstanceRefreshes.PercentageComplete"): PREPARED,
    ("DescribeInstanceRefreshes", "InstanceRefreshes.Status"): PREPARED,
    ("DescribeInstanceRefreshes", "InstanceRefreshes.StatusReason"): PREPARED,
    ("DescribeInstanceRefreshes", "InstanceRefreshes.EndTime"): PREPARED,
    ("DescribeTrafficSources", "TrafficSources"): "the example has a service of VPC Lattice",
    ("DescribeLaunchConfigurations", "LaunchConfigurations.InstanceType"): PREPARED,
}
EXCLUSIVE = {}
IMPOSSIBLE = {
    "DescribeLifecycleHooks": "topics of SNS",
    "PutWarmPool": "warm pools, which are refused by name",
    "AttachLoadBalancers": "Classic Load Balancers",
    "DescribeLoadBalancers": "Classic Load Balancers",
    "DetachLoadBalancers": "Classic Load Balancers",
}
GROUP = "my-auto-scaling-group"


def prepare(example):
    given, operation, text = example.input, example.operation, str(example.input)
    for member in ("LaunchConfigurationName",):
        if member in given:
            example.unique(given[member])
    for name in ("my-template-for-auto-scaling", "my-launch-template-for-x86", "my-launch-template-for-arm"):
        if name in text:
            template(example, example.unique(name))
    if "VPCZoneIdentifier" in given:
        count = given["VPCZoneIdentifier"].count("subnet")
        example.actual[given["VPCZoneIdentifier"]] = ",".join(example.world.default_subnets()[:count])
    for arn in targets(given):
        example.actual[arn] = target_group(example)
    if operation == "CreateAutoScalingGroup":
        example.unique(given["AutoScalingGroupName"])
        return
    if operation in ("CreateLaunchConfiguration", "DeleteLaunchConfiguration", "DescribeLaunchConfigurations"):
        launch_configuration(example)
        return
    if operation == "AttachInstances":
        subnet = example.world.default_subnets()[0]
        example.actual[given["InstanceIds"][0]] = example.instance(SubnetId=subnet)
        group(example, 0)
        return
    size = 2 if operation in NEED_TWO else 1 if "i-" in text.replace("my-", "") else 0
    if operation == "StartInstanceRefresh":
        # AutoRollback needs a version that does not float.
        given["DesiredConfiguration"]["LaunchTemplate"]["Version"] = "1"
    if GROUP in text or size:
        group(example, size)
    ARRANGED.get(operation, lambda example: None)(example)


NEED_TWO = {
    "DescribeAutoScalingGroups",
    "StartInstanceRefresh",
    "CancelInstanceRefresh",
    "DescribeInstanceRefreshes",
    "DetachInstances",
    "EnterStandby",
}


def targets(given):
    yield from given.get("TargetGroupARNs", [])
    for source in given.get("TrafficSources", []):
        yield source["Identifier"]


def template(example, name):
    example.call(
        "CreateLaunchTemplate",
        "ec2",
        LaunchTemplateName=name,
        LaunchTemplateData={"ImageId": example.world.image(), "InstanceType": "t3.micro"},
    )
    return name


def target_group(example):
    return example.call(
        "CreateTargetGroup",
        "elbv2",
        Name=f"targets-{example.suffix}",
        Protocol="HTTP",
        Port=80,
        VpcId=example.world.default_vpc(),
    )["TargetGroups"][0]["TargetGroupArn"]


def group(example, size):
    name = example.unique(GROUP)
    made = template(example, f"template-{example.world.number()}")
    example.call(
        "CreateAutoScalingGroup",
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=6,
        DesiredCapacity=size,
        LaunchTemplate={"LaunchTemplateName": made, "Version": "1"},
        VPCZoneIdentifier=",".join(example.world.default_subnets()[:2]),
    )
    if size:
        ids = members(example, size)
        documented = [
            *example.input.get("InstanceIds", []),
            *([example.input["InstanceId"]] if "InstanceId" in example.input else []),
        ]
        for text in documented:
            example.actual[text] = ids[0]


def members(example, size):
    def look():
        found = example.call("DescribeAutoScalingGroups", AutoScalingGroupNames=[example.unique(GROUP)])[
            "AutoScalingGroups"
        ][0]
        ids = [one["InstanceId"] for one in found["Instances"] if one["LifecycleState"] == "InService"]
        return ids if len(ids) == size else None

    return eventually("the group has its instances", look)


def launch_configuration(example):
    name = example.input.get("LaunchConfigurationName") or example.input["LaunchConfigurationNames"][0]
    more = {"ImageId": example.world.image(), "InstanceType": "t3.micro"}
    if example.operation == "CreateLaunchConfiguration":
        example.input.update(more)
        example.input.pop("IamInstanceProfile")
        example.actual[example.input["SecurityGroups"][0]] = example.security_group()
    else:
        example.call(
            "CreateLaunchConfiguration",
            LaunchConfigurationName=example.unique(name),
            SecurityGroups=[example.security_group()],
            AssociatePublicIpAddress=True,
            **more,
        )


def on_group(operation, **parameters):
    def arrange(example):
        example.call(
            operation,
            AutoScalingGroupName=example.unique(GROUP),
            **{name: value(example) if callable(value) else value for name, value in parameters.items()},
        )

    return arrange


def from_input(member):
    return lambda example: example.input[member]


step = on_group(
    "PutScalingPolicy",
    PolicyName=from_input("PolicyName"),
    PolicyType="StepScaling",
    AdjustmentType="ChangeInCapacity",
    StepAdjustments=[{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
)
hook = on_group(
    "PutLifecycleHook",
    LifecycleHookName=from_input("LifecycleHookName"),
    LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
)
scheduled = on_group(
    "PutScheduledUpdateGroupAction",
    ScheduledActionName="my-scheduled-action",
    MinSize=2,
    MaxSize=6,
    DesiredCapacity=4,
    Recurrence="30 0 1 12 0",
)
TOPIC = "arn:aws:sns:us-west-2:123456789012:my-sns-topic"


def hook_listed(example):
    documented = example.output["LifecycleHooks"][0]
    given = {
        name: documented[name]
        for name in ("LifecycleHookName", "LifecycleTransition", "NotificationTargetARN", "RoleARN")
    }
    on_group("PutLifecycleHook", **given)(example)


def waiting(example):
    """Leaves an instance at the hook, whose action has a token."""
    hook(example)
    on_group("SetDesiredCapacity", DesiredCapacity=1)(example)

    def look():
        found = example.call("DescribeAutoScalingGroups", AutoScalingGroupNames=[example.unique(GROUP)])[
            "AutoScalingGroups"
        ][0]
        return [one["InstanceId"] for one in found["Instances"] if one["LifecycleState"] == "Pending:Wait"]

    instance = eventually("an instance waits at the hook", look)[0]
    example.input.pop("LifecycleActionToken")
    example.input["InstanceId"] = instance


def policies(example):
    on_group("PutScalingPolicy", PolicyName="ScaleIn", AdjustmentType="ChangeInCapacity", ScalingAdjustment=-1)(example)
    on_group(
        "PutScalingPolicy",
        PolicyName="ScalePercentChange",
        AdjustmentType="PercentChangeInCapacity",
        ScalingAdjustment=25,
        Cooldown=60,
        MinAdjustmentStep=2,
    )(example)


def attached(example):
    on_group(
        "AttachTrafficSources",
        TrafficSources=[
            {
                "Identifier": example.actual.get("arn")
                or next((example.actual[arn] for arn in targets(example.input)), None)
                or target_group(example),
                "Type": "elbv2",
            }
        ],
    )(example)


def refreshed(example):
    alarm(example)
    preferences = {
        "AutoRollback": True,
        "InstanceWarmup": 200,
        "MinHealthyPercentage": 90,
        "SkipMatching": False,
        "ScaleInProtectedInstances": "Ignore",
        "StandbyInstances": "Ignore",
        "AlarmSpecification": {"Alarms": ["my-alarm"]},
    }
    name = template(example, f"next-{example.world.number()}")
    on_group(
        "StartInstanceRefresh",
        Preferences=preferences,
        DesiredConfiguration={"LaunchTemplate": {"LaunchTemplateName": name, "Version": "1"}},
    )(example)


def alarm(example):
    example.call(
        "PutMetricAlarm",
        "cloudwatch",
        AlarmName="my-alarm",
        MetricName="m",
        Namespace="n",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
    )


def standby(example):
    on_group(
        "EnterStandby",
        InstanceIds=[example.actual[example.input["InstanceIds"][0]]],
        ShouldDecrementDesiredCapacity=True,
    )(example)


def tags(example):
    tagged = [
        {**tag, "ResourceId": example.unique(GROUP)}
        for tag in (example.output or {}).get("Tags", example.input.get("Tags"))
    ]
    example.call("CreateOrUpdateTags", Tags=tagged)


def future(example):
    for member in ("StartTime", "EndTime"):
        example.input[member] = example.input[member].replace("2014", "2094" if member == "StartTime" else "2095")


def balanced(example):
    balancer = example.call(
        "CreateLoadBalancer", "elbv2", Name=f"balancer-{example.suffix}", Subnets=example.world.default_subnets()[:2]
    )["LoadBalancers"][0]["LoadBalancerArn"]
    target = target_group(example)
    example.call(
        "CreateListener",
        "elbv2",
        LoadBalancerArn=balancer,
        Port=80,
        Protocol="HTTP",
        DefaultActions=[{"Type": "forward", "TargetGroupArn": target}],
    )
    on_group("AttachLoadBalancerTargetGroups", TargetGroupARNs=[target])(example)
    label = f"{balancer.split('loadbalancer/')[1]}/{target.rsplit(':', 1)[1]}"
    example.input["TargetTrackingConfiguration"]["PredefinedMetricSpecification"]["ResourceLabel"] = label


def notified(example):
    arns = (
        [one["TopicARN"] for one in example.output["NotificationConfigurations"]]
        if example.output
        else [example.input["TopicARN"]]
    )
    for topic in (arn.replace(DOCUMENTED_ACCOUNT, example.world.account) for arn in arns):
        on_group("PutNotificationConfiguration", TopicARN=topic, NotificationTypes=["autoscaling:TEST_NOTIFICATION"])(
            example
        )


def new_version(example):
    name = example.unique("my-template-for-auto-scaling")
    example.call(
        "CreateLaunchTemplateVersion",
        "ec2",
        LaunchTemplateName=name,
        SourceVersion="1",
        LaunchTemplateData={"InstanceType": "t3.small"},
    )


def activity(example):
    on_group("SetDesiredCapacity", DesiredCapacity=1)(example)
    eventually(
        "an activity succeeded",
        lambda: [
            one
            for one in example.call("DescribeScalingActivities", AutoScalingGroupName=example.unique(GROUP))[
                "Activities"
            ]
            if one["StatusCode"] == "Successful"
        ],
    )


ARRANGED = {
    "CancelInstanceRefresh": refreshed,
    "DescribeInstanceRefreshes": refreshed,
    "StartInstanceRefresh": alarm,
    "CompleteLifecycleAction": waiting,
    "RecordLifecycleActionHeartbeat": waiting,
    "DeleteLifecycleHook": hook,
    "DescribeLifecycleHooks": hook_listed,
    "DeletePolicy": step,
    "ExecutePolicy": step,
    "DescribePolicies": policies,
    "DeleteScheduledAction": scheduled,
    "DescribeScheduledActions": scheduled,
    "PutScheduledUpdateGroupAction": future,
    "DeleteTags": tags,
    "DescribeTags": tags,
    "DescribeTrafficSources": attached,
    "DetachTrafficSources": attached,
    "DescribeLoadBalancerTargetGroups": attached,
    "DetachLoadBalancerTargetGroups": attached,
    "ExitStandby": standby,
    "PutScalingPolicy": balanced,
    "DeleteNotificationConfiguration": notified,
    "DescribeNotificationConfigurations": notified,
    "UpdateAutoScalingGroup": new_version,
    "DescribeScalingActivities": activity,
}
