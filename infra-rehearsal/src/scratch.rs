//! A scratch cloud: a local cloud of this process that only has a control plane.

use crate::RehearsalError;
use crate::calls::Call;
use crate::schemas::Schemas;
use infra_core::{
    Target, Urn,
    target::{Credentials, Readiness},
};
use infra_local::{Account, LocalCloud, NetworkChoice, Options};
use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
    time::Duration,
};
use tempfile::TempDir;

/// Divides the waiting periods of AWS, such as deregistration delays: a rehearsal has nothing to wait for.
const TIME_SCALE: f64 = 1000.0;

/// Maximum time for which an operation waits. The scratch cloud applies every change at once, but the machine may be busy.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Number of recorded calls that are read at once.
const PAGE: usize = 5000;

/// A running scratch cloud. Its directory is removed with it.
pub(crate) struct Scratch {
    cloud: Arc<LocalCloud>,
    directory: TempDir,
}

impl Scratch {
    /// Starts an empty cloud in this account, which records resources of these types. `enforce_iam` lets it enforce
    /// policies.
    pub(crate) async fn start(
        account: Option<Account>,
        schemas: &Schemas,
        enforce_iam: bool,
    ) -> Result<Scratch, RehearsalError> {
        let directory = TempDir::with_prefix("rehearsal-").map_err(RehearsalError::Directory)?;
        schemas.share_with(directory.path())?;
        let options = Options {
            account,
            time_scale: TIME_SCALE,
            enforce_iam,
            network: NetworkChoice::Loopback,
            control_plane_only: true,
            ..Options::new(directory.path())
        };
        let cloud = LocalCloud::start(options).await?;
        Ok(Scratch { cloud: Arc::new(cloud), directory })
    }

    /// Returns the scratch cloud as a target with the name of the rehearsed target, because programs read the name.
    pub(crate) fn target(&self, name: &str) -> Target {
        let key = self.cloud.credentials();
        self.target_of(name, &key.access_key_id, &key.secret_access_key)
    }

    /// Returns the scratch cloud as a target for the owner of an access key.
    pub(crate) fn target_of(&self, name: &str, access_key: &str, secret_key: &str) -> Target {
        let local = Target::local(self.cloud.endpoint(), Credentials::new(access_key, secret_key));
        Target { name: name.to_owned(), readiness: Readiness::ControlPlane, longest_wait: Some(LONGEST_WAIT), ..local }
    }

    pub(crate) fn cloud(&self) -> &LocalCloud {
        &self.cloud
    }

    /// Returns a reference to the requests that the cloud receives.
    pub(crate) fn requests(&self) -> Requests {
        Requests(Arc::downgrade(&self.cloud))
    }

    /// Returns the number of the last call, or 0.
    pub(crate) fn last_call(&self) -> u64 {
        self.cloud.last_call()
    }

    /// Returns the identifiers of all resources.
    pub(crate) fn inventory(&self) -> BTreeSet<String> {
        self.cloud.inventory()
    }

    /// Returns the calls after the one with this number. Fails if the cloud has dropped some of them, because a report
    /// without them would be wrong.
    pub(crate) fn calls_after(&self, number: u64) -> Result<Vec<Call>, RehearsalError> {
        let mut calls: Vec<Call> = Vec::new();
        loop {
            let last = calls.last().map_or(number, |call| call.number);
            let page = self.cloud.calls_after(last, PAGE);
            let is_last = page.len() < PAGE;
            for call in page {
                let call: Call = serde_json::from_value(call).map_err(RehearsalError::Call)?;
                if call.number != calls.last().map_or(number, |call| call.number) + 1 {
                    return Err(RehearsalError::TooManyCalls);
                }
                calls.push(call);
            }
            if is_last {
                return Ok(calls);
            }
        }
    }

    /// Stops the cloud and removes its directory.
    pub(crate) async fn stop(self) {
        if let Some(cloud) = Arc::into_inner(self.cloud) {
            cloud.shutdown().await;
        }
        drop(self.directory);
    }
}

/// The requests that a scratch cloud has received.
pub(crate) struct Requests(Weak<LocalCloud>);

impl Requests {
    /// Returns whether the cloud has received a request for this resource.
    pub(crate) fn contain(&self, urn: &Urn) -> bool {
        self.0.upgrade().is_some_and(|cloud| cloud.has_received_calls_for(urn.as_str()))
    }

    /// Returns the number of the last request, or 0.
    pub(crate) fn last(&self) -> u64 {
        self.0.upgrade().map_or(0, |cloud| cloud.last_call())
    }

    /// Returns the last request for this resource with an error, if its number is larger than `after`.
    pub(crate) fn last_failed(&self, urn: &Urn, after: u64) -> Option<Call> {
        let call = self.0.upgrade()?.last_failed_call(urn.as_str(), after)?;
        serde_json::from_value(call).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_scratch_cloud_is_the_account_of_the_rehearsed_target() {
        let account: Account = "112233445566".parse().unwrap();
        let scratch = Scratch::start(Some(account), &Schemas::default(), false).await.unwrap();
        assert_eq!(scratch.cloud().account(), account);
        scratch.stop().await;
    }
}
