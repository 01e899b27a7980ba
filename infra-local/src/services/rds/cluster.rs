//! Creation, description and deletion of DB clusters.

use super::instance::HOSTED_ZONE;
use super::request::{self, BACKUPS, DEFAULT_PORT, MAINTENANCE, SECURITY_GROUPS};
use super::{
    FILTERS, PAGES, TAGS, arn, cluster, cluster_snapshot, cluster_state, combination, engine, entries, features,
    filtered, identifier, page, parameter_group, parse_tags, quota, resource, security_groups, subnet_group, tag_list,
    take_address,
};
use crate::domain::rds::settings;
use crate::model::ids::random_hex;
use crate::model::rds::{Account, DbCluster, Features, PendingOfCluster, Place, Schedule, Seed, Stage};
use crate::model::{Cloud, Region, Tags};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes(
        "CreateDBCluster",
        create,
        &[
            &["MasterUsername", "MasterUserPassword", "StorageEncrypted"],
            CLUSTER,
            BACKUPS,
            MAINTENANCE,
            SECURITY_GROUPS,
            TAGS,
            request::ACCESS,
            request::CERTIFICATE,
            request::ENCRYPTION_KEY,
            request::INSIGHTS_MODE,
            request::LIFECYCLE,
            request::LOG_EXPORTS,
            request::MONITORING,
        ],
    )
    .on(&[resource::CLUSTER, resource::CLUSTER_PARAMETER_GROUP, resource::SUBNET_GROUP])
    .needing(&[resource::PASSES_MONITORING_ROLE]),
    Operation::reads("DescribeDBClusters", describe, &[&["DBClusterIdentifier"], PAGES, FILTERS])
        .on(&[resource::CLUSTER])
        .ignoring(&[&["IncludeShared"]]),
    Operation::writes(
        "DeleteDBCluster",
        delete,
        &[&["DBClusterIdentifier", "SkipFinalSnapshot", "FinalDBSnapshotIdentifier"]],
    )
    .on(&[resource::CLUSTER, resource::FINAL_CLUSTER_SNAPSHOT])
    .ignoring(&[&["DeleteAutomatedBackups"]]),
];

/// Parameters that all operations which create a cluster share.
pub(super) const CLUSTER: &[&str] = &[
    "DBClusterIdentifier",
    "Engine",
    "EngineVersion",
    "EngineMode",
    "DatabaseName",
    "DBClusterParameterGroupName",
    "DBSubnetGroupName",
    "AvailabilityZones",
    "AvailabilityZones.AvailabilityZone.N",
    "Port",
    "CopyTagsToSnapshot",
    "DeletionProtection",
    "StorageType",
    "NetworkType",
];

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let account = request::account(params, "DatabaseName")?;
    let schedule = request::schedule(params, request::default_schedule(), 1)?;
    let encrypted = params.flag("StorageEncrypted")?;
    let region = cloud.region_mut(call.region)?;
    add(region, call, New { account, schedule, encrypted, port: DEFAULT_PORT, seed: Seed::Empty })
}

/// Properties of a new cluster that its parameters do not determine.
pub(super) struct New {
    pub(super) account: Account,
    pub(super) schedule: Schedule,
    pub(super) encrypted: bool,
    pub(super) port: u16,
    pub(super) seed: Seed,
}

