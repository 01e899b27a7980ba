"""Preparations of the examples of IAM."""

from world import POLICY, TRUST

# Differences from the documented outputs, with their reasons.
DIFFERENCES = {
    ("GetAccountSummary", "SummaryMap"): "counts of the account",
    ("GetRole", "Role.RoleLastUsed"): "the prepared role was not used",
    ("ListUsers", "Users.PasswordLastUsed"): "the prepared users have no password",
    (
        "GetAccountPasswordPolicy",
        "PasswordPolicy.ExpirePasswords",
    ): "true with MaxPasswordAge, as the API reference says",
}

NEW = {
    ("CreateUser", "UserName"),
    ("CreateGroup", "GroupName"),
    ("CreateRole", "RoleName"),
    ("CreateInstanceProfile", "InstanceProfileName"),
    ("UpdateUser", "NewUserName"),
    ("UpdateGroup", "NewGroupName"),
}
EXCLUSIVE = {
    "CreateAccountAlias": "alias",
    "DeleteAccountAlias": "alias",
    "ListAccountAliases": "alias",
    "DeleteAccountPasswordPolicy": "password",
    "GetAccountPasswordPolicy": "password",
    "UpdateAccountPasswordPolicy": "password",
}
# Examples that no local cloud can execute, with the reason.
IMPOSSIBLE = {"UploadSigningCertificate": "the documented certificate is a placeholder"}


def prepare(example):
    names = {"UserName": user, "GroupName": group, "RoleName": role, "InstanceProfileName": profile}
    for member, create in names.items():
        if member in example.input:
            name = example.input[member]
            new = example.unique(name)
            if (example.operation, member) not in NEW:
                create(example, new)
    for member in ("NewUserName", "NewGroupName"):
        if member in example.input:
            example.unique(example.input[member])
    for member in ("PolicyDocument", "AssumeRolePolicyDocument"):
        if example.input.get(member, "").startswith("<"):
            example.actual[example.input[member]] = TRUST
    if "ThumbprintList" in example.input:
        # The documented thumbprint is a placeholder.
        example.input["ThumbprintList"] = ["a" * 40]
    if "OpenIDConnectProviderArn" in example.input:
        example.actual[example.input["OpenIDConnectProviderArn"]] = provider(example)
    ARRANGED.get(example.operation, lambda example: None)(example)


def user(example, name):
    example.call("CreateUser", UserName=name)


def group(example, name):
    example.call("CreateGroup", GroupName=name)


def role(example, name):
    example.role(name)


def profile(example, name):
    example.call("CreateInstanceProfile", InstanceProfileName=name)


def provider(example):
    return example.call(
        "CreateOpenIDConnectProvider",
        Url=f"https://server{example.suffix}.example.com",
        ClientIDList=["c"],
        ThumbprintList=["a" * 40],
    )["OpenIDConnectProviderArn"]


def name(example, member="UserName"):
    return example.actual[example.input[member]]


def key(example):
    made = example.call("CreateAccessKey", UserName=name(example))["AccessKey"]
    example.actual[example.input["AccessKeyId"]] = made["AccessKeyId"]


def inline(kind):
    def put(example):
        policies = [example.input.get("PolicyName")] if "PolicyName" in example.input else example.output["PolicyNames"]
        for policy in policies:
            example.call(
                f"Put{kind}Policy",
                **{f"{kind}Name": name(example, f"{kind}Name")},
                PolicyName=policy,
                PolicyDocument=POLICY,
            )

    return put


def tags(kind):
    def put(example):
        found = (example.output or {}).get("Tags") or [{"Key": key, "Value": "v"} for key in example.input["TagKeys"]]
        example.call(f"Tag{kind}", **{f"{kind}Name": name(example, f"{kind}Name")}, Tags=found)

    return put


def login(example):
    example.call("CreateLoginProfile", UserName=name(example), Password="h]6EszR}vJ*m")


def alias(example):
    for found in example.call("ListAccountAliases")["AccountAliases"]:
        example.call("DeleteAccountAlias", AccountAlias=found)
    if example.operation == "ListAccountAliases":
        example.call("CreateAccountAlias", AccountAlias=example.output["AccountAliases"][0])
    if example.operation == "DeleteAccountAlias":
        example.call("CreateAccountAlias", AccountAlias=example.input["AccountAlias"])


def password_policy(example):
    documented = (example.output or {}).get("PasswordPolicy") or {"MinimumPasswordLength": 8}
    given = {key: value for key, value in documented.items() if key != "ExpirePasswords"}
    example.call("UpdateAccountPasswordPolicy", **given)


def role_in_profile(example):
    example.call(
        "AddRoleToInstanceProfile",
        InstanceProfileName=name(example, "InstanceProfileName"),
        RoleName=example.actual.get("Test-Role") or role_named(example, "Test-Role"),
    )


def role_named(example, documented):
    example.role(example.unique(documented))
    return example.unique(documented)


def groups(example):
    for found in example.output["Groups"]:
        made = example.unique(found["GroupName"])
        example.call("CreateGroup", GroupName=made, Path=found["Path"])
        if "UserName" in example.input:
            example.call("AddUserToGroup", UserName=name(example), GroupName=made)


def users(example):
    for found in example.output["Users"]:
        example.call("CreateUser", UserName=example.unique(found["UserName"]), Path=found["Path"])


def two_keys(example):
    for found in example.output["AccessKeyMetadata"]:
        made = example.call("CreateAccessKey", UserName=name(example))["AccessKey"]
        example.actual[found["AccessKeyId"]] = made["AccessKeyId"]


def member(example):
    example.call("AddUserToGroup", UserName=name(example), GroupName=name(example, "GroupName"))


ARRANGED = {
    "DeleteAccessKey": key,
    "UpdateAccessKey": key,
    "ListAccessKeys": two_keys,
    "DeleteGroupPolicy": inline("Group"),
    "DeleteRolePolicy": inline("Role"),
    "DeleteUserPolicy": inline("User"),
    "ListGroupPolicies": inline("Group"),
    "UntagRole": tags("Role"),
    "UntagUser": tags("User"),
    "ListRoleTags": tags("Role"),
    "ListUserTags": tags("User"),
    "DeleteLoginProfile": login,
    "GetLoginProfile": login,
    "UpdateLoginProfile": login,
    "CreateAccountAlias": alias,
    "DeleteAccountAlias": alias,
    "ListAccountAliases": alias,
    "DeleteAccountPasswordPolicy": password_policy,
    "GetAccountPasswordPolicy": password_policy,
    "GetInstanceProfile": role_in_profile,
    "RemoveRoleFromInstanceProfile": role_in_profile,
    "ListGroups": groups,
    "ListGroupsForUser": groups,
    "ListUsers": users,
    "RemoveUserFromGroup": member,
}
