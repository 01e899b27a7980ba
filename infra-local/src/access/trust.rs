//! Trust policies: the principals that can assume a role.
//!
//! Source: AWS IAM User Guide, "Roles terms and concepts" and "Policy evaluation logic"; STS API reference, `AssumeRole`.

use super::policy::{AccessRequest, Document, Principal, Verdict};
use super::{Context, Identity, RequestedAction, RequestedResource};
use crate::model::iam::Role;
use crate::model::{Account, Cloud};

/// Returns whether the trust policy of a role allows a service of AWS to assume it.
pub(crate) fn trusts_service(account: Account, role: &Role, service: &str) -> bool {
    let context =
        Context::default().with("aws:PrincipalIsAWSService", "true").with("aws:SourceAccount", account.as_str());
    allows(account, role, &Principal::Service(service.to_owned()), "sts:AssumeRole", &context)
}

/// Returns whether the trust policy of a role allows an identity an action on it. The requested action contains the
/// condition keys of the request, such as `sts:ExternalId`.
pub(crate) fn trusts(cloud: &Cloud, role: &Role, identity: &Identity, requested: &RequestedAction<'_>) -> bool {
    let context = identity.context(&cloud.iam, requested);
    allows(cloud.account, role, &identity.principal(&cloud.iam), requested.action, &context)
}

fn allows(account: Account, role: &Role, principal: &Principal, action: &str, context: &Context) -> bool {
    let Ok(document) = Document::parse(&role.trust_policy) else { return false };
    let mut context = context.clone();
    context.merge(&role_keys(role));
    let access_request = AccessRequest { action, resource: &role.arn, context: &context };
    document.evaluate_for(principal, &access_request, account.as_str()).0.verdict == Verdict::Allows
}

/// Returns a role as the resource of `sts:AssumeRole`. Its trust policy is the policy of the resource.
pub(crate) fn assumed_role(role: &Role) -> RequestedResource {
    let resource = RequestedResource::new(&role.arn).with_policy(Some(&role.trust_policy));
    RequestedResource { context: role_keys(role), ..resource }
}

fn role_keys(role: &Role) -> Context {
    let mut context = Context::default();
    context.set_tags("aws:ResourceTag", &role.tags);
    context.set_tags("iam:ResourceTag", &role.tags);
    context
}
