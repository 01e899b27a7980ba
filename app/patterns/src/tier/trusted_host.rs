//! The trusted host: it checks each statement again, independently of the gatekeeper, and signs the request to the proxy.
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `PROXY_URL`, `FORWARD_SECONDS` | required, 5 | see [`crate::forward`] |
//! | `SIGNING_KEY` | required | see [`crate::signature`] |

use kit::{ApplicationError, settings::Variables};

use super::{Tier, TierError, TierRequest};
use crate::{
    forward::{Answer, NextTier, NextTierError, TierClient},
    input::Input,
    signature::{Key, KeyError, NONCE, SIGNATURE, Signature, Signed, TIME},
};

/// Default of `FORWARD_SECONDS`: longer than the time limit of the proxy.
const FORWARD_SECONDS: u32 = 5;

/// The trusted host.
#[derive(Debug, Clone)]
pub struct TrustedHost {
    next: NextTier,
    client: TierClient,
    key: Key,
}

/// Error of the settings.
#[derive(Debug, thiserror::Error)]
pub enum TrustedHostError {
    /// The next tier is invalid.
    #[error(transparent)]
    NextTier(#[from] NextTierError),
    /// The key is invalid.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl TrustedHost {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`TrustedHostError`] for the first invalid setting.
    pub fn from(variables: Variables) -> Result<Self, TrustedHostError> {
        let next = NextTier::from("proxy", "PROXY_URL", FORWARD_SECONDS, variables)?;
        Ok(Self { client: next.client(), next, key: Key::from(variables)? })
    }
}

impl Tier for TrustedHost {
    const NAME: &'static str = "trusted host";
    const IS_SIGNED: bool = false;

    fn for_thread(&self) -> Self {
        Self { client: self.next.client(), ..self.clone() }
    }

    async fn answer(&self, TierRequest { operation, body, mut headers, .. }: TierRequest) -> Result<Answer, TierError> {
        let body = Input::check(&body, operation)?.body();
        let signed = Signed { method: "POST", path: operation.path(), body: &body };
        let Signature { time, nonce, signature } = self.key.sign(signed).map_err(TierError::Unsigned)?;
        headers.extend([(TIME, time), (NONCE, nonce), (SIGNATURE, signature)]);
        Ok(self.client.post(operation.path(), &headers, body).await?)
    }

    async fn check(&self) -> Result<(), ApplicationError> {
        Ok(self.client.check().await?)
    }
}
