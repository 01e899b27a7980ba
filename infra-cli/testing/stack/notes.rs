//! A program of notes: files that a local cloud keeps.

use crate::{
    http::get,
    variables::{FAIL, NOTES, PORT},
};
use infra_core::{
    Config, Output, Resource, Result, Schema, Stack,
    provider::{Context, Created, Handler, Prior, ProviderError, Recovery, Registry},
    random::Password,
};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::Arc};

/// A file in the directory of the local cloud. Its creation and deletion send several requests to the cloud.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note {
    name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct NoteOutputs {
    name: Output<String>,
}

/// Client of the notes: their directory, and the endpoint of the cloud.
struct Notes {
    directory: PathBuf,
    endpoint: String,
}

impl Notes {
    /// Fails unless the cloud runs throughout several requests.
    fn check_cloud(&self) -> Result<(), ProviderError> {
        for _ in 0..20 {
            let answer = get(&self.endpoint, "/_infra/health").map_err(|error| {
                ProviderError::refused(format!("the local cloud does not answer at {}: {error}", self.endpoint))
            })?;
            if !answer.ends_with(r#"{"status":"running"}"#) {
                return Err(ProviderError::refused(answer));
            }
        }
        Ok(())
    }
}

impl Resource for Note {
    const TYPE: &'static str = "notes:Note";
    type Outputs = NoteOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["name"])
    }
}

impl Handler for Note {
    type Client = Notes;

    async fn create(cx: &Context<'_, Notes>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        cx.client().check_cloud()?;
        std::fs::write(cx.client().directory.join(&inputs.name), "").unwrap();
        Ok(Created::new(&inputs.name, NoteOutputs { name: inputs.name.clone().into() }))
    }

    async fn read(cx: &Context<'_, Notes>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let exists = cx.client().directory.join(&prior.id).exists();
        Ok(exists.then(|| Created::new(&prior.id, prior.outputs.clone())))
    }

    async fn update(_: &Context<'_, Notes>, prior: &Prior<Self>, _: &Self) -> Result<NoteOutputs, ProviderError> {
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Notes>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        cx.client().check_cloud()?;
        std::fs::remove_file(cx.client().directory.join(&prior.id)).unwrap();
        Ok(())
    }

    fn recovery() -> Recovery<Self> {
        Recovery::idempotent()
    }
}

/// Declares a note in the local cloud, or a password on AWS.
pub(crate) fn declare(stack: &Stack, _: &Config) -> Result {
    if std::env::var_os(FAIL).is_some() {
        return Err("the program fails on purpose".into());
    }
    if !stack.target().is_local() {
        stack.add("password", Password::of_length(20));
        return Ok(());
    }
    if let Ok(port) = std::env::var(PORT) {
        let host = stack.target().host.as_ref().unwrap();
        stack.export("occupied", host.occupied_ports.contains(&port.parse().unwrap()).into());
    }
    let directory = PathBuf::from(std::env::var_os(NOTES).unwrap());
    let endpoint = stack.target().endpoint.clone().unwrap_or_default();
    stack.provide("notes", || Arc::new(Registry::new(Notes { directory, endpoint }).resource::<Note>()));
    stack.add("note", Note { name: format!("note-{}", stack.stack_name()) });
    Ok(())
}
