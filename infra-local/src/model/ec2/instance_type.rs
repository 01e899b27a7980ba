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
    kind("t3.nano", 2, 512),
    kind("t3.micro", 2, 1024),
    kind("t3.small", 2, 2048),
    kind("t3.medium", 2, 4096),
    kind("t3.large", 2, 8192),
    kind("t3.xlarge", 4, 16384),
    kind("m5.large", 2, 8192),
    kind("m5.xlarge", 4, 16384),
    kind("m5.2xlarge", 8, 32768),
];
