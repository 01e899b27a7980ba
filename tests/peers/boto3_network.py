#!/usr/bin/env python3
"""Tests the networks of a running local cloud with boto3, AWS's Python SDK.

Usage: boto3_network.py ENDPOINT          (needs: pip install boto3)

All resources that it creates are deleted again, so it can run repeatedly and with a cloud that is in use (with quota for
three more VPCs in us-east-1 and one in us-east-2).
"""

import hashlib
import ipaddress
import json
import time
from contextlib import contextmanager

from common import SERVER, SUFFIX, client, eventually, get, has_private_addresses, reaches, refused

EC2 = client("ec2")
OHIO = client("ec2", "us-east-2")


def tagged(kind):
    return [{"ResourceType": kind, "Tags": [{"Key": "peer", "Value": SUFFIX}]}]


def by(**filters):
    return [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]


def make_vpc(ec2=EC2, cidr="10.0.0.0/16"):
    return ec2.create_vpc(CidrBlock=cidr, TagSpecifications=tagged("vpc"))["Vpc"]["VpcId"]


def vpcs():
    with refused("DryRunOperation"):
        EC2.create_vpc(CidrBlock="10.0.0.0/16", DryRun=True)
    for cidr in ("10.0.0.0/15", "10.0.0.0/29", "127.0.0.0/16", "169.254.0.0/16"):
        with refused("InvalidVpc.Range", cidr):
            EC2.create_vpc(CidrBlock=cidr)
    with refused("InvalidParameterValue"):
        EC2.create_vpc(CidrBlock="10.0.0.0")
    with refused("UnsupportedOperation", "tenancy"):
        EC2.create_vpc(CidrBlock="10.0.0.0/16", InstanceTenancy="dedicated")
    made = EC2.create_vpc(CidrBlock="10.7.9.1/16", AmazonProvidedIpv6CidrBlock=False, TagSpecifications=tagged("vpc"))["Vpc"]
    vpc = made["VpcId"]
    assert made["State"] == "pending" and made["CidrBlock"] == "10.7.0.0/16" and not made["IsDefault"]
    shown = EC2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]
    assert shown["State"] == "available" and shown["Tags"] == [{"Key": "peer", "Value": SUFFIX}]
    assert shown["CidrBlockAssociationSet"][0]["CidrBlockState"]["State"] == "associated"
    for found in (by(cidr="10.7.0.0/16"), [{"Name": "tag:peer", "Values": [SUFFIX]}], by(vpc_id=vpc, is_default="false"),
                  by(dhcp_options_id=shown["DhcpOptionsId"], vpc_id=vpc)):
        assert [it["VpcId"] for it in EC2.describe_vpcs(Filters=found)["Vpcs"]] == [vpc], found

    def attribute(name):
        answer = EC2.describe_vpc_attribute(VpcId=vpc, Attribute=name)
        return answer[name[0].upper() + name[1:]]["Value"]
    assert attribute("enableDnsSupport") and not attribute("enableDnsHostnames")
    EC2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    EC2.modify_vpc_attribute(VpcId=vpc, EnableNetworkAddressUsageMetrics={"Value": True})
    assert attribute("enableDnsHostnames") and attribute("enableNetworkAddressUsageMetrics")
    with refused("InvalidParameterCombination"):
        EC2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True}, EnableDnsSupport={"Value": True})

    # The default resources of a VPC: main route table, security group, network ACL, DHCP options.
    tables = EC2.describe_route_tables(Filters=by(vpc_id=vpc) + [{"Name": "association.main", "Values": ["true"]}])["RouteTables"]
    assert len(tables) == 1 and tables[0]["Routes"] == [
        {"DestinationCidrBlock": "10.7.0.0/16", "GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"}]
    groups = EC2.describe_security_groups(Filters=by(vpc_id=vpc))["SecurityGroups"]
    assert [group["GroupName"] for group in groups] == ["default"]
    with refused("CannotDelete"):
        EC2.delete_security_group(GroupId=groups[0]["GroupId"])
    acls = EC2.describe_network_acls(Filters=by(vpc_id=vpc, default="true"))["NetworkAcls"]
    assert len(acls) == 1 and sorted(entry["RuleNumber"] for entry in acls[0]["Entries"]) == [100, 100, 32767, 32767]
    assert EC2.describe_network_acls(NetworkAclIds=[acls[0]["NetworkAclId"]])["NetworkAcls"] == acls
    options = EC2.describe_dhcp_options(DhcpOptionsIds=[shown["DhcpOptionsId"]])["DhcpOptions"][0]
    domains = {it["Key"]: it["Values"][0]["Value"] for it in options["DhcpConfigurations"]}
    assert domains == {"domain-name": "ec2.internal", "domain-name-servers": "AmazonProvidedDNS"}
    with refused("InvalidDhcpOptionID.NotFound"):
        EC2.describe_dhcp_options(DhcpOptionsIds=["dopt-00000000000000000"])

    group = EC2.create_security_group(GroupName="own", Description="own", VpcId=vpc)["GroupId"]
    with refused("DependencyViolation", f"The vpc '{vpc}' has dependencies and cannot be deleted."):
        EC2.delete_vpc(VpcId=vpc)
    EC2.delete_security_group(GroupId=group)
    EC2.delete_vpc(VpcId=vpc)
    with refused("InvalidVpcID.NotFound", f"The vpc ID '{vpc}' does not exist"):
        EC2.delete_vpc(VpcId=vpc)
    with refused("InvalidVpcID.Malformed"):
        EC2.delete_vpc(VpcId="nonsense")
    assert not EC2.describe_route_tables(Filters=by(vpc_id=vpc))["RouteTables"]

    room = 5 - len(EC2.describe_vpcs()["Vpcs"])
    filling = [make_vpc() for _ in range(room)]
    with refused("VpcLimitExceeded"):
        make_vpc()
    for vpc in filling:
        EC2.delete_vpc(VpcId=vpc)


