#!/usr/bin/env python3
"""Tests the scaling of Auto Scaling groups in a running local cloud with boto3.

Usage: boto3_scaling.py ENDPOINT          (needs: pip install boto3; a cloud with a time scale of 30 or more)

All resources that it creates have a random suffix and are deleted again. The instances run no services.
"""

import datetime

from common import SUFFIX, client, eventually, refused

ec2, elb, scaling, watch = client("ec2"), client("elbv2"), client("autoscaling"), client("cloudwatch")


class Group:
    """An Auto Scaling group of instances without services, in two subnets."""

    def __init__(self, template, subnets, name, least, most, **more):
        self.name = f"{name}-{SUFFIX}"
        self.me = {"AutoScalingGroupName": self.name}
        scaling.create_auto_scaling_group(
            **self.me, MinSize=least, MaxSize=most, VPCZoneIdentifier=",".join(subnets[:2]),
            LaunchTemplate={"LaunchTemplateId": template, "Version": "1"}, **more)

    def describe(self):
        return scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])["AutoScalingGroups"][0]

    def members(self, state):
        return [one["InstanceId"] for one in self.describe()["Instances"] if one["LifecycleState"] == state]

    def settles(self, count):
        def look():
            members = self.describe()["Instances"]
            return len(members) == count and all(one["LifecycleState"] == "InService" for one in members)
        eventually(f"{self.name} has {count} instances", look)
        return self.members("InService")

    def desired(self):
        return self.describe()["DesiredCapacity"]

    def delete(self):
        scaling.delete_auto_scaling_group(**self.me, ForceDelete=True)
        eventually("the group is gone", lambda: not scaling.describe_auto_scaling_groups(
            AutoScalingGroupNames=[self.name])["AutoScalingGroups"])


def check_types():
    policies = scaling.describe_termination_policy_types()["TerminationPolicyTypes"]
    assert {"Default", "OldestInstance", "NewestInstance"} <= set(policies)
    kinds = [one["AdjustmentType"] for one in scaling.describe_adjustment_types()["AdjustmentTypes"]]
    assert kinds == ["ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity"], kinds
    assert "AZRebalance" in [one["ProcessName"] for one in scaling.describe_scaling_process_types()["Processes"]]
    assert len(scaling.describe_lifecycle_hook_types()["LifecycleHookTypes"]) == 2
    assert scaling.describe_metric_collection_types()["Granularities"] == [{"Granularity": "1Minute"}]


def check_schedule(group):
    me, future = group.me, datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=365)
    put = lambda name, **more: scaling.put_scheduled_update_group_action(**me, ScheduledActionName=name, **more)
    put("morning", Recurrence="0 8 * * MON-FRI", MinSize=1, TimeZone="Etc/UTC")
    for more, words in [
        ({"Recurrence": "0 8 * *", "MinSize": 1}, "five fields"),
        ({"Recurrence": "0 8 * * *", "MinSize": 1, "TimeZone": "Europe/Berlin"}, "TimeZone"),
        ({"Recurrence": "0 8 * * *"}, "At least one"),
        ({"StartTime": datetime.datetime(2020, 1, 1), "MinSize": 1}, "past"),
    ]:
        with refused("ValidationError", words):
            put("bad", **more)
    failed = scaling.batch_put_scheduled_update_group_action(**me, ScheduledUpdateGroupActions=[
        {"ScheduledActionName": "later", "StartTime": future, "DesiredCapacity": 1},
        {"ScheduledActionName": "never"}])["FailedScheduledUpdateGroupActions"]
    assert [one["ScheduledActionName"] for one in failed] == ["never"], failed
    described = scaling.describe_scheduled_actions(**me)["ScheduledUpdateGroupActions"]
    by_name = {action["ScheduledActionName"]: action for action in described}
    assert set(by_name) == {"morning", "later"} and by_name["morning"]["StartTime"].hour == 8, by_name
    named = scaling.describe_scheduled_actions(**me, ScheduledActionNames=["later"])["ScheduledUpdateGroupActions"]
    assert [action["DesiredCapacity"] for action in named] == [1]
    failed = scaling.batch_delete_scheduled_action(**me, ScheduledActionNames=["later", "none"])
    assert [one["ScheduledActionName"] for one in failed["FailedScheduledActions"]] == ["none"]
    scaling.delete_scheduled_action(**me, ScheduledActionName="morning")
    with refused("ValidationError"):
        scaling.delete_scheduled_action(**me, ScheduledActionName="morning")

    before = group.desired()
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
    put("soon", StartTime=soon, DesiredCapacity=before + 1)
    eventually("the action has been executed", lambda: group.desired() == before + 1)
    assert datetime.datetime.now(datetime.timezone.utc) >= soon
    assert not scaling.describe_scheduled_actions(**me)["ScheduledUpdateGroupActions"], "an executed one-time action is deleted"
    group.settles(before + 1)
    causes = [one["Cause"] for one in scaling.describe_scaling_activities(**me)["Activities"]]
    assert any("a scheduled action update" in cause for cause in causes), causes
    scaling.set_desired_capacity(**me, DesiredCapacity=before)
    group.settles(before)


