//! Engines, their versions, and instance classes.

use super::{FILTERS, PAGES, combination, entries, filtered, page};
use crate::domain::postgres;
use crate::model::Cloud;
use crate::model::rds::class;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::reads(
        "DescribeDBEngineVersions",
        describe_versions,
        &[&["Engine", "EngineVersion", "DBParameterGroupFamily", "DefaultOnly", "IncludeAll"], PAGES, FILTERS],
    )
    .on_any()
    .ignoring(&[&["ListSupportedCharacterSets", "ListSupportedTimezones"]]),
    Operation::reads(
        "DescribeOrderableDBInstanceOptions",
        describe_options,
        &[&["Engine", "EngineVersion", "DBInstanceClass", "LicenseModel", "Vpc"], PAGES, FILTERS],
    )
    .on_any(),
];

pub(super) const POSTGRES: &str = "postgres";
pub(super) const AURORA: &str = "aurora-postgresql";
/// Types of logs that PostgreSQL on AWS can export.
pub(super) const LOGS: [&str; 3] = ["iam-db-auth-error", "postgresql", "upgrade"];
pub(super) const LICENSE: &str = "postgresql-license";

/// Returns the version of the PostgreSQL on this machine: `15.18`.
pub(super) fn version() -> Outcome<&'static str> {
    let missing = |problem: String| {
        let message = format!("The local cloud runs PostgreSQL of this machine: {problem}");
        ApiError::new("InsufficientDBInstanceCapacity", message)
    };
    let installed = postgres::installed().map_err(|error| missing(error.to_string()))?;
    installed.version.as_deref().ok_or_else(|| missing("its version is unknown".to_owned()))
}

pub(super) fn major() -> Outcome<&'static str> {
    Ok(version()?.split('.').next().unwrap_or_default())
}

/// Returns the family of parameter groups of an engine: `postgres15`.
pub(super) fn family(engine: &str) -> Outcome<String> {
    Ok(format!("{engine}{}", major()?))
}

/// Returns the engine of a request, and checks that its version is the installed one.
pub(super) fn parse(params: &Params, known: &[&str]) -> Outcome<String> {
    let engine = params.required("Engine")?;
    if !known.contains(&engine) {
        return Err(ApiError::invalid(format!(
            "Invalid DB engine: {engine}. The local cloud has {} here",
            known.join(" and ")
        )));
    }
    check_version(params, engine)?;
    Ok(engine.to_owned())
}

/// Checks that a requested version is the installed one, given completely or as the major version.
pub(super) fn check_version(params: &Params, engine: &str) -> Outcome<()> {
    let there = version()?;
    match params.optional("EngineVersion") {
        // Some clients send an empty version.
        Some(demanded) if !demanded.is_empty() && demanded != there && demanded != major()? => {
            Err(combination(format!(
                "Cannot find version {demanded} for {engine}. Available is {there}, the PostgreSQL of this machine"
            )))
        }
        _ => Ok(()),
    }
}

/// Checks that an engine supports a class.
pub(super) fn check_class(class: &str, engine: &str) -> Outcome<()> {
    let Some(known) = class::all().find(|known| known.name == class) else {
        return Err(ApiError::invalid(format!("Invalid DB Instance class: {class}")));
    };
    if engine == AURORA && !known.clustered {
        return Err(combination(format!(
            "RDS does not support creating a DB instance with the following combination: DBInstanceClass={class}, \
             Engine={engine}, EngineVersion={}, LicenseModel={LICENSE}. For supported combinations of instance class and \
             database engine version, see the documentation.",
            version()?
        )));
    }
    Ok(())
}

