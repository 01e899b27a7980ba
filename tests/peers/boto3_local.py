#!/usr/bin/env python3
"""Tests a running local cloud with boto3, AWS's Python SDK.

Usage: boto3_local.py ENDPOINT          (needs: pip install boto3)

All resources that it creates have a random suffix and are deleted again, so it can run repeatedly and with a cloud that is
in use.
"""

import base64
import hashlib
import http.client
import io
import json
import os
import urllib.error
import urllib.request
import zlib

import keys
from common import ENDPOINT, SERVER, SUFFIX, client, connect, eventually, get, has_private_addresses, refused
from common import status as cloud_status

TRUST = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
})


def network():
    for region in ("us-east-1", "us-east-2"):
        ec2 = client("ec2", region)
        zones = ec2.describe_availability_zones()["AvailabilityZones"]
        assert [zone["ZoneName"] for zone in zones] == [region + letter for letter in "abc"], zones
        assert zones[0]["ZoneId"] == region.replace("us-east-", "use") + "-az1"
        vpcs = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        assert len(vpcs) == 1 and vpcs[0]["CidrBlock"] == "172.31.0.0/16" and vpcs[0]["State"] == "available"
        subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpcs[0]["VpcId"]]}])["Subnets"]
        assert sorted(subnet["AvailabilityZone"] for subnet in subnets) == [region + letter for letter in "abc"]
        assert all(subnet["DefaultForAz"] and subnet["AvailableIpAddressCount"] > 4000 for subnet in subnets)
        assert ec2.describe_vpc_attribute(VpcId=vpcs[0]["VpcId"], Attribute="enableDnsHostnames")["EnableDnsHostnames"]["Value"]
    ec2 = client("ec2")
    names = {region["RegionName"] for region in ec2.describe_regions()["Regions"]}
    assert {"us-east-1", "us-east-2", "eu-west-1"} <= names and len(names) > 30
    attributes = ec2.describe_account_attributes(AttributeNames=["default-vpc"])["AccountAttributes"]
    assert attributes[0]["AttributeValues"][0]["AttributeValue"].startswith("vpc-")
    with refused("InvalidVpcID.NotFound"):
        ec2.describe_vpcs(VpcIds=["vpc-00000000000000000"])
    with refused("InvalidParameterValue"):
        ec2.describe_vpcs(Filters=[{"Name": "no-such-filter", "Values": ["x"]}])
    with refused("InvalidRegion"):
        client("ec2", "eu-nowhere-1").describe_vpcs()
    with refused("InvalidAction"):
        ec2.describe_bundle_tasks()
    with refused("UnsupportedParameter"):
        ec2.create_vpc(Ipv4IpamPoolId="ipam-pool-0123456789abcdef0")


def security_groups():
    ec2 = client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    name = f"peer-{SUFFIX}"
    make = dict(GroupName=name, Description="made by a test", VpcId=vpc, TagSpecifications=[
        {"ResourceType": "security-group", "Tags": [{"Key": "Name", "Value": name}]}])
    with refused("DryRunOperation"):
        ec2.create_security_group(DryRun=True, **make)
    group = ec2.create_security_group(**make)["GroupId"]
    with refused("InvalidGroup.Duplicate"):
        ec2.create_security_group(**make)
    rule = {"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "all"}]}
    added = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])["SecurityGroupRules"]
    assert len(added) == 1 and added[0]["CidrIpv4"] == "0.0.0.0/0" and added[0]["FromPort"] == 8080 and not added[0]["IsEgress"]
    with refused("InvalidPermission.Duplicate"):
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    with refused("InvalidParameterValue"):
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[dict(rule, ToPort=80)])

    other = ec2.create_security_group(GroupName=f"{name}-other", Description="refers to it", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=[
        {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}])
    with refused("DependencyViolation"):
        ec2.delete_security_group(GroupId=group)

    shown = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    assert shown["GroupName"] == name and shown["VpcId"] == vpc and shown["Tags"] == [{"Key": "Name", "Value": name}]
    assert shown["IpPermissions"][0]["IpRanges"] == [{"CidrIp": "0.0.0.0/0", "Description": "all"}]
    assert shown["IpPermissionsEgress"][0]["IpProtocol"] == "-1"
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    assert sorted(rule["IsEgress"] for rule in rules) == [False, True]
    by_tag = ec2.describe_security_groups(Filters=[{"Name": "tag:Name", "Values": [f"peer-{SUFFIX}*"]}])["SecurityGroups"]
    assert [found["GroupId"] for found in by_tag] == [group]
    pages = list(ec2.get_paginator("describe_security_groups").paginate(PaginationConfig={"PageSize": 5}))
    assert sum(len(page["SecurityGroups"]) for page in pages) >= 3

    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[added[0]["SecurityGroupRuleId"]])
    with refused("InvalidPermission.NotFound"):
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[rule])
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[dict(rule, IpRanges=[{"CidrIp": "10.0.0.7/8"}])])
    shown = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    assert shown["IpPermissionsEgress"][0]["IpRanges"] == [{"CidrIp": "10.0.0.0/8"}] and not shown["IpPermissions"]
    ec2.update_security_group_rule_descriptions_egress(GroupId=group, IpPermissions=[
        dict(rule, IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "inside"}])])
    ec2.create_tags(Resources=[group], Tags=[{"Key": "kind", "Value": "peer"}])
    tags = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [group]}])["Tags"]
    assert {tag["Key"] for tag in tags} == {"Name", "kind"} and tags[0]["ResourceType"] == "security-group"
    ec2.delete_tags(Resources=[group], Tags=[{"Key": "kind"}])
    assert len(ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [group]}])["Tags"]) == 1

    ec2.delete_security_group(GroupId=other)
    ec2.delete_security_group(GroupId=group)
    with refused("InvalidGroup.NotFound"):
        ec2.describe_security_groups(GroupIds=[group])
    default = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]["GroupId"]
    with refused("CannotDelete"):
        ec2.delete_security_group(GroupId=default)


