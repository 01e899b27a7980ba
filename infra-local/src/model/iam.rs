//! Users, roles, policies and sessions. IAM is global, not regional.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Account, Tags, ids};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Iam {
    /// The cloud's account; not in the file.
    #[serde(skip)]
    pub(crate) account: Account,
    pub(crate) roles: BTreeMap<String, Role>,
    pub(crate) instance_profiles: BTreeMap<String, InstanceProfile>,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) groups: BTreeMap<String, Group>,
    /// Customer managed policies by ARN.
    pub(crate) policies: BTreeMap<String, ManagedPolicy>,
    /// Temporary credentials by access key.
    pub(crate) sessions: BTreeMap<String, Session>,
    /// OpenID Connect providers by ARN.
    pub(crate) oidc_providers: BTreeMap<String, OidcProvider>,
    /// SAML providers by ARN.
    pub(crate) saml_providers: BTreeMap<String, SamlProvider>,
    /// Rules for passwords; `None` for AWS's default rules.
    pub(crate) password_policy: Option<PasswordPolicy>,
    /// Alias of the account.
    pub(crate) account_alias: Option<String>,
    pub(crate) credential_report: Option<CredentialReport>,
}

super::changes::record_by_field!(Iam {
    whole: [password_policy, account_alias, credential_report],
    maps: [roles, instance_profiles, users, groups, policies, sessions, oidc_providers, saml_providers],
    parts: [],
    children: [],
    apart: [account],
});

/// A table of the users and the state of their credentials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CredentialReport {
    pub(crate) generated: DateTime<Utc>,
    /// Comma-separated values.
    pub(crate) content: String,
}

/// Prefix of the access keys of users.
pub(crate) const ISSUED_KEY: &str = "AKIALOCAL";
/// Prefix of the access keys of sessions.
pub(crate) const ISSUED_SESSION_KEY: &str = "ASIALOCAL";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) path: String,
    pub(crate) name: String,
    /// Policy documents by name.
    pub(crate) inline_policies: BTreeMap<String, String>,
    /// ARNs of managed policies.
    pub(crate) attached_policies: BTreeSet<String>,
    pub(crate) access_keys: BTreeMap<String, AccessKey>,
    pub(crate) created: DateTime<Utc>,
    pub(crate) tags: Tags,
    /// ARN of the policy that limits the user's permissions.
    #[serde(default)]
    pub(crate) boundary: Option<String>,
    /// Password for the console.
    #[serde(default)]
    pub(crate) login_profile: Option<LoginProfile>,
}

/// Permission of a user to sign in with a password. The password itself is not stored, because no console accepts it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LoginProfile {
    pub(crate) created: DateTime<Utc>,
    pub(crate) password_reset_required: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) path: String,
    pub(crate) name: String,
    /// Names of users.
    pub(crate) members: BTreeSet<String>,
    /// Policy documents by name.
    pub(crate) inline_policies: BTreeMap<String, String>,
    /// ARNs of managed policies.
    pub(crate) attached_policies: BTreeSet<String>,
    pub(crate) created: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OidcProvider {
    pub(crate) arn: String,
    /// URL without `https://`.
    pub(crate) url: String,
    pub(crate) client_ids: Vec<String>,
    pub(crate) thumbprints: Vec<String>,
    pub(crate) created: DateTime<Utc>,
    pub(crate) tags: Tags,
}

/// An identity provider of SAML 2.0. It is recorded; the local cloud assumes no role with its assertions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SamlProvider {
    pub(crate) arn: String,
    /// The metadata document, as it was given.
    pub(crate) metadata: String,
    pub(crate) created: DateTime<Utc>,
    /// Date after which the document is not valid.
    pub(crate) valid_until: DateTime<Utc>,
    pub(crate) tags: Tags,
}

/// Rules for the passwords of users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
// The flags are those of AWS's API.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct PasswordPolicy {
    pub(crate) minimum_length: u32,
    pub(crate) require_symbols: bool,
    pub(crate) require_numbers: bool,
    pub(crate) require_uppercase: bool,
    pub(crate) require_lowercase: bool,
    pub(crate) allow_users_to_change: bool,
    /// Days until a password expires.
    pub(crate) max_age: Option<u32>,
    /// Number of previous passwords that cannot be used again.
    pub(crate) reuse_prevention: Option<u32>,
    pub(crate) hard_expiry: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AccessKey {
    pub(crate) secret: String,
    pub(crate) active: bool,
    pub(crate) created: DateTime<Utc>,
    /// The latest request that the key signed.
    #[serde(default)]
    pub(crate) last_used: Option<KeyUse>,
}

/// Use of an access key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeyUse {
    pub(crate) at: DateTime<Utc>,
    pub(crate) service: String,
    pub(crate) region: String,
}

