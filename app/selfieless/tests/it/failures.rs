//! Crashes, and lost databases.

use std::thread;

use kit::testing::{Postgres, send, wait_until};
use selfieless::{settings::Operation, users};

use crate::{LIMITS, Services, act, serve_acts, with_sqlite};

#[test]
fn a_crashed_instance_answers_everything_with_500() {
    with_sqlite(|url| {
        let services = Services::start(url);
        let other = serve_acts(url, "acts-2", &format!("http://{}", services.users.address));
        let crashed = services.acts.address;
        assert_eq!(send(crashed, "POST /api/v1/_crash", &[], "").body, "{}");
        for request in [
            "GET /api/v1/_health",
            "GET /api/v1/_count",
            "DELETE /api/v1/_count",
            "POST /api/v1/_crash",
            "GET /api/v1/categories",
            "PUT /api/v1/acts/upvote",
            "GET /api/v1/openapi.json",
            "GET /",
            "BREW /nowhere",
        ] {
            assert_eq!(send(crashed, request, &[], "").status, 500, "{request}");
        }
        assert_eq!(send(crashed, "GET /healthz", &[], "").status, 503);
        assert_eq!(send(other.address, "GET /api/v1/_health", &[], "").status, 200);
        assert_eq!(send(services.users.address, "GET /api/v1/_health", &[], "").status, 200);
    });
}

#[test]
fn crashes_must_be_allowed() {
    with_sqlite(|url| {
        let settings = Operation { allow_crash: false, instance: "users".into() };
        let users = kit::testing::Served::start::<users::Migrations, _>(url, LIMITS, async |context| {
            users::Users::start(settings, &context)
        });
        for method in ["GET", "POST", "DELETE"] {
            assert_eq!(users.send(&format!("{method} /api/v1/_crash"), "").status, 404);
        }
        assert_eq!(users.send("GET /api/v1/_health", "").status, 200);
    });
}

#[test]
fn a_lost_database_is_500_for_the_health_check_and_503_for_clients() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let services = Services::start(&postgres.url());
    services.sign_up("ana");
    assert_eq!(services.send("POST /categories", r#"["trees"]"#).status, 201);

    postgres.suspend();
    let credentials = format!(r#"{{"username":"eva","password":"{}"}}"#, crate::PASSWORD);
    let new = act(1, "ana", "trees");
    for (request, body) in [
        ("GET /users", ""),
        ("POST /users", &credentials[..]),
        ("DELETE /users/ana", ""),
        ("POST /validate_user", &credentials[..]),
        ("GET /categories", ""),
        ("POST /categories", r#"["meals"]"#),
        ("DELETE /categories/trees", ""),
        ("GET /categories/trees/acts", ""),
        ("GET /categories/trees/acts/size", ""),
        ("POST /acts", &new[..]),
        ("POST /acts/upvote", "[1]"),
        ("DELETE /acts/1", ""),
        ("GET /acts/count", ""),
        ("GET /list_act_user/ana", ""),
        ("GET /_count", ""),
        ("DELETE /_count", ""),
    ] {
        let answer = services.send(request, body);
        assert_eq!(answer.status, 503, "{request}: {answer:?}");
    }
    for address in [services.users.address, services.acts.address] {
        assert_eq!(send(address, "GET /api/v1/_health", &[], "").status, 500);
        assert_eq!(send(address, "GET /healthz", &[], "").status, 503);
    }

    // Concurrent requests wait for the database together, and not one after another.
    let address = services.acts.address;
    let clients: Vec<_> =
        (0..8).map(|_| thread::spawn(move || send(address, "GET /api/v1/acts/count", &[], ""))).collect();
    for client in clients {
        let answer = client.join().unwrap();
        let detail = r#"{"detail":"The database is unavailable. Try again shortly."}"#;
        assert_eq!((answer.status, answer.body.as_str()), (503, detail), "it is not the time limit of requests");
    }

    postgres.resume();
    wait_until("the service has healed", || services.send("GET /_health", "").status == 200);
    assert_eq!(services.send("GET /users", "").body, r#"["ana"]"#);
    // Requests without a database are counted when it is back.
    assert_eq!(services.send("GET /_count", "").body, "[19]");
}
