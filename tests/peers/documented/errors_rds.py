"""Errors of RDS."""

import prepare_rds as prepared
from errors import Case, fill, required, unknown
from world import Example

REASONS = {
    **dict.fromkeys(
        [
            "DBClusterRoleQuotaExceeded",
            "TenantDatabaseQuotaExceeded",
            "DBClusterAutomatedBackupQuotaExceededFault",
            "DBInstanceAutomatedBackupQuotaExceeded",
        ],
        "a quota of resources that the local cloud does not have",
    ),
    **{
        (operation, "StorageQuotaExceeded"): "the storage of the source fits, and that of clusters does not count"
        for operation in (
            "CreateDBCluster",
            "ModifyDBCluster",
            "RestoreDBClusterFromSnapshot",
            "CreateDBInstanceReadReplica",
            "RestoreDBInstanceFromDBSnapshot",
        )
    },
    ("StopDBInstance", "SnapshotQuotaExceeded"): "the parameter DBSnapshotIdentifier is refused by name",
    ("ModifyEventSubscription", "EventSubscriptionQuotaExceeded"): "a change adds no subscription",
    **dict.fromkeys(
        [
            "InsufficientDBInstanceCapacity",
            "InsufficientStorageClusterCapacity",
            "InsufficientDBClusterCapacityFault",
            "ProvisionedIopsNotAvailableInAZFault",
            "StorageTypeNotAvailableFault",
        ],
        "capacity is never short",
    ),
    **dict.fromkeys(
        ["KMSKeyNotAccessibleFault", "VpcEncryptionControlViolationException"], "keys are not part of the local cloud"
    ),
    **dict.fromkeys(["DBCapacityReservationNotFound", "InvalidDBCapacityReservationState"], "capacity reservations"),
    **dict.fromkeys(["DomainNotFoundFault"], "directories are refused by name"),
    **dict.fromkeys(
        ["AuthorizationNotFound", "DBSecurityGroupNotFound", "InvalidDBSecurityGroupState"],
        "EC2-Classic, which AWS has retired",
    ),
    **dict.fromkeys(["TenantDatabaseNotFound", "DBSnapshotTenantDatabaseNotFoundFault"], "tenant databases (Oracle)"),
    **dict.fromkeys(
        ["DBProxyNotFoundFault", "DBProxyEndpointNotFoundFault", "DBProxyTargetGroupNotFoundFault"], "proxies"
    ),
    **dict.fromkeys(
        [
            "IntegrationNotFoundFault",
            "BlueGreenDeploymentNotFoundFault",
            "DBShardGroupNotFound",
            "InvalidDBShardGroupState",
        ],
        "integrations, deployments and shard groups",
    ),
    **dict.fromkeys(
        ["GlobalClusterNotFoundFault", "InvalidGlobalClusterStateFault", "InvalidDBClusterEndpointStateFault"],
        "global clusters",
    ),
    **dict.fromkeys(["BackupPolicyNotFoundFault", "CustomAvailabilityZoneNotFound"], "other services"),
    **dict.fromkeys(
        [
            "InvalidVPCNetworkStateFault",
            "NetworkTypeNotSupported",
            "InvalidDBSubnetGroupFault",
            "DBSubnetGroupNotAllowedFault",
            "InvalidDBSubnetStateFault",
        ],
        "all instances are in the group's VPC",
    ),
    **dict.fromkeys(
        ["StorageTypeNotSupported", "DBUpgradeDependencyFailure", "DBInstanceNotReady"],
        "every combination is supported",
    ),
    **dict.fromkeys(
        ["SNSInvalidTopic", "SNSNoAuthorization", "SNSTopicArnNotFound"], "topics are not part of the local cloud"
    ),
    "ResourceNotFoundFault": "other services",
    "InvalidEventSubscriptionState": "subscriptions are active at once",
    ("CopyDBClusterSnapshot", "InvalidDBClusterStateFault"): "a copy needs only the snapshot",
    ("DeleteDBInstance", "InvalidDBInstanceState"): "an instance that is being deleted is gone at once",
    ("StopDBCluster", "InvalidDBInstanceState"): "a cluster in another state is refused first",
    **dict.fromkeys(
        ["InvalidDBClusterSnapshotStateFault", "InvalidDBSnapshotState"], "snapshots are available at once"
    ),
    **dict.fromkeys(
        ["InvalidSubnet", "DBSubnetGroupDoesNotCoverEnoughAZs", "InvalidDBSubnetGroupStateFault"],
        "checked when the group of subnets is created",
    ),
    **{
        (operation, code): "AWS does not say which request has the error"
        for operation in ("AddTagsToResource", "RemoveTagsFromResource")
        for code in ("InvalidDBInstanceState", "InvalidDBClusterStateFault")
    },
    **{
        (operation, "InvalidDBParameterGroupState"): "a default group has the code InvalidParameterValue"
        for operation in (
            "ModifyDBParameterGroup",
            "ResetDBParameterGroup",
            "ModifyDBClusterParameterGroup",
            "ResetDBClusterParameterGroup",
        )
    },
    **{
        ("CreateDBCluster", code): "replicas of clusters, which are refused by name"
        for code in (
            "DBClusterNotFoundFault",
            "DBInstanceNotFound",
            "InvalidDBInstanceState",
            "InvalidDBClusterStateFault",
        )
    },
    **{
        ("CreateDBInstanceReadReplica", code): "replicas of clusters, which are refused by name"
        for code in ("DBClusterNotFoundFault", "InvalidDBClusterStateFault")
    },
    **{
        ("RestoreDBClusterFromSnapshot", code): "restores from snapshots of instances, which are refused by name"
        for code in ("DBSnapshotNotFound", "InvalidDBInstanceState", "InvalidRestoreFault")
    },
    **{
        ("RestoreDBInstanceFromDBSnapshot", code): "restores from snapshots of clusters, which are refused by name"
        for code in ("DBClusterSnapshotNotFoundFault", "InvalidRestoreFault")
    },
    **{
        ("ModifyDBCluster", code): "instances of Multi-AZ clusters, whose parameters are refused by name"
        for code in (
            "DBParameterGroupNotFound",
            "InvalidDBInstanceState",
            "DBInstanceAlreadyExists",
            "DBSubnetGroupNotFoundFault",
        )
    },
    ("ModifyDBInstance", "InvalidDBClusterStateFault"): "a member may be changed while its cluster is",
    **{
        ("StartDBInstance", code): "checked when the instance is created"
        for code in ("DBClusterNotFoundFault", "DBSubnetGroupNotFoundFault")
    },
    **{
        (operation, code): "members of clusters have the code InvalidParameterCombination"
        for operation in ("StartDBInstance", "StopDBInstance")
        for code in ("InvalidDBClusterStateFault",)
    },
    ("StopDBInstance", "DBSnapshotAlreadyExists"): "the parameter DBSnapshotIdentifier is refused by name",
    ("DeleteDBInstance", "InvalidDBClusterStateFault"): "the last instance of a cluster may be deleted",
    ("FailoverDBCluster", "InvalidDBInstanceState"): "a cluster in another state is refused first",
    ("StartDBCluster", "InvalidDBInstanceState"): "a cluster in another state is refused first",
}


