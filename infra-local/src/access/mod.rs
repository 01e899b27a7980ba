//! Authentication and authorisation of requests.
//!
//! Every request is signed with a key that the cloud knows: a root key (generated at the first start, or added with
//! [`Options::access_keys`](crate::Options::access_keys)), a user's key, or the temporary key of a role's session. When IAM
//! is enforced, the policies of users and roles decide what their keys may do; the root user may do everything.
//!
//! # Layout
//!
//! - [`attributes`]: condition keys that describe resources
//! - [`context`]: condition keys of a request
//! - [`credentials`]: access keys
//! - [`decision`]: authorises an action, and names the statement that decided
//! - [`identity`]: finds the identity of an access key and verifies the signature
//! - [`launch`]: resources of the launch of an instance
//! - [`origin`]: refuses requests that a web page may have sent
//! - [`log_delivery`]: permission to write logs of balancers into a bucket
//! - [`policy`]: what policy documents say about a request
//! - [`managed`]: the policies that AWS manages
//! - [`request_tags`]: tags in the parameters of a request
//! - [`requirement`]: actions that a request needs permission for
//! - [`resource`]: ARNs of a request's resources
//! - [`refusal`]: the words each protocol refuses with
//! - [`simulation`]: decisions about actions that are not executed
//! - [`trust`]: the principals that can assume a role

mod attributes;
mod context;
mod credentials;
mod decision;
mod identity;
mod launch;
mod log_delivery;
mod managed;
mod origin;
mod policy;
mod refusal;
mod request_tags;
mod requirement;
mod resource;
mod simulation;
mod trust;

pub(crate) use attributes::ec2_arn;
pub(crate) use context::Context;
pub use credentials::Credentials;
pub(crate) use decision::{Decision, authorise, context_of, decide, decide_unenforced, permitted};
pub(crate) use identity::{
    Identity, RootKeys, identify, identify_form, role_boundary, role_documents, role_principal, secret,
};
pub(crate) use launch::{LAUNCHED, PASSES_LAUNCH_ROLE};
pub(crate) use log_delivery::admits_log_delivery;
pub(crate) use managed::{arns as managed_arns, document as managed_document};
pub(crate) use origin::{Endpoint, Source};
pub(crate) use policy::{AccessRequest, DecidingStatement, Document, PolicyKind, PolicySource};
pub(crate) use refusal::Refusal;
pub(crate) use request_tags::RequestTags;
pub(crate) use requirement::{Dependent, Key, Needs, Part, RequestFacts, Requirement, Tagging, requirements};
pub(crate) use resource::Resource;
pub(crate) use simulation::{Simulated, Simulation};
pub(crate) use trust::{assumed_role, trusts, trusts_service};

use chrono::{DateTime, Utc};

/// An action on resources that the caller requests.
pub(crate) struct RequestedAction<'a> {
    /// `ec2:RunInstances`
    pub(crate) action: &'a str,
    pub(crate) resources: &'a [RequestedResource],
    pub(crate) region: &'a str,
    pub(crate) now: DateTime<Utc>,
    /// Condition keys of the request, in addition to those of the identity, the time and the region.
    pub(crate) context: &'a Context,
}

/// A resource of a requested action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestedResource {
    /// ARN, or `*` for actions without a resource.
    pub(crate) arn: String,
    /// Condition keys that apply to this resource only, such as `aws:ResourceTag/KEY`.
    pub(crate) context: Context,
    /// Text of the resource's own policy, if it has one.
    pub(crate) policy: Option<String>,
}
