//! Policies of users, groups and roles: inline policies, and attached managed policies.
//!
//! Source: IAM API reference, `Put…Policy`, `Attach…Policy` and related operations; AWS IAM User Guide, "IAM and AWS STS
//! quotas".

use std::collections::{BTreeMap, BTreeSet};

use super::group::{group, group_mut};
use super::policy::{attachable, render_attached};
use super::user::user;
use super::{
    changeable, check_policy, encode_policy, limit_exceeded, name, no_such_entity, page, role, user_mut, with_page,
};
use crate::model::Cloud;
use crate::services::Call;
use crate::wire::{ApiError, Node, Outcome, Params};

/// A kind of entity that has policies.
pub(super) struct Holder {
    /// `role`, as messages name it.
    pub(super) kind: &'static str,
    /// Parameter that names the entity.
    pub(super) parameter: &'static str,
    /// AWS's limit of the total size of the inline policies, without white space.
    pub(super) inline_limit: usize,
    /// AWS's name of the quota of attached policies.
    pub(super) quota: &'static str,
    pub(super) policies: for<'a> fn(&'a Cloud, &str) -> Outcome<Policies<'a>>,
    pub(super) policies_mut: for<'a> fn(&'a mut Cloud, &str) -> Outcome<PoliciesMut<'a>>,
}

/// Inline policies by name, and ARNs of attached policies.
type Policies<'a> = (&'a BTreeMap<String, String>, &'a BTreeSet<String>);
type PoliciesMut<'a> = (&'a mut BTreeMap<String, String>, &'a mut BTreeSet<String>);

/// AWS's default quota of managed policies per entity.
const ATTACHED_LIMIT: usize = 10;

pub(super) const USER: Holder = Holder {
    kind: "user",
    parameter: "UserName",
    inline_limit: 2048,
    quota: "PoliciesPerUser",
    policies: |cloud, name| user(&cloud.iam, name).map(|it| (&it.inline_policies, &it.attached_policies)),
    policies_mut: |cloud, name| user_mut(cloud, name).map(|it| (&mut it.inline_policies, &mut it.attached_policies)),
};

pub(super) const GROUP: Holder = Holder {
    kind: "group",
    parameter: "GroupName",
    inline_limit: 5120,
    quota: "PoliciesPerGroup",
    policies: |cloud, name| group(&cloud.iam, name).map(|it| (&it.inline_policies, &it.attached_policies)),
    policies_mut: |cloud, name| group_mut(cloud, name).map(|it| (&mut it.inline_policies, &mut it.attached_policies)),
};

pub(super) const ROLE: Holder = Holder {
    kind: "role",
    parameter: "RoleName",
    inline_limit: 10_240,
    quota: "PoliciesPerRole",
    policies: |cloud, name| role(&cloud.iam, name).map(|it| (&it.inline_policies, &it.attached_policies)),
    policies_mut: |cloud, name| changeable(cloud, name).map(|it| (&mut it.inline_policies, &mut it.attached_policies)),
};

impl Holder {
    pub(super) fn put(&self, cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
        let params = &call.input;
        let policy = name(params, "PolicyName", 128)?;
        let document = params.required("PolicyDocument")?;
        let holder = params.required(self.parameter)?;
        let (inline, _) = (self.policies_mut)(cloud, holder)?;
        check_policy(document)?;
        inline.insert(policy.to_owned(), document.to_owned());
        let size: usize = inline.values().map(|text| super::size(text)).sum();
        if size > self.inline_limit {
            let (limit, kind) = (self.inline_limit, self.kind);
            return Err(limit_exceeded(format!("Maximum policy size of {limit} bytes exceeded for {kind} {holder}")));
        }
        Ok(Node::new())
    }

    pub(super) fn read(&self, cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
        let (holder, policy) = (call.input.required(self.parameter)?, call.input.required("PolicyName")?);
        let (inline, _) = (self.policies)(cloud, holder)?;
        let document = inline.get(policy).ok_or_else(|| self.unknown(policy))?;
        Ok(Node::new()
            .with(self.parameter, holder)
            .with("PolicyName", policy)
            .with("PolicyDocument", encode_policy(document)))
    }

    pub(super) fn delete(&self, cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
        let policy = call.input.required("PolicyName")?;
        let (inline, _) = (self.policies_mut)(cloud, call.input.required(self.parameter)?)?;
        inline.remove(policy).ok_or_else(|| self.unknown(policy))?;
        Ok(Node::new())
    }

    pub(super) fn list(&self, cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
        let (inline, _) = (self.policies)(cloud, call.input.required(self.parameter)?)?;
        let page = page(inline.keys().collect(), &call.input, |name: &&String| name)?;
        Ok(with_page(Node::new().list("PolicyNames", page.items), page.next))
    }

    pub(super) fn attach(&self, cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
        let holder = call.input.required(self.parameter)?;
        (self.policies)(cloud, holder)?;
        let arn = attachable(&cloud.iam, &call.input)?.to_owned();
        let (_, attached) = (self.policies_mut)(cloud, holder)?;
        attached.insert(arn);
        if attached.len() > ATTACHED_LIMIT {
            return Err(limit_exceeded(format!("Cannot exceed quota for {}: {ATTACHED_LIMIT}", self.quota)));
        }
        Ok(Node::new())
    }

    pub(super) fn detach(&self, cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
        let arn = call.input.required("PolicyArn")?;
        let (_, attached) = (self.policies_mut)(cloud, call.input.required(self.parameter)?)?;
        if !attached.remove(arn) {
            return Err(ApiError::new("NoSuchEntity", format!("Policy {arn} was not found.")).with_status(404));
        }
        Ok(Node::new())
    }

    pub(super) fn list_attached(&self, cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
        let (_, attached) = (self.policies)(cloud, call.input.required(self.parameter)?)?;
        render_attached(attached, &call.input)
    }

    fn unknown(&self, policy: &str) -> ApiError {
        no_such_entity(&format!("The {} policy with name {policy}", self.kind))
    }
}
