//! Requests to Cloud Control, which are executed one by one after their responses.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Cloud Control's part of a region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CloudControl {
    /// Requests by token.
    pub(crate) requests: BTreeMap<String, ResourceRequest>,
    /// Resources of types that the cloud knows by their schema alone, by type and identifier: `AWS::SQS::Queue|jobs`.
    pub(crate) recorded: BTreeMap<String, RecordedResource>,
}

super::changes::record_by_field!(CloudControl {
    whole: [],
    maps: [requests, recorded],
    parts: [],
    children: [],
    apart: []
});

/// A request to create, update or delete a resource, with its result.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ResourceRequest {
    /// The request token. Tokens sort by time.
    pub(crate) token: String,
    /// The client token, and a digest of the request that contained it.
    pub(crate) client_token: Option<(String, String)>,
    /// `AWS::Logs::LogGroup`
    pub(crate) type_name: String,
    pub(crate) operation: Operation,
    pub(crate) status: Status,
    /// Identifier of the resource. For a create it is known at once if the properties contain it.
    pub(crate) identifier: Option<String>,
    /// The requested properties, until the request has been executed.
    pub(crate) wanted: Option<Value>,
    /// Access key that signed the request.
    pub(crate) access_key: String,
    pub(crate) begun: DateTime<Utc>,
    /// Time of the last change of its status.
    pub(crate) changed: DateTime<Utc>,
    pub(crate) message: Option<String>,
    pub(crate) error: Option<ErrorCode>,
}

/// A resource that is recorded, while nothing runs.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RecordedResource {
    pub(crate) type_name: String,
    /// Primary identifier; the parts of a compound one are separated by `|`.
    pub(crate) identifier: String,
    /// All properties but write-only ones, with the synthesised read-only ones.
    pub(crate) properties: Value,
    pub(crate) created: DateTime<Utc>,
}

/// The operations of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Operation {
    Create,
    Update,
    Delete,
}

/// The status of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    Pending,
    InProgress,
    Success,
    Failed,
    CancelInProgress,
    CancelComplete,
}

/// Error codes of failed requests, which all resource types share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ErrorCode {
    AccessDenied,
    AlreadyExists,
    InvalidRequest,
    NotFound,
    ResourceConflict,
    ServiceInternalError,
    ServiceLimitExceeded,
}

impl Status {
    /// Returns whether the status is final.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::CancelComplete)
    }
}

impl ResourceRequest {
    /// Sets the final status.
    pub(crate) fn end(&mut self, status: Status, now: DateTime<Utc>) {
        self.status = status;
        self.changed = now;
        self.wanted = None;
    }
}

/// Properties can contain secrets, so logs must not contain them.
impl std::fmt::Debug for RecordedResource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { type_name, identifier, .. } = self;
        formatter.debug_struct("RecordedResource").field("type", type_name).field("identifier", identifier).finish()
    }
}

/// Properties can contain secrets, so logs must not contain them.
impl std::fmt::Debug for ResourceRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ResourceRequest")
            .field("token", &self.token)
            .field("type_name", &self.type_name)
            .field("operation", &self.operation)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
