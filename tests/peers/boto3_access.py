#!/usr/bin/env python3
"""Tests IAM and STS of a running local cloud with boto3: users, keys, policies and roles. Then starts a separate cloud that
enforces policies, and tests the permissions of its users and roles.

Usage: boto3_access.py ENDPOINT          (needs: pip install boto3; the programs of the workspace built)
"""

import datetime
import hashlib
import json
import os
import subprocess
import tempfile
import urllib.error
import urllib.request
from contextlib import contextmanager, nullcontext

import boto3
from botocore.config import Config

from common import ENDPOINT, SERVER, SUFFIX, eventually, fabric, forwarded, get, has_private_addresses, refused

ACCOUNT = "000000000000"
ONCE = Config(retries={"total_max_attempts": 1}, signature_version="v4")
ONCE_S3 = Config(retries={"total_max_attempts": 1}, signature_version="s3v4")


def client(service, endpoint=ENDPOINT, key=None, secret=None, token=None, region="us-east-1"):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=ONCE_S3 if service == "s3" else ONCE,
    )


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions, resources="*", **more):
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def users_and_policies(iam):
    name = f"eve-{SUFFIX}"
    user = iam.create_user(UserName=name, Path="/team/", Tags=[{"Key": "a", "Value": "b"}])["User"]
    assert user["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/team/{name}" and user["UserId"].startswith("AIDA")
    with refused("EntityAlreadyExists"):
        iam.create_user(UserName=name)
    assert iam.get_user(UserName=name)["User"]["UserName"] == name
    assert name in [user["UserName"] for user in iam.list_users(PathPrefix="/team/")["Users"]]
    iam.tag_user(UserName=name, Tags=[{"Key": "c", "Value": "d"}])
    iam.untag_user(UserName=name, TagKeys=["a"])
    assert iam.list_user_tags(UserName=name)["Tags"] == [{"Key": "c", "Value": "d"}]
    assert iam.list_groups_for_user(UserName=name)["Groups"] == []

    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy(allow("s3:*")))
    assert iam.get_user_policy(UserName=name, PolicyName="own")["PolicyDocument"]["Statement"][0]["Action"] == "s3:*"
    assert iam.list_user_policies(UserName=name)["PolicyNames"] == ["own"]
    with refused("MalformedPolicyDocument"):
        iam.put_user_policy(UserName=name, PolicyName="bad", PolicyDocument='{"Statement": [{"Effect": "Perhaps"}]}')

    made = iam.create_policy(PolicyName=f"reader-{SUFFIX}", PolicyDocument=policy(allow("ec2:Describe*")), Description="x")
    arn = made["Policy"]["Arn"]
    assert made["Policy"]["DefaultVersionId"] == "v1"
    iam.attach_user_policy(UserName=name, PolicyArn=arn)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    assert iam.list_attached_user_policies(UserName=name)["AttachedPolicies"][0]["PolicyArn"] == arn
    assert iam.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"][0]["UserName"] == name
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy(allow("ec2:*")), SetAsDefault=True)
    assert [version["VersionId"] for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]] == ["v1", "v2"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]["Document"]
    assert document["Statement"][0]["Action"] == "ec2:*"
    with refused("DeleteConflict"):
        iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    with refused("DeleteConflict", "attached"):
        iam.delete_policy(PolicyArn=arn)
    assert arn in [policy["Arn"] for policy in iam.list_policies(Scope="Local", OnlyAttached=True)["Policies"]]
    administrator = "arn:aws:iam::aws:policy/AdministratorAccess"
    assert iam.get_policy(PolicyArn=administrator)["Policy"]["PolicyName"] == "AdministratorAccess"
    with refused("NoSuchEntity"):
        iam.attach_user_policy(UserName=name, PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/nothing")

    key = iam.create_access_key(UserName=name)["AccessKey"]
    caller = client("sts", key=key["AccessKeyId"], secret=key["SecretAccessKey"]).get_caller_identity()
    assert caller["Arn"] == user["Arn"] and caller["UserId"] == user["UserId"]
    with refused("SignatureDoesNotMatch"):
        client("sts", key=key["AccessKeyId"], secret="wrong").get_caller_identity()
    with refused("AuthFailure"):
        client("ec2", key=key["AccessKeyId"], secret="wrong").describe_vpcs()
    with refused("InvalidSignatureException"):
        client("ssm", key=key["AccessKeyId"], secret="wrong").describe_parameters()
    with refused("SignatureDoesNotMatch"):
        client("s3", key=key["AccessKeyId"], secret="wrong").list_buckets()
    iam.update_access_key(UserName=name, AccessKeyId=key["AccessKeyId"], Status="Inactive")
    with refused("InvalidClientTokenId"):
        client("sts", key=key["AccessKeyId"], secret=key["SecretAccessKey"]).get_caller_identity()
    assert iam.list_access_keys(UserName=name)["AccessKeyMetadata"][0]["Status"] == "Inactive"
    with refused("DeleteConflict", "access keys"):
        iam.delete_user(UserName=name)

    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    with refused("InvalidClientTokenId"):
        client("sts", key=key["AccessKeyId"], secret=key["SecretAccessKey"]).get_caller_identity()
    iam.detach_user_policy(UserName=name, PolicyArn=arn)
    iam.delete_user_policy(UserName=name, PolicyName="own")
    iam.delete_user(UserName=name)
    iam.delete_policy(PolicyArn=arn)
    with refused("NoSuchEntity"):
        iam.get_user(UserName=name)


def roles(iam):
    name = f"taken-on-{SUFFIX}"
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT}}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    answer = client("sts").assume_role(RoleArn=arn, RoleSessionName="night", DurationSeconds=900)
    credentials = answer["Credentials"]
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/night"
    assert credentials["Expiration"] > datetime.datetime.now(datetime.timezone.utc)
    session = dict(
        key=credentials["AccessKeyId"], secret=credentials["SecretAccessKey"], token=credentials["SessionToken"]
    )
    assert client("sts", **session).get_caller_identity()["Arn"] == answer["AssumedRoleUser"]["Arn"]
    with refused("InvalidClientTokenId"):
        client("sts", **{**session, "token": "another"}).get_caller_identity()
    with refused("ValidationError"):
        client("sts").assume_role(RoleArn=arn, RoleSessionName="night", DurationSeconds=7200)
    iam.update_assume_role_policy(
        RoleName=name, PolicyDocument=policy({**trust, "Principal": {"Service": "ec2.amazonaws.com"}})
    )
    with refused("AccessDenied", "sts:AssumeRole"):
        client("sts").assume_role(RoleArn=arn, RoleSessionName="night")
    iam.delete_role(RoleName=name)


