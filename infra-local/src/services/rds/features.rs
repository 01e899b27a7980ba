//! Features of instances and clusters that are recorded and described: monitoring, exports of logs, keys, certificates
//! and option groups.

use super::{certificate, combination, engine, entries, number, option_group};
use crate::model::Region;
use crate::model::rds::Features;
use crate::wire::{ApiError, Node, Outcome, Params};

/// Intervals of Enhanced Monitoring, in seconds.
const INTERVALS: [u32; 7] = [0, 1, 5, 10, 15, 30, 60];

/// Retention periods of Performance Insights besides multiples of 31 days, in days.
const RETENTIONS: [u32; 2] = [7, 731];

/// Returns `current` with the changes of the request.
pub(super) fn parse(region: &Region, params: &Params, current: &Features, engine: &str) -> Outcome<Features> {
    check_refused(params, engine)?;
    let text = |name: &str| params.optional(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let certificate = text("CACertificateIdentifier");
    if let Some(name) = &certificate {
        certificate::find(name)?;
    }
    let option_group =
        text("OptionGroupName").map(|name| option_group::of_request(region, &name, engine)).transpose()?;
    let mut features = Features {
        insights_mode: one_of(params, "DatabaseInsightsMode", &["standard", "advanced"])?
            .or_else(|| current.insights_mode.clone()),
        key: text("KmsKeyId").or_else(|| current.key.clone()),
        certificate: certificate.or_else(|| current.certificate.clone()),
        lifecycle_support: one_of(params, "EngineLifecycleSupport", SUPPORT)?
            .or_else(|| current.lifecycle_support.clone()),
        option_group: option_group.or_else(|| current.option_group.clone()),
        ..current.clone()
    };
    change_logs(params, &mut features)?;
    change_monitoring(params, &mut features)?;
    change_insights(params, &mut features)?;
    Ok(features)
}

const SUPPORT: &[&str] = &["open-source-rds-extended-support", "open-source-rds-extended-support-disabled"];

/// Refuses values that would need behaviour that the local cloud does not have.
fn check_refused(params: &Params, engine: &str) -> Outcome<()> {
    if params.flag("EnableIAMDatabaseAuthentication")? {
        return Err(combination(
            "The local cloud's databases authenticate by password: a token of IAM would be refused. Leave \
             EnableIAMDatabaseAuthentication at false, or use AWS.",
        ));
    }
    match params.optional("LicenseModel") {
        Some(license) if license != engine::LICENSE => Err(combination(format!(
            "Invalid license model '{license}' for engine '{engine}'. Valid license models are: {}.",
            engine::LICENSE
        ))),
        _ => Ok(()),
    }
}

fn one_of(params: &Params, name: &str, known: &[&str]) -> Outcome<Option<String>> {
    match params.optional(name).filter(|value| !value.is_empty()) {
        Some(value) if !known.contains(&value) => {
            Err(ApiError::invalid(format!("Invalid value {value} for {name}. Valid values are: {}", known.join(", "))))
        }
        value => Ok(value.map(str::to_owned)),
    }
}

/// A new resource names the types of logs; a change enables and disables some.
fn change_logs(params: &Params, features: &mut Features) -> Outcome<()> {
    let list = |name: &str| [params.texts(name), params.texts(&format!("{name}.member"))].concat();
    let enabled =
        [list("EnableCloudwatchLogsExports"), list("CloudwatchLogsExportConfiguration.EnableLogTypes")].concat();
    let disabled = list("CloudwatchLogsExportConfiguration.DisableLogTypes");
    if let Some(wrong) = enabled.iter().chain(&disabled).find(|log| !engine::LOGS.contains(&log.as_str())) {
        return Err(combination(format!(
            "You cannot use the log types '{wrong}' with engine version postgres {}. For supported log types, see the \
             documentation.",
            engine::version()?
        )));
    }
    features.log_exports.extend(enabled);
    features.log_exports.retain(|log| !disabled.contains(log));
    Ok(())
}

fn change_monitoring(params: &Params, features: &mut Features) -> Outcome<()> {
    let interval: Option<u32> = params.parsed("MonitoringInterval")?;
    features.monitoring_interval = interval.unwrap_or(features.monitoring_interval);
    let role = params.optional("MonitoringRoleArn").filter(|role| !role.is_empty()).map(str::to_owned);
    features.monitoring_role = role.or(features.monitoring_role.take());
    if !INTERVALS.contains(&features.monitoring_interval) {
        return Err(ApiError::invalid(format!(
            "Invalid value {} for MonitoringInterval. Valid values are: 0, 1, 5, 10, 15, 30, 60",
            features.monitoring_interval
        )));
    }
    if features.monitoring_interval > 0 && features.monitoring_role.is_none() {
        return Err(combination(
            "A MonitoringRoleARN value is required if you specify a MonitoringInterval value other than 0.",
        ));
    }
    if features.monitoring_interval == 0 {
        features.monitoring_role = None;
    }
    Ok(())
}

fn change_insights(params: &Params, features: &mut Features) -> Outcome<()> {
    features.performance_insights =
        params.parsed("EnablePerformanceInsights")?.unwrap_or(features.performance_insights);
    let key = params.optional("PerformanceInsightsKMSKeyId").filter(|key| !key.is_empty()).map(str::to_owned);
    let days = number(params, "PerformanceInsightsRetentionPeriod", 7, 731)?;
    if !features.performance_insights {
        if key.is_some() || days.is_some() {
            return Err(combination(
                "You must enable Performance Insights to specify its key or its retention period.",
            ));
        }
        (features.insights_key, features.insights_days) = (None, None);
        return Ok(());
    }
    if let Some(days) = days.filter(|days| !RETENTIONS.contains(days) && !days.is_multiple_of(31)) {
        return Err(ApiError::invalid(format!(
            "Invalid Performance Insights retention period: {days}. Valid values are 7, multiples of 31 up to 713, and 731"
        )));
    }
    features.insights_key = key.or(features.insights_key.take());
    features.insights_days = Some(days.or(features.insights_days).unwrap_or(7));
    Ok(())
}

/// Checks that only encrypted storage has a key.
pub(super) fn check_key(features: &Features, is_encrypted: bool) -> Outcome<()> {
    if features.key.is_some() && !is_encrypted {
        return Err(combination("A KmsKeyId can only be specified for encrypted storage: StorageEncrypted is false."));
    }
    Ok(())
}

/// Adds the features that instances and clusters describe in the same way.
pub(super) fn render(node: Node, features: &Features) -> Node {
    let exports = (!features.log_exports.is_empty()).then(|| Node::items(&features.log_exports));
    node.maybe("KmsKeyId", features.key.as_ref())
        .with("MonitoringInterval", features.monitoring_interval)
        .maybe("MonitoringRoleArn", features.monitoring_role.as_ref())
        .with("PerformanceInsightsEnabled", features.performance_insights)
        .maybe("PerformanceInsightsKMSKeyId", features.insights_key.as_ref())
        .maybe("PerformanceInsightsRetentionPeriod", features.insights_days)
        .maybe("EnabledCloudwatchLogsExports", exports)
        .with("DatabaseInsightsMode", features.insights_mode.as_deref().unwrap_or("standard"))
        .with("EngineLifecycleSupport", features.lifecycle_support.as_deref().unwrap_or(SUPPORT[0]))
}

/// Renders the membership of an instance in its option group.
pub(super) fn render_option_group(features: &Features, engine: &str) -> Node {
    let name = features.option_group.clone().or_else(|| option_group::default_name(engine).ok());
    let membership = name.map(|name| Node::new().with("OptionGroupName", name).with("Status", "in-sync"));
    entries("OptionGroupMembership", membership)
}

/// Renders the membership of a cluster in its option group.
pub(super) fn render_cluster_option_group(features: &Features, engine: &str) -> Node {
    let name = features.option_group.clone().or_else(|| option_group::default_name(engine).ok());
    let membership = name.map(|name| Node::new().with("DBClusterOptionGroupName", name).with("Status", "in-sync"));
    entries("DBClusterOptionGroup", membership)
}

/// Renders the certificate of a server.
pub(super) fn render_certificate(features: &Features) -> Node {
    let name = features.certificate.as_deref().unwrap_or(certificate::DEFAULT);
    Node::new().with("CAIdentifier", name).maybe("ValidTill", certificate::valid_till(name))
}
