#!/usr/bin/env python3
"""Tests databases of a running local cloud with boto3 and psql.

Usage: boto3_databases.py ENDPOINT          (needs: pip install boto3; PostgreSQL's executables on this machine)

All resources that it creates have a random suffix and are deleted again.
"""

import glob
import os
import shutil
import signal
import subprocess

from botocore.exceptions import ClientError

from common import SUFFIX, client, connect, eventually, forwarded, has_private_addresses, reaches, refused
from common import status as cloud_status

REGION = "us-east-1"
PASSWORD = "first-password"
PSQL = max(glob.glob("/usr/lib/postgresql/*/bin/psql"), default=shutil.which("psql"))

ec2, rds = client("ec2"), client("rds")


def name(text):
    return f"{text}-{SUFFIX}"


def sql(endpoint, statement, password=PASSWORD, database="tasks"):
    """Executes a statement and returns its result; the text of an error starts with an exclamation mark."""
    with forwarded(*endpoint) as (address, port):
        ran = subprocess.run(
            [PSQL, "-X", "-Atq", "-h", address, "-p", str(port), "-U", "cloud", "-d", database, "-c", statement],
            env={**os.environ, "PGPASSWORD": password, "PGCONNECT_TIMEOUT": "10"}, capture_output=True, text=True)
    return ran.stdout.strip() if ran.returncode == 0 else "!" + ran.stderr.strip()


def listens(endpoint):
    try:
        connect(*endpoint, timeout=1).close()
        return True
    except OSError:
        return False


def admits(endpoint, visitor):
    """Returns whether the security groups of a database admit an instance. On loopback, the endpoint listens only while they
    admit somebody."""
    return reaches(visitor, *endpoint) if has_private_addresses() else listens(endpoint)


def launch_visitor():
    """Launches an instance without programs in the default VPC and its default security group."""
    image = ec2.describe_images(Owners=["136693071363"])["Images"][0]["ImageId"]
    made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[made], WaiterConfig={"Delay": 1})
    return made


def instance(id):
    return rds.describe_db_instances(DBInstanceIdentifier=id)["DBInstances"][0]


def cluster(id):
    return rds.describe_db_clusters(DBClusterIdentifier=id)["DBClusters"][0]


def available(id):
    return eventually(f"{id} is available", lambda: (lambda found: found if found["DBInstanceStatus"] == "available" and not found["PendingModifiedValues"] else None)(instance(id)))


def endpoint_of(found):
    return found["Endpoint"]["Address"], found["Endpoint"]["Port"]


def gone(code, describe):
    def ask():
        try:
            describe()
        except ClientError as error:
            assert error.response["Error"]["Code"] == code, error
            return True
    return ask


def status():
    return cloud_status()["regions"][REGION]


def pid_of(id):
    return next(one["pid"] for one in status()["databases"] if one["id"] == id)


def engines():
    versions = {one["Engine"]: one for one in rds.describe_db_engine_versions()["DBEngineVersions"]}
    assert set(versions) == {"postgres", "aurora-postgresql"}, versions
    version = versions["postgres"]["EngineVersion"]
    major = versions["postgres"]["MajorEngineVersion"]
    assert versions["postgres"]["DBParameterGroupFamily"] == f"postgres{major}"
    only = rds.describe_db_engine_versions(Engine="postgres", EngineVersion=major)["DBEngineVersions"]
    assert [one["EngineVersion"] for one in only] == [version]
    assert rds.describe_db_engine_versions(EngineVersion="9.6")["DBEngineVersions"] == []
    pages = list(rds.get_paginator("describe_orderable_db_instance_options").paginate(
        Engine="postgres", PaginationConfig={"PageSize": 20}))
    options = [one for page in pages for one in page["OrderableDBInstanceOptions"]]
    assert len(pages) > 2 and len({(one["DBInstanceClass"], one["StorageType"]) for one in options}) == len(options)
    aurora = rds.describe_orderable_db_instance_options(Engine="aurora-postgresql", DBInstanceClass="db.t3.micro")
    assert aurora["OrderableDBInstanceOptions"] == []
    with refused("InvalidParameterValue", "oracle"):
        rds.describe_orderable_db_instance_options(Engine="oracle")
    assert rds.describe_global_clusters()["GlobalClusters"] == []
    return major


