//! The identities that access keys belong to.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use hyper::http::request::Parts;

use super::credentials::Credentials;
use super::policy::{Context, Document, Policy, PolicySource};
use super::{Refusal, RequestedAction, managed};
use crate::model::ACCOUNT;
use crate::model::Cloud;
use crate::model::iam::{ISSUED_KEY, ISSUED_SESSION_KEY, Iam, Session};
use crate::wire::sigv4::{BadSignature, Scope, Signed, SignedPolicy};

/// The caller of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The account's root user.
    Root {
        access_key: String,
    },
    User {
        name: String,
    },
    /// Temporary credentials of a role.
    Session {
        access_key: String,
        role: String,
        name: String,
    },
}

/// The access keys of the account's root user.
#[derive(Debug, Clone, Default)]
pub(crate) struct RootKeys {
    pub(crate) known: Vec<Credentials>,
    /// True when a request with an unknown key is accepted as the root user's, with any signature.
    pub(crate) accept_any: bool,
}

impl RootKeys {
    fn find(&self, id: &str) -> Option<&Credentials> {
        self.known.iter().find(|key| key.access_key_id == id)
    }
}

/// Returns the identity that signed a request, after verifying the signature.
pub(crate) fn identify(
    cloud: &Cloud,
    root: &RootKeys,
    signed: &Signed,
    request: &Parts,
    payload: &str,
    now: DateTime<Utc>,
) -> Result<Identity, Refusal> {
    signed.check_time(now)?;
    let token = signed.session_token.as_deref();
    holder(cloud, root, &signed.scope, token, now, |secret| signed.check(secret, request, payload))
}

/// Returns the identity that signed the policy of a form. The policy's own expiration is not checked here.
pub(crate) fn identify_form(
    cloud: &Cloud,
    root: &RootKeys,
    signed: &SignedPolicy,
    now: DateTime<Utc>,
) -> Result<Identity, Refusal> {
    let token = signed.session_token.as_deref();
    holder(cloud, root, &signed.scope, token, now, |secret| signed.check(secret))
}

/// Returns the identity to which an access key belongs, if `check` accepts the key's secret.
fn holder(
    cloud: &Cloud,
    root: &RootKeys,
    scope: &Scope,
    token: Option<&str>,
    now: DateTime<Utc>,
    check: impl Fn(&str) -> Result<(), BadSignature>,
) -> Result<Identity, Refusal> {
    let key = scope.access_key.as_str();
    if let Some(session) = cloud.iam.sessions.get(key) {
        if token != Some(session.token.as_str()) {
            return Err(Refusal::UnknownKey);
        }
        check(&session.secret)?;
        if session.expires <= now {
            return Err(Refusal::ExpiredToken);
        }
        let Session { role, name, .. } = session.clone();
        return Ok(Identity::Session { access_key: key.to_owned(), role, name });
    }
    let mut users = cloud.iam.users.values();
    if let Some((user, user_key)) = users.find_map(|user| Some((user, user.access_keys.get(key)?))) {
        if !user_key.active {
            return Err(Refusal::UnknownKey);
        }
        check(&user_key.secret)?;
        return Ok(Identity::User { name: user.name.clone() });
    }
    match root.find(key) {
        Some(user_key) => check(&user_key.secret_access_key)?,
        None if key.starts_with(ISSUED_KEY) || key.starts_with(ISSUED_SESSION_KEY) => return Err(Refusal::UnknownKey),
        None if root.accept_any => {}
        None => return Err(Refusal::UnknownKey),
    }
    Ok(Identity::Root { access_key: key.to_owned() })
}

/// Returns the secret of an access key. With [`RootKeys::accept_any`] a key may have none.
pub(crate) fn secret<'a>(cloud: &'a Cloud, root: &'a RootKeys, key: &str) -> Option<&'a str> {
    let session = cloud.iam.sessions.get(key).map(|session| &session.secret);
    let user_key =
        || cloud.iam.users.values().find_map(|user| user.access_keys.get(key)).map(|user_key| &user_key.secret);
    let own = || root.find(key).map(|key| &key.secret_access_key);
    session.or_else(user_key).or_else(own).map(String::as_str)
}