def subnets():
    vpc = make_vpc()
    def make(cidr, **more):
        return EC2.create_subnet(VpcId=vpc, CidrBlock=cidr, **more)["Subnet"]
    one = make("10.0.0.77/24", AvailabilityZone="us-east-1b", TagSpecifications=tagged("subnet"))
    assert one["CidrBlock"] == "10.0.0.0/24" and one["AvailabilityZone"] == "us-east-1b"
    assert one["AvailableIpAddressCount"] == 251 and not one["MapPublicIpOnLaunch"] and not one["DefaultForAz"]
    two = make("10.0.1.0/28", AvailabilityZoneId="use1-az3")
    assert two["AvailabilityZone"] == "us-east-1c" and two["AvailableIpAddressCount"] == 11
    assert make("10.0.2.0/24")["AvailabilityZone"] == "us-east-1a", "the zone with the fewest subnets is chosen"
    for cidr in ("10.0.0.128/25", "10.0.0.0/20"):
        with refused("InvalidSubnet.Conflict", "conflicts with another subnet"):
            make(cidr)
    for cidr in ("10.1.0.0/24", "10.0.3.0/29", "10.0.0.0/8"):
        with refused("InvalidSubnet.Range"):
            make(cidr)
    with refused("InvalidParameterValue", "us-east-1z", "us-east-1a"):
        make("10.0.3.0/24", AvailabilityZone="us-east-1z")
    with refused("InvalidVpcID.NotFound"):
        EC2.create_subnet(VpcId="vpc-00000000000000000", CidrBlock="10.0.0.0/24")
    with refused("InvalidSubnet.Range"):
        make("10.0.3.0/24", Ipv6CidrBlock="2001:db8::/64")
    EC2.modify_subnet_attribute(SubnetId=one["SubnetId"], MapPublicIpOnLaunch={"Value": True})
    shown = EC2.describe_subnets(Filters=by(vpc_id=vpc, map_public_ip_on_launch="true"))["Subnets"]
    assert [it["SubnetId"] for it in shown] == [one["SubnetId"]] and shown[0]["Tags"] == [{"Key": "peer", "Value": SUFFIX}]
    assert len(EC2.describe_network_acls(Filters=by(vpc_id=vpc))["NetworkAcls"][0]["Associations"]) == 3
    with refused("DependencyViolation"):
        EC2.delete_vpc(VpcId=vpc)
    for subnet in EC2.describe_subnets(Filters=by(vpc_id=vpc))["Subnets"]:
        EC2.delete_subnet(SubnetId=subnet["SubnetId"])
    with refused("InvalidSubnetID.NotFound", "does not exist"):
        EC2.delete_subnet(SubnetId=one["SubnetId"])
    EC2.delete_vpc(VpcId=vpc)


def internet_gateways():
    vpc = make_vpc()
    other = make_vpc()
    gateway = EC2.create_internet_gateway(TagSpecifications=tagged("internet-gateway"))["InternetGateway"]
    identifier = gateway["InternetGatewayId"]
    assert gateway["Attachments"] == [] and gateway["Tags"] == [{"Key": "peer", "Value": SUFFIX}]
    with refused("Gateway.NotAttached", f"resource {identifier} is not attached to network {vpc}"):
        EC2.detach_internet_gateway(InternetGatewayId=identifier, VpcId=vpc)
    EC2.attach_internet_gateway(InternetGatewayId=identifier, VpcId=vpc)
    with refused("Resource.AlreadyAssociated"):
        EC2.attach_internet_gateway(InternetGatewayId=identifier, VpcId=other)
    second = EC2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    with refused("InvalidParameterValue", f"Network {vpc} already has an internet gateway attached"):
        EC2.attach_internet_gateway(InternetGatewayId=second, VpcId=vpc)
    shown = EC2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc]}])["InternetGateways"]
    assert shown[0]["InternetGatewayId"] == identifier and shown[0]["Attachments"] == [{"State": "available", "VpcId": vpc}]
    with refused("DependencyViolation", "has dependencies and cannot be deleted"):
        EC2.delete_internet_gateway(InternetGatewayId=identifier)
    with refused("DependencyViolation"):
        EC2.delete_vpc(VpcId=vpc)
    EC2.detach_internet_gateway(InternetGatewayId=identifier, VpcId=vpc)
    for unused in (identifier, second):
        EC2.delete_internet_gateway(InternetGatewayId=unused)
    with refused("InvalidInternetGatewayID.NotFound"):
        EC2.describe_internet_gateways(InternetGatewayIds=[identifier])
    for unused in (vpc, other):
        EC2.delete_vpc(VpcId=unused)