/// Temporary credentials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) secret: String,
    pub(crate) token: String,
    #[serde(flatten)]
    pub(crate) holder: SessionHolder,
    /// The session's own name; empty for sessions of users.
    pub(crate) name: String,
    /// Session policy, which restricts the role's permissions.
    pub(crate) policy: Option<String>,
    /// ARNs of managed policies that restrict the role's permissions.
    #[serde(default)]
    pub(crate) policy_arns: Vec<String>,
    pub(crate) expires: DateTime<Utc>,
    #[serde(default)]
    pub(crate) issued: Option<DateTime<Utc>>,
    /// Session tags.
    #[serde(default)]
    pub(crate) tags: Tags,
    /// Keys of the tags that sessions inherit which this session starts.
    #[serde(default)]
    pub(crate) transitive_tags: BTreeSet<String>,
    #[serde(default)]
    pub(crate) source_identity: Option<String>,
}

/// The identity whose permissions a session has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum SessionHolder {
    Role {
        role: String,
    },
    User {
        user: String,
    },
    /// The root user of this account.
    Root {
        account: String,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ManagedPolicy {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// Documents by version, `1` for `v1`.
    pub(crate) versions: BTreeMap<u32, PolicyVersion>,
    pub(crate) default_version: u32,
    pub(crate) created: DateTime<Utc>,
    pub(crate) tags: Tags,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PolicyVersion {
    pub(crate) document: String,
    pub(crate) created: DateTime<Utc>,
}

impl ManagedPolicy {
    /// Returns the document of the default version.
    pub(crate) fn document(&self) -> &str {
        self.versions.get(&self.default_version).map_or("", |version| &version.document)
    }
}

impl Role {
    /// Path of the roles that belong to services of AWS.
    pub(crate) const OF_SERVICES: &str = "/aws-service-role/";

    /// Returns whether the role belongs to a service of AWS.
    pub(crate) fn is_service_linked(&self) -> bool {
        self.path.starts_with(Role::OF_SERVICES)
    }
}

impl Iam {
    /// Returns the groups that contain a user.
    pub(crate) fn groups_of<'a>(&'a self, user: &'a str) -> impl Iterator<Item = &'a Group> {
        self.groups.values().filter(move |group| group.members.contains(user))
    }

    /// Issues temporary credentials of a role, and drops expired ones.
    pub(crate) fn issue(&mut self, session: Session, now: DateTime<Utc>) -> String {
        self.sessions.retain(|_, session| session.expires > now);
        let key = format!("{ISSUED_SESSION_KEY}{}", ids::random_hex(11).to_uppercase());
        self.sessions.insert(key.clone(), session);
        key
    }

    /// Returns the number of roles, users and groups to which a policy is attached.
    pub(crate) fn attachments(&self, policy: &str) -> usize {
        let roles = self.roles.values().filter(|role| role.attached_policies.contains(policy)).count();
        let groups = self.groups.values().filter(|group| group.attached_policies.contains(policy)).count();
        roles + groups + self.users.values().filter(|user| user.attached_policies.contains(policy)).count()
    }

    /// Returns the number of roles and users whose permissions a policy limits.
    pub(crate) fn boundary_uses(&self, policy: &str) -> usize {
        let is_policy = |boundary: &Option<String>| boundary.as_deref() == Some(policy);
        let roles = self.roles.values().filter(|role| is_policy(&role.boundary)).count();
        roles + self.users.values().filter(|user| is_policy(&user.boundary)).count()
    }
}

impl Session {
    /// Returns a session with a new secret and a new token, without restrictions and tags.
    pub(crate) fn new(holder: SessionHolder, name: &str, issued: DateTime<Utc>, duration: TimeDelta) -> Session {
        Session {
            secret: ids::secret_key(),
            token: format!("{}{}", ids::random_hex(32), ids::random_hex(32)),
            holder,
            name: name.to_owned(),
            policy: None,
            policy_arns: Vec::new(),
            expires: issued + duration,
            issued: Some(issued),
            tags: Tags::new(),
            transitive_tags: BTreeSet::new(),
            source_identity: None,
        }
    }

    /// Returns the name of the session's role.
    pub(crate) fn role(&self) -> Option<&str> {
        match &self.holder {
            SessionHolder::Role { role } => Some(role),
            SessionHolder::User { .. } | SessionHolder::Root { .. } => None,
        }
    }

    /// Returns whether the session has policies of its own.
    pub(crate) fn is_restricted(&self) -> bool {
        self.policy.is_some() || !self.policy_arns.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Role {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) max_session_seconds: u32,
    /// Trust policy of the role.
    pub(crate) trust_policy: String,
    /// Policy documents by name.
    pub(crate) inline_policies: BTreeMap<String, String>,
    /// ARNs of managed policies.
    pub(crate) attached_policies: BTreeSet<String>,
    pub(crate) created: DateTime<Utc>,
    pub(crate) tags: Tags,
    /// ARN of the policy that limits the role's permissions.
    #[serde(default)]
    pub(crate) boundary: Option<String>,
    /// The latest request of a session of the role.
    #[serde(default)]
    pub(crate) last_used: Option<KeyUse>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct InstanceProfile {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) path: String,
    pub(crate) name: String,
    /// Role of the profile. A profile has at most one.
    pub(crate) role: Option<String>,
    pub(crate) created: DateTime<Utc>,
    pub(crate) tags: Tags,
}
