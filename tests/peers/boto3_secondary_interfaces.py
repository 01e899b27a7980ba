#!/usr/bin/env python3
"""Tests further interfaces and further addresses of instances of a running local cloud with boto3, AWS's Python SDK.

Usage: boto3_secondary_interfaces.py ENDPOINT          (needs: pip install boto3)

With network namespaces, a program of the instance sees the interfaces, and clients reach all addresses. Without them, the
API refuses by name what the instance would not have. All resources that the script creates are deleted again.
"""

import base64
import hashlib
import json

from common import SUFFIX, client, eventually, fabric, get, refused, status

# Listens on all addresses. GET /interfaces returns the interfaces of its instance, /peer the address of the client, and
# /fetch/ADDRESS the answer of the same program at another address to /peer.
PROGRAM = b"""#!/usr/bin/env python3
import os, socketserver, subprocess, urllib.request
from http.server import BaseHTTPRequestHandler
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        parts = self.path.strip("/").split("/")
        try:
            if parts[0] == "interfaces":
                text = subprocess.run(["ip", "-o", "-4", "addr"], capture_output=True, text=True,
                                      env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}).stdout
            elif parts[0] == "fetch":
                text = urllib.request.urlopen(f"http://{parts[1]}:8080/peer", timeout=2).read().decode()
            else:
                text = f"{self.client_address[0]} {os.getpid()}"
        except Exception as error:
            text = "lost " + repr(error)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *_):
        pass
Server(("0.0.0.0", 8080), Handler).serve_forever()
"""
PORT = 8080
ZONE = "us-east-1a"
EC2, S3 = client("ec2"), client("s3")
BUCKET, DIGEST = f"interfaces-{SUFFIX}", hashlib.sha256(PROGRAM).hexdigest()
IMAGE = client("ssm").get_parameter(Name="/aws/service/debian/release/12/latest/amd64")["Parameter"]["Value"]


def user_data():
    service = {"name": "server", "artifact": {"bucket": BUCKET, "key": "server", "sha256": DIGEST}, "arguments": [],
               "environment": {}, "secrets": {}, "listen": PORT}
    document = {"machine": 1, "image": "debian-12", "packages": [], "files": [], "services": [service]}
    files = [{"path": "/etc/infra/machine.json", "permissions": "0644", "content": json.dumps(document)}]
    return "#cloud-config\n" + json.dumps({"write_files": files})


def launch(subnet, **more):
    interface = {"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": True, **more}
    return EC2.run_instances(ImageId=IMAGE, InstanceType="t3.medium", MinCount=1, MaxCount=1, UserData=user_data(),
                             NetworkInterfaces=[interface])["Instances"][0]["InstanceId"]


def running(*ids):
    """Waits until the programs of instances run, and returns the instances."""
    def run():
        instances = {it["id"]: it for it in status()["regions"]["us-east-1"]["instances"]}
        return all([service["state"] for service in instances[id]["services"]] == ["running"] for id in ids)
    eventually("the programs run", run)
    described = EC2.describe_instances(InstanceIds=list(ids))["Reservations"]
    instances = {instance["InstanceId"]: instance for entry in described for instance in entry["Instances"]}
    return [instances[id] for id in ids]