def check_hooks(group):
    me = group.me
    launching = {"LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING", "HeartbeatTimeout": 7200}
    scaling.put_lifecycle_hook(**me, LifecycleHookName="warm", NotificationMetadata="m", **launching)
    with refused("ValidationError", "no queues and topics"):
        scaling.put_lifecycle_hook(**me, LifecycleHookName="q", NotificationTargetARN="arn:aws:sqs:x:1:q", **launching)
    [hook] = scaling.describe_lifecycle_hooks(**me, LifecycleHookNames=["warm"])["LifecycleHooks"]
    assert hook["DefaultResult"] == "ABANDON" and hook["GlobalTimeout"] == 172_800, hook
    before = group.desired()
    scaling.set_desired_capacity(**me, DesiredCapacity=before + 1)
    [waiting] = eventually("a new instance waits for its hook", lambda: group.members("Pending:Wait"))
    answer = {**me, "LifecycleHookName": "warm", "InstanceId": waiting}
    scaling.record_lifecycle_action_heartbeat(**answer)
    statuses = [one["StatusCode"] for one in scaling.describe_scaling_activities(**me)["Activities"]]
    assert statuses[0] == "MidLifecycleAction", statuses
    scaling.complete_lifecycle_action(**answer, LifecycleActionResult="CONTINUE")
    assert waiting in group.settles(before + 1)
    with refused("ValidationError", "No active Lifecycle Action"):
        scaling.complete_lifecycle_action(**answer, LifecycleActionResult="CONTINUE")

    # After the heartbeat timeout, which is scaled, the default result ABANDON replaces the instance.
    scaling.put_lifecycle_hook(**me, LifecycleHookName="warm", HeartbeatTimeout=60)
    scaling.set_desired_capacity(**me, DesiredCapacity=before + 2)
    [first] = eventually("another instance waits for its hook", lambda: group.members("Pending:Wait"))
    eventually("the instance is abandoned", lambda: first not in [
        one["InstanceId"] for one in group.describe()["Instances"]])
    scaling.set_desired_capacity(**me, DesiredCapacity=before + 1)
    scaling.delete_lifecycle_hook(**me, LifecycleHookName="warm")
    group.settles(before + 1)

    scaling.put_lifecycle_hook(
        **me, LifecycleHookName="drain", LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
        HeartbeatTimeout=7200, DefaultResult="CONTINUE")
    scaling.set_desired_capacity(**me, DesiredCapacity=before)
    [leaving] = eventually("an instance waits before its termination", lambda: group.members("Terminating:Wait"))
    states = ec2.describe_instances(InstanceIds=[leaving])["Reservations"][0]["Instances"]
    assert states[0]["State"]["Name"] == "running"
    scaling.complete_lifecycle_action(
        **me, LifecycleHookName="drain", InstanceId=leaving, LifecycleActionResult="CONTINUE")
    group.settles(before)
    scaling.delete_lifecycle_hook(**me, LifecycleHookName="drain")
    with refused("ValidationError"):
        scaling.delete_lifecycle_hook(**me, LifecycleHookName="drain")


