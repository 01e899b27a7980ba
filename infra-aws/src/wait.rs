//! Polling with backoff and jitter, until a condition holds or a call succeeds.

use crate::{client::Aws, error::AwsError};
use infra_core::provider::{Context, Described, ErrorKind, ProviderError, Update};
use std::{future::Future, time::Duration};
use tokio::time::Instant;

/// Deadline for changes that AWS completes within seconds to a few minutes, such as the start of an instance.
pub(crate) const TIMEOUT: Duration = Duration::from_mins(10);
/// Deadline for errors that eventual consistency explains, such as "not found" right after a create.
pub(crate) const CONSISTENCY: Duration = Duration::from_mins(2);
/// Returns the time after which a created resource is visible to read calls.
pub(crate) fn visibility(client: &Aws) -> Duration {
    if client.has_custom_endpoint() { Duration::from_secs(1) } else { Duration::from_mins(1) }
}

const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Calls `poll` until it returns `Some`, and reports `status` while it waits. Fails with [`ErrorKind::Unsure`] after
/// `deadline`, because the change may still complete later.
pub(crate) async fn until<T, F>(
    cx: &Context<'_, Aws>,
    status: &str,
    deadline: Duration,
    mut poll: impl FnMut() -> F,
) -> Result<T, ProviderError>
where
    F: Future<Output = Result<Option<T>, ProviderError>>,
{
    let mut backoff = Backoff::new(cx.client(), deadline);
    let mut reported = false;
    loop {
        if let Some(result) = poll().await? {
            return Ok(result);
        }
        if !std::mem::replace(&mut reported, true) {
            cx.status(status);
        }
        if !backoff.sleep().await {
            let seconds = cx.client().longest_wait(deadline).as_secs();
            return Err(ProviderError::unsure(format!("timed out after {seconds} seconds while {status}"))
                .hint("run the same command again: it continues from the state that exists by then"));
        }
    }
}

/// Returns the description of the resource that an update changes. A resource that has just been created may be visible
/// only after a while; any other one must exist.
pub(crate) async fn visible<K>(
    cx: &Context<'_, Aws>,
    api: &K::Api,
    update: &Update<'_, K>,
) -> Result<K::Description, ProviderError>
where
    K: Described<Client = Aws>,
{
    if update.old.is_some() {
        return K::require(cx, api, update.id).await;
    }
    let describe = || K::describe(cx, api, update.id);
    until(cx, "waiting until the new resource is visible", CONSISTENCY, describe).await
}

/// Returns the description of a resource whose create request has succeeded, once it is visible.
///
/// Every failure is [`ErrorKind::Unsure`]: the resource exists although it could not be read, so the operation stays open
/// and the next run finds the resource.
pub(crate) async fn created<K>(cx: &Context<'_, Aws>, api: &K::Api, id: &str) -> Result<K::Description, ProviderError>
where
    K: Described<Client = Aws>,
{
    let describe = || K::describe(cx, api, id);
    until(cx, "waiting until the new resource is visible", CONSISTENCY, describe).await.map_err(after_create)
}

/// Converts an error that follows a successful create request: the resource exists.
pub(crate) fn after_create(error: ProviderError) -> ProviderError {
    ProviderError { kind: ErrorKind::Unsure, ..error }
}

/// Repeats `call` while it fails with one of `codes`, because a resource that it refers to is too new to be visible
/// everywhere. Reports `status` meanwhile, and returns the last error after [`CONSISTENCY`].
pub(crate) async fn retry_while_inconsistent<T, F>(
    cx: &Context<'_, Aws>,
    status: &str,
    codes: &[&str],
    call: impl FnMut() -> F,
) -> Result<T, AwsError>
where
    F: Future<Output = Result<T, AwsError>>,
{
    retry(cx, status, CONSISTENCY, |error| error.has_code(codes), call).await
}

/// Repeats a deletion while it fails because another resource, which is being deleted as well, still uses its object.
pub(crate) async fn retry_while_in_use<T, F>(
    cx: &Context<'_, Aws>,
    status: &str,
    deadline: Duration,
    call: impl FnMut() -> F,
) -> Result<T, AwsError>
where
    F: Future<Output = Result<T, AwsError>>,
{
    retry(cx, status, deadline, |error| error.kind == ErrorKind::Dependency, call).await
}

/// Repeats `call` while `is_retryable` accepts its error. Returns the last error after `deadline`.
pub(crate) async fn retry<T, F>(
    cx: &Context<'_, Aws>,
    status: &str,
    deadline: Duration,
    is_retryable: impl Fn(&AwsError) -> bool,
    mut call: impl FnMut() -> F,
) -> Result<T, AwsError>
where
    F: Future<Output = Result<T, AwsError>>,
{
    let mut backoff = Backoff::new(cx.client(), deadline);
    let mut reported = false;
    loop {
        match call().await {
            Err(error) if is_retryable(&error) => {
                if !std::mem::replace(&mut reported, true) {
                    cx.status(status);
                }
                if !backoff.sleep().await {
                    return Err(error);
                }
            }
            other => return other,
        }
    }
}

/// The pauses between polls: short at first, then longer, up to [`MAX_PAUSE`].
pub(crate) struct Backoff {
    pause: Duration,
    end: Instant,
}

impl Backoff {
    pub(crate) fn new(client: &Aws, deadline: Duration) -> Self {
        let pause = if client.has_custom_endpoint() { 20 } else { 500 };
        Self { pause: Duration::from_millis(pause), end: Instant::now() + client.longest_wait(deadline) }
    }

    /// Sleeps until the next poll is due. Returns false without sleeping when the deadline has passed.
    pub(crate) async fn sleep(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.end {
            return false;
        }
        let pause = self.pause.mul_f64(0.75 + jitter() / 2.0);
        tokio::time::sleep_until((now + pause).min(self.end)).await;
        self.pause = self.pause.mul_f64(1.5).min(MAX_PAUSE);
        true
    }
}

/// Returns a random number between 0 and 1, so that concurrent operations do not poll at the same moments.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    (RandomState::new().hash_one(()) % 1024) as f64 / 1024.0
}
