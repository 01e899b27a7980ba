//! A region of a stack: where AWS resources are declared.

use crate::{client::Aws, provider};
use infra_core::{
    Options, Output, Scope, Target,
    provider::{Handler, LookupHandler},
    value,
};

/// A region of a stack: `let virginia = aws::region(stack, "us-east-1");`. With the feature `autoscaling`, the
/// first region of a stack adds two policies: `policies::open_paths`, as a warning, and on a local target
/// `policies::runs_on` its machine.
pub fn region(scope: &Scope, name: &str) -> Region {
    scope.provide("aws", || {
        add_policies(scope);
        provider(scope.target())
    });
    let inside = scope.in_region(name);
    Region { name: name.to_owned(), anywhere: scope.clone(), outermost: inside.clone(), scope: inside }
}

/// Adds the policies that every stack keeps.
#[cfg(feature = "autoscaling")]
fn add_policies(scope: &Scope) {
    use crate::policies;
    use infra_core::policy::Enforcement;
    scope.policy(policies::open_paths(Enforcement::Advisory));
    if let Some(host) = &scope.target().host {
        scope.policy(policies::runs_on(host.clone()));
    }
}

#[cfg(not(feature = "autoscaling"))]
fn add_policies(_: &Scope) {}

/// Where AWS resources are declared: a region of a stack, or a component in one.
#[derive(Clone)]
pub struct Region {
    name: String,
    anywhere: Scope,
    outermost: Scope,
    scope: Scope,
}

/// A kind of AWS resource.
///
/// `prepare` is the place where a kind declares what it needs besides itself, such as the bucket that an instance's
/// programs are fetched from; most kinds need nothing.
pub trait AwsResource: Handler<Client = Aws> {
    /// Declares what the resource needs and puts references to it into the inputs.
    fn prepare(self, region: &Region, name: &str) -> Self {
        let _ = (region, name);
        self
    }

    /// Options that the resource brings along, besides those of where it is declared; most kinds have none.
    fn options(&self) -> Option<Options> {
        None
    }
}

impl Region {
    /// The region's name, such as `us-east-1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the stack is deployed to.
    pub fn target(&self) -> &Target {
        self.scope.target()
    }

    /// The scope that the region's declarations go into.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Declares a resource and returns its outputs.
    pub fn add<R: AwsResource>(&self, name: &str, resource: R) -> R::Outputs {
        let prepared = resource.prepare(self, name);
        match prepared.options() {
            Some(options) => self.scope.with(options).add(name, prepared),
            None => self.scope.add(name, prepared),
        }
    }

    /// Asks AWS a question; the same question in the same place is asked once.
    pub fn lookup<L: LookupHandler<Client = Aws>>(&self, lookup: L) -> L::Outputs {
        self.scope.lookup(lookup)
    }

    /// Declares a component: what is declared in the region it returns carries its name and is shown below it.
    pub fn component(&self, name: &str) -> Self {
        Self { scope: self.scope.component(name), ..self.clone() }
    }

    /// The same region with options, which hold for everything that is declared through it.
    pub fn with(&self, options: Options) -> Self {
        Self { scope: self.scope.with(options), ..self.clone() }
    }

    /// Declares something for each item of a list whose length may be known only while applying; see [`Scope::each`].
    pub fn each<T, U>(
        &self,
        name: &str,
        list: &Output<Vec<T>>,
        most: usize,
        declare: impl Fn(&Self, Output<T>) -> Output<U>,
    ) -> Output<Vec<U>> {
        self.scope.each(name, list, most, |scope, item| declare(&Self { scope: scope.clone(), ..self.clone() }, item))
    }

    /// The same region outside of all components, for what its hosts share.
    pub(crate) fn outermost(&self) -> Self {
        Self { scope: self.outermost.clone(), ..self.clone() }
    }

    /// What the region was declared in, for what is the same in all regions.
    pub(crate) fn anywhere(&self) -> &Scope {
        &self.anywhere
    }

    /// Declares what the hosts of the region share, when the first of them asks for it.
    pub(crate) fn shared<R: AwsResource>(&self, name: &str, make: impl FnOnce() -> R) -> R::Outputs {
        let handle = self.outermost.declared::<R>(name);
        let mut identity = String::new();
        if let Ok(expression) = value::lower(&handle) {
            expression.references(&mut |reference, _| identity = reference.urn.to_string());
        }
        // A provider is asked for only once in a whole stack, through whichever `Region` that is.
        let mut first = false;
        self.outermost.provide(&identity, || {
            first = true;
            provider(self.target())
        });
        if first { self.outermost().add(name, make()) } else { handle }
    }
}
