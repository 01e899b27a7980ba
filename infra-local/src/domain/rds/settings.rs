//! The configuration of a server: the parameters of its groups, and those that the service needs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::catalog::{self, FORCE_SSL, LOGICAL_REPLICATION, OF_SERVICE};
use super::formula;
use crate::model::Region;
use crate::model::rds::class;
use crate::model::rds::{DbCluster, DbInstance, ParameterGroup};

/// A parameter with its value in the parameter group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) value: String,
    /// True when the value takes effect only at a start of the server.
    pub(crate) at_start: bool,
}

/// Parameters whose value on a standby must not be lower than on its primary.
const NOT_LESS: &[&str] = &[
    "max_connections",
    "max_locks_per_transaction",
    "max_prepared_transactions",
    "max_wal_senders",
    "max_worker_processes",
];

/// Returns the parameters that an instance should have: those of its cluster, overridden by its own.
pub(crate) fn wanted(region: &Region, instance: &DbInstance) -> BTreeMap<String, Wanted> {
    let databases = &region.rds;
    let cluster = instance.cluster.as_ref().and_then(|cluster| databases.clusters.get(cluster));
    let of_cluster = cluster.and_then(|cluster| databases.cluster_parameter_groups.get(&cluster.parameter_group));
    let own = databases.parameter_groups.get(&instance.parameter_group);
    let memory = class::memory_bytes(&instance.class);
    of_cluster.into_iter().chain(own).flat_map(|group| of_group(group, memory)).collect()
}

fn of_group(group: &ParameterGroup, memory_bytes: u64) -> impl Iterator<Item = (String, Wanted)> {
    group.parameters.iter().filter_map(move |(name, setting)| {
        let is_static = catalog::known().get(name).is_some_and(|known| known.is_static);
        let value = formula::evaluate(&setting.value, memory_bytes)?;
        Some((name.clone(), Wanted { value, at_start: is_static || setting.pending_reboot }))
    })
}

/// Returns whether all parameters of an instance are in effect. An instance that does not run counts, because its start
/// applies them.
pub(crate) fn in_effect(region: &Region, instance: &DbInstance) -> bool {
    let mut expected = effective(&wanted(region, instance), &BTreeMap::new(), true);
    if let Some(upstream) = region.rds.upstream(instance) {
        raise(&mut expected, &upstream.runtime.parameters);
    }
    instance.runtime.process.is_none() || instance.runtime.parameters == expected
}

/// Returns whether the cluster's parameters are in effect on all members.
pub(crate) fn cluster_group_in_effect(region: &Region, cluster: &DbCluster) -> bool {
    region.rds.members(&cluster.id).all(|member| in_effect(region, member))
}

/// Returns the parameters that take effect: all at a start; on a running server, those that need no restart.
pub(crate) fn effective(
    wanted: &BTreeMap<String, Wanted>,
    before: &BTreeMap<String, String>,
    starting: bool,
) -> BTreeMap<String, String> {
    if starting {
        return wanted.iter().map(|(name, wanted)| (name.clone(), wanted.value.clone())).collect();
    }
    let is_static = |name: &str| catalog::known().get(name).is_some_and(|known| known.is_static);
    let kept = before.iter().filter(|(name, _)| match wanted.get(*name) {
        Some(wanted) => wanted.at_start,
        None => is_static(name),
    });
    let kept = kept.map(|(name, value)| (name.clone(), value.clone()));
    let now = wanted.iter().filter(|(_, wanted)| !wanted.at_start);
    kept.chain(now.map(|(name, wanted)| (name.clone(), wanted.value.clone()))).collect()
}

/// Raises parameters of a standby to those of its primary where they must not be lower.
pub(crate) fn raise(parameters: &mut BTreeMap<String, String>, primary: &BTreeMap<String, String>) {
    for name in NOT_LESS {
        let number =
            |parameters: &BTreeMap<String, String>| parameters.get(*name).and_then(|value| value.parse::<u64>().ok());
        if let Some(floor) = number(primary)
            && number(parameters).is_none_or(|own| own < floor)
        {
            parameters.insert((*name).to_owned(), floor.to_string());
        }
    }
}

/// Returns whether a running standby has a lower value than its primary of a parameter that must not be lower.
pub(crate) fn too_small(standby: &BTreeMap<String, String>, primary: &BTreeMap<String, String>) -> bool {
    let mut raised = standby.clone();
    raise(&mut raised, primary);
    raised != *standby
}