# Answers with what the metadata service of its instance answers. The service has an address that exists on the instance only.
RELAY = SERVER + b"""
import http.client

class Relay(BaseHTTPRequestHandler):
    def do_GET(self):
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        connection = http.client.HTTPConnection("169.254.169.254", timeout=10)
        connection.request(self.command, self.path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_GET

serve(Relay)
"""
PORT = 8080


@contextmanager
def relay():
    """Stores the relay in a bucket and yields the user data of an instance that runs it."""
    s3, bucket = client("s3"), f"access-{SUFFIX}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="relay", Body=RELAY)
    service = {"name": "relay", "listen": PORT, "artifact": {
        "bucket": bucket, "key": "relay", "sha256": hashlib.sha256(RELAY).hexdigest()}}
    machine = {"machine": 1, "image": "debian-12", "services": [service]}
    files = [{"path": "/etc/infra/machine.json", "content": json.dumps(machine)}]
    yield "#cloud-config\n" + json.dumps({"write_files": files})
    s3.delete_object(Bucket=bucket, Key="relay")
    s3.delete_bucket(Bucket=bucket)


def relays(address):
    try:
        return get(address, "/latest/meta-data/", PORT, timeout=10)[0] == 401
    except OSError:
        return False


def metadata(iam):
    """The instance metadata service, read by botocore as on an instance."""
    with relay() if has_private_addresses() else nullcontext("#!/bin/sh") as user_data:
        check_metadata(iam, user_data)


