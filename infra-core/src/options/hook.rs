//! Hooks before and after an action.

use super::Retries;
use crate::{diff::Action, urn::Urn, value::Value};
use futures::future::BoxFuture;
use std::{error::Error, fmt, future::Future, sync::Arc, time::Duration};

/// The moment at which a [`Hook`] is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookMoment {
    /// Before the provider is called. If the hook fails, the provider is not called.
    Before,
    /// After the provider has returned and the result is recorded. A failure is reported, and dependents wait for the
    /// next run, which does not call the hook again.
    After,
}

/// The argument of a hook.
#[derive(Clone, Debug)]
pub struct HookContext {
    /// The resource.
    pub urn: Urn,
    /// Create, update or delete. The two parts of a replacement are a create and a delete.
    pub action: Action,
    /// The declared inputs, or those of the resource that is deleted. Secrets are marked.
    pub inputs: Value,
    /// The provider's id, if the resource exists.
    pub id: Option<String>,
    /// The outputs, if the resource exists.
    pub outputs: Option<Value>,
}

/// A function that runs before or after a resource is created, updated or deleted. Previews call no hooks.
///
/// ```
/// # use infra_core::{diff::Action, options::{Hook, Options}};
/// let announce = Hook::after(Action::Create, |created| async move {
///     println!("{} is there", created.urn);
///     Ok(())
/// });
/// let options = Options::new().hook(announce);
/// ```
#[derive(Clone)]
pub struct Hook {
    moment: HookMoment,
    action: Action,
    retries: Retries,
    run: Arc<Run>,
}

type Answer = Result<(), Box<dyn Error + Send + Sync>>;
type Run = dyn Fn(HookContext) -> BoxFuture<'static, Answer> + Send + Sync;

impl Hook {
    /// Creates a hook that runs before `action`, which is create, update or delete.
    pub fn before<F>(action: Action, run: impl Fn(HookContext) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        Self::new(HookMoment::Before, action, run)
    }

    /// Creates a hook that runs after `action`, which is create, update or delete.
    pub fn after<F>(action: Action, run: impl Fn(HookContext) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        Self::new(HookMoment::After, action, run)
    }

    /// Retries a failed hook, up to `attempts` calls, with a pause that doubles after each.
    pub fn retry(mut self, attempts: u32, pause: Duration) -> Self {
        self.retries = Retries { attempts, pause };
        self
    }

    pub(crate) fn is_for(&self, moment: HookMoment, action: Action) -> bool {
        (self.moment, self.action) == (moment, action)
    }

    pub(crate) async fn call(&self, context: &HookContext) -> Result<(), String> {
        let mut pause = self.retries.pause;
        for attempt in 1.. {
            match (self.run)(context.clone()).await {
                Ok(()) => break,
                Err(error) if attempt >= self.retries.attempts => {
                    let when = if self.moment == HookMoment::Before { "before" } else { "after" };
                    return Err(format!("the hook {when} the {} failed: {error}", self.action));
                }
                Err(_) => tokio::time::sleep(pause).await,
            }
            pause *= 2;
        }
        Ok(())
    }

    fn new<F>(moment: HookMoment, action: Action, run: impl Fn(HookContext) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let retries = Retries { attempts: 1, pause: Duration::ZERO };
        Self { moment, action, retries, run: Arc::new(move |context| Box::pin(run(context))) }
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hook({:?} {})", self.moment, self.action)
    }
}
