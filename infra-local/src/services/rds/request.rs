//! Parameters that requests for instances and for clusters share.

use super::{combination, number};
use crate::model::Region;
use crate::model::ids::random_hex;
use crate::model::rds::{Account, Schedule, Storage};
use crate::wire::{ApiError, Outcome, Params};

pub(super) const SECURITY_GROUPS: &[&str] = &["VpcSecurityGroupIds", "VpcSecurityGroupIds.VpcSecurityGroupId.N"];
pub(super) const BACKUPS: &[&str] = &["BackupRetentionPeriod", "PreferredBackupWindow"];
pub(super) const MAINTENANCE: &[&str] = &["PreferredMaintenanceWindow"];
pub(super) const STORAGE: &[&str] =
    &["AllocatedStorage", "MaxAllocatedStorage", "StorageType", "Iops", "StorageThroughput"];

// Parameters of features; see `features`. Each operation has those that it has on AWS.

pub(super) const ACCESS: &[&str] = &["EnableIAMDatabaseAuthentication", "OptionGroupName"];
pub(super) const CERTIFICATE: &[&str] = &["CACertificateIdentifier"];
pub(super) const ENCRYPTION_KEY: &[&str] = &["KmsKeyId"];
pub(super) const INSIGHTS_MODE: &[&str] = &["DatabaseInsightsMode"];
pub(super) const LICENSE: &[&str] = &["LicenseModel"];
pub(super) const LIFECYCLE: &[&str] = &["EngineLifecycleSupport"];
pub(super) const LOG_EXPORTS: &[&str] = &["EnableCloudwatchLogsExports", "EnableCloudwatchLogsExports.N"];
pub(super) const CHANGED_LOG_EXPORTS: &[&str] = &[
    "CloudwatchLogsExportConfiguration.DisableLogTypes",
    "CloudwatchLogsExportConfiguration.DisableLogTypes.N",
    "CloudwatchLogsExportConfiguration.EnableLogTypes",
    "CloudwatchLogsExportConfiguration.EnableLogTypes.N",
];
pub(super) const MONITORING: &[&str] = &[
    "EnablePerformanceInsights",
    "MonitoringInterval",
    "MonitoringRoleArn",
    "PerformanceInsightsKMSKeyId",
    "PerformanceInsightsRetentionPeriod",
];

pub(super) const DEFAULT_PORT: u16 = 5432;

/// Returns the master account for new data.
pub(super) fn account(params: &Params, database: &str) -> Outcome<Account> {
    const RESERVED: &[&str] =
        &["admin", "rdsadmin", "rds_superuser", "rdsrepladmin", "rds_password", "rds_replication"];
    let user = params.required("MasterUsername")?;
    let letters = |text: &str| text.chars().all(|one| one.is_ascii_alphanumeric() || one == '_');
    let begins = |text: &str| text.starts_with(|one: char| one.is_ascii_alphabetic());
    if user.len() > 63 || !begins(user) || !letters(user) || user.to_lowercase().starts_with("pg_") {
        return Err(ApiError::invalid(format!("The parameter MasterUsername is not a valid identifier: {user}")));
    }
    if RESERVED.contains(&user.to_lowercase().as_str()) {
        return Err(ApiError::invalid(format!(
            "MasterUsername {user} cannot be used as it is a reserved word used by the engine"
        )));
    }
    let password = password(params)?.ok_or_else(|| ApiError::missing("MasterUserPassword"))?;
    let name = params.optional(database).filter(|name| !name.is_empty()).map(str::to_owned);
    if let Some(name) = &name
        && (name.len() > 63
            || !begins(name)
            || !letters(name)
            || ["template0", "template1", "rdsadmin"].contains(&name.as_str()))
    {
        return Err(ApiError::invalid(format!(
            "{database} must begin with a letter and contain only alphanumeric characters, and is not '{name}'"
        )));
    }
    Ok(Account { user: user.to_owned(), password, database: name, service_password: random_hex(32) })
}

/// Checks the master password by AWS's rules.
pub(super) fn password(params: &Params) -> Outcome<Option<String>> {
    let invalid = |problem: &str| {
        ApiError::invalid(format!("The parameter MasterUserPassword is not a valid password because it is {problem}."))
    };
    match params.optional("MasterUserPassword") {
        None => Ok(None),
        Some(text) if text.len() < 8 => Err(invalid("shorter than 8 characters")),
        Some(text) if text.len() > 128 => Err(invalid("longer than 128 characters")),
        Some(text) if text.chars().any(|one| !one.is_ascii_graphic() || "/@\"".contains(one)) => {
            Err(ApiError::invalid(
                "The parameter MasterUserPassword is not a valid password. Only printable ASCII characters besides '/', \
                 '@', '\"', ' ' may be used.",
            ))
        }
        Some(text) => Ok(Some(text.to_owned())),
    }
}

pub(super) fn default_schedule() -> Schedule {
    Schedule {
        backup_retention_days: 1,
        backup_window: "03:00-03:30".to_owned(),
        maintenance_window: "sun:05:00-sun:05:30".to_owned(),
    }
}

