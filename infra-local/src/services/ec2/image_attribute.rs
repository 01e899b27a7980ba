//! Attributes of images: the description, and the accounts that can launch the image.

use std::collections::BTreeSet;

use super::{Ec2Operation, resource};
use crate::domain::ec2::unknown_image;
use crate::model::Cloud;
use crate::model::ec2::image::{EVERYONE, Image};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::reads("DescribeImageAttribute", describe, &[&["ImageId", "Attribute"]]).on(&[resource::IMAGE]),
    Operation::writes(
        "ModifyImageAttribute",
        modify,
        &[&[
            "ImageId",
            "Attribute",
            "Value",
            "Description.Value",
            "OperationType",
            "UserGroup.N",
            "UserId.N",
            "LaunchPermission.Add.N.UserId",
            "LaunchPermission.Add.N.Group",
            "LaunchPermission.Remove.N.UserId",
            "LaunchPermission.Remove.N.Group",
        ]],
    )
    .on(&[resource::IMAGE]),
    Operation::writes("ResetImageAttribute", reset, &[&["ImageId", "Attribute"]]).on(&[resource::IMAGE]),
];

/// Launch permissions that a request adds and removes.
struct Permissions {
    added: BTreeSet<String>,
    removed: BTreeSet<String>,
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let id = call.input.required("ImageId")?;
    let image = cloud.region(call.region)?.image(id).ok_or_else(|| unknown_image(id))?;
    let answer = Node::new().with("imageId", &image.id);
    match call.input.required("Attribute")? {
        "description" => Ok(answer.with("description", Node::new().with("value", &image.description))),
        "launchPermission" => {
            let everyone = image.is_public().then(|| Node::new().with("group", EVERYONE));
            let accounts = image.shared_with.iter().filter(|account| *account != EVERYONE);
            let accounts = accounts.map(|account| Node::new().with("userId", account));
            Ok(answer.list("launchPermission", everyone.into_iter().chain(accounts)))
        }
        "productCodes" => Ok(answer.list("productCodes", Vec::<Node>::new())),
        other => Err(unknown(other)),
    }
}

/// Changes the description or the launch permissions of an image. The API has two forms of each.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyImageAttribute.html>
fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let permissions = permissions(params)?;
    let description = match (params.optional("Attribute"), params.optional("Description.Value"), &permissions) {
        (None, Some(_), Some(_)) => {
            let message = "Fields for multiple attribute types specified; one attribute is modified at a time";
            return Err(ApiError::new("InvalidParameterCombination", message));
        }
        (None, Some(description), None) => Some(description),
        (Some("description"), None, None) => Some(params.required("Value")?),
        (None | Some("launchPermission"), None, Some(_)) => None,
        (Some("launchPermission"), None, None) => return Err(ApiError::missing("launchPermission")),
        (Some(other), _, _) => return Err(unknown(other)),
        (None, None, None) => return Err(ApiError::missing("Attribute")),
    };
    let image = own(cloud, call)?;
    if let Some(description) = description {
        description.clone_into(&mut image.description);
    }
    if let Some(Permissions { added, removed }) = permissions {
        if image.encrypted && added.contains(EVERYONE) {
            let message = format!("The image '{}' has encrypted snapshots and cannot be made public.", image.id);
            return Err(ApiError::new("OperationNotPermitted", message));
        }
        image.shared_with.extend(added);
        image.shared_with.retain(|account| !removed.contains(account));
    }
    Ok(Node::success())
}

/// Reads the launch permissions of a request; `None` if it contains none.
fn permissions(params: &Params) -> Outcome<Option<Permissions>> {
    let (mut added, mut removed) = (accounts(params, "Add")?, accounts(params, "Remove")?);
    let listed = [params.texts("UserId"), params.texts("UserGroup")].concat();
    match params.optional("OperationType") {
        Some("add") => added.extend(listed),
        Some("remove") => removed.extend(listed),
        Some(other) => {
            return Err(ApiError::invalid(format!("Value ({other}) for parameter operationType is invalid.")));
        }
        None if !listed.is_empty() => return Err(ApiError::missing("operationType")),
        None => {}
    }
    for account in added.iter().chain(&removed) {
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        if !is_account && account != EVERYONE {
            let message = format!("Invalid attribute item value \"{account}\" for userId item type.");
            return Err(ApiError::new("InvalidAMIAttributeItemValue", message));
        }
    }
    Ok((!added.is_empty() || !removed.is_empty()).then_some(Permissions { added, removed }))
}

fn accounts(params: &Params, change: &str) -> Outcome<BTreeSet<String>> {
    let permission = params.structure("LaunchPermission").unwrap_or_default();
    let entries = permission.structures(change);
    let accounts = entries.iter().map(|entry| match entry.optional("Group") {
        Some(group) => Ok(group.to_owned()),
        None => entry.required("UserId").map(str::to_owned),
    });
    accounts.collect()
}

/// Removes all launch permissions.
fn reset(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    match call.input.required("Attribute")? {
        "launchPermission" => own(cloud, call)?.shared_with.clear(),
        other => return Err(unknown(other)),
    }
    Ok(Node::success())
}

/// Finds an image of the account.
fn own<'a>(cloud: &'a mut Cloud, call: &Call<'_, Params>) -> Outcome<&'a mut Image> {
    let id = call.input.required("ImageId")?;
    let region = cloud.region_mut(call.region)?;
    if !region.ec2.images.contains_key(id) && region.image(id).is_some() {
        let message = format!("Not authorized for image:{id}");
        return Err(ApiError::new("AuthFailure", message));
    }
    region.ec2.images.get_mut(id).ok_or_else(|| unknown_image(id))
}

fn unknown(attribute: &str) -> ApiError {
    ApiError::invalid(format!("Value ({attribute}) for parameter attribute is invalid. Unknown attribute."))
}
