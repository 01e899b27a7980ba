//! Network ACLs: which packets enter and leave a subnet.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Tags, new_id};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NetworkAcl {
    pub(crate) id: String,
    pub(crate) vpc_id: String,
    /// The ACL that AWS creates with the VPC, for subnets without another one.
    pub(crate) default: bool,
    /// By rule number. Each direction has a last entry besides these, which denies everything.
    pub(crate) ingress: BTreeMap<u16, AclEntry>,
    /// By rule number.
    pub(crate) egress: BTreeMap<u16, AclEntry>,
    pub(crate) tags: Tags,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AclEntry {
    pub(crate) allow: bool,
    /// IANA's number. `None` matches all protocols.
    pub(crate) protocol: Option<u8>,
    /// A canonical range of the other side's addresses. A range of IPv6 addresses matches no packet.
    pub(crate) cidr: String,
    /// First and last port, of TCP and UDP only.
    pub(crate) ports: Option<(u16, u16)>,
    /// Type and code, of ICMP and ICMPv6 only. `None` matches all.
    pub(crate) icmp: Option<(Option<u8>, Option<u8>)>,
}

/// The network ACL of a subnet. Every subnet has exactly one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AclAssociation {
    pub(crate) id: String,
    pub(crate) network_acl_id: String,
}

impl AclEntry {
    /// An entry that matches all packets.
    pub(crate) fn everything(allow: bool) -> AclEntry {
        AclEntry { allow, protocol: None, cidr: "0.0.0.0/0".to_owned(), ports: None, icmp: None }
    }
}

impl NetworkAcl {
    /// An ACL as `CreateNetworkAcl` creates it: nothing passes.
    pub(crate) fn new(vpc_id: &str) -> NetworkAcl {
        NetworkAcl {
            id: new_id("acl"),
            vpc_id: vpc_id.to_owned(),
            default: false,
            ingress: BTreeMap::new(),
            egress: BTreeMap::new(),
            tags: Tags::new(),
        }
    }

    /// The ACL that a VPC is created with: everything passes.
    pub(crate) fn default_of(vpc_id: &str) -> NetworkAcl {
        let entries = BTreeMap::from([(100, AclEntry::everything(true))]);
        NetworkAcl {
            id: NetworkAcl::default_id(vpc_id),
            default: true,
            ingress: entries.clone(),
            egress: entries,
            ..NetworkAcl::new(vpc_id)
        }
    }

    /// Returns the id of a VPC's default ACL.
    pub(crate) fn default_id(vpc_id: &str) -> String {
        vpc_id.replacen("vpc-", "acl-", 1)
    }

    /// Returns the entries of a direction by rule number.
    pub(crate) fn entries(&self, egress: bool) -> &BTreeMap<u16, AclEntry> {
        if egress { &self.egress } else { &self.ingress }
    }

    /// Returns the entries of a direction, to change them.
    pub(crate) fn entries_mut(&mut self, egress: bool) -> &mut BTreeMap<u16, AclEntry> {
        if egress { &mut self.egress } else { &mut self.ingress }
    }
}

impl AclAssociation {
    pub(crate) fn new(network_acl_id: &str) -> AclAssociation {
        AclAssociation { id: new_id("aclassoc"), network_acl_id: network_acl_id.to_owned() }
    }
}