def check_metadata(iam, user_data):
    name = f"worker-{SUFFIX}"
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    ec2 = client("ec2")
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian-12-*"]}])["Images"][0]["ImageId"]
    launched = ec2.run_instances(
        ImageId=image,
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        IamInstanceProfile={"Name": name},
        UserData=user_data,
        MetadataOptions={"HttpTokens": "required", "InstanceMetadataTags": "enabled"},
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "colour", "Value": "red"}]}],
    )["Instances"][0]
    identifier = launched["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[identifier], WaiterConfig={"Delay": 1})
    address = ec2.describe_instances(InstanceIds=[identifier])["Reservations"][0]["Instances"][0]["PrivateIpAddress"]
    if has_private_addresses():
        eventually("the relay runs", lambda: relays(address))
        with forwarded(address, PORT) as (host, port):
            read_metadata(f"http://{host}:{port}", user_data, launched, name)
    else:
        read_metadata(f"http://{address}:1338", user_data, launched, name)

    ec2.terminate_instances(InstanceIds=[identifier])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[identifier], WaiterConfig={"Delay": 1})
    iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
    iam.delete_instance_profile(InstanceProfileName=name)
    iam.delete_role(RoleName=name)


def read_metadata(endpoint, user_data, launched, role):
    identifier = launched["InstanceId"]

    def ask(path, method="GET", **headers):
        request = urllib.request.Request(endpoint + path, method=method, headers=headers)
        try:
            return urllib.request.urlopen(request, timeout=10).read().decode()
        except urllib.error.HTTPError as error:
            return error.code

    assert ask("/latest/meta-data/instance-id") == 401, "a token is required"
    token = {"X-aws-ec2-metadata-token": ask("/latest/api/token", "PUT", **{"X-aws-ec2-metadata-token-ttl-seconds": "60"})}
    assert ask("/latest/api/token", "PUT") == 400
    assert ask("/latest/meta-data/instance-id", **token) == identifier
    assert ask("/latest/meta-data/placement/availability-zone", **token) == launched["Placement"]["AvailabilityZone"]
    assert ask("/latest/meta-data/tags/instance/colour", **token) == "red"
    assert "placement/" in ask("/latest/meta-data/", **token).split()
    assert ask("/latest/user-data", **token) == user_data
    assert ask("/latest/meta-data/nothing", **token) == 404
    assert json.loads(ask("/latest/dynamic/instance-identity/document", **token))["instanceId"] == identifier

    os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = endpoint
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        os.environ.pop(variable, None)
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.environ["AWS_CONFIG_FILE"] = os.devnull
    session = boto3.Session(region_name="us-east-1")
    assert session.get_credentials().method == "iam-role"
    caller = session.client("sts", endpoint_url=ENDPOINT, config=ONCE).get_caller_identity()
    assert caller["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{identifier}", caller


@contextmanager
def strict_cloud():
    """Runs a cloud that enforces IAM policies."""
    program = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "debug", "stack")
    with tempfile.TemporaryDirectory() as directory:
        stack = [program, "--directory", directory, "--json", "local"]
        environment = {**os.environ, "AWS_SECRET_ACCESS_KEY": "of-the-root"}
        start = [*stack, "start", "--access-key", "ROOT", "--enforce-iam", "--network", fabric()]
        running = json.loads(subprocess.run(start, env=environment, check=True, capture_output=True).stdout)
        try:
            yield running["endpoint"], lambda *words: subprocess.run([*stack, "fault", *words], check=True, capture_output=True)
        finally:
            subprocess.run([*stack, "stop"], check=True, capture_output=True)


