//! Signatures at the proxy: missing, wrong, stale and repeated ones.

use std::time::{Duration, SystemTime};

use kit::testing::{Postgres, wait_until};
use patterns::signature::{Key, NONCE, SIGNATURE, Signature, Signed, TIME, millis};

use crate::{KEY, post, start_proxy, start_trusted_host, url};

const BODY: &str = r#"{"sql":"SELECT 1"}"#;
const PATH: &str = "/fetch_direct";

fn key(text: &str) -> Key {
    Key::from(&|_| Some(text.to_owned())).unwrap()
}

fn signed(key_text: &str, time: SystemTime, nonce: u8) -> Signature {
    key(key_text).sign_with(Signed { method: "POST", path: PATH, body: BODY.as_bytes() }, millis(time), [nonce; 16])
}

fn headers(signature: &Signature) -> [(&str, &str); 3] {
    [(TIME, &signature.time), (NONCE, &signature.nonce), (SIGNATURE, &signature.signature)]
}

#[test]
fn the_proxy_accepts_a_valid_signature_once() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let database = postgres.url();
    let proxy = start_proxy(&[("SIGNING_KEY", KEY), ("MANAGER_URL", &database), ("WORKER_URLS", &database)]);
    wait_until("the proxy is healthy", || proxy.send("GET /healthz", "").status == 200);
    let send = |path: &str, headers: &[(&str, &str)], body: &str| post(proxy.address, path, headers, body);
    let refused = |status: u16, reason: &str| (status, format!(r#"{{"error":"{reason}"}}"#));
    let now = SystemTime::now();

    let valid = signed(KEY, now, 1);
    assert_eq!(send(PATH, &headers(&valid), BODY), (200, "[[1]]".to_owned()));
    assert_eq!(send(PATH, &headers(&valid), BODY), refused(403, "The signature was already used"));

    assert_eq!(send(PATH, &[], BODY), refused(401, "The request is not signed"));
    let incomplete = signed(KEY, now, 2);
    assert_eq!(send(PATH, &headers(&incomplete)[..2], BODY), refused(401, "The request is not signed"));

    let stale = [now - Duration::from_secs(31), now + Duration::from_mins(2)];
    for time in stale {
        assert_eq!(send(PATH, &headers(&signed(KEY, time, 3)), BODY), refused(403, "The signature is stale"));
    }

    let fresh = signed(KEY, now, 4);
    let later = (millis(now) + 1).to_string();
    let tampered = [
        ("/populate_tables", headers(&fresh), BODY),
        ("/fetch_random", headers(&fresh), BODY),
        ("/fetch_direct?x", headers(&fresh), BODY),
        (PATH, headers(&fresh), r#"{"sql":"SELECT 2"}"#),
        (PATH, [(TIME, &*later), (NONCE, &*fresh.nonce), (SIGNATURE, &*fresh.signature)], BODY),
        (PATH, [(TIME, &*fresh.time), (NONCE, &*valid.nonce), (SIGNATURE, &*fresh.signature)], BODY),
        (PATH, [(TIME, &*fresh.time), (NONCE, &*fresh.nonce), (SIGNATURE, "nonsense")], BODY),
        (PATH, [(TIME, "soon"), (NONCE, "x"), (SIGNATURE, "")], BODY),
    ];
    for (path, headers, body) in tampered {
        assert_eq!(send(path, &headers, body), refused(403, "The signature is wrong"), "{path} {headers:?} {body}");
    }
    let other = signed(&"x".repeat(32), now, 5);
    assert_eq!(send(PATH, &headers(&other), BODY), refused(403, "The signature is wrong"));
    assert_eq!(send(PATH, &headers(&fresh), BODY), (200, "[[1]]".to_owned()), "a refused request uses no nonce");
}

#[test]
fn a_trusted_host_with_another_key_is_502() {
    let database = "postgres://postgres@127.0.0.1:1/postgres";
    let proxy = start_proxy(&[("SIGNING_KEY", KEY), ("MANAGER_URL", database), ("WORKER_URLS", database)]);
    let other = "y".repeat(32);
    let trusted_host = start_trusted_host(&[("SIGNING_KEY", &other), ("PROXY_URL", &url(proxy.address))]);
    let expected = r#"{"error":"The proxy does not accept the request (status 403)"}"#.to_owned();
    assert_eq!(post(trusted_host.address, PATH, &[], BODY), (502, expected));
}

#[test]
fn the_proxy_accepts_only_bodies_of_the_trusted_host() {
    let database = "postgres://postgres@127.0.0.1:1/postgres";
    let proxy = start_proxy(&[("SIGNING_KEY", KEY), ("MANAGER_URL", database), ("WORKER_URLS", database)]);
    for (path, body) in [
        (PATH, "{}"),
        (PATH, r#"{"sql":1}"#),
        (PATH, r#"{"sql":"SELECT 1","more":1}"#),
        ("/populate_tables", r#"{"sql":"SELECT 1"}"#),
        ("/populate_tables", r#"{"sql":"SELECT 1","table":"users"}"#),
    ] {
        let signature = key(KEY).sign(Signed { method: "POST", path, body: body.as_bytes() }).unwrap();
        assert_eq!(post(proxy.address, path, &headers(&signature), body).0, 400, "{path} {body}");
    }
}
