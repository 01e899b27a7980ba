//! Creation, description and deletion of DB instances.

use super::request::{self, BACKUPS, DEFAULT_PORT, MAINTENANCE, SECURITY_GROUPS, STORAGE};
use super::{
    FILTERS, PAGES, TAGS, arn, certificate, cluster, combination, engine, entries, features, filtered, identifier,
    instance, instance_state, page, parameter_group, parse_tags, quota, resource, security_groups, snapshot,
    subnet_group, tag_list, take_address,
};
use crate::domain::rds::settings;
use crate::model::ids::random_hex;
use crate::model::rds::{DbInstance, Features, Pending, Place, Runtime, Seed, Stage, Storage};
use crate::model::{Cloud, Region, Tags};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes(
        "CreateDBInstance",
        create,
        &[
            &[
                "DBInstanceIdentifier",
                "DBInstanceClass",
                "Engine",
                "EngineVersion",
                "MasterUsername",
                "MasterUserPassword",
                "DBName",
                "DBClusterIdentifier",
                "AvailabilityZone",
                "Port",
                "DBParameterGroupName",
                "StorageEncrypted",
                "PromotionTier",
            ],
            OPTIONS,
            SECURITY_GROUPS,
            BACKUPS,
            MAINTENANCE,
            STORAGE,
            TAGS,
            request::ACCESS,
            request::CERTIFICATE,
            request::ENCRYPTION_KEY,
            request::INSIGHTS_MODE,
            request::LICENSE,
            request::LIFECYCLE,
            request::LOG_EXPORTS,
            request::MONITORING,
        ],
    )
    .on(&[resource::INSTANCE, resource::CLUSTER, resource::PARAMETER_GROUP, resource::SUBNET_GROUP])
    .needing(&[resource::PASSES_MONITORING_ROLE]),
    Operation::reads("DescribeDBInstances", describe, &[&["DBInstanceIdentifier"], PAGES, FILTERS])
        .on(&[resource::INSTANCE]),
    Operation::writes(
        "DeleteDBInstance",
        delete,
        &[&["DBInstanceIdentifier", "SkipFinalSnapshot", "FinalDBSnapshotIdentifier"]],
    )
    .on(&[resource::INSTANCE])
    .ignoring(&[&["DeleteAutomatedBackups"]]),
];

/// Parameters that all operations which create an instance share.
pub(super) const OPTIONS: &[&str] = &[
    "AutoMinorVersionUpgrade",
    "CopyTagsToSnapshot",
    "DBSubnetGroupName",
    "DeletionProtection",
    "MultiAZ",
    "NetworkType",
    "PubliclyAccessible",
];

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let id = identifier(params, "DBInstanceIdentifier")?;
    let region = cloud.region_mut(call.region)?;
    let engine = engine::parse(params, &[engine::POSTGRES, engine::AURORA])?;
    let base = match params.optional("DBClusterIdentifier") {
        Some(of) => member(region, params, of, &engine)?,
        None if engine == engine::AURORA => {
            return Err(combination(format!(
                "An instance of {engine} belongs to a cluster: DBClusterIdentifier is missing"
            )));
        }
        None => standalone(region, params, &engine)?,
    };
    let first = base.cluster.as_ref().filter(|_| base.seed == Seed::Empty).cloned();
    let answer = add(region, call, &id, base)?;
    if let Some(of) = first.and_then(|cluster| region.rds.clusters.get_mut(&cluster)) {
        of.writer = Some(id);
    }
    Ok(answer)
}

/// Returns a new instance outside of any cluster.
fn standalone(region: &Region, params: &Params, engine: &str) -> Outcome<DbInstance> {
    let group = subnet_group::of_request(region, params)?;
    let place = Place {
        address: std::net::Ipv4Addr::LOCALHOST,
        port: request::port(params, "Port")?.unwrap_or(DEFAULT_PORT),
        subnet_group: group.name,
        security_groups: request::security_groups(region, params, &group.vpc_id)?,
        vpc_id: group.vpc_id,
    };
    Ok(DbInstance {
        storage: request::storage(params, None, engine)?,
        account: request::account(params, "DBName")?,
        schedule: request::schedule(params, request::default_schedule(), 0)?,
        ..empty_instance(engine, place)
    })
}