def cases(world, model, operations):
    example = Example(world, "rds", "Errors", {})
    rds, n, major = world.client("rds"), f"errors-{world.number()}", prepared.major_version(example)
    prepared.instance(example, n)
    prepared.cluster(example, n)
    prepared.parameter_group(example, n)
    prepared.cluster_parameter_group(example, n)
    prepared.subnet_group(example, n)
    prepared.option_group(example, n)
    prepared.subscription(example, n)
    rds.create_db_snapshot(DBSnapshotIdentifier=n, DBInstanceIdentifier=n)
    rds.create_db_cluster_snapshot(DBClusterSnapshotIdentifier=n, DBClusterIdentifier=n)
    arn = f"arn:aws:rds:us-east-1:{world.account}:"
    instance = {
        "Engine": "postgres",
        "DBInstanceClass": "db.t3.micro",
        "AllocatedStorage": 20,
        "MasterUsername": "myuser",
        "MasterUserPassword": "mypassword",
    }
    cluster = {"Engine": "aurora-postgresql", "MasterUsername": "myuser", "MasterUserPassword": "mypassword"}
    samples = {
        "DBInstanceIdentifier": n,
        "DBClusterIdentifier": n,
        "DBParameterGroupName": n,
        "DBClusterParameterGroupName": n,
        "DBSubnetGroupName": n,
        "OptionGroupName": n,
        "DBSnapshotIdentifier": n,
        "DBClusterSnapshotIdentifier": n,
        "SourceDBInstanceIdentifier": n,
        "SourceDBParameterGroupIdentifier": n,
        "SourceDBClusterParameterGroupIdentifier": n,
        "SourceDBSnapshotIdentifier": n,
        "SourceDBClusterSnapshotIdentifier": n,
        "SnapshotIdentifier": n,
        "ResourceName": f"{arn}db:{n}",
        "Tags": [{"Key": "k", "Value": "v"}],
        "TagKeys": ["k"],
        "AttributeName": "restore",
        "Parameters": [{"ParameterName": "work_mem", "ParameterValue": "64", "ApplyMethod": "immediate"}],
        "SubnetIds": world.default_subnets()[:2],
        "LogFileName": "error/postgresql.log",
        "Engine": "aurora-postgresql",
        "EngineName": "postgres",
        "DBParameterGroupFamily": f"postgres{major}",
        "Description": "d",
        "DBSubnetGroupDescription": "d",
        "OptionGroupDescription": "d",
        "MajorEngineVersion": major,
        "DBInstanceClass": "db.t3.micro",
        "TargetDBParameterGroupIdentifier": f"{n}-t",
        "TargetDBClusterParameterGroupIdentifier": f"{n}-t",
        "TargetDBParameterGroupDescription": "d",
        "TargetDBClusterParameterGroupDescription": "d",
        "TargetDBSnapshotIdentifier": f"{n}-t",
        "TargetDBClusterSnapshotIdentifier": f"{n}-t",
        ("CreateDBClusterParameterGroup", "DBParameterGroupFamily"): f"aurora-postgresql{major}",
        "SubscriptionName": n,
        "SnsTopicArn": f"arn:aws:sns:us-east-1:{world.account}:t",
        "SourceIdentifier": n,
        "ResourceIdentifier": f"{arn}db:{n}",
        "ApplyAction": "system-update",
        "OptInType": "immediate",
    }
    table = {
        "DBInstanceIdentifier": ("DBInstanceNotFound", "none"),
        "DBClusterIdentifier": ("DBClusterNotFoundFault", "none"),
        "DBParameterGroupName": ("DBParameterGroupNotFound", "none"),
        "DBClusterParameterGroupName": ("DBParameterGroupNotFound", "none"),
        "DBSubnetGroupName": ("DBSubnetGroupNotFoundFault", "none"),
        "OptionGroupName": ("OptionGroupNotFoundFault", "none"),
        "DBSnapshotIdentifier": ("DBSnapshotNotFound", "none"),
        "DBClusterSnapshotIdentifier": ("DBClusterSnapshotNotFoundFault", "none"),
        "SourceDBInstanceIdentifier": ("DBInstanceNotFound", "none"),
        "SourceDBParameterGroupIdentifier": ("DBParameterGroupNotFound", "none"),
        "SourceDBClusterParameterGroupIdentifier": ("DBParameterGroupNotFound", "none"),
        "SourceDBSnapshotIdentifier": ("DBSnapshotNotFound", "none"),
        "SourceDBClusterSnapshotIdentifier": ("DBClusterSnapshotNotFoundFault", "none"),
        "SnapshotIdentifier": ("DBClusterSnapshotNotFoundFault", "none"),
        "LogFileName": ("DBLogFileNotFoundFault", "none"),
        "CertificateIdentifier": ("CertificateNotFound", "none"),
        "SubscriptionName": ("SubscriptionNotFound", "none"),
    }
    declared = {name: {shape.error_code for shape in model.operation_model(name).error_shapes} for name in operations}
    special = {
        "CreateDBInstance",
        "CreateDBCluster",
        "CreateDBInstanceReadReplica",
        "RestoreDBInstanceFromDBSnapshot",
        "RestoreDBClusterFromSnapshot",
        "ModifyDBInstance",
        "ModifyDBCluster",
    }
    for case in unknown(model, [name for name in operations if name not in special], samples, table):
        if case.code in declared[case.operation]:
            yield case
    new = {"DBInstanceIdentifier": f"{n}-new"}
    groups = {
        "DBParameterGroupName": "DBParameterGroupNotFound",
        "DBSubnetGroupName": "DBSubnetGroupNotFoundFault",
        "OptionGroupName": "OptionGroupNotFoundFault",
        "CACertificateIdentifier": "CertificateNotFound",
        "DBClusterParameterGroupName": None,
    }
    creations = {
        "CreateDBInstance": {**new, **instance},
        "ModifyDBInstance": {"DBInstanceIdentifier": n},
        "RestoreDBInstanceFromDBSnapshot": {**new, "DBSnapshotIdentifier": n},
        "CreateDBInstanceReadReplica": {**new, "SourceDBInstanceIdentifier": n},
        "CreateDBCluster": {"DBClusterIdentifier": f"{n}-new", **cluster},
        "ModifyDBCluster": {"DBClusterIdentifier": n},
        "RestoreDBClusterFromSnapshot": {
            "DBClusterIdentifier": f"{n}-new",
            "SnapshotIdentifier": n,
            "Engine": "aurora-postgresql",
        },
    }
    for operation, given in creations.items():
        for member, code in {
            **groups,
            "DBClusterParameterGroupName": "DBClusterParameterGroupNotFound"
            if "Modify" not in operation
            else "DBClusterParameterGroupNotFound",
        }.items():
            if (
                member in model.operation_model(operation).input_shape.members
                and code in declared[operation]
                and not (operation == "ModifyDBCluster" and member == "DBSubnetGroupName")
            ):
                yield Case(operation, code, {**given, member: "none"})
    yield Case("ModifyDBInstance", "DBInstanceNotFound", {"DBInstanceIdentifier": "none"}, "DBInstance none not found.")
    yield Case(
        "ModifyDBCluster", "DBClusterNotFoundFault", {"DBClusterIdentifier": "none"}, "DBCluster none not found."
    )
    yield Case(
        "CreateDBInstance",
        "DBClusterNotFoundFault",
        {**new, "Engine": "aurora-postgresql", "DBInstanceClass": "db.t3.medium", "DBClusterIdentifier": "none"},
    )
    yield Case("CreateDBInstanceReadReplica", "DBInstanceNotFound", {**new, "SourceDBInstanceIdentifier": "none"})
    yield Case("RestoreDBInstanceFromDBSnapshot", "DBSnapshotNotFound", {**new, "DBSnapshotIdentifier": "none"})
    yield Case(
        "RestoreDBClusterFromSnapshot",
        "DBClusterSnapshotNotFoundFault",
        {"DBClusterIdentifier": f"{n}-new", "SnapshotIdentifier": "none", "Engine": "aurora-postgresql"},
    )
    for operation in ("AddTagsToResource", "RemoveTagsFromResource", "ListTagsForResource"):
        for kind, code in {
            "db": "DBInstanceNotFound",
            "cluster": "DBClusterNotFoundFault",
            "snapshot": "DBSnapshotNotFound",
        }.items():
            yield Case(operation, code, {**required(model, operation, samples), "ResourceName": f"{arn}{kind}:none"})
    again = {
        "CreateDBInstance": (
            "DBInstanceAlreadyExists",
            {**instance, "DBInstanceIdentifier": n},
            "DB instance already exists",
        ),
        "CreateDBInstanceReadReplica": (
            "DBInstanceAlreadyExists",
            {"DBInstanceIdentifier": n, "SourceDBInstanceIdentifier": n},
            "",
        ),
        "RestoreDBInstanceFromDBSnapshot": (
            "DBInstanceAlreadyExists",
            {"DBInstanceIdentifier": n, "DBSnapshotIdentifier": n},
            "",
        ),
        "CreateDBCluster": (
            "DBClusterAlreadyExistsFault",
            {**cluster, "DBClusterIdentifier": n},
            "DB Cluster already exists",
        ),
        "RestoreDBClusterFromSnapshot": (
            "DBClusterAlreadyExistsFault",
            {"DBClusterIdentifier": n, "SnapshotIdentifier": n, "Engine": "aurora-postgresql"},
            "",
        ),
        "CreateDBParameterGroup": (
            "DBParameterGroupAlreadyExists",
            required(model, "CreateDBParameterGroup", samples),
            "",
        ),
        "CreateDBClusterParameterGroup": (
            "DBParameterGroupAlreadyExists",
            required(model, "CreateDBClusterParameterGroup", samples),
            "",
        ),
        "CopyDBParameterGroup": (
            "DBParameterGroupAlreadyExists",
            {**required(model, "CopyDBParameterGroup", samples), "TargetDBParameterGroupIdentifier": n},
            "",
        ),
        "CopyDBClusterParameterGroup": (
            "DBParameterGroupAlreadyExists",
            {**required(model, "CopyDBClusterParameterGroup", samples), "TargetDBClusterParameterGroupIdentifier": n},
            "",
        ),
        "CreateDBSubnetGroup": ("DBSubnetGroupAlreadyExists", required(model, "CreateDBSubnetGroup", samples), ""),
        "CreateOptionGroup": ("OptionGroupAlreadyExistsFault", required(model, "CreateOptionGroup", samples), ""),
        "CreateDBSnapshot": ("DBSnapshotAlreadyExists", {"DBSnapshotIdentifier": n, "DBInstanceIdentifier": n}, ""),
        "CopyDBSnapshot": (
            "DBSnapshotAlreadyExists",
            {"SourceDBSnapshotIdentifier": n, "TargetDBSnapshotIdentifier": n},
            "",
        ),
        "CreateDBClusterSnapshot": (
            "DBClusterSnapshotAlreadyExistsFault",
            {"DBClusterSnapshotIdentifier": n, "DBClusterIdentifier": n},
            "",
        ),
        "CopyDBClusterSnapshot": (
            "DBClusterSnapshotAlreadyExistsFault",
            {"SourceDBClusterSnapshotIdentifier": n, "TargetDBClusterSnapshotIdentifier": n},
            "",
        ),
    }
    for operation, (code, given, words) in again.items():
        yield Case(operation, code, given, words)
    subnet = ["subnet-00000000000000000", world.default_subnets()[0]]
    yield Case(
        "CreateDBSubnetGroup",
        "InvalidSubnet",
        {**required(model, "CreateDBSubnetGroup", samples), "DBSubnetGroupName": f"{n}-s", "SubnetIds": subnet},
    )
    yield Case("ModifyDBSubnetGroup", "InvalidSubnet", {"DBSubnetGroupName": n, "SubnetIds": subnet})
    one = world.default_subnets()[:1]
    yield Case(
        "CreateDBSubnetGroup",
        "DBSubnetGroupDoesNotCoverEnoughAZs",
        {**required(model, "CreateDBSubnetGroup", samples), "DBSubnetGroupName": f"{n}-s", "SubnetIds": one},
    )
    yield Case("ModifyDBSubnetGroup", "DBSubnetGroupDoesNotCoverEnoughAZs", {"DBSubnetGroupName": n, "SubnetIds": one})
    # Dependencies and states.
    used = f"{n}-used"
    rds.create_db_instance(
        DBInstanceIdentifier=used, DBParameterGroupName=n, DBSubnetGroupName=n, OptionGroupName=n, **instance
    )
    rds.create_db_cluster(DBClusterIdentifier=used, DBClusterParameterGroupName=n, **cluster)
    yield Case("DeleteDBParameterGroup", "InvalidDBParameterGroupState", {"DBParameterGroupName": n})
    yield Case("DeleteDBClusterParameterGroup", "InvalidDBParameterGroupState", {"DBClusterParameterGroupName": n})
    yield Case("DeleteDBSubnetGroup", "InvalidDBSubnetGroupStateFault", {"DBSubnetGroupName": n})
    yield Case("DeleteOptionGroup", "InvalidOptionGroupStateFault", {"OptionGroupName": n})
    prepared.available(example, used)
    yield Case(
        "ModifyDBInstance",
        "DBInstanceAlreadyExists",
        {"DBInstanceIdentifier": n, "NewDBInstanceIdentifier": used},
        "DB instance already exists",
    )
    yield Case(
        "ModifyDBCluster",
        "DBClusterAlreadyExistsFault",
        {"DBClusterIdentifier": n, "NewDBClusterIdentifier": used},
        "DB Cluster already exists",
    )
    yield Case(
        "ModifyDBSubnetGroup",
        "SubnetAlreadyInUse",
        {"DBSubnetGroupName": n, "SubnetIds": other_subnets(world)},
        "in use",
    )
    yield from events(n)
    yield Case("StartDBInstance", "InvalidDBInstanceState", {"DBInstanceIdentifier": n}, "is not stopped")
    yield Case("StartDBCluster", "InvalidDBClusterStateFault", {"DBClusterIdentifier": n}, "available")
    # The instance is not available.
    rds.stop_db_instance(DBInstanceIdentifier=used)
    for operation, given in {
        "CreateDBSnapshot": {"DBSnapshotIdentifier": f"{n}-early", "DBInstanceIdentifier": used},
        "RebootDBInstance": {"DBInstanceIdentifier": used},
        "StopDBInstance": {"DBInstanceIdentifier": used},
        "ModifyDBInstance": {"DBInstanceIdentifier": used, "AllocatedStorage": 30, "ApplyImmediately": True},
        "PromoteReadReplica": {"DBInstanceIdentifier": used},
        "CreateDBInstanceReadReplica": {**new, "SourceDBInstanceIdentifier": used},
    }.items():
        yield Case(operation, "InvalidDBInstanceState", given)
    rds.stop_db_cluster(DBClusterIdentifier=used)
    for operation, given in {
        "StopDBCluster": {},
        "ModifyDBCluster": {"Port": 5555, "ApplyImmediately": True},
        "CreateDBClusterSnapshot": {"DBClusterSnapshotIdentifier": f"{n}-early"},
    }.items():
        yield Case(operation, "InvalidDBClusterStateFault", {"DBClusterIdentifier": used, **given})
    yield Case(
        "CreateDBInstance",
        "InvalidDBClusterStateFault",
        {**new, "Engine": "aurora-postgresql", "DBInstanceClass": "db.t3.medium", "DBClusterIdentifier": used},
    )
    yield Case(
        "DeleteDBInstance", "DBSnapshotAlreadyExists", {"DBInstanceIdentifier": n, "FinalDBSnapshotIdentifier": n}
    )
    yield Case(
        "DeleteDBCluster",
        "DBClusterSnapshotAlreadyExistsFault",
        {"DBClusterIdentifier": n, "FinalDBSnapshotIdentifier": n},
    )
    member = f"{n}-member"
    rds.create_db_instance(
        DBInstanceIdentifier=member, DBClusterIdentifier=n, Engine="aurora-postgresql", DBInstanceClass="db.t3.medium"
    )
    yield Case("DeleteDBCluster", "InvalidDBClusterStateFault", {"DBClusterIdentifier": n, "SkipFinalSnapshot": True})
    yield Case("FailoverDBCluster", "InvalidDBClusterStateFault", {"DBClusterIdentifier": n})
    yield Case(
        "FailoverDBCluster", "DBInstanceNotFound", {"DBClusterIdentifier": n, "TargetDBInstanceIdentifier": "none"}
    )
    default = {"DBParameterGroupName": f"default.postgres{major}"}
    for operation, more in {"DeleteDBParameterGroup": {}}.items():
        yield Case(operation, "InvalidDBParameterGroupState", {**default, **more})
    default = {"DBClusterParameterGroupName": f"default.aurora-postgresql{major}"}
    for operation, more in {"DeleteDBClusterParameterGroup": {}}.items():
        yield Case(operation, "InvalidDBParameterGroupState", {**default, **more})
    yield from subscriptions(samples["SnsTopicArn"], n)
    yield from quotas(world, rds, samples, instance, cluster)


