#!/usr/bin/env python3
"""Tests the network interfaces of a running local cloud with boto3, AWS's Python SDK.

Usage: boto3_network_interfaces.py ENDPOINT          (needs: pip install boto3)

All resources that it creates are deleted again, so it can run repeatedly and with a cloud that is in use (with quota for
one more VPC in us-east-1).
"""

from common import SUFFIX, client, eventually, refused

EC2 = client("ec2")
UNKNOWN = "eni-00000000000000000"
TAGS = [{"Key": "peer", "Value": SUFFIX}]
IMAGE = client("ssm").get_parameter(Name="/aws/service/debian/release/12/latest/amd64")["Parameter"]["Value"]


def find(interface):
    return EC2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"][0]


def by(**filters):
    return [{"Name": name.replace("__", ".").replace("_", "-"), "Values": [value]} for name, value in filters.items()]


def run(*interfaces, count=1, **more):
    launched = EC2.run_instances(ImageId=IMAGE, InstanceType="t3.micro", MinCount=count, MaxCount=count,
                                 NetworkInterfaces=list(interfaces), **more)
    return launched["Instances"][0]


def terminate(*instances):
    EC2.terminate_instances(InstanceIds=list(instances))
    eventually("the instances are terminated", lambda: all(
        instance["State"]["Name"] == "terminated"
        for entry in EC2.describe_instances(InstanceIds=list(instances))["Reservations"] for instance in entry["Instances"]))


def unattached(subnet, groups):
    made = EC2.create_network_interface(
        SubnetId=subnet, Description="spare", Groups=groups[:1], ClientToken=SUFFIX,
        TagSpecifications=[{"ResourceType": "network-interface", "Tags": TAGS}])
    interface = made["NetworkInterface"]["NetworkInterfaceId"]
    assert made["ClientToken"] == SUFFIX and made["NetworkInterface"]["Status"] == "pending"
    shown = find(interface)
    assert shown["Status"] == "available" and "Attachment" not in shown and not shown["RequesterManaged"], shown
    assert shown["Description"] == "spare" and shown["SourceDestCheck"] and shown["TagSet"] == TAGS
    assert [group["GroupId"] for group in shown["Groups"]] == groups[:1] and shown["SubnetId"] == subnet
    assert [(it["PrivateIpAddress"], it["Primary"]) for it in shown["PrivateIpAddresses"]] == [(shown["PrivateIpAddress"], True)]
    again = EC2.create_network_interface(
        SubnetId=subnet, Description="spare", Groups=groups[:1], ClientToken=SUFFIX,
        TagSpecifications=[{"ResourceType": "network-interface", "Tags": TAGS}])
    assert again["NetworkInterface"]["NetworkInterfaceId"] == interface
    for filters in (by(status="available", subnet_id=subnet), by(group_id=groups[0], requester_managed="false"),
                    [{"Name": "tag:peer", "Values": [SUFFIX]}], by(description="spare", source_dest_check="true")):
        found = EC2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
        assert [it["NetworkInterfaceId"] for it in found] == [interface], filters
    assert EC2.describe_tags(Filters=by(resource_id=interface))["Tags"][0]["ResourceType"] == "network-interface"

    EC2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=groups)
    EC2.modify_network_interface_attribute(NetworkInterfaceId=interface, Description={"Value": "changed"})
    EC2.modify_network_interface_attribute(NetworkInterfaceId=interface, SourceDestCheck={"Value": False})
    shown = find(interface)
    assert sorted(group["GroupId"] for group in shown["Groups"]) == sorted(groups)
    assert shown["Description"] == "changed" and not shown["SourceDestCheck"]
    with refused("InvalidParameterCombination"):
        EC2.modify_network_interface_attribute(
            NetworkInterfaceId=interface, Description={"Value": "x"}, SourceDestCheck={"Value": True})
    with refused("MissingParameter"):
        EC2.modify_network_interface_attribute(NetworkInterfaceId=interface)
    with refused("InvalidAttachmentID.NotFound"):
        EC2.modify_network_interface_attribute(
            NetworkInterfaceId=interface, Attachment={"AttachmentId": "eni-attach-1", "DeleteOnTermination": True})
    with refused("InvalidGroup.NotFound"):
        EC2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=["sg-00000000000000000"])
    with refused("DependencyViolation", interface):
        EC2.delete_security_group(GroupId=groups[0])
    with refused("DependencyViolation", subnet):
        EC2.delete_subnet(SubnetId=subnet)
    with refused("InvalidSubnetID.NotFound"):
        EC2.create_network_interface(SubnetId="subnet-00000000000000000")
    with refused("InvalidNetworkInterfaceID.NotFound", UNKNOWN):
        EC2.delete_network_interface(NetworkInterfaceId=UNKNOWN)
    with refused("InvalidNetworkInterfaceId.Malformed"):
        EC2.delete_network_interface(NetworkInterfaceId="nonsense")
    return interface


