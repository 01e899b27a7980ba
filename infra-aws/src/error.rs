//! Classification of AWS errors, for all services.

use crate::client::{Unsent, chain, earlier_attempt_may_have_arrived, is_throttling, root_cause, unsent};
use aws_smithy_runtime_api::{
    client::{orchestrator::HttpResponse, result::SdkError},
    http::Headers,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use infra_core::provider::{ErrorKind, ProviderError};
use std::{error::Error, fmt};

/// A failed API call. `?` converts it into a [`ProviderError`]; handlers that treat an error code specially inspect it
/// before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsError {
    /// Class of the failure, from which the engine decides how to continue.
    pub kind: ErrorKind,
    /// Name of the API operation, such as `CreateSecurityGroup`.
    pub operation: &'static str,
    /// Error code of the service, such as `InvalidGroup.NotFound`; `None` without a response from the service.
    pub code: Option<String>,
    /// Message of the service, or a description of the transport error.
    pub message: String,
    /// Request id of the response, which AWS Support needs to find the request.
    pub request_id: Option<String>,
    hint: Option<String>,
}

/// Converts SDK results into results with an [`AwsError`].
pub(crate) trait SdkContext<T> {
    /// Classifies the error and adds the name of the API operation:
    /// `ec2.create_vpc().send().await.context("CreateVpc")?`
    fn context(self, operation: &'static str) -> Result<T, AwsError>;
}

impl<T, E> SdkContext<T> for Result<T, SdkError<E, HttpResponse>>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    fn context(self, operation: &'static str) -> Result<T, AwsError> {
        self.map_err(aws_error(operation))
    }
}

/// Returns the conversion of [`SdkContext::context`] as a function for `map_err`.
pub(crate) fn aws_error<E>(operation: &'static str) -> impl FnOnce(SdkError<E, HttpResponse>) -> AwsError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    move |error| match &error {
        SdkError::ServiceError(service) => {
            let response = service.raw();
            refusal(operation, service.err().meta(), response.status().as_u16(), response.headers())
        }
        other => transport(operation, other, other.raw_response().map(HttpResponse::headers)),
    }
}

impl AwsError {
    /// Creates the error of an operation that the service accepted and reported as failed afterwards.
    pub(crate) fn of(kind: ErrorKind, operation: &'static str, code: &str, message: &str) -> Self {
        Self {
            kind,
            operation,
            code: Some(code.to_owned()),
            message: message.to_owned(),
            request_id: None,
            hint: advice(operation, code),
        }
    }

    /// Returns true when the service responded with one of these error codes.
    pub fn has_code(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }

    /// Marks the outcome of the operation as unknown, for example when a resource of that name exists and the API does not
    /// show which run created it.
    pub fn unsure(mut self) -> Self {
        self.kind = ErrorKind::Unsure;
        self
    }

    /// Adds a cause that the service does not report.
    pub(crate) fn because(mut self, cause: &str) -> Self {
        self.message = format!("{}; {cause}", self.message.trim_end_matches('.'));
        self
    }

