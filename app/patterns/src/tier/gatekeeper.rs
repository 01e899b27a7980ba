//! The gatekeeper: the public tier. It refuses statements outside of the subset of [`crate::sql`], and has neither a key nor a
//! connection to the database.
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `TRUSTED_HOST_URL`, `FORWARD_SECONDS` | required, 6 | see [`crate::forward`] |

use kit::{ApplicationError, settings::Variables};

use super::{Tier, TierError, TierRequest};
use crate::{
    forward::{Answer, NextTier, NextTierError, TierClient},
    input::Input,
};

/// Default of `FORWARD_SECONDS`: longer than that of the trusted host.
const FORWARD_SECONDS: u32 = 6;

/// The gatekeeper.
#[derive(Debug, Clone)]
pub struct Gatekeeper {
    next: NextTier,
    client: TierClient,
}

impl Gatekeeper {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`NextTierError`] for the first invalid setting.
    pub fn from(variables: Variables) -> Result<Self, NextTierError> {
        let next = NextTier::from("trusted host", "TRUSTED_HOST_URL", FORWARD_SECONDS, variables)?;
        Ok(Self { client: next.client(), next })
    }
}

impl Tier for Gatekeeper {
    const NAME: &'static str = "gatekeeper";
    const IS_SIGNED: bool = false;

    fn for_thread(&self) -> Self {
        Self { next: self.next.clone(), client: self.next.client() }
    }

    async fn answer(&self, TierRequest { operation, body, headers, .. }: TierRequest) -> Result<Answer, TierError> {
        let input = Input::check(&body, operation)?;
        Ok(self.client.post(operation.path(), &headers, input.body()).await?)
    }

    async fn check(&self) -> Result<(), ApplicationError> {
        Ok(self.client.check().await?)
    }
}
