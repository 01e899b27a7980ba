"""Preparations of the examples of EC2."""

import re

from world import OWN_VPC, eventually

CLASSIC = "EC2-Classic, which AWS has retired"
PREPARED = "the preparation creates another state"
# Differences from the documented outputs, with their reasons.
DIFFERENCES = {
    ("AllocateAddress", "Domain"): CLASSIC,
    ("CreateSnapshot", "VolumeSize"): PREPARED,
    ("DescribeSnapshots", "Snapshots.VolumeSize"): PREPARED,
    ("DescribeSnapshots", "Snapshots.State"): "completed at once",
    ("DescribeSnapshots", "Snapshots.Progress"): "completed at once",
    ("DescribeImages", "Images.VirtualizationType"): "paravirtual images",
    ("DescribeRouteTables", "RouteTables.Associations.Main"): PREPARED,
    ("DescribeLaunchTemplateVersions", "LaunchTemplateVersions.LaunchTemplateData.NetworkInterfaces.Groups"): PREPARED,
    (
        "DescribeLaunchTemplateVersions",
        "LaunchTemplateVersions.LaunchTemplateData.NetworkInterfaces.DeleteOnTermination",
    ): PREPARED,
    ("CreateLaunchTemplateVersion", "LaunchTemplateVersion.LaunchTemplateData"): PREPARED,
    ("DescribeNetworkInterfaces", "NetworkInterfaces.PrivateIpAddresses.Association"): PREPARED,
    ("CreateSubnet", "Subnet.State"): "AWS returns `available` today",
    ("DescribeAccountAttributes", "AccountAttributes.AttributeValues.AttributeValue"): CLASSIC,
    ("DescribeAddresses", "Addresses"): "the prepared address is not associated",
    ("DescribeSubnets", "Subnets.CidrBlock"): PREPARED,
    ("DescribeNetworkInterfaces", "NetworkInterfaces.Status"): PREPARED,
    ("DescribeImages", "Images.BlockDeviceMappings.Ebs.VolumeType"): PREPARED,
    ("DescribeImages", "Images.Description"): PREPARED,
    ("DescribeImages", "Images.KernelId"): "paravirtual images",
    ("DescribeInstanceAttribute", "InstanceType.Value"): PREPARED,
    ("DescribeInstanceAttribute", "BlockDeviceMappings.Ebs.DeleteOnTermination"): PREPARED,
    ("DescribeLaunchTemplateVersions", "LaunchTemplateVersions.DefaultVersion"): PREPARED,
    ("DescribeLaunchTemplateVersions", "LaunchTemplateVersions.VersionNumber"): PREPARED,
    ("DescribeNetworkInterfaces", "NetworkInterfaces.Association"): PREPARED,
    ("DescribeNetworkInterfaces", "NetworkInterfaces.Attachment"): PREPARED,
    ("DescribeVolumes", "Volumes.Attachments.Device"): PREPARED,
    ("DescribeVolumes", "Volumes.VolumeType"): "`gp3` is the default of an image's volumes",
    ("DescribeVpcs", "Vpcs.Tags"): PREPARED,
    ("GetLaunchTemplateData", "LaunchTemplateData"): PREPARED,
    ("DetachVolume", "Device"): PREPARED,
    ("DescribeTags", "Tags.Value"): PREPARED,
}
EXCLUSIVE = {
    operation: "addresses"
    for operation in (
        "AllocateAddress",
        "AssociateAddress",
        "CreateNatGateway",
        "DeleteNatGateway",
        "DescribeAddresses",
        "DescribeNatGateways",
        "DisassociateAddress",
        "ReleaseAddress",
    )
} | {operation: "vpcs" for operation in OWN_VPC}
# Examples without an answer to compare, with the reason.
IMPOSSIBLE = {
    "ReplaceRoute": "virtual private gateways",
    "DescribeSecurityGroupReferences": "the documented VPCs are of two accounts",
    "ModifyVolumeAttribute": "the example is a dry run, whose answer is the error `DryRunOperation`",
}
ID = re.compile(
    r"^(?=.*\d)(vpc|subnet|sg|i|vol|snap|ami|eni|igw|rtb|acl|nat|eipalloc|dopt|lt)-[0-9a-zA-Z]+ ?$|^[0-9a-f]{17,19}$"
)


def prepare(example):
    given, operation = example.input, example.operation
    before = BEFORE.get(operation)
    if before:
        before(example)
    for text in texts(given):
        if ID.match(text) and text not in example.actual:
            kind = text.split("-")[0] if "-" in text else ("i" if "Instance" in str(given) else "lt")
            example.actual[text] = KINDS[kind](example)
    for member in ("GroupName", "KeyName", "LaunchTemplateName"):
        if member in given:
            example.unique(given[member])
    if "KeyName" in given and operation != "CreateKeyPair":
        example.call("CreateKeyPair", KeyName=example.unique(given["KeyName"]))
    for name in given.get("KeyNames", []):
        example.call("CreateKeyPair", KeyName=example.unique(name))
    ARRANGED.get(operation, lambda example: None)(example)


