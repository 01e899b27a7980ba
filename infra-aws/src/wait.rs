//! Waiting until something has come about: polls that start fast, back off, and never sleep a fixed time.

use crate::{client::Aws, error::AwsError};
use infra_core::provider::{Context, ErrorKind, ProviderError};
use std::{future::Future, time::Duration};
use tokio::time::Instant;

/// How long to wait for what a living data plane does in seconds to a few minutes.
pub(crate) const PATIENCE: Duration = Duration::from_mins(10);
/// How long "not yet consistent" is believed.
pub(crate) const CONSISTENCY: Duration = Duration::from_mins(2);
/// How long it may take until what was made is seen by those who look for it.
pub(crate) fn visibility(client: &Aws) -> Duration {
    if client.is_elsewhere() { Duration::from_secs(1) } else { Duration::from_mins(1) }
}

const SLOWEST: Duration = Duration::from_secs(5);

/// Asks `question` until it answers `Some`, showing `status` meanwhile. After `deadline` it fails with
/// [`ErrorKind::Unsure`]: what was waited for may still come about.
pub(crate) async fn until<T, F>(
    cx: &Context<'_, Aws>,
    status: &str,
    deadline: Duration,
    mut question: impl FnMut() -> F,
) -> Result<T, ProviderError>
where
    F: Future<Output = Result<Option<T>, ProviderError>>,
{
    let mut pace = Pace::new(cx.client(), deadline);
    let mut told = false;
    loop {
        if let Some(answer) = question().await? {
            return Ok(answer);
        }
        if !std::mem::replace(&mut told, true) {
            cx.status(status);
        }
        if !pace.next().await {
            let waited = deadline.as_secs();
            return Err(ProviderError::unsure(format!("gave up {status} after {waited} seconds"))
                .hint("run the same command again: it goes on from what exists by then"));
        }
    }
}

/// Repeats `call` while it fails with one of `codes`, because what it refers to is too new to be seen everywhere, and
/// shows what it waits for. Gives up after two minutes with the last failure.
pub(crate) async fn while_inconsistent<T, F>(
    cx: &Context<'_, Aws>,
    status: &str,
    codes: &[&str],
    call: impl FnMut() -> F,
) -> Result<T, AwsError>
where
    F: Future<Output = Result<T, AwsError>>,
{
    retry(cx, status, CONSISTENCY, |error| error.is(codes), call).await
}

/// Repeats a deletion while something that is on its way out still needs its object.
pub(crate) async fn while_needed<T, F>(
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

/// Repeats `call` while `again` says so of its failure.
pub(crate) async fn retry<T, F>(
    cx: &Context<'_, Aws>,
    status: &str,
    deadline: Duration,
    again: impl Fn(&AwsError) -> bool,
    mut call: impl FnMut() -> F,
) -> Result<T, AwsError>
where
    F: Future<Output = Result<T, AwsError>>,
{
    let mut pace = Pace::new(cx.client(), deadline);
    let mut told = false;
    loop {
        match call().await {
            Err(error) if again(&error) => {
                if !std::mem::replace(&mut told, true) {
                    cx.status(status);
                }
                if !pace.next().await {
                    return Err(error);
                }
            }
            other => return other,
        }
    }
}

/// The pauses between polls.
pub(crate) struct Pace {
    pause: Duration,
    end: Instant,
}

impl Pace {
    pub(crate) fn new(client: &Aws, deadline: Duration) -> Self {
        let pause = if client.is_elsewhere() { 20 } else { 500 };
        Self { pause: Duration::from_millis(pause), end: Instant::now() + deadline }
    }

    /// Pauses; false when the time is up.
    pub(crate) async fn next(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.end {
            return false;
        }
        let pause = self.pause.mul_f64(0.75 + jitter() / 2.0);
        tokio::time::sleep_until((now + pause).min(self.end)).await;
        self.pause = self.pause.mul_f64(1.5).min(SLOWEST);
        true
    }
}

/// Between 0 and 1, so that many waiters do not poll in step.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    (RandomState::new().hash_one(()) % 1024) as f64 / 1024.0
}
