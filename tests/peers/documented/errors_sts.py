"""Errors of STS."""

import json

from errors import Case

REASONS = {
    "RegionDisabledException": "all regions are enabled",
    "ExpiredTokenException": "contexts of identity providers",
    "InvalidContextAssertion": "contexts of identity providers",
    "IDPCommunicationError": "no provider is contacted",
}


def cases(world, model, operations):
    n = f"errors-{world.number()}"
    trust = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"],
                                                                "Principal": {"AWS": world.account}}]})
    role = {"RoleArn": world.client("iam").create_role(RoleName=n, AssumeRolePolicyDocument=trust)["Role"]["Arn"], "RoleSessionName": "session"}
    yield Case("AssumeRole", "MalformedPolicyDocument", {**role, "Policy": "{"})
    big = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": [
        f"arn:aws:s3:::{'%x' % (number * 7919)}{'xyz'[number % 3]}" for number in range(80)]}]})
    tags = [{"Key": f"key-{number}-{'%x' % (number * 104729 % 65521)}", "Value": f"{number * 99991 % 65537}" * 40} for number in range(50)]
    yield Case("AssumeRole", "PackedPolicyTooLarge", {**role, "Policy": big, "Tags": [
        {**tag, "Value": tag["Value"][:256]} for tag in tags]})
    yield Case("GetFederationToken", "MalformedPolicyDocument", {"Name": "n", "Policy": "{"})
    yield Case("DecodeAuthorizationMessage", "InvalidAuthorizationMessageException", {"EncodedMessage": "nonsense"})