def check_policies(group):
    me, namespace = group.me, f"Shop-{SUFFIX}"
    put = lambda name, **more: scaling.put_scaling_policy(**me, PolicyName=name, **more)["PolicyARN"]
    steps = [
        {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 10, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 10, "ScalingAdjustment": 2}]
    arn = put("steps", PolicyType="StepScaling", AdjustmentType="ChangeInCapacity", StepAdjustments=steps,
              EstimatedInstanceWarmup=0, MetricAggregationType="Maximum")
    with refused("ValidationError", "gaps"):
        put("bad", PolicyType="StepScaling", AdjustmentType="ChangeInCapacity", StepAdjustments=[
            steps[0], {**steps[1], "MetricIntervalLowerBound": 20}])
    with refused("ValidationError", "predicts nothing"):
        put("bad", PolicyType="PredictiveScaling")
    simple = put("simple", AdjustmentType="ExactCapacity", ScalingAdjustment=1, Cooldown=3600)
    put("custom", PolicyType="TargetTrackingScaling", Enabled=False, TargetTrackingConfiguration={
        "TargetValue": 5.0, "CustomizedMetricSpecification": {
            "Namespace": namespace, "MetricName": "Jobs", "Statistic": "Average",
            "Dimensions": [{"Name": "queue", "Value": "a"}]}})
    described = {one["PolicyName"]: one for one in scaling.describe_policies(**me)["ScalingPolicies"]}
    followed = [one["AlarmName"] for one in described["custom"]["Alarms"]]
    alarms = watch.describe_alarms(AlarmNames=followed)["MetricAlarms"]
    assert len(alarms) == 2 and {one["MetricName"] for one in alarms} == {"Jobs"}, alarms
    assert described["steps"]["StepAdjustments"] == steps, described["steps"]
    custom = described["custom"]["TargetTrackingConfiguration"]["CustomizedMetricSpecification"]
    assert custom["Dimensions"] == [{"Name": "queue", "Value": "a"}], custom

    group.settles(1)
    scaling.execute_policy(**me, PolicyName="steps", MetricValue=25.0, BreachThreshold=10.0)
    assert group.desired() == 3
    with refused("ValidationError", "MetricValue"):
        scaling.execute_policy(**me, PolicyName="steps")
    with refused("ScalingActivityInProgress"):
        scaling.execute_policy(PolicyName=simple, HonorCooldown=True)
    scaling.execute_policy(PolicyName=simple)
    assert group.desired() == 1
    group.settles(1)

    name = f"queue-{SUFFIX}"
    watch.put_metric_alarm(
        AlarmName=name, Namespace=namespace, MetricName="Queue", Statistic="Average", Period=60, EvaluationPeriods=1,
        Threshold=10.0, ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching", AlarmActions=[arn])

    def load():
        watch.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "Queue", "Value": 15.0}])
        return group.desired() >= 2

    eventually("the alarm has made the group grow", load)
    history = watch.describe_alarm_history(AlarmName=name, HistoryItemType="Action")["AlarmHistoryItems"]
    assert any(item["HistorySummary"] == f"Successfully executed action {arn}" for item in history), history
    watch.delete_alarms(AlarmNames=[name])
    for policy in ("steps", "simple", "custom"):
        scaling.delete_policy(**me, PolicyName=policy)
    scaling.set_desired_capacity(**me, DesiredCapacity=1)
    group.settles(1)


def check_membership(group, template):
    me = group.me
    scaling.set_desired_capacity(**me, DesiredCapacity=2)
    first, second = group.settles(2)
    activities = scaling.enter_standby(
        **me, InstanceIds=[first], ShouldDecrementDesiredCapacity=True)["Activities"]
    assert activities[0]["Description"].startswith("Moving EC2 instance to Standby"), activities
    eventually("the instance is in standby", lambda: group.members("Standby") == [first])
    assert group.desired() == 1
    with refused("ValidationError", "Standby"):
        scaling.enter_standby(**me, InstanceIds=[first], ShouldDecrementDesiredCapacity=True)
    scaling.exit_standby(**me, InstanceIds=[first])
    assert set(group.settles(2)) == {first, second}

    scaling.detach_instances(**me, InstanceIds=[second], ShouldDecrementDesiredCapacity=True)
    assert group.settles(1) == [first]
    state = ec2.describe_instances(InstanceIds=[second])["Reservations"][0]["Instances"][0]
    assert state["State"]["Name"] == "running"
    assert all(tag["Key"] != "aws:autoscaling:groupName" for tag in state["Tags"]), state["Tags"]
    with refused("ValidationError", "not part of"):
        scaling.detach_instances(**me, InstanceIds=[second], ShouldDecrementDesiredCapacity=True)
    scaling.attach_instances(**me, InstanceIds=[second])
    assert set(group.settles(2)) == {first, second}
    with refused("ValidationError", "already part"):
        scaling.attach_instances(**me, InstanceIds=[second])

    scaling.set_instance_protection(**me, InstanceIds=[first], ProtectedFromScaleIn=True)
    scaling.set_desired_capacity(**me, DesiredCapacity=1)
    assert group.settles(1) == [first], "the protected instance is kept"
    scaling.set_instance_protection(**me, InstanceIds=[first], ProtectedFromScaleIn=False)
    scaling.set_instance_health(InstanceId=first, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)
    eventually("the unhealthy instance is replaced", lambda: group.members("InService") not in ([], [first]))
    [described] = scaling.describe_auto_scaling_instances(InstanceIds=group.settles(1))["AutoScalingInstances"]
    assert described["AutoScalingGroupName"] == group.name and described["LaunchTemplate"]["Version"] == "1"