def key_pairs():
    ec2 = client("ec2")
    blob = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + hashlib.sha256(SUFFIX.encode()).digest()
    public = b"ssh-ed25519 " + base64.b64encode(blob) + b" someone@somewhere"
    name = f"key-{SUFFIX}"
    made = ec2.import_key_pair(KeyName=name, PublicKeyMaterial=public)
    assert made["KeyFingerprint"] == base64.b64encode(hashlib.sha256(blob).digest()).decode()
    with refused("InvalidKeyPair.Duplicate"):
        ec2.import_key_pair(KeyName=name, PublicKeyMaterial=public)
    with refused("InvalidKey.Format"):
        ec2.import_key_pair(KeyName=name + "x", PublicKeyMaterial=b"nonsense")
    shown = ec2.describe_key_pairs(KeyNames=[name], IncludePublicKey=True)["KeyPairs"][0]
    assert shown["KeyType"] == "ed25519" and shown["PublicKey"].startswith("ssh-ed25519 ")
    ec2.delete_key_pair(KeyName=name)
    ec2.delete_key_pair(KeyName=name)
    with refused("InvalidKeyPair.NotFound"):
        ec2.describe_key_pairs(KeyNames=[name])


def image(ec2):
    images = ec2.describe_images(Owners=["136693071363"], Filters=[
        {"Name": "name", "Values": ["debian-12-amd64-*"]}, {"Name": "architecture", "Values": ["x86_64"]},
        {"Name": "state", "Values": ["available"]}])["Images"]
    assert len(images) == 1 and images[0]["Name"] == "debian-12-amd64-20250316-2053", images
    return images[0]["ImageId"]


def images_and_types():
    ec2 = client("ec2")
    identifier = image(ec2)
    published = client("ssm").get_parameter(Name="/aws/service/debian/release/12/latest/amd64")["Parameter"]
    assert published["Value"] == identifier and published["DataType"] == "aws:ec2:image"
    with refused("InvalidAMIID.NotFound"):
        ec2.describe_images(ImageIds=["ami-00000000000000000"])
    kind = ec2.describe_instance_types(InstanceTypes=["t3.micro"])["InstanceTypes"][0]
    assert kind["VCpuInfo"]["DefaultVCpus"] == 2 and kind["MemoryInfo"]["SizeInMiB"] == 1024


def launch_templates():
    ec2 = client("ec2")
    name = f"template-{SUFFIX}"
    group = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]["GroupId"]
    data = {
        "ImageId": image(ec2), "InstanceType": "t3.micro", "SecurityGroupIds": [group],
        "UserData": base64.b64encode(b"#cloud-config\n{}").decode(), "MetadataOptions": {"HttpTokens": "required"},
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "VolumeType": "gp3"}}],
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "from", "Value": name}]}],
    }
    made = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data, ClientToken=SUFFIX)["LaunchTemplate"]
    again = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data, ClientToken=SUFFIX)["LaunchTemplate"]
    assert made == again and made["LatestVersionNumber"] == 1
    with refused("IdempotentParameterMismatch"):
        ec2.create_launch_template(LaunchTemplateName=name + "x", LaunchTemplateData=data, ClientToken=SUFFIX)
    with refused("InvalidLaunchTemplateName.AlreadyExistsException"):
        ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data, ClientToken=SUFFIX + "2")
    second = ec2.create_launch_template_version(
        LaunchTemplateId=made["LaunchTemplateId"], SourceVersion="1", VersionDescription="bigger",
        LaunchTemplateData={"InstanceType": "t3.small"})["LaunchTemplateVersion"]
    assert second["VersionNumber"] == 2 and not second["DefaultVersion"]
    assert second["LaunchTemplateData"]["InstanceType"] == "t3.small"
    assert second["LaunchTemplateData"]["ImageId"] == data["ImageId"]
    versions = ec2.describe_launch_template_versions(LaunchTemplateName=name)["LaunchTemplateVersions"]
    assert [version["VersionNumber"] for version in versions] == [2, 1]
    assert versions[1]["LaunchTemplateData"]["TagSpecifications"] == data["TagSpecifications"]
    assert versions[1]["LaunchTemplateData"]["BlockDeviceMappings"] == data["BlockDeviceMappings"]
    latest = ec2.describe_launch_template_versions(LaunchTemplateName=name, Versions=["$Latest"])["LaunchTemplateVersions"]
    assert latest[0]["VersionNumber"] == 2
    assert ec2.modify_launch_template(LaunchTemplateName=name, DefaultVersion="2")["LaunchTemplate"]["DefaultVersionNumber"] == 2
    with refused("InvalidLaunchTemplateId.VersionNotFound"):
        ec2.describe_launch_template_versions(LaunchTemplateName=name, Versions=["7"])
    deleted = ec2.delete_launch_template_versions(LaunchTemplateName=name, Versions=["1", "2"])
    assert len(deleted["SuccessfullyDeletedLaunchTemplateVersions"]) == 1
    assert len(deleted["UnsuccessfullyDeletedLaunchTemplateVersions"]) == 1
    assert len(ec2.describe_launch_templates(LaunchTemplateNames=[name])["LaunchTemplates"]) == 1
    ec2.delete_launch_template(LaunchTemplateName=name)
    with refused("InvalidLaunchTemplateName.NotFoundException"):
        ec2.describe_launch_templates(LaunchTemplateNames=[name])


