//! Options of a declaration.
//!
//! Options belong to a scope: every declaration through it has them, the content of components included.
//!
//! ```
//! # use infra_core::{Config, Options, Result, Stack, random::Password};
//! fn program(stack: &Stack, _: &Config) -> Result {
//!     let first = stack.with(Options::new().protect(true)).add("first", Password::of_length(20));
//!     let later = stack.with(Options::new().depends_on(&first.value).alias("second"));
//!     later.add("renamed", Password::of_length(30));
//!     Ok(())
//! }
//! ```

mod condition;
mod hook;

pub use condition::Condition;
pub use hook::{Hook, HookContext, HookMoment};

use crate::{
    diff::PropertyPath,
    urn::Urn,
    value::{Expression, Output},
};
use serde::{Deserialize, Serialize};
use std::{any::Any, fmt, sync::Arc, time::Duration};

/// Options of a declaration, in addition to its properties.
///
/// JSON contains only the options that are data: hooks, conditions and transforms are code and are omitted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) depends_on: Vec<Urn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) protect: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retain_on_delete: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delete_before_replace: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) replace_on_changes: Vec<PropertyPath>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ignore_changes: Vec<PropertyPath>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) aliases: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deleted_with: Option<Urn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) create_timeout: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) update_timeout: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delete_timeout: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retries: Option<Retries>,
    #[serde(skip)]
    pub(crate) hooks: Vec<Hook>,
    #[serde(skip)]
    pub(crate) conditions: Vec<Condition>,
    #[serde(skip)]
    pub(crate) transforms: Vec<Transform>,
    /// Condition for the existence of the resource, if it is known only while applying.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) present: Option<Expression>,
}

/// Number of attempts and the pause between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retries {
    pub(crate) attempts: u32,
    pub(crate) pause: Duration,
}

impl Options {
    /// Creates options without effect.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates the resource after `other` and deletes it before `other`, although it uses none of its outputs. `other`
    /// is an output of a resource, or a component with all of its content.
    pub fn depends_on(mut self, other: &impl Dependency) -> Self {
        self.depends_on.extend(other.urns());
        self
    }

    /// Refuses plans that would delete or replace the resource, including `destroy`, until the program sets
    /// `protect(false)`.
    pub fn protect(mut self, protect: bool) -> Self {
        self.protect = Some(protect);
        self
    }

    /// Removes the resource from the state instead of deleting it.
    pub fn retain_on_delete(mut self, retain: bool) -> Self {
        self.retain_on_delete = Some(retain);
        self
    }

    /// Sets the order of a replacement, in place of the order that the kind declares.
    pub fn delete_before_replace(mut self, first: bool) -> Self {
        self.delete_before_replace = Some(first);
        self
    }

