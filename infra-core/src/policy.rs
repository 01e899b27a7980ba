//! Rules that a plan must satisfy.
//!
//! ```
//! # use infra_core::{Config, Result, Stack, policy::{Enforcement, Policy, Violation}, random::Password};
//! fn long_passwords() -> Policy {
//!     Policy::typed("long-passwords", Enforcement::Mandatory, |_, password: &Password| {
//!         let short = password.length < 20;
//!         let violation = || Violation::new("the password is short").property("length").remedy("take 20 characters");
//!         short.then(violation).into_iter().collect()
//!     })
//! }
//!
//! fn program(stack: &Stack, _: &Config) -> Result {
//!     stack.policy(long_passwords());
//!     stack.add("password", Password::of_length(32));
//!     Ok(())
//! }
//! ```

use crate::{
    diagnostic::Diagnostic,
    diff::Action,
    resource::Resource,
    urn::Urn,
    value::{self, Mask, Value},
};
use std::{fmt, sync::Arc};

/// A rule that a plan must satisfy. It is checked in every preview and before a plan is executed. Rules about resources
/// are checked again before each step, when all inputs are known.
#[derive(Clone)]
pub struct Policy {
    name: Arc<str>,
    enforcement: Enforcement,
    rule: Rule,
}

/// The effect of a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// The violation is a warning.
    Advisory,
    /// The plan is refused.
    Mandatory,
}

#[derive(Clone)]
enum Rule {
    Resource(Arc<ResourceRule>),
    Graph(Arc<GraphRule>),
}

type ResourceRule = dyn Fn(&Declared<'_>) -> Vec<Violation> + Send + Sync;
type GraphRule = dyn Fn(&[Declared<'_>]) -> Vec<Violation> + Send + Sync;

/// A declared resource, as policies receive it.
#[derive(Clone, Copy, Debug)]
pub struct Declared<'a> {
    /// The URN; [`Urn::kind`] is its type token.
    pub urn: &'a Urn,
    /// Region of the resource.
    pub region: Option<&'a str>,
    /// The planned action.
    pub action: Action,
    /// The inputs. Unknown inputs are [`Value::Unknown`], secrets are marked.
    pub inputs: &'a Value,
    /// The resources that it depends on.
    pub dependencies: &'a [Urn],
}

impl Declared<'_> {
    /// Returns the resource as declared, if it is an `R`. Unknown inputs are unknown outputs in it. Secrets are
    /// readable; messages of violations mask them.
    pub fn resource<R: Resource>(&self) -> Option<R> {
        if self.urn.kind() == R::TYPE { value::from_value(self.inputs).ok() } else { None }
    }
}

/// A violation of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    message: String,
    about: Option<Urn>,
    property: Option<String>,
    remedy: Option<String>,
}

impl Violation {
    /// Creates a violation with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), about: None, property: None, remedy: None }
    }

    /// Sets the resource. Policies for one resource need not call it.
    pub fn about(mut self, urn: &Urn) -> Self {
        self.about = Some(urn.clone());
        self
    }

    /// Sets the property: `ingress[0]`.
    pub fn property(mut self, path: impl Into<String>) -> Self {
        self.property = Some(path.into());
        self
    }

    /// Adds a hint.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl Policy {
    /// Creates a policy that checks every resource of any kind.
    pub fn resource(
        name: &str,
        enforcement: Enforcement,
        rule: impl Fn(&Declared<'_>) -> Vec<Violation> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), enforcement, rule: Rule::Resource(Arc::new(rule)) }
    }

    /// Creates a policy that checks the resources of one kind.
    pub fn typed<R: Resource>(
        name: &str,
        enforcement: Enforcement,
        rule: impl Fn(&Declared<'_>, &R) -> Vec<Violation> + Send + Sync + 'static,
    ) -> Self {
        Self::resource(name, enforcement, move |declared| {
            declared.resource::<R>().map(|resource| rule(declared, &resource)).unwrap_or_default()
        })
    }

    /// Creates a policy that checks all declarations together, in an order in which each follows its dependencies.
    /// Violations name the resource that they are about.
    pub fn graph(
        name: &str,
        enforcement: Enforcement,
        rule: impl Fn(&[Declared<'_>]) -> Vec<Violation> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), enforcement, rule: Rule::Graph(Arc::new(rule)) }
    }

    /// Returns the violations in a plan: errors of mandatory policies, warnings of advisory ones.
    pub(crate) fn violations(&self, all: &[Declared<'_>]) -> Vec<Diagnostic> {
        match &self.rule {
            Rule::Resource(_) => all.iter().flat_map(|declared| self.violations_of(declared)).collect(),
            Rule::Graph(rule) => {
                let violations = rule(all);
                let known = all.iter().filter(|_| !violations.is_empty()).map(|declared| declared.inputs);
                let mask = Mask::of(known);
                violations.into_iter().map(|violation| self.diagnostic(violation, None, &mask)).collect()
            }
        }
    }

    /// Returns the violations of a mandatory policy by one resource.
    pub(crate) fn enforce(&self, declared: &Declared<'_>) -> Vec<Diagnostic> {
        match (self.enforcement, &self.rule) {
            (Enforcement::Mandatory, Rule::Resource(_)) => self.violations_of(declared),
            _ => Vec::new(),
        }
    }

    fn violations_of(&self, declared: &Declared<'_>) -> Vec<Diagnostic> {
        let Rule::Resource(rule) = &self.rule else {
            return Vec::new();
        };
        let report = |violation| self.diagnostic(violation, Some(declared.urn), &Mask::of([declared.inputs]));
        rule(declared).into_iter().map(report).collect()
    }

    fn diagnostic(&self, violation: Violation, urn: Option<&Urn>, mask: &Mask) -> Diagnostic {
        let Violation { message, about, property, remedy } = violation;
        let place = property.map(|property| format!("`{property}`: ")).unwrap_or_default();
        let summary = format!("{place}{message}");
        let mut diagnostic = match self.enforcement {
            Enforcement::Advisory => Diagnostic::warning(summary),
            Enforcement::Mandatory => Diagnostic::error(summary),
        };
        if let Some(urn) = about.as_ref().or(urn) {
            diagnostic = diagnostic.about(urn);
        }
        diagnostic.hint = remedy;
        mask.diagnostic(diagnostic).because(format!("the policy `{}` requires it", self.name))
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({}, {:?})", self.name, self.enforcement)
    }
}
