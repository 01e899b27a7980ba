//! Conditions that a declaration waits for.

use crate::{
    urn::Urn,
    value::{Expression, Output, Value},
};
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use std::{fmt, future::Future, sync::Arc, time::Duration};

/// A condition that must hold before a resource is created or updated, in addition to the existence of its
/// dependencies: a port accepts connections, a database answers queries.
///
/// ```
/// # use infra_core::{Options, options::Condition, random::Password, Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let database = stack.add("database", Password::of_length(20));
/// let answers = Condition::new("the database answers", &database.value, |address| async move {
///     tokio::net::TcpStream::connect(address).await.is_ok()
/// });
/// stack.with(Options::new().ready_when(answers)).add("application", Password::of_length(20));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Condition {
    description: String,
    pub(crate) value: Expression,
    timeout: Duration,
    check: Arc<Check>,
}

type Check = dyn Fn(Value) -> BoxFuture<'static, Result<bool, String>> + Send + Sync;

impl Condition {
    /// Creates a condition on a value. It is checked repeatedly, with growing pauses, until it holds. `description`
    /// completes the sentence "waiting until …". The default timeout is five minutes, see [`Condition::timeout`].
    pub fn new<T, F>(
        description: impl Into<String>,
        value: &Output<T>,
        check: impl Fn(T) -> F + Send + Sync + 'static,
    ) -> Self
    where
        T: DeserializeOwned,
        F: Future<Output = bool> + Send + 'static,
    {
        let check = move |value: Value| -> BoxFuture<'static, Result<bool, String>> {
            match serde_json::from_value(value.to_json()) {
                Ok(typed) => {
                    let asked = check(typed);
                    Box::pin(async move { Ok(asked.await) })
                }
                Err(error) => Box::pin(async move { Err(error.to_string()) }),
            }
        };
        Self {
            description: description.into(),
            value: value.expression().clone(),
            timeout: Duration::from_mins(5),
            check: Arc::new(check),
        }
    }

    /// Sets the timeout.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Waits until the condition holds for this value. Calls `waiting` if it does not hold at once.
    pub(crate) async fn hold(&self, value: Value, urn: &Urn, waiting: impl Fn(String)) -> Result<(), String> {
        const LONGEST: Duration = Duration::from_secs(2);
        let Self { description, timeout, .. } = self;
        let started = tokio::time::Instant::now();
        let mut pause = Duration::from_millis(20);
        loop {
            let left = timeout.saturating_sub(started.elapsed());
            match tokio::time::timeout(left, (self.check)(value.clone())).await {
                Ok(Ok(true)) => return Ok(()),
                Ok(Ok(false)) if left > pause => {}
                Ok(Err(reason)) => return Err(format!("cannot check that {description}: {reason}")),
                _ => {
                    return Err(format!("`{}` timed out after {timeout:?}, waiting until {description}", urn.short()));
                }
            }
            waiting(format!("waiting until {description}"));
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({})", self.description)
    }
}