def network():
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
    group = ec2.create_security_group(GroupName=name("db"), Description="d", VpcId=vpc)["GroupId"]
    ids = [subnet["SubnetId"] for subnet in subnets]
    with refused("DBSubnetGroupDoesNotCoverEnoughAZs"):
        rds.create_db_subnet_group(DBSubnetGroupName=name("s"), DBSubnetGroupDescription="d", SubnetIds=ids[:1])
    made = rds.create_db_subnet_group(
        DBSubnetGroupName=name("s"), DBSubnetGroupDescription="d", SubnetIds=ids[:2],
        Tags=[{"Key": "team", "Value": "a"}])["DBSubnetGroup"]
    assert made["SubnetGroupStatus"] == "Complete" and made["VpcId"] == vpc
    with refused("DBSubnetGroupAlreadyExists"):
        rds.create_db_subnet_group(DBSubnetGroupName=name("s"), DBSubnetGroupDescription="d", SubnetIds=ids)
    rds.modify_db_subnet_group(DBSubnetGroupName=name("s"), DBSubnetGroupDescription="e", SubnetIds=ids)
    found = rds.describe_db_subnet_groups(DBSubnetGroupName=name("s"))["DBSubnetGroups"][0]
    assert {one["SubnetIdentifier"] for one in found["Subnets"]} == set(ids) and found["DBSubnetGroupDescription"] == "e"
    assert {one["SubnetAvailabilityZone"]["Name"] for one in found["Subnets"]} == {s["AvailabilityZone"] for s in subnets}
    with refused("DBSubnetGroupNotFoundFault"):
        rds.describe_db_subnet_groups(DBSubnetGroupName="none")
    arn = found["DBSubnetGroupArn"]
    rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "b", "Value": "2"}])
    rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["team"])
    assert rds.list_tags_for_resource(ResourceName=arn)["TagList"] == [{"Key": "b", "Value": "2"}]
    return group


def parameters(major):
    group = name("p")
    rds.create_db_parameter_group(
        DBParameterGroupName=group, DBParameterGroupFamily=f"postgres{major}", Description="d")
    with refused("DBParameterGroupAlreadyExists"):
        rds.create_db_parameter_group(
            DBParameterGroupName=group, DBParameterGroupFamily=f"postgres{major}", Description="d")
    with refused("InvalidParameterValue", "mysql8.0"):
        rds.create_db_parameter_group(DBParameterGroupName="x", DBParameterGroupFamily="mysql8.0", Description="d")

    def set(parameter, value, method="immediate"):
        rds.modify_db_parameter_group(DBParameterGroupName=group, Parameters=[
            {"ParameterName": parameter, "ParameterValue": value, "ApplyMethod": method}])

    with refused("InvalidParameterCombination", "cannot use immediate apply method for static parameter"):
        set("max_connections", "40")
    with refused("InvalidParameterValue", "Could not find parameter with name: no_such"):
        set("no_such", "1")
    with refused("InvalidParameterValue", "none, ddl, mod, all"):
        set("log_statement", "some")
    set("max_connections", "{DBInstanceClassMemory/35791394}", "pending-reboot")
    set("work_mem", "1024")
    pages = rds.get_paginator("describe_db_parameters").paginate(DBParameterGroupName=group)
    every = {one["ParameterName"]: one for page in pages for one in page["Parameters"]}
    assert len(every) > 200 and every["max_connections"]["ApplyType"] == "static"
    assert every["fsync"]["IsModifiable"] is False and every["work_mem"]["Source"] == "user"
    user = rds.describe_db_parameters(DBParameterGroupName=group, Source="user")["Parameters"]
    assert {one["ParameterName"] for one in user} == {"max_connections", "work_mem"}
    families = {one["DBParameterGroupFamily"] for one in rds.describe_db_parameter_groups()["DBParameterGroups"]}
    assert families == {f"postgres{major}", f"aurora-postgresql{major}"}, families
    with refused("DBParameterGroupNotFound"):
        rds.describe_db_parameter_groups(DBParameterGroupName="none")
    with refused("InvalidParameterValue", "default parameter group"):
        rds.reset_db_parameter_group(DBParameterGroupName=f"default.postgres{major}", ResetAllParameters=True)
    return group


