//! Programs with a regional provider, and with required values.

use infra_core::{
    Config, Output, Resource, Result, Schema, Stack,
    provider::{Context, Created, Handler, Prior, ProviderError, Recovery, Registry},
    random::Password,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A resource of a provider with regions.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Server {
    size: u32,
}

#[derive(Clone, Serialize, Deserialize)]
struct ServerOutputs {
    address: Output<String>,
}

impl Resource for Server {
    const TYPE: &'static str = "cloud:Server";
    type Outputs = ServerOutputs;

    fn schema() -> Schema {
        Schema::new()
    }
}

impl Handler for Server {
    type Client = ();

    async fn create(_: &Context<'_, ()>, _: &Self) -> Result<Created<Self>, ProviderError> {
        Ok(Created::new("server-1", ServerOutputs { address: "10.0.0.1".into() }))
    }

    async fn read(_: &Context<'_, ()>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        Ok(Some(Created::new(&prior.id, prior.outputs.clone())))
    }

    async fn update(_: &Context<'_, ()>, prior: &Prior<Self>, _: &Self) -> Result<ServerOutputs, ProviderError> {
        Ok(prior.outputs.clone())
    }

    async fn delete(_: &Context<'_, ()>, _: &Prior<Self>) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn import(cx: &Context<'_, ()>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        cx.region()?;
        let created = Created::new(id, ServerOutputs { address: "10.0.0.2".into() });
        Ok((id == "server-2").then_some(Created { inputs: Some(Self { size: 2 }), ..created }))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::idempotent()
    }
}

/// Declares a server in a region, and a password.
pub(crate) fn declare(stack: &Stack, config: &Config) -> Result {
    stack.provide("cloud", || {
        Arc::new(Registry::new(()).regional(|region| format!("stack.in_region({region:?})")).resource::<Server>())
    });
    let size = config.get_or("serverSize", 1_u32)?;
    config.secret("token")?;
    let password = stack.add("password", Password::of_length(20));
    let server = stack.in_region("north").add("server", Server { size });
    stack.relaunchable("database", &server.address, "a new server");
    stack.export("password", password.value);
    stack.export("address", server.address);
    Ok(())
}

/// Declares nothing, and fails early: it reads `second` only if `first` has a value.
pub(crate) fn declare_nothing(_: &Stack, config: &Config) -> Result {
    config.require::<String>("first")?;
    config.require::<String>("second")?;
    Ok(())
}