def state(ec2, identifier):
    return ec2.describe_instances(InstanceIds=[identifier])["Reservations"][0]["Instances"][0]["State"]["Name"]


def private_addresses(ec2, image):
    """A particular address within the range of the subnet, which is refused where instances have loopback addresses."""
    subnet = ec2.describe_subnets(Filters=[{"Name": "cidr-block", "Values": ["172.31.0.0/20"]}])["Subnets"][0]["SubnetId"]
    launch = dict(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, SubnetId=subnet)
    if not has_private_addresses():
        with refused("UnsupportedParameter", "--network namespaces"):
            ec2.run_instances(**launch, PrivateIpAddress="172.31.0.99")
        return
    made = ec2.run_instances(**launch, PrivateIpAddress="172.31.0.99")["Instances"][0]
    assert made["PrivateIpAddress"] == made["NetworkInterfaces"][0]["PrivateIpAddress"] == "172.31.0.99", made
    for address, code in (("172.31.0.99", "InvalidIPAddress.InUse"), ("172.31.0.3", "InvalidParameterValue"),
                          ("172.31.16.9", "InvalidParameterValue")):
        with refused(code, address):
            ec2.run_instances(**launch, PrivateIpAddress=address)
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    eventually("the instance is terminated", lambda: state(ec2, made["InstanceId"]) == "terminated")


def instances():
    ec2 = client("ec2")
    template = ec2.create_launch_template(LaunchTemplateName=f"instances-{SUFFIX}", LaunchTemplateData={
        "ImageId": image(ec2), "InstanceType": "t3.micro",
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "peer", "Value": SUFFIX}]}]})["LaunchTemplate"]
    launch = dict(
        LaunchTemplate={"LaunchTemplateId": template["LaunchTemplateId"], "Version": "$Latest"}, MinCount=1, MaxCount=2,
        ClientToken=f"token-{SUFFIX}", UserData="#!/bin/sh\n",
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "one of two"}]}])
    private_addresses(ec2, image(ec2))
    with refused("DryRunOperation"):
        ec2.run_instances(**dict(launch, DryRun=True))
    made = ec2.run_instances(**launch)
    identifiers = [instance["InstanceId"] for instance in made["Instances"]]
    assert len(identifiers) == 2 and made["Instances"][0]["State"]["Name"] == "pending"
    again = ec2.run_instances(**launch)
    assert [instance["InstanceId"] for instance in again["Instances"]] == identifiers
    with refused("IdempotentParameterMismatch"):
        ec2.run_instances(**dict(launch, MaxCount=1))

    eventually("both run", lambda: all(state(ec2, identifier) == "running" for identifier in identifiers))
    found = ec2.describe_instances(Filters=[
        {"Name": "tag:peer", "Values": [SUFFIX]}, {"Name": "instance-state-name", "Values": ["running"]},
        {"Name": "client-token", "Values": [f"token-{SUFFIX}"]}])["Reservations"]
    assert len(found) == 1 and len(found[0]["Instances"]) == 2
    instance = found[0]["Instances"][0]
    private, public = instance["PrivateIpAddress"], instance["PublicIpAddress"]
    assert private.startswith("172.31." if has_private_addresses() else "127.") and public.startswith("127."), instance
    assert (private == public) != has_private_addresses(), instance
    name = f"ip-{private.replace('.', '-')}.ec2.internal" if has_private_addresses() else private
    assert instance["PrivateDnsName"] == name, instance
    assert {tag["Key"] for tag in instance["Tags"]} == {"peer", "Name"}
    statuses = ec2.describe_instance_status(InstanceIds=identifiers)["InstanceStatuses"]
    assert [status["InstanceStatus"]["Status"] for status in statuses] == ["ok", "ok"]
    interfaces = ec2.describe_network_interfaces(Filters=[{"Name": "attachment.instance-id", "Values": identifiers}])
    assert len(interfaces["NetworkInterfaces"]) == 2
    held = ec2.describe_instance_attribute(InstanceId=identifiers[0], Attribute="userData")["UserData"]["Value"]
    assert base64.b64decode(held) == b"#!/bin/sh\n"
    assert ec2.get_console_output(InstanceId=identifiers[0])["InstanceId"] == identifiers[0]

    ec2.modify_instance_attribute(InstanceId=identifiers[0], DisableApiTermination={"Value": True})
    with refused("OperationNotPermitted"):
        ec2.terminate_instances(InstanceIds=identifiers)
    ec2.modify_instance_attribute(InstanceId=identifiers[0], DisableApiTermination={"Value": False})
    with refused("IncorrectInstanceState"):
        ec2.modify_instance_attribute(InstanceId=identifiers[0], InstanceType={"Value": "t3.small"})
    assert ec2.stop_instances(InstanceIds=identifiers[:1])["StoppingInstances"][0]["CurrentState"]["Name"] == "stopping"
    eventually("the first is stopped", lambda: state(ec2, identifiers[0]) == "stopped")
    ec2.modify_instance_attribute(InstanceId=identifiers[0], InstanceType={"Value": "t3.small"})
    assert ec2.start_instances(InstanceIds=identifiers[:1])["StartingInstances"][0]["CurrentState"]["Name"] == "pending"
    eventually("the first runs again", lambda: state(ec2, identifiers[0]) == "running")
    ec2.reboot_instances(InstanceIds=identifiers[:1])
    with refused("InvalidInstanceID.NotFound"):
        ec2.describe_instances(InstanceIds=["i-00000000000000000"])
    with refused("InvalidInstanceID.Malformed"):
        ec2.describe_instances(InstanceIds=["nonsense"])

    ended = ec2.terminate_instances(InstanceIds=identifiers)["TerminatingInstances"]
    assert {change["CurrentState"]["Name"] for change in ended} == {"shutting-down"}
    eventually("both are terminated", lambda: all(state(ec2, identifier) == "terminated" for identifier in identifiers))
    ec2.terminate_instances(InstanceIds=identifiers)
    ec2.delete_launch_template(LaunchTemplateId=template["LaunchTemplateId"])


