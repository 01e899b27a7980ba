//! The programs and units that are identical on all hosts. The programs are in Python, which Debian's cloud images contain
//! because cloud-init needs it.

/// Installs packages and programs and configures PostgreSQL; reads `/etc/infra/setup.json`.
pub(super) const SETUP: &str = include_str!("host/setup.py");
/// Writes the services' environments and applies the database's password; reads `/etc/infra/start/*.json`.
pub(super) const START: &str = include_str!("host/start.py");

/// Makes the host's PostgreSQL server a standby; [`START`] runs it.
pub(super) const STANDBY: &str = include_str!("host/standby.py");

/// Configures the host's MariaDB server; [`START`] runs it.
pub(super) const MARIADB: &str = include_str!("host/mariadb.py");

/// Returns the unit that runs [`SETUP`] until it succeeds once.
pub(super) fn setup_unit(region: &str) -> String {
    include_str!("host/infra-setup.service").replace("{region}", region)
}

/// Returns the unit that runs [`START`] at every start of the host, until it succeeds. The first start of a standby copies
/// the data of its primary, which may take hours.
pub(super) fn start_unit(region: &str, has_standby: bool) -> String {
    let timeout = if has_standby { "1d" } else { "5min" };
    include_str!("host/infra.service").replace("{region}", region).replace("{timeout}", timeout)
}

#[cfg(test)]
mod tests;
