//! Instance types: a handful, as data.

use super::Ec2Operation;
use crate::model::Cloud;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] =
    &[Operation::reads("DescribeInstanceTypes", describe, &[&["InstanceType.N"], FILTERS, PAGES])];

/// What matters of a type here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InstanceType {
    pub(crate) name: &'static str,
    pub(crate) vcpus: u32,
    pub(crate) memory_mib: u32,
}

impl InstanceType {
    /// The type with this name.
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

    /// Whether it lives on credits, as T types do.
    fn burstable(&self) -> bool {
        self.name.starts_with('t')
    }
}

const fn kind(name: &'static str, vcpus: u32, memory_mib: u32) -> InstanceType {
    InstanceType { name, vcpus, memory_mib }
}

const TYPES: &[InstanceType] = &[
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

fn describe(_: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let names = params.texts("InstanceType");
    let wanted = if names.is_empty() {
        TYPES.iter().collect()
    } else {
        names.iter().map(|name| InstanceType::named(name)).collect::<Outcome<Vec<_>>>()?
    };
    let fields: &[Field<&InstanceType>] = &[
        ("instance-type", |kind| vec![kind.name.to_owned()]),
        ("vcpu-info.default-vcpus", |kind| vec![kind.vcpus.to_string()]),
        ("memory-info.size-in-mib", |kind| vec![kind.memory_mib.to_string()]),
        ("processor-info.supported-architecture", |_| vec!["x86_64".to_owned()]),
        ("burstable-performance-supported", |kind| vec![kind.burstable().to_string()]),
        ("current-generation", |_| vec!["true".to_owned()]),
    ];
    let found = Filters::parse(params)?.apply_untagged(wanted.into_iter(), fields)?;
    let page = Page::of(found, params, |kind| kind.name)?;
    Ok(Node::new().list("instanceTypeSet", page.items.into_iter().map(render)).maybe("nextToken", page.next))
}

fn render(kind: &InstanceType) -> Node {
    let nitro = !kind.name.starts_with("t2");
    let threads = if nitro { 2 } else { 1 };
    Node::new()
        .with("instanceType", kind.name)
        .with("currentGeneration", true)
        .with("freeTierEligible", ["t2.micro", "t3.micro"].contains(&kind.name))
        .list("supportedUsageClasses", ["on-demand"])
        .list("supportedRootDeviceTypes", ["ebs"])
        .list("supportedVirtualizationTypes", ["hvm"])
        .with("bareMetal", false)
        .with("hypervisor", if nitro { "nitro" } else { "xen" })
        .with("processorInfo", Node::new().list("supportedArchitectures", ["x86_64"]))
        .with(
            "vCpuInfo",
            Node::new()
                .with("defaultVCpus", kind.vcpus)
                .with("defaultCores", kind.vcpus / threads)
                .with("defaultThreadsPerCore", threads),
        )
        .with("memoryInfo", Node::new().with("sizeInMiB", kind.memory_mib))
        .with("instanceStorageSupported", false)
        .with("burstablePerformanceSupported", kind.burstable())
}
