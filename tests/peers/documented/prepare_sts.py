"""Preparations of the examples of STS."""

import json

DIFFERENCES = {
    ("AssumeRole", "PackedPolicySize"): "a percentage whose computation AWS does not document",
    ("GetFederationToken", "PackedPolicySize"): "a percentage whose computation AWS does not document",
}
EXCLUSIVE = {}
IMPOSSIBLE = {"AssumeRoleWithSAML": "assertions of an identity provider"}


def prepare(example):
    if example.operation == "AssumeRole":
        account = example.call("GetCallerIdentity")["Account"]
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Principal": {"AWS": account}}
            ],
        }
        made = example.call(
            "CreateRole", "iam", RoleName=f"demo-{example.suffix}", AssumeRolePolicyDocument=json.dumps(trust)
        )
        example.actual[example.input["RoleArn"]] = made["Role"]["Arn"]
    if example.operation == "GetSessionToken":
        # The local cloud has no MFA devices.
        example.input = {"DurationSeconds": example.input["DurationSeconds"]}
