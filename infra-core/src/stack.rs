//! Stacks and their scopes, in which a program declares its resources.

mod reference;

pub(crate) use reference::ReferenceArguments;

use crate::{
    config::{Config, ConfigError, ConfigKey},
    graph::{GraphError, Node, NodeKind, ResourceGraph, Set},
    options::{Declaring, Dependency, Options},
    policy::Policy,
    provider::{Provider, Providers},
    random,
    resource::{Lookup, Resource, Schema},
    target::{Readiness, Target},
    urn::Urn,
    value::{self, Expression, Output, Value},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap, HashSet},
    error::Error,
    fmt,
    ops::Deref,
    rc::Rc,
    sync::Arc,
};

/// Result of a program, which may fail with any error.
pub type Result<T = (), E = ProgramError> = std::result::Result<T, E>;

/// An error that a program returned.
pub struct ProgramError(Box<dyn Error + Send + Sync>);

impl ProgramError {
    /// Returns the error itself.
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

/// The stack that a program declares. As a [`Scope`], it is the outermost one.
pub struct Stack {
    root: Scope,
}

impl Deref for Stack {
    type Target = Scope;

    fn deref(&self) -> &Scope {
        &self.root
    }
}

/// The scope of declarations: the stack itself, a region of it, or a component.
#[derive(Clone)]
pub struct Scope {
    inner: Rc<Inner>,
    path: String,
    region: Option<String>,
    parent: Option<Urn>,
    options: Arc<Options>,
    /// Previous paths of the enclosing components.
    earlier_paths: Vec<String>,
    set: Option<Set>,
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
    policies: Vec<Policy>,
    relaunchable: Vec<Relaunchable>,
    errors: Vec<GraphError>,
    /// Schemas by type token.
    schemas: HashMap<&'static str, Arc<Schema>>,
    /// URNs of all nodes.
    urns: HashSet<Urn>,
}

/// The declarations of a program.
#[derive(Debug)]
pub struct Declaration {
    /// The graph, or all errors of the declarations.
    pub graph: std::result::Result<ResourceGraph, Vec<DeclareError>>,
    /// The providers of the program, even if it failed after declaring them.
    pub providers: Providers,
    /// Policies that its plans must satisfy.
    pub policies: Vec<Policy>,
    /// Resources that the user may replace.
    pub relaunchable: Vec<Relaunchable>,
    /// Configuration keys that the program did not read.
    pub unread_config: Vec<String>,
    /// The configuration keys that the program read before it returned.
    pub config_keys: Vec<ConfigKey>,
}

/// Resources that the user may replace although nothing about them has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relaunchable {
    /// The name for the user.
    pub name: String,
    /// The resources that are replaced.
    pub resources: Vec<Urn>,
    /// The effect of the replacement, such as "a new host with the previous host's data".
    pub meaning: String,
}

/// An error of a program.
#[derive(Debug, thiserror::Error)]
pub enum DeclareError {
    /// The declarations contradict each other.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The program returned an error.
    #[error("the program failed: {0:?}")]
    Program(ProgramError),
}

impl DeclareError {
    /// Returns the configuration error that stopped the program, if it was one.
    pub fn as_config(&self) -> Option<&ConfigError> {
        match self {
            Self::Program(error) => error.inner().downcast_ref(),
            Self::Graph(_) => None,
        }
    }
}

