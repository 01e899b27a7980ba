"""Tests with boto3 that the network of a running local cloud enforces what is declared: instances probe each other.

The cloud must run with `--network namespaces`. All resources that the script creates are deleted again.
"""

import hashlib
import json
import urllib.error
import urllib.request

from common import SERVER, SUFFIX, client, eventually, fabric, status

# Answers requests for connections from its own instance: GET /ADDRESS/PORT returns open, refused or lost.
PROBE = SERVER + b"""
import socket, urllib.request
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        parts = self.path.strip("/").split("/")
        try:
            if parts[0] == "fetch":
                text = urllib.request.urlopen("http://" + "/".join(parts[1:]), timeout=2).read().decode()
            elif parts[0] == "environment":
                text = os.environ.get(parts[1], "")
            elif parts[0] == "peer":
                text = self.client_address[0]
            else:
                with socket.create_connection((parts[0], int(parts[1])), 1):
                    text = "open"
        except ConnectionRefusedError:
            text = "refused"
        except Exception as error:
            text = "lost " + repr(error)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *_):
        pass
serve(Handler)
"""
PORT = 8080

ec2, s3, ssm = client("ec2"), client("s3"), client("ssm")
BUCKET, DIGEST = f"probes-{SUFFIX}", hashlib.sha256(PROBE).hexdigest()


def user_data():
    service = {"name": "probe", "artifact": {"bucket": BUCKET, "key": "probe", "sha256": DIGEST}, "arguments": [],
               "environment": {}, "secrets": {}, "listen": PORT}
    document = {"machine": 1, "image": "debian-12", "packages": [], "files": [], "services": [service]}
    files = [{"path": "/etc/infra/machine.json", "permissions": "0644", "content": json.dumps(document)}]
    return "#cloud-config\n" + json.dumps({"write_files": files})