def terminate(*ids):
    EC2.terminate_instances(InstanceIds=list(ids))
    EC2.get_waiter("instance_terminated").wait(InstanceIds=list(ids), WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def addresses(instance):
    """Returns the addresses of each interface that a program of the instance sees."""
    def ask():
        try:
            return get(instance["PublicIpAddress"], "/interfaces", PORT, timeout=5)[1]
        except OSError:
            return None
    found = {}
    for line in eventually("the program answers", ask).splitlines():
        _, name, _, address = line.split()[:4]
        found.setdefault(name, set()).add(address.partition("/")[0])
    return found


def fetched(instance, address):
    """Returns the address under which the program at an address sees the instance."""
    return get(instance["PublicIpAddress"], f"/fetch/{address}", PORT, timeout=10)[1].split()[0]


def find(interface):
    return EC2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"][0]


def secondary(shown):
    return [it["PrivateIpAddress"] for it in shown["PrivateIpAddresses"] if not it["Primary"]]


def refusals_on_loopback(subnets):
    with refused("UnsupportedParameter", "--network namespaces"):
        launch(subnets[0], SecondaryPrivateIpAddressCount=1)
    with refused("UnsupportedParameter", "--network namespaces"):
        EC2.create_network_interface(SubnetId=subnets[0], SecondaryPrivateIpAddressCount=1)
    interface = EC2.create_network_interface(SubnetId=subnets[1])["NetworkInterface"]["NetworkInterfaceId"]
    instance = launch(subnets[0])
    running(instance)
    with refused("UnsupportedParameter", "--network namespaces"):
        EC2.run_instances(ImageId=IMAGE, InstanceType="t3.micro", MinCount=1, MaxCount=1, NetworkInterfaces=[
            {"DeviceIndex": index, "SubnetId": subnets[index]} for index in range(2)])
    with refused("UnsupportedOperation", "--network namespaces"):
        EC2.attach_network_interface(NetworkInterfaceId=interface, InstanceId=instance, DeviceIndex=1)
    terminate(instance)
    EC2.delete_network_interface(NetworkInterfaceId=interface)


def secondary_addresses(server, other):
    interface = server["NetworkInterfaces"][0]["NetworkInterfaceId"]
    own = server["PrivateIpAddress"]
    first = secondary(server["NetworkInterfaces"][0])
    assert len(first) == 1 and addresses(server)["eth0"] == {own, *first}, (first, addresses(server))
    assert fetched(other, first[0]) == other["PrivateIpAddress"]
    process = get(server["PublicIpAddress"], "/peer", PORT)[1].split()[1]

    assigned = EC2.assign_private_ip_addresses(NetworkInterfaceId=interface, PrivateIpAddresses=["10.78.1.200"])
    assert [it["PrivateIpAddress"] for it in assigned["AssignedPrivateIpAddresses"]] == ["10.78.1.200"]
    eventually("the new address is assigned", lambda: addresses(server)["eth0"] == {own, "10.78.1.200", *first})
    assert fetched(other, "10.78.1.200") == other["PrivateIpAddress"]
    assert get(server["PublicIpAddress"], "/peer", PORT)[1].split()[1] == process, "the program continues to run"
    found = EC2.describe_network_interfaces(Filters=[{"Name": "addresses.private-ip-address", "Values": ["10.78.1.200"]}])
    assert [it["NetworkInterfaceId"] for it in found["NetworkInterfaces"]] == [interface]

    other_interface = other["NetworkInterfaces"][0]["NetworkInterfaceId"]
    with refused("InvalidIPAddress.InUse"):
        EC2.assign_private_ip_addresses(NetworkInterfaceId=other_interface, PrivateIpAddresses=["10.78.1.200"])
    EC2.assign_private_ip_addresses(
        NetworkInterfaceId=other_interface, PrivateIpAddresses=["10.78.1.200"], AllowReassignment=True)
    eventually("the address has moved", lambda: addresses(other)["eth0"] == {other["PrivateIpAddress"], "10.78.1.200"})
    assert fetched(server, "10.78.1.200") == own
    with refused("InvalidParameterValue", "not assigned"):
        EC2.unassign_private_ip_addresses(NetworkInterfaceId=interface, PrivateIpAddresses=["10.78.1.200"])
    EC2.unassign_private_ip_addresses(NetworkInterfaceId=other_interface, PrivateIpAddresses=["10.78.1.200"])
    eventually("the address is released", lambda: addresses(other)["eth0"] == {other["PrivateIpAddress"]})
    with refused("InvalidParameterCombination"):
        EC2.assign_private_ip_addresses(
            NetworkInterfaceId=interface, PrivateIpAddresses=["10.78.1.9"], SecondaryPrivateIpAddressCount=1)
    with refused("MissingParameter"):
        EC2.assign_private_ip_addresses(NetworkInterfaceId=interface)


def further_interface(server, other, subnets, groups):
    created = EC2.create_network_interface(SubnetId=subnets[1], Groups=[groups[0]], SecondaryPrivateIpAddressCount=1)
    interface = created["NetworkInterface"]["NetworkInterfaceId"]
    own = {it["PrivateIpAddress"] for it in created["NetworkInterface"]["PrivateIpAddresses"]}
    attachment = EC2.attach_network_interface(
        NetworkInterfaceId=interface, InstanceId=server["InstanceId"], DeviceIndex=1)["AttachmentId"]
    eventually("the instance has the interface", lambda: addresses(server).get("eth1") == own)
    shown = find(interface)
    assert (shown["Status"], shown["Attachment"]["DeviceIndex"]) == ("in-use", 1), shown
    assert not shown["Attachment"]["DeleteOnTermination"] and shown["Attachment"]["AttachmentId"] == attachment
    described = EC2.describe_instances(InstanceIds=[server["InstanceId"]])["Reservations"][0]["Instances"][0]
    assert [it["Attachment"]["DeviceIndex"] for it in described["NetworkInterfaces"]] == [0, 1]
    assert [group["GroupId"] for group in described["SecurityGroups"]] == [groups[0]]
    for address in own:
        assert fetched(other, address) == other["PrivateIpAddress"], address

    # The interface has groups of its own.
    EC2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[groups[1]])
    eventually("the group without rules takes effect", lambda: fetched(other, min(own)) == "lost")
    assert fetched(other, server["PrivateIpAddress"]) == other["PrivateIpAddress"]
    EC2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[groups[0]])

    # An elastic address of the interface leads to its primary address.
    elastic = EC2.allocate_address(Domain="vpc")
    EC2.associate_address(AllocationId=elastic["AllocationId"], NetworkInterfaceId=interface)
    shown = find(interface)
    assert shown["Association"]["PublicIp"] == elastic["PublicIp"], shown
    described = EC2.describe_addresses(AllocationIds=[elastic["AllocationId"]])["Addresses"][0]
    assert (described["InstanceId"], described["NetworkInterfaceId"]) == (server["InstanceId"], interface)

    def answers():
        try:
            return get(elastic["PublicIp"], "/peer", PORT, timeout=2)
        except OSError:
            return None
    eventually("the elastic address leads to the interface", answers)

    with refused("InvalidNetworkInterface.InUse"):
        EC2.attach_network_interface(NetworkInterfaceId=interface, InstanceId=other["InstanceId"], DeviceIndex=1)
    with refused("InvalidParameterValue", "currently in use"):
        EC2.delete_network_interface(NetworkInterfaceId=interface)
    with refused("OperationNotPermitted", "device index 0"):
        EC2.detach_network_interface(AttachmentId=server["NetworkInterfaces"][0]["Attachment"]["AttachmentId"])
    EC2.detach_network_interface(AttachmentId=attachment)
    eventually("the interface is detached", lambda: "eth1" not in addresses(server))
    assert find(interface)["Status"] == "available"
    described = EC2.describe_addresses(AllocationIds=[elastic["AllocationId"]])["Addresses"][0]
    assert described["NetworkInterfaceId"] == interface and not described.get("InstanceId"), described

    # It can be attached again, and remains after the termination of its instance.
    EC2.attach_network_interface(NetworkInterfaceId=interface, InstanceId=server["InstanceId"], DeviceIndex=2)
    eventually("the interface is attached again", lambda: addresses(server).get("eth2") == own)
    assert fetched(other, min(own)) == other["PrivateIpAddress"]
    terminate(server["InstanceId"])
    assert find(interface)["Status"] == "available"
    EC2.delete_network_interface(NetworkInterfaceId=interface)
    assert "AssociationId" not in EC2.describe_addresses(AllocationIds=[elastic["AllocationId"]])["Addresses"][0]
    EC2.release_address(AllocationId=elastic["AllocationId"])


