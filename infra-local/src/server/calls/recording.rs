//! The record of a request while it is dispatched.

use std::borrow::Cow;
use std::time::Instant;

use chrono::Utc;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use quick_xml::escape::unescape;
use serde_json::{Map, Value};

use super::secrets::{HIDDEN, SecretNames, hide_repeated};
use super::{CallError, RecordedCall};
use crate::access::Decision;
use crate::services::s3::Traced;
use crate::wire::{ApiError, Protocol};

/// Name of the header with the declaration that a request is sent for.
const RESOURCE: &str = "x-infra-resource";

/// Maximum length of its value, in bytes; longer ones are ignored.
const RESOURCE_LIMIT: usize = 512;

/// Maximum size of the recorded name of a client, in bytes.
const AGENT_LIMIT: usize = 256;

/// Maximum size of the recorded part of a response, in bytes.
const ANSWER_LIMIT: usize = 8 * 1024;

/// Maximum size of a recorded text among the parameters, in bytes.
const TEXT_LIMIT: usize = 2 * 1024;

/// Maximum size of the recorded texts of all parameters, in bytes.
const PARAMETERS_LIMIT: usize = 16 * 1024;

/// Number of recorded decisions of a call. `DeleteObjects` has one per object.
const DECISIONS_LIMIT: usize = 100;

/// Length from which on a secret is searched in messages; shorter texts would match by chance.
const SECRET_LENGTH: usize = 4;

/// Mark at the end of a text that was cut.
const CUT: &str = "…";

/// Returns the declaration that a client sends a request for, or an empty text.
pub(crate) fn declaration(headers: &HeaderMap) -> &str {
    let named = headers.get(RESOURCE).and_then(|value| value.to_str().ok());
    named.filter(|named| named.len() <= RESOURCE_LIMIT).unwrap_or_default()
}

/// Record of a request that is in progress. It holds secrets of the request, so that they can be removed from messages.
pub(crate) struct Recording {
    call: RecordedCall,
    began: Instant,
    names: SecretNames,
    secrets: Vec<String>,
}

impl Recording {
    pub(crate) fn new(request_id: &str) -> Recording {
        let call = RecordedCall { at: Utc::now(), request_id: request_id.to_owned(), ..RecordedCall::default() };
        Recording { call, began: Instant::now(), names: SecretNames::default(), secrets: Vec::new() }
    }

    /// Records the credential scope.
    pub(crate) fn scope(&mut self, service: &str, region: &str) {
        service.clone_into(&mut self.call.service);
        region.clone_into(&mut self.call.region);
    }

    /// Records the program that sends the request, and the declaration that it sends the request for.
    pub(crate) fn client(&mut self, headers: &HeaderMap) {
        declaration(headers).clone_into(&mut self.call.resource);
        let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        agent[..agent.len().min(AGENT_LIMIT)].clone_into(&mut self.call.user_agent);
    }

    /// Records the id of the access key that signed the request.
    pub(crate) fn access_key(&mut self, id: &str) {
        id.clone_into(&mut self.call.access_key);
    }

    /// Records the operation that the request names.
    pub(crate) fn operation(&mut self, name: &str) {
        name.clone_into(&mut self.call.operation);
    }

    /// Records the ARN of the caller.
    pub(crate) fn caller(&mut self, arn: String) {
        self.call.caller = Some(arn);
    }

    /// Returns the ARN of the caller, or an empty text as long as it is not known.
    pub(crate) fn caller_arn(&self) -> &str {
        self.call.caller.as_deref().unwrap_or_default()
    }

    pub(crate) fn decisions(&mut self, decisions: Vec<Decision>) {
        self.call.decisions = decisions;
        self.call.decisions.truncate(DECISIONS_LIMIT);
    }

    pub(crate) fn error(&mut self, error: &ApiError) {
        self.call.error = Some(CallError { code: error.code.to_string(), message: error.message.clone() });
    }

    /// Returns whether the values of a parameter of the recorded operation are secret.
    pub(crate) fn hides(&self, name: &str) -> bool {
        self.names.hides_in_request(name)
    }

    /// Records the parameters of a known operation, without the secret ones.
    pub(crate) fn parameters(&mut self, parameters: &Value) {
        self.names = SecretNames::of(&self.call.service, &self.call.operation, parameters);
        let mut copy = Copy { names: &self.names, secrets: &mut self.secrets, left: PARAMETERS_LIMIT };
        self.call.parameters = copy.of(parameters).unwrap_or_default();
    }

