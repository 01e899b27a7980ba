#!/usr/bin/env python3
"""Tests load balancers and Auto Scaling groups of a running local cloud with boto3.

Usage: boto3_balancing.py ENDPOINT          (needs: pip install boto3; a cloud with a time scale of 30 or more)

All resources that it creates have a random suffix and are deleted again. The instances run small Python servers.
"""

import base64
import hashlib
import json
import socket
import threading
import time
from contextlib import contextmanager

from botocore.exceptions import ClientError

from common import SERVER, SUFFIX, client, eventually, get, refused

PORT = 8080

# The service on the instances: returns its version and instance, waits, uses CPU time, or exits with an error message.
PROGRAM = SERVER + rb"""
version = os.environ["VERSION"]
if version == "crash":
    sys.exit("migration 7 failed: relation tasks does not exist")
host = os.environ["LISTEN"].rsplit(":", 1)[0]

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status = 200
        if self.path == "/healthz":
            status = 500 if version == "sick" else 200
        elif self.path == "/slow":
            time.sleep(1)
        elif self.path == "/burn":
            end = time.monotonic() + 0.3
            while time.monotonic() < end:
                pass
        body = f"{version} {host} {self.headers['X-Forwarded-For']}".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass

if version == "sick":
    print("the database does not answer", flush=True)
serve(Handler)
"""

ec2, elb, scaling, s3 = client("ec2"), client("elbv2"), client("autoscaling"), client("s3")


class Network:
    """The default VPC, and a security group that allows the necessary ports."""

    def __init__(self):
        vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]
        self.vpc = vpc["VpcId"]
        subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [self.vpc]}])["Subnets"]
        self.subnets = [subnet["SubnetId"] for subnet in subnets]
        self.zones = {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in subnets}
        self.group = ec2.create_security_group(
            GroupName=f"balancing-{SUFFIX}", Description="d", VpcId=self.vpc)["GroupId"]
        ec2.authorize_security_group_ingress(GroupId=self.group, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
            for port in (80, 81, PORT)])

    def delete(self):
        eventually("the security group is free", self.try_delete)

    def try_delete(self):
        try:
            ec2.delete_security_group(GroupId=self.group)
            return True
        except ClientError as error:
            assert error.response["Error"]["Code"] == "DependencyViolation", error
            return False


class Template:
    """A launch template whose versions run the program with different values of VERSION."""

    def __init__(self, network):
        self.bucket, self.key = f"programs-{SUFFIX}", "artifacts/program"
        s3.create_bucket(Bucket=self.bucket)
        s3.put_object(Bucket=self.bucket, Key=self.key, Body=PROGRAM)
        self.network, self.name = network, f"template-{SUFFIX}"
        self.image = ec2.describe_images(Owners=["136693071363"])["Images"][0]["ImageId"]
        created = ec2.create_launch_template(LaunchTemplateName=self.name, LaunchTemplateData=self.data("1"))
        self.id = created["LaunchTemplate"]["LaunchTemplateId"]

    def data(self, version):
        machine = {
            "machine": 1, "image": "debian-12", "packages": [], "files": [],
            "services": [{
                "name": "program", "listen": PORT, "environment": {"VERSION": version},
                "artifact": {
                    "bucket": self.bucket, "key": self.key, "sha256": hashlib.sha256(PROGRAM).hexdigest()},
            }],
        }
        files = {"write_files": [{"path": "/etc/infra/machine.json", "content": json.dumps(machine)}]}
        return {
            "ImageId": self.image, "InstanceType": "t3.micro", "SecurityGroupIds": [self.network.group],
            "UserData": base64.b64encode(f"#cloud-config\n{json.dumps(files)}".encode()).decode(),
        }

    def version(self, version):
        created = ec2.create_launch_template_version(LaunchTemplateId=self.id, LaunchTemplateData=self.data(version))
        return str(created["LaunchTemplateVersion"]["VersionNumber"])

    def delete(self):
        ec2.delete_launch_template(LaunchTemplateId=self.id)
        s3.delete_object(Bucket=self.bucket, Key=self.key)
        s3.delete_bucket(Bucket=self.bucket)


def create_balancer(network, name, **more):
    arguments = {"Subnets": network.subnets[:2], "SecurityGroups": [network.group], **more}
    return elb.create_load_balancer(Name=name, **arguments)["LoadBalancers"][0]


