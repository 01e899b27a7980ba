//! A control plane for tests: the operations of a service on a state, without a runtime.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::model::Cloud;
use crate::services::operation::Run;
use crate::services::{Call, Operation, State};
use crate::state::address::AddressBlock;
use crate::wire::{ApiError, Node, Outcome, Params, xml};

/// A new cloud that is asked in us-east-1.
pub(crate) struct ControlPlane {
    pub(crate) cloud: Cloud,
    /// Time of the operations; the real time when none is set.
    pub(crate) now: Option<DateTime<Utc>>,
    addresses: AddressBlock,
    directory: tempfile::TempDir,
}

/// A service's operations, by kind.
type Tables<I, O> = &'static [&'static [Operation<I, O>]];

impl ControlPlane {
    pub(crate) fn new() -> Self {
        crate::runtime::postgres::discover();
        let mut cloud = Cloud::default();
        cloud.complete();
        let directory = tempfile::tempdir().unwrap();
        let addresses = AddressBlock::claim(directory.path()).unwrap();
        Self { cloud, now: None, addresses, directory }
    }

    /// The cloud's directory.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// The addresses it may hand out.
    pub(crate) fn addresses(&self) -> &AddressBlock {
        &self.addresses
    }

    /// Asks a Query service; the answer as XML, or the error's code and message.
    pub(crate) fn query(&mut self, tables: Tables<Params, Node>, name: &str, form: &str) -> Result<String, String> {
        let params = Params::parse(form.as_bytes());
        let operation = named(tables, name);
        let answer = operation.check(&params, &[]).and_then(|()| self.carry_out(operation, params));
        answer.map(|answer| xml::query_answer("urn:n", name, "r", &answer)).map_err(told)
    }

    /// Asks a service that works on values; the answer, or the error's code and message.
    pub(crate) fn values(
        &mut self,
        tables: Tables<Value, Value>,
        name: &str,
        mut input: Value,
    ) -> Result<Value, String> {
        let operation = named(tables, name);
        let answer = operation.check(&mut input).and_then(|()| self.carry_out(operation, input));
        answer.map_err(told)
    }

    /// A failed operation changes nothing, as in the server.
    fn carry_out<I, O>(&mut self, operation: &Operation<I, O>, input: I) -> Outcome<O> {
        let call = Call {
            input,
            region: "us-east-1",
            access_key: "key",
            now: self.now.unwrap_or_else(Utc::now),
            addresses: &self.addresses,
            directory: self.directory.path(),
        };
        match operation.run {
            Run::Reads(run) => run(&self.cloud, &call),
            Run::Writes(run) => {
                let mut draft = self.cloud.clone();
                let answer = run(&mut draft, &call)?;
                self.cloud = draft;
                Ok(answer)
            }
            Run::Performs(run) => run(&State::Draft(RefCell::new(&mut self.cloud)), &call),
        }
    }
}

fn named<I, O>(tables: Tables<I, O>, name: &str) -> &'static Operation<I, O> {
    tables.iter().flat_map(|table| table.iter()).find(|operation| operation.name == name).unwrap()
}

fn told(error: ApiError) -> String {
    format!("{}: {}", error.code, error.message)
}