def enforcement(endpoint, fault):
    root = dict(endpoint=endpoint, key="ROOT", secret="of-the-root")
    for key, secret, code in [("other", "of-the-root", "InvalidClientTokenId"), ("ROOT", "x", "SignatureDoesNotMatch")]:
        with refused(code):
            client("sts", endpoint, key, secret).get_caller_identity()
    iam, s3, ssm = (client(service, **root) for service in ("iam", "s3", "ssm"))
    iam.create_user(UserName="eve")
    held = iam.create_access_key(UserName="eve")["AccessKey"]
    eve = dict(endpoint=endpoint, key=held["AccessKeyId"], secret=held["SecretAccessKey"])
    for bucket in ("mine", "theirs"):
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="eve/a", Body=b"a")
    ssm.put_parameter(Name="/eve/a", Value="1", Type="String")
    ssm.put_parameter(Name="/bob/a", Value="2", Type="String")

    with refused("UnauthorizedOperation", "ec2:DescribeVpcs"):
        client("ec2", **eve).describe_vpcs()
    with refused("AccessDenied", f"User: arn:aws:iam::{ACCOUNT}:user/eve is not authorized to perform: iam:GetRole on resource"):
        client("iam", **eve).get_role(RoleName="x")
    with refused("AccessDeniedException", "no identity-based policy allows the ssm:GetParameter action"):
        client("ssm", **eve).get_parameter(Name="/eve/a")
    with refused("AccessDenied"):
        client("s3", **eve).get_object(Bucket="mine", Key="eve/a")

    iam.put_user_policy(
        UserName="eve",
        PolicyName="own",
        PolicyDocument=policy(
            allow("ec2:*", Condition={"StringEquals": {"aws:RequestedRegion": "us-east-1"}}),
            allow(["ssm:Get*"], f"arn:aws:ssm:*:{ACCOUNT}:parameter/${{aws:username}}/*"),
            allow(["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::mine/${aws:username}/*"),
            {"Effect": "Deny", "Action": "ec2:CreateSecurityGroup", "Resource": "*"},
        ),
    )
    assert client("ec2", **eve).describe_vpcs()["Vpcs"]
    with refused("UnauthorizedOperation"):
        client("ec2", **eve, region="us-east-2").describe_vpcs()
    with refused("UnauthorizedOperation", "explicit deny"):
        client("ec2", **eve).create_security_group(GroupName="x", Description="x")
    assert client("ssm", **eve).get_parameter(Name="/eve/a")["Parameter"]["Value"] == "1"
    with refused("AccessDeniedException"):
        client("ssm", **eve).get_parameter(Name="/bob/a")
    own = client("s3", **eve)
    assert own.get_object(Bucket="mine", Key="eve/a")["Body"].read() == b"a"
    own.put_object(Bucket="mine", Key="eve/b", Body=b"b")
    url = own.generate_presigned_url("get_object", Params={"Bucket": "mine", "Key": "eve/b"}, ExpiresIn=60)
    assert urllib.request.urlopen(url).read() == b"b"
    for call in (
        lambda: own.get_object(Bucket="theirs", Key="eve/a"),
        lambda: own.delete_object(Bucket="mine", Key="eve/a"),
        lambda: own.copy_object(Bucket="mine", Key="eve/c", CopySource="theirs/eve/a"),
        lambda: own.list_objects_v2(Bucket="mine"),
    ):
        with refused("AccessDenied"):
            call()

    fault("throttle", "--operation", "ec2:DescribeVpcs", "--count", "1")
    with refused("RequestLimitExceeded"):
        client("ec2", **eve).describe_vpcs()
    client("ec2", **eve).describe_vpcs()
    fault("errors", "--operation", "ssm:*")
    with refused("InternalFailure"):
        ssm.get_parameter(Name="/eve/a")
    fault("clear")
    fault("lag", "600000")
    iam.create_user(UserName="late")
    with refused("NoSuchEntity"):
        iam.get_user(UserName="late")
    fault("lag", "0")
    assert iam.get_user(UserName="late")["User"]["UserName"] == "late"


def main():
    iam = client("iam")
    users_and_policies(iam)
    print("ok  users, keys and policies")
    roles(iam)
    print("ok  assumed roles")
    metadata(iam)
    print("ok  instance metadata")
    with strict_cloud() as (endpoint, fault):
        enforcement(endpoint, fault)
    print("ok  enforced policies, injected faults")


main()