def create_target_group(network, name, **more):
    arguments = {
        "Protocol": "HTTP", "Port": PORT, "VpcId": network.vpc, "HealthCheckPath": "/healthz",
        "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2, "HealthyThresholdCount": 2,
        "UnhealthyThresholdCount": 2, **more,
    }
    return elb.create_target_group(Name=name, **arguments)["TargetGroups"][0]


def check_balancers(network):
    name = f"web-{SUFFIX}"
    balancer = create_balancer(network, name, Tags=[{"Key": "a", "Value": "b"}])
    arn = balancer["LoadBalancerArn"]
    assert balancer["State"]["Code"] == "provisioning" and balancer["Scheme"] == "internet-facing"
    assert balancer["DNSName"].startswith("127."), balancer
    assert {zone["SubnetId"] for zone in balancer["AvailabilityZones"]} == set(network.subnets[:2])
    again = create_balancer(network, name, Tags=[{"Key": "a", "Value": "b"}])
    assert again["LoadBalancerArn"] == arn
    with refused("DuplicateLoadBalancerName"):
        create_balancer(network, name, Scheme="internal")
    with refused("ValidationError"):
        create_balancer(network, "x" * 33)
    with refused("ValidationError", "two subnets"):
        create_balancer(network, f"one-{SUFFIX}", Subnets=network.subnets[:1])
    with refused("SubnetNotFound"):
        create_balancer(network, f"none-{SUFFIX}", Subnets=["subnet-0123456789abcdef0", network.subnets[0]])
    with refused("LoadBalancerNotFound"):
        elb.describe_load_balancers(Names=["no-such"])
    elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[arn], WaiterConfig={"Delay": 1})

    attributes = elb.modify_load_balancer_attributes(
        LoadBalancerArn=arn, Attributes=[{"Key": "deletion_protection.enabled", "Value": "true"}])["Attributes"]
    assert {"Key": "deletion_protection.enabled", "Value": "true"} in attributes
    with refused("OperationNotPermitted"):
        elb.delete_load_balancer(LoadBalancerArn=arn)
    with refused("InvalidConfigurationRequest", "access_logs.s3.bucket", "cannot be empty"):
        elb.modify_load_balancer_attributes(
            LoadBalancerArn=arn, Attributes=[{"Key": "access_logs.s3.enabled", "Value": "true"}])
    elb.modify_load_balancer_attributes(
        LoadBalancerArn=arn, Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}])
    described = elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    assert {"Key": "idle_timeout.timeout_seconds", "Value": "60"} in described
    assert elb.set_security_groups(LoadBalancerArn=arn, SecurityGroups=[network.group])["SecurityGroupIds"]
    assert len(elb.set_subnets(LoadBalancerArn=arn, Subnets=network.subnets[:3])["AvailabilityZones"]) == 3

    others = [create_balancer(network, f"page-{index}-{SUFFIX}")["LoadBalancerArn"] for index in range(3)]
    pages = elb.get_paginator("describe_load_balancers").paginate(PaginationConfig={"PageSize": 2})
    found = [balancer["LoadBalancerArn"] for page in pages for balancer in page["LoadBalancers"]]
    assert len(found) == len(set(found)) and {arn, *others} <= set(found)
    for other in others:
        elb.delete_load_balancer(LoadBalancerArn=other)
    elb.delete_load_balancer(LoadBalancerArn=others[0])
    with refused("LoadBalancerNotFound"):
        elb.describe_load_balancers(LoadBalancerArns=[others[0]])
    with refused("DependencyViolation"):
        ec2.delete_security_group(GroupId=network.group)
    return balancer