/// Adds a cluster with the options of the request, and assigns its addresses.
pub(super) fn add(region: &mut Region, call: &Call<'_, Params>, new: New) -> Outcome<Node> {
    let params = &call.input;
    let id = identifier(params, "DBClusterIdentifier")?;
    let engine = engine::parse(params, &[engine::AURORA])?;
    request::network_type(params)?;
    if params.optional("EngineMode").is_some_and(|mode| mode != "provisioned") {
        return Err(combination("The engine mode of the local cloud is provisioned"));
    }
    if region.rds.clusters.contains_key(&id) {
        return Err(already_exists());
    }
    quota::CLUSTERS.check(region.rds.clusters.len() + 1)?;
    let group = subnet_group::of_request(region, params)?;
    let demanded = params.texts("AvailabilityZones.AvailabilityZone");
    let in_group = group.subnets.iter().filter_map(|id| region.ec2.subnets.get(id)).map(|subnet| subnet.zone.clone());
    let zones: Vec<String> = if demanded.is_empty() { in_group.take(3).collect() } else { demanded };
    if let Some(unknown) = zones.iter().find(|zone| !region.zone_names().any(|known| known == **zone)) {
        return Err(ApiError::invalid(format!("Invalid availability zone: {unknown}")));
    }
    let storage_kind = params.optional("StorageType").filter(|kind| !kind.is_empty()).unwrap_or("aurora").to_owned();
    if !["aurora", "aurora-iopt1"].contains(&storage_kind.as_str()) {
        return Err(ApiError::invalid(format!("Invalid storage type: {storage_kind}")));
    }
    let security_groups = request::security_groups(region, params, &group.vpc_id)?;
    let features = features::parse(region, params, &Features::default(), &engine)?;
    features::check_key(&features, new.encrypted)?;
    let owner = arn(call.scope(), "cluster", &id);
    let (address, _) = take_address(region, call, &group.subnets, &owner)?;
    let (reader_address, _) = take_address(region, call, &group.subnets, &owner)?;
    let cluster = DbCluster {
        resource_id: format!("cluster-{}", random_hex(26).to_uppercase()),
        stage: Stage::Creating,
        account: new.account,
        place: Place {
            address,
            port: request::port(params, "Port")?.unwrap_or(new.port),
            subnet_group: group.name,
            vpc_id: group.vpc_id,
            security_groups,
        },
        reader_address,
        zones,
        parameter_group: parameter_group::of_cluster(region, params.optional("DBClusterParameterGroupName"), &engine)?,
        engine,
        schedule: new.schedule,
        copy_tags_to_snapshot: params.flag("CopyTagsToSnapshot")?,
        deletion_protection: params.flag("DeletionProtection")?,
        encrypted: new.encrypted,
        storage_kind,
        features,
        seed: new.seed,
        writer: None,
        demoted: None,
        pending: PendingOfCluster::default(),
        created: call.now,
        tags: parse_tags(params)?,
        id: id.clone(),
    };
    region.rds.clusters.insert(id.clone(), cluster);
    answer(region, &id)
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let clusters = match params.optional("DBClusterIdentifier") {
        Some(id) => vec![cluster(region, id.rsplit(':').next().unwrap_or(id))?],
        None => filtered(
            region.rds.clusters.values(),
            params,
            &[
                ("db-cluster-id", |cluster| vec![cluster.id.clone()]),
                ("db-cluster-resource-id", |cluster| vec![cluster.resource_id.clone()]),
                ("engine", |cluster| vec![cluster.engine.clone()]),
            ],
        )?,
    };
    let page = page(clusters, params, |cluster| &cluster.id)?;
    let clusters = page.items.into_iter().map(|cluster| render(cluster, region));
    Ok(Node::new().with("DBClusters", entries("DBCluster", clusters)).maybe("Marker", page.next))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let found = cluster(region, params.required("DBClusterIdentifier")?)?.clone();
    let last = params.optional("FinalDBSnapshotIdentifier").filter(|id| !id.is_empty());
    if found.deletion_protection {
        return Err(combination("Cannot delete protected Cluster, please disable deletion protection and try again."));
    }
    if found.stage == Stage::Deleting {
        return Err(cluster_state(format!("DbCluster {} is already being deleted.", found.id)));
    }
    if region.rds.members(&found.id).any(|member| member.stage != Stage::Deleting) {
        return Err(cluster_state("Cluster cannot be deleted, it still contains DB instances in non-deleting state."));
    }
    match (params.flag("SkipFinalSnapshot")?, last) {
        (true, Some(_)) => {
            return Err(combination("You cannot specify both FinalDBSnapshotIdentifier and SkipFinalSnapshot"));
        }
        (false, None) => {
            return Err(combination("FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."));
        }
        (false, Some(id)) => {
            cluster_snapshot::begin(region, &found, id, call.now, Tags::new())?;
        }
        (true, None) => {}
    }
    super::cluster_mut(region, &found.id)?.stage = Stage::Deleting;
    answer(region, &found.id)
}

