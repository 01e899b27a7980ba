//! The identities that access keys belong to.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use hyper::http::request::Parts;

use super::credentials::Credentials;
use super::policy::{Policy, PolicySource, Principal, parsed};
use super::{Context, Refusal, RequestedAction, managed};
use crate::model::Cloud;
use crate::model::iam::{ISSUED_KEY, ISSUED_SESSION_KEY, Iam, Role, Session, SessionHolder};
use crate::wire::sigv4::{BadSignature, Scope, Signed, SignedPolicy};

/// The caller of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The account's root user.
    Root {
        access_key: String,
    },
    User {
        access_key: String,
        name: String,
    },
    /// Temporary credentials of a role.
    Session {
        access_key: String,
        role: String,
        name: String,
    },
    /// The sender of a request without a signature. Only the policies of resources permit it something.
    #[allow(dead_code, reason = "the endpoint refuses unsigned requests")]
    Anonymous,
}

/// The policies that decide about the actions of an identity.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct PolicySets {
    /// Policies of the user or role, and of the user's groups.
    pub(super) identity: Vec<Policy>,
    /// The boundary of the user or role, if it has one.
    pub(super) boundary: Option<Vec<Policy>>,
    /// The policies of the session, if it has any.
    pub(super) session: Option<Vec<Policy>>,
    /// True when only the policies of resources can allow the identity something.
    pub(super) has_only_resource_policies: bool,
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
        return Ok(Identity::of_session(key, session));
    }
    let mut users = cloud.iam.users.values();
    if let Some((user, user_key)) = users.find_map(|user| Some((user, user.access_keys.get(key)?))) {
        if !user_key.active {
            return Err(Refusal::UnknownKey);
        }
        check(&user_key.secret)?;
        return Ok(Identity::User { access_key: key.to_owned(), name: user.name.clone() });
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
            return Identity::of_session(key, session);
        }
        match iam.users.values().find(|user| user.access_keys.contains_key(key)) {
            Some(user) => Identity::User { access_key: key.to_owned(), name: user.name.clone() },
            None => Identity::Root { access_key: key.to_owned() },
        }
    }

    /// Returns the identity of temporary credentials.
    fn of_session(key: &str, session: &Session) -> Identity {
        let access_key = key.to_owned();
        match &session.holder {
            SessionHolder::Role { role } => {
                Identity::Session { access_key, role: role.clone(), name: session.name.clone() }
            }
            SessionHolder::User { user } => Identity::User { access_key, name: user.clone() },
            SessionHolder::Root { .. } => Identity::Root { access_key },
        }
    }

    /// Returns the identity's ARN.
    pub(crate) fn arn(&self, iam: &Iam) -> String {
        match self {
            Identity::Root { .. } => format!("arn:aws:iam::{}:root", iam.account),
            Identity::User { name, .. } => user_arn(iam, name),
            Identity::Session { role, name, .. } => {
                format!("arn:aws:sts::{}:assumed-role/{role}/{name}", iam.account)
            }
            Identity::Anonymous => "anonymous".to_owned(),
        }
    }

    /// Returns the unique id that `GetCallerIdentity` reports.
    pub(crate) fn user_id(&self, iam: &Iam) -> String {
        match self {
            Identity::Root { .. } => iam.account.to_string(),
            Identity::User { name, .. } => iam.users.get(name).map(|user| user.id.clone()).unwrap_or_default(),
            Identity::Session { role, name, .. } => {
                format!("{}:{name}", iam.roles.get(role).map(|role| role.id.as_str()).unwrap_or_default())
            }
            Identity::Anonymous => "anonymous".to_owned(),
        }
    }

    /// Returns the principal that resource policies and trust policies name.
    pub(crate) fn principal(&self, iam: &Iam) -> Principal {
        match self {
            Identity::Root { .. } => Principal::Root,
            Identity::User { name, .. } => Principal::User { arn: user_arn(iam, name), id: self.user_id(iam) },
            Identity::Session { role, .. } => Principal::Session {
                role_arn: role_arn(iam, role),
                role_id: iam.roles.get(role).map(|role| role.id.clone()).unwrap_or_default(),
                session_arn: self.arn(iam),
            },
            Identity::Anonymous => Principal::Anonymous,
        }
    }

    /// Returns the temporary credentials that signed the request, if any did.
    pub(crate) fn session<'a>(&self, iam: &'a Iam) -> Option<&'a Session> {
        match self {
            Identity::Root { access_key }
            | Identity::User { access_key, .. }
            | Identity::Session { access_key, .. } => iam.sessions.get(access_key),
            Identity::Anonymous => None,
        }
    }

    /// Returns the policies of the identity, or `None` for the root user, who needs none.
    pub(super) fn policies(&self, iam: &Iam) -> Option<PolicySets> {
        let mut sets = match self {
            Identity::Root { .. } => return None,
            Identity::Anonymous => PolicySets { has_only_resource_policies: true, ..PolicySets::default() },
            Identity::User { name, .. } => user_policies(iam, name),
            Identity::Session { role, .. } => role_policies(iam, role),
        };
        if let Some(session) = self.session(iam).filter(|session| session.is_restricted()) {
            let inline = session.policy.as_deref().and_then(|text| parsed(PolicySource::Session, text));
            let managed = session
                .policy_arns
                .iter()
                .filter_map(|arn| parsed(PolicySource::SessionManaged(arn.clone()), &managed_text(iam, arn)?));
            sets.session = Some(inline.into_iter().chain(managed).collect());
        }
        Some(sets)
    }

    /// Returns the condition keys that every request of the identity has.
    ///
    /// Source: AWS IAM User Guide, "AWS global condition context keys".
    pub(super) fn context(&self, iam: &Iam, action: &RequestedAction<'_>) -> Context {
        let mut context = Context::default()
            .with("aws:RequestedRegion", action.region)
            .with("aws:CurrentTime", action.now.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
            .with("aws:EpochTime", action.now.timestamp().to_string())
            .with("aws:SourceIp", "127.0.0.1")
            .with("aws:SecureTransport", "false")
            .with("aws:ViaAWSService", "false")
            .with("aws:PrincipalIsAWSService", "false")
            .with("aws:PrincipalType", self.principal_type())
            .with("aws:userid", self.user_id(iam));
        context.merge(&self.principal_context(iam));
        if let Some(session) = self.session(iam) {
            context.maybe(
                "aws:TokenIssueTime",
                session.issued.map(|it| it.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
            );
            context.set("aws:MultiFactorAuthPresent", "false");
            context.maybe("aws:SourceIdentity", session.source_identity.as_deref());
        }
        context.merge(action.context);
        context
    }

    /// Returns the condition keys of the user or role.
    fn principal_context(&self, iam: &Iam) -> Context {
        let mut context = Context::default();
        match self {
            Identity::Root { .. } => context.set("aws:PrincipalArn", self.arn(iam)),
            Identity::User { name, .. } => {
                context.set("aws:PrincipalArn", user_arn(iam, name));
                context.set("aws:username", name);
                let tags = iam.users.get(name).map(|user| &user.tags);
                context.set_tags("aws:PrincipalTag", tags.into_iter().flatten());
            }
            Identity::Session { role, .. } => {
                context.set("aws:PrincipalArn", role_arn(iam, role));
                let tags = iam.roles.get(role).map(|role| &role.tags);
                context.set_tags("aws:PrincipalTag", tags.into_iter().flatten());
                let tags = self.session(iam).map(|session| &session.tags);
                context.set_tags("aws:PrincipalTag", tags.into_iter().flatten());
            }
            Identity::Anonymous => return context,
        }
        context.with("aws:PrincipalAccount", iam.account.as_str())
    }

    fn principal_type(&self) -> &'static str {
        match self {
            Identity::Root { .. } => "Account",
            Identity::User { .. } => "User",
            Identity::Session { .. } => "AssumedRole",
            Identity::Anonymous => "Anonymous",
        }
    }
}