def check_target_groups(network):
    name = f"targets-{SUFFIX}"
    group = create_target_group(network, name)
    arn = group["TargetGroupArn"]
    assert group["Matcher"] == {"HttpCode": "200"} and group["TargetType"] == "instance", group
    assert create_target_group(network, name)["TargetGroupArn"] == arn
    with refused("DuplicateTargetGroupName"):
        create_target_group(network, name, Port=9)
    with refused("ValidationError"):
        create_target_group(network, f"bad-{SUFFIX}", HealthCheckTimeoutSeconds=5)
    with refused("ValidationError"):
        create_target_group(network, f"bad-{SUFFIX}", TargetType="lambda")
    changed = elb.modify_target_group(TargetGroupArn=arn, Matcher={"HttpCode": "200-299"})["TargetGroups"][0]
    assert changed["Matcher"]["HttpCode"] == "200-299" and changed["HealthCheckPath"] == "/healthz"
    elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[
        {"Key": "deregistration_delay.timeout_seconds", "Value": "60"},
        {"Key": "load_balancing.algorithm.type", "Value": "least_outstanding_requests"}])
    elb.modify_target_group_attributes(
        TargetGroupArn=arn, Attributes=[{"Key": "load_balancing.algorithm.type", "Value": "round_robin"}])
    attributes = elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
    assert {"Key": "deregistration_delay.timeout_seconds", "Value": "60"} in attributes
    with refused("TargetGroupNotFound"):
        elb.describe_target_groups(Names=["no-such"])
    with refused("InvalidTarget"):
        elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": "i-0123456789abcdef0"}])
    return arn


def check_listeners(balancer, group):
    arn = balancer["LoadBalancerArn"]
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    with refused("ValidationError"):
        elb.create_listener(LoadBalancerArn=arn, Port=80, DefaultActions=forward)
    with refused("ValidationError"):
        elb.create_listener(LoadBalancerArn=arn, Protocol="TCP", Port=443, DefaultActions=forward)
    listener = elb.create_listener(
        LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=forward)["Listeners"][0]["ListenerArn"]
    with refused("DuplicateListener"):
        elb.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=forward)
    with refused("ResourceInUse"):
        elb.delete_target_group(TargetGroupArn=group)
    assert elb.describe_target_groups(LoadBalancerArn=arn)["TargetGroups"][0]["TargetGroupArn"] == group
    rules = elb.describe_rules(ListenerArn=listener)["Rules"]
    assert [rule["Priority"] for rule in rules] == ["default"] and rules[0]["IsDefault"]
    assert elb.describe_rules(RuleArns=[rules[0]["RuleArn"]])["Rules"] == rules

    address = balancer["DNSName"]
    eventually("a balancer without targets answers 503", lambda: status(address) == 503)
    moved = elb.modify_listener(ListenerArn=listener, Port=81)["Listeners"][0]
    assert moved["Port"] == 81 and moved["DefaultActions"][0]["TargetGroupArn"] == group
    eventually("the listener has moved to the new port", lambda: status(address, 81) == 503 and status(address) is None)
    elb.modify_listener(ListenerArn=listener, Port=80)
    eventually("the listener has moved back", lambda: status(address) == 503)

    taken = socket.create_server((address, 81))
    with refused("InvalidConfigurationRequest", f"{address}:81"):
        elb.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=81, DefaultActions=forward)
    taken.close()

    for resource in (arn, group, listener):
        elb.add_tags(ResourceArns=[resource], Tags=[{"Key": "k", "Value": "v"}, {"Key": "gone", "Value": ""}])
        elb.remove_tags(ResourceArns=[resource], TagKeys=["gone"])
        tags = elb.describe_tags(ResourceArns=[resource])["TagDescriptions"][0]["Tags"]
        assert {"Key": "k", "Value": "v"} in tags and all(tag["Key"] != "gone" for tag in tags)
    return listener


def status(address, port=80):
    try:
        return get(address, port=port)[0]
    except OSError:
        return None


class Group:
    """An Auto Scaling group, with queries of its members."""

    def __init__(self, name):
        self.name = name

    def describe(self):
        return scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])["AutoScalingGroups"][0]

    def in_service(self):
        return [member for member in self.describe()["Instances"]
                if member["LifecycleState"] == "InService" and member["HealthStatus"] == "Healthy"]

    def settles(self, count, group_arn=None):
        """Waits until the group has exactly this number of instances, all in service and healthy targets."""
        def look():
            members = self.describe()["Instances"]
            return len(members) == count == len(self.in_service()) and (
                group_arn is None or healthy(group_arn) == {member["InstanceId"] for member in members})
        eventually(f"{self.name} has {count} instances", look)

    def activities(self):
        return scaling.describe_scaling_activities(AutoScalingGroupName=self.name)["Activities"]

    def refresh(self, refresh):
        found = scaling.describe_instance_refreshes(AutoScalingGroupName=self.name, InstanceRefreshIds=[refresh])
        return found["InstanceRefreshes"][0]

    def versions(self):
        return sorted(member["LaunchTemplate"]["Version"] for member in self.describe()["Instances"])