    /// Replaces the resource when one of these properties changes, although its kind could update them in place. Paths
    /// are written as plans show them, `rules[0].port`. A path includes everything below it, and `[*]` matches every
    /// item.
    pub fn replace_on_changes<'a>(mut self, paths: impl IntoIterator<Item = &'a str>) -> Self {
        self.replace_on_changes.extend(paths.into_iter().map(PropertyPath::from));
        self
    }

    /// Ignores changes of these properties after the creation, both in the program and at the provider. Paths are
    /// written as for [`Options::replace_on_changes`].
    pub fn ignore_changes<'a>(mut self, paths: impl IntoIterator<Item = &'a str>) -> Self {
        self.ignore_changes.extend(paths.into_iter().map(PropertyPath::from));
        self
    }

    /// Adds a previous name of the declaration: its name in the program with its components (`database/instance`), or a
    /// URN. The resource that is recorded under that name is adopted; for a component, all of its content.
    pub fn alias(mut self, earlier: impl Into<String>) -> Self {
        self.aliases.push(earlier.into());
        self
    }

    /// Declares that the deletion of `container` also deletes this resource, so that no separate deletion is needed.
    pub fn deleted_with(mut self, container: &impl Dependency) -> Self {
        self.deleted_with = container.urns().into_iter().next();
        self
    }

    /// Sets the timeout of a create, in place of the kind's.
    pub fn create_timeout(mut self, timeout: Duration) -> Self {
        self.create_timeout = Some(timeout);
        self
    }

    /// Sets the timeout of an update, in place of the kind's.
    pub fn update_timeout(mut self, timeout: Duration) -> Self {
        self.update_timeout = Some(timeout);
        self
    }

    /// Sets the timeout of a deletion.
    pub fn delete_timeout(mut self, timeout: Duration) -> Self {
        self.delete_timeout = Some(timeout);
        self
    }

    /// Retries an operation that was refused, up to `attempts` attempts in total. The first pause is `pause`, and each
    /// further one is twice as long. An operation that may have succeeded is not retried: the next run settles it
    /// first.
    pub fn retry(mut self, attempts: u32, pause: Duration) -> Self {
        self.retries = Some(Retries { attempts, pause });
        self
    }

    /// Adds a function that runs before or after an action.
    pub fn hook(mut self, hook: Hook) -> Self {
        self.hooks.push(hook);
        self
    }

    /// Creates or updates the resource only once the condition holds.
    pub fn ready_when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// Changes the declarations of the scope: `transform` receives each of them just before it is declared.
    pub fn transform(mut self, transform: impl Fn(&mut Declaring<'_>) + Send + Sync + 'static) -> Self {
        self.transforms.push(Transform(Arc::new(transform)));
        self
    }

    /// Returns these options combined with those of the enclosing scope.
    pub(crate) fn within(self, outer: &Self) -> Self {
        fn chain<T: Clone>(outer: &[T], inner: Vec<T>) -> Vec<T> {
            outer.iter().cloned().chain(inner).collect()
        }
        Self {
            depends_on: chain(&outer.depends_on, self.depends_on),
            protect: self.protect.or(outer.protect),
            retain_on_delete: self.retain_on_delete.or(outer.retain_on_delete),
            delete_before_replace: self.delete_before_replace.or(outer.delete_before_replace),
            replace_on_changes: chain(&outer.replace_on_changes, self.replace_on_changes),
            ignore_changes: chain(&outer.ignore_changes, self.ignore_changes),
            aliases: chain(&outer.aliases, self.aliases),
            deleted_with: self.deleted_with.or_else(|| outer.deleted_with.clone()),
            create_timeout: self.create_timeout.or(outer.create_timeout),
            update_timeout: self.update_timeout.or(outer.update_timeout),
            delete_timeout: self.delete_timeout.or(outer.delete_timeout),
            retries: self.retries.or(outer.retries),
            hooks: chain(&outer.hooks, self.hooks),
            conditions: chain(&outer.conditions, self.conditions),
            transforms: chain(&outer.transforms, self.transforms),
            present: self.present.or_else(|| outer.present.clone()),
        }
    }
}

/// A declaration that others can depend on.
pub trait Dependency {
    /// Returns the resources that it contains.
    fn urns(&self) -> Vec<Urn>;
}

impl<T> Dependency for Output<T> {
    fn urns(&self) -> Vec<Urn> {
        let mut urns = Vec::new();
        self.expression().references(&mut |reference, _| urns.push(reference.urn.clone()));
        urns
    }
}

/// A resource that is about to be declared, as a transform receives it.
pub struct Declaring<'a> {
    pub(crate) urn: &'a Urn,
    pub(crate) resource: &'a mut dyn Any,
    pub(crate) options: &'a mut Options,
}

impl Declaring<'_> {
    /// Returns the identity of the declaration.
    pub fn urn(&self) -> &Urn {
        self.urn
    }

    /// Returns the resource, if it is an `R`.
    pub fn resource<R: 'static>(&mut self) -> Option<&mut R> {
        self.resource.downcast_mut()
    }

    /// Returns the options of the declaration.
    pub fn options(&mut self) -> &mut Options {
        self.options
    }
}

#[derive(Clone)]
pub(crate) struct Transform(Arc<dyn Fn(&mut Declaring<'_>) + Send + Sync>);

impl Transform {
    pub(crate) fn apply(&self, declaring: &mut Declaring<'_>) {
        (self.0)(declaring);
    }
}

impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transform")
    }
}
