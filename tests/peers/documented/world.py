"""Clients of a running local cloud, and the resources that the documentation's examples presuppose."""

import itertools
import json
import re
import threading
import time

import boto3
from botocore.config import Config

REGION = "us-east-1"
# Account of the documentation's examples.
DOCUMENTED_ACCOUNT = "123456789012"
# Operations whose examples change a VPC, or list everything in it.
OWN_VPC = {
    "DeleteVpc",
    "CreateSubnet",
    "AttachInternetGateway",
    "DetachInternetGateway",
    "DescribeSubnets",
    "DescribeInternetGateways",
    "ModifyVpcAttribute",
    "AssociateDhcpOptions",
}
# botocore's names of the services, by the names of the administration's document.
NAMES = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch", "cloudcontrolapi": "cloudcontrol"}
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


class World:
    """Clients of one local cloud. They send what the service models refuse too, and do not repeat requests."""

    def __init__(self, endpoint, key, secret):
        self.endpoint, self.key, self.secret = endpoint, key, secret
        self.clients, self.numbers, self.subnets = {}, itertools.count(1), itertools.count()
        self.created, self.lock, self.creating = {}, threading.Lock(), threading.RLock()
        self.account = self.call("sts", "GetCallerIdentity")["Account"]

    def client(self, service):
        with self.lock:
            if service not in self.clients:
                self.clients[service] = self.new_client(service, self.key, self.secret)
            return self.clients[service]

    def new_client(self, service, key, secret, token=None, region=REGION):
        config = Config(
            retries={"max_attempts": 0},
            parameter_validation=False,
            s3={"addressing_style": "path"},
            max_pool_connections=32,
        )
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=config,
        )

    def call(self, service, operation, **parameters):
        """Calls an operation by its name in the API."""
        return getattr(self.client(service), method(operation))(**parameters)

    def number(self):
        return next(self.numbers)

    def shared(self, name, create):
        """Returns something that is created once."""
        with self.creating:
            if name not in self.created:
                self.created[name] = create()
            return self.created[name]

    def create_shared_vpc(self):
        vpc = self.call("ec2", "CreateVpc", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.call("ec2", "AttachInternetGateway", VpcId=vpc, InternetGatewayId=self.shared_gateway())
        return vpc

    def shared_gateway(self):
        return self.shared(
            "gateway", lambda: self.call("ec2", "CreateInternetGateway")["InternetGateway"]["InternetGatewayId"]
        )

    def image(self):
        return self.call("ec2", "DescribeImages", Owners=["136693071363"])["Images"][0]["ImageId"]

    def default_subnets(self):
        filters = [{"Name": "default-for-az", "Values": ["true"]}]
        return [one["SubnetId"] for one in self.call("ec2", "DescribeSubnets", Filters=filters)["Subnets"]]

    def default_vpc(self):
        filters = [{"Name": "is-default", "Values": ["true"]}]
        return self.call("ec2", "DescribeVpcs", Filters=filters)["Vpcs"][0]["VpcId"]


def method(operation):
    """Returns boto3's name of an operation."""
    from botocore import xform_name

    return xform_name(operation)


def eventually(condition, poll, seconds=30):
    """Polls until the result is true, and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        result = poll()
        if result:
            return result
        assert time.monotonic() < deadline, f"{condition}: not within {seconds} s"
        time.sleep(0.05)


class Example:
    """One example: the input and the output of the documentation, and the actual names of what it mentions."""

    def __init__(self, world, service, operation, document):
        self.world, self.service, self.operation = world, service, operation
        self.input, self.output = document.get("input") or {}, document.get("output")
        self.actual, self.suffix, self.facts = {}, world.number(), {}

    def call(self, operation, service=None, **parameters):
        return self.world.call(service or self.service, operation, **parameters)

    def unique(self, name):
        return self.actual.setdefault(name, f"{name}-{self.suffix}")

    def fact(self, name, create):
        """Returns something that is created once per example."""
        if name not in self.facts:
            self.facts[name] = create()
        return self.facts[name]

    # Resources of EC2, which other services use. An account has five VPCs, so most examples share one.

    def vpc(self):
        if self.operation in OWN_VPC:
            return self.fact("vpc", lambda: self.call("CreateVpc", "ec2", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"])
        return self.world.shared("vpc", self.world.create_shared_vpc)

    def subnet(self):
        """Creates a subnet, or returns the shared one that contains the private address of the input."""
        vpc, found = self.vpc(), re.search(r'"10\.0\.(\d+)\.\d+"', json.dumps(self.input))
        third = int(found[1]) if found else 10 + next(self.world.subnets) % 240

        def create():
            return self.call("CreateSubnet", "ec2", VpcId=vpc, CidrBlock=f"10.0.{third}.0/24")["Subnet"]["SubnetId"]

        return self.world.shared(f"subnet {third}", create) if found else create()

    def security_group(self):
        return self.call(
            "CreateSecurityGroup", "ec2", VpcId=self.vpc(), Description="d", GroupName=f"group-{self.world.number()}"
        )["GroupId"]

    def instance(self, **parameters):
        """Runs an instance in a default subnet, and waits until it runs."""
        more = {"InstanceType": "t3.micro", **parameters}
        launched = self.call("RunInstances", "ec2", ImageId=self.world.image(), MinCount=1, MaxCount=1, **more)
        return self.in_state(launched["Instances"][0]["InstanceId"], "running")

    def in_state(self, instance, state):
        def look():
            found = self.call("DescribeInstances", "ec2", InstanceIds=[instance])["Reservations"][0]["Instances"][0]
            return found["State"]["Name"] == state

        eventually(f"{instance} is {state}", look)
        return instance

    def address(self):
        """Allocates an address, of which an account has five. The end of the example releases it."""
        made = self.call("AllocateAddress", "ec2", Domain="vpc")
        self.facts["address"] = made
        return made["AllocationId"]

    def role(self, name):
        return self.call("CreateRole", "iam", RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]

    def certificate(self):
        """Returns a certificate of Certificate Manager that listeners can use."""
        return self.call("RequestCertificate", "acm", DomainName=f"host-{self.suffix}.example.com")["CertificateArn"]

    def clean(self):
        """Deletes what counts towards a small quota."""
        if "nat" in self.facts:
            self.call("DeleteNatGateway", "ec2", NatGatewayId=self.facts["nat"])
            eventually(
                "the NAT gateway is deleted",
                lambda: (
                    self.call("DescribeNatGateways", "ec2", NatGatewayIds=[self.facts["nat"]])["NatGateways"][0][
                        "State"
                    ]
                    == "deleted"
                ),
            )
        self.release()
        for gateway in self.facts.get("gateways", []):
            self.delete_gateway(gateway)
        if "vpc" in self.facts:
            vpc = [{"Name": "vpc-id", "Values": [self.facts["vpc"]]}]
            for subnet in self.call("DescribeSubnets", "ec2", Filters=vpc)["Subnets"]:
                self.call("DeleteSubnet", "ec2", SubnetId=subnet["SubnetId"])
            if self.call("DescribeVpcs", "ec2", Filters=vpc)["Vpcs"]:
                self.call("DeleteVpc", "ec2", VpcId=self.facts["vpc"])

    def release(self):
        if "address" in self.facts:
            found = self.call(
                "DescribeAddresses",
                "ec2",
                Filters=[{"Name": "allocation-id", "Values": [self.facts["address"]["AllocationId"]]}],
            )["Addresses"]
            for address in found:
                if "AssociationId" in address:
                    self.call("DisassociateAddress", "ec2", AssociationId=address["AssociationId"])
                self.call("ReleaseAddress", "ec2", AllocationId=address["AllocationId"])

    def delete_gateway(self, gateway):
        found = self.call(
            "DescribeInternetGateways", "ec2", Filters=[{"Name": "internet-gateway-id", "Values": [gateway]}]
        )
        for one in found["InternetGateways"]:
            for attachment in one["Attachments"]:
                self.call("DetachInternetGateway", "ec2", InternetGatewayId=gateway, VpcId=attachment["VpcId"])
            self.call("DeleteInternetGateway", "ec2", InternetGatewayId=gateway)