/// Returns whether a server refuses connections without TLS. By default, it does from PostgreSQL 15 and Aurora PostgreSQL 17
/// on.
///
/// <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/PostgreSQL.Concepts.General.SSL.html>,
/// <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraPostgreSQL.Security.html>
pub(crate) fn forces_tls(engine: &str, version: &str, parameters: &BTreeMap<String, String>) -> bool {
    let first = if engine == "postgres" { 15 } else { 17 };
    let by_default = || version.split('.').next().and_then(|major| major.parse::<u32>().ok()) >= Some(first);
    parameters.get(FORCE_SSL).map_or_else(by_default, |value| is_on(value))
}

fn is_on(value: &str) -> bool {
    ["1", "on", "true"].contains(&value)
}

/// The upstream of a server, and the command that restores log segments which the upstream has removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Following {
    pub(crate) connection: Option<String>,
    pub(crate) restore_command: Option<String>,
}

/// Returns the content of `postgresql.conf`.
pub(crate) fn file(parameters: &BTreeMap<String, String>, following: &Following) -> String {
    let logical = parameters.get(LOGICAL_REPLICATION).is_some_and(|value| is_on(value));
    let mut settings: BTreeMap<&str, &str> = BTreeMap::from([
        ("hot_standby", "on"),
        ("log_line_prefix", "%t:%r:%u@%d:[%p]:"),
        ("max_wal_senders", "20"),
        ("shared_buffers", "16MB"),
        ("wal_keep_size", "512MB"),
        ("wal_level", if logical { "logical" } else { "replica" }),
        ("wal_retrieve_retry_interval", "200ms"),
    ]);
    let own = parameters.iter().filter(|(name, _)| !name.starts_with(OF_SERVICE));
    settings.extend(own.map(|(name, value)| (name.as_str(), value.as_str())));
    settings.extend(following.connection.as_deref().map(|connection| ("primary_conninfo", connection)));
    settings.extend(following.restore_command.as_deref().map(|command| ("restore_command", command)));
    let mut text = String::from("# Written by the local cloud whenever the instance or its parameter groups change.\n");
    for (name, value) in settings {
        let _ = writeln!(text, "{name} = '{}'", value.replace('\\', "\\\\").replace('\'', "''"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn static_parameters_take_effect_only_at_a_start() {
        crate::runtime::postgres::discover();
        let wanted: BTreeMap<String, Wanted> = [("max_connections", "50", true), ("work_mem", "128", false)]
            .map(|(name, value, at_start)| (name.to_owned(), Wanted { value: value.to_owned(), at_start }))
            .into();
        let before = map(&[("max_connections", "40"), ("log_statement", "all"), ("max_worker_processes", "9")]);
        let running = effective(&wanted, &before, false);
        assert_eq!(running, map(&[("max_connections", "40"), ("max_worker_processes", "9"), ("work_mem", "128")]));
        assert_eq!(effective(&wanted, &before, true), map(&[("max_connections", "50"), ("work_mem", "128")]));
    }

    #[test]
    fn parameters_of_a_standby_are_not_lower_than_on_its_primary() {
        let primary = map(&[("max_connections", "50"), ("work_mem", "128")]);
        let mut standby = map(&[("max_connections", "20")]);
        assert!(too_small(&standby, &primary));
        raise(&mut standby, &primary);
        assert_eq!(standby, map(&[("max_connections", "50")]));
        assert!(!too_small(&standby, &primary));
    }

    #[test]
    fn tls_is_demanded_by_the_parameter_or_the_default_of_the_version() {
        let by_default = |engine, version| forces_tls(engine, version, &BTreeMap::new());
        assert!(!by_default("postgres", "14.9") && by_default("postgres", "15.4"));
        assert!(!by_default("aurora-postgresql", "16.1") && by_default("aurora-postgresql", "17.4"));
        assert!(!forces_tls("postgres", "15.4", &map(&[(FORCE_SSL, "0")])));
        assert!(forces_tls("postgres", "14.9", &map(&[(FORCE_SSL, "1")])));
        assert!(!file(&map(&[(FORCE_SSL, "1")]), &Following::default()).contains("force_ssl"));
    }

    #[test]
    fn values_are_quoted() {
        let text = file(&map(&[("search_path", "'a', \"b\"")]), &Following::default());
        assert!(text.contains("search_path = '''a'', \"b\"'\n"), "{text}");
    }
}
