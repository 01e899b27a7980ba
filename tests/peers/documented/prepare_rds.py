"""Preparations of the examples of RDS. The local cloud has PostgreSQL and MariaDB, so the examples of MySQL and Aurora MySQL
run with `postgres` and `aurora-postgresql`."""

from world import eventually

PREPARED = "the preparation creates another state"
# Differences from the documented outputs, with their reasons.
DIFFERENCES = {
    ("RestoreDBInstanceFromDBSnapshot", "DBInstance.DBInstanceStatus"): "AWS answers `creating`",
    ("RestoreDBInstanceToPointInTime", "DBInstance.DBInstanceStatus"): "AWS answers `creating`",
} | {
    (operation, f"DBInstance.{member}"): PREPARED
    for operation in ("RestoreDBInstanceFromDBSnapshot", "RestoreDBInstanceToPointInTime")
    for member in (
        "AllocatedStorage",
        "BackupRetentionPeriod",
        "DBInstanceClass",
        "DBName",
        "DBSubnetGroup.Subnets",
        "Endpoint",
        "Engine",
        "EngineVersion",
        "LicenseModel",
        "MasterUsername",
        "MultiAZ",
        "OptionGroupMemberships",
        "DBParameterGroups",
        "CopyTagsToSnapshot",
        "StorageType",
        "PreferredBackupWindow",
        "PreferredMaintenanceWindow",
        "DBSecurityGroups",
        "VpcSecurityGroups",
        "DbInstancePort",
        "DBSubnetGroup.DBSubnetGroupDescription",
        "PubliclyAccessible",
        "StorageEncrypted",
        "CACertificateIdentifier",
        "DBSubnetGroup.SubnetGroupStatus",
    )
}
EXCLUSIVE = {}
IMPOSSIBLE = {}


def prepare(example):
    given, operation = example.input, example.operation
    major = major_version(example)
    family = ("aurora-postgresql" if "luster" in operation else "postgres") + major
    example.actual.update(
        {
            "MySQL": "postgres",
            "mysql": "postgres",
            "aurora": "aurora-postgresql",
            "mysql5.6": family,
            "aurora5.6": family,
            "5.6": major,
            "rds-ca-2015": "rds-ca-rsa2048-g1",
            "general-public-license": "postgresql-license",
            "time_zone": "timezone",
            "mysqlUpgrade": "error/postgresql.log",
            "db.t2.micro": "db.t3.micro",
            "db.t2.small": "db.t3.small",
        }
    )
    for member in ("EngineVersion",):
        if member in given and given[member] != "5.6":
            given.pop(member)
    if given.get("AllocatedStorage") == 5:
        given["AllocatedStorage"] = 20
    if given.get("AllocatedStorage") == 10:
        given["AllocatedStorage"] = 30
    for member, create in MEMBERS.items():
        for documented in given[member] if isinstance(given.get(member), list) else [given.get(member)]:
            if not documented or (operation, member) in KEPT:
                continue
            made = example.actual.setdefault(documented, f"{documented.split(':')[-1]}-{example.suffix}")
            if not (operation.startswith(("Create",)) and member in OWN.get(operation, ())):
                create(example, made)
    for member in NEW:
        if member in given:
            example.actual[given[member]] = f"{given[member]}-{example.suffix}"
    if "SubnetIds" in given:
        for documented, actual in zip(given["SubnetIds"], example.world.default_subnets()):
            example.actual[documented] = actual
    resource = given.get("ResourceName") or given.get("ResourceIdentifier")
    if resource:
        arn(example, resource)
    ARRANGED.get(operation, lambda example: None)(example)


def major_version(example):
    found = example.call("DescribeDBEngineVersions", Engine="postgres")["DBEngineVersions"]
    return found[-1]["EngineVersion"].split(".")[0]


def instance(example, name):
    def create():
        example.call(
            "CreateDBInstance",
            DBInstanceIdentifier=name,
            Engine="postgres",
            DBInstanceClass="db.t3.micro",
            AllocatedStorage=20,
            MasterUsername="myuser",
            MasterUserPassword="mypassword",
            BackupRetentionPeriod=1,
        )
        available(example, name)
        return name

    return example.fact(f"instance {name}", create)


