"""Errors of EC2, whose model declares none: the codes of its list of client errors for unknown and malformed ids
(https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html), and for dependencies and duplicates."""

import prepare_ec2 as prepared
from errors import Case, required
from world import TRUST, Example

REASONS = {}
# Code of an unknown id and of a malformed one, by the prefix.
CODES = {
    "vpc": ("InvalidVpcID.NotFound", "InvalidVpcID.Malformed"),
    "subnet": ("InvalidSubnetID.NotFound", "InvalidSubnetID.Malformed"),
    "i": ("InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"),
    "vol": ("InvalidVolume.NotFound", "InvalidVolumeID.Malformed"),
    "snap": ("InvalidSnapshot.NotFound", "InvalidSnapshotID.Malformed"),
    "ami": ("InvalidAMIID.NotFound", "InvalidAMIID.Malformed"),
    "sg": ("InvalidGroup.NotFound", "InvalidGroupId.Malformed"),
    "eni": ("InvalidNetworkInterfaceID.NotFound", "InvalidNetworkInterfaceId.Malformed"),
    "igw": ("InvalidInternetGatewayID.NotFound", "InvalidInternetGatewayId.Malformed"),
    "rtb": ("InvalidRouteTableID.NotFound", "InvalidRouteTableId.Malformed"),
    "acl": ("InvalidNetworkAclID.NotFound", None),
    "nat": ("NatGatewayNotFound", "NatGatewayMalformed"),
    "eipalloc": ("InvalidAllocationID.NotFound", None),
    "dopt": ("InvalidDhcpOptionID.NotFound", "InvalidDhcpOptionsId.Malformed"),
    "lt": ("InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.Malformed"),
    "pcx": ("InvalidVpcPeeringConnectionID.NotFound", "InvalidVpcPeeringConnectionId.Malformed"),
}
MEMBERS = {
    "VpcId": "vpc",
    "VpcIds": "vpc",
    "SubnetId": "subnet",
    "SubnetIds": "subnet",
    "InstanceId": "i",
    "InstanceIds": "i",
    "VolumeId": "vol",
    "VolumeIds": "vol",
    "SnapshotId": "snap",
    "SnapshotIds": "snap",
    "ImageId": "ami",
    "ImageIds": "ami",
    "GroupId": "sg",
    "GroupIds": "sg",
    "NetworkInterfaceId": "eni",
    "NetworkInterfaceIds": "eni",
    "InternetGatewayId": "igw",
    "InternetGatewayIds": "igw",
    "RouteTableId": "rtb",
    "RouteTableIds": "rtb",
    "NetworkAclId": "acl",
    "NetworkAclIds": "acl",
    "NatGatewayId": "nat",
    "NatGatewayIds": "nat",
    "AllocationId": "eipalloc",
    "AllocationIds": "eipalloc",
    "DhcpOptionsId": "dopt",
    "DhcpOptionsIds": "dopt",
    "LaunchTemplateId": "lt",
    "LaunchTemplateIds": "lt",
    "VpcPeeringConnectionId": "pcx",
    "VpcPeeringConnectionIds": "pcx",
}