def other_subnets(world):
    """Creates a subnet of the default VPC in each of two zones."""
    ec2, ids = world.client("ec2"), []
    for number, zone in enumerate(("us-east-1a", "us-east-1b")):
        made = ec2.create_subnet(
            VpcId=world.default_vpc(), CidrBlock=f"172.31.{241 + number}.0/24", AvailabilityZone=zone
        )
        ids.append(made["Subnet"]["SubnetId"])
    return ids


def events(name):
    """Yields the errors of requests for events, which the service model does not declare."""
    yield Case("DescribeEvents", "InvalidParameterCombination", {"SourceIdentifier": name}, "SourceType", status=400)
    late = {"StartTime": "2026-01-02T00:00:00Z", "EndTime": "2026-01-01T00:00:00Z"}
    yield Case("DescribeEvents", "InvalidParameterCombination", late, "before the end time", status=400)
    for minutes in (0, 14 * 24 * 60 + 1):
        yield Case("DescribeEvents", "InvalidParameterValue", {"Duration": minutes}, "Duration", status=400)


def quotas(world, rds, samples, instance, cluster):
    """Yields the errors of exceeded quotas. Nothing follows, because nothing more can be created afterwards."""
    n = samples["DBInstanceIdentifier"]
    families = {
        "DBParameterGroupFamily": samples["DBParameterGroupFamily"],
        "Description": "d",
    }
    accounts = [f"{number:012}" for number in range(1, 22)]
    for kind in ("", "Cluster"):
        identifier = f"DB{kind}SnapshotIdentifier"
        yield Case(
            f"ModifyDB{kind}SnapshotAttribute",
            "SharedSnapshotQuotaExceeded",
            {identifier: n, "AttributeName": "restore", "ValuesToAdd": accounts},
        )
        group = f"DB{kind}ParameterGroup"
        if kind:
            families["DBParameterGroupFamily"] = samples["CreateDBClusterParameterGroup", "DBParameterGroupFamily"]
        create = getattr(rds, f"create_db_{'cluster_' if kind else ''}parameter_group")
        fill(lambda number: create(**{f"{group}Name": f"{n}-{number}", **families}))
        yield Case(f"CreateDB{kind}ParameterGroup", "DBParameterGroupQuotaExceeded", {f"{group}Name": f"{n}-x", **families})
        copied = {f"Source{group}Identifier": n, f"Target{group}Identifier": f"{n}-x", f"Target{group}Description": "d"}
        yield Case(f"CopyDB{kind}ParameterGroup", "DBParameterGroupQuotaExceeded", copied)
        copy = getattr(rds, f"copy_db_{'cluster_' if kind else ''}snapshot")
        source, target = f"SourceDB{kind}SnapshotIdentifier", f"TargetDB{kind}SnapshotIdentifier"
        fill(lambda number: copy(**{source: n, target: f"{n}-{number}"}))
        yield Case(f"CopyDB{kind}Snapshot", "SnapshotQuotaExceeded", {source: n, target: f"{n}-x"})
        taken = {identifier: f"{n}-x", f"DB{kind or 'Instance'}Identifier": n}
        yield Case(f"CreateDB{kind}Snapshot", "SnapshotQuotaExceeded", taken)
    group = {"OptionGroupDescription": "d", "EngineName": "postgres", "MajorEngineVersion": samples["MajorEngineVersion"]}
    fill(lambda number: rds.create_option_group(OptionGroupName=f"{n}-{number}", **group))
    yield Case("CreateOptionGroup", "OptionGroupQuotaExceededFault", {"OptionGroupName": f"{n}-x", **group})
    group = {"DBSubnetGroupDescription": "d", "SubnetIds": samples["SubnetIds"]}
    many = [f"subnet-{number:017x}" for number in range(21)]
    for operation in ("CreateDBSubnetGroup", "ModifyDBSubnetGroup"):
        yield Case(
            operation,
            "DBSubnetQuotaExceededFault",
            {"DBSubnetGroupName": f"{n}-x" if "Create" in operation else n, **group, "SubnetIds": many},
        )
    fill(lambda number: rds.create_db_subnet_group(DBSubnetGroupName=f"{n}-{number}", **group))
    yield Case("CreateDBSubnetGroup", "DBSubnetGroupQuotaExceeded", {"DBSubnetGroupName": f"{n}-x", **group})
    topic = {"SnsTopicArn": samples["SnsTopicArn"]}
    fill(lambda number: rds.create_event_subscription(SubscriptionName=f"{n}-{number}", **topic))
    yield Case("CreateEventSubscription", "EventSubscriptionQuotaExceeded", {"SubscriptionName": f"{n}-x", **topic})
    new = {"DBInstanceIdentifier": f"{n}-x"}
    large = {**instance, "AllocatedStorage": 60000}
    rds.create_db_instance(DBInstanceIdentifier=f"{n}-large", **large)
    yield Case("CreateDBInstance", "StorageQuotaExceeded", {**new, **large})
    yield Case("ModifyDBInstance", "StorageQuotaExceeded", {"DBInstanceIdentifier": n, "AllocatedStorage": 60000})
    fill(lambda number: rds.create_db_instance(DBInstanceIdentifier=f"{n}-{number}", **instance))
    yield Case("CreateDBInstance", "InstanceQuotaExceeded", {**new, **instance})
    yield Case("RestoreDBInstanceFromDBSnapshot", "InstanceQuotaExceeded", {**new, "DBSnapshotIdentifier": n})
    yield Case("CreateDBInstanceReadReplica", "InstanceQuotaExceeded", {**new, "SourceDBInstanceIdentifier": n})
    fill(lambda number: rds.create_db_cluster(DBClusterIdentifier=f"{n}-{number}", **cluster))
    new = {"DBClusterIdentifier": f"{n}-x"}
    yield Case("CreateDBCluster", "DBClusterQuotaExceededFault", {**new, **cluster})
    restored = {**new, "SnapshotIdentifier": n, "Engine": "aurora-postgresql"}
    yield Case("RestoreDBClusterFromSnapshot", "DBClusterQuotaExceededFault", restored)
    yield Case(
        "DeleteDBInstance", "SnapshotQuotaExceeded", {"DBInstanceIdentifier": n, "FinalDBSnapshotIdentifier": f"{n}-x"}
    )
    # A cluster without instances may be deleted.
    yield Case(
        "DeleteDBCluster",
        "SnapshotQuotaExceeded",
        {"DBClusterIdentifier": f"{n}-0", "FinalDBSnapshotIdentifier": f"{n}-x"},
    )


def subscriptions(topic, name):
    """Yields the errors of event subscriptions."""
    own = {"SubscriptionName": f"{name}-none", "SnsTopicArn": topic, "SourceType": "db-snapshot"}
    yield Case("CreateEventSubscription", "SourceNotFound", {**own, "SourceIds": ["none"]})
    yield Case("CreateEventSubscription", "SubscriptionCategoryNotFound", {**own, "EventCategories": ["none"]})
    yield Case("CreateEventSubscription", "SubscriptionAlreadyExist", {**own, "SubscriptionName": name}, "already exists")
    yield Case("ModifyEventSubscription", "SubscriptionCategoryNotFound", {"SubscriptionName": name, "EventCategories": ["none"]})
    for operation in ("AddSourceIdentifierToSubscription", "RemoveSourceIdentifierFromSubscription"):
        yield Case(operation, "SourceNotFound", {"SubscriptionName": name, "SourceIdentifier": "none"})
