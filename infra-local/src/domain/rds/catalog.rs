//! Parameters: what the PostgreSQL on this machine says it has.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use crate::runtime::postgres::find_binaries;

/// A parameter that the engine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) name: String,
    /// Whether a server takes a new value only when it starts.
    pub(crate) is_static: bool,
    /// `boolean`, `integer`, `float` or `string`.
    pub(crate) kind: &'static str,
    /// What it may be, where the server tells.
    pub(crate) allowed: Option<String>,
    pub(crate) description: String,
    pub(crate) modifiable: bool,
}

/// Parameters that the service sets itself, or that would take the server out of its hands.
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

/// Every parameter by name, as `postgres --describe-config` tells it; asked once.
pub(crate) fn known() -> &'static BTreeMap<String, Known> {
    static KNOWN: OnceLock<BTreeMap<String, Known>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let described = find_binaries()
            .ok()
            .and_then(|binaries| Command::new(binaries.postgres).arg("--describe-config").output().ok())
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        let mut known: BTreeMap<String, Known> =
            described.lines().filter_map(parse).map(|known| (known.name.clone(), known)).collect();
        let own = Known {
            name: LOGICAL_REPLICATION.to_owned(),
            is_static: true,
            kind: "boolean",
            allowed: Some("0,1".to_owned()),
            description: "Enables logical decoding.".to_owned(),
            modifiable: true,
        };
        known.insert(own.name.clone(), own);
        known
    })
}

/// One line of the description: name, context, group, type, default, least, most, what it is for.
fn parse(line: &str) -> Option<Known> {
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

/// What the server's program has against a value.
pub(crate) fn complaint(name: &str, value: &str, directory: &Path) -> Option<String> {
    let postgres = find_binaries().ok()?.postgres;
    let output = Command::new(postgres)
        .args(["-C", name, "--config-file=/dev/null", "-c", &format!("{name}={value}"), "-D"])
        .arg(directory)
        .output()
        .ok()?;
    if output.status.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let said = |mark: &str| text.lines().find_map(|line| Some(line.split_once(mark)?.1.trim().to_owned()));
    said("HINT:").or_else(|| said("FATAL:")).or(Some(text))
}