def cases(world, model, operations):
    example = Example(world, "ec2", "Errors", {})
    ec2 = world.client("ec2")
    existing = {
        kind: prepared.KINDS[kind](example)
        for kind in ("vpc", "subnet", "sg", "rtb", "acl", "eni", "vol", "dopt", "lt", "igw")
    }
    # The subnet and the group are used.
    ec2.create_network_interface(SubnetId=existing["subnet"], Groups=[existing["sg"]])
    existing |= {"i": example.instance(), "ami": world.image()}
    existing["snap"] = ec2.create_snapshot(VolumeId=existing["vol"])["SnapshotId"]
    samples = {
        "CidrBlock": "10.0.9.0/24",
        "DestinationCidrBlock": "0.0.0.0/0",
        "Egress": False,
        "RuleNumber": 7,
        "Protocol": "-1",
        "RuleAction": "allow",
        "Resources": [existing["vpc"]],
        "Device": "/dev/sdh",
        "DeviceIndex": 1,
        "MinCount": 1,
        "MaxCount": 1,
        "AvailabilityZone": "us-east-1a",
        "Name": f"n-{world.number()}",
        "Description": "d",
        "GroupName": "g",
        "SourceRegion": "us-east-1",
        "SourceImageId": existing["ami"],
        "SourceSnapshotId": existing["snap"],
        "ServiceName": "com.amazonaws.us-east-1.s3",
        "LaunchTemplateData": {"InstanceType": "t3.micro"},
        "IamInstanceProfile": {"Name": profile(world)},
        "AssociationId": "rtbassoc-00000000000000000",
        "NetworkInterfaceId": existing["eni"],
        ("DescribeInstanceAttribute", "Attribute"): "instanceType",
        ("DescribeVpcAttribute", "Attribute"): "enableDnsSupport",
        ("DescribeVolumeAttribute", "Attribute"): "autoEnableIO",
        ("DescribeSnapshotAttribute", "Attribute"): "createVolumePermission",
        ("ModifySnapshotAttribute", "Attribute"): "createVolumePermission",
        ("ResetSnapshotAttribute", "Attribute"): "createVolumePermission",
        ("DescribeImageAttribute", "Attribute"): "launchPermission",
        ("ModifySubnetAttribute", "x"): 1,
        "Type": "gateway",
        ("ResetImageAttribute", "Attribute"): "launchPermission",
        ("ResetInstanceAttribute", "Attribute"): "sourceDestCheck",
        ("DescribeNetworkInterfaceAttribute", "Attribute"): "description",
        ("ModifyInstancePlacement", "x"): 1,
    }
    extra = {
        "ModifySubnetAttribute": {"MapPublicIpOnLaunch": {"Value": True}},
        "ModifyVpcAttribute": {"EnableDnsSupport": {"Value": True}},
        "ModifyInstanceAttribute": {"DisableApiTermination": {"Value": False}},
        "ModifyVolume": {"Size": 40},
        "ModifyVolumeAttribute": {"AutoEnableIO": {"Value": True}},
        "ModifyNetworkInterfaceAttribute": {"Description": {"Value": "d"}},
        "ModifyImageAttribute": {"Description": {"Value": "d"}},
        "ModifySnapshotAttribute": {"OperationType": "add", "UserIds": ["1" * 12]},
        "CreateRoute": {"GatewayId": existing["igw"]},
        "ReplaceRoute": {"GatewayId": existing["igw"]},
        "AssociateVpcCidrBlock": {"CidrBlock": "10.1.0.0/16"},
        "AssignPrivateIpAddresses": {"SecondaryPrivateIpAddressCount": 1},
        "UnassignPrivateIpAddresses": {"PrivateIpAddresses": ["10.0.0.5"]},
        "ModifySecurityGroupRules": {},
        "AuthorizeSecurityGroupIngress": permissions(),
        "AuthorizeSecurityGroupEgress": permissions(),
        "RevokeSecurityGroupIngress": permissions(),
        "RevokeSecurityGroupEgress": permissions(),
        "UpdateSecurityGroupRuleDescriptionsIngress": permissions(),
        "UpdateSecurityGroupRuleDescriptionsEgress": permissions(),
        "ModifyLaunchTemplate": {"DefaultVersion": "1"},
        "DeleteLaunchTemplateVersions": {"Versions": ["1"]},
        "CreateSecurityGroup": {"GroupName": f"g-{world.number()}"},
        "ModifyInstanceMetadataOptions": {"HttpTokens": "required"},
        "AssociateAddress": {"InstanceId": existing["i"]},
        "CreateSubnet": {"CidrBlock": "10.0.250.0/24"},
        "CreateNatGateway": {"AllocationId": "eipalloc-00000000000000000"},
        "CreateVpcPeeringConnection": {"PeerVpcId": existing["vpc"]},
        "CreateVolume": {"AvailabilityZone": "us-east-1a"},
        "CreateNetworkAclEntry": {"CidrBlock": "0.0.0.0/0"},
        "ReplaceNetworkAclEntry": {"CidrBlock": "0.0.0.0/0"},
    }
    # Members that stand beside others, or have another meaning.
    kept = {
        ("ReplaceNetworkAclAssociation", "NetworkAclId"),
        ("DescribePlacementGroups", "GroupIds"),
        ("AssociateDhcpOptions", "DhcpOptionsId"),
        ("RunInstances", "SubnetId"),
        ("CreateRoute", "LocalGatewayId"),
        ("DeleteSecurityGroup", "GroupName"),
    }
    for operation in operations:
        shape = model.operation_model(operation).input_shape
        for member, kind in MEMBERS.items():
            if not shape or member not in shape.members or (operation, member) in kept or kind not in CODES:
                continue
            if (
                member not in shape.required_members
                and not operation.startswith(("Describe", "Get"))
                and (member not in ("GroupId", "LaunchTemplateId", "VpcId") or operation.startswith("Create"))
                or operation in ("CreateTags", "CreateFlowLogs", "DescribeInstanceTypes")
                or shape.members[member].type_name == "list"
                and (operation in ("CreateVpcEndpoint", "ModifyVpcEndpoint"))
            ):
                continue
            many = shape.members[member].type_name == "list"
            try:
                given = {
                    **required(
                        model,
                        operation,
                        {
                            **{
                                m: [existing[k]] if shape.members[m].type_name == "list" else existing[k]
                                for m, k in MEMBERS.items()
                                if k in existing and m in shape.members
                            },
                            **samples,
                            **{m: "nat-00000000000000000" for m in ("NatGatewayId",)},
                        },
                    ),
                    **extra.get(operation, {}),
                }
            except KeyError:
                continue
            for code, value in zip(CODES[kind], (f"{kind}-00000000000000000", f"{kind}-nonsense!")):
                if code:
                    yield Case(operation, code, {**given, member: [value] if many else value}, status=400)
    yield from dependencies(world, ec2, existing)


