//! The principals that statements of resource policies and trust policies name.
//!
//! Source: AWS IAM User Guide, "AWS JSON policy elements: Principal" and "… NotPrincipal".

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Texts;

/// The `Principal` or `NotPrincipal` element of a statement.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Principals {
    /// `"*"`
    Everyone,
    /// Principals by kind: `AWS`, `Service`, `Federated`, `CanonicalUser`.
    Kinds(BTreeMap<String, Vec<String>>),
    /// A text that is not `*`. AWS refuses it.
    Invalid(String),
}

/// The principal of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    /// A user, or a session of one. The unique id names it too.
    User { arn: String, id: String },
    /// A session of a role.
    Session { role_arn: String, role_id: String, session_arn: String },
    /// The root user of the account.
    Root,
    /// A service of AWS, such as `ec2.amazonaws.com`.
    Service(String),
    /// A request without a signature.
    Anonymous,
}

/// Precision with which a statement names a principal. A resource policy that names only the account leaves the decision
/// to the identity's policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Naming {
    Account,
    /// The role of a session. Boundaries and session policies still restrict it.
    Role,
    /// The user, the session, the service, or everyone.
    Direct,
}

impl Principals {
    /// Returns the precision with which the element names a principal of this account, or `None` if it does not.
    pub(super) fn naming(&self, principal: &Principal, account: &str) -> Option<Naming> {
        let kinds = match self {
            Principals::Everyone => return principal.is_everyone().then_some(Naming::Direct),
            Principals::Invalid(_) => return None,
            Principals::Kinds(kinds) => kinds,
        };
        let of = |kind: &str| kinds.get(kind).map(Vec::as_slice).unwrap_or_default();
        match principal {
            Principal::Service(name) => of("Service").contains(name).then_some(Naming::Direct),
            _ => of("AWS").iter().filter_map(|text| principal.naming(text, account)).max(),
        }
    }

    /// Returns the kinds of principals with their values.
    pub(super) fn kinds(&self) -> impl Iterator<Item = (&str, &str)> {
        let kinds = match self {
            Principals::Kinds(kinds) => Some(kinds),
            Principals::Everyone | Principals::Invalid(_) => None,
        };
        kinds.into_iter().flatten().flat_map(|(kind, values)| values.iter().map(move |it| (kind.as_str(), it.as_str())))
    }
}

impl Principal {
    /// Returns whether `*` means this principal.
    fn is_everyone(&self) -> bool {
        !matches!(self, Principal::Service(_))
    }

    /// Returns the precision with which an entry of `AWS` names this principal.
    fn naming(&self, text: &str, account: &str) -> Option<Naming> {
        if text == "*" {
            return Some(Naming::Direct);
        }
        let is_account = text == account || text == format!("arn:aws:iam::{account}:root");
        match self {
            Principal::Anonymous | Principal::Service(_) => None,
            Principal::Root => is_account.then_some(Naming::Direct),
            _ if is_account => Some(Naming::Account),
            Principal::User { arn, id } => (text == arn || text == id).then_some(Naming::Direct),
            Principal::Session { session_arn, .. } if text == session_arn => Some(Naming::Direct),
            Principal::Session { role_arn, role_id, .. } => {
                (text == role_arn || text == role_id).then_some(Naming::Role)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Principals {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) if text == "*" => Ok(Principals::Everyone),
            Value::String(text) => Ok(Principals::Invalid(text)),
            Value::Object(kinds) => {
                let values = |value: &Value| Texts::from_value(value).map(|Texts(values)| values);
                let kinds = kinds.into_iter().map(|(kind, value)| Some((kind, values(&value)?))).collect::<Option<_>>();
                kinds.map(Principals::Kinds).ok_or_else(|| D::Error::custom("expected a text or a list of texts"))
            }
            _ => Err(D::Error::custom("expected * or an object of principals")),
        }
    }
}
