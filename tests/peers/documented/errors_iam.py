"""Errors of IAM."""

from errors import Case, fill, required, unknown
from world import POLICY, TRUST

REASONS = {
    "EntityTemporarilyUnmodifiable": "names are free at once",
    "PolicyEvaluation": "an internal failure",
    "OpenIdIdpCommunicationError": "no provider is contacted",
    "NotSupportedService": "service-specific credentials",
    "LimitExceeded": "quotas beyond those of the cases",
    "InvalidInput": "violated constraints have the code ValidationError",
    ("AddRoleToInstanceProfile", "EntityAlreadyExists"): "a second role exceeds the quota first",
    ("CreateGroup", "NoSuchEntity"): "a group refers to nothing",
    ("CreateServiceLinkedRole", "NoSuchEntity"): "every service that is known has a template",
    ("UpdateAccountPasswordPolicy", "NoSuchEntity"): "the policy is created",
    ("UpdateAccountPasswordPolicy", "MalformedPolicyDocument"): "the request has no document",
    ("PutRolePermissionsBoundary", "PolicyNotAttachable"): "policies of service-linked roles, as for AttachRolePolicy",
    ("PutUserPermissionsBoundary", "PolicyNotAttachable"): "policies of service-linked roles, as for AttachUserPolicy",
    "ReportExpired": "a report that is four hours old",
    "ReportInProgress": "reports are generated at once",
    "UnmodifiableEntity": "roles that services own",
}
# The metadata of an identity provider has at least 1,000 characters.
SAML = (
    '<EntityDescriptor entityID="https://idp.example.com"><IDPSSODescriptor><KeyDescriptor><X509Certificate>'
    + "A" * 1000
    + '</X509Certificate></KeyDescriptor><SingleSignOnService Location="https://idp.example.com/sso"/>'
    "</IDPSSODescriptor></EntityDescriptor>"
)


