//! Tiers that do not answer.

use std::net::TcpListener;

use actix_web::web::ServiceConfig;
use kit::testing::{Postgres, Served, wait_until};

use crate::{KEY, LIMITS, Tiers, post, start_gatekeeper, start_trusted_host, url};

const BODY: &str = r#"{"sql":"SELECT 1"}"#;

#[test]
fn a_tier_without_a_listener_is_named() {
    let trusted_host = start_trusted_host(&[("PROXY_URL", "http://127.0.0.1:1"), ("SIGNING_KEY", KEY)]);
    let gatekeeper = start_gatekeeper(&[("TRUSTED_HOST_URL", &url(trusted_host.address))]);
    let expected = (502, r#"{"error":"The proxy does not answer"}"#.to_owned());
    for path in ["/fetch_direct", "/fetch_random", "/fetch_customized"] {
        for tier in [&gatekeeper, &trusted_host] {
            assert_eq!(post(tier.address, path, &[], BODY), expected, "{path}");
            let health = tier.send("GET /healthz", "");
            assert_eq!((health.status, health.body.as_str()), (503, r#"{"status":"unavailable"}"#));
            assert_eq!(tier.send("GET /health_check", "").status, 200);
        }
    }
    let gatekeeper = start_gatekeeper(&[("TRUSTED_HOST_URL", "http://127.0.0.1:1")]);
    let expected = (502, r#"{"error":"The trusted host does not answer"}"#.to_owned());
    assert_eq!(
        post(gatekeeper.address, "/populate_tables", &[], r#"{"sql":"INSERT INTO {table} VALUES (1)"}"#),
        expected
    );
}

#[test]
fn a_silent_tier_is_named_within_the_time_limit() {
    // The operating system accepts connections, and no program answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = url(silent.local_addr().unwrap());
    let trusted_host = start_trusted_host(&[("PROXY_URL", &silent), ("SIGNING_KEY", KEY), ("FORWARD_SECONDS", "1")]);
    let gatekeeper = start_gatekeeper(&[("TRUSTED_HOST_URL", &url(trusted_host.address))]);
    let expected = (502, r#"{"error":"The proxy does not answer"}"#.to_owned());
    assert_eq!(post(gatekeeper.address, "/fetch_direct", &[], BODY), expected);
    let gatekeeper = start_gatekeeper(&[("TRUSTED_HOST_URL", &silent), ("FORWARD_SECONDS", "1")]);
    let expected = (502, r#"{"error":"The trusted host does not answer"}"#.to_owned());
    assert_eq!(post(gatekeeper.address, "/fetch_direct", &[], BODY), expected);
    assert_eq!(gatekeeper.send("GET /healthz", "").status, 503);
}

#[test]
fn a_server_that_is_not_a_tier_is_named() {
    // A service without the paths of the tiers.
    let other = Served::start_alone(LIMITS, async |_| |_: &mut ServiceConfig| ());
    let gatekeeper = start_gatekeeper(&[("TRUSTED_HOST_URL", &url(other.address))]);
    let expected = (502, r#"{"error":"The trusted host does not accept the request (status 404)"}"#.to_owned());
    assert_eq!(post(gatekeeper.address, "/fetch_direct", &[], BODY), expected);
}

#[test]
fn a_stopped_proxy_is_named() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let tiers = Tiers::start(&postgres.url(), &[postgres.url()], &[]);
    tiers.wait_for(&["manager"]);
    let Tiers { gatekeeper, trusted_host, proxy } = tiers;
    let served = post(gatekeeper.address, "/fetch_direct", &[], BODY);
    assert_eq!(served, (200, "[[1]]".to_owned()));
    drop(proxy);
    let expected = (502, r#"{"error":"The proxy does not answer"}"#.to_owned());
    assert_eq!(post(gatekeeper.address, "/fetch_direct", &[], BODY), expected);
    assert_eq!(post(trusted_host.address, "/fetch_direct", &[], BODY), expected);
    wait_until("the gatekeeper is unhealthy", || gatekeeper.send("GET /healthz", "").status == 503);
}
