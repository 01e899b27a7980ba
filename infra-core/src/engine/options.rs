//! Options of one run.

use crate::{
    event::Events,
    execute::ExecuteOptions,
    plan::{Plan, Selection},
    stack::Relaunchable,
    store::StoreError,
};
use futures::future::BoxFuture;
use std::sync::Arc;

type Approve = dyn Fn(&Plan) -> bool + Send + Sync;

type Relaunch = dyn Fn(&Relaunchable) -> bool + Send + Sync;

type OnApproval = dyn Fn() -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync;

/// Options of one run.
pub(super) struct RunOptions {
    pub(super) events: Events,
    pub(super) execute: ExecuteOptions,
    pub(super) refresh: bool,
    pub(super) selection: Selection,
    /// Text of the saved plan that limits the run.
    pub(super) saved_plan: Option<Arc<str>>,
    pub(super) relaunch: Option<Box<Relaunch>>,
    pub(super) approve: Box<Approve>,
    pub(super) on_approval: Option<Box<OnApproval>>,
    /// Pins the stack after a rollback.
    pub(super) pin: bool,
    /// Lets `up` remove the pin of the stack.
    pub(super) unpin: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            events: Events::ignored(),
            execute: ExecuteOptions::default(),
            refresh: false,
            selection: Selection::default(),
            saved_plan: None,
            relaunch: None,
            approve: Box::new(|_| true),
            on_approval: None,
            pin: false,
            unpin: false,
        }
    }
}
