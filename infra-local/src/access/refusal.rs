//! Refusals of requests: each protocol has its own codes.

use chrono::{DateTime, Utc};

use crate::wire::sigv4::BadSignature;
use crate::wire::{ApiError, Protocol};

/// Reasons why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The key is unknown, or does not belong to this session token.
    UnknownKey,
    WrongSignature,
    Skewed {
        signed: DateTime<Utc>,
    },
    ExpiredUrl,
    ExpiredToken,
    /// No policy allows it, or one forbids it explicitly.
    Denied {
        identity: String,
        action: String,
        resource: String,
        /// Kind of the policy that denies it, or that does not allow it.
        kind: &'static str,
        explicit: bool,
    },
}

impl From<BadSignature> for Refusal {
    fn from(error: BadSignature) -> Refusal {
        match error {
            BadSignature::Wrong => Refusal::WrongSignature,
            BadSignature::Skewed { signed } => Refusal::Skewed { signed },
            BadSignature::Expired => Refusal::ExpiredUrl,
        }
    }
}

impl Refusal {
    /// Converts the refusal into an error of the client's protocol.
    pub(crate) fn to_error(&self, protocol: Protocol) -> ApiError {
        let [ec2, query, json, s3] = self.codes();
        let ((code, status), message) = match protocol {
            Protocol::Ec2 => (ec2, self.message(true)),
            Protocol::Query { .. } => (query, self.message(false)),
            Protocol::RestXml => (s3, self.message(false)),
            Protocol::Json(_) | Protocol::Cbor | Protocol::RestJson => (json, self.message(false)),
        };
        ApiError::new(code, message).with_status(status)
    }

    /// Returns the codes and statuses of EC2, the Query services, the JSON services and S3.
    fn codes(&self) -> [(&'static str, u16); 4] {
        match self {
            Refusal::UnknownKey => [
                ("AuthFailure", 401),
                ("InvalidClientTokenId", 403),
                ("UnrecognizedClientException", 400),
                ("InvalidAccessKeyId", 403),
            ],
            Refusal::WrongSignature => [
                ("AuthFailure", 401),
                ("SignatureDoesNotMatch", 403),
                ("InvalidSignatureException", 400),
                ("SignatureDoesNotMatch", 403),
            ],
            Refusal::Skewed { .. } => [
                ("RequestExpired", 400),
                ("SignatureDoesNotMatch", 403),
                ("InvalidSignatureException", 400),
                ("RequestTimeTooSkewed", 403),
            ],
            Refusal::ExpiredUrl => {
                [("RequestExpired", 400), ("RequestExpired", 400), ("RequestExpired", 400), ("AccessDenied", 403)]
            }
            Refusal::ExpiredToken => {
                [("RequestExpired", 400), ("ExpiredToken", 403), ("ExpiredTokenException", 400), ("ExpiredToken", 400)]
            }
            Refusal::Denied { .. } => [
                ("UnauthorizedOperation", 403),
                ("AccessDenied", 403),
                ("AccessDeniedException", 400),
                ("AccessDenied", 403),
            ],
        }
    }

    fn message(&self, of_ec2: bool) -> String {
        match self {
            Refusal::UnknownKey if of_ec2 => "AWS was not able to validate the provided access credentials".to_owned(),
            Refusal::UnknownKey => "The security token included in the request is invalid.".to_owned(),
            Refusal::WrongSignature if of_ec2 => {
                "AWS was not able to validate the provided access credentials: the signature does not match".to_owned()
            }
            Refusal::WrongSignature => {
                "The request signature we calculated does not match the signature you provided. \
                 Check your AWS Secret Access Key and signing method."
                    .to_owned()
            }
            Refusal::Skewed { signed } => {
                format!(
                    "Signature expired or not yet current: it was signed at {signed}, more than 15 minutes from now"
                )
            }
            Refusal::ExpiredUrl => "Request has expired".to_owned(),
            Refusal::ExpiredToken => "The security token included in the request is expired".to_owned(),
            Refusal::Denied { identity, action, resource, kind, explicit } => {
                let article = if kind.starts_with('i') { "an" } else { "a" };
                let reason = if *explicit {
                    format!("with an explicit deny in {article} {kind}")
                } else {
                    format!("because no {kind} allows the {action} action")
                };
                let refused =
                    format!("User: {identity} is not authorized to perform: {action} on resource: {resource} {reason}");
                if of_ec2 { format!("You are not authorized to perform this operation. {refused}") } else { refused }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::JsonVersion;

    #[test]
    fn each_protocol_has_its_own_error_codes() {
        let refusal = Refusal::Denied {
            identity: "arn:aws:iam::0:user/eve".to_owned(),
            action: "ec2:RunInstances".to_owned(),
            resource: "*".to_owned(),
            kind: "identity-based policy",
            explicit: false,
        };
        let ec2 = refusal.to_error(Protocol::Ec2);
        assert_eq!((ec2.code.as_ref(), ec2.status), ("UnauthorizedOperation", 403));
        assert_eq!(
            ec2.message,
            "You are not authorized to perform this operation. User: arn:aws:iam::0:user/eve is not authorized to \
             perform: ec2:RunInstances on resource: * because no identity-based policy allows the ec2:RunInstances action"
        );
        assert_eq!(refusal.to_error(Protocol::Json(JsonVersion::V1_1)).code, "AccessDeniedException");
        assert_eq!(refusal.to_error(Protocol::RestXml).code, "AccessDenied");
    }
}