def one_instance(security_group, parameter_group):
    id = name("one")
    options = dict(
        DBInstanceIdentifier=id, DBInstanceClass="db.t3.micro", Engine="postgres", MasterUsername="cloud",
        MasterUserPassword=PASSWORD, AllocatedStorage=20, DBName="tasks", DBSubnetGroupName=name("s"),
        VpcSecurityGroupIds=[security_group], DBParameterGroupName=parameter_group,
        Tags=[{"Key": "team", "Value": "a"}])
    with refused("InvalidParameterCombination", "Cannot find version 9.6 for postgres"):
        rds.create_db_instance(**options, EngineVersion="9.6")
    with refused("InvalidParameterValue", "MasterUserPassword"):
        rds.create_db_instance(**{**options, "MasterUserPassword": "short"})
    made = rds.create_db_instance(**options)["DBInstance"]
    assert made["DBInstanceStatus"] == "creating" and "Endpoint" not in made, made
    with refused("DBInstanceAlreadyExists"):
        rds.create_db_instance(**options)
    rds.get_waiter("db_instance_available").wait(
        DBInstanceIdentifier=id, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    found = instance(id)
    endpoint = endpoint_of(found)
    assert endpoint[1] == 5432 and found["TagList"] == [{"Key": "team", "Value": "a"}]
    assert found["DBParameterGroups"] == [{"DBParameterGroupName": parameter_group, "ParameterApplyStatus": "in-sync"}]
    assert endpoint[0].startswith("172.31." if has_private_addresses() else "127."), endpoint
    visitor = launch_visitor()
    assert not admits(endpoint, visitor), "the security group has no ingress rule"
    ec2.authorize_security_group_ingress(GroupId=security_group, IpPermissions=[
        {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
    eventually("the endpoint opens", lambda: admits(endpoint, visitor) and listens(endpoint))
    if has_private_addresses():
        assert not reaches("internet", *endpoint), "the database is not publicly accessible"
    ec2.terminate_instances(InstanceIds=[visitor])
    assert sql(endpoint, "CREATE TABLE t AS SELECT 1 AS x; SELECT x FROM t") == "1"
    assert sql(endpoint, "SHOW work_mem") == "1MB" and sql(endpoint, "SHOW max_connections") == "30"
    assert sql(endpoint, "SELECT rolsuper, pg_has_role('rds_superuser', 'member') FROM pg_roles WHERE rolname = current_user") == "f|t"
    with refused("DependencyViolation"):
        ec2.delete_security_group(GroupId=security_group)
    with refused("InvalidDBParameterGroupState"):
        rds.delete_db_parameter_group(DBParameterGroupName=parameter_group)
    with refused("InvalidDBSubnetGroupStateFault"):
        rds.delete_db_subnet_group(DBSubnetGroupName=name("s"))

    logs = rds.describe_db_log_files(DBInstanceIdentifier=id)["DescribeDBLogFiles"]
    portion = rds.download_db_log_file_portion(
        DBInstanceIdentifier=id, LogFileName=logs[0]["LogFileName"], NumberOfLines=1000)
    assert "ready to accept connections" in portion["LogFileData"] and PASSWORD not in portion["LogFileData"]
    return id, endpoint


def changes(id, endpoint, parameter_group):
    rds.modify_db_parameter_group(DBParameterGroupName=parameter_group, Parameters=[
        {"ParameterName": "work_mem", "ParameterValue": "2048", "ApplyMethod": "immediate"},
        {"ParameterName": "max_connections", "ParameterValue": "40", "ApplyMethod": "pending-reboot"}])
    eventually("a dynamic parameter is in effect", lambda: sql(endpoint, "SHOW work_mem") == "2MB")
    assert sql(endpoint, "SHOW max_connections") == "30"
    assert instance(id)["DBParameterGroups"][0]["ParameterApplyStatus"] == "pending-reboot"
    rds.reboot_db_instance(DBInstanceIdentifier=id)
    assert instance(id)["DBInstanceStatus"] == "rebooting"
    with refused("InvalidDBInstanceState", "not in available state"):
        rds.modify_db_instance(DBInstanceIdentifier=id, AllocatedStorage=30)
    available(id)
    assert sql(endpoint, "SHOW max_connections") == "40" and sql(endpoint, "SELECT x FROM t") == "1"
    assert instance(id)["DBParameterGroups"][0]["ParameterApplyStatus"] == "in-sync"
    rds.reset_db_parameter_group(DBParameterGroupName=parameter_group, Parameters=[
        {"ParameterName": "work_mem", "ApplyMethod": "immediate"}])
    eventually("the parameter has the engine's default again", lambda: sql(endpoint, "SHOW work_mem") == "4MB")

    # With more memory than the machine has, the instance reports incompatible parameters until the value is corrected.
    rds.modify_db_parameter_group(DBParameterGroupName=parameter_group, Parameters=[
        {"ParameterName": "shared_buffers", "ParameterValue": "1073741823", "ApplyMethod": "pending-reboot"}])
    rds.reboot_db_instance(DBInstanceIdentifier=id)
    eventually("the state reports incompatible parameters", lambda: instance(id)["DBInstanceStatus"] == "incompatible-parameters")
    assert "shared memory" in instance(id)["StatusInfos"][0]["Message"], instance(id)["StatusInfos"]
    rds.reset_db_parameter_group(DBParameterGroupName=parameter_group, Parameters=[
        {"ParameterName": "shared_buffers", "ApplyMethod": "pending-reboot"}])
    available(id)

    later = rds.modify_db_instance(DBInstanceIdentifier=id, AllocatedStorage=30)["DBInstance"]
    assert later["PendingModifiedValues"] == {"AllocatedStorage": 30} and later["AllocatedStorage"] == 20
    rds.modify_db_instance(
        DBInstanceIdentifier=id, DBInstanceClass="db.t3.small", MasterUserPassword="second-password", DBPortNumber=5433,
        ApplyImmediately=True)
    found = available(id)
    assert (found["AllocatedStorage"], found["DBInstanceClass"], found["Endpoint"]["Port"]) == (30, "db.t3.small", 5433)
    rds.modify_db_instance(DBInstanceIdentifier=id, DBPortNumber=5432, ApplyImmediately=True)
    available(id)
    eventually("the new password is accepted", lambda: sql(endpoint, "SELECT x FROM t", "second-password") == "1")
    assert "authentication failed" in sql(endpoint, "SELECT 1")
    rds.modify_db_instance(DBInstanceIdentifier=id, MasterUserPassword=PASSWORD)
    available(id)

    with refused("InvalidParameterCombination", "Multi-AZ"):
        rds.reboot_db_instance(DBInstanceIdentifier=id, ForceFailover=True)
    rds.modify_db_instance(DBInstanceIdentifier=id, MultiAZ=True, ApplyImmediately=True)
    before = available(id)
    rds.reboot_db_instance(DBInstanceIdentifier=id, ForceFailover=True)
    after = available(id)
    zones = before["AvailabilityZone"], before["SecondaryAvailabilityZone"]
    assert (after["SecondaryAvailabilityZone"], after["AvailabilityZone"]) == zones and zones[0] != zones[1]

    rds.stop_db_instance(DBInstanceIdentifier=id)
    eventually("the database is stopped", lambda: instance(id)["DBInstanceStatus"] == "stopped")
    assert not listens(endpoint) and pid_of(id) is None
    with refused("InvalidDBInstanceState"):
        rds.create_db_snapshot(DBInstanceIdentifier=id, DBSnapshotIdentifier=name("no"))
    rds.start_db_instance(DBInstanceIdentifier=id)
    available(id)
    eventually("the database answers again", lambda: sql(endpoint, "SELECT x FROM t") == "1")

    pid = pid_of(id)
    os.kill(pid, signal.SIGKILL)
    eventually("a new server runs", lambda: pid_of(id) not in (pid, None))
    eventually("the database answers again", lambda: sql(endpoint, "SELECT x FROM t") == "1")


def encryption(id, endpoint, parameter_group, major):
    bundle = cloud_status()["certificate_bundle"]

    def connect_with(mode, host=endpoint[0]):
        with forwarded(*endpoint) as (address, port):
            target = f"host={host} hostaddr={address} port={port} user=cloud dbname=tasks sslmode={mode} sslrootcert={bundle}"
            statement = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            ran = subprocess.run([PSQL, "-X", "-Atq", "-d", target, "-c", statement], capture_output=True, text=True,
                                 env={**os.environ, "PGPASSWORD": PASSWORD, "PGCONNECT_TIMEOUT": "10"})
        return ran.stdout.strip() or "!" + ran.stderr.strip()

    assert connect_with("verify-full") == "t", connect_with("verify-full")
    assert "does not match host name" in connect_with("verify-full", "192.0.2.1")
    assert int(major) < 15 or "no encryption" in connect_with("disable"), "PostgreSQL 15 and later demand TLS"
    for value, expected in (("0", "f"), ("1", "no encryption")):
        rds.modify_db_parameter_group(DBParameterGroupName=parameter_group, Parameters=[
            {"ParameterName": "rds.force_ssl", "ParameterValue": value, "ApplyMethod": "immediate"}])
        eventually(f"rds.force_ssl={value} takes effect", lambda: expected in connect_with("disable"))
        assert connect_with("verify-full") == "t"
    rds.reset_db_parameter_group(DBParameterGroupName=parameter_group, Parameters=[
        {"ParameterName": "rds.force_ssl", "ApplyMethod": "immediate"}])


def publicity(id, endpoint):
    """The endpoint of a publicly accessible instance is an address that clients outside of the VPC reach."""
    rds.modify_db_instance(DBInstanceIdentifier=id, PubliclyAccessible=True, ApplyImmediately=True)
    public = endpoint_of(available(id))
    assert instance(id)["PubliclyAccessible"] and public[0].startswith("127."), public
    assert (public == endpoint) != has_private_addresses(), (public, endpoint)
    eventually("the database answers at its public address", lambda: sql(public, "SELECT x FROM t") == "1")
    assert reaches("internet", *public)
    rds.modify_db_instance(DBInstanceIdentifier=id, PubliclyAccessible=False, ApplyImmediately=True)
    assert endpoint_of(available(id)) == endpoint
    if has_private_addresses():
        eventually("the public address is closed", lambda: not listens(public))


def replicas(id, endpoint, security_group):
    replica = name("replica")
    made = rds.create_db_instance_read_replica(DBInstanceIdentifier=replica, SourceDBInstanceIdentifier=id)["DBInstance"]
    assert made["ReadReplicaSourceDBInstanceIdentifier"] == id
    follower = endpoint_of(available(replica))
    assert instance(id)["ReadReplicaDBInstanceIdentifiers"] == [replica]
    sql(endpoint, "INSERT INTO t VALUES (2)")
    eventually("the replica has the inserted row", lambda: sql(follower, "SELECT sum(x) FROM t") == "3")
    assert "read-only transaction" in sql(follower, "INSERT INTO t VALUES (3)")
    with refused("InvalidParameterCombination", "replica"):
        rds.delete_db_instance(DBInstanceIdentifier=replica, FinalDBSnapshotIdentifier=name("no"))
    rds.promote_read_replica(DBInstanceIdentifier=replica)
    available(replica)
    assert sql(follower, "INSERT INTO t VALUES (3)") == "" and sql(follower, "SELECT sum(x) FROM t") == "6"
    assert sql(endpoint, "SELECT sum(x) FROM t") == "3", "the promoted replica is independent of its source"
    rds.delete_db_instance(DBInstanceIdentifier=replica, SkipFinalSnapshot=True)
    eventually("the database is deleted", gone("DBInstanceNotFound", lambda: instance(replica)))


def snapshots(id, endpoint, security_group):
    snapshot, restored = name("snapshot"), name("restored")
    made = rds.create_db_snapshot(
        DBInstanceIdentifier=id, DBSnapshotIdentifier=snapshot, Tags=[{"Key": "k", "Value": "v"}])["DBSnapshot"]
    assert made["Status"] == "creating" and made["SnapshotType"] == "manual"
    rds.get_waiter("db_snapshot_completed").wait(
        DBSnapshotIdentifier=snapshot, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    with refused("DBSnapshotAlreadyExists"):
        available(id)
        rds.create_db_snapshot(DBInstanceIdentifier=id, DBSnapshotIdentifier=snapshot)
    sql(endpoint, "INSERT INTO t VALUES (100)")
    rds.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier=restored, DBSnapshotIdentifier=snapshot, VpcSecurityGroupIds=[security_group])
    other = endpoint_of(available(restored))
    assert sql(other, "SELECT sum(x) FROM t") == "3", "the snapshot does not contain later rows"
    found = rds.describe_db_snapshots(DBInstanceIdentifier=id)["DBSnapshots"]
    assert [(one["DBSnapshotIdentifier"], one["PercentProgress"], one["TagList"]) for one in found] == [
        (snapshot, 100, [{"Key": "k", "Value": "v"}])]
    rds.delete_db_snapshot(DBSnapshotIdentifier=snapshot)
    with refused("DBSnapshotNotFound"):
        rds.describe_db_snapshots(DBSnapshotIdentifier=snapshot)
    rds.delete_db_instance(DBInstanceIdentifier=restored, SkipFinalSnapshot=True)

    last = name("last")
    rds.modify_db_instance(DBInstanceIdentifier=id, DeletionProtection=True)
    with refused("InvalidParameterCombination", "Cannot delete protected DB Instance"):
        rds.delete_db_instance(DBInstanceIdentifier=id, SkipFinalSnapshot=True)
    rds.modify_db_instance(DBInstanceIdentifier=id, DeletionProtection=False)
    with refused("InvalidParameterCombination", "FinalDBSnapshotIdentifier is required"):
        rds.delete_db_instance(DBInstanceIdentifier=id)
    pid = pid_of(id)
    rds.delete_db_instance(DBInstanceIdentifier=id, FinalDBSnapshotIdentifier=last)
    rds.get_waiter("db_instance_deleted").wait(
        DBInstanceIdentifier=id, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    assert not os.path.exists(f"/proc/{pid}") and not listens(endpoint)
    assert rds.describe_db_snapshots(DBSnapshotIdentifier=last)["DBSnapshots"][0]["Status"] == "available"
    rds.delete_db_snapshot(DBSnapshotIdentifier=last)
    eventually("the database is deleted", gone("DBInstanceNotFound", lambda: instance(restored)))


def clusters(major, security_group):
    id, group = name("c"), name("cp")
    rds.create_db_cluster_parameter_group(
        DBClusterParameterGroupName=group, DBParameterGroupFamily=f"aurora-postgresql{major}", Description="d")
    rds.modify_db_cluster_parameter_group(DBClusterParameterGroupName=group, Parameters=[
        {"ParameterName": "work_mem", "ParameterValue": "3072", "ApplyMethod": "immediate"}])
    options = dict(
        DBClusterIdentifier=id, Engine="aurora-postgresql", MasterUsername="cloud", MasterUserPassword=PASSWORD,
        DatabaseName="tasks", DBSubnetGroupName=name("s"), VpcSecurityGroupIds=[security_group],
        DBClusterParameterGroupName=group)
    made = rds.create_db_cluster(**options)["DBCluster"]
    assert made["Status"] == "creating" and made["DBClusterMembers"] == []
    with refused("DBClusterAlreadyExistsFault"):
        rds.create_db_cluster(**options)
    rds.get_waiter("db_cluster_available").wait(
        DBClusterIdentifier=id, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    member = dict(DBClusterIdentifier=id, DBInstanceClass="db.t4g.medium", Engine="aurora-postgresql")
    with refused("InvalidParameterCombination", "DBInstanceClass=db.t3.micro"):
        rds.create_db_instance(**{**member, "DBInstanceClass": "db.t3.micro"}, DBInstanceIdentifier=f"{id}-1")
    for number in (1, 2):
        rds.create_db_instance(**member, DBInstanceIdentifier=f"{id}-{number}")
    for number in (1, 2):
        available(f"{id}-{number}")
    found = cluster(id)
    writer, reader = (found["Endpoint"], found["Port"]), (found["ReaderEndpoint"], found["Port"])
    roles = {one["DBInstanceIdentifier"]: one["IsClusterWriter"] for one in found["DBClusterMembers"]}
    assert roles == {f"{id}-1": True, f"{id}-2": False}
    assert sql(writer, "CREATE TABLE t (x int); INSERT INTO t VALUES (1); SHOW work_mem") == "3MB"
    eventually("the reader has the inserted row", lambda: sql(reader, "SELECT sum(x) FROM t") == "1")
    assert "read-only transaction" in sql(reader, "INSERT INTO t VALUES (2)")

    with refused("InvalidDBInstanceState"):
        rds.failover_db_cluster(DBClusterIdentifier=id, TargetDBInstanceIdentifier=f"{id}-1")
    assert rds.failover_db_cluster(DBClusterIdentifier=id)["DBCluster"]["Status"] == "failing-over"
    eventually("writes work again", lambda: sql(writer, "INSERT INTO t VALUES (2)") == "")
    eventually("the cluster is available", lambda: cluster(id)["Status"] == "available")
    roles = {one["DBInstanceIdentifier"]: one["IsClusterWriter"] for one in cluster(id)["DBClusterMembers"]}
    assert roles == {f"{id}-1": False, f"{id}-2": True}
    eventually("the former writer follows", lambda: sql(reader, "SELECT pg_is_in_recovery(), sum(x) FROM t") == "t|3")

    os.kill(pid_of(f"{id}-2"), signal.SIGKILL)
    eventually("writes work again", lambda: sql(writer, "INSERT INTO t VALUES (3)") == "")
    assert sql(writer, "SELECT sum(x) FROM t") == "6", "no committed row is lost"
    eventually("the former writer follows", lambda: sql(reader, "SELECT pg_is_in_recovery(), sum(x) FROM t") == "t|6")
    for number in (1, 2):
        available(f"{id}-{number}")

    # A standby must not have a lower max_connections than its primary, so it is restarted with the same value.
    rds.modify_db_cluster_parameter_group(DBClusterParameterGroupName=group, Parameters=[
        {"ParameterName": "max_connections", "ParameterValue": "120", "ApplyMethod": "pending-reboot"}])
    user = rds.describe_db_cluster_parameters(DBClusterParameterGroupName=group, Source="user")["Parameters"]
    assert {one["ParameterName"] for one in user} == {"max_connections", "work_mem"}
    rds.reboot_db_instance(DBInstanceIdentifier=f"{id}-1")
    available(f"{id}-1")
    assert sql(writer, "SHOW max_connections") == "120"
    sql(writer, "INSERT INTO t VALUES (0)")
    eventually("the reader follows", lambda: sql(reader, "SELECT count(*) FROM t") == "4")
    assert sql(reader, "SHOW max_connections") == "120"
    rds.reset_db_cluster_parameter_group(DBClusterParameterGroupName=group, Parameters=[
        {"ParameterName": "work_mem", "ApplyMethod": "immediate"}])
    eventually("the parameter has the engine's default again", lambda: sql(reader, "SHOW work_mem") == "4MB")
    with refused("InvalidDBParameterGroupState"):
        rds.delete_db_cluster_parameter_group(DBClusterParameterGroupName=group)
    groups = rds.describe_db_cluster_parameter_groups()["DBClusterParameterGroups"]
    assert group in {one["DBClusterParameterGroupName"] for one in groups}

    rds.modify_db_cluster(DBClusterIdentifier=id, MasterUserPassword="second-password", ApplyImmediately=True)
    eventually("the new password is accepted", lambda: sql(writer, "SELECT 1", "second-password") == "1")
    eventually("the cluster is available", lambda: cluster(id)["Status"] == "available")
    rds.modify_db_cluster(DBClusterIdentifier=id, MasterUserPassword=PASSWORD, Port=5440)
    eventually("the cluster is available", lambda: cluster(id)["Status"] == "available")
    rds.modify_db_cluster(DBClusterIdentifier=id, Port=5432)

    rds.stop_db_cluster(DBClusterIdentifier=id)
    eventually("the database is stopped", lambda: cluster(id)["Status"] == "stopped")
    assert not listens(writer) and not listens(reader)
    with refused("InvalidDBClusterStateFault", "stopped"):
        rds.modify_db_cluster(DBClusterIdentifier=id, BackupRetentionPeriod=2)
    rds.start_db_cluster(DBClusterIdentifier=id)
    eventually("the cluster is started", lambda: cluster(id)["Status"] == "available")
    eventually("the database answers again", lambda: sql(writer, "SELECT sum(x) FROM t") == "6")

    snapshot, restored = name("cs"), name("cr")
    rds.create_db_cluster_snapshot(DBClusterIdentifier=id, DBClusterSnapshotIdentifier=snapshot)
    rds.get_waiter("db_cluster_snapshot_available").wait(
        DBClusterSnapshotIdentifier=snapshot, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    rds.restore_db_cluster_from_snapshot(
        DBClusterIdentifier=restored, SnapshotIdentifier=snapshot, Engine="aurora-postgresql",
        VpcSecurityGroupIds=[security_group])
    eventually("the cluster is restored", lambda: cluster(restored)["Status"] == "available")
    rds.create_db_instance(**{**member, "DBClusterIdentifier": restored}, DBInstanceIdentifier=f"{restored}-1")
    available(f"{restored}-1")
    other = cluster(restored)
    assert sql((other["Endpoint"], other["Port"]), "SELECT sum(x) FROM t") == "6"
    assert sql((other["ReaderEndpoint"], other["Port"]), "SELECT sum(x) FROM t") == "6", "without readers, the reader endpoint leads to the writer"

    # The data belongs to the cluster: it is kept without any instance, and the next instance has it.
    with refused("InvalidDBClusterStateFault", "still contains DB instances"):
        rds.delete_db_cluster(DBClusterIdentifier=restored, SkipFinalSnapshot=True)
    rds.delete_db_instance(DBInstanceIdentifier=f"{restored}-1", SkipFinalSnapshot=True)
    eventually("the database is deleted", gone("DBInstanceNotFound", lambda: instance(f"{restored}-1")))
    rds.create_db_instance(**{**member, "DBClusterIdentifier": restored}, DBInstanceIdentifier=f"{restored}-2")
    available(f"{restored}-2")
    assert sql((other["Endpoint"], other["Port"]), "SELECT sum(x) FROM t") == "6"

    for each, count in ((id, (1, 2)), (restored, (2,))):
        for number in count:
            rds.delete_db_instance(DBInstanceIdentifier=f"{each}-{number}")
    last = name("clast")
    rds.delete_db_cluster(DBClusterIdentifier=id, FinalDBSnapshotIdentifier=last)
    rds.delete_db_cluster(DBClusterIdentifier=restored, SkipFinalSnapshot=True)
    for each in (id, restored):
        eventually("the database is deleted", gone("DBClusterNotFoundFault", lambda each=each: cluster(each)))
    found = rds.describe_db_cluster_snapshots(DBClusterIdentifier=id)["DBClusterSnapshots"]
    assert {(one["DBClusterSnapshotIdentifier"], one["Status"]) for one in found} == {
        (snapshot, "available"), (last, "available")}
    rds.restore_db_cluster_from_snapshot(DBClusterIdentifier=restored, SnapshotIdentifier=last, Engine="aurora-postgresql",
                                         VpcSecurityGroupIds=[security_group])
    rds.create_db_instance(**{**member, "DBClusterIdentifier": restored}, DBInstanceIdentifier=f"{restored}-1")
    available(f"{restored}-1")
    again = cluster(restored)
    answer = sql((again["Endpoint"], again["Port"]), "SELECT sum(x) FROM t")
    assert answer == "6", f"the final snapshot is incomplete: {answer}"
    rds.delete_db_instance(DBInstanceIdentifier=f"{restored}-1")
    rds.delete_db_cluster(DBClusterIdentifier=restored, SkipFinalSnapshot=True)
    eventually("the database is deleted", gone("DBClusterNotFoundFault", lambda: cluster(restored)))
    for each in (snapshot, last):
        rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=each)
    with refused("DBClusterSnapshotNotFoundFault"):
        rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=last)
    rds.delete_db_cluster_parameter_group(DBClusterParameterGroupName=group)


def renamed(id, endpoint):
    """Renames the instance, and renames it back. Returns its last endpoint."""
    sql(endpoint, "CREATE TABLE names (x int); INSERT INTO names VALUES (7)")
    tags = instance(id)["TagList"]
    for before, after in ((id, name("renamed")), (name("renamed"), id)):
        answer = rds.modify_db_instance(DBInstanceIdentifier=before, NewDBInstanceIdentifier=after, ApplyImmediately=True)
        assert answer["DBInstance"]["PendingModifiedValues"] == {"DBInstanceIdentifier": after}
        eventually("the name is free", gone("DBInstanceNotFound", lambda: instance(before)))
        found = available(after)
        assert found["DBInstanceArn"].endswith(f":db:{after}") and found["TagList"] == tags, found
        other = endpoint_of(found)
        assert other != endpoint and not listens(endpoint), f"{endpoint} still answers"
        answer = sql(other, "SELECT x FROM names")
        assert answer == "7", f"the data is gone: {answer}"
        endpoint = other
    sql(endpoint, "DROP TABLE names")
    events = rds.describe_events(SourceType="db-instance", SourceIdentifier=name("renamed"), Duration=1440)["Events"]
    assert [event["Message"] for event in events][:2] == ["DB instance shutdown", "DB instance restarted"], events
    return endpoint


def main():
    major = engines()
    security_group = network()
    parameter_group = parameters(major)
    id, endpoint = one_instance(security_group, parameter_group)
    changes(id, endpoint, parameter_group)
    encryption(id, endpoint, parameter_group, major)
    publicity(id, endpoint)
    endpoint = renamed(id, endpoint)
    replicas(id, endpoint, security_group)
    snapshots(id, endpoint, security_group)
    clusters(major, security_group)
    rds.delete_db_parameter_group(DBParameterGroupName=parameter_group)
    rds.delete_db_subnet_group(DBSubnetGroupName=name("s"))
    ec2.delete_security_group(GroupId=security_group)
    assert status()["databases"] == [] and status()["database_clusters"] == []
    print("ok  databases")


main()