/// Returns a new member of a cluster, which inherits the cluster's settings.
fn member(region: &Region, params: &Params, of: &str, engine: &str) -> Outcome<DbInstance> {
    let cluster = cluster(region, of)?;
    if engine != cluster.engine {
        return Err(combination(format!(
            "The engine name requested for your DB instance ({engine}) doesn't match the engine name of your DB cluster ({}).",
            cluster.engine
        )));
    }
    if matches!(cluster.stage, Stage::Deleting | Stage::Stopped | Stage::Stopping | Stage::Failed) {
        return Err(super::cluster_state(format!("DbCluster {} is in {} state", cluster.id, cluster.stage.name())));
    }
    for (parameter, what) in [
        ("MasterUsername", "master user name"),
        ("MasterUserPassword", "master password"),
        ("DBName", "database name"),
        ("AllocatedStorage", "allocated storage"),
        ("BackupRetentionPeriod", "backup retention period"),
        ("Port", "port"),
    ] {
        if params.optional(parameter).is_some() {
            return Err(combination(format!(
                "The requested DB Instance will be a member of a DB Cluster. Set {what} for the DB Cluster."
            )));
        }
    }
    if params.has_list("VpcSecurityGroupIds") {
        return Err(combination(
            "The requested DB Instance will be a member of a DB Cluster. Set vpc security group for the DB Cluster.",
        ));
    }
    if params
        .optional("DBSubnetGroupName")
        .is_some_and(|group| !group.eq_ignore_ascii_case(&cluster.place.subnet_group))
    {
        return Err(combination("A member of a cluster is in the DB subnet group of the cluster."));
    }
    if region.rds.members(&cluster.id).count() > 15 {
        return Err(ApiError::new("InstanceQuotaExceeded", "A cluster has at most 16 instances."));
    }
    Ok(DbInstance {
        cluster: Some(cluster.id.clone()),
        promotion_tier: 1,
        schedule: request::schedule(params, cluster.schedule.clone(), 1)?,
        storage: Storage {
            allocated_gib: 1,
            max_allocated_gib: None,
            kind: cluster.storage_kind.clone(),
            iops: None,
            throughput: None,
            encrypted: cluster.encrypted,
        },
        account: cluster.account.clone(),
        seed: if cluster.writer.is_none() { Seed::Empty } else { Seed::Following },
        ..empty_instance(engine, cluster.place.clone())
    })
}

/// Returns an instance with only engine and placement set.
pub(super) fn empty_instance(engine: &str, place: Place) -> DbInstance {
    DbInstance {
        id: String::new(),
        resource_id: format!("db-{}", random_hex(26).to_uppercase()),
        class: String::new(),
        engine: engine.to_owned(),
        stage: Stage::Creating,
        account: crate::model::rds::Account {
            user: String::new(),
            password: String::new(),
            database: None,
            service_password: random_hex(32),
        },
        storage: Storage {
            allocated_gib: 20,
            max_allocated_gib: None,
            kind: "gp2".to_owned(),
            iops: None,
            throughput: None,
            encrypted: false,
        },
        place,
        zone: String::new(),
        second_zone: None,
        parameter_group: String::new(),
        cluster: None,
        promotion_tier: 1,
        source: None,
        schedule: request::default_schedule(),
        auto_minor_upgrade: true,
        copy_tags_to_snapshot: false,
        deletion_protection: false,
        public: false,
        features: Features::default(),
        seed: Seed::Empty,
        pending: Pending::default(),
        created: chrono::DateTime::UNIX_EPOCH,
        tags: Tags::new(),
        runtime: Runtime::default(),
    }
}

