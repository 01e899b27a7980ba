//! `_count`, which all instances of a service share.

use std::thread;

use kit::testing::{Answer, send, wait_until};

use crate::{Services, act, serve_acts, with_postgres, with_sqlite};

fn counts_every_request(database_url: &str) {
    let services = Services::start(database_url);
    let count = || services.send("GET /_count", "").body;
    assert_eq!(count(), "[0]");
    for (request, body) in [
        ("GET /categories", ""),
        ("POST /categories", "["),
        ("PUT /acts", ""),
        ("GET /nowhere", ""),
        ("POST /acts", &act(1, "ana", "none")),
    ] {
        services.send(request, body);
    }
    let uncounted = ["GET /_count", "HEAD /_count", "POST /_count", "GET /_health", "GET /_crash", "GET /openapi.json"];
    for request in uncounted {
        services.send(request, "");
    }
    for path in ["/healthz", "/", "/api/v1", "/api/v12/x"] {
        send(services.acts.address, &format!("GET {path}"), &[], "");
    }
    assert_eq!(count(), "[5]");
    // Refused before it reaches a route.
    let long = format!("GET /categories?{}", "x".repeat(17 * 1024));
    assert_eq!(services.send(&long, "").status, 431);
    assert_eq!(services.send("POST /acts", &"x".repeat(1024 * 1024 + 1)).status, 413);
    wait_until("refused requests are counted", || count() == "[7]");

    // The service `users` has its own count.
    services.sign_up("ana");
    let of_users = |request: &str| -> Answer { send(services.users.address, request, &[], "") };
    assert_eq!(of_users("GET /api/v1/_count").body, "[1]");
    assert_eq!(of_users("DELETE /api/v1/_count").body, "{}");
    assert_eq!(of_users("GET /api/v1/_count").body, "[0]");
    assert_eq!(count(), "[7]");
    assert_eq!(services.send("DELETE /_count", "").body, "{}");
    assert_eq!(count(), "[0]");
}

fn is_exact_at_every_instance(database_url: &str) {
    let first = Services::start(database_url);
    let second = serve_acts(database_url, "acts-2", &format!("http://{}", first.users.address));
    let addresses = [first.acts.address, second.address];
    thread::scope(|scope| {
        for client in 0..8 {
            scope.spawn(move || {
                for turn in 0..16 {
                    send(addresses[(client + turn) % 2], "GET /api/v1/acts/count", &[], "");
                }
            });
        }
    });
    for address in addresses {
        assert_eq!(send(address, "GET /api/v1/_count", &[], "").body, "[128]");
    }
    // No request waits to be counted: the other instance sees each one.
    for turn in 0..16 {
        send(addresses[0], "GET /api/v1/acts/count", &[], "");
        assert_eq!(send(addresses[1], "GET /api/v1/_count", &[], "").body, format!("[{}]", 129 + turn));
    }
    assert_eq!(send(addresses[0], "DELETE /api/v1/_count", &[], "").status, 200);
    assert_eq!(send(addresses[1], "GET /api/v1/_count", &[], "").body, "[0]");
}

#[test]
fn every_request_is_counted_on_sqlite() {
    with_sqlite(counts_every_request);
}

#[test]
fn every_request_is_counted_on_postgres() {
    with_postgres(counts_every_request);
}

#[test]
fn the_count_is_exact_at_every_instance_on_sqlite() {
    with_sqlite(is_exact_at_every_instance);
}

#[test]
fn the_count_is_exact_at_every_instance_on_postgres() {
    with_postgres(is_exact_at_every_instance);
}
