//! Forged and expired access tokens, and rotated keys.

use std::{sync::Barrier, time::Duration};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use chrono::Utc;
use hmac::{Hmac, Mac};
use kit::{
    migrate,
    testing::{Postgres, Served, connect, sqlite_url},
};
use serde_json::{Value, json};
use sha2::{Sha256, Sha512};
use tasks::{
    Migrations,
    auth::keys::{self, Keys},
};

use crate::{PASSWORD, block_on, serve_with, sign_in, tokens};

const TASK: &str = r#"{"title":"t","pub_date":"2026-01-02T03:04Z","description":"d"}"#;

fn part(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

fn hs256(secret: &[u8], header: &Value, claims: &Value) -> String {
    let signed = format!("{}.{}", part(header), part(claims));
    let mac = Hmac::<Sha256>::new_from_slice(secret).unwrap().chain_update(&signed).finalize();
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.into_bytes()))
}

fn hs512(secret: &[u8], header: &Value, claims: &Value) -> String {
    let signed = format!("{}.{}", part(header), part(claims));
    let mac = Hmac::<Sha512>::new_from_slice(secret).unwrap().chain_update(&signed).finalize();
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.into_bytes()))
}

/// Sends a write with a token. Returns the status and, for a refusal, the challenge.
fn write_with(service: &Served, token: &str) -> (u16, String) {
    let answer = service.send_with("POST /tasks/", &[("Authorization", &format!("Bearer {token}"))], TASK);
    (answer.status, answer.header("www-authenticate").unwrap_or_default().to_owned())
}

