//! The declarations of a program, for assertions.

use crate::{
    config::Config,
    engine::Program,
    graph::{NodeKind, ResourceGraph},
    provider::Providers,
    resource::Resource,
    stack::{self, DeclareError},
    target::Target,
    value::{self, EvaluateError, LowerError},
};
use std::collections::BTreeMap;

/// The declarations of a program.
#[derive(Debug)]
pub struct DeclaredProgram {
    graph: ResourceGraph,
}

/// The program declares no resource of this kind and name.
#[derive(Debug, thiserror::Error)]
pub enum NotDeclared {
    /// There is no such resource.
    #[error("the program declares no {kind} called `{name}`; it declares {known}")]
    Missing {
        /// The type token.
        kind: &'static str,
        /// The name.
        name: String,
        /// Names of the declared resources of this kind.
        known: String,
    },
    /// Its inputs cannot be evaluated.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// Its inputs do not match the type of the resource.
    #[error(transparent)]
    Shape(#[from] LowerError),
}

/// Runs a program without a cloud and a store, as the stack `test` of the program `test` in the local cloud.
pub fn declare(program: Program<'_>) -> Result<DeclaredProgram, Vec<DeclareError>> {
    declare_with(
        program,
        Target::local("http://127.0.0.1:0", crate::target::Credentials::new("key", "secret")),
        Config::default(),
    )
}

/// Runs a program like [`declare`], for a target and with a configuration.
pub fn declare_with(
    program: Program<'_>,
    target: Target,
    config: Config,
) -> Result<DeclaredProgram, Vec<DeclareError>> {
    let declaration = stack::declare("test", "test", target, &config, Providers::default(), program);
    declaration.graph.map(|graph| DeclaredProgram { graph })
}

impl DeclaredProgram {
    /// Returns the resource of this name, with its components: `database/instance`. Outputs of other resources are
    /// unknown in it.
    pub fn resource<R: Resource>(&self, name: &str) -> Result<R, NotDeclared> {
        let node = self.graph.in_order().find(|node| (node.urn.kind(), node.urn.name()) == (R::TYPE, name));
        let node = node.ok_or_else(|| {
            let known = self.names::<R>();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            NotDeclared::Missing { kind: R::TYPE, name: name.to_owned(), known }
        })?;
        Ok(value::from_value(&node.inputs.evaluate(&|_| None)?)?)
    }

    /// Returns the names of the resources of a kind, in an order in which each follows its dependencies.
    pub fn names<R: Resource>(&self) -> Vec<&str> {
        let of_kind = self.graph.in_order().filter(|node| node.urn.kind() == R::TYPE);
        of_kind.map(|node| node.urn.name()).collect()
    }

    /// Returns `true` if `user` depends on `used`, directly or through others.
    pub fn depends(&self, user: &str, used: &str) -> bool {
        let named = self.graph.in_order().filter(|node| node.kind != NodeKind::Component && node.urn.name() == user);
        let mut waiting: Vec<_> = named.map(|node| &node.urn).collect();
        let mut seen = std::collections::HashSet::new();
        while let Some(urn) = waiting.pop() {
            for dependency in self.graph.dependencies(urn) {
                if dependency.name() == used {
                    return true;
                }
                if seen.insert(dependency) {
                    waiting.push(dependency);
                }
            }
        }
        false
    }

    /// Returns the exports of the program as expressions: `http://${balancer.dns_name}`.
    pub fn exports(&self) -> BTreeMap<&str, String> {
        self.graph.exports().iter().map(|(name, expression)| (name.as_str(), expression.to_string())).collect()
    }

    /// Returns the graph of the declarations.
    pub fn graph(&self) -> &ResourceGraph {
        &self.graph
    }
}
