//! Users, roles, policies and sessions. IAM is global, not regional.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Tags, ids};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Iam {
    pub(crate) roles: BTreeMap<String, Role>,
    pub(crate) instance_profiles: BTreeMap<String, InstanceProfile>,
    pub(crate) users: BTreeMap<String, User>,
    /// Customer managed policies by ARN.
    pub(crate) policies: BTreeMap<String, ManagedPolicy>,
    /// Temporary credentials by access key.
    pub(crate) sessions: BTreeMap<String, Session>,
}

super::changes::record_by_field!(Iam {
    whole: [],
    maps: [roles, instance_profiles, users, policies, sessions],
    parts: [],
    children: [],
    apart: [],
});

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
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AccessKey {
    pub(crate) secret: String,
    pub(crate) active: bool,
    pub(crate) created: DateTime<Utc>,
}

/// Temporary credentials of a session of a role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) secret: String,
    pub(crate) token: String,
    /// The role's name.
    pub(crate) role: String,
    /// The session's own name.
    pub(crate) name: String,
    /// Session policy, which restricts the role's permissions.
    pub(crate) policy: Option<String>,
    pub(crate) expires: DateTime<Utc>,
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

impl Iam {
    /// Issues temporary credentials of a role, and drops expired ones.
    pub(crate) fn issue(&mut self, session: Session, now: DateTime<Utc>) -> String {
        self.sessions.retain(|_, session| session.expires > now);
        let key = format!("{ISSUED_SESSION_KEY}{}", ids::random_hex(11).to_uppercase());
        self.sessions.insert(key.clone(), session);
        key
    }

    /// Returns the number of roles and users to which a policy is attached.
    pub(crate) fn attachments(&self, policy: &str) -> usize {
        let roles = self.roles.values().filter(|role| role.attached_policies.contains(policy)).count();
        roles + self.users.values().filter(|user| user.attached_policies.contains(policy)).count()
    }
}

impl Session {
    /// Returns a session with a new secret and a new token.
    pub(crate) fn new(role: &str, name: &str, policy: Option<String>, expires: DateTime<Utc>) -> Session {
        let token = format!("{}{}", ids::random_hex(32), ids::random_hex(32));
        Session { secret: ids::secret_key(), token, role: role.to_owned(), name: name.to_owned(), policy, expires }
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