#[test]
fn forged_and_expired_tokens_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (valid_key, other_key) = ([7_u8; 32], [8_u8; 32]);
    let setting = format!("k1:{}", BASE64_STANDARD.encode(valid_key));
    let service = serve_with(&sqlite_url(&directory), &[("AUTH_KEYS", &setting)]);
    let (real, _) = sign_in(&service, "ana");
    let real = real.strip_prefix("Bearer ").unwrap();

    let now = Utc::now().timestamp();
    let header = json!({ "typ": "JWT", "alg": "HS256", "kid": "k1" });
    let claims = json!({ "iss": "tasks", "sub": "1", "name": "ana", "iat": now, "exp": now + 60 });
    let but = |value: &Value, key: &str, other: Value| {
        let mut value = value.clone();
        if other.is_null() {
            value.as_object_mut().unwrap().remove(key)
        } else {
            value.as_object_mut().unwrap().insert(key.into(), other)
        };
        value
    };
    let sign = |header: &Value, claims: &Value| hs256(&valid_key, header, claims);
    assert_eq!(write_with(&service, real).0, 201);
    assert_eq!(write_with(&service, &sign(&header, &claims)).0, 201, "a token like this is good");

    let expired = write_with(&service, &sign(&header, &but(&claims, "exp", json!(now - 1))));
    let challenge = r#"Bearer realm="tasks", error="invalid_token", error_description="The access token has expired.""#;
    assert_eq!(expired, (401, challenge.to_owned()));

    let [head, body, signature] = real.split('.').collect::<Vec<_>>().try_into().unwrap();
    let unsigned = |algorithm: &str| but(&header, "alg", json!(algorithm));
    let forged = [
        ("no signature", format!("{head}.{body}.")),
        ("two parts", format!("{head}.{body}")),
        ("another signature", format!("{head}.{body}.{}", signature.chars().rev().collect::<String>())),
        ("other claims under the signature", format!("{head}.{}.{signature}", part(&but(&claims, "sub", json!("2"))))),
        ("none", format!("{}.{}.", part(&unsigned("none")), part(&claims))),
        ("None", format!("{}.{}.", part(&unsigned("None")), part(&claims))),
        ("none, signed", sign(&unsigned("none"), &claims)),
        ("RS256 with our secret", sign(&unsigned("RS256"), &claims)),
        ("EdDSA with our secret", sign(&unsigned("EdDSA"), &claims)),
        ("HS512 with our secret", hs512(&valid_key, &unsigned("HS512"), &claims)),
        ("no algorithm", sign(&but(&header, "alg", Value::Null), &claims)),
        ("another key under our id", hs256(&other_key, &header, &claims)),
        ("another key", hs256(&other_key, &but(&header, "kid", json!("k2")), &claims)),
        ("an empty key", hs256(&[], &header, &claims)),
        ("no key id", sign(&but(&header, "kid", Value::Null), &claims)),
        ("an unknown key id", sign(&but(&header, "kid", json!("../k1")), &claims)),
        ("no expiry", sign(&header, &but(&claims, "exp", Value::Null))),
        ("expiry as text", sign(&header, &but(&claims, "exp", json!("never")))),
        ("another issuer", sign(&header, &but(&claims, "iss", json!("others")))),
        ("no issuer", sign(&header, &but(&claims, "iss", Value::Null))),
        ("nobody", sign(&header, &but(&claims, "sub", Value::Null))),
        ("not a user", sign(&header, &but(&claims, "sub", json!("root")))),
        ("no JSON", format!("{head}.e30.{signature}")),
        ("nothing", String::new()),
        ("garbage", "a.b.c".into()),
        ("long garbage", "x".repeat(8000)),
    ];
    for (what, token) in forged {
        let (status, challenge) = write_with(&service, &token);
        assert_eq!(status, 401, "{what}");
        assert!(challenge.starts_with(r#"Bearer realm="tasks""#), "{what}: {challenge}");
    }
}

#[test]
fn keys_in_the_environment_are_rotated_without_a_sign_out() {
    let directory = tempfile::tempdir().unwrap();
    let url = sqlite_url(&directory);
    let key = |id: &str, byte: u8| format!("{id}:{}", BASE64_STANDARD.encode([byte; 32]));
    let (old, new) = (key("old", 1), key("new", 2));
    let token = {
        let service = serve_with(&url, &[("AUTH_KEYS", &old)]);
        sign_in(&service, "ana").0
    };
    let status = |keys: &str| {
        let service = serve_with(&url, &[("AUTH_KEYS", keys)]);
        service.send_with("POST /tasks/", &[("Authorization", &token)], TASK).status
    };
    assert_eq!(status(&format!("{new},{old}")), 201);
    assert_eq!(status(&new), 401);
    assert_eq!(status(&key("old", 3)), 401);
}

#[test]
fn keys_in_the_database_are_shared_and_rotated_while_instances_run() {
    let directory = tempfile::tempdir().unwrap();
    let url = sqlite_url(&directory);
    let (one, two) = (serve_with(&url, &[]), serve_with(&url, &[]));
    let kid = |authorization: &str| {
        let head = authorization.strip_prefix("Bearer ").unwrap().split('.').next().unwrap();
        let head: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap();
        head["kid"].as_str().unwrap().to_owned()
    };
    let status = |service: &Served, authorization: &str| {
        service.send_with("POST /tasks/", &[("Authorization", authorization)], TASK).status
    };
    let (before, _) = sign_in(&one, "ana");
    assert_eq!((kid(&before).as_str(), status(&two, &before)), ("first", 201));

    let rotate = || block_on(async { keys::rotate(&connect(&url).await, Duration::from_mins(5)).await.unwrap() });
    let new = rotate();
    let credentials = json!({ "username": "ana", "password": PASSWORD }).to_string();
    let (after, _) = tokens(&one.send("POST /auth/token", &credentials));
    assert_eq!(kid(&after), new);
    // Tokens with unknown keys do not prevent the search for the new key.
    let forged = hs256(&[1; 32], &json!({ "alg": "HS256", "kid": "none" }), &json!({}));
    std::thread::scope(|scope| {
        let forgers: Vec<_> = (0..4).map(|_| scope.spawn(|| write_with(&two, &forged).0)).collect();
        assert_eq!(status(&two, &after), 201);
        for forger in forgers {
            assert_eq!(forger.join().unwrap(), 401);
        }
    });
    for service in [&one, &two] {
        assert_eq!(status(service, &after), 201, "the new key is looked for");
        assert_eq!(status(service, &before), 201, "the old key still verifies");
    }
    // A key is deleted after it has been replaced for longer than the lifetime of its tokens.
    rotate();
    assert_eq!(status(&one, &before), 201);
    block_on(async { keys::rotate(&connect(&url).await, Duration::ZERO).await.unwrap() });
    let third = serve_with(&url, &[]);
    assert_eq!(status(&third, &before), 401);
}

/// Starts four instances concurrently without a key in the database. Each must accept the tokens of the others.
fn instances_that_start_at_once_agree(url: &str) {
    block_on(async { migrate::up::<Migrations>(&connect(url).await).await.unwrap() });
    let start = Barrier::new(4);
    let instance = || {
        block_on(async {
            let database = connect(url).await;
            start.wait();
            let keys = Keys::start(None, &database).await.unwrap();
            keys.sign(1, "ana", Duration::from_mins(1)).await.unwrap()
        })
    };
    let tokens: Vec<String> = std::thread::scope(|scope| {
        let instances: Vec<_> = (0..4).map(|_| scope.spawn(instance)).collect();
        instances.into_iter().map(|instance| instance.join().unwrap()).collect()
    });
    block_on(async {
        let keys = Keys::start(None, &connect(url).await).await.unwrap();
        for token in tokens {
            assert_eq!(keys.verify(&token).await.unwrap().name, "ana");
        }
    });
}

#[test]
fn concurrently_started_instances_share_a_key_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    instances_that_start_at_once_agree(&sqlite_url(&directory));
}

#[test]
fn concurrently_started_instances_share_a_key_on_postgres() {
    if let Some(postgres) = Postgres::start() {
        instances_that_start_at_once_agree(&postgres.url());
    }
}

#[test]
fn malformed_keys_are_refused_and_not_printed() {
    let good = BASE64_STANDARD.encode([1; 32]);
    for wrong in [
        "s3cret",
        ":s3cret",
        "k1:s3cret!",
        "k1:czNjcmV0",
        &format!(":{good}"),
        &format!("k1:{good},k1:{good}"),
        &format!("k1:{good},s3cret"),
        ",",
    ] {
        let error = tasks::Settings::from(&|name| (name == "AUTH_KEYS").then(|| wrong.to_owned())).err().unwrap();
        let text = format!("{error} {error:?}");
        assert!(error.to_string().starts_with("AUTH_KEYS: "), "{text}");
        assert!(!text.contains("s3cret") && !text.contains("czNjcmV0") && !text.contains(&good), "{text}");
    }
}
