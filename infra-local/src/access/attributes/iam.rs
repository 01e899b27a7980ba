//! Condition keys of IAM's resources.
//!
//! Source: Service Authorization Reference, "AWS Identity and Access Management (IAM)".

use super::Context;
use crate::model::iam::Iam;
use crate::model::tags::Tags;

/// Adds the keys of the resource with this ARN.
pub(super) fn describe(iam: &Iam, arn: &str, context: &mut Context) {
    let mut add = |tags: &Tags, boundary: Option<&String>| {
        context.set_tags("aws:ResourceTag", tags);
        context.set_tags("iam:ResourceTag", tags);
        context.maybe("iam:PermissionsBoundary", boundary);
    };
    if let Some(role) = iam.roles.values().find(|role| role.arn == arn) {
        add(&role.tags, role.boundary.as_ref());
    } else if let Some(user) = iam.users.values().find(|user| user.arn == arn) {
        add(&user.tags, user.boundary.as_ref());
    } else if let Some(policy) = iam.policies.get(arn) {
        add(&policy.tags, None);
    } else if let Some(profile) = iam.instance_profiles.values().find(|profile| profile.arn == arn) {
        add(&profile.tags, None);
    } else if let Some(provider) = iam.oidc_providers.get(arn) {
        add(&provider.tags, None);
    } else if let Some(provider) = iam.saml_providers.get(arn) {
        add(&provider.tags, None);
    }
}