def healthy(arn):
    found = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    return {target["Target"]["Id"] for target in found if target["TargetHealth"]["State"] == "healthy"}


def check_group(network, template, group_arn, address):
    group = Group(f"group-{SUFFIX}")
    wanted = {
        "LaunchTemplate": {"LaunchTemplateId": template.id, "Version": "1"}, "MinSize": 1, "MaxSize": 4,
        "DesiredCapacity": 2, "VPCZoneIdentifier": ",".join(network.subnets[:2]), "TargetGroupARNs": [group_arn],
        "HealthCheckType": "ELB", "HealthCheckGracePeriod": 0, "DefaultInstanceWarmup": 0,
        "Tags": [{"Key": "team", "Value": "blue", "PropagateAtLaunch": True},
                 {"Key": "private", "Value": "yes", "PropagateAtLaunch": False}],
    }
    scaling.create_auto_scaling_group(AutoScalingGroupName=group.name, **wanted)
    with refused("AlreadyExists"):
        scaling.create_auto_scaling_group(AutoScalingGroupName=group.name, **wanted)
    with refused("ValidationError"):
        scaling.create_auto_scaling_group(AutoScalingGroupName="other", **{**wanted, "DesiredCapacity": 9})
    group.settles(2, group_arn)
    members = group.describe()["Instances"]
    assert len({member["AvailabilityZone"] for member in members}) == 2, "balanced over the zones"
    ids = [member["InstanceId"] for member in members]
    for reservation in ec2.describe_instances(InstanceIds=ids)["Reservations"]:
        for instance in reservation["Instances"]:
            tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
            assert tags["aws:autoscaling:groupName"] == group.name and tags["team"] == "blue", tags
            assert tags["aws:ec2launchtemplate:version"] == "1" and "private" not in tags, tags
    seen = {get(address)[1].split()[1] for _ in range(6)}
    assert len(seen) == 2, "requests are distributed over both instances"
    assert get(address, headers={"X-Forwarded-For": "192.0.2.1"})[1].endswith("192.0.2.1, 127.0.0.1")
    causes = [activity["Cause"] for activity in group.activities()]
    assert all("user request created" in cause for cause in causes), causes

    by_tag = scaling.describe_auto_scaling_groups(Filters=[{"Name": "tag:team", "Values": ["blue"]}])
    assert group.name in [found["AutoScalingGroupName"] for found in by_tag["AutoScalingGroups"]]
    shown = scaling.describe_auto_scaling_instances(InstanceIds=ids)["AutoScalingInstances"]
    assert {member["AutoScalingGroupName"] for member in shown} == {group.name}
    with refused("ResourceInUse"):
        scaling.delete_auto_scaling_group(AutoScalingGroupName=group.name)
    with refused("ValidationError", "not found"):
        scaling.set_desired_capacity(AutoScalingGroupName="no-such", DesiredCapacity=1)
    check_group_tags(group)
    return group


def check_group_tags(group):
    tag = {"ResourceId": group.name, "ResourceType": "auto-scaling-group", "Key": "k", "Value": "v",
           "PropagateAtLaunch": True}
    scaling.create_or_update_tags(Tags=[tag])
    of_group = [{"Name": "auto-scaling-group", "Values": [group.name]}]
    assert tag in scaling.describe_tags(Filters=of_group)["Tags"]
    scaling.delete_tags(Tags=[{key: tag[key] for key in ("ResourceId", "ResourceType", "Key")}])
    assert tag not in scaling.describe_tags(Filters=of_group)["Tags"]


@contextmanager
def traffic(address):
    """Sends requests continuously, and asserts that none fails."""
    failures, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                answer = get(address)
            except OSError as error:
                answer = (0, str(error))
            if answer[0] != 200:
                failures.append(answer)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures, f"{len(failures)} failed, the first: {failures[0]}"