    /// Sets the hint, which replaces the one of the error code.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.operation)?;
        if let Some(code) = &self.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

impl Error for AwsError {}

impl From<AwsError> for ProviderError {
    fn from(error: AwsError) -> Self {
        let provider = Self::of(error.kind, error.to_string());
        match error.hint {
            Some(hint) => provider.hint(hint),
            None => provider,
        }
    }
}

/// Converts a "not found" error into `None`.
pub(crate) fn found<T>(response: Result<T, AwsError>) -> Result<Option<T>, AwsError> {
    match response {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Converts an error response of the service.
fn refusal(
    operation: &'static str,
    meta: &aws_smithy_types::error::ErrorMetadata,
    status: u16,
    headers: &Headers,
) -> AwsError {
    let code = meta.code().map(str::to_owned);
    let named = code.as_deref().unwrap_or_default();
    let mut kind = classify(named, status);
    if kind == ErrorKind::Refused && earlier_attempt_may_have_arrived(headers) {
        kind = ErrorKind::Unsure;
    }
    let header = |name| headers.get(name).map(str::to_owned);
    let request_id = meta.extra("aws_request_id").map(str::to_owned);
    AwsError {
        kind,
        operation,
        message: meta.message().map_or_else(|| format!("HTTP status {status}"), str::to_owned),
        request_id: request_id.or_else(|| header("x-amzn-requestid")).or_else(|| header("x-amz-request-id")),
        hint: advice(operation, named),
        code,
    }
}

/// Converts a failure without a valid response: the request was not sent, timed out, or its response was lost or malformed.
fn transport<E>(operation: &'static str, error: &SdkError<E, HttpResponse>, headers: Option<&Headers>) -> AwsError
where
    E: Error + Send + Sync + 'static,
{
    let (kind, message, hint) = match (unsent(error), error) {
        (Some(Unsent::Credentials(why)), _) => (
            ErrorKind::Refused,
            format!("no AWS credentials were found, or they cannot be used: {why}"),
            Some(
                "run `aws configure` or `aws sso login`, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            ),
        ),
        (Some(Unsent::Connection(why)), _) => (
            ErrorKind::Refused,
            format!("the endpoint does not answer: {why}"),
            Some("for the local cloud, run `stack local status`; for AWS, check the network and the region's name"),
        ),
        (None, SdkError::ConstructionFailure(_)) => (ErrorKind::Refused, with_causes(error), None),
        (None, SdkError::TimeoutError(_)) => {
            (ErrorKind::Unsure, "the request timed out without a response".to_owned(), Some(RERUN))
        }
        (None, _) => (ErrorKind::Unsure, format!("the response was lost: {}", root_cause(error)), Some(RERUN)),
    };
    AwsError {
        kind,
        operation,
        code: None,
        message,
        request_id: headers.and_then(|headers| headers.get("x-amzn-requestid")).map(str::to_owned),
        hint: hint.map(str::to_owned),
    }
}

const RERUN: &str = "run the same command again: it first checks whether AWS executed the request";

/// Returns the error and all of its causes in one line.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut messages: Vec<String> = chain(error).map(ToString::to_string).collect();
    messages.dedup();
    messages.join(": ")
}

/// Classifies an error code. Every service defines its own codes; most services share the suffixes.
fn classify(code: &str, status: u16) -> ErrorKind {
    const MISSING: &[&str] = &[
        "NotFound",
        "NotFoundException",
        "NotFoundFault",
        "NoSuchEntity",
        "NoSuchBucket",
        "NoSuchKey",
        "NoSuchTagSet",
        "NoSuchVersion",
        "NoSuchBucketPolicy",
        "ParameterNotFound",
        "ParameterVersionNotFound",
    ];
    const EXISTING: &[&str] = &[
        "AlreadyExists",
        "AlreadyExistsException",
        "AlreadyExistsFault",
        "Duplicate",
        "EntityAlreadyExists",
        "BucketAlreadyExists",
        "BucketAlreadyOwnedByYou",
        "DuplicateListener",
        "DuplicateLoadBalancerName",
        "DuplicateTargetGroupName",
        "InvalidSubnet.Conflict",
        "ParameterAlreadyExists",
        "PriorityInUse",
    ];
    const NEEDED: &[&str] = &[
        "DependencyViolation",
        "ResourceInUse",
        "ResourceInUseFault",
        "DeleteConflict",
        "BucketNotEmpty",
        "InUse",
        "ScalingActivityInProgress",
        "InvalidDBSubnetGroupState",
        "InvalidDBParameterGroupState",
    ];
    let whole = code.trim_end_matches("Exception").trim_end_matches("Fault");
    let last = code.rsplit('.').next().unwrap_or_default();
    let means = |codes: &[&str], suffixes: &[&str]| {
        [code, whole, last].iter().any(|code| codes.contains(code))
            || suffixes.iter().any(|suffix| whole.ends_with(suffix))
    };
    if means(MISSING, &["NotFound", ".Malformed.NotFound"]) || (status == 404 && code.is_empty()) {
        ErrorKind::NotFound
    } else if means(EXISTING, &["AlreadyExists"]) {
        ErrorKind::AlreadyExists
    } else if means(NEEDED, &[]) {
        ErrorKind::Dependency
    } else if status >= 500 && !is_certain(code) {
        ErrorKind::Unsure
    } else {
        ErrorKind::Refused
    }
}

/// Returns true when an error with status 500 or higher proves that the service did not execute the request.
fn is_certain(code: &str) -> bool {
    is_throttling(code) || is_capacity(code) || code.contains("LimitExceeded") || code == DISK_FULL
}

/// Returns true when AWS has no capacity for the requested instance type.
fn is_capacity(code: &str) -> bool {
    code.contains("Insufficient") && code.contains("Capacity")
}

/// The local cloud's error code when it cannot write its state.
const DISK_FULL: &str = "LocalCloudDiskFull";

fn advice(operation: &str, code: &str) -> Option<String> {
    let hint = match code {
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => {
            format!("allow the action `{operation}` in a policy of the user or role that runs this program")
        }
        "AuthFailure"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch" => "check the access key: `aws sts get-caller-identity` must succeed".to_owned(),
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            "the session has expired: sign in again, for example with `aws sso login`".to_owned()
        }
        "OptInRequired" => "subscribe to the service, or enable the region, in the AWS console".to_owned(),
        DISK_FULL => {
            "free space on the disk with the local cloud's directory and run the same command again: the request \
                      changed nothing"
                .to_owned()
        }
        _ if is_throttling(code) => {
            "the account sends more requests than the service allows: run the same command again \
                                     with fewer parallel operations (`--parallel 4`)"
                .to_owned()
        }
        _ if code.contains("LimitExceeded") => {
            "the account's quota is exhausted: delete unused resources, or request an increase in Service Quotas"
                .to_owned()
        }
        _ if is_capacity(code) => {
            "AWS has no capacity for this type at the moment: try again later, or use another instance type or \
             availability zone"
                .to_owned()
        }
        _ => return None,
    };
    Some(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_codes_are_classified() {
        for (code, status, kind) in [
            ("InvalidGroup.NotFound", 400, ErrorKind::NotFound),
            ("InvalidLaunchTemplateId.NotFound", 400, ErrorKind::NotFound),
            ("InvalidInstanceID.NotFound", 400, ErrorKind::NotFound),
            ("InvalidSecurityGroupRuleId.NotFound", 400, ErrorKind::NotFound),
            ("LoadBalancerNotFound", 400, ErrorKind::NotFound),
            ("LoadBalancerNotFoundException", 400, ErrorKind::NotFound),
            ("TargetGroupNotFound", 400, ErrorKind::NotFound),
            ("NoSuchEntity", 404, ErrorKind::NotFound),
            ("NoSuchEntityException", 404, ErrorKind::NotFound),
            ("NoSuchBucket", 404, ErrorKind::NotFound),
            ("NotFound", 404, ErrorKind::NotFound),
            ("", 404, ErrorKind::NotFound),
            ("ParameterNotFound", 400, ErrorKind::NotFound),
            ("DBInstanceNotFound", 404, ErrorKind::NotFound),
            ("DBClusterNotFoundFault", 404, ErrorKind::NotFound),
            ("DBClusterAlreadyExistsFault", 400, ErrorKind::AlreadyExists),
            ("InvalidDBSubnetGroupStateFault", 400, ErrorKind::Dependency),
            ("InvalidDBInstanceState", 400, ErrorKind::Refused),
            ("InvalidGroup.Duplicate", 400, ErrorKind::AlreadyExists),
            ("InvalidKeyPair.Duplicate", 400, ErrorKind::AlreadyExists),
            ("InvalidPermission.Duplicate", 400, ErrorKind::AlreadyExists),
            ("InvalidSubnet.Conflict", 400, ErrorKind::AlreadyExists),
            ("InvalidLaunchTemplateName.AlreadyExistsException", 400, ErrorKind::AlreadyExists),
            ("EntityAlreadyExists", 409, ErrorKind::AlreadyExists),
            ("AlreadyExists", 400, ErrorKind::AlreadyExists),
            ("DuplicateTargetGroupName", 400, ErrorKind::AlreadyExists),
            ("BucketAlreadyOwnedByYou", 409, ErrorKind::AlreadyExists),
            ("PriorityInUse", 400, ErrorKind::AlreadyExists),
            ("DependencyViolation", 400, ErrorKind::Dependency),
            ("ResourceInUse", 400, ErrorKind::Dependency),
            ("ResourceInUseException", 400, ErrorKind::Dependency),
            ("DeleteConflict", 409, ErrorKind::Dependency),
            ("BucketNotEmpty", 409, ErrorKind::Dependency),
            ("InvalidParameterValue", 400, ErrorKind::Refused),
            ("UnauthorizedOperation", 403, ErrorKind::Refused),
            ("RequestLimitExceeded", 503, ErrorKind::Refused),
            ("Throttling", 503, ErrorKind::Refused),
            ("InsufficientInstanceCapacity", 500, ErrorKind::Refused),
            ("LocalCloudDiskFull", 507, ErrorKind::Refused),
            ("InternalError", 500, ErrorKind::Unsure),
            ("", 503, ErrorKind::Unsure),
        ] {
            assert_eq!(classify(code, status), kind, "{code} {status}");
        }
    }

    #[test]
    fn hint_depends_on_the_error_code() {
        for (code, part) in [
            ("RequestLimitExceeded", Some("--parallel")),
            ("TooManyRequestsException", Some("--parallel")),
            ("SlowDown", Some("--parallel")),
            ("VpcLimitExceeded", Some("quota")),
            ("LimitExceededException", Some("quota")),
            ("InsufficientInstanceCapacity", Some("no capacity")),
            ("InsufficientDBInstanceCapacity", Some("no capacity")),
            ("LocalCloudDiskFull", Some("free space")),
            ("InvalidParameterValue", None),
        ] {
            let hint = advice("CreateVpc", code);
            assert_eq!(hint.is_some(), part.is_some(), "{code}");
            assert!(hint.unwrap_or_default().contains(part.unwrap_or_default()), "{code}");
        }
    }

    #[test]
    fn message_contains_operation_code_and_request_id() {
        let error = AwsError {
            kind: ErrorKind::Refused,
            operation: "CreateVpc",
            code: Some("UnauthorizedOperation".into()),
            message: "You are not authorized.".into(),
            request_id: Some("r-1".into()),
            hint: advice("CreateVpc", "UnauthorizedOperation"),
        };
        let error = ProviderError::from(error);
        assert_eq!(error.message, "CreateVpc: UnauthorizedOperation: You are not authorized. (request r-1)");
        assert!(error.hint.is_some_and(|hint| hint.contains("`CreateVpc`")));
    }
}