def texts(value):
    if isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, str):
        yield value


def volume(example, **parameters):
    more = {"AvailabilityZone": "us-east-1a", "Size": 30, "VolumeType": "gp2", **parameters}
    made = example.call("CreateVolume", **more)["VolumeId"]
    eventually(
        f"{made} is available",
        lambda: example.call("DescribeVolumes", VolumeIds=[made])["Volumes"][0]["State"] == "available",
    )
    return made


def snapshot(example):
    made = example.call("CreateSnapshot", VolumeId=volume(example), Description="This is my snapshot.")["SnapshotId"]
    eventually(
        f"{made} is completed",
        lambda: example.call("DescribeSnapshots", SnapshotIds=[made])["Snapshots"][0]["State"] == "completed",
    )
    return made


def image(example):
    if example.operation in ("RunInstances", "CreateLaunchTemplate", "CreateLaunchTemplateVersion"):
        return example.world.image()
    made = example.call("CreateImage", InstanceId=example.instance(), Name=f"image-{example.world.number()}")["ImageId"]
    eventually(
        f"{made} is available",
        lambda: example.call("DescribeImages", ImageIds=[made])["Images"][0]["State"] == "available",
    )
    return made


def interface(example):
    return example.call(
        "CreateNetworkInterface",
        SubnetId=example.subnet(),
        Groups=[example.security_group()],
        Description="my network interface",
    )["NetworkInterface"]["NetworkInterfaceId"]


def gateway(example):
    if example.operation not in OWN_VPC | {"DeleteInternetGateway"}:
        example.vpc()
        return example.world.shared_gateway()
    made = example.call("CreateInternetGateway")["InternetGateway"]["InternetGatewayId"]
    example.facts.setdefault("gateways", []).append(made)
    if example.operation in ("DescribeInternetGateways", "CreateRoute"):
        example.call("AttachInternetGateway", InternetGatewayId=made, VpcId=example.vpc())
    return made


def route_table(example):
    made = example.call("CreateRouteTable", VpcId=example.vpc())["RouteTable"]["RouteTableId"]
    if example.operation == "DescribeRouteTables":
        example.call("AssociateRouteTable", RouteTableId=made, SubnetId=example.subnet())
    if example.operation == "DeleteRoute":
        example.call("CreateRoute", RouteTableId=made, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway(example))
    return made


def acl(example):
    made = example.call("CreateNetworkAcl", VpcId=example.vpc())["NetworkAcl"]["NetworkAclId"]
    if example.operation == "DescribeNetworkAcls":
        subnet = example.subnet()
        example.call("ReplaceNetworkAclAssociation", NetworkAclId=made, AssociationId=association_of(example, subnet))
    if example.operation in ("DeleteNetworkAclEntry", "ReplaceNetworkAclEntry"):
        example.call(
            "CreateNetworkAclEntry",
            NetworkAclId=made,
            RuleNumber=100,
            Protocol="-1",
            RuleAction="allow",
            Egress=example.input["Egress"],
            CidrBlock="0.0.0.0/0",
        )
    return made


def address(example):
    return example.address()


def nat(example):
    gateway(example)
    made = example.call("CreateNatGateway", SubnetId=example.subnet(), AllocationId=address(example))["NatGateway"][
        "NatGatewayId"
    ]
    example.facts["nat"] = made
    return made


def options(example):
    return example.call(
        "CreateDhcpOptions", DhcpConfigurations=[{"Key": "domain-name-servers", "Values": ["10.2.5.1", "10.2.5.2"]}]
    )["DhcpOptions"]["DhcpOptionsId"]


def template(example):
    made = example.call(
        "CreateLaunchTemplate",
        LaunchTemplateName=f"template-{example.suffix}",
        LaunchTemplateData={
            "ImageId": example.world.image(),
            "InstanceType": "t2.medium",
            "KeyName": "kp-us-east",
            "NetworkInterfaces": [
                {
                    "DeviceIndex": 0,
                    "AssociatePublicIpAddress": True,
                    "SubnetId": example.world.default_subnets()[0],
                    "Groups": [example.security_group()],
                }
            ],
        },
    )["LaunchTemplate"]["LaunchTemplateId"]
    if example.operation in ("DeleteLaunchTemplate", "DescribeLaunchTemplateVersions"):
        example.call(
            "CreateLaunchTemplateVersion",
            LaunchTemplateId=made,
            SourceVersion="1",
            LaunchTemplateData={"InstanceType": "t2.medium"},
        )
    if example.operation == "DeleteLaunchTemplate":
        example.call("ModifyLaunchTemplate", LaunchTemplateId=made, DefaultVersion="2")
    return made


