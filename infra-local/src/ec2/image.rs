//! Machine images: stock Debian.

use super::Ec2Operation;
use crate::cloud::Cloud;
use crate::model::image::{Image, images};
use crate::wire::filter::{Field, wildcard_match};
use crate::wire::{ApiError, Call, FILTERS, Filters, Node, Operation, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[Operation::reads(
    "DescribeImages",
    describe,
    &[&["ImageId.N", "Owner.N", "ExecutableBy.N", "IncludeDeprecated", "IncludeDisabled"], FILTERS, PAGES],
)];

fn describe(_: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let all = images(call.region);
    let (ids, owners, users) = (params.texts("ImageId"), params.texts("Owner"), params.texts("ExecutableBy"));
    if let Some(missing) = ids.iter().find(|id| !all.iter().any(|image| image.id == **id)) {
        return Err(not_found(missing));
    }
    let wanted = all.into_iter().filter(|image| {
        (ids.is_empty() || ids.contains(&image.id))
            && (owners.is_empty() || owners.iter().any(|owner| wildcard_match(owner, image.stock.owner)))
            && (users.is_empty() || users.iter().any(|user| user == "all"))
    });
    let found = Filters::parse(params)?.apply_untagged(wanted, FIELDS)?;
    let page = Page::of(found, params, |image| &image.id)?;
    Ok(Node::new().list("imagesSet", page.items.iter().map(render)).maybe("nextToken", page.next))
}

/// AWS's error for an image that is not there.
pub(super) fn not_found(id: &str) -> ApiError {
    ApiError::new("InvalidAMIID.NotFound", format!("The image id '[{id}]' does not exist"))
}

const FIELDS: &[Field<Image>] = &[
    ("image-id", |image| vec![image.id.clone()]),
    ("name", |image| vec![image.stock.name.to_owned()]),
    ("description", |image| vec![image.stock.description.to_owned()]),
    ("architecture", |image| vec![image.stock.architecture.to_owned()]),
    ("owner-id", |image| vec![image.stock.owner.to_owned()]),
    ("state", |_| vec!["available".to_owned()]),
    ("image-type", |_| vec!["machine".to_owned()]),
    ("is-public", |_| vec!["true".to_owned()]),
    ("root-device-type", |_| vec!["ebs".to_owned()]),
    ("root-device-name", |_| vec![ROOT_DEVICE.to_owned()]),
    ("virtualization-type", |_| vec!["hvm".to_owned()]),
    ("hypervisor", |_| vec!["xen".to_owned()]),
];

/// Where the stock images have their root volume.
pub(super) const ROOT_DEVICE: &str = "/dev/xvda";
/// How large the root volume of an image is.
pub(super) const ROOT_SIZE_GIB: u32 = 8;

fn render(image: &Image) -> Node {
    let root = Node::new().with("deviceName", ROOT_DEVICE).with(
        "ebs",
        Node::new()
            .with("deleteOnTermination", true)
            .with("snapshotId", image.id.replacen("ami-", "snap-", 1))
            .with("volumeSize", ROOT_SIZE_GIB)
            .with("volumeType", "gp3")
            .with("encrypted", false),
    );
    Node::new()
        .with("imageId", &image.id)
        .with("imageLocation", format!("amazon/{}", image.stock.name))
        .with("imageState", "available")
        .with("imageOwnerId", image.stock.owner)
        .with("creationDate", image.stock.created)
        .with("isPublic", true)
        .with("architecture", image.stock.architecture)
        .with("imageType", "machine")
        .with("platformDetails", "Linux/UNIX")
        .with("usageOperation", "RunInstances")
        .list("blockDeviceMapping", [root])
        .with("description", image.stock.description)
        .with("enaSupport", true)
        .with("hypervisor", "xen")
        .with("name", image.stock.name)
        .with("rootDeviceName", ROOT_DEVICE)
        .with("rootDeviceType", "ebs")
        .with("sriovNetSupport", "simple")
        .with("virtualizationType", "hvm")
        .with("bootMode", "uefi-preferred")
}
