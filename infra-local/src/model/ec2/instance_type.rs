//! The supported instance types, as constants.

use crate::wire::{ApiError, Outcome};

/// An instance type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InstanceType {
    pub(crate) name: &'static str,
    pub(crate) vcpus: u32,
    pub(crate) memory_mib: u32,
}

impl InstanceType {
    /// Returns the type with this name.
    pub(crate) fn named(name: &str) -> Outcome<&'static InstanceType> {
        let found = TYPES.iter().find(|kind| kind.name == name);
        found.ok_or_else(|| {
            let known: Vec<&str> = TYPES.iter().map(|kind| kind.name).collect();
            ApiError::invalid(format!(
                "Invalid value '{name}' for InstanceType; the local cloud has {}",
                known.join(", ")
            ))
        })
    }

    /// Returns the highest number of network interfaces, and of private IPv4 addresses of each.
    ///
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/AvailableIpPerENI.html>
    pub(crate) fn interface_limits(&self) -> (usize, usize) {
        let (family, size) = self.name.split_once('.').unwrap_or_default();
        match (family, size) {
            ("t2" | "t3" | "t3a", "nano" | "micro") => (2, 2),
            ("t3a", "small") => (2, 4),
            ("t2" | "t3", "small") => (3, 4),
            ("t2" | "t3" | "t3a", "medium") => (3, 6),
            ("t2" | "t3" | "t3a", "large") => (3, 12),
            ("t2", _) => (3, 15),
            (_, "large") => (3, 10),
            (_, "xlarge" | "2xlarge") => (4, 15),
            _ => (8, 30),
        }
    }

    /// Returns whether the type has CPU credits, as T types do.
    pub(crate) fn burstable(&self) -> bool {
        self.name.starts_with('t')
    }
}

const fn kind(name: &'static str, vcpus: u32, memory_mib: u32) -> InstanceType {
    InstanceType { name, vcpus, memory_mib }
}

pub(crate) const TYPES: &[InstanceType] = &[
    kind("t2.nano", 1, 512),
    kind("t2.micro", 1, 1024),
    kind("t2.small", 1, 2048),
    kind("t2.medium", 2, 4096),
    kind("t2.large", 2, 8192),
    kind("t2.xlarge", 4, 16384),
    kind("t2.2xlarge", 8, 32768),
    kind("t3.nano", 2, 512),
    kind("t3.micro", 2, 1024),
    kind("t3.small", 2, 2048),
    kind("t3.medium", 2, 4096),
    kind("t3.large", 2, 8192),
    kind("t3.xlarge", 4, 16384),
    kind("t3.2xlarge", 8, 32768),
    kind("t3a.nano", 2, 512),
    kind("t3a.micro", 2, 1024),
    kind("t3a.small", 2, 2048),
    kind("t3a.medium", 2, 4096),
    kind("t3a.large", 2, 8192),
    kind("t3a.xlarge", 4, 16384),
    kind("t3a.2xlarge", 8, 32768),
    kind("m5.large", 2, 8192),
    kind("m5.xlarge", 4, 16384),
    kind("m5.2xlarge", 8, 32768),
    kind("m5.4xlarge", 16, 65536),
    kind("m5.8xlarge", 32, 131_072),
    kind("m5.12xlarge", 48, 196_608),
    kind("m5a.large", 2, 8192),
    kind("m5a.xlarge", 4, 16384),
    kind("m5a.2xlarge", 8, 32768),
    kind("m5a.4xlarge", 16, 65536),
    kind("m5a.8xlarge", 32, 131_072),
    kind("m5a.12xlarge", 48, 196_608),
    kind("m6i.large", 2, 8192),
    kind("m6i.xlarge", 4, 16384),
    kind("m6i.2xlarge", 8, 32768),
    kind("m6i.4xlarge", 16, 65536),
    kind("m6i.8xlarge", 32, 131_072),
    kind("m6i.12xlarge", 48, 196_608),
    kind("m6a.large", 2, 8192),
    kind("m6a.xlarge", 4, 16384),
    kind("m6a.2xlarge", 8, 32768),
    kind("m6a.4xlarge", 16, 65536),
    kind("m6a.8xlarge", 32, 131_072),
    kind("m6a.12xlarge", 48, 196_608),
    kind("m7i.large", 2, 8192),
    kind("m7i.xlarge", 4, 16384),
    kind("m7i.2xlarge", 8, 32768),
    kind("m7i.4xlarge", 16, 65536),
    kind("m7i.8xlarge", 32, 131_072),
    kind("m7i.12xlarge", 48, 196_608),
    kind("c6i.large", 2, 4096),
    kind("c6i.xlarge", 4, 8192),
    kind("c6i.2xlarge", 8, 16384),
    kind("c6i.4xlarge", 16, 32768),
    kind("c6i.8xlarge", 32, 65536),
    kind("c6i.12xlarge", 48, 98304),
    kind("c6a.large", 2, 4096),
    kind("c6a.xlarge", 4, 8192),
    kind("c6a.2xlarge", 8, 16384),
    kind("c6a.4xlarge", 16, 32768),
    kind("c6a.8xlarge", 32, 65536),
    kind("c6a.12xlarge", 48, 98304),
    kind("c7i.large", 2, 4096),
    kind("c7i.xlarge", 4, 8192),
    kind("c7i.2xlarge", 8, 16384),
    kind("c7i.4xlarge", 16, 32768),
    kind("c7i.8xlarge", 32, 65536),
    kind("c7i.12xlarge", 48, 98304),
    kind("r5.large", 2, 16384),
    kind("r5.xlarge", 4, 32768),
    kind("r5.2xlarge", 8, 65536),
    kind("r5.4xlarge", 16, 131_072),
    kind("r5.8xlarge", 32, 262_144),
    kind("r5.12xlarge", 48, 393_216),
    kind("r5a.large", 2, 16384),
    kind("r5a.xlarge", 4, 32768),
    kind("r5a.2xlarge", 8, 65536),
    kind("r5a.4xlarge", 16, 131_072),
    kind("r5a.8xlarge", 32, 262_144),
    kind("r5a.12xlarge", 48, 393_216),
    kind("r6i.large", 2, 16384),
    kind("r6i.xlarge", 4, 32768),
    kind("r6i.2xlarge", 8, 65536),
    kind("r6i.4xlarge", 16, 131_072),
    kind("r6i.8xlarge", 32, 262_144),
    kind("r6i.12xlarge", 48, 393_216),
    kind("r6a.large", 2, 16384),
    kind("r6a.xlarge", 4, 32768),
    kind("r6a.2xlarge", 8, 65536),
    kind("r6a.4xlarge", 16, 131_072),
    kind("r6a.8xlarge", 32, 262_144),
    kind("r6a.12xlarge", 48, 393_216),
    kind("r7i.large", 2, 16384),
    kind("r7i.xlarge", 4, 32768),
    kind("r7i.2xlarge", 8, 65536),
    kind("r7i.4xlarge", 16, 131_072),
    kind("r7i.8xlarge", 32, 262_144),
    kind("r7i.12xlarge", 48, 393_216),
    kind("c5.large", 2, 4096),
    kind("c5.xlarge", 4, 8192),
    kind("c5.2xlarge", 8, 16384),
    kind("c5.4xlarge", 16, 32768),
    kind("c5.9xlarge", 36, 73728),
    kind("c5.12xlarge", 48, 98304),
];