def cases(world, model, operations):
    n = f"errors-{world.number()}"
    iam = world.client("iam")
    arn = f"arn:aws:iam::{world.account}:"
    yield Case("GetCredentialReport", "ReportNotPresent", {})
    iam.create_user(UserName=n)
    iam.create_group(GroupName=n)
    iam.create_role(RoleName=n, AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName=n)
    iam.create_policy(PolicyName=n, PolicyDocument=POLICY)
    iam.create_login_profile(UserName=n, Password="h]6EszR}vJ*m")
    key = iam.create_access_key(UserName=n)["AccessKey"]["AccessKeyId"]
    oidc = iam.create_open_id_connect_provider(
        Url=f"https://{n}.example.com", ClientIDList=["c"], ThumbprintList=["a" * 40]
    )
    samples = {
        "UserName": n,
        "GroupName": n,
        "RoleName": n,
        "InstanceProfileName": n,
        "PolicyName": n,
        "AccessKeyId": key,
        "PolicyArn": f"{arn}policy/{n}",
        "OpenIDConnectProviderArn": oidc["OpenIDConnectProviderArn"],
        "SAMLProviderArn": f"{arn}saml-provider/{n}",
        "SAMLMetadataDocument": SAML,
        "PolicyDocument": POLICY,
        "AssumeRolePolicyDocument": TRUST,
        "PermissionsBoundary": f"{arn}policy/{n}",
        "Tags": [{"Key": "k", "Value": "v"}],
        "TagKeys": ["k"],
        "VersionId": "v9",
        "Status": "Active",
        "Password": "h]6EszR}vJ*m",
        "ClientID": "client",
        "ThumbprintList": ["b" * 40],
        "PolicySourceArn": f"{arn}user/{n}",
        "ActionNames": ["s3:GetObject"],
        "PolicyInputList": [POLICY],
        "AccountAlias": f"{n}-alias",
        "Url": f"https://{n}.example.com",
        "AWSServiceName": "autoscaling.amazonaws.com",
        "DeletionTaskId": "task/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling/00000000-0000-0000-0000-000000000000",
        "CertificateId": "TA7SMP42TDN5Z26OBPJE7EXAMPLE",
        "ServerCertificateName": n,
        "SSHPublicKeyId": "APKAEXAMPLEEXAMPLEEX",
        "SerialNumber": f"{arn}mfa/none",
        "Description": "d",
        "NewUserName": "x",
        "Arn": f"{arn}user/{n}",
        "ServiceSpecificCredentialId": "ACCAEXAMPLEEXAMPLEEX",
        "ServiceNamespaces": ["s3"],
        "NewServerCertificateName": "x",
        "VirtualMFADeviceName": n,
        "AuthenticationCode1": "123456",
        "AuthenticationCode2": "654321",
        "JobId": "0" * 36,
        "CertificateBody": "x",
        "PrivateKey": "x",
        "SSHPublicKeyBody": "x",
        "Encoding": "SSH",
        "GlobalEndpointTokenVersion": "v2Token",
        "OldPassword": "x",
        "NewPassword": "y",
    }
    missing = "none-such"
    table = {
        "UserName": ("NoSuchEntity", missing, f"The user with name {missing} cannot be found."),
        "GroupName": ("NoSuchEntity", missing, f"The group with name {missing} cannot be found."),
        "RoleName": ("NoSuchEntity", missing, f"The role with name {missing} cannot be found."),
        "InstanceProfileName": ("NoSuchEntity", missing, f"Instance Profile {missing} cannot be found."),
        "PolicyArn": ("NoSuchEntity", f"{arn}policy/{missing}", f"Policy {arn}policy/{missing} "),
        "OpenIDConnectProviderArn": ("NoSuchEntity", f"{arn}oidc-provider/none.example.com"),
        "SAMLProviderArn": ("NoSuchEntity", f"{arn}saml-provider/{missing}"),
        "AccessKeyId": ("NoSuchEntity", "AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        "PermissionsBoundary": ("NoSuchEntity", f"{arn}policy/{missing}"),
        "PolicySourceArn": ("NoSuchEntity", f"{arn}user/{missing}"),
        "DeletionTaskId": ("NoSuchEntity", samples["DeletionTaskId"]),
        "ServerCertificateName": (
            "NoSuchEntity",
            missing,
            f"The Server Certificate with name {missing} cannot be found.",
        ),
        "SerialNumber": ("NoSuchEntity", f"{arn}mfa/{missing}"),
        "SSHPublicKeyId": ("NoSuchEntity", "APKAEXAMPLEEXAMPLEEX"),
        "CertificateId": ("NoSuchEntity", "TA7SMP42TDN5Z26OBPJE7EXAMPLE"),
    }
    created = {
        ("CreateUser", "UserName"),
        ("CreateGroup", "GroupName"),
        ("CreateRole", "RoleName"),
        ("CreateInstanceProfile", "InstanceProfileName"),
        ("UploadServerCertificate", "ServerCertificateName"),
        ("CreateServiceLinkedRole", "RoleName"),
        ("CreateUser", "PermissionsBoundary"),
        ("CreateRole", "PermissionsBoundary"),
        ("CreateLoginProfile", "UserName"),
        ("UpdateSAMLProvider", "SAMLProviderArn"),
        ("DeleteAccessKey", "AccessKeyId"),
        ("UpdateAccessKey", "AccessKeyId"),
    }
    lists = {"ListSigningCertificates", "ListVirtualMFADevices", "ListServiceSpecificCredentials", "ListSSHPublicKeys"}
    yield from unknown(model, [name for name in operations if name not in lists], samples, table, created)
    for name in sorted(lists & set(operations)):
        if "UserName" in model.operation_model(name).input_shape.members:
            yield Case(name, "NoSuchEntity", {"UserName": missing}, "cannot be found")
    iam.create_saml_provider(Name=n, SAMLMetadataDocument=SAML)
    yield Case("CreateSAMLProvider", "EntityAlreadyExists", {"Name": n, "SAMLMetadataDocument": SAML}, "already exists")
    unknown_provider = {"SAMLProviderArn": f"{arn}saml-provider/{missing}", "SAMLMetadataDocument": SAML}
    yield Case("UpdateSAMLProvider", "NoSuchEntity", unknown_provider)
    refused = {"Name": f"{n}-x", "SAMLMetadataDocument": "<none/>" + " " * 1000}
    yield Case("CreateSAMLProvider", "InvalidInput", refused, "Could not parse metadata")
    yield Case("CreateLoginProfile", "NoSuchEntity", {"UserName": missing, "Password": "h]6EszR}vJ*m"})
    for operation in ("DeleteAccessKey", "UpdateAccessKey"):
        yield Case(
            operation,
            "NoSuchEntity",
            {"UserName": n, "AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "Status": "Inactive"}
            if operation == "UpdateAccessKey"
            else {"UserName": n, "AccessKeyId": "AKIAIOSFODNN7EXAMPLE"},
            "The Access Key with id AKIAIOSFODNN7EXAMPLE cannot be found",
        )
    for operation, more in {
        "CreateUser": {"UserName": "x"},
        "CreateRole": {"RoleName": "x", "AssumeRolePolicyDocument": TRUST},
    }.items():
        yield Case(operation, "NoSuchEntity", {**more, "PermissionsBoundary": f"{arn}policy/{missing}"})
    yield Case("CreateAccountAlias", "EntityAlreadyExists", {"AccountAlias": alias(iam, n)})
    yield Case("DeleteAccountAlias", "NoSuchEntity", {"AccountAlias": missing})
    iam.update_account_password_policy(MinimumPasswordLength=8)
    iam.delete_account_password_policy()
    yield Case("DeleteAccountPasswordPolicy", "NoSuchEntity", {}, "cannot be found")
    yield Case("GetAccountPasswordPolicy", "NoSuchEntity", {}, "cannot be found")
    for operation, parameters in {
        "CreateUser": {"UserName": n},
        "CreateGroup": {"GroupName": n},
        "CreateInstanceProfile": {"InstanceProfileName": n},
        "CreateRole": {"RoleName": n, "AssumeRolePolicyDocument": TRUST},
        "CreatePolicy": {"PolicyName": n, "PolicyDocument": POLICY},
        "CreateLoginProfile": {"UserName": n, "Password": "h]6EszR}vJ*m"},
        "CreateOpenIDConnectProvider": {"Url": f"https://{n}.example.com", "ThumbprintList": ["a" * 40]},
    }.items():
        yield Case(operation, "EntityAlreadyExists", parameters, "already exists")
    iam.create_user(UserName=f"{n}-second")
    iam.create_group(GroupName=f"{n}-second")
    iam.create_role(RoleName=f"{n}-second", AssumeRolePolicyDocument=TRUST)
    yield Case("UpdateUser", "EntityAlreadyExists", {"UserName": f"{n}-second", "NewUserName": n}, "already exists")
    yield Case("UpdateGroup", "EntityAlreadyExists", {"GroupName": f"{n}-second", "NewGroupName": n}, "already exists")
    for operation in (
        "PutUserPolicy",
        "PutGroupPolicy",
        "PutRolePolicy",
        "CreatePolicy",
        "CreatePolicyVersion",
        "CreateRole",
        "UpdateAssumeRolePolicy",
    ):
        given = required(model, operation, samples)
        member = "AssumeRolePolicyDocument" if operation == "CreateRole" else "PolicyDocument"
        more = (
            {"PolicyName": f"{n}-other"}
            if operation == "CreatePolicy"
            else {"RoleName": f"{n}-other"}
            if operation == "CreateRole"
            else {}
        )
        yield Case(operation, "MalformedPolicyDocument", {**given, **more, member: "{"})
    # Dependencies.
    iam.add_user_to_group(UserName=n, GroupName=n)
    iam.attach_user_policy(UserName=n, PolicyArn=samples["PolicyArn"])
    iam.put_role_policy(RoleName=n, PolicyName=n, PolicyDocument=POLICY)
    iam.add_role_to_instance_profile(RoleName=n, InstanceProfileName=n)
    yield Case("DeleteUser", "DeleteConflict", {"UserName": n}, "Cannot delete entity")
    yield Case("DeleteGroup", "DeleteConflict", {"GroupName": n}, "Cannot delete entity")
    yield Case("DeleteRole", "DeleteConflict", {"RoleName": n}, "Cannot delete entity")
    yield Case(
        "DeletePolicy",
        "DeleteConflict",
        {"PolicyArn": samples["PolicyArn"]},
        "Cannot delete a policy attached to entities.",
    )
    yield Case(
        "DeletePolicyVersion",
        "DeleteConflict",
        {"PolicyArn": samples["PolicyArn"], "VersionId": "v1"},
        "Cannot delete the default version of a policy.",
    )
    yield Case("DeleteInstanceProfile", "DeleteConflict", {"InstanceProfileName": n}, "Cannot delete entity")
    # Limits.
    iam.create_access_key(UserName=n)
    yield Case("CreateAccessKey", "LimitExceeded", {"UserName": n}, "Cannot exceed quota for AccessKeysPerUser: 2")
    yield Case(
        "AddRoleToInstanceProfile",
        "LimitExceeded",
        {"RoleName": n, "InstanceProfileName": n},
        "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1",
    )
    for number in range(4):
        iam.create_policy_version(PolicyArn=samples["PolicyArn"], PolicyDocument=POLICY)
    yield Case(
        "CreatePolicyVersion",
        "LimitExceeded",
        {"PolicyArn": samples["PolicyArn"], "PolicyDocument": POLICY},
        "A managed policy can have up to 5 versions.",
    )
    for number in range(10):
        iam.create_group(GroupName=f"{n}-{number}")
        if number < 9:
            iam.add_user_to_group(UserName=n, GroupName=f"{n}-{number}")
    yield Case(
        "AddUserToGroup",
        "LimitExceeded",
        {"UserName": n, "GroupName": f"{n}-9"},
        "Cannot exceed quota for GroupsPerUser: 10",
    )
    fill(lambda number: iam.create_group(GroupName=f"{n}-more-{number}"))
    yield Case("CreateGroup", "LimitExceeded", {"GroupName": f"{n}-x"}, "Cannot exceed quota for GroupsPerAccount: 300")
    for kind in ("user", "group", "role"):
        name = {f"{kind.title()}Name": n}
        for number in range(10):
            policy = f"{n}-{kind}-{number}"
            iam.create_policy(PolicyName=policy, PolicyDocument=POLICY)
            if not (kind == "user" and number == 9):
                getattr(iam, f"attach_{kind}_policy")(**name, PolicyArn=f"{arn}policy/{policy}")
        iam.create_policy(PolicyName=f"{n}-{kind}-last", PolicyDocument=POLICY)
        title = kind.title()
        yield Case(
            f"Attach{title}Policy",
            "LimitExceeded",
            {**name, "PolicyArn": f"{arn}policy/{n}-{kind}-last"},
            f"Cannot exceed quota for PoliciesPer{title}: 10",
        )
        big = POLICY.replace('"*"', '"' + "a" * 11000 + ':*"', 1)
        yield Case(
            f"Put{title}Policy",
            "LimitExceeded",
            {**name, "PolicyName": "big", "PolicyDocument": big},
            "Maximum policy size of",
        )
        tags = [{"Key": f"k{number}", "Value": "v"} for number in range(51)]
        if kind != "group":
            iam_tag = getattr(iam, f"tag_{kind}")
            iam_tag(**name, Tags=tags[:50])
            yield Case(f"Tag{title}", "LimitExceeded", {**name, "Tags": tags[50:]})
    yield Case("CreateLoginProfile", "PasswordPolicyViolation", {"UserName": f"{n}-second", "Password": "short"})
    yield Case("UpdateLoginProfile", "PasswordPolicyViolation", {"UserName": n, "Password": "short"})
    service_role = "AWSServiceRoleForAutoScaling"
    if not [
        role for role in iam.list_roles(PathPrefix="/aws-service-role/")["Roles"] if role["RoleName"] == service_role
    ]:
        iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
    linked = "arn:aws:iam::aws:policy/aws-service-role/AutoScalingServiceRolePolicy"
    for operation in sorted(operations):
        shapes = {shape.error_code for shape in model.operation_model(operation).error_shapes}
        given = model.operation_model(operation).input_shape
        trust = {"PolicyDocument": TRUST} if operation == "UpdateAssumeRolePolicy" else {}
        if "UnmodifiableEntity" in shapes and "RoleName" in given.members and "InstanceProfile" not in operation:
            yield Case(
                operation,
                "UnmodifiableEntity",
                {**required(model, operation, samples), **trust, "RoleName": service_role},
                f"Cannot perform the operation on the protected role '{service_role}'",
            )
    for kind in ("User", "Group", "Role"):
        yield Case(f"Attach{kind}Policy", "PolicyNotAttachable", {f"{kind}Name": f"{n}-second", "PolicyArn": linked})
    yield Case(
        "CreatePolicy",
        "InvalidInput",
        {
            "PolicyName": f"{n}-dup",
            "PolicyDocument": POLICY,
            "Tags": [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}],
        },
        "Duplicate tag keys found",
    )
    yield Case(
        "CreateUser",
        "InvalidInput",
        {"UserName": f"{n}-dup", "Tags": [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]},
        "Duplicate tag keys found",
    )
    yield Case(
        "CreateRole",
        "InvalidInput",
        {
            "RoleName": f"{n}-dup",
            "AssumeRolePolicyDocument": TRUST,
            "Tags": [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}],
        },
        "Duplicate tag keys found",
    )
    for kind in ("User", "Role"):
        yield Case(
            f"Tag{kind}",
            "InvalidInput",
            {f"{kind}Name": f"{n}-second", "Tags": [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]},
            "Duplicate tag keys found",
        )


def alias(iam, name):
    """Returns an alias that another account has: aliases are unique among all accounts, and here among those of the cloud."""
    for found in iam.list_account_aliases()["AccountAliases"]:
        iam.delete_account_alias(AccountAlias=found)
    iam.create_account_alias(AccountAlias=f"{name}-alias")
    return f"{name}-alias"
