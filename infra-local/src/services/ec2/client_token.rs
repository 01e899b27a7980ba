//! Client tokens: the same request sent twice is carried out once.

use crate::model::Region;
use crate::services::Call;
use crate::wire::{ApiError, Outcome, Params};

/// What an earlier request with the same client token made. The same token with other parameters is an error.
pub(super) fn known_answer(region: &Region, call: &Call<'_, Params>, operation: &str) -> Outcome<Option<String>> {
    let Some(token) = call.input.optional("ClientToken") else { return Ok(None) };
    match region.client_tokens.get(&format!("{operation}/{token}")) {
        Some((request, made)) if *request == fingerprint(&call.input) => Ok(Some(made.clone())),
        Some(_) => Err(ApiError::new(
            "IdempotentParameterMismatch",
            format!("The client token {token} was used before with other parameters"),
        )),
        None => Ok(None),
    }
}

/// Keeps what a request with a client token made.
pub(super) fn remember(region: &mut Region, call: &Call<'_, Params>, operation: &str, made: &str) {
    if let Some(token) = call.input.optional("ClientToken") {
        let record = (fingerprint(&call.input), made.to_owned());
        region.client_tokens.insert(format!("{operation}/{token}"), record);
    }
}

fn fingerprint(params: &Params) -> String {
    use sha2::{Digest as _, Sha256};
    hex::encode(Sha256::digest(params.canonical()))
}