def instance(example):
    if "instanceType" in str(example.input) or example.operation in ("ModifyInstanceAttribute", "StartInstances"):
        made = example.instance()
        if example.operation != "DescribeInstanceAttribute":
            example.call("StopInstances", InstanceIds=[made])
            example.in_state(made, "stopped")
        return made
    if "NetworkInterfaceId" in example.input:
        return example.instance(SubnetId=example.subnet())
    if "PublicIp" in example.input or example.operation == "AssociateAddress":
        gateway(example)
        return example.instance(SubnetId=example.subnet())
    return example.instance()


KINDS = {
    "vpc": lambda example: example.vpc(),
    "subnet": lambda example: example.subnet(),
    "sg": lambda example: example.security_group(),
    "i": instance,
    "vol": volume,
    "snap": snapshot,
    "ami": image,
    "eni": interface,
    "igw": gateway,
    "rtb": route_table,
    "acl": acl,
    "nat": nat,
    "eipalloc": address,
    "dopt": options,
    "lt": template,
}


def public_ip(example):
    if "PublicIp" in example.input:
        address(example)
        example.actual[example.input["PublicIp"]] = example.facts["address"]["PublicIp"]
    if example.operation == "DisassociateAddress":
        gateway(example)
        running = example.instance(SubnetId=example.subnet())
        if "address" not in example.facts:
            address(example)
        made = example.call(
            "AssociateAddress", AllocationId=example.facts["address"]["AllocationId"], InstanceId=running
        )
        if "AssociationId" in example.input:
            example.actual[example.input["AssociationId"]] = made["AssociationId"]


def profile(example):
    name = f"admin-role-{example.suffix}"
    example.call("CreateInstanceProfile", "iam", InstanceProfileName=name)
    example.role(name)
    example.call("AddRoleToInstanceProfile", "iam", InstanceProfileName=name, RoleName=name)
    example.actual["admin-role"] = name
    return name


def association(example):
    made = example.call(
        "AssociateIamInstanceProfile", InstanceId=example.instance(), IamInstanceProfile={"Name": profile(example)}
    )["IamInstanceProfileAssociation"]["AssociationId"]
    documented = example.input.get("AssociationId") or example.input["AssociationIds"][0]
    example.actual[documented] = made


def table_association(example):
    made = example.call("AssociateRouteTable", RouteTableId=route_table(example), SubnetId=example.subnet())[
        "AssociationId"
    ]
    example.actual[example.input["AssociationId"]] = made


def association_of(example, subnet):
    found = example.call("DescribeNetworkAcls", Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])
    return next(
        one["NetworkAclAssociationId"] for one in found["NetworkAcls"][0]["Associations"] if one["SubnetId"] == subnet
    )


def acl_association(example):
    example.actual[example.input["AssociationId"]] = association_of(example, example.subnet())


def attached(example):
    """Attaches the interface of the input to an instance."""
    interface_id = example.actual.get(example.input.get("NetworkInterfaceId"))
    if not interface_id:
        interface_id = interface(example)
    running = example.instance(
        SubnetId=example.call("DescribeNetworkInterfaces", NetworkInterfaceIds=[interface_id])["NetworkInterfaces"][0][
            "SubnetId"
        ]
    )
    made = example.call("AttachNetworkInterface", NetworkInterfaceId=interface_id, InstanceId=running, DeviceIndex=1)
    documented = example.input.get("AttachmentId") or example.input.get("Attachment", {}).get("AttachmentId")
    if documented and isinstance(documented, str):
        example.actual[documented] = made["AttachmentId"]


def interface_attribute(example):
    if example.input.get("Attribute") == "attachment" or "Attachment" in example.input:
        attached(example)
    else:
        example.call(
            "ModifyNetworkInterfaceAttribute",
            Description={"Value": "My description"},
            NetworkInterfaceId=example.actual[example.input["NetworkInterfaceId"]],
        )


def attached_volume(example):
    made = example.actual.get(example.input.get("VolumeId")) or volume(example)
    running = example.instance(Placement={"AvailabilityZone": "us-east-1a"})
    example.call("AttachVolume", VolumeId=made, InstanceId=running, Device="/dev/sdh")


def zone(example):
    """Creates the instance in the zone of the volume."""
    example.actual[example.input["InstanceId"]] = example.instance(Placement={"AvailabilityZone": "us-east-1a"})


