//! Temporary credentials of a user, with the permissions of the user.
//!
//! Source: STS API reference, `GetSessionToken`.

use chrono::TimeDelta;

use super::{denied, duration, render_credentials};
use crate::access::Identity;
use crate::model::Cloud;
use crate::model::iam::{Session, SessionHolder};
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    // "No permissions are required for users to perform this operation."
    Operation::writes("GetSessionToken", session_token, &[&["DurationSeconds"]]).on_any().without_permission(),
];

/// Default and maximum duration for users, in seconds.
const USER_SECONDS: (u32, u32) = (43_200, 129_600);
/// Maximum duration for the root user, in seconds. A longer one is reduced to it.
const ROOT_SECONDS: u32 = 3600;

fn session_token(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let identity = Identity::of_key(&cloud.iam, call.access_key);
    if identity.session(&cloud.iam).is_some() {
        return Err(denied(&identity.arn(&cloud.iam), "sts:GetSessionToken", "*"));
    }
    let (default, most) = USER_SECONDS;
    let seconds = duration(&call.input, most)?.unwrap_or(default);
    let (holder, seconds) = match identity {
        Identity::User { name, .. } => (SessionHolder::User { user: name }, seconds),
        _ => (SessionHolder::Root { account: call.account.to_string() }, seconds.min(ROOT_SECONDS)),
    };
    let session = Session::new(holder, "", call.now, TimeDelta::seconds(i64::from(seconds)));
    let key = cloud.iam.issue(session.clone(), call.now);
    Ok(Node::new().with("Credentials", render_credentials(&key, &session)))
}