def identities():
    iam, sts = client("iam"), client("sts")
    assert sts.get_caller_identity()["Account"] == "000000000000"
    name = f"role-{SUFFIX}"
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST, Description="for a test",
                           Tags=[{"Key": "k", "Value": "v"}])["Role"]
    assert role["Arn"] == f"arn:aws:iam::000000000000:role/{name}" and role["AssumeRolePolicyDocument"] == json.loads(TRUST)
    with refused("EntityAlreadyExists"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    with refused("MalformedPolicyDocument"):
        iam.create_role(RoleName=name + "x", AssumeRolePolicyDocument="{}")
    with refused("NoSuchEntity"):
        iam.get_role(RoleName="no-such-role")
    iam.update_role(RoleName=name, Description="changed", MaxSessionDuration=7200)
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=TRUST)
    assert iam.get_role(RoleName=name)["Role"]["Description"] == "changed"
    assert name in [role["RoleName"] for page in iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 1})
                    for role in page["Roles"]]
    iam.tag_role(RoleName=name, Tags=[{"Key": "l", "Value": "w"}])
    iam.untag_role(RoleName=name, TagKeys=["k"])
    assert iam.list_role_tags(RoleName=name)["Tags"] == [{"Key": "l", "Value": "w"}]

    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": "*"}]}
    iam.put_role_policy(RoleName=name, PolicyName="read", PolicyDocument=json.dumps(policy))
    assert iam.get_role_policy(RoleName=name, PolicyName="read")["PolicyDocument"] == policy
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["read"]
    managed = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    iam.attach_role_policy(RoleName=name, PolicyArn=managed)
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    assert attached == [{"PolicyName": "AmazonSSMManagedInstanceCore", "PolicyArn": managed}]

    iam.create_instance_profile(InstanceProfileName=name, Tags=[{"Key": "k", "Value": "v"}])
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    with refused("LimitExceeded"):
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    profile = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    assert profile["Roles"][0]["RoleName"] == name
    assert len(iam.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"]) == 1
    iam.tag_instance_profile(InstanceProfileName=name, Tags=[{"Key": "l", "Value": "w"}])
    iam.untag_instance_profile(InstanceProfileName=name, TagKeys=["k"])
    assert iam.list_instance_profile_tags(InstanceProfileName=name)["Tags"] == [{"Key": "l", "Value": "w"}]

    ec2 = client("ec2")
    made = ec2.run_instances(ImageId=image(ec2), InstanceType="t3.micro", MinCount=1, MaxCount=1,
                             IamInstanceProfile={"Name": name})["Instances"][0]
    assert made["IamInstanceProfile"]["Arn"] == profile["Arn"]
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    with refused("InvalidParameterValue"):
        ec2.run_instances(ImageId=image(ec2), InstanceType="t3.micro", MinCount=1, MaxCount=1,
                          IamInstanceProfile={"Name": "no-such-profile"})

    with refused("DeleteConflict"):
        iam.delete_role(RoleName=name)
    with refused("DeleteConflict"):
        iam.delete_instance_profile(InstanceProfileName=name)
    iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
    iam.delete_instance_profile(InstanceProfileName=name)
    iam.detach_role_policy(RoleName=name, PolicyArn=managed)
    with refused("DeleteConflict"):
        iam.delete_role(RoleName=name)
    iam.delete_role_policy(RoleName=name, PolicyName="read")
    iam.delete_role(RoleName=name)
    with refused("NoSuchEntity"):
        iam.delete_role(RoleName=name)


def parameters():
    ssm = client("ssm")
    name = f"/peer-{SUFFIX}/password"
    assert ssm.put_parameter(Name=name, Value="one", Type="SecureString", Tags=[{"Key": "k", "Value": "v"}])["Version"] == 1
    with refused("ParameterAlreadyExists"):
        ssm.put_parameter(Name=name, Value="two", Type="SecureString")
    with refused("ValidationException"):
        ssm.put_parameter(Name=name, Value="two", Type="SecureString", Overwrite=True, Tags=[{"Key": "k", "Value": "v"}])
    assert ssm.put_parameter(Name=name, Value="two", Type="SecureString", Overwrite=True)["Version"] == 2
    assert ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"] == "two"
    assert ssm.get_parameter(Name=name)["Parameter"]["Value"] not in ("one", "two")
    first = ssm.get_parameter(Name=f"{name}:1", WithDecryption=True)["Parameter"]
    assert first["Value"] == "one" and first["Selector"] == ":1" and first["Version"] == 1
    assert ssm.get_parameter(Name=first["ARN"], WithDecryption=True)["Parameter"]["Value"] == "two"
    with refused("ParameterVersionNotFound"):
        ssm.get_parameter(Name=f"{name}:9")
    with refused("ParameterNotFound"):
        ssm.get_parameter(Name="/no/such")
    several = ssm.get_parameters(Names=[name, "/no/such"], WithDecryption=True)
    assert len(several["Parameters"]) == 1 and several["InvalidParameters"] == ["/no/such"]
    assert len(ssm.get_parameter_history(Name=name, WithDecryption=True)["Parameters"]) == 2
    ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=name, Tags=[{"Key": "l", "Value": "w"}])
    ssm.remove_tags_from_resource(ResourceType="Parameter", ResourceId=name, TagKeys=["k"])
    assert ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"] == [{"Key": "l", "Value": "w"}]
    for number in range(3):
        ssm.put_parameter(Name=f"/peer-{SUFFIX}/more/{number}", Value=str(number), Type="String")
    pages = ssm.get_paginator("describe_parameters").paginate(
        ParameterFilters=[{"Key": "Name", "Option": "BeginsWith", "Values": [f"/peer-{SUFFIX}/"]}],
        PaginationConfig={"PageSize": 2})
    assert [len(page["Parameters"]) for page in pages] == [2, 2]
    tagged = ssm.describe_parameters(ParameterFilters=[{"Key": "tag:l", "Values": ["w"]}])["Parameters"]
    assert [parameter["Name"] for parameter in tagged] == [name] and tagged[0]["KeyId"] == "alias/aws/ssm"
    below = ssm.get_parameters_by_path(Path=f"/peer-{SUFFIX}", Recursive=True)["Parameters"]
    assert len(below) == 4 and len(ssm.get_parameters_by_path(Path=f"/peer-{SUFFIX}")["Parameters"]) == 1
    digits = {"Name": f"/peer-{SUFFIX}/digits", "Type": "String"}
    with refused("InvalidAllowedPatternException"):
        ssm.put_parameter(**digits, Value="7", AllowedPattern="(")
    with refused("ParameterPatternMismatchException"):
        ssm.put_parameter(**digits, Value="x", AllowedPattern=r"^\d+$")
    ssm.put_parameter(**digits, Value="7", AllowedPattern=r"^\d+$")
    with refused("ParameterPatternMismatchException"):
        # The allowed pattern applies to later values too.
        ssm.put_parameter(**digits, Value="x", Overwrite=True)
    described = ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [f"/peer-{SUFFIX}/digits"]}])
    assert described["Parameters"][0]["AllowedPattern"] == r"^\d+$", described
    ssm.delete_parameter(Name=f"/peer-{SUFFIX}/digits")
    ssm.delete_parameter(Name=name)
    with refused("ParameterNotFound"):
        ssm.delete_parameter(Name=name)
    assert len(ssm.delete_parameters(Names=[f"/peer-{SUFFIX}/more/{number}" for number in range(3)])["DeletedParameters"]) == 3