/// Adds an instance with the class and options of the request, and assigns its address.
pub(super) fn add(region: &mut Region, call: &Call<'_, Params>, id: &str, base: DbInstance) -> Outcome<Node> {
    let params = &call.input;
    if region.rds.instances.contains_key(id) {
        return Err(already_exists());
    }
    quota::INSTANCES.check(region.rds.instances.len() + 1)?;
    if base.cluster.is_none() {
        quota::check_storage(region, id, base.storage.allocated_gib)?;
    }
    request::network_type(params)?;
    let class = params.optional("DBInstanceClass").unwrap_or(&base.class);
    if class.is_empty() {
        return Err(ApiError::missing("DBInstanceClass"));
    }
    engine::check_class(class, &base.engine)?;
    let multi_az = params.flag("MultiAZ")?;
    if multi_az && (base.cluster.is_some() || params.optional("AvailabilityZone").is_some()) {
        return Err(combination(
            "Requesting a specific availability zone is not valid for Multi-AZ instances, and the instances of a cluster are spread over zones one by one.",
        ));
    }
    let subnets = subnets_in_zone(region, &base.place.subnet_group, params)?;
    let (address, zone) = take_address(region, call, &subnets, &arn(call.scope(), "db", id))?;
    let second_zone = region.zone_names().find(|other| multi_az && *other != zone);
    let parameter_group = match params.optional("DBParameterGroupName") {
        None if !base.parameter_group.is_empty() => base.parameter_group.clone(),
        name => parameter_group::of_instance(region, name, &base.engine)?,
    };
    let flag_or = |name: &str, otherwise: bool| Ok::<bool, ApiError>(params.parsed(name)?.unwrap_or(otherwise));
    let features = features::parse(region, params, &base.features, &base.engine)?;
    features::check_key(&features, base.storage.encrypted)?;
    let public = flag_or("PubliclyAccessible", is_public_by_default(&base, params))?;
    let instance = DbInstance {
        id: id.to_owned(),
        features,
        class: class.to_owned(),
        place: Place { address, ..base.place },
        zone,
        second_zone,
        parameter_group,
        promotion_tier: super::number(params, "PromotionTier", 0, 15)?.unwrap_or(base.promotion_tier),
        auto_minor_upgrade: flag_or("AutoMinorVersionUpgrade", base.auto_minor_upgrade)?,
        copy_tags_to_snapshot: flag_or("CopyTagsToSnapshot", base.copy_tags_to_snapshot)?,
        deletion_protection: flag_or("DeletionProtection", false)?,
        public,
        created: call.now,
        tags: parse_tags(params)?,
        ..base
    };
    region.rds.instances.insert(id.to_owned(), instance);
    let instance = super::instance(region, id)?;
    Ok(Node::new().with("DBInstance", render(instance, region)))
}

/// Returns whether an instance is publicly accessible if the request does not say so: in the default VPC, unless it is a
/// member of a cluster whose request names no subnet group (`CreateDBInstance`, parameter `PubliclyAccessible`).
fn is_public_by_default(instance: &DbInstance, params: &Params) -> bool {
    let names_group = params.optional("DBSubnetGroupName").is_some();
    instance.place.subnet_group == "default" && (instance.cluster.is_none() || names_group)
}