def route(table, **target):
    return next(it for it in EC2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
                if it["DestinationCidrBlock"] == target["DestinationCidrBlock"])


def route_tables():
    vpc = make_vpc()
    subnet = EC2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    gateway = EC2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    make = dict(VpcId=vpc, ClientToken=f"table-{SUFFIX}", TagSpecifications=tagged("route-table"))
    made = EC2.create_route_table(**make)["RouteTable"]
    table = made["RouteTableId"]
    assert EC2.create_route_table(**make)["RouteTable"]["RouteTableId"] == table
    with refused("IdempotentParameterMismatch"):
        EC2.create_route_table(VpcId=vpc, ClientToken=f"table-{SUFFIX}")
    assert made["Tags"] == [{"Key": "peer", "Value": SUFFIX}] and made["Associations"] == []

    out = dict(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")
    with refused("InvalidParameterValue", "belong to different networks"):
        EC2.create_route(GatewayId=gateway, **out)
    EC2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    EC2.create_route(GatewayId=gateway, **out)
    EC2.create_route(GatewayId=gateway, **out)
    assert route(table, **out) == {
        "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway, "Origin": "CreateRoute", "State": "active"}
    with refused("InvalidGatewayID.NotFound"):
        EC2.create_route(RouteTableId=table, DestinationCidrBlock="1.0.0.0/8", GatewayId="igw-00000000000000000")
    with refused("InvalidNatGatewayID.NotFound"):
        EC2.create_route(RouteTableId=table, DestinationCidrBlock="1.0.0.0/8", NatGatewayId="nat-00000000000000000")
    with refused("InvalidVpcPeeringConnectionID.NotFound"):
        EC2.create_route(RouteTableId=table, DestinationCidrBlock="1.0.0.0/8", VpcPeeringConnectionId="pcx-00000000000000000")
    with refused("InvalidParameterValue", "equal to or more specific"):
        EC2.create_route(RouteTableId=table, DestinationCidrBlock="10.0.1.0/24", GatewayId=gateway)
    with refused("MissingParameter"):
        EC2.create_route(RouteTableId=table, DestinationCidrBlock="1.0.0.0/8")
    with refused("InvalidNetworkInterfaceID.NotFound"):
        EC2.create_route(RouteTableId=table, DestinationCidrBlock="1.0.0.0/8", NetworkInterfaceId="eni-00000000000000000")
    with refused("UnsupportedParameter", "TransitGatewayId"):
        EC2.create_route(RouteTableId=table, DestinationCidrBlock="1.0.0.0/8", TransitGatewayId="tgw-00000000000000000")
    with refused("InvalidParameterValue", "There is no route defined for '1.0.0.0/8'"):
        EC2.replace_route(RouteTableId=table, DestinationCidrBlock="1.0.0.0/8", GatewayId=gateway)
    EC2.replace_route(GatewayId=gateway, **out)
    EC2.create_route(RouteTableId=table, DestinationCidrBlock="1.2.3.4/8", GatewayId=gateway)
    assert EC2.describe_route_tables(Filters=[{"Name": "route.destination-cidr-block", "Values": ["1.0.0.0/8"]}])["RouteTables"]
    EC2.delete_route(RouteTableId=table, DestinationCidrBlock="1.0.0.0/8")
    with refused("InvalidRoute.NotFound", f"no route with destination-cidr-block 1.0.0.0/8 in route table {table}"):
        EC2.delete_route(RouteTableId=table, DestinationCidrBlock="1.0.0.0/8")
    with refused("InvalidParameterValue", "cannot remove local route"):
        EC2.delete_route(RouteTableId=table, DestinationCidrBlock="10.0.0.0/16")

    association = EC2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
    assert EC2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"] == association
    second = EC2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    with refused("Resource.AlreadyAssociated"):
        EC2.associate_route_table(RouteTableId=second, SubnetId=subnet)
    with refused("DependencyViolation", f"The routeTable '{table}' has dependencies"):
        EC2.delete_route_table(RouteTableId=table)
    replaced = EC2.replace_route_table_association(AssociationId=association, RouteTableId=second)
    assert replaced["AssociationState"]["State"] == "associated" and replaced["NewAssociationId"] != association
    found = EC2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])["RouteTables"]
    assert [it["RouteTableId"] for it in found] == [second]
    with refused("InvalidAssociationID.NotFound"):
        EC2.disassociate_route_table(AssociationId=association)
    EC2.disassociate_route_table(AssociationId=replaced["NewAssociationId"])

    main = EC2.describe_route_tables(Filters=by(vpc_id=vpc) + [{"Name": "association.main", "Values": ["true"]}])["RouteTables"][0]
    with refused("InvalidParameterValue", "cannot disassociate the main route table association"):
        EC2.disassociate_route_table(AssociationId=main["Associations"][0]["RouteTableAssociationId"])
    with refused("DependencyViolation"):
        EC2.delete_route_table(RouteTableId=main["RouteTableId"])
    swapped = EC2.replace_route_table_association(
        AssociationId=main["Associations"][0]["RouteTableAssociationId"], RouteTableId=second)["NewAssociationId"]
    EC2.replace_route_table_association(AssociationId=swapped, RouteTableId=main["RouteTableId"])

    EC2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    assert route(table, **out)["State"] == "blackhole"
    found = EC2.describe_route_tables(Filters=by(vpc_id=vpc) + [{"Name": "route.state", "Values": ["blackhole"]}])["RouteTables"]
    assert [it["RouteTableId"] for it in found] == [table]
    EC2.delete_internet_gateway(InternetGatewayId=gateway)
    with refused("DependencyViolation"):
        EC2.delete_vpc(VpcId=vpc)
    for unused in (table, second):
        EC2.delete_route_table(RouteTableId=unused)
    with refused("InvalidRouteTableID.NotFound"):
        EC2.delete_route_table(RouteTableId=table)
    EC2.delete_subnet(SubnetId=subnet)
    EC2.delete_vpc(VpcId=vpc)