def buckets():
    s3, ohio = client("s3"), client("s3", "us-east-2")
    name = f"peer-{SUFFIX}"
    s3.create_bucket(Bucket=name)
    s3.create_bucket(Bucket=name)  # us-east-1 accepts an existing bucket of the same owner
    with refused("IllegalLocationConstraintException"):
        ohio.create_bucket(Bucket=f"{name}-ohio")
    born_with = [{"Key": "team", "Value": "a & b"}]
    ohio.create_bucket(
        Bucket=f"{name}-ohio", CreateBucketConfiguration={"LocationConstraint": "us-east-2", "Tags": born_with})
    assert ohio.get_bucket_tagging(Bucket=f"{name}-ohio")["TagSet"] == born_with
    with refused("BucketAlreadyOwnedByYou"):
        ohio.create_bucket(Bucket=f"{name}-ohio", CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None
    assert ohio.get_bucket_location(Bucket=f"{name}-ohio")["LocationConstraint"] == "us-east-2"
    assert s3.head_bucket(Bucket=name)["BucketRegion"] == "us-east-1"
    with refused("404"):
        s3.head_bucket(Bucket=f"{name}-none")
    assert {name, f"{name}-ohio"} <= {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}

    with refused("NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket=name)
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == [{"Key": "k", "Value": "v"}]
    s3.delete_bucket_tagging(Bucket=name)
    assert "Status" not in s3.get_bucket_versioning(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    block = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": False, "RestrictPublicBuckets": False}
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block)
    assert s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"] == block
    s3.delete_public_access_block(Bucket=name)
    with refused("NoSuchPublicAccessBlockConfiguration"):
        s3.get_public_access_block(Bucket=name)
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"}, "BucketKeyEnabled": True}]}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=rules)
    shown = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert shown["ApplyServerSideEncryptionByDefault"] == rules["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    s3.delete_bucket_encryption(Bucket=name)

    s3.put_object(Bucket=name, Key="k", Body=b"x")
    with refused("BucketNotEmpty"):
        s3.delete_bucket(Bucket=name)
    for version in s3.list_object_versions(Bucket=name)["Versions"]:
        s3.delete_object(Bucket=name, Key="k", VersionId=version["VersionId"])
    s3.delete_bucket(Bucket=name)
    ohio.delete_bucket(Bucket=f"{name}-ohio")
    with refused("NoSuchBucket"):
        s3.list_objects_v2(Bucket=name)


def objects():
    s3 = client("s3")
    name = f"objects-{SUFFIX}"
    s3.create_bucket(Bucket=name)
    body = b"0123456789" * 1000
    key = "a dir/with spaces & \u00fcml\u00e4uts.txt"
    put = s3.put_object(Bucket=name, Key=key, Body=body, ContentType="text/plain", Metadata={"owner": "me"}, Tagging="a=1&b=2")
    assert put["ETag"] == '"%s"' % hashlib.md5(body).hexdigest() and put["ChecksumCRC32"], put
    got = s3.get_object(Bucket=name, Key=key, ChecksumMode="ENABLED")
    assert got["Body"].read() == body and got["ContentType"] == "text/plain" and got["Metadata"] == {"owner": "me"}
    assert got["ChecksumCRC32"] == put["ChecksumCRC32"] and got["TagCount"] == 2
    part = s3.get_object(Bucket=name, Key=key, Range="bytes=5-14")
    assert part["Body"].read() == body[5:15] and part["ContentRange"] == "bytes 5-14/10000"
    assert s3.get_object(Bucket=name, Key=key, Range="bytes=-3")["Body"].read() == body[-3:]
    with refused("InvalidRange"):
        s3.get_object(Bucket=name, Key=key, Range="bytes=99999-")
    head = s3.head_object(Bucket=name, Key=key)
    assert head["ContentLength"] == len(body) and head["ETag"] == put["ETag"]
    with refused("404"):
        s3.head_object(Bucket=name, Key="none")
    with refused("NoSuchKey"):
        s3.get_object(Bucket=name, Key="none")
    with refused("304"):
        s3.get_object(Bucket=name, Key=key, IfNoneMatch=put["ETag"])
    with refused("PreconditionFailed"):
        s3.get_object(Bucket=name, Key=key, IfMatch='"0"')
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        assert s3.put_object(Bucket=name, Key="sum", Body=body, ChecksumAlgorithm=algorithm)[f"Checksum{algorithm}"]
    with refused("BadDigest"):
        s3.put_object(Bucket=name, Key="sum", Body=body, ChecksumSHA256=base64.b64encode(bytes(32)).decode())
    with refused("BadDigest"):
        s3.put_object(Bucket=name, Key="sum", Body=body, ContentMD5=base64.b64encode(bytes(16)).decode())
    with refused("AccessControlListNotSupported"):
        s3.put_object(Bucket=name, Key="sum", Body=body, ACL="public-read")

    # Conditional writes, which the state store needs.
    s3.put_object(Bucket=name, Key="lock", Body=b"1", IfNoneMatch="*")
    with refused("PreconditionFailed"):
        s3.put_object(Bucket=name, Key="lock", Body=b"2", IfNoneMatch="*")
    held = s3.head_object(Bucket=name, Key="lock")["ETag"]
    second = s3.put_object(Bucket=name, Key="lock", Body=b"2", IfMatch=held)["ETag"]
    with refused("PreconditionFailed"):
        s3.put_object(Bucket=name, Key="lock", Body=b"3", IfMatch=held)
    with refused("NoSuchKey"):
        s3.put_object(Bucket=name, Key="none", Body=b"3", IfMatch=held)
    assert s3.head_object(Bucket=name, Key="lock")["ETag"] == second

    assert len(s3.get_object_tagging(Bucket=name, Key=key)["TagSet"]) == 2
    s3.put_object_tagging(Bucket=name, Key=key, Tagging={"TagSet": [{"Key": "c", "Value": "3"}]})
    assert s3.get_object_tagging(Bucket=name, Key=key)["TagSet"] == [{"Key": "c", "Value": "3"}]
    s3.delete_object_tagging(Bucket=name, Key=key)
    s3.copy_object(Bucket=name, Key="copy", CopySource={"Bucket": name, "Key": key})
    assert s3.get_object(Bucket=name, Key="copy")["Body"].read() == body
    assert s3.head_object(Bucket=name, Key="copy")["Metadata"] == {"owner": "me"}

    for index in range(7):
        s3.put_object(Bucket=name, Key=f"list/{index % 3}/{index}", Body=b"")
    s3.put_object(Bucket=name, Key="list/top", Body=b"")
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix="list/", PaginationConfig={"PageSize": 3}))
    assert [len(page["Contents"]) for page in pages] == [3, 3, 2]
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix="list/", Delimiter="/", PaginationConfig={"PageSize": 2}))
    assert [prefix["Prefix"] for page in pages for prefix in page.get("CommonPrefixes", [])] == ["list/0/", "list/1/", "list/2/"]
    assert [found["Key"] for page in pages for found in page.get("Contents", [])] == ["list/top"] and len(pages) == 2
    after = s3.list_objects_v2(Bucket=name, Prefix="list/", StartAfter="list/2/2")["Contents"]
    assert [found["Key"] for found in after] == ["list/2/5", "list/top"]
    assert key in [found["Key"] for found in s3.list_objects_v2(Bucket=name)["Contents"]]
    assert len(s3.list_objects(Bucket=name, Prefix="list/")["Contents"]) == 8
    pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=name, Prefix="list/", PaginationConfig={"PageSize": 3}))
    versions = [version for page in pages for version in page["Versions"]]
    assert len(pages) == 3 and len(versions) == 8, pages
    assert all(version["IsLatest"] and version["VersionId"] == "null" for version in versions), versions
    page = s3.list_object_versions(Bucket=name, Prefix="list/", Delimiter="/")
    assert page["CommonPrefixes"], page
    answer = s3.delete_objects(Bucket=name, Delete={"Objects": [
        {"Key": "list/top", "VersionId": "other"}, {"Key": "list/0/0", "VersionId": "null"}]})
    assert [error["Code"] for error in answer["Errors"]] == ["NoSuchVersion"], answer
    assert [(one["Key"], one["VersionId"]) for one in answer["Deleted"]] == [("list/0/0", "null")], answer
    assert s3.head_object(Bucket=name, Key="list/top")
    with refused("NoSuchBucket"):
        s3.list_object_versions(Bucket=name + "-none")

    url = client("s3", signature_version="s3v4").generate_presigned_url("get_object", Params={"Bucket": name, "Key": key})
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == body

    large = bytes(range(256)) * (12 * 4096)  # 12 MiB: boto3 uses a multipart upload
    s3.upload_fileobj(io.BytesIO(large), name, "large")
    head = s3.head_object(Bucket=name, Key="large")
    assert head["ContentLength"] == len(large) and head["ETag"].endswith('-2"')
    assert s3.get_object(Bucket=name, Key="large", ChecksumMode="ENABLED")["Body"].read() == large
    upload = s3.create_multipart_upload(Bucket=name, Key="never")["UploadId"]
    with refused("InvalidPart"):
        s3.complete_multipart_upload(Bucket=name, Key="never", UploadId=upload,
                                     MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": "x"}]})
    s3.abort_multipart_upload(Bucket=name, Key="never", UploadId=upload)
    with refused("NoSuchUpload"):
        s3.abort_multipart_upload(Bucket=name, Key="never", UploadId=upload)

    empty(s3, name)
    s3.delete_bucket(Bucket=name)


def empty(s3, bucket):
    keys = [{"Key": found["Key"]} for found in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    if keys:
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys})
        assert len(answer["Deleted"]) == len(keys) and not answer.get("Errors"), answer


