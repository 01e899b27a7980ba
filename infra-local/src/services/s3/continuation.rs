//! Continuation tokens: names in an opaque form.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::{S3Result, s3_error};

/// Returns the token of the page after this name.
pub(super) fn token(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(name)
}

/// Returns the name in a token.
pub(super) fn parse(token: &str) -> S3Result<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}
