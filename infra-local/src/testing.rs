//! A control plane for tests: the operations of a service on a state, without a runtime.
#![allow(clippy::unwrap_used)]

pub(crate) mod round_trip;

use std::cell::RefCell;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::access::Context;
use crate::model::{Account, Cloud};
use crate::services::operation::{NoRequests, Run};
use crate::services::{Call, Operation, State, ec2};
use crate::state::Shared;
use crate::state::address::AddressBlock;
use crate::wire::{ApiError, Node, Outcome, Params, xml};

/// A new cloud that receives requests for us-east-1.
pub(crate) struct ControlPlane {
    pub(crate) cloud: Cloud,
    /// Time of the operations; the current time when `None`.
    pub(crate) now: Option<DateTime<Utc>>,
    pub(crate) addresses: AddressBlock,
    directory: tempfile::TempDir,
}

/// A service's operations, by kind.
type Tables<I, O> = &'static [&'static [Operation<I, O>]];

impl ControlPlane {
    pub(crate) fn new() -> Self {
        Self::of_account(Account::default())
    }

    pub(crate) fn of_account(account: Account) -> Self {
        crate::runtime::postgres::discover();
        let mut cloud = Cloud::default();
        cloud.set_account(account);
        cloud.complete();
        let directory = tempfile::tempdir().unwrap();
        let addresses = AddressBlock::claim(directory.path()).unwrap();
        Self { cloud, now: None, addresses, directory }
    }

    /// Returns the cloud's directory.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Returns the addresses that the cloud can assign.
    pub(crate) fn addresses(&self) -> &AddressBlock {
        &self.addresses
    }

    /// Calls a Query service; returns the response as XML, or the error's code and message.
    pub(crate) fn query(&mut self, tables: Tables<Params, Node>, name: &str, form: &str) -> Result<String, String> {
        let params = Params::parse(form.as_bytes());
        let operation = named(tables, name);
        let answer = operation.check(&params, &[]).and_then(|()| self.carry_out(operation, params));
        answer.map(|answer| xml::query_answer("urn:n", name, "r", &answer)).map_err(code_and_message)
    }

    /// Calls a service that uses JSON values; returns the response, or the error's code and message.
    pub(crate) fn values(
        &mut self,
        tables: Tables<Value, Value>,
        name: &str,
        mut input: Value,
    ) -> Result<Value, String> {
        let operation = named(tables, name);
        let answer = operation.check(&mut input).and_then(|()| self.carry_out(operation, input));
        answer.map_err(code_and_message)
    }

    /// Launches two instances with the tag `Name`, and returns their ids.
    pub(crate) fn launch_two(&mut self, name: &str) -> [String; 2] {
        let images = self.query(ec2::OPERATIONS, "DescribeImages", "").unwrap();
        let form = format!(
            "ImageId={}&InstanceType=t3.micro&MinCount=2&MaxCount=2&TagSpecification.1.ResourceType=instance\
             &TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value={name}",
            element(&images, "imageId")
        );
        self.query(ec2::OPERATIONS, "RunInstances", &form).unwrap();
        let instances = &self.cloud.regions["us-east-1"].ec2.instances;
        instances.keys().cloned().collect::<Vec<_>>().try_into().unwrap()
    }

    /// Returns a handle on a copy of the state, and its directory.
    pub(crate) fn shared(&self) -> (tempfile::TempDir, Shared) {
        let directory = tempfile::tempdir().unwrap();
        let addresses = AddressBlock::claim(directory.path()).unwrap();
        let shared = Shared::load(directory.path(), self.cloud.account, addresses).unwrap();
        shared.update(|cloud| *cloud = self.cloud.clone());
        (directory, shared)
    }

    /// Executes an operation. A failed operation changes nothing, as in the server.
    fn carry_out<I, O>(&mut self, operation: &Operation<I, O>, input: I) -> Outcome<O> {
        let call = Call {
            input,
            region: "us-east-1",
            account: self.cloud.account,
            access_key: "key",
            now: self.now.unwrap_or_else(Utc::now),
            addresses: &self.addresses,
            directory: self.directory.path(),
            context: &Context::default(),
            requests: &NoRequests,
        };
        match operation.run {
            Run::Reads(run) => run(&self.cloud, &call),
            Run::Writes(run) => {
                let mut draft = self.cloud.clone();
                let answer = run(&mut draft, &call)?;
                draft.record_events(&self.cloud, call.now);
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

fn code_and_message(error: ApiError) -> String {
    format!("{}: {}", error.code, error.message)
}

/// Returns the code of a refusal.
#[track_caller]
pub(crate) fn code<T: std::fmt::Debug>(answer: Result<T, String>) -> String {
    answer.unwrap_err().split(':').next().unwrap_or_default().to_owned()
}

/// Returns the text of the first element with this name.
#[track_caller]
pub(crate) fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {xml}"));
    rest.split_once('<').unwrap().0
}

/// Formats a response in XML with a line for each element, for snapshots. Ids, times, addresses, zones and versions are
/// redacted.
pub(crate) fn outline(xml: &str) -> String {
    let (mut lines, mut depth, mut rest) = (Vec::new(), 0, xml);
    while let Some((_, tag)) = rest.split_once('<') {
        let (tag, after) = tag.split_once('>').unwrap();
        rest = after;
        if tag.starts_with('/') {
            depth -= 1;
        } else if !tag.starts_with('?') {
            let name = tag.split([' ', '/']).next().unwrap_or_default();
            let text = rest.split('<').next().unwrap_or_default();
            let separator = if text.is_empty() { "" } else { ": " };
            lines.push(format!("{}{name}{separator}{}", "  ".repeat(depth), redacted(text)));
            depth += usize::from(!tag.ends_with('/'));
        }
    }
    lines.join("\n")
}

fn redacted(text: &str) -> String {
    let rules = [
        (r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)", "[time]"),
        (r"127\.\d+\.\d+\.\d+", "[address]"),
        (r"\b(subnet|vpc|sg|db|cluster)-[0-9A-Za-z]{8,}", "$1-[id]"),
        (r"\b[0-9a-f]{16}\b", "[id]"),
        (r"\b[a-z]{2}-[a-z]+-\d[a-z]\b", "[zone]"),
        (r"\b\d+\.\d+(\.\d+)?\b", "[version]"),
        (r"postgres(ql|-)?\d+", "postgres$1[major]"),
    ];
    rules.iter().fold(text.to_owned(), |text, (pattern, redaction)| {
        regex_lite::Regex::new(pattern).unwrap().replace_all(&text, *redaction).into_owned()
    })
}
