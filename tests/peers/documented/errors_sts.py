"""Errors of STS."""

import json

from errors import Case

REASONS = {
    "RegionDisabledException": "all regions are enabled",
    "PackedPolicyTooLarge": "the packed size of a session policy, whose computation AWS does not document",
    "ExpiredTokenException": "contexts of identity providers",
    "InvalidContextAssertion": "contexts of identity providers",
    "IDPCommunicationError": "no provider is contacted",
}


def cases(world, model, operations):
    n = f"errors-{world.number()}"
    trust = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Principal": {"AWS": world.account}}
            ],
        }
    )
    role = {
        "RoleArn": world.client("iam").create_role(RoleName=n, AssumeRolePolicyDocument=trust)["Role"]["Arn"],
        "RoleSessionName": "session",
    }
    yield Case("AssumeRole", "MalformedPolicyDocument", {**role, "Policy": "{"})
    yield Case("GetFederationToken", "MalformedPolicyDocument", {"Name": "n", "Policy": "{"})
    yield Case("DecodeAuthorizationMessage", "InvalidAuthorizationMessageException", {"EncodedMessage": "nonsense"})
