//! Calls of the operations of a type's own service, with the permissions of the identity that made the request.

use std::path::Path;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::access::{self, Context, Identity, RequestFacts, RequestTags, RequestedAction, Requirement};
use crate::model::Cloud;
use crate::services::operation::{NoRequests, Run};
use crate::services::{Call, Operation};
use crate::state::address::AddressBlock;
use crate::wire::{ApiError, JsonVersion, Node, Outcome, Params, Protocol, leaves};

/// Inputs of operations besides the state.
#[derive(Clone, Copy)]
pub(crate) struct OperationContext<'a> {
    pub(crate) addresses: &'a AddressBlock,
    pub(crate) directory: &'a Path,
    /// True when the policies of users and roles are enforced.
    pub(crate) enforce_iam: bool,
    pub(crate) now: DateTime<Utc>,
}

/// The identity of a request, as the caller of other services.
pub(super) struct Caller<'a> {
    pub(super) context: OperationContext<'a>,
    pub(super) region: &'a str,
    pub(super) access_key: &'a str,
}

/// A service whose operations implement a kind.
pub(super) struct Of<I: 'static, O: 'static> {
    pub(super) name: &'static str,
    pub(super) operations: &'static [&'static [Operation<I, O>]],
}

impl Caller<'_> {
    /// Calls a service that uses JSON values. Members that are null are not sent.
    pub(super) fn call_json(
        &self,
        cloud: &mut Cloud,
        service: &Of<Value, Value>,
        name: &str,
        mut input: Value,
    ) -> Outcome<Value> {
        if let Value::Object(members) = &mut input {
            members.retain(|_, value| !value.is_null());
        }
        let operation = service.operation(name)?;
        operation.check(&mut input).map_err(|error| service.handler_error(error))?;
        self.permitted(cloud, service.name, operation, (&leaves(&input), &RequestTags::of_value(&input)))?;
        self.run(cloud, operation.run, input).map_err(|error| service.handler_error(error))
    }

    /// Calls a Query service.
    pub(super) fn query(
        &self,
        cloud: &mut Cloud,
        service: &Of<Params, Node>,
        name: &str,
        form: &[(String, String)],
    ) -> Outcome<Node> {
        let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let params = Params::parse(text.as_bytes());
        let operation = service.operation(name)?;
        operation.check(&params, &[]).map_err(|error| service.handler_error(error))?;
        self.permitted(cloud, service.name, operation, (&params.patterns(), &RequestTags::of_params(&params)))?;
        self.run(cloud, operation.run, params).map_err(|error| service.handler_error(error))
    }

    fn permitted<I, O>(
        &self,
        cloud: &Cloud,
        service: &str,
        operation: &Operation<I, O>,
        (parameters, tags): (&[(String, String)], &RequestTags),
    ) -> Outcome<()> {
        if !self.context.enforce_iam || !operation.needs_permission {
            return Ok(());
        }
        let facts = RequestFacts { service, operation: operation.name, region: self.region, parameters, tags };
        let identity = Identity::of_key(&cloud.iam, self.access_key);
        for Requirement { action, resources } in access::requirements(cloud, &operation.needs(service), &facts) {
            let (now, context) = (self.context.now, &Context::default());
            let requested =
                RequestedAction { action: &action, resources: &resources, region: self.region, now, context };
            access::authorise(cloud, &identity, &requested)
                .map_err(|refusal| refusal.to_error(Protocol::Json(JsonVersion::V1_0)))?;
        }
        Ok(())
    }

    fn run<I, O>(&self, cloud: &mut Cloud, run: Run<I, O>, input: I) -> Outcome<O> {
        let OperationContext { addresses, directory, now, .. } = self.context;
        let call = Call {
            input,
            region: self.region,
            account: cloud.account,
            access_key: self.access_key,
            now,
            addresses,
            directory,
            context: &Context::default(),
            requests: &NoRequests,
        };
        match run {
            Run::Reads(run) => run(cloud, &call),
            Run::Writes(run) => run(cloud, &call),
            // Requests are executed while the state is locked.
            Run::Performs(_) => Err(ApiError::internal("Cloud Control cannot call an operation that performs I/O")),
        }
    }
}

impl<I, O> Of<I, O> {
    fn operation(&self, name: &str) -> Outcome<&'static Operation<I, O>> {
        let mut all = self.operations.iter().flat_map(|table| table.iter());
        all.find(|operation| operation.name == name)
            .ok_or_else(|| ApiError::internal(format!("{} has no operation {name}", self.name)))
    }

    /// Converts an error to the form in which the handlers of types report it.
    fn handler_error(&self, error: ApiError) -> ApiError {
        let message = format!("{} (Service: {}, Status Code: {})", error.message, self.name, error.status);
        ApiError { message, ..error }
    }
}