def available(example, name):
    eventually(
        f"{name} is available",
        lambda: (
            example.call("DescribeDBInstances", DBInstanceIdentifier=name)["DBInstances"][0]["DBInstanceStatus"]
            == "available"
        ),
    )


def cluster(example, name):
    def create():
        example.call(
            "CreateDBCluster",
            DBClusterIdentifier=name,
            Engine="aurora-postgresql",
            MasterUsername="myuser",
            MasterUserPassword="mypassword",
            BackupRetentionPeriod=1,
        )
        eventually(
            f"{name} is available",
            lambda: (
                example.call("DescribeDBClusters", DBClusterIdentifier=name)["DBClusters"][0]["Status"] == "available"
            ),
        )
        return name

    return example.fact(f"cluster {name}", create)


def parameter_group(example, name):
    example.call(
        "CreateDBParameterGroup",
        DBParameterGroupName=name,
        Description="d",
        DBParameterGroupFamily=f"postgres{major_version(example)}",
    )


def cluster_parameter_group(example, name):
    example.call(
        "CreateDBClusterParameterGroup",
        DBClusterParameterGroupName=name,
        Description="d",
        DBParameterGroupFamily=f"aurora-postgresql{major_version(example)}",
    )


def snapshot(example, name):
    example.call(
        "CreateDBSnapshot",
        DBSnapshotIdentifier=name,
        DBInstanceIdentifier=instance(example, f"source-{example.suffix}"),
    )
    eventually(
        f"{name} is available",
        lambda: (
            example.call("DescribeDBSnapshots", DBSnapshotIdentifier=name)["DBSnapshots"][0]["Status"] == "available"
        ),
    )


def cluster_snapshot(example, name):
    example.call(
        "CreateDBClusterSnapshot",
        DBClusterSnapshotIdentifier=name,
        DBClusterIdentifier=cluster(example, f"source-{example.suffix}"),
    )
    eventually(
        f"{name} is available",
        lambda: (
            example.call("DescribeDBClusterSnapshots", DBClusterSnapshotIdentifier=name)["DBClusterSnapshots"][0][
                "Status"
            ]
            == "available"
        ),
    )


def any_snapshot(example, name):
    (cluster_snapshot if "Cluster" in example.operation else snapshot)(example, name)


def subnet_group(example, name):
    example.call(
        "CreateDBSubnetGroup",
        DBSubnetGroupName=name,
        DBSubnetGroupDescription="d",
        SubnetIds=example.world.default_subnets()[:2],
    )


def option_group(example, name):
    example.call(
        "CreateOptionGroup",
        OptionGroupName=name,
        EngineName="postgres",
        MajorEngineVersion=major_version(example),
        OptionGroupDescription="d",
    )


def subscription(example, name):
    example.call(
        "CreateEventSubscription",
        SubscriptionName=name,
        SnsTopicArn="arn:aws:sns:us-east-1:992648334831:MyDemoSNSTopic",
        SourceType="db-instance",
    )