/// Returns the subnets that an instance may have its address from: those with the fewest databases first, so that the
/// members of a cluster are spread over the zones.
fn subnets_in_zone(region: &Region, group: &str, params: &Params) -> Outcome<Vec<String>> {
    let group = match group {
        "default" => subnet_group::of_request(region, &Params::default())?,
        name => subnet_group::find(region, name)?.clone(),
    };
    let zone = params.optional("AvailabilityZone");
    let subnets = group.subnets.iter().filter_map(|id| region.ec2.subnets.get(id));
    let mut subnets: Vec<_> = subnets.filter(|subnet| zone.is_none_or(|zone| subnet.zone == zone)).collect();
    if subnets.is_empty() {
        return Err(ApiError::new(
            "InvalidVPCNetworkStateFault",
            format!("No subnet of the DB subnet group {} is in {}", group.name, zone.unwrap_or("the region")),
        ));
    }
    let databases = |zone: &str| region.rds.instances.values().filter(|one| one.zone == zone).count();
    subnets.sort_by_key(|subnet| (databases(&subnet.zone), subnet.zone.clone()));
    Ok(subnets.into_iter().map(|subnet| subnet.id.clone()).collect())
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let instances = match params.optional("DBInstanceIdentifier") {
        Some(id) => vec![instance(region, id.rsplit(':').next().unwrap_or(id))?],
        None => filtered(
            region.rds.instances.values(),
            params,
            &[
                ("db-instance-id", |instance| vec![instance.id.clone()]),
                ("db-cluster-id", |instance| instance.cluster.iter().cloned().collect()),
                ("dbi-resource-id", |instance| vec![instance.resource_id.clone()]),
                ("engine", |instance| vec![instance.engine.clone()]),
            ],
        )?,
    };
    let page = page(instances, params, |instance| &instance.id)?;
    let instances = page.items.into_iter().map(|instance| render(instance, region));
    Ok(Node::new().with("DBInstances", entries("DBInstance", instances)).maybe("Marker", page.next))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let found = instance(region, params.required("DBInstanceIdentifier")?)?.clone();
    let last = params.optional("FinalDBSnapshotIdentifier").filter(|id| !id.is_empty());
    match found.stage {
        Stage::Deleting => return Err(instance_state(format!("Instance {} is already being deleted.", found.id))),
        Stage::BackingUp => return Err(instance_state(format!("Instance {} is being backed up.", found.id))),
        _ if found.deletion_protection => {
            return Err(combination(
                "Cannot delete protected DB Instance, please disable deletion protection and try again.",
            ));
        }
        _ => {}
    }
    match (params.flag("SkipFinalSnapshot")?, last) {
        (true, Some(_)) => {
            return Err(combination("You cannot specify both FinalDBSnapshotIdentifier and SkipFinalSnapshot"));
        }
        (_, Some(_)) if found.cluster.is_some() => {
            return Err(combination("FinalDBSnapshotIdentifier can not be specified when deleting a cluster instance"));
        }
        (_, Some(_)) if found.source.is_some() => {
            return Err(combination("FinalDBSnapshotIdentifier can not be specified when deleting a replica instance"));
        }
        (false, None) if found.cluster.is_none() && found.source.is_none() => {
            return Err(combination("FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."));
        }
        (_, Some(id)) => {
            if matches!(found.stage, Stage::Creating | Stage::Failed) {
                return Err(instance_state(format!("Instance {} is not in a state to take a snapshot of.", found.id)));
            }
            snapshot::begin(region, &found, id, call.now, Tags::new())?;
        }
        _ => {}
    }
    for replica in region.rds.instances.values_mut() {
        if replica.source.as_ref() == Some(&found.id) {
            replica.source = None;
            replica.runtime.ready = false;
        }
    }
    super::instance_mut(region, &found.id)?.stage = Stage::Deleting;
    Ok(Node::new().with("DBInstance", render(instance(region, &found.id)?, region)))
}

pub(super) fn render(instance: &DbInstance, region: &Region) -> Node {
    let place = &instance.place;
    let group = match subnet_group::find(region, &place.subnet_group) {
        Ok(group) => Ok(group.clone()),
        Err(_) => subnet_group::of_request(region, &Params::default()),
    };
    let in_effect = settings::in_effect(region, instance);
    let parameters = Node::new()
        .with("DBParameterGroupName", &instance.parameter_group)
        .with("ParameterApplyStatus", if in_effect { "in-sync" } else { "pending-reboot" });
    let account = region.rds.account(instance);
    let replicas = region.rds.instances.values().filter(|one| one.source.as_ref() == Some(&instance.id));
    let address = if instance.public { place.address } else { region.private_address(place.address) };
    let endpoint = (instance.stage != Stage::Creating)
        .then(|| Node::new().with("Address", address).with("Port", place.port).with("HostedZoneId", HOSTED_ZONE));
    let node = Node::new()
        .with("DBInstanceIdentifier", &instance.id)
        .with("DBInstanceClass", &instance.class)
        .with("Engine", &instance.engine)
        .with("DBInstanceStatus", instance.status())
        .with("MasterUsername", &account.user)
        .maybe("DBName", account.database.as_ref())
        .maybe("Endpoint", endpoint)
        .with("AllocatedStorage", instance.storage.allocated_gib)
        .with("InstanceCreateTime", instance.created)
        .with("PreferredBackupWindow", &instance.schedule.backup_window)
        .with("BackupRetentionPeriod", instance.schedule.backup_retention_days)
        .with("DBSecurityGroups", Node::new())
        .with("VpcSecurityGroups", security_groups(&place.security_groups))
        .with("DBParameterGroups", entries("DBParameterGroup", [parameters]))
        .with("AvailabilityZone", &instance.zone)
        .maybe("DBSubnetGroup", group.ok().map(|group| subnet_group::render(&group, region)))
        .with("PreferredMaintenanceWindow", &instance.schedule.maintenance_window)
        .with("PendingModifiedValues", render_pending(instance))
        .with("MultiAZ", instance.second_zone.is_some())
        .with("EngineVersion", engine::version().unwrap_or_default())
        .with("AutoMinorVersionUpgrade", instance.auto_minor_upgrade)
        .maybe("ReadReplicaSourceDBInstanceIdentifier", instance.source.as_ref())
        .with(
            "ReadReplicaDBInstanceIdentifiers",
            entries("ReadReplicaDBInstanceIdentifier", replicas.map(|replica| &replica.id)),
        )
        .with("LicenseModel", engine::LICENSE);
    render_more(node, instance, region)
}