def forms_and_pages():
    """Uploads by HTML forms, and CORS of buckets."""
    s3 = client("s3", signature_version="s3v4")
    name, page = f"forms-{SUFFIX}", "http://app.example:8080"
    s3.create_bucket(Bucket=name)

    def post(fields, content, **headers):
        parts = [f'--XX\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in fields.items()]
        last = '--XX\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
        body = "".join(parts).encode() + last.encode() + content + b"\r\n--XX--\r\n"
        request = urllib.request.Request(form["url"], body, {"Content-Type": "multipart/form-data; boundary=XX", **headers})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers
        except urllib.error.HTTPError as error:
            return error.status, error.read().decode()

    form = s3.generate_presigned_post(
        name, "up/${filename}", Fields={"x-amz-meta-colour": "red", "success_action_status": "201"},
        Conditions=[{"x-amz-meta-colour": "red"}, {"success_action_status": "201"}, ["content-length-range", 1, 1 << 20]])
    status, headers = post(form["fields"], b"hello")
    assert status == 201 and headers["ETag"], (status, headers)
    got = s3.get_object(Bucket=name, Key="up/a.txt")
    assert got["Body"].read() == b"hello" and got["Metadata"] == {"colour": "red"}, got
    for change, code in [({"x-amz-signature": "0" * 64}, "SignatureDoesNotMatch"), ({"x-amz-meta-colour": "blue"}, "AccessDenied"),
                         ({"acl": "private"}, "AccessDenied")]:
        status, text = post({**form["fields"], **change}, b"no")
        assert status == 403 and code in text, (change, status, text)
    status, text = post(form["fields"], bytes(1 << 21))
    assert status == 400 and "EntityTooLarge" in text, (status, text)

    with refused("NoSuchCORSConfiguration"):
        s3.get_bucket_cors(Bucket=name)
    status, text = post(form["fields"], b"page", Origin=page)
    assert status == 403 and "web page" in text, (status, text)
    rules = [{"AllowedOrigins": [page], "AllowedMethods": ["POST", "GET"], "AllowedHeaders": ["*"], "ExposeHeaders": ["ETag"],
              "MaxAgeSeconds": 60, "ID": "page"}]
    s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": rules})
    assert s3.get_bucket_cors(Bucket=name)["CORSRules"] == rules
    status, headers = post(form["fields"], b"page", Origin=page)
    assert status == 201 and headers["Access-Control-Allow-Origin"] == page, (status, headers)
    assert headers["Access-Control-Expose-Headers"] == "ETag", headers
    url = s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "up/a.txt"})
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Origin": page})) as answer:
        assert answer.read() == b"page" and answer.headers["Access-Control-Allow-Origin"] == page
    status, text = post(form["fields"], b"evil", Origin="http://evil.example")
    assert status == 403, (status, text)
    with refused("InvalidRequest", "PATCH"):
        s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [{**rules[0], "AllowedMethods": ["PATCH"]}]})
    s3.delete_bucket_cors(Bucket=name)
    with refused("NoSuchCORSConfiguration"):
        s3.get_bucket_cors(Bucket=name)
    empty(s3, name)
    s3.delete_bucket(Bucket=name)