/// Returns `current` with the changes of the request.
pub(super) fn schedule(params: &Params, current: Schedule, fewest_days: u32) -> Outcome<Schedule> {
    let days = number(params, "BackupRetentionPeriod", fewest_days, 35)?;
    let window = |name: &str, with_day: bool| match params.optional(name) {
        Some(text) if !is_window(text, with_day) => {
            let form = if with_day { "ddd:hh24:mi-ddd:hh24:mi" } else { "hh24:mi-hh24:mi" };
            Err(ApiError::invalid(format!("The parameter {name} is not valid: {text}. It must be specified as {form}")))
        }
        other => Ok(other.map(str::to_lowercase)),
    };
    Ok(Schedule {
        backup_retention_days: days.unwrap_or(current.backup_retention_days),
        backup_window: window("PreferredBackupWindow", false)?.unwrap_or(current.backup_window),
        maintenance_window: window("PreferredMaintenanceWindow", true)?.unwrap_or(current.maintenance_window),
    })
}

fn is_window(text: &str, with_day: bool) -> bool {
    let moment = |text: &str| {
        let time = match text.split_once(':') {
            Some((day, time)) if with_day => {
                if !["mon", "tue", "wed", "thu", "fri", "sat", "sun"].contains(&day.to_lowercase().as_str()) {
                    return false;
                }
                time
            }
            _ => text,
        };
        chrono::NaiveTime::parse_from_str(time, "%H:%M").is_ok()
    };
    text.split_once('-').is_some_and(|(from, to)| moment(from) && moment(to))
}

/// Returns security groups of the VPC; its default group when none is named.
pub(super) fn security_groups(region: &Region, params: &Params, vpc_id: &str) -> Outcome<Vec<String>> {
    let mut ids = params.texts("VpcSecurityGroupIds.VpcSecurityGroupId");
    for id in &ids {
        match region.ec2.security_groups.get(id) {
            Some(group) if group.vpc_id == vpc_id => {}
            Some(group) => {
                return Err(combination(format!(
                    "The DB instance and EC2 security group are in different VPCs. The DB instance is in {vpc_id} and the \
                     EC2 security group is in {}",
                    group.vpc_id
                )));
            }
            None => return Err(ApiError::invalid(format!("Invalid security group , groupId= {id}, groupName=."))),
        }
    }
    if ids.is_empty() {
        let mut groups = region.ec2.security_groups.values();
        let default = groups.find(|group| group.vpc_id == vpc_id && group.name == "default");
        ids.extend(default.map(|group| group.id.clone()));
    }
    ids.sort();
    ids.dedup();
    Ok(ids)
}

pub(super) fn port(params: &Params, name: &str) -> Outcome<Option<u16>> {
    Ok(number(params, name, 1150, 65535)?.map(|port| port as u16))
}

pub(super) fn network_type(params: &Params) -> Outcome<()> {
    match params.optional("NetworkType") {
        None | Some("IPV4") => Ok(()),
        Some(other) => Err(combination(format!("The local cloud has the network type IPV4, not {other}"))),
    }
}

/// Returns the requested storage, with defaults from the current one.
pub(super) fn storage(params: &Params, current: Option<&Storage>, engine: &str) -> Outcome<Storage> {
    let allocated = match (params.parsed("AllocatedStorage")?, current) {
        (Some(gib), _) => gib,
        (None, Some(current)) => current.allocated_gib,
        (None, None) => return Err(ApiError::missing("AllocatedStorage")),
    };
    let iops = params.parsed("Iops")?;
    let kind = params.optional("StorageType").map(str::to_owned);
    let kind = kind.or_else(|| current.map(|current| current.kind.clone()));
    let kind = kind.unwrap_or_else(|| if iops.is_some() { "io1" } else { "gp2" }.to_owned());
    let fewest = match kind.as_str() {
        "gp2" | "gp3" => 20,
        "standard" => 5,
        "io1" | "io2" => 100,
        _ => return Err(ApiError::invalid(format!("Invalid storage type: {kind}"))),
    };
    if !(fewest..=65_536).contains(&allocated) {
        return Err(combination(format!(
            "Invalid storage size for engine name {engine} and storage type {kind}: {allocated}"
        )));
    }
    if current.is_some_and(|current| allocated < current.allocated_gib) {
        return Err(combination(format!(
            "The allocated storage of a DB instance cannot be reduced to {allocated} GiB"
        )));
    }
    let most = params.parsed("MaxAllocatedStorage")?.or(current.and_then(|current| current.max_allocated_gib));
    if most.is_some_and(|most| most < allocated) {
        return Err(combination("Max storage size must be greater than storage size"));
    }
    let throughput = params.parsed("StorageThroughput")?.or(current.and_then(|current| current.throughput));
    Ok(Storage {
        allocated_gib: allocated,
        // On AWS, a limit that equals the allocated storage disables autoscaling.
        max_allocated_gib: most.filter(|most| *most != allocated),
        iops: iops.or(current.and_then(|current| current.iops)),
        throughput,
        encrypted: current.map_or(params.flag("StorageEncrypted"), |current| Ok(current.encrypted))?,
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows() {
        assert!(is_window("04:00-04:30", false));
        assert!(is_window("Sun:05:00-sun:05:30", true));
        for bad in ["04:00", "25:00-26:00", "sun:05:00-sun:05:30", "a-b"] {
            assert!(!is_window(bad, false), "{bad}");
        }
        assert!(!is_window("05:00-06:00", true));
    }
}