def check_settings(group, vpc):
    me = group.me
    scaling.suspend_processes(**me, ScalingProcesses=["Launch", "ScheduledActions"])
    suspended = [one["ProcessName"] for one in group.describe()["SuspendedProcesses"]]
    assert suspended == ["Launch", "ScheduledActions"], suspended
    scaling.resume_processes(**me)
    assert not group.describe()["SuspendedProcesses"]
    scaling.enable_metrics_collection(**me, Granularity="1Minute")
    scaling.disable_metrics_collection(**me, Metrics=["GroupMinSize"])
    enabled = [one["Metric"] for one in group.describe()["EnabledMetrics"]]
    assert "GroupDesiredCapacity" in enabled and "GroupMinSize" not in enabled, enabled
    dimensions = [{"Name": "AutoScalingGroupName", "Value": group.name}]

    def published(namespace, metric):
        now = datetime.datetime.now(datetime.timezone.utc)
        return watch.get_metric_statistics(
            Namespace=namespace, MetricName=metric, Dimensions=dimensions, Period=60, Statistics=["Average"],
            StartTime=now - datetime.timedelta(minutes=5), EndTime=now)["Datapoints"]

    eventually("the group's size is published", lambda: published("AWS/AutoScaling", "GroupDesiredCapacity"))
    eventually("the CPU utilisation of the instances is published", lambda: published("AWS/EC2", "CPUUtilization"))

    target = elb.create_target_group(Name=f"sources-{SUFFIX}", Protocol="HTTP", Port=80, VpcId=vpc)
    target = target["TargetGroups"][0]["TargetGroupArn"]
    source = {"Identifier": target, "Type": "elbv2"}
    scaling.attach_traffic_sources(**me, TrafficSources=[source])
    [shown] = scaling.describe_traffic_sources(**me)["TrafficSources"]
    assert shown["Identifier"] == target and shown["State"] in ("Added", "InService"), shown
    with refused("ValidationError", "elbv2"):
        scaling.attach_traffic_sources(**me, TrafficSources=[{"Identifier": "x", "Type": "vpc-lattice"}])
    scaling.detach_traffic_sources(**me, TrafficSources=[source])
    scaling.attach_load_balancer_target_groups(**me, TargetGroupARNs=[target])
    assert len(scaling.describe_load_balancer_target_groups(**me)["LoadBalancerTargetGroups"]) == 1
    scaling.detach_load_balancer_target_groups(**me, TargetGroupARNs=[target])
    elb.delete_target_group(TargetGroupArn=target)

    tag = {"ResourceId": group.name, "ResourceType": "auto-scaling-group", "Key": "team"}
    scaling.create_or_update_tags(Tags=[{**tag, "Value": "shop", "PropagateAtLaunch": True}])
    mine = [{"Name": "auto-scaling-group", "Values": [group.name]}]
    assert scaling.describe_tags(Filters=mine)["Tags"][0]["Value"] == "shop"
    scaling.delete_tags(Tags=[tag])
    assert not scaling.describe_tags(Filters=mine)["Tags"]


