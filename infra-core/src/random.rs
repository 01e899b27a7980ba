//! Random values. They are generated once and exist only in the state.

use crate::{
    provider::{Context, Created, Handler, Prior, Problem, Provider, ProviderError, Recovery, Registry},
    resource::{Resource, Schema},
    value::Output,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A password of letters and digits from the operating system's random number generator. A change of the length
/// replaces the password.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Password {
    /// Number of characters, 8 to 1000. Each has just under 6 bits of entropy.
    pub length: u32,
}

/// Outputs of a [`Password`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PasswordOutputs {
    /// The password, a secret.
    pub value: Output<String>,
}

impl Password {
    /// Creates a password of this length.
    pub fn of_length(length: u32) -> Self {
        Self { length }
    }
}

impl Resource for Password {
    const TYPE: &'static str = "random:Password";
    type Outputs = PasswordOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["length"]).secret(["value"])
    }
}

impl Handler for Password {
    type Client = ();

    const IMPORTABLE: bool = false;

    fn check(&self) -> Vec<Problem> {
        let fits = (8..=1000).contains(&self.length);
        let problem = || Problem::new("length", format!("{} is not between 8 and 1000", self.length));
        (!fits).then(problem).into_iter().collect()
    }

    async fn create(_: &Context<'_, ()>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let value = draw(inputs.length)?.into();
        Ok(Created::new("password", PasswordOutputs { value }))
    }

    async fn read(_: &Context<'_, ()>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        Ok(Some(Created::new(&prior.id, prior.outputs.clone())))
    }

    async fn update(_: &Context<'_, ()>, prior: &Prior<Self>, _: &Self) -> Result<PasswordOutputs, ProviderError> {
        Ok(prior.outputs.clone())
    }

    async fn delete(_: &Context<'_, ()>, _: &Prior<Self>) -> Result<(), ProviderError> {
        Ok(())
    }

    fn recovery() -> Recovery<Self> {
        Recovery::idempotent()
    }
}

/// Returns the provider of the kinds in this module. Every stack has it.
pub fn provider() -> Arc<dyn Provider> {
    Arc::new(Registry::new(()).resource::<Password>())
}

/// Returns characters with equal probability: bytes beyond the last multiple of 62 are discarded.
fn draw(length: u32) -> Result<String, ProviderError> {
    const ALPHABET: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut text = String::new();
    let mut bytes = [0; 64];
    while text.len() < length as usize {
        getrandom::fill(&mut bytes).map_err(|error| {
            ProviderError::refused(format!("the operating system returned no random bytes: {error}"))
        })?;
        let missing = length as usize - text.len();
        let fair = bytes.iter().filter(|byte| **byte < 248).take(missing);
        text.extend(fair.map(|byte| char::from(ALPHABET[usize::from(byte % 62)])));
    }
    Ok(text)
}
