//! Client tokens: a repeated request is executed only once.

use crate::model::Region;
use crate::services::Call;
use crate::wire::{ApiError, Outcome, Params};

/// Returns the resource of an earlier request with the same client token. The same token with other parameters is an error.
pub(super) fn earlier_result(region: &Region, call: &Call<'_, Params>, operation: &str) -> Outcome<Option<String>> {
    let Some(token) = call.input.optional("ClientToken") else { return Ok(None) };
    match region.ec2.client_tokens.get(operation, token) {
        Some((request, id)) if request == fingerprint(&call.input) => Ok(Some(id.to_owned())),
        Some(_) => Err(ApiError::new(
            "IdempotentParameterMismatch",
            format!("The client token {token} was used before with other parameters"),
        )),
        None => Ok(None),
    }
}

/// Records the resource of a request with a client token.
pub(super) fn remember(region: &mut Region, call: &Call<'_, Params>, operation: &str, id: &str) {
    if let Some(token) = call.input.optional("ClientToken") {
        region.ec2.client_tokens.record(operation, token, fingerprint(&call.input), id);
    }
}

fn fingerprint(params: &Params) -> String {
    use sha2::{Digest as _, Sha256};
    hex::encode(Sha256::digest(params.canonical()))
}