    /// Records the facts about a request to S3. A request that s3s did not recognise keeps its operation.
    pub(crate) fn object_store(&mut self, traced: Traced) {
        if let Some(operation) = traced.operation {
            self.operation(&operation);
        }
        let members = [("bucket", traced.bucket), ("key", traced.key)];
        let members = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?))));
        self.call.parameters = Value::Object(members.collect());
        self.decisions(traced.decisions);
    }

    /// Completes the record with the response.
    pub(crate) fn finish(mut self, answer: &hyper::Response<s3s::Body>) -> RecordedCall {
        let status = answer.status();
        self.call.microseconds = self.began.elapsed().as_micros() as u64;
        self.call.status = status.as_u16();
        self.call.answer = self.answer(answer);
        if self.call.error.is_none() && (status.is_client_error() || status.is_server_error()) {
            self.call.error = Some(error_of(&self.call.answer, status));
        }
        hide_repeated(&mut self.call.answer, &self.secrets);
        if let Some(error) = &mut self.call.error {
            hide_repeated(&mut error.message, &self.secrets);
        }
        self.call
    }

    /// Returns the beginning of a response. Bodies that are objects are not recorded.
    fn answer(&self, answer: &hyper::Response<s3s::Body>) -> String {
        let is_object = self.call.operation == "GetObject" && answer.status().is_success();
        let content_type = answer.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let Some(bytes) = answer.body().bytes().filter(|_| !is_object) else {
            return String::new();
        };
        let decoded = if content_type == Protocol::Cbor.content_type().as_bytes() {
            Protocol::Cbor.read(&bytes).ok().map(|value| value.to_string().into_bytes())
        } else {
            None
        };
        let bytes = decoded.as_deref().unwrap_or(&bytes);
        if !self.names.are_in_responses() {
            return beginning(bytes, ANSWER_LIMIT);
        }
        let text = self.names.hide_in_response(&String::from_utf8_lossy(bytes));
        beginning(text.as_bytes(), ANSWER_LIMIT)
    }
}

/// Returns the error in a response in S3's form. Responses to `HEAD` have only a status.
fn error_of(xml: &str, status: StatusCode) -> CallError {
    let element = |name: &str| {
        let (_, rest) = xml.split_once(&format!("<{name}>"))?;
        let (text, _) = rest.split_once(&format!("</{name}>"))?;
        Some(unescape(text).map_or_else(|_| text.to_owned(), Cow::into_owned))
    };
    let reason = || status.canonical_reason().unwrap_or_default().replace(' ', "");
    CallError { code: element("Code").unwrap_or_else(reason), message: element("Message").unwrap_or_default() }
}

/// Returns the beginning of a text, at most `limit` bytes and a mark.
fn beginning(text: &[u8], limit: usize) -> String {
    if text.len() <= limit {
        return String::from_utf8_lossy(text).into_owned();
    }
    let mut end = limit;
    while end > 0 && text[end] & 0b1100_0000 == 0b1000_0000 {
        end -= 1;
    }
    let mut beginning = String::from_utf8_lossy(&text[..end]).into_owned();
    beginning.push_str(CUT);
    beginning
}

/// A copy of parameters without secrets, of limited size.
struct Copy<'a> {
    names: &'a SecretNames,
    /// Receives the secrets.
    secrets: &'a mut Vec<String>,
    /// Bytes that may still be copied.
    left: usize,
}