fn render_more(node: Node, instance: &DbInstance, region: &Region) -> Node {
    let storage = &instance.storage;
    let trouble = instance.runtime.trouble.as_ref().map(|trouble| {
        Node::new()
            .with("StatusType", "local cloud")
            .with("Normal", false)
            .with("Status", &trouble.status)
            .with("Message", &trouble.message)
    });
    let certificate = instance.features.certificate.as_deref().unwrap_or(certificate::DEFAULT);
    features::render(node, &instance.features)
        .with("CACertificateIdentifier", certificate)
        .with("CertificateDetails", features::render_certificate(&instance.features))
        .maybe("Iops", storage.iops)
        .maybe("StorageThroughput", storage.throughput)
        .with("OptionGroupMemberships", features::render_option_group(&instance.features, &instance.engine))
        .maybe("SecondaryAvailabilityZone", instance.second_zone.as_ref())
        .with("PubliclyAccessible", instance.public)
        .with("StatusInfos", entries("DBInstanceStatusInfo", trouble))
        .with("StorageType", &storage.kind)
        .with("DbInstancePort", 0_u16)
        .maybe("DBClusterIdentifier", instance.cluster.as_ref())
        .with("StorageEncrypted", storage.encrypted)
        .with("DbiResourceId", &instance.resource_id)
        .with("DomainMemberships", Node::new())
        .with("CopyTagsToSnapshot", instance.copy_tags_to_snapshot)
        .maybe("PromotionTier", instance.cluster.as_ref().map(|_| instance.promotion_tier))
        .with("DBInstanceArn", arn(region.scope(), "db", &instance.id))
        .with("IAMDatabaseAuthenticationEnabled", false)
        .with("DeletionProtection", instance.deletion_protection)
        .with("AssociatedRoles", Node::new())
        .maybe("MaxAllocatedStorage", storage.max_allocated_gib)
        .with("TagList", tag_list(&instance.tags))
        .with("NetworkType", "IPV4")
        .with("BackupTarget", "region")
}

/// Returns AWS's error for an identifier that another instance has.
pub(super) fn already_exists() -> ApiError {
    ApiError::new("DBInstanceAlreadyExists", "DB instance already exists")
}

fn render_pending(instance: &DbInstance) -> Node {
    let (pending, storage) = (&instance.pending, &instance.storage);
    let wanted = pending.storage.as_ref();
    let size = wanted.map(|wanted| wanted.allocated_gib).filter(|size| *size != storage.allocated_gib);
    let kind = wanted.map(|wanted| &wanted.kind).filter(|kind| **kind != storage.kind);
    let iops = wanted.and_then(|wanted| wanted.iops).filter(|iops| Some(*iops) != storage.iops);
    let throughput = wanted.and_then(|wanted| wanted.throughput).filter(|rate| Some(*rate) != storage.throughput);
    Node::new()
        .maybe("DBInstanceIdentifier", pending.id.as_ref())
        .maybe("DBInstanceClass", pending.class.as_ref())
        .maybe("AllocatedStorage", size)
        .maybe("StorageType", kind)
        .maybe("Iops", iops)
        .maybe("StorageThroughput", throughput)
        .maybe("Port", pending.port)
        .maybe("MultiAZ", pending.multi_az)
}

/// Hosted zone of the DNS names of databases in us-east-1. Only alias records would need the zones of other regions.
pub(super) const HOSTED_ZONE: &str = "Z2R2ITUGPM61AM";