def permissions():
    return {
        "IpPermissions": [
            {
                "IpProtocol": "tcp",
                "FromPort": 1,
                "ToPort": 1,
                "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "d"}],
            }
        ]
    }


def dependencies(world, ec2, existing):
    name = f"errors-{world.number()}"
    for operation, member, kind in (
        ("DeleteVpc", "VpcId", "vpc"),
        ("DeleteSubnet", "SubnetId", "subnet"),
        ("DeleteSecurityGroup", "GroupId", "sg"),
    ):
        yield Case(
            operation,
            "DependencyViolation",
            {member: existing[kind]},
            "dependenc" if kind != "sg" else "has a dependent object",
            status=400,
        )
    yield Case("DeleteInternetGateway", "DependencyViolation", {"InternetGatewayId": existing["igw"]}, status=400)
    ec2.create_key_pair(KeyName=name)
    yield Case("CreateKeyPair", "InvalidKeyPair.Duplicate", {"KeyName": name}, "already exists", status=400)
    ec2.create_security_group(GroupName=name, Description="d", VpcId=existing["vpc"])
    yield Case(
        "CreateSecurityGroup",
        "InvalidGroup.Duplicate",
        {"GroupName": name, "Description": "d", "VpcId": existing["vpc"]},
        "already exists",
        status=400,
    )
    ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"InstanceType": "t3.micro"})
    yield Case(
        "CreateLaunchTemplate",
        "InvalidLaunchTemplateName.AlreadyExistsException",
        {"LaunchTemplateName": name, "LaunchTemplateData": {"InstanceType": "t3.micro"}},
        status=400,
    )
    ec2.create_placement_group(GroupName=name, Strategy="cluster")
    yield Case(
        "CreatePlacementGroup",
        "InvalidPlacementGroup.Duplicate",
        {"GroupName": name, "Strategy": "cluster"},
        status=400,
    )
    yield Case("DeletePlacementGroup", "InvalidPlacementGroup.Unknown", {"GroupName": "none"}, status=400)
    yield Case(
        "DescribeKeyPairs",
        "InvalidKeyPair.NotFound",
        {"KeyNames": ["none"]},
        "The key pair 'none' does not exist",
        status=400,
    )
    ec2.authorize_security_group_ingress(GroupId=existing["sg"], **permissions())
    yield Case(
        "AuthorizeSecurityGroupIngress",
        "InvalidPermission.Duplicate",
        {"GroupId": existing["sg"], **permissions()},
        "already exists",
        status=400,
    )
    yield Case(
        "RevokeSecurityGroupEgress",
        "InvalidPermission.NotFound",
        {"GroupId": existing["sg"], **permissions()},
        status=400,
    )
    yield Case(
        "CreateSubnet",
        "InvalidSubnet.Range",
        {"VpcId": existing["vpc"], "CidrBlock": "192.168.0.0/24"},
        "is invalid",
        status=400,
    )
    yield Case("CreateVpc", "InvalidVpc.Range", {"CidrBlock": "10.0.0.0/8"}, "is invalid", status=400)
    yield Case(
        "CreateRoute",
        "InvalidParameterValue",
        {"RouteTableId": existing["rtb"], "DestinationCidrBlock": "nonsense", "GatewayId": existing["igw"]},
        status=400,
    )
    yield Case(
        "DeleteRoute",
        "InvalidRoute.NotFound",
        {"RouteTableId": existing["rtb"], "DestinationCidrBlock": "192.0.2.0/24"},
        status=400,
    )
    yield Case("StartInstances", "IncorrectInstanceState", {"InstanceIds": [terminated(world, ec2)]}, status=400)
    yield Case(
        "AttachVolume",
        "InvalidVolume.ZoneMismatch",
        {"VolumeId": other_zone(ec2), "InstanceId": in_a(world, ec2), "Device": "/dev/sdh"},
        status=400,
    )
    yield from interfaces(world)


