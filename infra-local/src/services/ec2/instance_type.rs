//! Descriptions of instance types.

use super::{Ec2Operation, never};
use crate::model::Cloud;
use crate::model::ec2::instance_type::{InstanceType, TYPES};
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] =
    &[Operation::reads("DescribeInstanceTypes", describe, &[&["InstanceType.N"], FILTERS, PAGES]).on_any()];

fn describe(_: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let names = params.texts("InstanceType");
    let wanted = if names.is_empty() {
        TYPES.iter().collect()
    } else {
        names.iter().map(|name| InstanceType::named(name)).collect::<Outcome<Vec<_>>>()?
    };
    let fields: Vec<Field<&InstanceType>> = [PROPERTIES, NETWORK].concat().into_iter().chain(absent()).collect();
    let found = Filters::parse(params)?.apply_untagged(wanted.into_iter(), &fields)?;
    let page = Page::of(found, params, |kind| kind.name)?;
    Ok(Node::new().list("instanceTypeSet", page.items.into_iter().map(render)).maybe("nextToken", page.next))
}

/// A filter of instance types, which are constants.
type TypeField = Field<&'static InstanceType>;

/// Filters of properties, by the elements of the description.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypes.html>
const PROPERTIES: &[TypeField] = &[
    ("auto-recovery-supported", |kind| at(kind, "autoRecoverySupported")),
    ("bare-metal", |kind| at(kind, "bareMetal")),
    ("burstable-performance-supported", |kind| at(kind, "burstablePerformanceSupported")),
    ("current-generation", |kind| at(kind, "currentGeneration")),
    ("dedicated-hosts-supported", |kind| at(kind, "dedicatedHostsSupported")),
    ("ebs-info.ebs-optimized-support", |kind| at(kind, "ebsInfo.ebsOptimizedSupport")),
    ("ebs-info.encryption-support", |kind| at(kind, "ebsInfo.encryptionSupport")),
    ("ebs-info.nvme-support", |kind| at(kind, "ebsInfo.nvmeSupport")),
    ("free-tier-eligible", |kind| at(kind, "freeTierEligible")),
    ("hibernation-supported", |kind| at(kind, "hibernationSupported")),
    ("hypervisor", |kind| at(kind, "hypervisor")),
    ("instance-storage-supported", |kind| at(kind, "instanceStorageSupported")),
    ("instance-type", |kind| at(kind, "instanceType")),
    ("memory-info.size-in-mib", |kind| at(kind, "memoryInfo.sizeInMiB")),
    ("nitro-enclaves-support", |kind| at(kind, "nitroEnclavesSupport")),
    ("nitro-tpm-support", |kind| at(kind, "nitroTpmSupport")),
    ("processor-info.supported-architecture", |kind| at(kind, "processorInfo.supportedArchitectures")),
    ("supported-boot-mode", |kind| at(kind, "supportedBootModes")),
    ("supported-root-device-type", |kind| at(kind, "supportedRootDeviceTypes")),
    ("supported-usage-class", |kind| at(kind, "supportedUsageClasses")),
    ("supported-virtualization-type", |kind| at(kind, "supportedVirtualizationTypes")),
    ("vcpu-info.default-cores", |kind| at(kind, "vCpuInfo.defaultCores")),
    ("vcpu-info.default-threads-per-core", |kind| at(kind, "vCpuInfo.defaultThreadsPerCore")),
    ("vcpu-info.default-vcpus", |kind| at(kind, "vCpuInfo.defaultVCpus")),
];

