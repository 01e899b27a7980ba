//! Names the declared resource in requests to an endpoint other than AWS's own. The local cloud records it with each
//! request, so that rehearsals can attribute requests to the steps of a plan.

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeTransmitInterceptorContextMut, dyn_dispatch_hint},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use infra_core::provider::current_resource;

const HEADER: &str = "x-infra-resource";

/// The interceptor that adds the header.
#[derive(Debug)]
pub(super) struct Attribution;

#[dyn_dispatch_hint]
impl Intercept for Attribution {
    fn name(&self) -> &'static str {
        "Attribution"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(urn) = current_resource() {
            context.request_mut().headers_mut().try_insert(HEADER, urn.to_string())?;
        }
        Ok(())
    }
}