fn describe_versions(_: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let there = version()?;
    let demanded = |name: &str, value: &str| params.optional(name).is_none_or(|wanted| wanted == value);
    let mut engines = Vec::new();
    for engine in [AURORA, POSTGRES] {
        let right_version = demanded("EngineVersion", there) || demanded("EngineVersion", major()?);
        if demanded("Engine", engine) && right_version && demanded("DBParameterGroupFamily", &family(engine)?) {
            engines.push(engine);
        }
    }
    let engines = filtered(
        engines.iter(),
        params,
        &[
            ("engine-mode", |_| vec!["provisioned".to_owned()]),
            ("status", |_| vec!["available".to_owned()]),
            ("db-parameter-group-family", |engine| family(engine).into_iter().collect()),
            ("engine-version", |_| version().map(str::to_owned).into_iter().collect()),
        ],
    )?;
    let page = page(engines, params, |engine| engine)?;
    let versions = page.items.into_iter().map(|engine| render_version(engine, there));
    let versions = versions.collect::<Outcome<Vec<_>>>()?;
    Ok(Node::new().with("DBEngineVersions", entries("DBEngineVersion", versions)).maybe("Marker", page.next))
}

fn render_version(engine: &str, version: &str) -> Outcome<Node> {
    let (description, aurora) = if engine == AURORA { ("Aurora (PostgreSQL)", true) } else { ("PostgreSQL", false) };
    let modes: &[&str] = if aurora { &["provisioned"] } else { &[] };
    Ok(Node::new()
        .with("Engine", engine)
        .with("MajorEngineVersion", major()?)
        .with("EngineVersion", version)
        .with("DBParameterGroupFamily", family(engine)?)
        .with("DBEngineDescription", description)
        .with("DBEngineVersionDescription", format!("{description} {version}"))
        .with("ValidUpgradeTarget", Node::new())
        .list("ExportableLogTypes", LOGS)
        .with("SupportsLogExportsToCloudwatchLogs", true)
        .with("SupportsReadReplica", !aurora)
        .list("SupportedEngineModes", modes.iter().copied())
        .with("SupportedFeatureNames", Node::new())
        .with("Status", "available")
        .with("SupportsParallelQuery", false)
        .with("SupportsGlobalDatabases", false))
}

fn describe_options(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let engine = params.required("Engine")?;
    if ![POSTGRES, AURORA].contains(&engine) {
        return Err(ApiError::invalid(format!("Unrecognized engine name: {engine}")));
    }
    let wanted = |name: &str, value: &str| params.optional(name).is_none_or(|wanted| wanted == value);
    let there = wanted("EngineVersion", version()?) && wanted("LicenseModel", LICENSE) && wanted("Vpc", "true");
    let kinds: &[&str] = if engine == AURORA { &["aurora"] } else { &["gp2", "gp3", "io1", "standard"] };
    let mut options: Vec<(String, String, &str)> = Vec::new();
    let classes = class::all()
        .filter(|class| there && wanted("DBInstanceClass", &class.name) && (class.clustered || engine != AURORA));
    for class in classes {
        options.extend(kinds.iter().map(|kind| (format!("{} {kind}", class.name), class.name.clone(), *kind)));
    }
    let options = filtered(options.iter(), params, &[])?;
    let page = page(options, params, |(key, _, _)| key)?;
    let zones: Vec<String> = region.zone_names().collect();
    let version = version()?;
    let options = page.items.into_iter().map(|(_, class, kind)| render_option(engine, version, class, kind, &zones));
    Ok(Node::new()
        .with("OrderableDBInstanceOptions", entries("OrderableDBInstanceOption", options))
        .maybe("Marker", page.next))
}

fn render_option(engine: &str, version: &str, class: &str, kind: &str, zones: &[String]) -> Node {
    let zones = zones.iter().map(|zone| Node::new().with("Name", zone));
    Node::new()
        .with("Engine", engine)
        .with("EngineVersion", version)
        .with("DBInstanceClass", class)
        .with("LicenseModel", LICENSE)
        .with("AvailabilityZones", entries("AvailabilityZone", zones))
        .with("MultiAZCapable", engine == POSTGRES)
        .with("ReadReplicaCapable", engine == POSTGRES)
        .with("Vpc", true)
        .with("SupportsStorageEncryption", true)
        .with("StorageType", kind)
        .with("SupportsIops", kind == "io1" || kind == "gp3")
        .with("MinStorageSize", if engine == AURORA { 1 } else { 20_u32 })
        .with("MaxStorageSize", 65_536_u32)
        .list("SupportedNetworkTypes", ["IPV4"])
        .with("SupportsClusters", engine == AURORA)
}