MEMBERS = {
    "DBInstanceIdentifier": instance,
    "SourceDBInstanceIdentifier": instance,
    "DBClusterIdentifier": cluster,
    "SourceDBClusterIdentifier": cluster,
    "DBParameterGroupName": parameter_group,
    "SourceDBParameterGroupIdentifier": parameter_group,
    "DBClusterParameterGroupName": cluster_parameter_group,
    "SourceDBClusterParameterGroupIdentifier": cluster_parameter_group,
    "DBSnapshotIdentifier": snapshot,
    "SourceDBSnapshotIdentifier": snapshot,
    "DBClusterSnapshotIdentifier": cluster_snapshot,
    "SourceDBClusterSnapshotIdentifier": cluster_snapshot,
    "SnapshotIdentifier": any_snapshot,
    "DBSubnetGroupName": subnet_group,
    "OptionGroupName": option_group,
    "SourceOptionGroupIdentifier": option_group,
    "SourceIdentifier": instance,
    "SourceIds": instance,
    "SubscriptionName": subscription,
}
OWN = {
    "CreateDBInstance": ["DBInstanceIdentifier"],
    "CreateDBInstanceReadReplica": ["DBInstanceIdentifier"],
    "CreateDBCluster": ["DBClusterIdentifier"],
    "CreateDBParameterGroup": ["DBParameterGroupName"],
    "CreateDBClusterParameterGroup": ["DBClusterParameterGroupName"],
    "CreateDBSnapshot": ["DBSnapshotIdentifier"],
    "CreateDBClusterSnapshot": ["DBClusterSnapshotIdentifier"],
    "CreateDBSubnetGroup": ["DBSubnetGroupName"],
    "CreateOptionGroup": ["OptionGroupName"],
    "CreateEventSubscription": ["SubscriptionName"],
}
KEPT = {
    ("RestoreDBInstanceFromDBSnapshot", "DBInstanceIdentifier"),
    ("RestoreDBClusterFromSnapshot", "DBClusterIdentifier"),
    ("RestoreDBClusterToPointInTime", "DBClusterIdentifier"),
    ("PromoteReadReplica", "DBInstanceIdentifier"),
    ("FailoverDBCluster", "DBClusterIdentifier"),
}
NEW = (
    "TargetDBInstanceIdentifier",
    "NewDBClusterIdentifier",
    "TargetDBParameterGroupIdentifier",
    "TargetDBSnapshotIdentifier",
    "TargetDBClusterParameterGroupIdentifier",
    "TargetDBClusterSnapshotIdentifier",
    "TargetOptionGroupIdentifier",
)


def arn(example, documented):
    kind, name = documented.split(":")[5:7]
    if kind == "og":
        option_group(example, f"{name}-{example.suffix}")
        example.actual[documented] = example.call("DescribeOptionGroups", OptionGroupName=f"{name}-{example.suffix}")[
            "OptionGroupsList"
        ][0]["OptionGroupArn"]
    else:
        instance(example, f"{name}-{example.suffix}")
        example.actual[documented] = example.call(
            "DescribeDBInstances", DBInstanceIdentifier=f"{name}-{example.suffix}"
        )["DBInstances"][0]["DBInstanceArn"]


def replica(example):
    name = example.actual[example.input["DBInstanceIdentifier"]] = f"replica-{example.suffix}"
    example.call(
        "CreateDBInstanceReadReplica",
        DBInstanceIdentifier=name,
        SourceDBInstanceIdentifier=instance(example, f"source-{example.suffix}"),
    )
    available(example, name)


def failover(example):
    name = example.actual[example.input["DBClusterIdentifier"]] = cluster(example, f"cluster-{example.suffix}")
    for number in (1, 2):
        member = f"member-{example.suffix}-{number}"
        example.call(
            "CreateDBInstance",
            DBInstanceIdentifier=member,
            DBClusterIdentifier=name,
            Engine="aurora-postgresql",
            DBInstanceClass="db.t3.medium",
        )
        available(example, member)
    example.actual[example.input["TargetDBInstanceIdentifier"]] = member
    eventually(
        "the reader is ready",
        lambda: (
            len(example.call("DescribeDBClusters", DBClusterIdentifier=name)["DBClusters"][0]["DBClusterMembers"]) == 2
        ),
    )


def restored(example):
    for member in ("DBInstanceIdentifier", "DBClusterIdentifier"):
        if member in example.input:
            example.actual[example.input[member]] = f"restored-{example.suffix}"


def source(example):
    name, instance_id = (example.actual[example.input[member]] for member in ("SubscriptionName", "SourceIdentifier"))
    example.call("AddSourceIdentifierToSubscription", SubscriptionName=name, SourceIdentifier=instance_id)


ARRANGED = {
    "RemoveSourceIdentifierFromSubscription": source,
    "PromoteReadReplica": replica,
    "FailoverDBCluster": failover,
    "RestoreDBInstanceFromDBSnapshot": restored,
    "RestoreDBClusterFromSnapshot": restored,
    "RestoreDBClusterToPointInTime": restored,
}