@contextmanager
def public_network():
    """Creates a VPC with a public and a private subnet; the public one has a route to an internet gateway."""
    vpc = make_vpc()
    gateway = EC2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    EC2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    public = EC2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZone="us-east-1a")["Subnet"]["SubnetId"]
    EC2.modify_subnet_attribute(SubnetId=public, MapPublicIpOnLaunch={"Value": True})
    private = EC2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24", AvailabilityZone="us-east-1b")["Subnet"]["SubnetId"]
    table = EC2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    EC2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    association = EC2.associate_route_table(RouteTableId=table, SubnetId=public)["AssociationId"]
    yield dict(vpc=vpc, gateway=gateway, public=public, private=private, table=table)
    EC2.disassociate_route_table(AssociationId=association)
    EC2.delete_route_table(RouteTableId=table)
    for subnet in (public, private):
        EC2.delete_subnet(SubnetId=subnet)
    EC2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    EC2.delete_internet_gateway(InternetGatewayId=gateway)
    EC2.delete_vpc(VpcId=vpc)


def nat(identifier):
    return EC2.describe_nat_gateways(NatGatewayIds=[identifier])["NatGateways"][0]


def nat_gateways():
    with public_network() as net:
        address = EC2.allocate_address(Domain="vpc", TagSpecifications=tagged("elastic-ip"))
        allocation = address["AllocationId"]
        with refused("MissingParameter", "AllocationId"):
            EC2.create_nat_gateway(SubnetId=net["public"])
        with refused("InvalidAllocationID.NotFound"):
            EC2.create_nat_gateway(SubnetId=net["public"], AllocationId="eipalloc-00000000000000000")
        make = dict(SubnetId=net["public"], AllocationId=allocation, ClientToken=f"nat-{SUFFIX}",
                    TagSpecifications=tagged("natgateway"))
        made = EC2.create_nat_gateway(**make)
        identifier = made["NatGateway"]["NatGatewayId"]
        assert made["NatGateway"]["State"] == "pending" and made["ClientToken"] == f"nat-{SUFFIX}"
        assert EC2.create_nat_gateway(**make)["NatGateway"]["NatGatewayId"] == identifier
        with refused("Resource.AlreadyAssociated"):
            EC2.create_nat_gateway(SubnetId=net["public"], AllocationId=allocation)
        EC2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[identifier], WaiterConfig={"Delay": 1})
        shown = nat(identifier)
        assert shown["ConnectivityType"] == "public" and shown["Tags"] == [{"Key": "peer", "Value": SUFFIX}]
        held = shown["NatGatewayAddresses"][0]
        assert held["PublicIp"] == address["PublicIp"] and held["AllocationId"] == allocation
        interface = EC2.describe_network_interfaces(Filters=by(subnet_id=net["public"]))["NetworkInterfaces"][0]
        assert interface["NetworkInterfaceId"] == held["NetworkInterfaceId"] and interface["InterfaceType"] == "nat_gateway"
        with refused("InvalidIPAddress.InUse"):
            EC2.release_address(AllocationId=allocation)
        with refused("OperationNotPermitted"):
            EC2.disassociate_address(AssociationId=held["AssociationId"])
        with refused("DependencyViolation", "mapped public address"):
            EC2.detach_internet_gateway(InternetGatewayId=net["gateway"], VpcId=net["vpc"])
        with refused("DependencyViolation"):
            EC2.delete_subnet(SubnetId=net["public"])

        inner = EC2.create_route_table(VpcId=net["vpc"])["RouteTable"]["RouteTableId"]
        out = dict(RouteTableId=inner, DestinationCidrBlock="0.0.0.0/0")
        EC2.create_route(NatGatewayId=identifier, **out)
        assert route(inner, **out)["NatGatewayId"] == identifier and route(inner, **out)["State"] == "active"
        assert EC2.delete_nat_gateway(NatGatewayId=identifier)["NatGatewayId"] == identifier
        EC2.get_waiter("nat_gateway_deleted").wait(NatGatewayIds=[identifier], WaiterConfig={"Delay": 1})
        assert route(inner, **out)["State"] == "blackhole" and nat(identifier)["DeleteTime"]
        found = EC2.describe_nat_gateways(Filter=by(vpc_id=net["vpc"], state="deleted"))["NatGateways"]
        assert [it["NatGatewayId"] for it in found] == [identifier]
        EC2.delete_route_table(RouteTableId=inner)
        EC2.release_address(AllocationId=allocation)
        with refused("NatGatewayNotFound"):
            EC2.delete_nat_gateway(NatGatewayId="nat-00000000000000000")

    # Without an internet gateway, a public NAT gateway fails; a private one does not need one.
    vpc = make_vpc()
    subnet = EC2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    allocation = EC2.allocate_address()["AllocationId"]
    failing = EC2.create_nat_gateway(SubnetId=subnet, AllocationId=allocation)["NatGateway"]["NatGatewayId"]
    failed = eventually("the NAT gateway has failed", lambda: nat(failing)["State"] == "failed" and nat(failing))
    assert failed["FailureCode"] == "Gateway.NotAttached" and vpc in failed["FailureMessage"]
    EC2.release_address(AllocationId=allocation)
    private = EC2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")["NatGateway"]["NatGatewayId"]
    eventually("the private NAT gateway is available", lambda: nat(private)["State"] == "available")
    assert nat(private)["ConnectivityType"] == "private" and "PublicIp" not in nat(private)["NatGatewayAddresses"][0]
    EC2.delete_nat_gateway(NatGatewayId=private)
    eventually("the private NAT gateway is deleted", lambda: nat(private)["State"] == "deleted")
    EC2.delete_subnet(SubnetId=subnet)
    EC2.delete_vpc(VpcId=vpc)


