//! Policies for code of this process: a user who has exactly one, and its evaluation for recorded actions.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Utc;
use serde::{Deserialize, Serialize};

use crate::access::{AccessRequest, Context, Credentials, Document};
use crate::model::iam::{AccessKey, ISSUED_KEY, User};
use crate::model::ids;
use crate::state::Shared;

/// An action on a resource, as `GET /_infra/calls` contains it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AuthorisedAction {
    /// The action, such as `ec2:RunInstances`.
    pub action: String,
    /// ARN, or `*`.
    pub resource: String,
    /// Condition keys with their values.
    #[serde(default)]
    pub context: BTreeMap<String, Vec<String>>,
}

/// A policy document that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy is not valid: {0}")]
pub struct InvalidPolicy(String);

/// A policy document, for the evaluation of recorded actions.
#[derive(Debug, Clone)]
pub struct Policy(Document);

impl Policy {
    /// Parses a policy document.
    pub fn parse(text: &str) -> Result<Policy, InvalidPolicy> {
        Document::parse(text).map(Policy).map_err(InvalidPolicy)
    }

    /// Returns the condition keys that the policy refers to, in conditions and variables.
    pub fn condition_keys(&self) -> BTreeSet<String> {
        self.0.context_keys()
    }

    /// Returns whether the policy allows an action, by the evaluation that the cloud enforces.
    pub fn allows(&self, action: &AuthorisedAction) -> bool {
        let mut context = Context::default();
        for (key, values) in &action.context {
            context.set_all(key, values.clone());
        }
        let AuthorisedAction { action, resource, .. } = action;
        self.0.allows(&AccessRequest { action, resource, context: &context })
    }
}

/// Creates a user with this policy and an access key, in place of one with the same name.
pub(super) fn admit(shared: &Shared, name: &str, policy: &str) -> Result<Credentials, InvalidPolicy> {
    Document::parse(policy).map_err(InvalidPolicy)?;
    let now = Utc::now();
    let id = format!("{ISSUED_KEY}{}", ids::random_hex(11).to_uppercase());
    let secret = ids::secret_key();
    let account = shared.account();
    let user = User {
        id: format!("AIDA{}", ids::random_hex(17).to_uppercase()),
        arn: format!("arn:aws:iam::{account}:user/{name}"),
        path: "/".to_owned(),
        name: name.to_owned(),
        inline_policies: [(name.to_owned(), policy.to_owned())].into(),
        attached_policies: BTreeSet::new(),
        access_keys: [(id.clone(), AccessKey { secret: secret.clone(), active: true, created: now, last_used: None })]
            .into(),
        created: now,
        tags: BTreeMap::new(),
        boundary: None,
        login_profile: None,
    };
    shared.update(|cloud| cloud.iam.users.insert(name.to_owned(), user));
    Ok(Credentials { access_key_id: id, secret_access_key: secret })
}
