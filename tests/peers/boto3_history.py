"""CloudTrail's event history, asked by boto3.

Usage: boto3_history.py ENDPOINT          (needs: pip install boto3; keys in the environment)
"""

import json
import sys

import boto3
from botocore.exceptions import ClientError


def client(service):
    return boto3.client(service, endpoint_url=sys.argv[1], region_name="us-east-1")


def history(**lookup):
    attributes = [{"AttributeKey": key, "AttributeValue": value} for key, value in lookup.items()]
    pages = cloudtrail.get_paginator("lookup_events").paginate(LookupAttributes=attributes,
                                                               PaginationConfig={"PageSize": 2})
    return [event for page in pages for event in page["Events"]]


cloudtrail, ec2 = client("cloudtrail"), client("ec2")
vpc = ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
ec2.create_tags(Resources=[vpc], Tags=[{"Key": "team", "Value": "web"}])
ec2.describe_vpcs(VpcIds=[vpc])
try:
    ec2.create_subnet(VpcId=vpc, CidrBlock="10.78.0.0/24")
except ClientError as error:
    assert error.response["Error"]["Code"] == "InvalidSubnet.Range", error
ec2.delete_vpc(VpcId=vpc)

events = history(ResourceName=vpc)
names = [event["EventName"] for event in events]
assert names == ["DeleteVpc", "CreateSubnet", "DescribeVpcs", "CreateTags", "CreateVpc"], names
assert [event["ReadOnly"] for event in events] == ["false", "false", "true", "false", "false"], events
record = json.loads(events[1]["CloudTrailEvent"])
assert record["errorCode"] == "InvalidSubnet.Range", record
assert record["userIdentity"]["type"] == "Root" and "Boto3" in record["userAgent"], record
assert {"ResourceType": "AWS::EC2::VPC", "ResourceName": vpc} in events[-1]["Resources"], events[-1]
assert any(event["EventName"] == "CreateVpc" for event in history(EventSource="ec2.amazonaws.com"))
try:
    cloudtrail.lookup_events(NextToken="never")
    raise AssertionError("an unknown token is accepted")
except ClientError as error:
    assert error.response["Error"]["Code"] == "InvalidNextTokenException", error
print("the event history names every caller")