def image():
    return EC2.describe_images(Filters=[{"Name": "name", "Values": ["debian-12-amd64-*"]}])["Images"][0]["ImageId"]


def machine(script):
    """Returns the user data of an instance that runs this script as a service on port 8080."""
    s3 = client("s3")
    bucket = f"network-{SUFFIX}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="service", Body=script)
    document = {"machine": 1, "image": "debian-12", "services": [{
        "name": "service", "listen": 8080,
        "artifact": {"bucket": bucket, "key": "service", "sha256": hashlib.sha256(script).hexdigest()}}]}
    file = {"path": "/etc/infra/machine.json", "content": json.dumps(document)}
    return "#cloud-config\n" + json.dumps({"write_files": [file]})


SERVICE = SERVER + b"""
class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"hello")
    def log_message(self, *_):
        pass
serve(Hello)
"""


def says_hello(address):
    try:
        return get(address, port=8080, timeout=5)[1] == "hello"
    except OSError:
        return False


def shown(identifier):
    return EC2.describe_instances(InstanceIds=[identifier])["Reservations"][0]["Instances"][0]


def is_within(address, cidr):
    return ipaddress.ip_address(address) in ipaddress.ip_network(cidr)


def instances_and_addresses():
    with public_network() as net:
        user_data = machine(SERVICE)
        group = EC2.create_security_group(GroupName="web", Description="web", VpcId=net["vpc"])["GroupId"]
        launch = dict(ImageId=image(), InstanceType="t3.micro", MinCount=1, MaxCount=1, SecurityGroupIds=[group], UserData=user_data)
        public = EC2.run_instances(SubnetId=net["public"], **launch)["Instances"][0]["InstanceId"]
        private = EC2.run_instances(SubnetId=net["private"], **launch)["Instances"][0]["InstanceId"]
        running = [{"Name": "vpc-id", "Values": [net["vpc"]]}, {"Name": "instance-state-name", "Values": ["running"]}]
        eventually("both instances run", lambda: len(EC2.describe_instances(Filters=running)["Reservations"]) == 2)
        ip, address = shown(public)["PublicIpAddress"], shown(public)["PrivateIpAddress"]
        if has_private_addresses():
            ranges = ((public, "10.0.0.0/24"), (private, "10.0.1.0/24"))
            assert all(is_within(shown(one)["PrivateIpAddress"], cidr) for one, cidr in ranges), (address, shown(private))
            assert ip.startswith("127.") and shown(public)["NetworkInterfaces"][0]["Association"]["PublicIp"] == ip, ip
        else:
            assert ip == address and ip.startswith("127.")
        assert "PublicIpAddress" not in shown(private) and "Association" not in shown(private)["NetworkInterfaces"][0]
        assert shown(public)["PublicDnsName"] == "", "the VPC assigns no public DNS names"
        eventually("the public instance answers", lambda: says_hello(address))
        if has_private_addresses():
            assert not says_hello(ip), "the security group has no ingress rule"

        # The private instance cannot download its program without a route to the internet.
        def console():
            return EC2.get_console_output(InstanceId=private)["Output"]
        eventually("the private instance reports the missing route", lambda: "has no way to the internet" in console())
        assert not says_hello(shown(private)["PrivateIpAddress"])
        allocation = EC2.allocate_address()["AllocationId"]
        gateway = EC2.create_nat_gateway(SubnetId=net["public"], AllocationId=allocation)["NatGateway"]["NatGatewayId"]
        eventually("the NAT gateway is available", lambda: nat(gateway)["State"] == "available")
        main = EC2.describe_route_tables(Filters=by(vpc_id=net["vpc"]) + [{"Name": "association.main", "Values": ["true"]}])
        main = main["RouteTables"][0]["RouteTableId"]
        EC2.create_route(RouteTableId=main, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=gateway)
        eventually("the private instance answers", lambda: says_hello(shown(private)["PrivateIpAddress"]))

        # An Elastic IP address is the public address of its instance, and forwards the ports that the security group opens.
        elastic = EC2.allocate_address(TagSpecifications=tagged("elastic-ip"))
        identifier, ip = elastic["AllocationId"], elastic["PublicIp"]
        held = EC2.associate_address(AllocationId=identifier, InstanceId=public)["AssociationId"]
        assert EC2.associate_address(AllocationId=identifier, InstanceId=public)["AssociationId"] == held
        assert shown(public)["PublicIpAddress"] == ip
        address = EC2.describe_addresses(AllocationIds=[identifier])["Addresses"][0]
        assert address["InstanceId"] == public and address["AssociationId"] == held and address["PublicIp"] == ip
        assert address["PrivateIpAddress"] == shown(public)["PrivateIpAddress"]
        assert address["Tags"] == [{"Key": "peer", "Value": SUFFIX}] and address["Domain"] == "vpc"
        for found in (by(instance_id=public), by(association_id=held), by(public_ip=ip)):
            assert [it["AllocationId"] for it in EC2.describe_addresses(Filters=found)["Addresses"]] == [identifier]
        attributes = EC2.describe_addresses_attribute(AllocationIds=[identifier], Attribute="domain-name")["Addresses"]
        assert attributes == [{"PublicIp": ip, "AllocationId": identifier}]
        assert not says_hello(ip) and not reaches("internet", public, 8080) and not reaches(public, private, 8080)
        EC2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=8080, ToPort=8080, CidrIp="0.0.0.0/0")
        eventually("the address answers", lambda: says_hello(ip))
        assert reaches("internet", public, 8080) and reaches(public, private, 8080)
        EC2.delete_route(RouteTableId=net["table"], DestinationCidrBlock="0.0.0.0/0")
        eventually("the instance is unreachable without a route", lambda: not says_hello(ip))
        EC2.create_route(RouteTableId=net["table"], DestinationCidrBlock="0.0.0.0/0", GatewayId=net["gateway"])
        with refused("Resource.AlreadyAssociated"):
            EC2.associate_address(AllocationId=identifier, InstanceId=private, AllowReassociation=False)
        with refused("InvalidIPAddress.InUse"):
            EC2.release_address(AllocationId=identifier)
        interface = shown(private)["NetworkInterfaces"][0]["NetworkInterfaceId"]
        moved = EC2.associate_address(AllocationId=identifier, NetworkInterfaceId=interface)["AssociationId"]
        assert shown(private)["PublicIpAddress"] == ip and shown(public)["PublicIpAddress"] != ip
        EC2.disassociate_address(AssociationId=moved)
        assert "PublicIpAddress" not in shown(private)
        with refused("InvalidAssociationID.NotFound"):
            EC2.disassociate_address(AssociationId=moved)
        EC2.associate_address(AllocationId=identifier, InstanceId=private)

        with refused("DependencyViolation", f"The subnet '{net['public']}' has dependencies and cannot be deleted."):
            EC2.delete_subnet(SubnetId=net["public"])
        EC2.delete_nat_gateway(NatGatewayId=gateway)
        EC2.terminate_instances(InstanceIds=[public, private])
        ended = lambda one: shown(one)["State"]["Name"] == "terminated"
        eventually("the instances are terminated and the gateway is deleted", lambda: ended(public) and ended(private) and nat(gateway)["State"] == "deleted")
        assert "AssociationId" not in EC2.describe_addresses(AllocationIds=[identifier])["Addresses"][0]
        with refused("InvalidAddress.NotFound"):
            EC2.release_address(AllocationId=identifier, NetworkBorderGroup="us-east-1-atl-1")
        for unused in (identifier, allocation):
            EC2.release_address(AllocationId=unused, NetworkBorderGroup="us-east-1")
        with refused("InvalidAllocationID.NotFound"):
            EC2.release_address(AllocationId=identifier)
        EC2.delete_security_group(GroupId=group)
        s3 = client("s3")
        s3.delete_object(Bucket=f"network-{SUFFIX}", Key="service")
        s3.delete_bucket(Bucket=f"network-{SUFFIX}")
    room = 5 - len(EC2.describe_addresses()["Addresses"])
    filling = [EC2.allocate_address()["AllocationId"] for _ in range(room)]
    with refused("AddressLimitExceeded"):
        EC2.allocate_address()
    for unused in filling:
        EC2.release_address(AllocationId=unused)


