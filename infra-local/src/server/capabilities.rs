//! Capabilities of this machine, so that a plan can be refused before its first resource is created.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::runtime::{mariadb, postgres, server_home, user};

/// Feature that hosts with PostgreSQL and databases require.
const POSTGRESQL: &str = "postgresql";

/// Feature that hosts with MariaDB require.
const MARIADB: &str = "mariadb";

/// Capabilities of the machine on which a cloud runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Features that are unavailable, such as `postgresql`.
    pub unavailable: BTreeMap<String, Obstacle>,
    /// Free space in the cloud's directory, in bytes.
    pub free_bytes: u64,
    /// The lowest TCP port on which the cloud may listen.
    pub lowest_port: u16,
    /// TCP ports on which another process listens at every address, so that they are unavailable.
    pub occupied_ports: BTreeSet<u16>,
}

/// Reason why a feature is unavailable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obstacle {
    /// The missing part.
    pub reason: String,
    /// The remedy.
    pub remedy: String,
}

impl Capabilities {
    /// Examines the machine and the cloud's directory.
    pub(crate) fn of(directory: &Path) -> std::io::Result<Capabilities> {
        let space = rustix::fs::statvfs(directory)?;
        let missing = [
            (POSTGRESQL, "PostgreSQL", postgres::find_binaries().err().map(|error| error.to_string())),
            (MARIADB, "MariaDB", mariadb::find_binaries().err().map(|error| error.to_string())),
        ];
        let unavailable = missing
            .into_iter()
            .filter_map(|(feature, server, missing)| Some((feature.to_owned(), obstacle(directory, server, missing)?)));
        Ok(Capabilities {
            unavailable: unavailable.collect(),
            free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
            lowest_port: lowest_port(),
            occupied_ports: ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().flat_map(occupied_ports).collect(),
        })
    }
}

/// Returns the reason why no server of this kind can run. `missing` is the error of the search for its programs.
fn obstacle(directory: &Path, server: &str, missing: Option<String>) -> Option<Obstacle> {
    if let Some(text) = missing {
        let (reason, remedy) = text.split_once(". ").unwrap_or((&text, "install it"));
        return Some(Obstacle { reason: reason.to_owned(), remedy: remedy.to_owned() });
    }
    let closed = server_home::closed_above(directory)?;
    let (closed, user) = (closed.display(), user::unprivileged_name());
    Some(Obstacle {
        reason: format!("{server} does not run as root but as {user}, who cannot enter {closed}"),
        remedy: format!(
            "let others pass through it: `chmod o+x {closed}`, or keep everything in another place: `--directory PATH`"
        ),
    })
}

fn lowest_port() -> u16 {
    const USUAL: u16 = 1024;
    if rustix::process::geteuid().is_root() {
        return 1;
    }
    let setting = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    setting.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(USUAL)
}

/// Returns the ports in one of the kernel's tables that are listened on at the unspecified address. Returns none on
/// systems without such a table.
fn occupied_ports(table: &str) -> Vec<u16> {
    std::fs::read_to_string(table).map(|text| listened_on(&text)).unwrap_or_default()
}

fn listened_on(table: &str) -> Vec<u16> {
    const LISTEN: &str = "0A";
    let sockets = table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        let (address, port) = local.split_once(':')?;
        let everywhere = address.bytes().all(|digit| digit == b'0');
        (everywhere && state == LISTEN).then(|| u16::from_str_radix(port, 16).ok()).flatten()
    });
    sockets.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_port_that_is_listened_on_at_every_address_is_occupied_and_no_other_is() {
        let directory = tempfile::tempdir().unwrap();
        let (everywhere, here) = (TcpListener::bind("0.0.0.0:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let found = Capabilities::of(directory.path()).unwrap();
        assert!(found.free_bytes > 0);
        if Path::new("/proc/net/tcp").exists() {
            assert!(found.occupied_ports.contains(&port(&everywhere)));
            assert!(TcpListener::bind(("127.99.0.1", port(&everywhere))).is_err());
        }
        assert!(!found.occupied_ports.contains(&port(&here)));
        assert!(TcpListener::bind(("127.0.0.1", found.lowest_port.max(1024))).is_ok() || found.lowest_port <= 1024);
    }

    #[test]
    fn only_listening_sockets_of_every_address_count() {
        let table = "  sl  local_address rem_address   st\n\
                     0: 00000000:1F90 00000000:0000 0A 00000000:00000000\n\
                     1: 0100007F:1F91 00000000:0000 0A 00000000:00000000\n\
                     2: 00000000:1F92 0100007F:1234 01 00000000:00000000\n\
                     3: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0\n";
        assert_eq!(listened_on(table), [8080, 80]);
    }
}