def network(block):
    """Creates a VPC with a public and a private subnet; both have a NAT gateway or an internet gateway as way out."""
    vpc = ec2.create_vpc(CidrBlock=f"{block}.0.0/16")["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    subnets, tables = {}, {}
    for name, part in [("public", 1), ("private", 2)]:
        subnets[name] = ec2.create_subnet(VpcId=vpc, CidrBlock=f"{block}.{part}.0/24",
                                          AvailabilityZone="us-east-1a")["Subnet"]["SubnetId"]
        tables[name] = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        ec2.associate_route_table(RouteTableId=tables[name], SubnetId=subnets[name])
    ec2.create_route(RouteTableId=tables["public"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    return {"vpc": vpc, "gateway": gateway, "subnets": subnets, "tables": tables}


def delete(site):
    """Deletes a network in which no instance runs any more."""
    of_vpc = [{"Name": "vpc-id", "Values": [site["vpc"]]}]
    for subnet in site["subnets"].values():
        ec2.delete_subnet(SubnetId=subnet)
    for table in site["tables"].values():
        ec2.delete_route_table(RouteTableId=table)
    for acl in ec2.describe_network_acls(Filters=of_vpc)["NetworkAcls"]:
        if not acl["IsDefault"]:
            ec2.delete_network_acl(NetworkAclId=acl["NetworkAclId"])
    groups = ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"]
    groups = [group for group in groups if group["GroupName"] != "default"]
    for group in groups:
        # A group to which a rule refers cannot be deleted.
        if group["IpPermissions"]:
            ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=group["IpPermissions"])
    for group in groups:
        ec2.delete_security_group(GroupId=group["GroupId"])
    ec2.detach_internet_gateway(InternetGatewayId=site["gateway"], VpcId=site["vpc"])
    ec2.delete_internet_gateway(InternetGatewayId=site["gateway"])
    ec2.delete_vpc(VpcId=site["vpc"])


def group(site, name, *permissions):
    created = ec2.create_security_group(GroupName=f"{name}-{SUFFIX}", Description=name, VpcId=site["vpc"])["GroupId"]
    for permission in permissions:
        ec2.authorize_security_group_ingress(GroupId=created, IpPermissions=[permission])
    return created


def tcp(port, range=None, group=None):
    permission = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    if range:
        permission["IpRanges"] = [{"CidrIp": range}]
    if group:
        permission["UserIdGroupPairs"] = [{"GroupId": group}]
    return permission


def launch(site, subnet, groups, public, **more):
    interface = {"DeviceIndex": 0, "SubnetId": site["subnets"][subnet], "Groups": groups,
                 "AssociatePublicIpAddress": public, **more}
    return ec2.run_instances(ImageId=IMAGE, InstanceType="t3.micro", MinCount=1, MaxCount=1, UserData=user_data(),
                             NetworkInterfaces=[interface])["Instances"][0]["InstanceId"]


def running(*ids):
    """Waits until the probes of instances run, and returns the instances by id."""
    def probes():
        region = status()["regions"]["us-east-1"]["instances"]
        states = {instance["id"]: [service["state"] for service in instance["services"]] for instance in region}
        return all(states.get(id) == ["running"] for id in ids)
    eventually("the probes run", probes)
    described = ec2.describe_instances(InstanceIds=list(ids))["Reservations"]
    return {instance["InstanceId"]: instance for entry in described for instance in entry["Instances"]}


def fetch(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def from_outside(address, path="peer"):
    return eventually(f"{address} answers", lambda: attempt(f"http://{address}:{PORT}/{path}"), seconds=20)


def attempt(url):
    try:
        return fetch(url)
    except (urllib.error.URLError, OSError):
        return None


assert fabric() == "namespaces", "the cloud has no network namespaces"

IMAGE = ssm.get_parameter(Name="/aws/service/debian/release/12/latest/amd64")["Parameter"]["Value"]
s3.create_bucket(Bucket=BUCKET)
s3.put_object(Bucket=BUCKET, Key="probe", Body=PROBE)

site = network("10.77")
web = group(site, "web", tcp(PORT, range="0.0.0.0/0"))
app = group(site, "app", tcp(PORT, group=web))
closed = group(site, "closed")
allocation = ec2.allocate_address(Domain="vpc")["AllocationId"]
nat = ec2.create_nat_gateway(SubnetId=site["subnets"]["public"], AllocationId=allocation)["NatGateway"]["NatGatewayId"]
eventually("the NAT gateway is available", lambda: ec2.describe_nat_gateways(NatGatewayIds=[nat])[
    "NatGateways"][0]["State"] == "available")
ec2.create_route(RouteTableId=site["tables"]["private"], DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)

front = launch(site, "public", [web], True, PrivateIpAddress="10.77.1.77")
back = launch(site, "private", [app], False)
hidden = launch(site, "private", [closed], False)
instances = running(front, back, hidden)
address = {id: instance["PrivateIpAddress"] for id, instance in instances.items()}
public = instances[front]["PublicIpAddress"]
assert address[front] == "10.77.1.77" and address[back].startswith("10.77.2.") and public.startswith("127."), address
print("ok  private addresses are from the subnets' ranges")

interface = ec2.create_network_interface(SubnetId=site["subnets"]["private"], PrivateIpAddress="10.77.2.99", Groups=[closed])
interface = interface["NetworkInterface"]["NetworkInterfaceId"]
prepared = ec2.run_instances(
    ImageId=IMAGE, InstanceType="t3.micro", MinCount=1, MaxCount=1, UserData=user_data(),
    NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": interface}])["Instances"][0]["InstanceId"]
assert running(prepared)[prepared]["PrivateIpAddress"] == "10.77.2.99"
assert from_outside(public, f"10.77.2.99/{PORT}").startswith("lost"), "the interface's group permits nothing"
ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[app])
eventually("another group takes effect", lambda: from_outside(public, f"10.77.2.99/{PORT}") == "open", seconds=5)
ec2.terminate_instances(InstanceIds=[prepared])
eventually("the interface is available again", lambda: ec2.describe_network_interfaces(
    NetworkInterfaceIds=[interface])["NetworkInterfaces"][0]["Status"] == "available")
ec2.delete_network_interface(NetworkInterfaceId=interface)
print("ok  an interface that was created before its instance")

assert from_outside(public) == "192.0.2.1", "clients outside have one address"
probe = lambda to, port=PORT: fetch(f"http://{public}:{PORT}/{to}/{port}")
assert probe(address[back]) == "open"
assert probe(address[back], 22).startswith("lost"), "no rule permits port 22"
assert probe(address[hidden]).startswith("lost"), "the group permits nothing"
assert probe(public) == "open", "the internet gateway translates the public address"
assert attempt(f"http://{address[back]}:{PORT}/peer") is None, "private addresses are not reachable from this machine"
print("ok  security groups and the internet gateway decide")

endpoint = fetch(f"http://{public}:{PORT}/environment/AWS_ENDPOINT_URL")
assert endpoint.startswith("http://192.0.2.2:"), endpoint
aws = endpoint.removeprefix("http://")
relay = lambda target, path: fetch(f"http://{public}:{PORT}/fetch/{target}:{PORT}/{path}")
assert probe(*aws.split(":")) == "open"
assert relay(address[back], aws.replace(":", "/")) == "open", "the private subnet leads to AWS by the NAT gateway"
ec2.delete_route(RouteTableId=site["tables"]["private"], DestinationCidrBlock="0.0.0.0/0")
eventually("without a route, AWS is not reachable", lambda: relay(address[back], aws.replace(":", "/")).startswith("lost"))
assert fetch(f"http://{public}:{PORT}/fetch/169.254.169.254/latest/meta-data/instance-id") == front
assert relay(address[back], "fetch/169.254.169.254/latest/meta-data/local-ipv4") == address[back]
print("ok  NAT gateway, AWS's endpoints and the metadata service")

ec2.authorize_security_group_ingress(GroupId=closed, IpPermissions=[tcp(PORT, range="10.77.1.0/24")])
eventually("a new rule takes effect", lambda: probe(address[hidden]) == "open", seconds=5)
ec2.revoke_security_group_ingress(GroupId=closed, IpPermissions=[tcp(PORT, range="10.77.1.0/24")])
eventually("a revoked rule no longer does", lambda: probe(address[hidden]).startswith("lost"), seconds=5)
ec2.authorize_security_group_ingress(GroupId=closed, IpPermissions=[tcp(PORT, group=web)])
eventually("a group is a peer", lambda: probe(address[hidden]) == "open", seconds=5)
print("ok  rules change while instances run")

acl = ec2.create_network_acl(VpcId=site["vpc"])["NetworkAcl"]["NetworkAclId"]
entry = lambda number, action, egress, **more: ec2.create_network_acl_entry(
    NetworkAclId=acl, RuleNumber=number, RuleAction=action, Egress=egress, **{"Protocol": "-1", "CidrBlock": "0.0.0.0/0", **more})
entry(100, "allow", False)
found = ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [site["subnets"]["private"]]}])
association, = [it["NetworkAclAssociationId"] for it in found["NetworkAcls"][0]["Associations"]
                if it["SubnetId"] == site["subnets"]["private"]]
ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=acl)
eventually("replies need an entry too", lambda: probe(address[back]).startswith("lost"), seconds=5)
entry(100, "allow", True, Protocol="tcp", PortRange={"From": 1024, "To": 65535})
eventually("replies go to ephemeral ports", lambda: probe(address[back]) == "open", seconds=5)
entry(90, "deny", False, CidrBlock="10.77.1.0/24")
eventually("an entry denies the connection", lambda: probe(address[back]).startswith("lost"), seconds=5)
ec2.delete_network_acl_entry(NetworkAclId=acl, RuleNumber=90, Egress=False)
eventually("the entry is deleted", lambda: probe(address[back]) == "open", seconds=5)
print("ok  network ACLs")