def check_capacity(group, group_arn, address):
    with traffic(address):
        scaling.set_desired_capacity(AutoScalingGroupName=group.name, DesiredCapacity=3)
        group.settles(3, group_arn)
        scaling.update_auto_scaling_group(AutoScalingGroupName=group.name, MaxSize=2)
        group.settles(2, group_arn)
    assert group.describe()["DesiredCapacity"] == 2
    assert any("a user request update of AutoScalingGroup constraints" in activity["Cause"]
               for activity in group.activities())

    scaling.suspend_processes(AutoScalingGroupName=group.name, ScalingProcesses=["Launch"])
    victim = group.in_service()[0]["InstanceId"]
    activity = scaling.terminate_instance_in_auto_scaling_group(
        InstanceId=victim, ShouldDecrementDesiredCapacity=False)["Activity"]
    assert victim in activity["Description"]
    group.settles(1, group_arn)
    scaling.resume_processes(AutoScalingGroupName=group.name)
    group.settles(2, group_arn)
    with refused("ValidationError", "above max"):
        scaling.set_desired_capacity(AutoScalingGroupName=group.name, DesiredCapacity=3)
    scaling.update_auto_scaling_group(AutoScalingGroupName=group.name, MaxSize=4)


def check_replacement(group, group_arn):
    for end in (
        lambda id: ec2.terminate_instances(InstanceIds=[id]),
        lambda id: scaling.set_instance_health(InstanceId=id, HealthStatus="Unhealthy"),
    ):
        victim = group.in_service()[0]["InstanceId"]
        end(victim)
        eventually("the instance is gone", lambda: all(
            member["InstanceId"] != victim for member in group.describe()["Instances"]))
        group.settles(2, group_arn)
    causes = " ".join(activity["Cause"] for activity in group.activities())
    assert "EC2 health check indicating it has been terminated or stopped" in causes
    assert "unhealthy instance needing to be replaced" in causes


def check_target_groups_of_group(network, group, group_arn):
    other = create_target_group(network, f"other-{SUFFIX}")["TargetGroupArn"]
    scaling.attach_load_balancer_target_groups(AutoScalingGroupName=group.name, TargetGroupARNs=[other])
    found = elb.describe_target_health(TargetGroupArn=other)["TargetHealthDescriptions"]
    assert {target["TargetHealth"]["Reason"] for target in found} <= {"Target.NotInUse", "Elb.RegistrationInProgress"}
    assert len(found) == 2
    eventually("no rule forwards to the target group", lambda: all(
        target["TargetHealth"]["State"] == "unused"
        for target in elb.describe_target_health(TargetGroupArn=other)["TargetHealthDescriptions"]))
    scaling.detach_load_balancer_target_groups(AutoScalingGroupName=group.name, TargetGroupARNs=[other])
    eventually("the targets are deregistered", lambda: not elb.describe_target_health(
        TargetGroupArn=other)["TargetHealthDescriptions"])
    elb.delete_target_group(TargetGroupArn=other)
    assert group.describe()["TargetGroupARNs"] == [group_arn]


def start_refresh(group, version, **preferences):
    desired = {"LaunchTemplate": {
        "LaunchTemplateId": group.describe()["LaunchTemplate"]["LaunchTemplateId"], "Version": version}}
    return scaling.start_instance_refresh(
        AutoScalingGroupName=group.name, DesiredConfiguration=desired, Strategy="Rolling",
        Preferences={"MinHealthyPercentage": 100, "InstanceWarmup": 0, "SkipMatching": True, **preferences},
    )["InstanceRefreshId"]


def finished(group, refresh):
    def look():
        found = group.refresh(refresh)
        return found if "EndTime" in found else None
    return eventually("the refresh is finished", look, 120)


def check_refresh(group, group_arn, template, address):
    second = template.version("2")
    with traffic(address):
        refresh = start_refresh(group, second)
        with refused("InstanceRefreshInProgress"):
            start_refresh(group, second)
        done = finished(group, refresh)
        assert done["Status"] == "Successful" and done["PercentageComplete"] == 100, done
        group.settles(2, group_arn)
    assert group.versions() == [second] * 2 and group.describe()["LaunchTemplate"]["Version"] == second
    assert get(address)[1].startswith("2 ")

    for version, words in (("crash", "relation tasks does not exist"), ("sick", "failed with these codes: [500]")):
        bad = template.version(version)
        with traffic(address):
            done = finished(group, start_refresh(group, bad, AutoRollback=True))
        assert done["Status"] == "RollbackSuccessful", done
        assert words in done["StatusReason"], done
        assert words in done["RollbackDetails"]["RollbackReason"]
        group.settles(2, group_arn)
        assert group.versions() == [second] * 2 and group.describe()["LaunchTemplate"]["Version"] == second
        if version == "sick":
            assert "the database does not answer" in done["StatusReason"]

    done = finished(group, start_refresh(group, bad))
    assert done["Status"] == "Failed" and "did not become healthy" in done["StatusReason"], done
    group.settles(2, group_arn)
    with refused("ActiveInstanceRefreshNotFound"):
        scaling.cancel_instance_refresh(AutoScalingGroupName=group.name)
    refresh = start_refresh(group, template.version("3"))
    scaling.cancel_instance_refresh(AutoScalingGroupName=group.name)
    assert finished(group, refresh)["Status"] == "Cancelled"
    group.settles(2, group_arn)