def attached(interface, subnet, groups):
    for more in ({"SubnetId": subnet}, {"Groups": groups}, {"AssociatePublicIpAddress": True}):
        with refused("InvalidParameterCombination", interface):
            run({"DeviceIndex": 0, "NetworkInterfaceId": interface, **more})
    with refused("InvalidParameterCombination", "one instance only"):
        run({"DeviceIndex": 0, "NetworkInterfaceId": interface}, count=2)
    with refused("InvalidNetworkInterfaceID.NotFound"):
        run({"DeviceIndex": 0, "NetworkInterfaceId": UNKNOWN})
    with refused("InvalidParameterValue", "unique device index"):
        run({"DeviceIndex": 0, "SubnetId": subnet}, {"DeviceIndex": 0, "NetworkInterfaceId": interface})
    with refused("InvalidParameterCombination", "device at index 0"):
        run({"DeviceIndex": 1, "SubnetId": subnet})
    with refused("InvalidParameterCombination", "subnet ID"):
        run({"DeviceIndex": 0, "SubnetId": subnet}, SubnetId=subnet)
    with refused("AttachmentLimitExceeded", "t3.micro"):
        run(*({"DeviceIndex": index, "SubnetId": subnet} for index in range(3)))
    before = find(interface)
    instance = run({"DeviceIndex": 0, "NetworkInterfaceId": interface})
    identifier = instance["InstanceId"]
    assert instance["PrivateIpAddress"] == before["PrivateIpAddress"] and instance["SubnetId"] == subnet
    assert sorted(group["GroupId"] for group in instance["SecurityGroups"]) == sorted(groups)
    assert not instance["SourceDestCheck"] and not instance.get("PublicIpAddress")
    shown = find(interface)
    attachment = shown["Attachment"]
    assert shown["Status"] == "in-use" and shown["Description"] == "changed" and shown["TagSet"] == TAGS
    assert (attachment["InstanceId"], attachment["DeviceIndex"], attachment["DeleteOnTermination"]) == (identifier, 0, False)
    found = EC2.describe_network_interfaces(Filters=by(attachment__attachment_id=attachment["AttachmentId"]))
    assert [it["NetworkInterfaceId"] for it in found["NetworkInterfaces"]] == [interface]
    with refused("InvalidNetworkInterface.InUse", interface):
        run({"DeviceIndex": 0, "NetworkInterfaceId": interface})
    with refused("InvalidParameterValue", "currently in use"):
        EC2.delete_network_interface(NetworkInterfaceId=interface)
    with refused("OperationNotPermitted", "device index 0"):
        EC2.detach_network_interface(AttachmentId=attachment["AttachmentId"])
    with refused("InvalidAttachmentID.NotFound"):
        EC2.detach_network_interface(AttachmentId="eni-attach-00000000000000000")

    EC2.get_waiter("instance_running").wait(InstanceIds=[identifier], WaiterConfig={"Delay": 1})
    other = EC2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    with refused("InvalidParameterValue", "device index '0'"):
        EC2.attach_network_interface(NetworkInterfaceId=other, InstanceId=identifier, DeviceIndex=0)
    with refused("InvalidNetworkInterface.InUse"):
        EC2.attach_network_interface(NetworkInterfaceId=interface, InstanceId=identifier, DeviceIndex=1)
    EC2.delete_network_interface(NetworkInterfaceId=other)

    # The groups of an instance are those of its interface.
    EC2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=groups[:1])
    shown = EC2.describe_instances(InstanceIds=[identifier])["Reservations"][0]["Instances"][0]
    assert [group["GroupId"] for group in shown["SecurityGroups"]] == groups[:1]
    EC2.modify_instance_attribute(InstanceId=identifier, Groups=groups[1:])
    assert [group["GroupId"] for group in find(interface)["Groups"]] == groups[1:]
    terminate(identifier)
    shown = find(interface)
    assert shown["Status"] == "available" and [group["GroupId"] for group in shown["Groups"]] == groups[1:]
    assert shown["PrivateIpAddress"] == before["PrivateIpAddress"]

    # It can be deleted with its next instance.
    identifier = run({"DeviceIndex": 0, "NetworkInterfaceId": interface})["InstanceId"]
    EC2.modify_network_interface_attribute(NetworkInterfaceId=interface, Attachment={
        "AttachmentId": find(interface)["Attachment"]["AttachmentId"], "DeleteOnTermination": True})
    terminate(identifier)
    with refused("InvalidNetworkInterfaceID.NotFound"):
        find(interface)


def kept(subnet, groups):
    """The interface of a launch can be kept."""
    launched = run({"DeviceIndex": 0, "SubnetId": subnet, "Groups": groups, "DeleteOnTermination": False},
                   TagSpecifications=[{"ResourceType": "network-interface", "Tags": TAGS}])
    interface = launched["NetworkInterfaces"][0]["NetworkInterfaceId"]
    shown = find(interface)
    assert not shown["Attachment"]["DeleteOnTermination"] and shown["TagSet"] == TAGS
    terminate(launched["InstanceId"])
    assert find(interface)["Status"] == "available"
    EC2.delete_network_interface(NetworkInterfaceId=interface)
    launched = run({"DeviceIndex": 0, "SubnetId": subnet, "Groups": groups})
    terminate(launched["InstanceId"])
    assert not EC2.describe_network_interfaces(Filters=by(subnet_id=subnet))["NetworkInterfaces"]
    assert EC2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["AvailableIpAddressCount"] == 251


def main():
    vpc = EC2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = EC2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    groups = [EC2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"] for name in ("one", "two")]
    interface = unattached(subnet, groups)
    attached(interface, subnet, groups)
    kept(subnet, groups)
    EC2.delete_subnet(SubnetId=subnet)
    for group in groups:
        EC2.delete_security_group(GroupId=group)
    EC2.delete_vpc(VpcId=vpc)
    print("ok  network interfaces of instances and unattached ones")


if __name__ == "__main__":
    main()
