//! Credentials of users that the local cloud does not have: MFA devices, SSH keys, signing certificates and credentials of
//! single services. They cannot be created, so every user has none. Clients ask for them before they delete a user.

use super::user::{requested_user, user};
use super::{IamOperation, PAGES, resource, with_page};
use crate::model::Cloud;
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::reads("ListMFADevices", |cloud, call| none(cloud, call, "MFADevices"), &[&["UserName"], PAGES])
        .on(&[resource::USER]),
    Operation::reads("ListSSHPublicKeys", |cloud, call| none(cloud, call, "SSHPublicKeys"), &[&["UserName"], PAGES])
        .on(&[resource::USER]),
    Operation::reads(
        "ListSigningCertificates",
        |cloud, call| none(cloud, call, "Certificates"),
        &[&["UserName"], PAGES],
    )
    .on(&[resource::USER]),
    Operation::reads(
        "ListServiceSpecificCredentials",
        |cloud, call| none(cloud, call, "ServiceSpecificCredentials"),
        &[&["UserName", "ServiceName"], PAGES],
    )
    .on(&[resource::USER]),
    Operation::reads("ListVirtualMFADevices", no_devices, &[&["AssignmentStatus"], PAGES]).on_any(),
];

fn none(cloud: &Cloud, call: &Call<'_, Params>, list: &'static str) -> Outcome<Node> {
    user(&cloud.iam, &requested_user(cloud, call)?)?;
    Ok(with_page(Node::new().list(list, Vec::<Node>::new()), None))
}

#[allow(clippy::unnecessary_wraps)]
fn no_devices(_: &Cloud, _: &Call<'_, Params>) -> Outcome<Node> {
    Ok(with_page(Node::new().list("VirtualMFADevices", Vec::<Node>::new()), None))
}