pub(super) fn answer(region: &Region, id: &str) -> Outcome<Node> {
    Ok(Node::new().with("DBCluster", render(cluster(region, id)?, region)))
}

/// Returns AWS's error for an identifier that another cluster has.
pub(super) fn already_exists() -> ApiError {
    ApiError::new("DBClusterAlreadyExistsFault", "DB Cluster already exists")
}

fn render(cluster: &DbCluster, region: &Region) -> Node {
    let group = settings::cluster_group_in_effect(region, cluster);
    let members = region.rds.members(&cluster.id).map(|member| {
        Node::new()
            .with("DBInstanceIdentifier", &member.id)
            .with("IsClusterWriter", cluster.writer.as_ref() == Some(&member.id))
            .with("DBClusterParameterGroupStatus", if group { "in-sync" } else { "pending-reboot" })
            .with("PromotionTier", member.promotion_tier)
    });
    let place = &cluster.place;
    let pending = cluster.pending.id.as_ref();
    features::render(Node::new(), &cluster.features)
        .with("AllocatedStorage", 1_u32)
        .with("AvailabilityZones", entries("AvailabilityZone", &cluster.zones))
        .with("BackupRetentionPeriod", cluster.schedule.backup_retention_days)
        .maybe("DatabaseName", cluster.account.database.as_ref())
        .with("DBClusterIdentifier", &cluster.id)
        .with("DBClusterParameterGroup", &cluster.parameter_group)
        .with("DBSubnetGroup", &place.subnet_group)
        .with("Status", cluster.stage.name())
        .with("Endpoint", region.private_address(place.address))
        .with("ReaderEndpoint", region.private_address(cluster.reader_address))
        .with("MultiAZ", region.rds.members(&cluster.id).count() > 1)
        .with("Engine", &cluster.engine)
        .with("EngineVersion", engine::version().unwrap_or_default())
        .with("Port", place.port)
        .with("MasterUsername", &cluster.account.user)
        .with("PreferredBackupWindow", &cluster.schedule.backup_window)
        .with("PreferredMaintenanceWindow", &cluster.schedule.maintenance_window)
        .maybe("PendingModifiedValues", pending.map(|id| Node::new().with("DBClusterIdentifier", id)))
        .with("ReadReplicaIdentifiers", Node::new())
        .with("DBClusterMembers", entries("DBClusterMember", members))
        .with("VpcSecurityGroups", security_groups(&place.security_groups))
        .with("HostedZoneId", HOSTED_ZONE)
        .with("StorageEncrypted", cluster.encrypted)
        .with("DbClusterResourceId", &cluster.resource_id)
        .with("DBClusterArn", arn(region.scope(), "cluster", &cluster.id))
        .with(
            "DBClusterOptionGroupMemberships",
            features::render_cluster_option_group(&cluster.features, &cluster.engine),
        )
        .with("CertificateDetails", features::render_certificate(&cluster.features))
        .with("AssociatedRoles", Node::new())
        .with("IAMDatabaseAuthenticationEnabled", false)
        .with("ClusterCreateTime", cluster.created)
        .with("EngineMode", "provisioned")
        .with("DeletionProtection", cluster.deletion_protection)
        .with("HttpEndpointEnabled", false)
        .with("ActivityStreamStatus", "stopped")
        .with("CopyTagsToSnapshot", cluster.copy_tags_to_snapshot)
        .with("CrossAccountClone", false)
        .with("DomainMemberships", Node::new())
        .with("TagList", tag_list(&cluster.tags))
        .maybe("StorageType", Some(&cluster.storage_kind).filter(|kind| *kind != "aurora"))
        .with("AutoMinorVersionUpgrade", true)
        .with("NetworkType", "IPV4")
}
