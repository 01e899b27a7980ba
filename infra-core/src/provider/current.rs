//! The resource of a provider call, for code that does not receive the request, such as an interceptor of an SDK.

use crate::urn::Urn;
use std::future::Future;

tokio::task_local! {
    static CURRENT: Urn;
}

/// Returns the resource or lookup whose provider call runs in this task. Tasks that a handler spawns have none.
pub fn current_resource() -> Option<Urn> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Runs a provider call of this resource.
pub(super) async fn within<T>(urn: &Urn, call: impl Future<Output = T>) -> T {
    CURRENT.scope(urn.clone(), call).await
}
