//! Who asks, and whether they may.
//!
//! Any access key that the cloud has not issued itself is taken for the account's root user, whose secret nobody here
//! knows, unless [`Credentials`](crate::Credentials) were demanded. Keys that it has issued (of users, of sessions of
//! roles) are what they are on AWS: their signatures are verified, and when IAM is enforced, their policies decide.
//!
//! # Layout
//!
//! - [`identity`]: whose key a request is signed with, and whether the signature is theirs
//! - [`policy`]: what policy documents say about a request
//! - [`managed`]: the policies that AWS manages
//! - [`resource`]: what a request is about, as ARNs
//! - [`refusal`]: the words each protocol refuses with

mod identity;
mod managed;
mod policy;
mod refusal;
mod resource;

pub(crate) use identity::{Identity, identify, secret};
pub(crate) use managed::document as managed_document;
pub(crate) use policy::{Document, Question};
pub(crate) use refusal::Refusal;
pub(crate) use resource::resources;

use chrono::{DateTime, Utc};

use crate::cloud::Cloud;
use policy::Verdict;

/// What somebody wants to do.
pub(crate) struct Wish<'a> {
    /// `ec2:RunInstances`
    pub(crate) action: &'a str,
    /// ARNs; `*` stands for what has none.
    pub(crate) resources: &'a [String],
    pub(crate) region: &'a str,
    pub(crate) now: DateTime<Utc>,
}

/// Whether the policies of whoever asks allow all of it. The root user may do everything.
pub(crate) fn authorise(cloud: &Cloud, identity: &Identity, wish: &Wish<'_>) -> Result<(), Refusal> {
    let Some(policies) = identity.policies(&cloud.iam) else {
        return Ok(());
    };
    for resource in wish.resources {
        let question = Question { action: wish.action, resource, context: identity.context(wish) };
        let verdict = policies.iter().map(|set| policy::judge(set, &question)).min().unwrap_or(Verdict::Silent);
        if verdict != Verdict::Allows {
            return Err(Refusal::Denied {
                who: identity.arn(&cloud.iam),
                action: wish.action.to_owned(),
                resource: resource.clone(),
                explicit: verdict == Verdict::Denies,
            });
        }
    }
    Ok(())
}
