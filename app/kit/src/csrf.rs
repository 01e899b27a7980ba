//! Tokens of forms, against requests that other sites forge (CSRF).
//!
//! The token of a form is an HMAC with a secret of the browser, which is in a cookie. Another site can neither read the
//! cookie (`HttpOnly`) nor compute the token. A service verifies the token of every form, including the sign-in.

use actix_web::http::header::HeaderMap;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Returns the token of a browser's forms. The purpose distinguishes it from other uses of the secret.
pub fn form_token(secret: &[u8], purpose: &str) -> String {
    URL_SAFE_NO_PAD.encode(mac(secret, purpose).finalize().into_bytes())
}

/// Returns whether a token is the result of [`form_token`], in constant time.
pub fn is_valid(secret: &[u8], purpose: &str, token: &str) -> bool {
    URL_SAFE_NO_PAD.decode(token).is_ok_and(|given| mac(secret, purpose).verify_slice(&given).is_ok())
}

/// Returns whether the browser reports another site as the origin of the request. An additional check beside the token of
/// the form.
pub fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none")
}

fn mac(secret: &[u8], purpose: &str) -> Hmac<Sha256> {
    let mac = <Hmac<Sha256> as Mac>::new_from_slice(secret).expect("an HMAC's key may have any length");
    mac.chain_update(purpose)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_valid_for_its_secret_and_its_purpose() {
        let token = form_token(b"secret", "sign-in");
        assert!(is_valid(b"secret", "sign-in", &token));
        assert!(!is_valid(b"other", "sign-in", &token));
        assert!(!is_valid(b"secret", "payment", &token));
        for wrong in ["", "é", &token[1..], &format!("{token}A")] {
            assert!(!is_valid(b"secret", "sign-in", wrong), "{wrong}");
        }
    }
}