def balancers():
    elb = client("elbv2")
    vpc = make_vpc()
    pair = [EC2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{at}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"]["SubnetId"]
            for at, zone in enumerate("ab")]
    with refused("InvalidSubnet", f"VPC {vpc} has no internet gateway"):
        elb.create_load_balancer(Name=f"net-{SUFFIX}", Subnets=pair)
    made = elb.create_load_balancer(Name=f"net-{SUFFIX}", Subnets=pair, Scheme="internal")["LoadBalancers"][0]
    assert made["VpcId"] == vpc
    with refused("DependencyViolation"):
        EC2.delete_subnet(SubnetId=pair[1])
    elb.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
    for subnet in pair:
        EC2.delete_subnet(SubnetId=subnet)
    EC2.delete_vpc(VpcId=vpc)


def pcx(ec2, identifier):
    return ec2.describe_vpc_peering_connections(VpcPeeringConnectionIds=[identifier])["VpcPeeringConnections"][0]


def status(ec2, identifier):
    return pcx(ec2, identifier)["Status"]["Code"]


def peering():
    ours, theirs, near = make_vpc(), make_vpc(OHIO, "10.1.0.0/16"), make_vpc(EC2, "10.2.0.0/16")
    made = EC2.create_vpc_peering_connection(
        VpcId=ours, PeerVpcId=theirs, PeerRegion="us-east-2", TagSpecifications=tagged("vpc-peering-connection"))
    made = made["VpcPeeringConnection"]
    identifier = made["VpcPeeringConnectionId"]
    assert made["Status"]["Code"] == "initiating-request" and made["RequesterVpcInfo"]["CidrBlock"] == "10.0.0.0/16"
    assert "CidrBlock" not in made["AccepterVpcInfo"] and made["AccepterVpcInfo"]["Region"] == "us-east-2"
    eventually("the other region shows the request", lambda: status(OHIO, identifier) == "pending-acceptance")
    assert pcx(EC2, identifier)["Tags"] == [{"Key": "peer", "Value": SUFFIX}] and pcx(OHIO, identifier)["Tags"] == []
    OHIO.create_tags(Resources=[identifier], Tags=[{"Key": "side", "Value": "theirs"}])
    assert pcx(OHIO, identifier)["Tags"] == [{"Key": "side", "Value": "theirs"}]
    with refused("VpcPeeringConnectionAlreadyExists"):
        EC2.create_vpc_peering_connection(VpcId=ours, PeerVpcId=theirs, PeerRegion="us-east-2")
    with refused("OperationNotPermitted", "must be accepted in region us-east-2"):
        EC2.accept_vpc_peering_connection(VpcPeeringConnectionId=identifier)
    with refused("OperationNotPermitted", "is not active"):
        EC2.modify_vpc_peering_connection_options(
            VpcPeeringConnectionId=identifier, RequesterPeeringConnectionOptions={"AllowDnsResolutionFromRemoteVpc": True})
    table = EC2.describe_route_tables(Filters=by(vpc_id=ours))["RouteTables"][0]["RouteTableId"]
    there = dict(RouteTableId=table, DestinationCidrBlock="10.1.0.0/16")
    EC2.create_route(VpcPeeringConnectionId=identifier, **there)
    assert route(table, **there)["State"] == "blackhole"

    assert OHIO.accept_vpc_peering_connection(VpcPeeringConnectionId=identifier)["VpcPeeringConnection"]["Status"]["Code"] == "provisioning"
    eventually("the peering is active", lambda: status(EC2, identifier) == "active")
    assert route(table, **there)["State"] == "active"
    assert pcx(EC2, identifier)["AccepterVpcInfo"]["CidrBlock"] == "10.1.0.0/16"
    answer = EC2.modify_vpc_peering_connection_options(
        VpcPeeringConnectionId=identifier, RequesterPeeringConnectionOptions={"AllowDnsResolutionFromRemoteVpc": True})
    assert answer["RequesterPeeringConnectionOptions"]["AllowDnsResolutionFromRemoteVpc"]
    options = pcx(OHIO, identifier)
    assert options["RequesterVpcInfo"]["PeeringOptions"]["AllowDnsResolutionFromRemoteVpc"]
    assert not options["AccepterVpcInfo"]["PeeringOptions"]["AllowDnsResolutionFromRemoteVpc"]
    with refused("OperationNotPermitted"):
        EC2.modify_vpc_peering_connection_options(
            VpcPeeringConnectionId=identifier, AccepterPeeringConnectionOptions={"AllowDnsResolutionFromRemoteVpc": True})
    found = EC2.describe_vpc_peering_connections(Filters=by(status_code="active") + [
        {"Name": "requester-vpc-info.vpc-id", "Values": [ours]}])["VpcPeeringConnections"]
    assert [it["VpcPeeringConnectionId"] for it in found] == [identifier]

    # Rules may refer to security groups of a peered VPC in the same region only.
    mine = EC2.describe_security_groups(Filters=by(vpc_id=ours))["SecurityGroups"][0]["GroupId"]
    other = EC2.describe_security_groups(Filters=by(vpc_id=near))["SecurityGroups"][0]["GroupId"]
    rule = [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "UserIdGroupPairs": [{"GroupId": other}]}]
    with refused("InvalidGroup.NotFound", "different networks"):
        EC2.authorize_security_group_ingress(GroupId=mine, IpPermissions=rule)
    second = EC2.create_vpc_peering_connection(VpcId=near, PeerVpcId=ours)["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    eventually("the other region shows the second request", lambda: status(EC2, second) == "pending-acceptance")
    EC2.accept_vpc_peering_connection(VpcPeeringConnectionId=second)
    eventually("the second peering is active", lambda: status(EC2, second) == "active")
    added = EC2.authorize_security_group_ingress(GroupId=mine, IpPermissions=rule)["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    EC2.revoke_security_group_ingress(GroupId=mine, SecurityGroupRuleIds=[added])

    OHIO.delete_vpc_peering_connection(VpcPeeringConnectionId=identifier)
    eventually("the peering is deleted", lambda: status(EC2, identifier) == "deleted")
    assert route(table, **there)["State"] == "blackhole"
    with refused("InvalidStateTransition"):
        OHIO.accept_vpc_peering_connection(VpcPeeringConnectionId=identifier)
    third = EC2.create_vpc_peering_connection(VpcId=ours, PeerVpcId=theirs, PeerRegion="us-east-2")["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    eventually("the other region shows the third request", lambda: status(OHIO, third) == "pending-acceptance")
    OHIO.reject_vpc_peering_connection(VpcPeeringConnectionId=third)
    assert status(EC2, third) == "rejected"
    with refused("InvalidStateTransition"):
        EC2.delete_vpc_peering_connection(VpcPeeringConnectionId=third)
    EC2.delete_vpc(VpcId=near)
    assert status(EC2, second) == "deleted", "the deletion of a VPC deletes its peering connections"

    same = make_vpc()
    failing = EC2.create_vpc_peering_connection(VpcId=ours, PeerVpcId=same)["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    eventually("a peering of overlapping CIDR blocks fails", lambda: status(EC2, failing) == "failed")
    assert "overlapping CIDR" in pcx(EC2, failing)["Status"]["Message"]
    absent = EC2.create_vpc_peering_connection(VpcId=ours, PeerVpcId="vpc-00000000000000000")["VpcPeeringConnection"]
    eventually("a peering with a missing VPC fails", lambda: status(EC2, absent["VpcPeeringConnectionId"]) == "failed")
    with refused("InvalidVpcPeeringConnectionID.NotFound"):
        pcx(EC2, "pcx-00000000000000000")
    for vpc in (ours, same):
        EC2.delete_vpc(VpcId=vpc)
    OHIO.delete_vpc(VpcId=theirs)


def rules():
    vpc = make_vpc()
    group = EC2.create_security_group(GroupName="rules", Description="rules", VpcId=vpc)["GroupId"]
    tags = tagged("security-group-rule")
    def add(port):
        permission = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
        return EC2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission], TagSpecifications=tags)["SecurityGroupRules"][0]
    one, two = add(80), add(81)
    assert one["Tags"] == [{"Key": "peer", "Value": SUFFIX}]
    identifier = one["SecurityGroupRuleId"]
    wanted = {"IpProtocol": "tcp", "FromPort": 90, "ToPort": 99, "CidrIpv4": "10.1.2.3/16", "Description": "changed"}
    def modify(**update):
        EC2.modify_security_group_rules(GroupId=group, SecurityGroupRules=[
            {"SecurityGroupRuleId": identifier, "SecurityGroupRule": dict(wanted, **update)}])
    modify()
    found = EC2.describe_security_group_rules(SecurityGroupRuleIds=[identifier])["SecurityGroupRules"][0]
    assert (found["FromPort"], found["ToPort"], found["CidrIpv4"], found["Description"]) == (90, 99, "10.1.0.0/16", "changed")
    assert found["Tags"] == [{"Key": "peer", "Value": SUFFIX}] and not found["IsEgress"]
    with refused("InvalidPermission.Duplicate"):
        modify(FromPort=81, ToPort=81, CidrIpv4="10.0.0.0/8")
    with refused("InvalidParameterCombination"):
        modify(CidrIpv6="::/0")
    EC2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[identifier, two["SecurityGroupRuleId"]])
    with refused("InvalidSecurityGroupRuleId.NotFound"):
        modify()
    EC2.delete_security_group(GroupId=group)
    EC2.delete_vpc(VpcId=vpc)


def tags_and_pages():
    vpc = make_vpc()
    gateway = EC2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    allocation = EC2.allocate_address()["AllocationId"]
    acl = EC2.describe_network_acls(Filters=by(vpc_id=vpc))["NetworkAcls"][0]["NetworkAclId"]
    table = EC2.describe_route_tables(Filters=by(vpc_id=vpc))["RouteTables"][0]["RouteTableId"]
    kinds = {vpc: "vpc", gateway: "internet-gateway", allocation: "elastic-ip", acl: "network-acl", table: "route-table"}
    EC2.create_tags(Resources=list(kinds), Tags=[{"Key": "all", "Value": SUFFIX}])
    found = EC2.describe_tags(Filters=[{"Name": "value", "Values": [SUFFIX]}, {"Name": "key", "Values": ["all"]}])["Tags"]
    assert {tag["ResourceId"]: tag["ResourceType"] for tag in found} == kinds
    assert EC2.describe_network_acls(Filters=[{"Name": "tag:all", "Values": [SUFFIX]}])["NetworkAcls"]
    EC2.delete_tags(Resources=list(kinds), Tags=[{"Key": "all"}])
    assert not EC2.describe_tags(Filters=[{"Name": "key", "Values": ["all"]}])["Tags"]
    tables = [EC2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"] for _ in range(6)] + [table]
    pages = list(EC2.get_paginator("describe_route_tables").paginate(Filters=by(vpc_id=vpc), PaginationConfig={"PageSize": 5}))
    assert [len(page["RouteTables"]) for page in pages] == [5, 2]
    assert sorted(it["RouteTableId"] for page in pages for it in page["RouteTables"]) == sorted(tables)
    for unused in tables[:-1]:
        EC2.delete_route_table(RouteTableId=unused)
    EC2.release_address(AllocationId=allocation)
    EC2.delete_internet_gateway(InternetGatewayId=gateway)
    EC2.delete_vpc(VpcId=vpc)


def main():
    for part in (vpcs, subnets, internet_gateways, route_tables, nat_gateways, instances_and_addresses, balancers, peering, rules,
                 tags_and_pages):
        started = time.monotonic()
        part()
        print(f"ok {part.__name__} ({time.monotonic() - started:.1f} s)")


main()
