//! The region of a stack, in which a program declares AWS resources.

use crate::client::Aws;
use infra_core::{
    Options, Output, Scope, Target,
    provider::{Handler, LookupHandler},
};

/// A region of a stack, or a component in it, in which AWS resources are declared.
#[derive(Clone)]
pub struct Region {
    name: String,
    anywhere: Scope,
    outermost: Scope,
    scope: Scope,
}

/// A kind of AWS resource.
///
/// In `prepare`, a kind declares the resources it depends on, such as the bucket with the programs of an instance. Most
/// kinds need none.
pub trait AwsResource: Handler<Client = Aws> {
    /// Declares the resources that this one depends on and sets references to them in the inputs.
    fn prepare(self, region: &Region, name: &str) -> Self {
        let _ = (region, name);
        self
    }

    /// Returns the options that this kind adds to those of the scope it is declared in; most kinds add none.
    fn options(&self) -> Option<Options> {
        None
    }
}

/// A resource that a program declares in a region: an [`AwsResource`], or a type that `stack bindings` generates.
pub trait Declare {
    /// Outputs of the resource.
    type Outputs;

    /// Declares the resource and returns its outputs.
    fn declare(self, region: &Region, name: &str) -> Self::Outputs;
}

impl<R: AwsResource> Declare for R {
    type Outputs = R::Outputs;

    fn declare(self, region: &Region, name: &str) -> R::Outputs {
        let prepared = self.prepare(region, name);
        match prepared.options() {
            Some(options) => region.scope.with(options).add(name, prepared),
            None => region.scope.add(name, prepared),
        }
    }
}

impl Region {
    pub(crate) fn of(scope: &Scope, name: &str) -> Self {
        let inside = scope.in_region(name);
        Self { name: name.to_owned(), anywhere: scope.clone(), outermost: inside.clone(), scope: inside }
    }

    /// Returns the name of the region, such as `us-east-1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the target of the stack.
    pub fn target(&self) -> &Target {
        self.scope.target()
    }

    /// Returns the scope of the region's declarations.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Declares a resource and returns its outputs.
    pub fn add<R: Declare>(&self, name: &str, resource: R) -> R::Outputs {
        resource.declare(self, name)
    }

    /// Declares a lookup and returns its outputs. Equal lookups in the same region are executed once.
    pub fn lookup<L: LookupHandler<Client = Aws>>(&self, lookup: L) -> L::Outputs {
        self.scope.lookup(lookup)
    }

    /// Declares a component. The names of the resources declared through the returned region start with the component's
    /// name, and output shows them below the component.
    pub fn component(&self, name: &str) -> Self {
        Self { scope: self.scope.component(name), ..self.clone() }
    }

    /// Returns the same region with options for every resource that is declared through it.
    pub fn with(&self, options: Options) -> Self {
        Self { scope: self.scope.with(options), ..self.clone() }
    }

    /// Declares resources for each item of a list whose length may be known only during the apply; see [`Scope::each`].
    pub fn each<T, U>(
        &self,
        name: &str,
        list: &Output<Vec<T>>,
        most: usize,
        declare: impl Fn(&Self, Output<T>) -> Output<U>,
    ) -> Output<Vec<U>> {
        self.scope.each(name, list, most, |scope, item| declare(&Self { scope: scope.clone(), ..self.clone() }, item))
    }

    /// Returns the same region outside of all components, for resources that its hosts share.
    pub(crate) fn outermost(&self) -> Self {
        Self { scope: self.outermost.clone(), ..self.clone() }
    }

    /// Returns the scope around the region, for resources without a region.
    pub(crate) fn anywhere(&self) -> &Scope {
        &self.anywhere
    }

    /// Declares a resource that the hosts of the region share at the first call, and returns its outputs at every call.
    pub(crate) fn shared<R: AwsResource>(&self, name: &str, resource: impl FnOnce() -> R) -> R::Outputs {
        self.outermost.declare_once::<R>(name, || self.outermost().add(name, resource()))
    }
}
