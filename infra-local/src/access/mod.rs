//! Authentication and authorisation of requests.
//!
//! Every request is signed with a key that the cloud knows: a root key (generated at the first start, or added with
//! [`Options::access_keys`](crate::Options::access_keys)), a user's key, or the temporary key of a role's session. When IAM
//! is enforced, the policies of users and roles decide what their keys may do; the root user may do everything.
//!
//! # Layout
//!
//! - [`credentials`]: access keys
//! - [`decision`]: authorises an action, and names the statement that decided
//! - [`identity`]: finds the identity of an access key and verifies the signature
//! - [`origin`]: refuses requests that a web page may have sent
//! - [`policy`]: what policy documents say about a request
//! - [`managed`]: the policies that AWS manages
//! - [`resource`]: ARNs of a request's resources
//! - [`refusal`]: the words each protocol refuses with

mod credentials;
mod decision;
mod identity;
mod managed;
mod origin;
mod policy;
mod refusal;
mod resource;

pub use credentials::Credentials;
pub(crate) use decision::{Decision, authorise, decide, decide_unenforced, permitted};
pub(crate) use identity::{Identity, RootKeys, identify, identify_form, secret};
pub(crate) use managed::document as managed_document;
pub(crate) use origin::{Endpoint, Source};
pub(crate) use policy::Document;
pub(crate) use refusal::Refusal;
pub(crate) use resource::{Resource, arns};

use chrono::{DateTime, Utc};

/// An action on resources that the caller requests.
pub(crate) struct RequestedAction<'a> {
    /// `ec2:RunInstances`
    pub(crate) action: &'a str,
    /// ARNs, or `*` for actions without a resource.
    pub(crate) resources: &'a [String],
    pub(crate) region: &'a str,
    pub(crate) now: DateTime<Utc>,
}