def streamed_bodies():
    """Bodies in aws-chunked encoding with trailers, which SDKs use when the checksum is not known in advance."""
    s3 = client("s3")
    name = f"streamed-{SUFFIX}"
    s3.create_bucket(Bucket=name)
    good = base64.b64encode(zlib.crc32(b"hello world").to_bytes(4, "big")).decode()

    def put(checksum, length=11, chunks=b"5\r\nhello\r\n6\r\n world\r\n0\r\n"):
        connection = http.client.HTTPConnection(ENDPOINT.removeprefix("http://"))
        path, key = f"/{name}/streamed", {
            "access_key_id": os.environ["AWS_ACCESS_KEY_ID"], "secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"]}
        headers = keys.signed(key, "s3", ENDPOINT.removeprefix("http://"), b"", {
            "x-amz-trailer": "x-amz-checksum-crc32", "x-amz-decoded-content-length": str(length),
            "Content-Encoding": "aws-chunked,identity-of-mine",
        }, method="PUT", path=path, payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        body = chunks + f"x-amz-checksum-crc32:{checksum}\r\n\r\n".encode()
        connection.request("PUT", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    status, text = put(good)
    assert status == 200, text
    got = s3.get_object(Bucket=name, Key="streamed", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"hello world" and got["ChecksumCRC32"] == good and got["ContentEncoding"] == "identity-of-mine"
    status, text = put("AAAAAA==")
    assert status == 400 and "BadDigest" in text, text
    status, text = put(good, length=12)
    assert status == 400 and "IncompleteBody" in text, text
    assert s3.get_object(Bucket=name, Key="streamed")["Body"].read() == b"hello world"
    empty(s3, name)
    s3.delete_bucket(Bucket=name)


SERVICE = SERVER + b"""
import signal
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/die":
            os._exit(3)
        body = "\\n".join(f"{key}={value}" for key, value in sorted(os.environ.items())).encode()
        if self.path == "/file":
            body = open("etc/greeting").read().encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("listening on", os.environ["LISTEN"], flush=True)
serve(Handler)
"""


def machines():
    """An instance that runs a service from the object store, with a secret from a parameter."""
    ec2, s3, ssm = client("ec2"), client("s3"), client("ssm")
    bucket, secret, digest = f"machines-{SUFFIX}", f"/machines-{SUFFIX}/secret", hashlib.sha256(SERVICE).hexdigest()
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="service", Body=SERVICE)
    ssm.put_parameter(Name=secret, Value="hush", Type="SecureString")
    document = {"machine": 1, "image": "debian-12", "packages": [],
                "files": [{"path": "/etc/greeting", "content": "hello", "mode": "0644"}],
                "services": [{"name": "web", "artifact": {"bucket": bucket, "key": "service", "sha256": digest},
                              "arguments": [], "environment": {"COLOUR": "green"},
                              "secrets": {"SECRET": {"parameter": secret, "version": 1}}, "listen": 8080, "health": "/"}]}
    user_data = "#cloud-config\n" + json.dumps({"write_files": [
        {"path": "/etc/infra/machine.json", "permissions": "0644", "content": json.dumps(document)}]})
    made = ec2.run_instances(ImageId=image(ec2), InstanceType="t3.micro", MinCount=1, MaxCount=1, UserData=user_data)
    identifier, address = made["Instances"][0]["InstanceId"], made["Instances"][0]["PrivateIpAddress"]
    eventually("the instance runs", lambda: state(ec2, identifier) == "running")

    def ask(path="/"):
        try:
            return get(address, path, 8080, timeout=2)[1]
        except OSError:
            return None

    environment = dict(line.split("=", 1) for line in eventually("the service answers", ask).split("\n"))
    assert environment["SECRET"] == "hush" and environment["COLOUR"] == "green" and environment["AWS_REGION"] == "us-east-1"
    assert environment["LISTEN"] == f"{address}:8080"
    if has_private_addresses():
        # AWS's endpoints are outside of the VPC, at an address of the internet; the metadata service is at AWS's address.
        aws, metadata = f"http://192.0.2.2:{ENDPOINT.rsplit(':', 1)[1]}", "http://169.254.169.254"
    else:
        aws, metadata = ENDPOINT, f"http://{address}:1338"
    assert environment["AWS_ENDPOINT_URL"] == aws, environment
    assert environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] == metadata, environment
    expected = {"SECRET", "COLOUR", "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "LISTEN", "HOME",
                "TMPDIR", "PATH"}
    assert set(environment) - {"LC_CTYPE"} == expected, environment  # Python sets LC_CTYPE itself
    assert ask("/file") == "hello"

    def service():
        shown = cloud_status()["regions"]["us-east-1"]["instances"]
        return next(instance for instance in shown if instance["id"] == identifier)["services"][0]

    before = service()
    assert before["state"] == "running" and before["name"] == "web" and before["port"] == 8080
    ask("/die")
    eventually("the service is restarted", lambda: service()["restarts"] == 1 and ask())
    assert service()["pid"] != before["pid"]
    console = ec2.get_console_output(InstanceId=identifier)["Output"]
    assert "listening on" in console and "hush" not in console, console
    ec2.reboot_instances(InstanceIds=[identifier])
    eventually("the service runs after the reboot", lambda: service()["pid"] not in (None, before["pid"]) and ask())
    ec2.stop_instances(InstanceIds=[identifier])
    eventually("the instance is stopped", lambda: state(ec2, identifier) == "stopped")
    assert ask() is None
    ec2.start_instances(InstanceIds=[identifier])
    eventually("the service answers again", ask)
    ec2.terminate_instances(InstanceIds=[identifier])
    eventually("the instance is terminated", lambda: state(ec2, identifier) == "terminated")
    assert ask() is None
    database(ec2, secret)
    ssm.delete_parameter(Name=secret)
    empty(s3, bucket)
    s3.delete_bucket(Bucket=bucket)


def database(ec2, secret):
    """An instance that is a PostgreSQL host."""
    document = {"machine": 1, "image": "debian-12", "packages": ["postgresql"], "files": [], "services": [],
                "postgres": {"port": 5432, "database": "tasks", "user": "cloud", "password": {"parameter": secret, "version": 1}}}
    user_data = "#cloud-config\n" + json.dumps({"write_files": [
        {"path": "/etc/infra/machine.json", "permissions": "0644", "content": json.dumps(document)}]})
    made = ec2.run_instances(ImageId=image(ec2), InstanceType="t3.micro", MinCount=1, MaxCount=1, UserData=user_data)
    identifier, address = made["Instances"][0]["InstanceId"], made["Instances"][0]["PrivateIpAddress"]

    def accepts():
        try:
            with connect(address, 5432, timeout=2) as connection:
                connection.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")  # SSLRequest: the server answers with one byte
                return connection.recv(1) in (b"N", b"S")
        except OSError:
            return False

    eventually("the database accepts connections", accepts, 90)
    eventually("the instance runs", lambda: state(ec2, identifier) == "running")
    ec2.terminate_instances(InstanceIds=[identifier])
    eventually("the instance is terminated", lambda: state(ec2, identifier) == "terminated")
    assert not accepts()


CHECKS = [network, security_groups, key_pairs, images_and_types, launch_templates, identities, parameters, buckets, objects,
          forms_and_pages, streamed_bodies, instances, machines]

if __name__ == "__main__":
    for check in CHECKS:
        check()
        print(f"ok  {check.__name__}")