def check_policies(group, address):
    name = group.name
    tracking = {
        "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}, "TargetValue": 40.0}
    with refused("ValidationError"):
        scaling.put_scaling_policy(
            AutoScalingGroupName=name, PolicyName="p", PolicyType="TargetTrackingScaling")
    step = scaling.put_scaling_policy(
        AutoScalingGroupName=name, PolicyName="step", PolicyType="StepScaling", AdjustmentType="ChangeInCapacity",
        StepAdjustments=[{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}])
    assert step["PolicyARN"] and step["Alarms"] == []
    put = scaling.put_scaling_policy(
        AutoScalingGroupName=name, PolicyName="cpu", PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration=tracking)
    assert len(put["Alarms"]) == 2
    found = scaling.describe_policies(AutoScalingGroupName=name, PolicyTypes=["TargetTrackingScaling"])
    assert [policy["PolicyName"] for policy in found["ScalingPolicies"]] == ["cpu"]
    assert found["ScalingPolicies"][0]["TargetTrackingConfiguration"]["TargetValue"] == 40.0

    stop = threading.Event()

    def burn():
        while not stop.is_set():
            get(address, "/burn")

    threads = [threading.Thread(target=burn) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        eventually("load scales out", lambda: group.describe()["DesiredCapacity"] == 4)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    eventually("four are in service", lambda: len(group.in_service()) == 4)
    assert any("AlarmHigh" in activity["Cause"] for activity in group.activities())
    eventually("low load scales in", lambda: group.describe()["DesiredCapacity"] < 4, 90)
    for policy in ("cpu", "step"):
        scaling.delete_policy(AutoScalingGroupName=name, PolicyName=policy)
    assert scaling.describe_policies(AutoScalingGroupName=name)["ScalingPolicies"] == []


def check_deregistration(group, group_arn, address):
    """A request in flight is completed when its target is deregistered."""
    answers = []
    slow = [threading.Thread(target=lambda: answers.append(get(address, "/slow"))) for _ in range(4)]
    for thread in slow:
        thread.start()
    time.sleep(0.3)
    for member in group.in_service()[1:]:
        scaling.terminate_instance_in_auto_scaling_group(
            InstanceId=member["InstanceId"], ShouldDecrementDesiredCapacity=False)
    for thread in slow:
        thread.join()
    assert [answer[0] for answer in answers] == [200] * 4, answers


def main():
    network = Network()
    template = Template(network)
    balancer = check_balancers(network)
    group_arn = check_target_groups(network)
    listener = check_listeners(balancer, group_arn)
    address = balancer["DNSName"]
    group = check_group(network, template, group_arn, address)
    check_capacity(group, group_arn, address)
    check_replacement(group, group_arn)
    check_target_groups_of_group(network, group, group_arn)
    check_refresh(group, group_arn, template, address)
    check_deregistration(group, group_arn, address)
    check_policies(group, address)

    scaling.delete_auto_scaling_group(AutoScalingGroupName=group.name, ForceDelete=True)
    eventually("the group is gone", lambda: not scaling.describe_auto_scaling_groups(
        AutoScalingGroupNames=[group.name])["AutoScalingGroups"])
    elb.delete_listener(ListenerArn=listener)
    with refused("ListenerNotFound"):
        elb.delete_listener(ListenerArn=listener)
    elb.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])
    elb.delete_target_group(TargetGroupArn=group_arn)
    template.delete()
    network.delete()
    print("ok  load balancers and Auto Scaling groups")


if __name__ == "__main__":
    main()