def launched_with_several(other, subnets, groups):
    """An instance is launched with several interfaces, and an elastic address leads to a secondary address."""
    existing = EC2.create_network_interface(SubnetId=subnets[1], Groups=[groups[0]])["NetworkInterface"]
    template = EC2.create_launch_template(LaunchTemplateName=f"several-{SUFFIX}", LaunchTemplateData={
        "ImageId": IMAGE, "InstanceType": "t3.medium", "UserData": base64.b64encode(user_data().encode()).decode(), "NetworkInterfaces": [
            {"DeviceIndex": 1, "SubnetId": subnets[1], "Groups": groups, "SecondaryPrivateIpAddressCount": 1,
             "Description": "of the template", "DeleteOnTermination": True}]})["LaunchTemplate"]["LaunchTemplateId"]
    [instance] = EC2.run_instances(LaunchTemplate={"LaunchTemplateId": template}, MinCount=1, MaxCount=1, NetworkInterfaces=[
        {"DeviceIndex": 0, "SubnetId": subnets[0], "Groups": [groups[0]], "PrivateIpAddress": "10.78.1.77"},
        {"DeviceIndex": 2, "NetworkInterfaceId": existing["NetworkInterfaceId"]}])["Instances"]
    described = instance["NetworkInterfaces"]
    assert [it["Attachment"]["DeviceIndex"] for it in described] == [0, 1, 2], described
    assert instance["PrivateIpAddress"] == "10.78.1.77" and not instance.get("PublicIpAddress"), instance
    assert described[1]["Description"] == "of the template" and len(described[1]["PrivateIpAddresses"]) == 2
    assert sorted(it["GroupId"] for it in described[1]["Groups"]) == sorted(groups)
    assert [it["Attachment"]["DeleteOnTermination"] for it in described] == [True, True, False]
    # Without a public address, the instance would not reach the endpoints from which it downloads its program.
    own_address = EC2.allocate_address(Domain="vpc")
    EC2.get_waiter("instance_running").wait(InstanceIds=[instance["InstanceId"]], WaiterConfig={"Delay": 1})
    EC2.associate_address(AllocationId=own_address["AllocationId"], InstanceId=instance["InstanceId"])
    [instance] = running(instance["InstanceId"])
    assert instance["PublicIpAddress"] == own_address["PublicIp"], instance
    own = {number: {it["PrivateIpAddress"] for it in shown["PrivateIpAddresses"]}
           for number, shown in enumerate(instance["NetworkInterfaces"])}
    found = addresses(instance)
    assert [found[f"eth{number}"] for number in range(3)] == [own[number] for number in range(3)], found
    for address in set().union(*own.values()):
        assert fetched(other, address) == other["PrivateIpAddress"], address

    elastic = EC2.allocate_address(Domain="vpc")
    further = instance["NetworkInterfaces"][1]
    [address] = secondary(further)
    EC2.associate_address(AllocationId=elastic["AllocationId"], NetworkInterfaceId=further["NetworkInterfaceId"],
                          PrivateIpAddress=address)
    shown = EC2.describe_addresses(AllocationIds=[elastic["AllocationId"]])["Addresses"][0]
    assert (shown["PrivateIpAddress"], shown["InstanceId"]) == (address, instance["InstanceId"]), shown
    shown = [it.get("Association", {}).get("PublicIp") for it in find(further["NetworkInterfaceId"])["PrivateIpAddresses"]]
    assert shown == [None, elastic["PublicIp"]], shown

    assert addresses({"PublicIpAddress": elastic["PublicIp"]}) == found
    # Over the internet gateway, replies come from the elastic address.
    assert fetched(other, elastic["PublicIp"]) == other["PublicIpAddress"]
    terminate(instance["InstanceId"])
    assert find(existing["NetworkInterfaceId"])["Status"] == "available"
    EC2.delete_network_interface(NetworkInterfaceId=existing["NetworkInterfaceId"])
    with refused("InvalidNetworkInterfaceID.NotFound"):
        find(further["NetworkInterfaceId"])
    for allocated in (elastic, own_address):
        EC2.release_address(AllocationId=allocated["AllocationId"])
    EC2.delete_launch_template(LaunchTemplateId=template)


