//! The proxy: it refuses requests without a valid signature, and runs the statements on the nodes of the cluster.
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `SIGNING_KEY`, `SIGNING_SKEW_SECONDS` | required, 30 | see [`crate::signature`] |
//! | `MANAGER_URL`, `WORKER_URLS`, `STANDALONE_URL`, … | | see [`crate::cluster`] |

use std::{fmt, sync::Arc, time::SystemTime};

use actix_web::http::header::HeaderValue;
use kit::{ApplicationError, settings::Variables};
use serde_json::json;

use super::{Tier, TierError, TierRequest};
use crate::{
    cluster::{Cluster, Settings, SettingsError},
    forward::Answer,
    input::{Input, InputError},
    operation::Operation,
    signature::{Signed, Verifier, VerifierError, millis},
};

/// Settings of the proxy.
#[derive(Debug)]
pub struct ProxySettings {
    verifier: Verifier,
    cluster: Settings,
}

/// Error of the settings.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The settings of signatures are invalid.
    #[error(transparent)]
    Verifier(#[from] VerifierError),
    /// The settings of the cluster are invalid.
    #[error(transparent)]
    Cluster(#[from] SettingsError),
}

impl ProxySettings {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ProxyError`] for the first invalid setting.
    pub fn from(variables: Variables) -> Result<Self, ProxyError> {
        Ok(Self { verifier: Verifier::from(variables)?, cluster: Settings::from(variables)? })
    }
}

/// The proxy.
#[derive(Clone)]
pub struct Proxy {
    verifier: Arc<Verifier>,
    cluster: Arc<Cluster>,
}

impl Proxy {
    /// Starts to measure the nodes of the cluster.
    pub fn start(ProxySettings { verifier, cluster }: ProxySettings) -> Self {
        Self { verifier: Arc::new(verifier), cluster: Arc::new(Cluster::start(cluster)) }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").finish_non_exhaustive()
    }
}

impl Tier for Proxy {
    const NAME: &'static str = "proxy";
    const IS_SIGNED: bool = true;

    fn for_thread(&self) -> Self {
        self.clone()
    }

    async fn answer(
        &self,
        TierRequest { operation, path, body, signature, .. }: TierRequest,
    ) -> Result<Answer, TierError> {
        let signed = Signed { method: "POST", path: &path, body: &body };
        self.verifier.verify(signed, signature.as_ref(), millis(SystemTime::now()))?;
        let Input { sql, table } = Input::trusted(&body)?;
        let (node, body) = match operation {
            Operation::Populate => {
                let table = table.ok_or(InputError::UnknownTable)?;
                let message = format!("Insert query executed successfully in {table}");
                (self.cluster.write(&sql).await?, json!({ "message": message }).to_string().into())
            }
            Operation::Fetch(mode) => self.cluster.read(mode, sql).await?,
        };
        Ok(Answer { status: 200, node: HeaderValue::from_str(&node).ok(), body })
    }

    async fn check(&self) -> Result<(), ApplicationError> {
        Ok(self.cluster.check()?)
    }

    async fn close(self) {
        self.cluster.close().await;
    }
}
