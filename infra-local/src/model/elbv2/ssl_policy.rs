//! Security policies: the TLS versions and ciphers of an HTTPS listener.
//!
//! The policies have the names and contents of AWS's, restricted to what rustls supports: TLS 1.0, TLS 1.1 and ciphers
//! without forward secrecy or authenticated encryption are neither used nor described.

/// Default policy of an HTTPS listener.
pub(crate) const DEFAULT: &str = "ELBSecurityPolicy-2016-08";

/// A security policy: its name, and whether it accepts TLS 1.2 and TLS 1.3.
#[derive(Clone, Copy)]
pub(crate) struct Policy {
    pub(crate) name: &'static str,
    pub(crate) tls12: bool,
    pub(crate) tls13: bool,
}

const fn policy(name: &'static str, tls12: bool, tls13: bool) -> Policy {
    Policy { name, tls12, tls13 }
}

pub(crate) const POLICIES: &[Policy] = &[
    policy(DEFAULT, true, false),
    policy("ELBSecurityPolicy-FS-1-2-2019-08", true, false),
    policy("ELBSecurityPolicy-FS-1-2-Res-2019-08", true, false),
    policy("ELBSecurityPolicy-FS-1-2-Res-2020-10", true, false),
    policy("ELBSecurityPolicy-TLS-1-2-2017-01", true, false),
    policy("ELBSecurityPolicy-TLS-1-2-Ext-2018-06", true, false),
    policy("ELBSecurityPolicy-TLS13-1-2-2021-06", true, true),
    policy("ELBSecurityPolicy-TLS13-1-2-Ext1-2021-06", true, true),
    policy("ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06", true, true),
    policy("ELBSecurityPolicy-TLS13-1-2-Res-2021-06", true, true),
    policy("ELBSecurityPolicy-TLS13-1-3-2021-06", false, true),
];

/// Returns the policy with this name.
pub(crate) fn find(name: &str) -> Option<Policy> {
    POLICIES.iter().find(|policy| policy.name == name).copied()
}
