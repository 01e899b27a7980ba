//! Parameters of the installed PostgreSQL, and which of them users of RDS can change.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::domain::postgres::{self, Known};

/// Parameters that RDS sets itself, or that would prevent it from controlling the server.
const MANAGED: &[&str] = &[
    "allow_system_table_mods",
    "archive_cleanup_command",
    "archive_command",
    "archive_library",
    "archive_mode",
    "bonjour",
    "bonjour_name",
    "cluster_name",
    "config_file",
    "data_directory",
    "data_directory_mode",
    "data_sync_retry",
    "dynamic_library_path",
    "event_source",
    "exit_on_error",
    "external_pid_file",
    "fsync",
    "full_page_writes",
    "hba_file",
    "hot_standby",
    "ident_file",
    "ignore_checksum_failure",
    "ignore_system_indexes",
    "jit_provider",
    "krb_caseins_users",
    "krb_server_keyfile",
    "listen_addresses",
    "local_preload_libraries",
    "log_destination",
    "log_directory",
    "log_file_mode",
    "log_filename",
    "log_truncate_on_rotation",
    "logging_collector",
    "password_encryption",
    "port",
    "primary_conninfo",
    "primary_slot_name",
    "promote_trigger_file",
    "recovery_end_command",
    "restart_after_crash",
    "restore_command",
    "shared_memory_type",
    "synchronous_standby_names",
    "syslog_facility",
    "syslog_ident",
    "unix_socket_directories",
    "unix_socket_group",
    "unix_socket_permissions",
    "wal_level",
    "wal_log_hints",
    "wal_sync_method",
    "zero_damaged_pages",
];

/// The service's own parameter for `wal_level`.
pub(crate) const LOGICAL_REPLICATION: &str = "rds.logical_replication";

/// The service's own parameter that refuses connections without TLS.
pub(crate) const FORCE_SSL: &str = "rds.force_ssl";

/// Prefix of the parameters that the service itself evaluates.
pub(crate) const OF_SERVICE: &str = "rds.";

/// Returns the parameters of the installed PostgreSQL, and those of RDS, by name.
pub(crate) fn known() -> &'static BTreeMap<String, Known> {
    static OWN: LazyLock<BTreeMap<String, Known>> = LazyLock::new(|| parse(""));
    postgres::installed().map_or(&OWN, |installed| &installed.parameters)
}

/// Parses the output of `postgres --describe-config`, and adds the service's own parameters.
pub(crate) fn parse(described: &str) -> BTreeMap<String, Known> {
    let own = |name: &str, is_static, description: &str| Known {
        name: name.to_owned(),
        is_static,
        kind: "boolean",
        allowed: Some("0,1".to_owned()),
        description: description.to_owned(),
        modifiable: true,
    };
    let own =
        [own(LOGICAL_REPLICATION, true, "Enables logical decoding."), own(FORCE_SSL, false, "Force SSL connections.")];
    let known = described.lines().filter_map(parse_line).chain(own);
    known.map(|known| (known.name.clone(), known)).collect()
}

/// Parses a line of the description: name, context, group, type, default, minimum, maximum, description.
fn parse_line(line: &str) -> Option<Known> {
    let mut fields = line.split('\t');
    let name = fields.next()?.to_lowercase();
    let context = fields.next()?;
    let kind = fields.nth(1)?;
    let (least, most) = (fields.nth(1)?, fields.next()?);
    let description = fields.next()?.to_owned();
    if context == "internal" || name.is_empty() {
        return None;
    }
    let (kind, allowed) = match kind {
        "BOOLEAN" => ("boolean", Some("0,1".to_owned())),
        "INTEGER" => ("integer", Some(format!("{least}-{most}"))),
        "REAL" => ("float", Some(format!("{least}-{most}"))),
        _ => ("string", None),
    };
    let managed = MANAGED.contains(&name.as_str()) || name.starts_with("ssl") || name.starts_with("recovery_target");
    let modifiable = !managed && !name.starts_with("debug_") && !name.starts_with("trace_");
    Some(Known { name, is_static: context == "postmaster", kind, allowed, description, modifiable })
}