/// Runs a program and collects its declarations. `providers` are available from the start.
pub fn declare(
    program: &str,
    stack: &str,
    target: Target,
    config: &Config,
    providers: Providers,
    run: &dyn Fn(&Stack, &Config) -> Result,
) -> Declaration {
    let root = Scope {
        inner: Rc::new(Inner {
            program: program.to_owned(),
            stack: stack.to_owned(),
            target,
            declared: RefCell::new(Declared { providers, ..Declared::default() }),
        }),
        path: String::new(),
        region: None,
        parent: None,
        options: Arc::default(),
        earlier_paths: Vec::new(),
        set: None,
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
    let Declared { providers, policies, relaunchable, .. } = declared;
    let (unread_config, config_keys) = (config.unread(), config.keys());
    Declaration { graph, providers, policies, relaunchable, unread_config, config_keys }
}

impl Scope {
    /// Returns the name of the program.
    pub fn program_name(&self) -> &str {
        &self.inner.program
    }

    /// Returns the name of the stack.
    pub fn stack_name(&self) -> &str {
        &self.inner.stack
    }

    /// Returns the target of the deployment.
    pub fn target(&self) -> &Target {
        &self.inner.target
    }

    /// Returns the region of this scope, if it has one.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Adds `provider` for all types whose token begins with `name`, unless there is one for them already.
    pub fn provide(&self, name: &str, provider: impl FnOnce() -> Arc<dyn Provider>) {
        let known = self.inner.declared.borrow().providers.contains(name);
        if !known {
            let provider = provider();
            self.inner.declared.borrow_mut().providers.insert(name, provider);
        }
    }

    /// Returns the same scope in a region.
    pub fn in_region(&self, region: impl Into<String>) -> Self {
        Self { region: Some(region.into()), ..self.clone() }
    }

    /// Returns the same scope with options, which apply to all declarations in it.
    pub fn with(&self, options: Options) -> Self {
        Self { options: Arc::new(options.within(&self.options)), ..self.clone() }
    }

    /// Declares a component and returns its scope. Declarations in it have the component's name as a prefix and are
    /// shown below it.
    pub fn component(&self, name: &str) -> Self {
        let urn = self.declare(
            "component:Component",
            name,
            NodeKind::Component,
            Ok(Expression::Literal(Value::empty())),
            Arc::default(),
            self.options.clone(),
        );
        let earlier = self.earlier_names(name).into_iter().map(|earlier| format!("{earlier}/"));
        let options = Options { aliases: Vec::new(), ..self.options.as_ref().clone() };
        Self {
            path: format!("{}{name}/", self.path),
            parent: Some(urn),
            earlier_paths: earlier.collect(),
            options: Arc::new(options),
            ..self.clone()
        }
    }

    /// Declares resources for each item of a list whose length may be known only while applying. The list has at most
    /// `most` items, more are an error, and a plan that does not know the length shows "0 to `most`". `declare`
    /// receives the component `NAME/INDEX` and the item, and returns an output for it.
    ///
    /// ```
    /// # use infra_core::{Config, Output, Result, Stack, random::Password};
    /// fn accounts(stack: &Stack, names: &Output<Vec<String>>) -> Output<Vec<String>> {
    ///     stack.each("accounts", names, 10, |scope, _name| scope.add("password", Password::of_length(20)).value)
    /// }
    /// ```
    pub fn each<T, U>(
        &self,
        name: &str,
        list: &Output<Vec<T>>,
        most: usize,
        declare: impl Fn(&Self, Output<T>) -> Output<U>,
    ) -> Output<Vec<U>> {
        let all = self.component(name);
        let set = Set { name: format!("{}{name}", self.path), most };
        let items = (0..most).map(|index| {
            let present = Options { present: Some(list.longer(index, most)), ..Options::default() };
            let scope = Self { set: Some(set.clone()), ..all.with(present).component(&index.to_string()) };
            declare(&scope, list.index(index))
        });
        Output::present(items.collect::<Vec<_>>())
    }

    /// Declares a resource and returns its outputs. Problems of the declaration are reported when the program returns.
    pub fn add<R: Resource>(&self, name: &str, resource: R) -> R::Outputs {
        let schema = self.schema(R::TYPE, R::schema);
        let mut resource = resource;
        let mut options = self.options.clone();
        if !options.transforms.is_empty()
            && let Ok(urn) = self.urn(R::TYPE, name)
        {
            let mut own = options.as_ref().clone();
            for transform in &self.options.transforms {
                transform.apply(&mut Declaring { urn: &urn, resource: &mut resource, options: &mut own });
            }
            options = Arc::new(own);
        }
        let inputs = value::lower(&resource).map(|inputs| mark_secrets(inputs, &schema));
        let urn = self.declare(R::TYPE, name, NodeKind::Resource, inputs, schema.clone(), options);
        self.handle(&urn, &schema)
    }

    /// Declares a resource that several parts of a program share: the first call runs `declare`, which declares a resource
    /// of this type and name in this scope. Later calls, and calls after a declaration by [`Scope::add`], return the outputs
    /// of the declared resource.
    ///
    /// ```
    /// # use infra_core::{Config, Output, Result, Stack, Scope, random::Password};
    /// fn shared_password(scope: &Scope) -> Output<String> {
    ///     scope.declare_once::<Password>("shared", || scope.add("shared", Password::of_length(20))).value
    /// }
    ///
    /// fn program(stack: &Stack, _: &Config) -> Result {
    ///     stack.export("first", shared_password(stack));
    ///     stack.export("second", shared_password(stack));
    ///     Ok(())
    /// }
    /// # let engine = infra_core::Engine::new("demo", "dev", infra_core::store::MemoryStore::new());
    /// # assert_eq!(engine.declared(&program).unwrap().len(), 1);
    /// ```
    pub fn declare_once<R: Resource>(&self, name: &str, declare: impl FnOnce() -> R::Outputs) -> R::Outputs {
        match self.urn(R::TYPE, name) {
            Ok(urn) if self.is_declared(&urn) => self.handle(&urn, &self.schema(R::TYPE, R::schema)),
            _ => declare(),
        }
    }

    /// Returns the outputs of a resource that this scope declares elsewhere, before or after this call.
    pub fn declared<R: Resource>(&self, name: &str) -> R::Outputs {
        let urn = self.urn(R::TYPE, name).unwrap_or_else(|_| Self::placeholder());
        self.handle(&urn, &R::schema())
    }

    /// Declares a lookup and returns its result. The same lookup in the same scope is read once.
    pub fn lookup<L: Lookup>(&self, lookup: L) -> L::Outputs {
        let arguments = value::lower(&lookup);
        let name = lookup_name(&lookup, self.region(), arguments.as_ref().ok());
        let schema = self.schema(L::TYPE, L::schema);
        let urn = self.declare_unless_declared(L::TYPE, &name, NodeKind::Lookup, arguments, schema.clone());
        self.handle(&urn, &schema)
    }

    /// Adds a policy that plans of this program must satisfy.
    pub fn policy(&self, policy: Policy) {
        self.inner.declared.borrow_mut().policies.push(policy);
    }

    /// Lets the user replace resources although nothing about them has changed: `up` offers it, and keeps them by
    /// default. `resources` is an output of each resource that is replaced. `--replace database` selects exactly these
    /// resources, even if a component has the same name.
    pub fn relaunchable(&self, name: &str, resources: &impl Dependency, meaning: &str) {
        let relaunchable =
            Relaunchable { name: name.to_owned(), resources: resources.urns(), meaning: meaning.to_owned() };
        self.inner.declared.borrow_mut().relaunchable.push(relaunchable);
    }

    /// Exports a value as an output of the stack.
    pub fn export<T>(&self, name: &str, value: Output<T>) {
        let expression = value.expression().clone();
        self.inner.declared.borrow_mut().exports.insert(name.to_owned(), expression);
    }

    fn urn(&self, kind: &str, name: &str) -> std::result::Result<Urn, crate::urn::UrnError> {
        Urn::new(&self.inner.stack, &self.inner.program, kind, &format!("{}{name}", self.path))
    }

    /// Declares a node unless it exists, and returns its URN.
    fn declare_unless_declared(
        &self,
        kind: &str,
        name: &str,
        node: NodeKind,
        inputs: std::result::Result<Expression, value::LowerError>,
        schema: Arc<Schema>,
    ) -> Urn {
        match self.urn(kind, name) {
            Ok(urn) if self.is_declared(&urn) => urn,
            _ => self.declare(kind, name, node, inputs, schema, self.options.clone()),
        }
    }

    fn is_declared(&self, urn: &Urn) -> bool {
        self.inner.declared.borrow().urns.contains(urn)
    }

    fn schema(&self, kind: &'static str, make: impl FnOnce() -> Schema) -> Arc<Schema> {
        self.inner.declared.borrow_mut().schemas.entry(kind).or_insert_with(|| Arc::new(make())).clone()
    }

    fn declare(
        &self,
        kind: &str,
        name: &str,
        node: NodeKind,
        inputs: std::result::Result<Expression, value::LowerError>,
        schema: Arc<Schema>,
        options: Arc<Options>,
    ) -> Urn {
        let options = self.finished(options, name);
        let mut declared = self.inner.declared.borrow_mut();
        let urn = match self.urn(kind, name) {
            Ok(urn) => urn,
            Err(error) => {
                declared.errors.push(error.into());
                return Self::placeholder();
            }
        };
        declared.urns.insert(urn.clone());
        match inputs {
            Ok(inputs) => declared.nodes.push(Node {
                urn: urn.clone(),
                kind: node,
                region: self.region.clone(),
                inputs,
                schema,
                parent: self.parent.clone(),
                options,
                set: self.set.clone(),
                pinned: None,
            }),
            Err(error) => declared.errors.push(GraphError::Lower { urn: urn.clone(), error }),
        }
        urn
    }

    /// Adds the options that follow from the scope: previous names, and no conditions if nothing runs behind the
    /// control plane.
    fn finished(&self, options: Arc<Options>, name: &str) -> Arc<Options> {
        let is_control_plane = self.target().readiness == Readiness::ControlPlane && !options.conditions.is_empty();
        if self.earlier_paths.is_empty() && !is_control_plane {
            return options;
        }
        let mut own = options.as_ref().clone();
        own.aliases.extend(self.earlier_paths.iter().map(|path| format!("{path}{name}")));
        if is_control_plane {
            own.conditions.clear();
        }
        Arc::new(own)
    }

    /// Returns the previous names of a declaration in this scope.
    fn earlier_names(&self, name: &str) -> Vec<String> {
        let moved = self.earlier_paths.iter().map(|path| format!("{path}{name}"));
        self.options.aliases.iter().cloned().chain(moved).collect()
    }

    fn handle<O: Serialize + DeserializeOwned>(&self, urn: &Urn, schema: &Schema) -> O {
        let describe = |property: &str| {
            let region = self.region.clone().filter(|_| schema.is_regional(property));
            (schema.is_secret(property), region)
        };
        value::handle(urn, describe).unwrap_or_else(|error| {
            panic!("the outputs of the kind {} are not a struct of `Output`s: {error}", urn.kind())
        })
    }

    /// Returns a placeholder for a declaration with an invalid name, which is reported as an error.
    fn placeholder() -> Urn {
        Urn::new("invalid", "invalid", "invalid:Invalid", "invalid").expect("a well-formed URN")
    }
}

impl Dependency for Scope {
    fn urns(&self) -> Vec<Urn> {
        self.parent.clone().into_iter().collect()
    }
}

/// Marks inputs as secret that are secret in the schema, even if the program passed them as plain text.
fn mark_secrets(inputs: Expression, schema: &Schema) -> Expression {
    match inputs {
        Expression::Map(map) if map.keys().any(|name| schema.is_secret(name)) => Expression::Map(
            map.into_iter()
                .map(|(name, input)| {
                    let secret = schema.is_secret(&name) && !matches!(input, Expression::Secret(_));
                    (name, if secret { Expression::Secret(Box::new(input)) } else { input })
                })
                .collect(),
        ),
        Expression::Literal(Value::Map(map)) if map.keys().any(|name| schema.is_secret(name)) => {
            let marked = map.into_iter().map(|(name, input)| {
                let secret = schema.is_secret(&name);
                (name, if secret { input.into_secret() } else { input })
            });
            Expression::Literal(Value::Map(marked.collect()))
        }
        other => other,
    }
}

/// Returns the name of a lookup. `DefaultVpc` in us-east-1 is named `default-vpc-us-east-1`; arguments add the lookup's
/// label, or a suffix.
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
    let label = lookup.label().or_else(|| arguments.as_deref().map(suffix));
    for part in region.map(str::to_owned).into_iter().chain(label) {
        name.push('-');
        name.push_str(&part);
    }
    name
}

/// Returns a suffix that distinguishes lookups of one kind.
fn suffix(text: &str) -> String {
    hex::encode(&<sha2::Sha256 as sha2::Digest>::digest(text)[..3])
}

impl From<ConfigError> for DeclareError {
    fn from(error: ConfigError) -> Self {
        Self::Program(error.into())
    }
}
