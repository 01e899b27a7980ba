//! Access keys of users.
//!
//! Source: IAM API reference, `CreateAccessKey`, `UpdateAccessKey`, `GetAccessKeyLastUsed` and related operations.

use super::user::{requested_user, user};
use super::{IamOperation, PAGES, limit_exceeded, no_such_entity, page, resource, user_mut, validation, with_page};
use crate::model::Cloud;
use crate::model::iam::{AccessKey, ISSUED_KEY};
use crate::model::ids;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::writes("CreateAccessKey", create, &[&["UserName"]]).on(&[resource::USER]),
    Operation::writes("UpdateAccessKey", update, &[&["UserName", "AccessKeyId", "Status"]]).on(&[resource::USER]),
    Operation::writes("DeleteAccessKey", delete, &[&["UserName", "AccessKeyId"]]).on(&[resource::USER]),
    Operation::reads("ListAccessKeys", list, &[&["UserName"], PAGES]).on(&[resource::USER]),
    Operation::reads("GetAccessKeyLastUsed", last_used, &[&["AccessKeyId"]]).on(&[resource::USER_OF_KEY]),
];

/// AWS's quota of access keys per user.
const KEYS_LIMIT: usize = 2;

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let name = requested_user(cloud, call)?;
    let user = user_mut(cloud, &name)?;
    if user.access_keys.len() >= KEYS_LIMIT {
        return Err(limit_exceeded(format!("Cannot exceed quota for AccessKeysPerUser: {KEYS_LIMIT}")));
    }
    let id = format!("{ISSUED_KEY}{}", ids::random_hex(11).to_uppercase());
    let key = AccessKey { secret: ids::secret_key(), active: true, created: call.now, last_used: None };
    let node = render(&name, &id, &key).with("SecretAccessKey", &key.secret);
    user.access_keys.insert(id, key);
    Ok(Node::new().with("AccessKey", node))
}

fn update(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let active = match call.input.required("Status")? {
        "Active" => true,
        "Inactive" => false,
        other => {
            return Err(validation(format!(
                "1 validation error detected: Value '{other}' at 'status' failed to satisfy constraint: Member must \
                 satisfy enum value set: [Inactive, Active]"
            )));
        }
    };
    let name = requested_user(cloud, call)?;
    let id = call.input.required("AccessKeyId")?;
    user_mut(cloud, &name)?.access_keys.get_mut(id).ok_or_else(|| unknown(id))?.active = active;
    Ok(Node::new())
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let name = requested_user(cloud, call)?;
    let id = call.input.required("AccessKeyId")?;
    user_mut(cloud, &name)?.access_keys.remove(id).ok_or_else(|| unknown(id))?;
    Ok(Node::new())
}

fn list(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let user = user(&cloud.iam, &requested_user(cloud, call)?)?;
    let page = page(user.access_keys.iter().collect(), &call.input, |(id, _): &(&String, &AccessKey)| id)?;
    let nodes = page.items.into_iter().map(|(id, key)| render(&user.name, id, key));
    Ok(with_page(Node::new().list("AccessKeyMetadata", nodes), page.next))
}

fn last_used(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let id = call.input.required("AccessKeyId")?;
    let mut users = cloud.iam.users.values();
    let found = users.find_map(|user| Some((user, user.access_keys.get(id)?)));
    let (user, key) = found.ok_or_else(|| unknown(id))?;
    let node = match &key.last_used {
        Some(last) => {
            Node::new().with("LastUsedDate", last.at).with("ServiceName", &last.service).with("Region", &last.region)
        }
        // AWS's form of a key that has never been used.
        None => Node::new().with("ServiceName", "N/A").with("Region", "N/A"),
    };
    Ok(Node::new().with("UserName", &user.name).with("AccessKeyLastUsed", node))
}

fn unknown(id: &str) -> ApiError {
    no_such_entity(&format!("The Access Key with id {id}"))
}

fn render(user: &str, id: &str, key: &AccessKey) -> Node {
    Node::new()
        .with("UserName", user)
        .with("AccessKeyId", id)
        .with("Status", if key.active { "Active" } else { "Inactive" })
        .with("CreateDate", key.created)
}
