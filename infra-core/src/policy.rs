//! Rules that a plan has to keep.
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

/// A rule that a plan has to keep. It is asked in every preview and before anything is done; one about resources is
/// asked again before each step, when all inputs are known.
#[derive(Clone)]
pub struct Policy {
    name: Arc<str>,
    enforcement: Enforcement,
    rule: Rule,
}

/// The effect of a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// It is a warning.
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

/// A declared resource, as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Declared<'a> {
    /// Its identity; [`Urn::kind`] is its type token.
    pub urn: &'a Urn,
    /// Region of the resource.
    pub region: Option<&'a str>,
    /// The planned action.
    pub action: Action,
    /// Its inputs. What is not known yet is [`Value::Unknown`], secrets are marked.
    pub inputs: &'a Value,
    /// The resources that it depends on.
    pub dependencies: &'a [Urn],
}

impl Declared<'_> {
    /// Returns the resource as declared, if it is an `R`. Unknown inputs are unknown outputs in it. Its secrets are in
    /// the clear; messages of violations mask them.
    pub fn resource<R: Resource>(&self) -> Option<R> {
        if self.urn.kind() == R::TYPE { value::from_value(self.inputs).ok() } else { None }
    }
}

/// A rule that is not kept.
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
    /// A rule about every resource, of whatever kind.
    pub fn resource(
        name: &str,
        enforcement: Enforcement,
        rule: impl Fn(&Declared<'_>) -> Vec<Violation> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), enforcement, rule: Rule::Resource(Arc::new(rule)) }
    }

    /// A rule about the resources of one kind.
    pub fn typed<R: Resource>(
        name: &str,
        enforcement: Enforcement,
        rule: impl Fn(&Declared<'_>, &R) -> Vec<Violation> + Send + Sync + 'static,
    ) -> Self {
        Self::resource(name, enforcement, move |declared| {
            declared.resource::<R>().map(|resource| rule(declared, &resource)).unwrap_or_default()
        })
    }

    /// A rule about everything that is declared, in an order in which each comes after what it uses. Violations say
    /// which resource they are about.
    pub fn graph(
        name: &str,
        enforcement: Enforcement,
        rule: impl Fn(&[Declared<'_>]) -> Vec<Violation> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), enforcement, rule: Rule::Graph(Arc::new(rule)) }
    }

    /// Returns the violations in a plan: errors of mandatory policies, warnings of advisory ones.
    pub(crate) fn judge(&self, all: &[Declared<'_>]) -> Vec<Diagnostic> {
        match &self.rule {
            Rule::Resource(_) => all.iter().flat_map(|declared| self.judge_one(declared)).collect(),
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
            (Enforcement::Mandatory, Rule::Resource(_)) => self.judge_one(declared),
            _ => Vec::new(),
        }
    }

    fn judge_one(&self, declared: &Declared<'_>) -> Vec<Diagnostic> {
        let Rule::Resource(rule) = &self.rule else {
            return Vec::new();
        };
        let told = |violation| self.diagnostic(violation, Some(declared.urn), &Mask::of([declared.inputs]));
        rule(declared).into_iter().map(told).collect()
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
        mask.diagnostic(diagnostic).because(format!("the policy `{}` asks for it", self.name))
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({}, {:?})", self.name, self.enforcement)
    }
}