other = network("10.78")
ec2.create_route(RouteTableId=other["tables"]["private"], DestinationCidrBlock="0.0.0.0/0", GatewayId=other["gateway"])
there = launch(other, "private", [group(other, "database", tcp(PORT, range="10.77.1.77/32"))], True)
remote = running(there)[there]["PrivateIpAddress"]
assert probe(remote).startswith("lost"), "the VPCs are not connected"
peering = ec2.create_vpc_peering_connection(VpcId=site["vpc"], PeerVpcId=other["vpc"])
peering = peering["VpcPeeringConnection"]["VpcPeeringConnectionId"]
eventually("it can be accepted", lambda: ec2.describe_vpc_peering_connections(VpcPeeringConnectionIds=[peering])[
    "VpcPeeringConnections"][0]["Status"]["Code"] == "pending-acceptance")
ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
route = {"VpcPeeringConnectionId": peering}
ec2.create_route(RouteTableId=site["tables"]["public"], DestinationCidrBlock="10.78.0.0/16", **route)
assert probe(remote).startswith("lost"), "replies find no route"
ec2.create_route(RouteTableId=other["tables"]["private"], DestinationCidrBlock="10.77.0.0/16", **route)
eventually("the peering connection leads there", lambda: probe(remote) == "open", seconds=10)
assert relay(address[back], f"{remote}/{PORT}").startswith("lost"), "the rule names one address"
print("ok  peering connections")

interfaces = ec2.describe_network_interfaces(Filters=[{"Name": "vpc-id", "Values": [site["vpc"]]}])["NetworkInterfaces"]
kinds = sorted((interface["InterfaceType"], interface["PrivateIpAddress"]) for interface in interfaces)
assert ("interface", "10.77.1.77") in kinds and len(kinds) == 4 and kinds[-1][0] == "nat_gateway", kinds

ec2.terminate_instances(InstanceIds=[front, back, hidden, there])
eventually("the instances are terminated", lambda: all(
    instance["State"]["Name"] == "terminated"
    for entry in ec2.describe_instances(InstanceIds=[front, back, hidden, there])["Reservations"]
    for instance in entry["Instances"]))
assert attempt(f"http://{public}:{PORT}/peer") is None

ec2.delete_nat_gateway(NatGatewayId=nat)
eventually("the NAT gateway is deleted", lambda: ec2.describe_nat_gateways(NatGatewayIds=[nat])[
    "NatGateways"][0]["State"] == "deleted")
ec2.release_address(AllocationId=allocation)
for unused in (site, other):
    delete(unused)
s3.delete_object(Bucket=BUCKET, Key="probe")
s3.delete_bucket(Bucket=BUCKET)
print("ok  network namespaces")