impl Copy<'_> {
    /// Returns a copy; `None` when the limit is reached.
    fn of(&mut self, value: &Value) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        Some(match value {
            Value::Object(members) => match list(members) {
                Some(items) => self.items(&items),
                None => Value::Object(self.members(members)),
            },
            Value::Array(items) => self.items(&items.iter().collect::<Vec<_>>()),
            Value::String(text) => Value::from(self.text(text)),
            other => other.clone(),
        })
    }

    fn items(&mut self, items: &[&Value]) -> Value {
        let mut copy: Vec<Value> = items.iter().map_while(|item| self.of(item)).collect();
        if copy.len() < items.len() {
            copy.push(Value::from(CUT));
        }
        Value::from(copy)
    }

    fn members(&mut self, members: &Map<String, Value>) -> Map<String, Value> {
        let mut copy = Map::new();
        // Parameters of a presigned URL are not the operation's.
        for (name, value) in members.iter().filter(|(name, _)| !name.starts_with("X-Amz-")) {
            let Some(value) = self.member(name, value) else {
                copy.insert(CUT.to_owned(), Value::from(CUT));
                break;
            };
            copy.insert(name.clone(), value);
        }
        copy
    }

    fn member(&mut self, name: &str, value: &Value) -> Option<Value> {
        self.left = self.left.checked_sub(name.len())?;
        if self.names.hides_in_request(name) {
            self.hide(value);
            return Some(Value::from(HIDDEN));
        }
        self.of(value)
    }

    fn text(&mut self, text: &str) -> String {
        let limit = TEXT_LIMIT.min(self.left);
        self.left -= limit.min(text.len());
        beginning(text.as_bytes(), limit)
    }

    /// Collects the texts of a secret value.
    fn hide(&mut self, value: &Value) {
        match value {
            Value::String(text) if text.len() >= SECRET_LENGTH => self.secrets.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| self.hide(item)),
            Value::Object(members) => members.values().for_each(|member| self.hide(member)),
            _ => {}
        }
    }
}

/// Returns the items of a list of a form: `{"1": …, "2": …}`, or the same below `member`.
fn list(members: &Map<String, Value>) -> Option<Vec<&Value>> {
    if let (1, Some(Value::Object(inner))) = (members.len(), members.get("member")) {
        return list(inner);
    }
    let mut items: Vec<(u32, &Value)> = Vec::with_capacity(members.len());
    for (name, value) in members {
        items.push((name.parse().ok()?, value));
    }
    items.sort_by_key(|(number, _)| *number);
    (!items.is_empty()).then(|| items.into_iter().map(|(_, value)| value).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    fn recorded(service: &str, operation: &str, parameters: &Value) -> Value {
        let mut recording = Recording::new("r");
        recording.scope(service, "us-east-1");
        recording.operation(operation);
        recording.parameters(parameters);
        recording.call.parameters
    }

    #[test]
    fn numbered_members_become_lists() {
        let filter = json!({"1": {"Name": "vpc-id", "Value": {"10": "b", "2": "a"}}});
        let form = json!({"Filter": filter, "Tags": {"member": {"1": {"Key": "k"}}}, "DryRun": "true"});
        insta::assert_snapshot!(
            recorded("ec2", "DescribeVpcs", &form),
            @r#"{"DryRun":"true","Filter":[{"Name":"vpc-id","Value":["a","b"]}],"Tags":[{"Key":"k"}]}"#
        );
    }

    #[test]
    fn secret_parameters_are_hidden_at_every_depth() {
        let template = json!({
            "LaunchTemplateData": {"UserData": "s3cret", "ImageId": "ami-1"}, "NewPassword": {"Value": "s3cret"},
            "X-Amz-Signature": "abc",
        });
        // A presigned URL adds its signature to the parameters.
        insta::assert_snapshot!(
            recorded("ec2", "CreateLaunchTemplate", &template),
            @r#"{"LaunchTemplateData":{"ImageId":"ami-1","UserData":"(hidden)"},"NewPassword":"(hidden)"}"#
        );
    }

    #[test]
    fn long_parameters_are_cut() {
        let long = "é".repeat(TEXT_LIMIT);
        let cut = recorded("logs", "PutLogEvents", &json!({"logEvents": [{"message": long}]}));
        assert_eq!(cut["logEvents"][0]["message"], format!("{}…", "é".repeat(TEXT_LIMIT / 2)));
        let many: Vec<Value> = (0..100_000).map(|number| json!({"message": format!("message {number}")})).collect();
        let text = recorded("logs", "PutLogEvents", &json!({"logEvents": many})).to_string();
        assert!(text.len() < 3 * PARAMETERS_LIMIT, "{}", text.len());
    }

    #[test]
    fn errors_are_read_from_responses() {
        let xml = "<Error><Code>NoSuchKey</Code><Message>a &amp; b</Message></Error>";
        let error = |xml: &str| error_of(xml, StatusCode::NOT_FOUND);
        assert_eq!(error(xml), CallError { code: "NoSuchKey".to_owned(), message: "a & b".to_owned() });
        assert_eq!(error(""), CallError { code: "NotFound".to_owned(), message: String::new() });
    }
}
