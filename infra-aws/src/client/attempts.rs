//! Remembers whether a retried request may already have arrived.
//!
//! The SDK shows a caller only how the last attempt ended. When an earlier one was sent and its answer lost, "connection
//! refused" or "access denied" at the end proves nothing: the request may have been carried out. What is noted here lets
//! [`error`](crate::error) tell "it certainly did not happen" from "nobody knows".

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{
                BeforeDeserializationInterceptorContextMut, FinalizerInterceptorContextMut,
                FinalizerInterceptorContextRef,
            },
            dyn_dispatch_hint,
        },
        orchestrator::OrchestratorError,
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::Headers,
};
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};

const HEADER: &str = "x-infra-earlier-attempt";

/// Whether an earlier attempt of the request that this response answers may have arrived.
pub(crate) fn earlier_attempt_may_have_arrived(headers: &Headers) -> bool {
    headers.get(HEADER).is_some()
}

/// The interceptor that watches every attempt.
#[derive(Debug)]
pub(super) struct Attempts;

/// An earlier attempt may have arrived.
#[derive(Debug)]
struct Ambiguous;

impl Storable for Ambiguous {
    type Storer = StoreReplace<Self>;
}

#[derive(Debug, thiserror::Error)]
#[error("the answer was lost, and the endpoint could not be asked again")]
struct AnswerLost;

#[dyn_dispatch_hint]
impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let failed = context.response().status().is_server_error();
        if bag.load::<Ambiguous>().is_some() {
            context.response_mut().headers_mut().insert(HEADER, "ambiguous");
        }
        if failed {
            bag.interceptor_state().store_put(Ambiguous);
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let lost = match context.output_or_error() {
            Some(Err(error)) => context.response().is_none() && !crate::error::never_sent(error),
            _ => false,
        };
        if lost {
            bag.interceptor_state().store_put(Ambiguous);
        }
        Ok(())
    }

    fn modify_before_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if bag.load::<Ambiguous>().is_some()
            && let Some(Err(error)) = context.output_or_error_mut()
            && crate::error::never_sent(error)
        {
            *error = OrchestratorError::connector(ConnectorError::other(AnswerLost.into(), None));
        }
        Ok(())
    }
}