impl Identity {
    /// Returns the identity of a key whose signature has been verified.
    pub(crate) fn of_key(iam: &Iam, key: &str) -> Identity {
        if let Some(session) = iam.sessions.get(key) {
            let Session { role, name, .. } = session.clone();
            return Identity::Session { access_key: key.to_owned(), role, name };
        }
        match iam.users.values().find(|user| user.access_keys.contains_key(key)) {
            Some(user) => Identity::User { name: user.name.clone() },
            None => Identity::Root { access_key: key.to_owned() },
        }
    }

    /// Returns the identity's ARN.
    pub(crate) fn arn(&self, iam: &Iam) -> String {
        match self {
            Identity::Root { .. } => format!("arn:aws:iam::{ACCOUNT}:root"),
            Identity::User { name } => iam
                .users
                .get(name)
                .map_or_else(|| format!("arn:aws:iam::{ACCOUNT}:user/{name}"), |user| user.arn.clone()),
            Identity::Session { role, name, .. } => format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}"),
        }
    }

    /// Returns the unique id that `GetCallerIdentity` reports.
    pub(crate) fn user_id(&self, iam: &Iam) -> String {
        match self {
            Identity::Root { .. } => ACCOUNT.to_owned(),
            Identity::User { name } => iam.users.get(name).map(|user| user.id.clone()).unwrap_or_default(),
            Identity::Session { role, name, .. } => {
                format!("{}:{name}", iam.roles.get(role).map(|role| role.id.as_str()).unwrap_or_default())
            }
        }
    }

    /// Returns the sets of policies that must each allow an action, or `None` for the root user, who needs none.
    pub(super) fn policies(&self, iam: &Iam) -> Option<Vec<Vec<Policy>>> {
        match self {
            Identity::Root { .. } => None,
            Identity::User { name } => {
                let user = iam.users.get(name);
                let own = user.map(|user| policies(iam, &user.inline_policies, &user.attached_policies));
                Some(vec![own.unwrap_or_default()])
            }
            Identity::Session { access_key, role, .. } => {
                let role = iam.roles.get(role);
                let own = role.map(|role| policies(iam, &role.inline_policies, &role.attached_policies));
                let narrowed = iam.sessions.get(access_key).and_then(|session| session.policy.as_ref());
                let narrowed = narrowed.map(|text| parsed(PolicySource::Session, text).into_iter().collect());
                Some([own.unwrap_or_default()].into_iter().chain(narrowed).collect())
            }
        }
    }

    /// Returns the condition keys that every request has.
    pub(super) fn context(&self, action: &RequestedAction<'_>) -> Context {
        let kind = match self {
            Identity::Root { .. } => "Account",
            Identity::User { .. } => "User",
            Identity::Session { .. } => "AssumedRole",
        };
        let principal = match self {
            Identity::Root { .. } => format!("arn:aws:iam::{ACCOUNT}:root"),
            Identity::User { name } => format!("arn:aws:iam::{ACCOUNT}:user/{name}"),
            Identity::Session { role, .. } => format!("arn:aws:iam::{ACCOUNT}:role/{role}"),
        };
        let mut context = Context::from(
            [
                ("aws:requestedregion", action.region.to_owned()),
                ("aws:currenttime", action.now.to_rfc3339()),
                ("aws:epochtime", action.now.timestamp().to_string()),
                ("aws:principalaccount", ACCOUNT.to_owned()),
                ("aws:principalarn", principal),
                ("aws:principaltype", kind.to_owned()),
                ("aws:sourceip", "127.0.0.1".to_owned()),
                ("aws:securetransport", "false".to_owned()),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        );
        if let Identity::User { name } = self {
            context.insert("aws:username".to_owned(), name.clone());
        }
        context
    }
}

/// Returns the inline and attached policies of a user or role. A policy that is invalid or unknown to the local cloud
/// allows nothing.
fn policies(iam: &Iam, inline: &BTreeMap<String, String>, attached: &BTreeSet<String>) -> Vec<Policy> {
    let inline = inline.iter().filter_map(|(name, text)| parsed(PolicySource::Inline(name.clone()), text));
    let attached = attached.iter().filter_map(|arn| {
        let source = PolicySource::Managed(arn.clone());
        if let Some(policy) = iam.policies.get(arn) {
            return parsed(source, policy.document());
        }
        let text = managed::document(arn);
        if text.is_none() {
            tracing::warn!(arn, "the local cloud does not contain this AWS managed policy: it allows nothing");
        }
        parsed(source, &text?)
    });
    inline.chain(attached).collect()
}

fn parsed(source: PolicySource, text: &str) -> Option<Policy> {
    Document::parse(text).ok().map(|document| Policy { source, document })
}