fn user_arn(iam: &Iam, name: &str) -> String {
    let unknown = || format!("arn:aws:iam::{}:user/{name}", iam.account);
    iam.users.get(name).map_or_else(unknown, |user| user.arn.clone())
}

fn role_arn(iam: &Iam, name: &str) -> String {
    let unknown = || format!("arn:aws:iam::{}:role/{name}", iam.account);
    iam.roles.get(name).map_or_else(unknown, |role| role.arn.clone())
}

/// Returns the policies of a user and of the groups that contain it.
pub(super) fn user_policies(iam: &Iam, name: &str) -> PolicySets {
    let Some(user) = iam.users.get(name) else { return PolicySets::default() };
    let mut own = policies(iam, &user.inline_policies, &user.attached_policies);
    for group in iam.groups.values().filter(|group| group.members.contains(name)) {
        own.extend(policies(iam, &group.inline_policies, &group.attached_policies));
    }
    PolicySets { identity: own, boundary: boundary(iam, user.boundary.as_deref()), ..PolicySets::default() }
}

/// Returns the policies of a role.
pub(super) fn role_policies(iam: &Iam, name: &str) -> PolicySets {
    let Some(role) = iam.roles.get(name) else { return PolicySets::default() };
    let identity = policies(iam, &role.inline_policies, &role.attached_policies);
    PolicySets { identity, boundary: boundary(iam, role.boundary.as_deref()), ..PolicySets::default() }
}

