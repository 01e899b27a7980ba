//! The files by which programs resolve names: `/etc/resolv.conf` and `/etc/hosts`.

use serde::{Deserialize, Serialize};

use crate::domain::names;
use crate::domain::network::{Network, RESOLVER};

/// Files of an instance that take the place of this machine's, for programs in the namespace of its interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NameFiles {
    /// Content of `/etc/resolv.conf`: what the DHCP options of the VPC lead to.
    pub(crate) resolv_conf: String,
    /// Content of `/etc/hosts`: `localhost` and the host's own name.
    pub(crate) hosts: String,
}

impl NameFiles {
    /// Returns the files of an interface's host, if the interface is connected.
    pub(crate) fn of(network: &Network, interface: &str) -> Option<NameFiles> {
        let (vpc, interface) = network.interface(interface)?;
        let domain = &network.vpcs.get(vpc)?.domain;
        let (address, label) = (interface.address, names::private_label(interface.address));
        Some(NameFiles {
            resolv_conf: format!("nameserver {RESOLVER}\nsearch {domain}\n"),
            hosts: format!("127.0.0.1 localhost\n{address} {label}.{domain} {label}\n"),
        })
    }
}