def check_refreshes(group, template):
    me = group.me
    version = lambda number: {"LaunchTemplate": {"LaunchTemplateId": template, "Version": number}}
    latest = lambda: scaling.describe_instance_refreshes(**me)["InstanceRefreshes"][0]
    scaling.set_desired_capacity(**me, DesiredCapacity=2)
    group.settles(2)
    start = lambda **preferences: scaling.start_instance_refresh(
        **me, DesiredConfiguration=version("2"), Preferences={"InstanceWarmup": 0, **preferences})
    with refused("ValidationError", "grow"):
        start(CheckpointPercentages=[50, 20])
    with refused("ValidationError", "StandbyInstances"):
        start(StandbyInstances="Terminate")
    with refused("ValidationError", "not found"):
        start(AlarmSpecification={"Alarms": ["no-such"]})

    # The refresh waits at its checkpoint and is rolled back there.
    start(AutoRollback=True, CheckpointPercentages=[50, 100], CheckpointDelay=172_800, MinHealthyPercentage=50)
    eventually("half of the instances are replaced", lambda: latest()["PercentageComplete"] == 50)
    assert "Checkpoint reached" in eventually("the reason mentions the checkpoint", lambda: latest().get("StatusReason"))
    scaling.rollback_instance_refresh(**me)
    eventually("the refresh is rolled back", lambda: latest()["Status"] == "RollbackSuccessful")
    assert latest()["RollbackDetails"]["PercentageCompleteOnRollback"] == 50, latest()
    assert group.describe()["LaunchTemplate"]["Version"] == "1"

    name = f"errors-{SUFFIX}"
    watch.put_metric_alarm(
        AlarmName=name, Namespace="N", MetricName=name, Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=0,
        ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore")
    start(AutoRollback=True, BakeTime=172_800, MinHealthyPercentage=50, AlarmSpecification={"Alarms": [name]})
    eventually("all instances are replaced and the bake time has started", lambda: latest()["Status"] == "Baking")
    watch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="drill")
    eventually("the alarm has rolled the refresh back", lambda: latest()["Status"] == "RollbackSuccessful")
    assert name in latest()["StatusReason"], latest()
    watch.delete_alarms(AlarmNames=[name])

    start(MaxHealthyPercentage=150, MinHealthyPercentage=100, SkipMatching=True, BakeTime=30)
    eventually("the last refresh succeeds", lambda: latest()["Status"] == "Successful")
    assert group.describe()["LaunchTemplate"]["Version"] == "2"
    start(BakeTime=172_800, MinHealthyPercentage=50)
    scaling.cancel_instance_refresh(**me)
    eventually("the refresh is cancelled", lambda: latest()["Status"] == "Cancelled")
    with refused("ActiveInstanceRefreshNotFound"):
        scaling.cancel_instance_refresh(**me)


def check_rebalancing(template, subnets):
    group = Group(template, subnets, "even", 4, 8, AvailabilityZoneDistribution={
        "CapacityDistributionStrategy": "balanced-only"})
    assert group.describe()["AvailabilityZoneDistribution"] == {"CapacityDistributionStrategy": "balanced-only"}
    group.settles(4)
    zones = lambda: sorted(one["AvailabilityZone"] for one in group.describe()["Instances"])
    assert len(set(zones())) == 2 and zones()[1] != zones()[2], zones()
    scaling.update_auto_scaling_group(**group.me, VPCZoneIdentifier=subnets[0])
    eventually("all instances are in the other zone", lambda: len(zones()) == 4 and len(set(zones())) == 1)
    group.delete()


def main():
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    found = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
    subnets = [subnet["SubnetId"] for subnet in sorted(found, key=lambda subnet: subnet["AvailabilityZone"])]
    image = ec2.describe_images(Owners=["136693071363"])["Images"][0]["ImageId"]
    data = {"ImageId": image, "InstanceType": "t3.micro"}
    created = ec2.create_launch_template(LaunchTemplateName=f"scaling-{SUFFIX}", LaunchTemplateData=data)
    template = created["LaunchTemplate"]["LaunchTemplateId"]
    ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData=data)
    check_types()
    group = Group(template, subnets, "scaling", 0, 6)
    check_schedule(group)
    check_hooks(group)
    scaling.set_desired_capacity(**group.me, DesiredCapacity=1)
    check_policies(group)
    check_membership(group, template)
    check_settings(group, vpc)
    check_refreshes(group, template)
    group.delete()
    check_rebalancing(template, subnets)
    ec2.delete_launch_template(LaunchTemplateId=template)
    print("ok  schedules, hooks, policies, members, settings and refreshes of groups")


main()
