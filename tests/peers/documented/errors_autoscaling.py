"""Errors of Auto Scaling."""

import prepare_autoscaling as prepared
from errors import Case
from world import Example

REASONS = {
    "LimitExceeded": "quotas beyond those of the cases",
    "ServiceLinkedRoleFailure": "the role is created in any account",
    ("DeletePolicy", "ServiceLinkedRoleFailure"): "the role is created in any account",
    ("CancelInstanceRefresh", "LimitExceeded"): "a quota without a number",
    ("DeleteTags", "ResourceInUse"): "tags are never in use",
    ("CreateOrUpdateTags", "ResourceInUse"): "tags are never in use",
    ("CreateOrUpdateTags", "AlreadyExists"): "an existing tag is updated",
    ("BatchPutScheduledUpdateGroupAction", "AlreadyExists"): "an existing action is updated, as the API reference says",
    ("PutScheduledUpdateGroupAction", "AlreadyExists"): "an existing action is updated, as the API reference says",
    "InstanceRefreshInProgress": "target groups may be attached during a refresh",
    ("SuspendProcesses", "ResourceInUse"): "an internal state",
    ("ResumeProcesses", "ResourceInUse"): "an internal state",
    ("CreateAutoScalingGroup", "ResourceContention"): "operations run one after another",
}


def cases(world, model, operations):
    example = Example(world, "autoscaling", "Errors", {})
    prepared.group(example, 1)
    name = example.unique(prepared.GROUP)
    group, scaling = {"AutoScalingGroupName": name}, world.client("autoscaling")
    template = {"LaunchTemplate": {"LaunchTemplateName": prepared.template(example, f"{name}-t"), "Version": "1"}}
    yield Case(
        "CreateAutoScalingGroup",
        "AlreadyExists",
        {**group, **template, "MinSize": 0, "MaxSize": 1, "VPCZoneIdentifier": world.default_subnets()[0]},
        "AutoScalingGroup by this name already exists",
    )
    yield Case(
        "DeleteAutoScalingGroup",
        "ResourceInUse",
        group,
        "You cannot delete an AutoScalingGroup while there are instances",
    )
    for operation in operations:
        shape = model.operation_model(operation).input_shape
        codes = {error.error_code for error in model.operation_model(operation).error_shapes}
        if "InvalidNextToken" in codes:
            given = group if "AutoScalingGroupName" in shape.members else {}
            yield Case(operation, "InvalidNextToken", {**given, "NextToken": "no token"})
    yield Case("CancelInstanceRefresh", "ActiveInstanceRefreshNotFound", group)
    yield Case("RollbackInstanceRefresh", "ActiveInstanceRefreshNotFound", group)
    tags = [
        {
            "Key": f"k{number}",
            "Value": "v",
            "ResourceId": name,
            "ResourceType": "auto-scaling-group",
            "PropagateAtLaunch": True,
        }
        for number in range(51)
    ]
    scaling.create_or_update_tags(Tags=tags[:50])
    yield Case("CreateOrUpdateTags", "LimitExceeded", {"Tags": tags[50:]})
    actions = [{"ScheduledActionName": f"a{number}", "MinSize": 0, "Recurrence": "0 0 * * *"} for number in range(126)]
    for begin in (0, 50, 100):
        scaling.batch_put_scheduled_update_group_action(
            **group, ScheduledUpdateGroupActions=actions[begin : min(begin + 50, 125)]
        )
    yield Case("PutScheduledUpdateGroupAction", "LimitExceeded", {**group, **actions[125]})
    for number in range(50):
        scaling.put_lifecycle_hook(
            **group, LifecycleHookName=f"h{number}", LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING"
        )
    yield Case(
        "PutLifecycleHook",
        "LimitExceeded",
        {**group, "LifecycleHookName": "h50", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"},
    )
    for number in range(50):
        scaling.delete_lifecycle_hook(**group, LifecycleHookName=f"h{number}")
    for number in range(50):
        scaling.put_scaling_policy(
            **group, PolicyName=f"p{number}", AdjustmentType="ChangeInCapacity", ScalingAdjustment=1
        )
    yield Case(
        "PutScalingPolicy",
        "LimitExceeded",
        {**group, "PolicyName": "p50", "AdjustmentType": "ChangeInCapacity", "ScalingAdjustment": 1},
    )
    policy = {**group, "PolicyName": "p0", "HonorCooldown": True}
    scaling.set_desired_capacity(**group, DesiredCapacity=2)
    yield Case("ExecutePolicy", "ScalingActivityInProgress", policy)
    prepared.members(example, 2)
    scaling.start_instance_refresh(**group, Preferences={"InstanceWarmup": 3600})
    yield Case("RollbackInstanceRefresh", "IrreversibleInstanceRefresh", group)
    yield Case("StartInstanceRefresh", "InstanceRefreshInProgress", group)
    deleted = Example(world, "autoscaling", "Errors", {})
    prepared.group(deleted, 1)
    gone = {"AutoScalingGroupName": deleted.unique(prepared.GROUP)}
    member = prepared.members(deleted, 1)[0]
    scaling.put_lifecycle_hook(
        **gone, LifecycleHookName="h", LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING"
    )
    scaling.terminate_instance_in_auto_scaling_group(InstanceId=member, ShouldDecrementDesiredCapacity=True)
    yield Case(
        "TerminateInstanceInAutoScalingGroup",
        "ScalingActivityInProgress",
        {"InstanceId": member, "ShouldDecrementDesiredCapacity": False},
    )
    yield Case("DeleteAutoScalingGroup", "ScalingActivityInProgress", gone)
    scaling.delete_auto_scaling_group(**gone, ForceDelete=True)
    yield Case("UpdateAutoScalingGroup", "ScalingActivityInProgress", {**gone, "MaxSize": 3})
    yield Case("SetDesiredCapacity", "ScalingActivityInProgress", {**gone, "DesiredCapacity": 1})
    if "CreateLaunchConfiguration" in operations:
        launch = {"LaunchConfigurationName": f"{name}-c", "ImageId": world.image(), "InstanceType": "t3.micro"}
        scaling.create_launch_configuration(**launch)
        yield Case(
            "CreateLaunchConfiguration", "AlreadyExists", launch, "Launch Configuration by this name already exists"
        )
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=f"{name}-l",
            LaunchConfigurationName=f"{name}-c",
            MinSize=0,
            MaxSize=1,
            VPCZoneIdentifier=world.default_subnets()[0],
        )
        yield Case(
            "DeleteLaunchConfiguration",
            "ResourceInUse",
            {"LaunchConfigurationName": f"{name}-c"},
            "Cannot delete launch configuration",
        )
