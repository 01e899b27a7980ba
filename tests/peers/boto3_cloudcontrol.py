#!/usr/bin/env python3
"""Tests Cloud Control of a running local cloud with boto3, including the resources that the services then have.

Usage: boto3_cloudcontrol.py ENDPOINT          (needs: pip install boto3)

All resources that it creates have a random suffix and are deleted again.
"""

import json
import uuid

from botocore.exceptions import WaiterError

from common import SUFFIX, client, refused

GROUP = "AWS::Logs::LogGroup"

control, logs, ec2, iam = client("cloudcontrol"), client("logs"), client("ec2"), client("iam")


def done(answer):
    """Waits with botocore's waiter until the request has succeeded, and returns the identifier."""
    token = answer["ProgressEvent"]["RequestToken"]
    control.get_waiter("resource_request_success").wait(
        RequestToken=token, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    event = control.get_resource_request_status(RequestToken=token)["ProgressEvent"]
    assert event["OperationStatus"] == "SUCCESS", event
    return event["Identifier"]


def failed(answer, code, words=""):
    """Waits until the request has failed with this code."""
    token = answer["ProgressEvent"]["RequestToken"]
    try:
        control.get_waiter("resource_request_success").wait(
            RequestToken=token, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    except WaiterError:
        event = control.get_resource_request_status(RequestToken=token)["ProgressEvent"]
        assert (event["OperationStatus"], event["ErrorCode"]) == ("FAILED", code), event
        assert words in event["StatusMessage"], event
    else:
        raise AssertionError(f"expected {code}, but it succeeded")


def create(kind, properties, **more):
    return control.create_resource(TypeName=kind, DesiredState=json.dumps(properties), **more)


def read(kind, identifier):
    description = control.get_resource(TypeName=kind, Identifier=identifier)["ResourceDescription"]
    assert description["Identifier"] == identifier, description
    return json.loads(description["Properties"])


def update(kind, identifier, patch):
    return done(control.update_resource(TypeName=kind, Identifier=identifier, PatchDocument=json.dumps(patch)))


def delete(kind, identifier):
    return done(control.delete_resource(TypeName=kind, Identifier=identifier))


def check_log_group():
    name = f"peers-{SUFFIX}"
    token = uuid.uuid4().hex
    properties = {"LogGroupName": name, "RetentionInDays": 7, "Tags": [{"Key": "team", "Value": "shop"}]}
    first = create(GROUP, properties, ClientToken=token)
    assert first["ProgressEvent"]["OperationStatus"] in ("PENDING", "IN_PROGRESS"), first
    assert done(first) == name
    again = create(GROUP, properties, ClientToken=token)
    assert again["ProgressEvent"]["RequestToken"] == first["ProgressEvent"]["RequestToken"], again
    with refused("ClientTokenConflictException"):
        create(GROUP, {**properties, "RetentionInDays": 14}, ClientToken=token)
    failed(create(GROUP, properties), "AlreadyExists", name)
    group = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]
    assert group["retentionInDays"] == 7, group
    assert read(GROUP, name)["Arn"] == group["arn"]

    update(GROUP, name, [{"op": "replace", "path": "/RetentionInDays", "value": 14}, {"op": "remove", "path": "/Tags"}])
    assert logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["retentionInDays"] == 14
    assert logs.list_tags_for_resource(resourceArn=group["logGroupArn"])["tags"] == {}
    with refused("NotUpdatableException", "/properties/LogGroupName"):
        update(GROUP, name, [{"op": "replace", "path": "/LogGroupName", "value": "other"}])
    with refused("ValidationException", "extraneous key [Retention]"):
        create(GROUP, {"Retention": 1})
    failed(create(GROUP, {"LogGroupName": name + "-x", "RetentionInDays": 2}), "InvalidRequest", "retentionInDays")

    pages = control.get_paginator("list_resources").paginate(TypeName=GROUP, PaginationConfig={"PageSize": 1})
    found = [one["Identifier"] for page in pages for one in page["ResourceDescriptions"]]
    assert name in found and name + "-x" not in found, found
    requests = control.list_resource_requests(
        ResourceRequestStatusFilter={"Operations": ["UPDATE"], "OperationStatuses": ["SUCCESS"]})
    assert any(one["Identifier"] == name for one in requests["ResourceRequestStatusSummaries"]), requests

    assert delete(GROUP, name) == name
    with refused("ResourceNotFoundException"):
        read(GROUP, name)
    failed(control.delete_resource(TypeName=GROUP, Identifier=name), "NotFound", name)


def check_types():
    with refused("TypeNotFoundException"):
        create("Peers::Own::Thing", {})
    with refused("UnsupportedActionException", GROUP):
        create("AWS::SQS::Queue", {})
    with refused("RequestTokenNotFoundException"):
        control.get_resource_request_status(RequestToken=str(uuid.uuid4()))
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    role = done(create("AWS::IAM::Role", {"RoleName": f"peers-{SUFFIX}", "AssumeRolePolicyDocument": trust}))
    assert iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"] == trust
    delete("AWS::IAM::Role", role)
    parameter = {"Name": f"/peers/{SUFFIX}", "Type": "String", "Value": "1"}
    assert done(create("AWS::SSM::Parameter", parameter)) == parameter["Name"]
    assert read("AWS::SSM::Parameter", parameter["Name"])["Value"] == "1"
    delete("AWS::SSM::Parameter", parameter["Name"])


def check_network():
    vpc = done(create("AWS::EC2::VPC", {"CidrBlock": "10.9.0.0/16", "Tags": [{"Key": "Name", "Value": SUFFIX}]}))
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "0.0.0.0/0"}
    group = done(create("AWS::EC2::SecurityGroup", {
        "GroupDescription": "peers", "VpcId": vpc, "SecurityGroupIngress": [rule]}))
    found = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    assert (found["VpcId"], found["IpPermissions"][0]["FromPort"]) == (vpc, 80), found
    failed(control.delete_resource(TypeName="AWS::EC2::VPC", Identifier=vpc), "ResourceConflict", "dependencies")
    delete("AWS::EC2::SecurityGroup", group)
    delete("AWS::EC2::VPC", vpc)


def main():
    check_log_group()
    check_types()
    check_network()
    print("ok  resources by CloudFormation type")


main()
