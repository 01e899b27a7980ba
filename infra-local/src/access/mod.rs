//! Authentication and authorisation of requests.
//!
//! Every request is signed with a key that the cloud knows: a root key (generated at the first start, or added with
//! [`Options::access_keys`](crate::Options::access_keys)), a user's key, or the temporary key of a role's session. When IAM
//! is enforced, the policies of users and roles decide what their keys may do; the root user may do everything.
//!
//! # Layout
//!
//! - [`credentials`]: access keys
//! - [`identity`]: finds the identity of an access key and verifies the signature
//! - [`origin`]: refuses requests that a web page may have sent
//! - [`policy`]: what policy documents say about a request
//! - [`managed`]: the policies that AWS manages
//! - [`resource`]: ARNs of a request's resources
//! - [`refusal`]: the words each protocol refuses with

mod credentials;
mod identity;
mod managed;
mod origin;
mod policy;
mod refusal;
mod resource;

pub use credentials::Credentials;
pub(crate) use identity::{Identity, RootKeys, identify, identify_form, secret};
pub(crate) use managed::document as managed_document;
pub(crate) use origin::{Endpoint, Source};
pub(crate) use policy::{AccessRequest, Document};
pub(crate) use refusal::Refusal;
pub(crate) use resource::{Resource, arns};

use chrono::{DateTime, Utc};

use crate::model::Cloud;
use policy::Verdict;

/// An action on resources that the caller requests.
pub(crate) struct RequestedAction<'a> {
    /// `ec2:RunInstances`
    pub(crate) action: &'a str,
    /// ARNs, or `*` for actions without a resource.
    pub(crate) resources: &'a [String],
    pub(crate) region: &'a str,
    pub(crate) now: DateTime<Utc>,
}

/// Checks that the policies of an identity allow the action on all resources. The root user is allowed all actions.
pub(crate) fn authorise(cloud: &Cloud, identity: &Identity, requested: &RequestedAction<'_>) -> Result<(), Refusal> {
    let Some(policies) = identity.policies(&cloud.iam) else {
        return Ok(());
    };
    for resource in requested.resources {
        let access_request = AccessRequest { action: requested.action, resource, context: identity.context(requested) };
        let verdict =
            policies.iter().map(|set| policy::evaluate(set, &access_request)).min().unwrap_or(Verdict::Silent);
        if verdict != Verdict::Allows {
            return Err(Refusal::Denied {
                identity: identity.arn(&cloud.iam),
                action: requested.action.to_owned(),
                resource: resource.clone(),
                explicit: verdict == Verdict::Denies,
            });
        }
    }
    Ok(())
}
