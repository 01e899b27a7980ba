//! What a program declares into.

use crate::{
    config::{Config, ConfigError},
    graph::{GraphError, Node, NodeKind, ResourceGraph},
    provider::{Provider, Providers},
    random,
    resource::{Lookup, Resource, Schema},
    target::Target,
    urn::Urn,
    value::{self, Expression, Output, Value},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{cell::RefCell, collections::BTreeMap, error::Error, fmt, ops::Deref, rc::Rc, sync::Arc};

/// What a program returns: any error may end it.
pub type Result<T = (), E = ProgramError> = std::result::Result<T, E>;

/// Any error that a program ends with.
pub struct ProgramError(Box<dyn Error + Send + Sync>);

impl ProgramError {
    /// The error itself.
    pub fn inner(&self) -> &(dyn Error + Send + Sync + 'static) {
        self.0.as_ref()
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for ProgramError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Debug for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The stack that a program declares into; as a [`Scope`] it is the outermost one.
pub struct Stack {
    root: Scope,
}

impl Deref for Stack {
    type Target = Scope;

    fn deref(&self) -> &Scope {
        &self.root
    }
}

/// A place to declare things in: the stack itself, a region of it, or a component.
#[derive(Clone)]
pub struct Scope {
    inner: Rc<Inner>,
    path: String,
    region: Option<String>,
    parent: Option<Urn>,
}

struct Inner {
    program: String,
    stack: String,
    target: Target,
    declared: RefCell<Declared>,
}

#[derive(Default)]
struct Declared {
    nodes: Vec<Node>,
    exports: BTreeMap<String, Expression>,
    providers: Providers,
    errors: Vec<GraphError>,
}

/// What running a program came to.
#[derive(Debug)]
pub struct Declaration {
    /// The graph, or everything that is wrong with it.
    pub graph: std::result::Result<ResourceGraph, Vec<DeclareError>>,
    /// The providers that the program declared, even when it failed afterwards.
    pub providers: Providers,
    /// Configuration keys that nothing read.
    pub unread_config: Vec<String>,
}

/// What can be wrong with a program.
#[derive(Debug, thiserror::Error)]
pub enum DeclareError {
    /// Its declarations do not fit together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// It ended with an error.
    #[error("the program ended with an error: {0:?}")]
    Program(ProgramError),
}

/// Runs a program and collects what it declares.
pub fn declare(
    program: &str,
    stack: &str,
    target: Target,
    config: &Config,
    run: &dyn Fn(&Stack, &Config) -> Result,
) -> Declaration {
    let root = Scope {
        inner: Rc::new(Inner {
            program: program.to_owned(),
            stack: stack.to_owned(),
            target,
            declared: RefCell::default(),
        }),
        path: String::new(),
        region: None,
        parent: None,
    };
    let stack = Stack { root };
    stack.provide("random", random::provider);
    let outcome = run(&stack, config);
    let declared = stack.inner.declared.take();
    let mut errors: Vec<DeclareError> = declared.errors.into_iter().map(Into::into).collect();
    errors.extend(outcome.err().map(DeclareError::Program));
    let graph = if errors.is_empty() {
        ResourceGraph::new(declared.nodes, declared.exports)
            .map_err(|errors| errors.into_iter().map(Into::into).collect())
    } else {
        Err(errors)
    };
    Declaration { graph, providers: declared.providers, unread_config: config.unread() }
}

impl Scope {
    /// The program's name.
    pub fn program_name(&self) -> &str {
        &self.inner.program
    }

    /// The stack's name.
    pub fn stack_name(&self) -> &str {
        &self.inner.stack
    }

    /// Where the stack is deployed to.
    pub fn target(&self) -> &Target {
        &self.inner.target
    }

    /// The region of this scope, if it has one.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Lets `provider` serve all types whose token begins with `name`, unless that is already served.
    pub fn provide(&self, name: &str, provider: impl FnOnce() -> Arc<dyn Provider>) {
        let known = self.inner.declared.borrow().providers.contains(name);
        if !known {
            let provider = provider();
            self.inner.declared.borrow_mut().providers.insert(name, provider);
        }
    }

    /// The same scope in a region.
    pub fn in_region(&self, region: impl Into<String>) -> Self {
        Self { region: Some(region.into()), ..self.clone() }
    }

    /// Declares a component: what is declared in the scope it returns carries its name and is shown below it.
    pub fn component(&self, name: &str) -> Self {
        let urn = self.declare(
            "component:Component",
            name,
            NodeKind::Component,
            Ok(Expression::Literal(Value::empty())),
            Schema::new(),
        );
        Self { path: format!("{}{name}/", self.path), parent: Some(urn), ..self.clone() }
    }

    /// Declares a resource and returns its outputs. What is wrong with the declaration is reported when the program
    /// has ended.
    pub fn add<R: Resource>(&self, name: &str, resource: R) -> R::Outputs {
        let schema = R::schema();
        let inputs = value::lower(&resource).map(|inputs| mark_secrets(inputs, &schema));
        let urn = self.declare(R::TYPE, name, NodeKind::Resource, inputs, schema.clone());
        self.handle(&urn, &schema)
    }

    /// The outputs of a resource that is declared in this scope elsewhere, perhaps later.
    pub fn declared<R: Resource>(&self, name: &str) -> R::Outputs {
        let urn = self.urn(R::TYPE, name).unwrap_or_else(|_| Self::nowhere());
        self.handle(&urn, &R::schema())
    }

    /// Declares a lookup and returns its answer; the same question in the same place is asked once.
    pub fn lookup<L: Lookup>(&self, lookup: L) -> L::Outputs {
        let arguments = value::lower(&lookup);
        let name = lookup_name(&lookup, self.region(), arguments.as_ref().ok());
        let schema = L::schema();
        if let Ok(urn) = self.urn(L::TYPE, &name)
            && self.inner.declared.borrow().nodes.iter().any(|node| node.urn == urn)
        {
            return self.handle(&urn, &schema);
        }
        let urn = self.declare(L::TYPE, &name, NodeKind::Lookup, arguments, schema.clone());
        self.handle(&urn, &schema)
    }

    /// Makes a value an output of the stack.
    pub fn export<T>(&self, name: &str, value: Output<T>) {
        let expression = value.expression().clone();
        self.inner.declared.borrow_mut().exports.insert(name.to_owned(), expression);
    }

    fn urn(&self, kind: &str, name: &str) -> std::result::Result<Urn, crate::urn::UrnError> {
        Urn::new(&self.inner.stack, &self.inner.program, kind, &format!("{}{name}", self.path))
    }

    fn declare(
        &self,
        kind: &str,
        name: &str,
        node: NodeKind,
        inputs: std::result::Result<Expression, value::LowerError>,
        schema: Schema,
    ) -> Urn {
        let mut declared = self.inner.declared.borrow_mut();
        let urn = match self.urn(kind, name) {
            Ok(urn) => urn,
            Err(error) => {
                declared.errors.push(error.into());
                return Self::nowhere();
            }
        };
        match inputs {
            Ok(inputs) => declared.nodes.push(Node {
                urn: urn.clone(),
                kind: node,
                region: self.region.clone(),
                inputs,
                schema: Arc::new(schema),
                parent: self.parent.clone(),
                depends_on: Vec::new(),
            }),
            Err(error) => declared.errors.push(GraphError::Lower { urn: urn.clone(), error }),
        }
        urn
    }

    fn handle<O: Serialize + DeserializeOwned>(&self, urn: &Urn, schema: &Schema) -> O {
        let describe = |property: &str| {
            let region = self.region.clone().filter(|_| schema.is_regional(property));
            (schema.is_secret(property), region)
        };
        value::handle(urn, describe).unwrap_or_else(|error| panic!("the kind {} is not well made: {error}", urn.kind()))
    }

    /// Stands for a declaration whose name was refused; that is reported, so nobody ever sees it.
    fn nowhere() -> Urn {
        Urn::new("invalid", "invalid", "invalid:Invalid", "invalid").expect("a well-formed URN")
    }
}

/// Inputs that the kind calls secret are secret even when the program passes them in the clear.
fn mark_secrets(inputs: Expression, schema: &Schema) -> Expression {
    match inputs {
        Expression::Map(map) => Expression::Map(
            map.into_iter()
                .map(|(name, input)| {
                    let secret = schema.is_secret(&name) && !matches!(input, Expression::Secret(_));
                    (name, if secret { Expression::Secret(Box::new(input)) } else { input })
                })
                .collect(),
        ),
        Expression::Literal(Value::Map(map)) => Expression::Literal(Value::Map(
            map.into_iter()
                .map(|(name, input)| {
                    let secret = schema.is_secret(&name);
                    (name, if secret { input.into_secret() } else { input })
                })
                .collect(),
        )),
        other => other,
    }
}

/// `DefaultVpc` in us-east-1 is named `default-vpc-us-east-1`; arguments add the lookup's label, or a suffix.
fn lookup_name<L: Lookup>(lookup: &L, region: Option<&str>, arguments: Option<&Expression>) -> String {
    let kind = L::TYPE.rsplit(':').next().unwrap_or_default();
    let mut name = String::new();
    for (at, c) in kind.chars().enumerate() {
        if c.is_uppercase() && at > 0 {
            name.push('-');
        }
        name.extend(c.to_lowercase());
    }
    let arguments = arguments.map(ToString::to_string).filter(|text| text != "null" && text != "{}");
    let suffix = |text: String| hex::encode(&<sha2::Sha256 as sha2::Digest>::digest(text)[..3]);
    let told = lookup.label().or_else(|| arguments.map(suffix));
    for part in region.map(str::to_owned).into_iter().chain(told) {
        name.push('-');
        name.push_str(&part);
    }
    name
}

impl From<ConfigError> for DeclareError {
    fn from(error: ConfigError) -> Self {
        Self::Program(error.into())
    }
}