def permitted(example):
    example.call(
        "AuthorizeSecurityGroupEgress" if "Egress" in example.operation else "AuthorizeSecurityGroupIngress",
        GroupId=example.actual[example.input["GroupId"]],
        IpPermissions=example.input["IpPermissions"],
    )


def placement(example):
    if example.operation != "CreatePlacementGroup":
        example.call("CreatePlacementGroup", GroupName=example.actual[example.input["GroupName"]], Strategy="cluster")


def internet_attached(example):
    example.call(
        "AttachInternetGateway",
        InternetGatewayId=example.actual[example.input["InternetGatewayId"]],
        VpcId=example.actual[example.input["VpcId"]],
    )


def version(example):
    template_id = example.actual.get(example.input["LaunchTemplateId"])
    example.call(
        "CreateLaunchTemplateVersion",
        LaunchTemplateId=template_id,
        SourceVersion="1",
        VersionDescription="WebVersion2",
        LaunchTemplateData={"InstanceType": "t2.small"},
    )
    if example.operation == "DeleteLaunchTemplateVersions":
        example.call("ModifyLaunchTemplate", LaunchTemplateId=template_id, DefaultVersion="2")


def volumes(example):
    if "Filters" not in example.input:
        attached_volume(example)


def tagged(example):
    example.call(
        "CreateTags",
        Resources=list(example.actual.values()),
        Tags=[{"Key": "Stack", "Value": "test"}, {"Key": "Name", "Value": "Beta Server"}],
    )


def assigned(example):
    example.call(
        "AssignPrivateIpAddresses",
        NetworkInterfaceId=example.actual[example.input["NetworkInterfaceId"]],
        PrivateIpAddresses=example.input["PrivateIpAddresses"],
    )


def source_image(example):
    example.actual["My server"] = f"server-{example.suffix}"


def source_region(example):
    example.input["SourceRegion"] = "us-east-1"


def two_snapshots(example):
    if "Filters" in example.input:
        # Snapshots are completed at once here, and the example lists pending ones.
        example.input["Filters"][0]["Values"] = ["completed"]
        example.input["OwnerIds"] = ["self"]
        snapshot(example)


def described_vpc(example):
    if example.input["Attribute"] == "enableDnsHostnames":
        example.call("ModifyVpcAttribute", VpcId=example.vpc(), EnableDnsHostnames={"Value": True})


def io_snapshot(example):
    if "SnapshotId" in example.input:
        example.input["Size"] = 500
        example.output["Size"] = 500


def permissions(example):
    example.call(
        "ModifyImageAttribute",
        ImageId=example.actual[example.input["ImageId"]],
        LaunchPermission={"Add": [{"UserId": "123456789012"}]},
    )


def shared(example):
    example.call(
        "ModifySnapshotAttribute",
        SnapshotId=example.actual[example.input["SnapshotId"]],
        OperationType="add",
        Attribute="createVolumePermission",
        UserIds=["123456789012"],
    )


BEFORE = {"AttachVolume": zone}
ARRANGED = {
    "AssociateAddress": public_ip,
    "DisassociateAddress": public_ip,
    "ReleaseAddress": public_ip,
    "AssociateIamInstanceProfile": profile,
    "DescribeIamInstanceProfileAssociations": association,
    "DisassociateIamInstanceProfile": association,
    "DisassociateRouteTable": table_association,
    "ReplaceRouteTableAssociation": table_association,
    "ReplaceNetworkAclAssociation": acl_association,
    "DetachNetworkInterface": attached,
    "DescribeNetworkInterfaceAttribute": interface_attribute,
    "ModifyNetworkInterfaceAttribute": interface_attribute,
    "DetachVolume": attached_volume,
    "DescribeVolumes": volumes,
    "UpdateSecurityGroupRuleDescriptionsEgress": permitted,
    "UpdateSecurityGroupRuleDescriptionsIngress": permitted,
    "CreatePlacementGroup": placement,
    "DeletePlacementGroup": placement,
    "DetachInternetGateway": internet_attached,
    "ModifyLaunchTemplate": version,
    "DeleteLaunchTemplateVersions": version,
    "DescribeAddresses": address,
    "DescribeTags": tagged,
    "DeleteTags": tagged,
    "UnassignPrivateIpAddresses": assigned,
    "DescribeNatGateways": nat,
    "DescribeSubnets": lambda example: example.subnet(),
    "DescribeInternetGateways": gateway,
    "CreateImage": source_image,
    "CopyImage": source_image,
    "CopySnapshot": source_region,
    "DescribeSnapshotAttribute": shared,
    "DescribeSnapshots": two_snapshots,
    "DescribeVpcAttribute": described_vpc,
    "DescribeImageAttribute": permissions,
    "CreateVolume": io_snapshot,
}