/// Returns the texts of the inline and managed policies of a role.
pub(crate) fn role_documents(iam: &Iam, role: &Role) -> Vec<String> {
    let managed = role.attached_policies.iter().filter_map(|arn| managed_text(iam, arn));
    role.inline_policies.values().cloned().chain(managed).collect()
}

/// Returns the text of the policy that limits a role. The text of a policy that does not exist is empty, and allows nothing.
pub(crate) fn role_boundary(iam: &Iam, role: &Role) -> Option<String> {
    let arn = role.boundary.as_deref()?;
    Some(managed_text(iam, arn).unwrap_or_default())
}

/// Returns the principal of all sessions of a role.
pub(crate) fn role_principal(role: &Role) -> Principal {
    Principal::Session { role_arn: role.arn.clone(), role_id: role.id.clone(), session_arn: String::new() }
}

/// Returns the policy that limits a user or role. A policy that does not exist allows nothing.
fn boundary(iam: &Iam, arn: Option<&str>) -> Option<Vec<Policy>> {
    let arn = arn?;
    let text = managed_text(iam, arn);
    Some(text.and_then(|text| parsed(PolicySource::Boundary(arn.to_owned()), &text)).into_iter().collect())
}

/// Returns the document of a customer managed or AWS managed policy.
fn managed_text(iam: &Iam, arn: &str) -> Option<String> {
    if let Some(policy) = iam.policies.get(arn) {
        return Some(policy.document().to_owned());
    }
    let text = managed::document(arn);
    if text.is_none() {
        tracing::warn!(arn, "the local cloud does not contain this AWS managed policy: it allows nothing");
    }
    text
}

/// Returns the inline and attached policies of a user, group or role. A policy that is invalid or unknown to the local
/// cloud allows nothing.
pub(super) fn policies(iam: &Iam, inline: &BTreeMap<String, String>, attached: &BTreeSet<String>) -> Vec<Policy> {
    let inline = inline.iter().filter_map(|(name, text)| parsed(PolicySource::Inline(name.clone()), text));
    let attached =
        attached.iter().filter_map(|arn| parsed(PolicySource::Managed(arn.clone()), &managed_text(iam, arn)?));
    inline.chain(attached).collect()
}

fn parsed(source: PolicySource, text: &str) -> Option<Policy> {
    parsed::document(text).map(|document| Policy { source, document })
}
