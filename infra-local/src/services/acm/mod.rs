//! AWS Certificate Manager: imported certificates, and certificates that are issued on request.

mod certificate;
mod listing;
mod material;
mod request;
#[cfg(test)]
mod round_trip;
mod tag;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::access::Resource;
use crate::model::acm::Certificate;
use crate::model::{Account, Region};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Outcome};

/// An entry of Certificate Manager's tables.
type AcmOperation = Operation<Value, Value>;

/// Certificate Manager's operations, by kind.
pub(crate) const OPERATIONS: &[&[AcmOperation]] =
    &[certificate::OPERATIONS, request::OPERATIONS, listing::OPERATIONS, tag::OPERATIONS];

/// A request about one certificate.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Named {
    certificate_arn: String,
}

const CERTIFICATE: Resource = Resource::Arn("CertificateArn");

/// Parses a request; unknown fields are refused by name.
fn input<T: DeserializeOwned>(call: &Call<'_, Value>) -> Outcome<T> {
    T::deserialize(&call.input).map_err(|error| validation(error.to_string()))
}

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message)
}

/// Returns the certificate with this ARN.
fn find<'a>(region: &'a Region, arn: &str) -> Outcome<&'a Certificate> {
    region.acm.certificates.get(arn).ok_or_else(|| not_found(region.account, arn))
}

fn find_mut<'a>(region: &'a mut Region, arn: &str) -> Outcome<&'a mut Certificate> {
    let account = region.account;
    region.acm.certificates.get_mut(arn).ok_or_else(|| not_found(account, arn))
}

fn not_found(account: Account, arn: &str) -> ApiError {
    if !arn.starts_with("arn:aws:acm:") || !arn.contains(":certificate/") {
        return ApiError::new("InvalidArnException", format!("The ARN '{arn}' is not the ARN of a certificate"));
    }
    ApiError::new("ResourceNotFoundException", format!("Could not find certificate {arn} in account {account}."))
}

/// Returns the ARNs of the balancers that use a certificate.
fn in_use_by(region: &Region, arn: &str) -> Vec<String> {
    let listeners = region.elbv2.listeners.values();
    let mut balancers: Vec<String> = listeners
        .filter(|listener| listener.certificates().any(|shown| shown == arn))
        .map(|listener| listener.balancer.clone())
        .collect();
    balancers.sort();
    balancers.dedup();
    balancers
}