/// Filters of the network of an instance of the local cloud, which has IPv4 addresses only.
const NETWORK: &[TypeField] = &[
    ("network-info.efa-supported", |kind| at(kind, "networkInfo.efaSupported")),
    ("network-info.ena-support", |kind| at(kind, "networkInfo.enaSupport")),
    ("network-info.encryption-in-transit-supported", |kind| at(kind, "networkInfo.encryptionInTransitSupported")),
    ("network-info.ipv4-addresses-per-interface", |kind| at(kind, "networkInfo.ipv4AddressesPerInterface")),
    ("network-info.ipv6-addresses-per-interface", |kind| at(kind, "networkInfo.ipv6AddressesPerInterface")),
    ("network-info.ipv6-supported", |kind| at(kind, "networkInfo.ipv6Supported")),
    ("network-info.maximum-network-cards", |kind| at(kind, "networkInfo.maximumNetworkCards")),
    ("network-info.maximum-network-interfaces", |kind| at(kind, "networkInfo.maximumNetworkInterfaces")),
];

/// Filters of properties that no type of the local cloud has.
fn absent() -> impl Iterator<Item = TypeField> {
    let names = [
        "ebs-info.attachment-limit-type",
        "ebs-info.ebs-optimized-info.baseline-bandwidth-in-mbps",
        "ebs-info.ebs-optimized-info.baseline-iops",
        "ebs-info.ebs-optimized-info.baseline-throughput-in-mbps",
        "ebs-info.ebs-optimized-info.maximum-bandwidth-in-mbps",
        "ebs-info.ebs-optimized-info.maximum-iops",
        "ebs-info.ebs-optimized-info.maximum-throughput-in-mbps",
        "ebs-info.maximum-ebs-attachments",
        "instance-storage-info.disk.count",
        "instance-storage-info.disk.size-in-gb",
        "instance-storage-info.disk.type",
        "instance-storage-info.encryption-support",
        "instance-storage-info.nvme-support",
        "instance-storage-info.total-size-in-gb",
        "network-info.bandwidth-weightings",
        "network-info.efa-info.maximum-efa-interfaces",
        "network-info.flexible-ena-queues-support",
        "network-info.network-performance",
        "nitro-tpm-info.supported-versions",
        "processor-info.supported-features",
        "processor-info.sustained-clock-speed-in-ghz",
        "reboot-migration-support",
        "vcpu-info.valid-cores",
        "vcpu-info.valid-threads-per-core",
    ];
    names.into_iter().map(|name| (name, never as fn(&&'static InstanceType) -> Vec<String>))
}

/// Returns the texts at a path of the type's description.
fn at(kind: &InstanceType, path: &str) -> Vec<String> {
    render(kind).texts(path)
}

fn render(kind: &InstanceType) -> Node {
    let nitro = !kind.name.starts_with("t2");
    let threads = if nitro { 2 } else { 1 };
    let boot_modes: &[&str] = if nitro { &["legacy-bios", "uefi"] } else { &["legacy-bios"] };
    let ebs = Node::new()
        .with("ebsOptimizedSupport", if nitro { "default" } else { "unsupported" })
        .with("encryptionSupport", "supported")
        .with("nvmeSupport", if nitro { "required" } else { "unsupported" });
    let (interfaces, addresses) = kind.interface_limits();
    let network = Node::new()
        .with("maximumNetworkInterfaces", interfaces)
        .with("maximumNetworkCards", 1)
        .with("ipv4AddressesPerInterface", addresses)
        .with("ipv6AddressesPerInterface", 0)
        .with("ipv6Supported", false)
        .with("enaSupport", if nitro { "required" } else { "unsupported" })
        .with("efaSupported", false)
        .with("encryptionInTransitSupported", false);
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
        .with("ebsInfo", ebs)
        .with("networkInfo", network)
        .with("placementGroupInfo", Node::new().list("supportedStrategies", ["cluster", "partition", "spread"]))
        .with("hibernationSupported", false)
        .with("burstablePerformanceSupported", kind.burstable())
        .with("dedicatedHostsSupported", false)
        .with("autoRecoverySupported", false)
        .list("supportedBootModes", boot_modes.iter().copied())
        .with("nitroEnclavesSupport", "unsupported")
        .with("nitroTpmSupport", "unsupported")
}
