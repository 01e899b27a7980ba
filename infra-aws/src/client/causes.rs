//! The causes of an SDK error.

use aws_credential_types::provider::error::CredentialsError;
use std::{error::Error, io};

/// Returns true when the request certainly did not reach the service: there were no credentials to sign it with, or the
/// connection could not be established.
pub(super) fn never_sent(error: &(dyn Error + 'static)) -> bool {
    unsent(error).is_some()
}

/// The reason why a request was not sent.
pub(crate) enum Unsent {
    /// No usable credentials.
    Credentials(String),
    /// No connection to the endpoint.
    Connection(String),
}

/// Returns why a request was not sent; `None` when it may have been.
pub(crate) fn unsent(error: &(dyn Error + 'static)) -> Option<Unsent> {
    chain(error).find_map(|cause| {
        if let Some(credentials) = cause.downcast_ref::<CredentialsError>() {
            return Some(Unsent::Credentials(root_cause(credentials)));
        }
        let refused =
            cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        (refused || cause.to_string() == "dns error").then(|| Unsent::Connection(root_cause(cause)))
    })
}

/// Returns the error and its sources.
pub(crate) fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Returns the text of the first cause.
pub(crate) fn root_cause(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}
