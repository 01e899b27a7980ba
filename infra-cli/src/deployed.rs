//! The cloud that a stack is deployed to, as recorded in a document beside the state.

use infra_core::diagnostic::Diagnostic;
use infra_local::daemon::Running;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Name of the document.
pub(crate) const DOCUMENT: &str = "target";

/// A target and, as far as it is known, the identity of the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deployed {
    /// `local` or `aws`.
    pub(crate) target: String,
    /// ID of the local cloud, which `local reset` changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cloud: Option<String>,
    /// ID of the AWS account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// Endpoint, unless it is AWS's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
}

impl Deployed {
    /// Returns a target without the identity of its cloud.
    pub(crate) fn named(target: &str) -> Self {
        Self { target: target.to_owned(), cloud: None, account: None, endpoint: None }
    }

    /// Returns the identity of a running local cloud.
    pub(crate) fn local(running: &Running) -> Self {
        let cloud = Some(running.cloud_id.clone()).filter(|id| !id.is_empty());
        Self { cloud, endpoint: Some(running.endpoint.clone()), ..Self::named("local") }
    }

    /// Returns the identity of an AWS account, or of a server that implements the AWS APIs.
    pub(crate) fn aws(account: Option<String>, endpoint: Option<String>) -> Self {
        Self { account, endpoint, ..Self::named("aws") }
    }

    /// Parses the document. Earlier versions recorded the name of the target alone.
    pub(crate) fn read(document: &[u8]) -> Self {
        serde_json::from_slice(document).unwrap_or_else(|_| Self::named(String::from_utf8_lossy(document).trim()))
    }

    /// Returns the document.
    pub(crate) fn write(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    /// Returns the AWS account, if it is known.
    pub(crate) fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// Returns whether the AWS account is known.
    pub(crate) fn has_account(&self) -> bool {
        self.account.is_some()
    }

    /// Returns whether both are clouds of the same target with different identities. A local cloud keeps its identity
    /// when its endpoint changes.
    pub(crate) fn is_another_cloud_than(&self, other: &Self) -> bool {
        let differ = |one: &Option<String>, other: &Option<String>| one.is_some() && other.is_some() && one != other;
        let both_known = self.account.is_some() && other.account.is_some();
        self.target == other.target
            && (differ(&self.cloud, &other.cloud)
                || differ(&self.account, &other.account)
                || both_known && self.endpoint != other.endpoint)
    }

    /// Returns the error for a run in this AWS account when the stack is deployed to another one.
    pub(crate) fn refusal(&self, stack: &str, recorded: &Self) -> Diagnostic {
        let summary = format!("the stack `{stack}` is deployed to {recorded}, and this command would use {self}");
        let hint = format!(
            "use the credentials and the endpoint of {recorded}, or choose another stack: `--stack NAME`; \
             to abandon its resources there, remove them from the state: `state rm '*'`"
        );
        Diagnostic::error(summary).hint(hint)
    }

    /// Returns the warning for a run on this local cloud when the stack was deployed to another one.
    pub(crate) fn notice(&self, stack: &str, recorded: &Self) -> Diagnostic {
        let reason = format!("it was deployed to {recorded}; this one is {self}, as after `local reset`");
        Diagnostic::warning(format!("the stack `{stack}` was deployed to another local cloud"))
            .because(reason)
            .hint("every resource is read again first; `up` creates again what does not exist any more")
    }
}

impl fmt::Display for Deployed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.cloud, &self.account) {
            (Some(cloud), _) => write!(f, "{cloud}")?,
            (None, Some(account)) => write!(f, "the AWS account {account}")?,
            (None, None) => write!(f, "the target `{}`", self.target)?,
        }
        self.endpoint.iter().try_for_each(|endpoint| write!(f, " at {endpoint}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(id: &str, endpoint: &str) -> Deployed {
        Deployed { cloud: Some(id.to_owned()), endpoint: Some(endpoint.to_owned()), ..Deployed::named("local") }
    }

    fn account(id: &str, endpoint: Option<&str>) -> Deployed {
        Deployed::aws(Some(id.to_owned()), endpoint.map(str::to_owned))
    }

    #[test]
    fn documents_of_earlier_versions_contain_only_the_target() {
        assert_eq!(Deployed::read(b"aws\n"), Deployed::named("aws"));
        let local = cloud("cloud-1", "http://127.0.0.1:1");
        assert_eq!(Deployed::read(&local.write().unwrap_or_default()), local);
        assert!(!local.is_another_cloud_than(&Deployed::read(b"local")));
    }

    #[test]
    fn clouds_differ_by_id_account_and_the_endpoint_of_an_account() {
        let one = cloud("cloud-1", "http://127.0.0.1:1");
        assert!(one.is_another_cloud_than(&cloud("cloud-2", "http://127.0.0.1:1")));
        assert!(!one.is_another_cloud_than(&cloud("cloud-1", "http://127.0.0.1:2")));
        let one = account("1", None);
        assert!(one.is_another_cloud_than(&account("2", None)));
        assert!(one.is_another_cloud_than(&account("1", Some("http://127.0.0.1:5000"))));
        assert!(!one.is_another_cloud_than(&account("1", None)));
        assert!(!one.is_another_cloud_than(&Deployed::aws(None, Some("http://127.0.0.1:5000".to_owned()))));
    }

    #[test]
    fn refusal_names_both_accounts_and_the_alternatives() {
        insta::assert_snapshot!(account("222222222222", None).refusal("dev", &account("111111111111", None)), @"
        error: the stack `dev` is deployed to the AWS account 111111111111, and this command would use the AWS account 222222222222
          hint: use the credentials and the endpoint of the AWS account 111111111111, or choose another stack: `--stack NAME`; to abandon its resources there, remove them from the state: `state rm '*'`
        ");
    }
}
