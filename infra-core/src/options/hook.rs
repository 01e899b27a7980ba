//! Things to do before and after an action.

use super::Retries;
use crate::{diff::Action, urn::Urn, value::Value};
use futures::future::BoxFuture;
use std::{error::Error, fmt, future::Future, sync::Arc, time::Duration};

/// The moment at which a [`Hook`] is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookMoment {
    /// Before the provider is asked: a failure means that it is not asked.
    Before,
    /// After the provider has done it and it is recorded: a failure is reported, and what depends on it waits for the
    /// next run. It is not called again then.
    After,
}

/// The argument of a hook.
#[derive(Clone, Debug)]
pub struct HookContext {
    /// The resource.
    pub urn: Urn,
    /// Create, update or delete; the two halves of a replacement are a create and a delete.
    pub action: Action,
    /// The inputs: those wanted, or those of what is deleted. Secrets are marked.
    pub inputs: Value,
    /// The provider's id, once there is one.
    pub id: Option<String>,
    /// The outputs, once there are some.
    pub outputs: Option<Value>,
}

/// Something to do before or after a resource is created, updated or deleted. Previews call no hooks.
///
/// ```
/// # use infra_core::{diff::Action, options::{Hook, Options}};
/// let told = Hook::after(Action::Create, |created| async move {
///     println!("{} is there", created.urn);
///     Ok(())
/// });
/// let options = Options::new().hook(told);
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
    /// Something to do before `action`, which is create, update or delete.
    pub fn before<F>(action: Action, run: impl Fn(HookContext) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        Self::new(HookMoment::Before, action, run)
    }

    /// Something to do after `action`, which is create, update or delete.
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