def main():
    S3.create_bucket(Bucket=BUCKET)
    S3.put_object(Bucket=BUCKET, Key="server", Body=PROGRAM)
    vpc = EC2.create_vpc(CidrBlock="10.78.0.0/16")["Vpc"]["VpcId"]
    gateway = EC2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    EC2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = EC2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"][0]["RouteTableId"]
    EC2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    subnets = [EC2.create_subnet(VpcId=vpc, CidrBlock=f"10.78.{number}.0/24", AvailabilityZone=ZONE)["Subnet"]["SubnetId"]
               for number in (1, 2)]
    groups = [EC2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"] for name in ("open", "closed")]
    EC2.authorize_security_group_ingress(GroupId=groups[0], IpPermissions=[
        {"IpProtocol": "tcp", "FromPort": PORT, "ToPort": PORT, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
    if fabric() == "loopback":
        refusals_on_loopback(subnets)
    else:
        ids = launch(subnets[0], Groups=[groups[0]], SecondaryPrivateIpAddressCount=1), launch(subnets[0], Groups=[groups[0]])
        server, other = running(*ids)
        secondary_addresses(server, other)
        further_interface(server, other, subnets, groups)
        launched_with_several(other, subnets, groups)
        terminate(ids[1])
    for subnet in subnets:
        EC2.delete_subnet(SubnetId=subnet)
    for group in groups:
        EC2.delete_security_group(GroupId=group)
    EC2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    EC2.delete_internet_gateway(InternetGatewayId=gateway)
    EC2.delete_vpc(VpcId=vpc)
    S3.delete_object(Bucket=BUCKET, Key="server")
    S3.delete_bucket(Bucket=BUCKET)
    print("ok  further interfaces and addresses of instances")


if __name__ == "__main__":
    main()
