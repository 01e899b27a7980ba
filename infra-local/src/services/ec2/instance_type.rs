//! Descriptions of instance types.

use super::Ec2Operation;
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
