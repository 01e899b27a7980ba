//! Declarations of references to other stacks.

use super::Scope;
use crate::{
    graph::NodeKind,
    resource::Schema,
    value::{self, Output},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{cell::RefCell, sync::Arc};

/// The type token of references.
const REFERENCE: &str = "stack:Reference";

/// The arguments of a reference to another stack.
#[derive(Serialize, Deserialize)]
pub(crate) struct ReferenceArguments {
    pub(crate) program: String,
    pub(crate) stack: String,
    pub(crate) outputs: Vec<String>,
    pub(crate) secret: Vec<String>,
}

impl Scope {
    /// Returns the exports of another stack, which every run reads again: `O` is a struct of [`Output`]s, named as the
    /// exports.
    ///
    /// ```
    /// # use infra_core::{Config, Output, Result, Stack};
    /// #[derive(Clone, serde::Serialize, serde::Deserialize)]
    /// struct Network {
    ///     vpc_id: Output<String>,
    /// }
    ///
    /// fn web(stack: &Stack, _: &Config) -> Result {
    ///     let network: Network = stack.reference("network", "prod");
    ///     stack.export("vpc", network.vpc_id);
    ///     Ok(())
    /// }
    /// ```
    pub fn reference<O: Serialize + DeserializeOwned>(&self, program: &str, stack: &str) -> O {
        self.secret_reference(program, stack, [])
    }

    /// Returns the exports of another stack, some of which are secret: a secret export is returned only if `secret`
    /// contains its name.
    pub fn secret_reference<O: Serialize + DeserializeOwned>(
        &self,
        program: &str,
        stack: &str,
        secret: impl IntoIterator<Item = &'static str>,
    ) -> O {
        let schema = Arc::new(Schema::new().volatile().secret(secret));
        // Collects the names of the struct's fields first.
        let names = RefCell::new(Vec::new());
        let named = |property: &str| {
            names.borrow_mut().push(property.to_owned());
            (false, None)
        };
        if let Err(error) = value::handle::<O>(&Self::placeholder(), named) {
            panic!("the struct for the outputs of `{program}` is not a struct of `Output`s: {error}");
        }
        let outputs = names.into_inner();
        let secret = outputs.iter().filter(|name| schema.is_secret(name)).cloned().collect();
        let arguments = ReferenceArguments { program: program.to_owned(), stack: stack.to_owned(), outputs, secret };
        let arguments = value::lower(&arguments);
        let asked = arguments.as_ref().map(ToString::to_string).unwrap_or_default();
        let name = format!("{program}-{stack}-{}", super::suffix(&asked));
        let urn = self.declare_unless_declared(REFERENCE, &name, NodeKind::Lookup, arguments, schema.clone());
        self.handle(&urn, &schema)
    }

    /// Returns one output of another stack.
    pub fn reference_output<T>(&self, program: &str, stack: &str, output: &str) -> Output<T> {
        let arguments = ReferenceArguments {
            program: program.to_owned(),
            stack: stack.to_owned(),
            outputs: vec![output.to_owned()],
            secret: Vec::new(),
        };
        let name = format!("{program}-{stack}-{output}");
        let urn = self.declare_unless_declared(
            REFERENCE,
            &name,
            NodeKind::Lookup,
            value::lower(&arguments),
            Arc::new(Schema::new().volatile()),
        );
        Output::from_expression(value::Expression::reference(value::Reference {
            urn,
            property: output.to_owned(),
            secret: false,
            region: None,
        }))
    }
}