def interfaces(world):
    """Yields the errors of launches with network interfaces."""
    launch = {"ImageId": world.image(), "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    subnet = world.default_subnets()[0]
    combination, invalid = "InvalidParameterCombination", "InvalidParameterValue"
    for code, words, indexes, more in (
        (invalid, "requires a unique device index", [0, 0], {}),
        (combination, "you must include a device at index 0", [1], {}),
        (combination, "may not be specified on the same request", [0], {"SubnetId": subnet}),
        ("AttachmentLimitExceeded", "Interface count 3 exceeds the limit for t3.micro", [0, 1, 2], {}),
    ):
        described = [{"DeviceIndex": index, "SubnetId": subnet} for index in indexes]
        yield Case("RunInstances", code, {**launch, "NetworkInterfaces": described, **more}, words, status=400)


def terminated(world, ec2):
    example = Example(world, "ec2", "Errors", {})
    instance = example.instance()
    ec2.terminate_instances(InstanceIds=[instance])
    return example.in_state(instance, "terminated")


def other_zone(ec2):
    return ec2.create_volume(AvailabilityZone="us-east-1b", Size=1)["VolumeId"]


def in_a(world, ec2):
    return Example(world, "ec2", "Errors", {}).instance(Placement={"AvailabilityZone": "us-east-1a"})


def profile(world):
    name = f"errors-{world.number()}"
    world.call("iam", "CreateInstanceProfile", InstanceProfileName=name)
    world.call("iam", "CreateRole", RoleName=name, AssumeRolePolicyDocument=TRUST)
    world.call("iam", "AddRoleToInstanceProfile", InstanceProfileName=name, RoleName=name)
    return name
