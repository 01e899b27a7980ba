//! References to the outputs of other stacks.

use crate::{
    diagnostic::Diagnostic,
    provider::{Imported, Inspect, Outcome, Provider, ProviderError, RecoveryKind, Reporter},
    stack::ReferenceArguments,
    state::{Live, Request},
    store::StateStore,
    urn::Urn,
    value::{Map, Value},
};
use async_trait::async_trait;
use std::sync::Arc;

/// Reads references from a store. It takes no lock: changes of a running run of the other stack are visible as far as
/// they are recorded.
pub(crate) struct References(pub(crate) Arc<dyn StateStore>);

impl References {
    async fn answer(&self, urn: &Urn, arguments: ReferenceArguments) -> Result<Value, ProviderError> {
        let ReferenceArguments { program, stack, outputs, secret } = arguments;
        if (urn.program(), urn.stack()) == (&program, &stack) {
            return Err(ProviderError::refused("a stack cannot refer to itself")
                .hint("use the outputs of the resource directly"));
        }
        let state = self.0.peek(&program, &stack).await.map_err(|error| ProviderError::refused(error.to_string()))?;
        let Some(state) = state else {
            return Err(ProviderError::refused(format!("there is no stack `{stack}` of `{program}` in this store"))
                .hint(format!("run `--program {program} --stack {stack} up` first, with the same `--backend`")));
        };
        let mut answer = Map::new();
        for name in outputs {
            let Some(value) = state.outputs.get(&name) else {
                let known: Vec<&str> = state.outputs.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
                return Err(ProviderError::refused(format!("the stack `{stack}` of `{program}` exports no `{name}`"))
                    .hint(format!("it exports {known}")));
            };
            // The secrecy of a value must be known before its content.
            if value.has_secret() && !secret.contains(&name) {
                let summary = format!("the output `{name}` of the stack `{stack}` of `{program}` is secret");
                return Err(ProviderError::refused(summary)
                    .hint(format!("read it with `stack.secret_reference(\"{program}\", \"{stack}\", [\"{name}\"])`")));
            }
            answer.insert(&name, value.clone());
        }
        Ok(Value::Map(answer))
    }
}

const READ_ONLY: &str = "a reference to another stack is only read";

#[async_trait]
impl Inspect for References {
    fn check(&self, _: &Urn, _: &Value, _: Option<&Value>) -> Vec<Diagnostic> {
        Vec::new()
    }

    fn recovery(&self, _: &Urn) -> Option<RecoveryKind> {
        None
    }

    async fn read(&self, _: &Request, _: &Live) -> Result<Option<Live>, ProviderError> {
        Err(ProviderError::refused(READ_ONLY))
    }

    async fn import(&self, _: &Request) -> Result<Option<Imported>, ProviderError> {
        Err(ProviderError::refused(READ_ONLY))
    }

    async fn find(&self, _: &Request, _: &[Value]) -> Result<Outcome, ProviderError> {
        Err(ProviderError::refused(READ_ONLY))
    }

    async fn lookup(&self, request: &Request, _: &dyn Reporter) -> Result<Value, ProviderError> {
        let arguments: ReferenceArguments = serde_json::from_value(request.inputs.to_json())
            .map_err(|error| ProviderError::refused(format!("the arguments of the reference are invalid: {error}")))?;
        self.answer(&request.urn, arguments).await
    }
}

#[async_trait]
impl Provider for References {
    async fn create(&self, _: &Request, _: &[Value], _: &dyn Reporter) -> Result<Live, ProviderError> {
        Err(ProviderError::refused(READ_ONLY))
    }

    async fn update(&self, _: &Request, _: &Live, _: &dyn Reporter) -> Result<Live, ProviderError> {
        Err(ProviderError::refused(READ_ONLY))
    }

    async fn delete(&self, _: &Request, _: &Live, _: &dyn Reporter) -> Result<(), ProviderError> {
        Err(ProviderError::refused(READ_ONLY))
    }
}
