//! Registration, sign-in, refresh tokens, and the requests that need a user.

use kit::testing::{Answer, Postgres, Served, connect, sqlite_url};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, IntoActiveModel};
use serde_json::{Value, json};
use tasks::{
    auth::refresh,
    entity::{refresh_token, user},
    users,
};

use crate::{PASSWORD, block_on, serve_behind, serve_with, sign_in, tokens};

const TASK: &str = r#"{"title":"t","pub_date":"2026-01-02T03:04Z","description":"d"}"#;

fn status(service: &Served, request: &str, authorization: Option<&str>) -> u16 {
    let headers = authorization.map(|value| ("Authorization", value));
    service.send_with(request, headers.as_slice(), TASK).status
}

fn refuses(answer: &Answer, detail: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (401, json!({ "detail": detail }).to_string().as_str()));
    assert!(answer.header("www-authenticate").unwrap().starts_with(r#"Bearer realm="tasks""#), "{answer:?}");
}

#[test]
fn auth_determines_the_requests_that_need_a_user() {
    let directory = tempfile::tempdir().unwrap();
    let url = sqlite_url(&directory);
    let requests = [
        // Request; status without a user with AUTH=off, writes and all; status with a user.
        ("GET /tasks/", 200, 200, 401, 200),
        ("HEAD /tasks/", 200, 200, 401, 200),
        ("GET /tasks", 301, 301, 401, 301),
        ("GET /tasks/get_all", 200, 200, 401, 200),
        ("POST /tasks/", 201, 401, 401, 201),
        ("POST /tasks/post", 201, 401, 401, 201),
        ("PUT /tasks/999999", 404, 401, 401, 404),
        ("DELETE /tasks/999999", 404, 401, 401, 404),
        ("DELETE /tasks/delete_all", 201, 401, 401, 201),
        ("POST /%74asks/post", 201, 401, 401, 201),
        ("PATCH /tasks/", 405, 401, 401, 405),
        ("GET /activity/", 401, 401, 401, 200),
        ("GET /healthz", 200, 200, 200, 200),
    ];
    for (at, mode) in ["off", "writes", "all"].into_iter().enumerate() {
        let service = serve_with(&url, &[("AUTH", mode)]);
        let (authorization, _) = sign_in(&service, mode);
        for (request, off, writes, all, signed_in) in requests {
            assert_eq!(status(&service, request, None), [off, writes, all][at], "{request} {mode}");
            assert_eq!(status(&service, request, Some(&authorization)), signed_in, "{request} {mode}");
        }
    }
    let service = serve_with(&url, &[]);
    refuses(&service.send("POST /tasks/", TASK), "Authentication credentials were not provided.");
    assert_eq!(service.send("POST /tasks/", TASK).header("www-authenticate"), Some(r#"Bearer realm="tasks""#));
    let basic = service.send_with("POST /tasks/", &[("Authorization", "Basic YTpi")], TASK);
    refuses(&basic, "Authentication credentials were not provided.");
}

#[test]
fn users_register_and_sign_in() {
    let directory = tempfile::tempdir().unwrap();
    let url = sqlite_url(&directory);
    let service = serve_with(&url, &[]);
    let register = |body: Value| {
        let answer = service.send("POST /auth/register", &body.to_string());
        (answer.status, answer.body)
    };
    assert_eq!(
        register(json!({ "username": "ana", "password": PASSWORD })),
        (201, r#"{"id":1,"username":"ana"}"#.to_owned())
    );
    for (body, faults) in [
        (json!({}), r#"{"username":["This field is required."],"password":["This field is required."]}"#),
        (
            json!({ "username": 1, "password": null }),
            r#"{"username":["Not a valid string."],"password":["This field may not be null."]}"#,
        ),
        (
            json!({ "username": "eva", "password": "short" }),
            r#"{"password":["This password is too short. It must contain at least 8 characters."]}"#,
        ),
        (json!([]), r#"{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}"#),
    ] {
        assert_eq!(register(body.clone()), (400, faults.to_owned()), "{body}");
    }
    let taken = r#"{"username":["A user with that username already exists."]}"#;
    assert_eq!(register(json!({ "username": "ana", "password": PASSWORD })), (409, taken.to_owned()));
    assert_eq!(service.send("POST /auth/register", "{").status, 400);
    assert_eq!(service.send("GET /auth/register", "").header("allow"), Some("POST"));

    let wrong = "No active account found with the given credentials.";
    for (username, password) in [("ana", "wrong horse"), ("nobody", PASSWORD), ("Ana", PASSWORD), ("a\0", "x")] {
        let credentials = json!({ "username": username, "password": password }).to_string();
        refuses(&service.send("POST /auth/token", &credentials), wrong);
    }
    let credentials = json!({ "username": "ana", "password": PASSWORD }).to_string();
    let answer = service.send("POST /auth/token", &credentials);
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));

    let change = |change: fn(&mut user::ActiveModel)| {
        block_on(async {
            let database = connect(&url).await;
            let mut user = users::find(&database, "ana").await.unwrap().unwrap().into_active_model();
            change(&mut user);
            user.update(&database).await.unwrap()
        })
    };
    let user = change(|_| ());
    assert!(user.last_sign_in.is_some() && !user.is_staff && user.password_hash.starts_with("$argon2id$"), "{user:?}");
    let (_, refresh) = tokens(&answer);
    change(|user| user.is_active = Set(false));
    refuses(&service.send("POST /auth/token", &credentials), wrong);
    let refreshed = service.send("POST /auth/refresh", &json!({ "refresh": refresh }).to_string());
    refuses(&refreshed, "The refresh token is not valid. Sign in again.");
}

fn a_refresh_token_is_good_once(url: &str) {
    let service = serve_with(url, &[]);
    let refresh = |token: &str| service.send("POST /auth/refresh", &json!({ "refresh": token }).to_string());
    let invalid = "The refresh token is not valid. Sign in again.";

    let (_, first) = sign_in(&service, "ana");
    let (_, other) = sign_in(&service, "eva");
    let (access, second) = tokens(&refresh(&first));
    assert_eq!(status(&service, "POST /tasks/", Some(&access)), 201);
    let (_, third) = tokens(&refresh(&second));
    // A second use deletes the whole family.
    refuses(&refresh(&second), invalid);
    refuses(&refresh(&third), invalid);
    refuses(&refresh(&first), invalid);
    tokens(&refresh(&other));
    for token in ["", "x", "' OR 1=1 --", &"x".repeat(5000)] {
        assert!(matches!(refresh(token).status, 400 | 401), "{token}");
    }
    refuses(&refresh(access.strip_prefix("Bearer ").unwrap()), invalid);

    // One of several concurrent uses succeeds.
    let (_, token) = sign_in(&service, "ida");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..6).map(|_| scope.spawn(|| refresh(&token).status)).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 5, "{statuses:?}");
}

#[test]
fn a_refresh_token_is_valid_once_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    a_refresh_token_is_good_once(&sqlite_url(&directory));
}

#[test]
fn a_refresh_token_is_valid_once_on_postgres() {
    if let Some(postgres) = Postgres::start() {
        a_refresh_token_is_good_once(&postgres.url());
    }
}

#[test]
fn sign_ins_are_rate_limited() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [("AUTH_ATTEMPTS_PER_USER", "2"), ("AUTH_ATTEMPTS_PER_CLIENT", "2")];
    let service = serve_behind("127.0.0.1", &sqlite_url(&directory), &settings);
    let from = |client: &str, request: &str, username: &str, password: &str| {
        let credentials = json!({ "username": username, "password": password }).to_string();
        service.send_with(request, &[("X-Forwarded-For", client)], &credentials)
    };
    let attempt = |client: &str, username: &str| from(client, "POST /auth/token", username, "wrong horse").status;
    assert_eq!(from("192.0.2.9", "POST /auth/register", "ana", PASSWORD).status, 201);

    // One name, from many addresses.
    let statuses: Vec<u16> = (1..=4).map(|last| attempt(&format!("192.0.2.{last}"), "ana")).collect();
    assert_eq!(statuses, [401, 401, 429, 429]);
    let refused = from("192.0.2.6", "POST /auth/token", "ana", PASSWORD);
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&seconds), "{refused:?}");
    assert_eq!(refused.body, format!(r#"{{"detail":"Too many attempts. Try again in {seconds} s."}}"#));

    // One address, with many names. Its header with other addresses is ignored.
    let statuses: Vec<u16> = (0..4).map(|n| attempt(&format!("10.0.0.{n}, 192.0.2.7"), &format!("name{n}"))).collect();
    assert_eq!(statuses, [401, 401, 429, 429]);
    assert_eq!(from("192.0.2.7", "POST /auth/register", "eva", PASSWORD).status, 429);
    assert_eq!(from("192.0.2.8", "POST /auth/register", "eva", PASSWORD).status, 201);
}

#[test]
fn a_direct_peer_cannot_lift_the_limit() {
    let directory = tempfile::tempdir().unwrap();
    // The peer of this test is 127.0.0.1, which is not a trusted proxy of this service.
    let settings = [("AUTH_ATTEMPTS_PER_CLIENT", "10")];
    let service = serve_behind("10.1.0.0/16", &sqlite_url(&directory), &settings);
    let attempts = (1..=60).map(|number| {
        let credentials = json!({ "username": format!("name{number}"), "password": "wrong horse" }).to_string();
        let forged = format!("192.0.2.{number}");
        service.send_with("POST /auth/token", &[("X-Forwarded-For", &forged)], &credentials).status
    });
    let refused = attempts.filter(|status| *status == 429).count();
    assert!((40..=50).contains(&refused), "{refused} of 60 attempts were refused");
}

#[test]
fn a_sign_in_resets_the_count() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve_with(&sqlite_url(&directory), &[("AUTH_ATTEMPTS_PER_USER", "2")]);
    sign_in(&service, "ana");
    for password in ["wrong horse", PASSWORD, "wrong horse", PASSWORD] {
        let credentials = json!({ "username": "ana", "password": password }).to_string();
        let expected = if password == PASSWORD { 200 } else { 401 };
        assert_eq!(service.send("POST /auth/token", &credentials).status, expected);
    }
}

fn tokens_go_with_their_user(url: &str) {
    let service = serve_with(url, &[]);
    let (_, refresh) = sign_in(&service, "ana");
    let (lifetime, nobody) = (std::time::Duration::from_mins(1), 999);
    block_on(async {
        let database = connect(url).await;
        let error = refresh::first(&database, nobody, lifetime).await.unwrap_err();
        assert!(error.to_string().to_lowercase().contains("foreign key"), "{error}");
        let ana = users::find(&database, "ana").await.unwrap().unwrap();
        user::Entity::delete_by_id(ana.id).exec(&database).await.unwrap();
        assert_eq!(refresh_token::Entity::find().all(&database).await.unwrap(), []);
    });
    let answer = service.send("POST /auth/refresh", &json!({ "refresh": refresh }).to_string());
    refuses(&answer, "The refresh token is not valid. Sign in again.");
}

#[test]
fn tokens_are_deleted_with_their_user_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    tokens_go_with_their_user(&sqlite_url(&directory));
}

#[test]
fn tokens_are_deleted_with_their_user_on_postgres() {
    if let Some(postgres) = Postgres::start() {
        tokens_go_with_their_user(&postgres.url());
    }
}

/// Texts that are harmful if they are interpreted.
const NASTY: &[&str] = &[
    "'; DROP TABLE tasks_task; --",
    "' OR '1'='1",
    "1; SELECT pg_sleep(10)",
    "\\'; DELETE FROM tasks_user; --",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "{{7*7}}${7*7}",
    "%00%27",
    "\u{202e}gnp.exe",
    "a\r\nSet-Cookie: x=y",
];

fn nothing_is_more_than_text(url: &str) {
    let service = serve_with(url, &[("AUTH", "off"), ("AUTH_ATTEMPTS_PER_CLIENT", "1000")]);
    let (authorization, _) = sign_in(&service, "ana");
    for text in NASTY {
        let body = json!({ "title": text, "pub_date": "2026-01-02T03:04Z", "description": text }).to_string();
        for path in ["/tasks/", "/tasks/post"] {
            let answer = service.send(&format!("POST {path}"), &body);
            let task: Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!((answer.status, &task["title"], &task["description"]), (201, &json!(text), &json!(text)));
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            let change = json!({ "title": format!("{text}!") }).to_string();
            assert_eq!(service.send(&format!("PUT /tasks/{}", task["id"]), &change).status, 201);
        }
        let wrong_date = json!({ "title": "t", "pub_date": text, "description": "d" }).to_string();
        let answer = service.send("POST /tasks/", &wrong_date);
        assert_eq!((answer.status, answer.header("content-type")), (400, Some("application/json")));

        for request in ["POST /auth/register", "POST /auth/token"] {
            let credentials = json!({ "username": text, "password": text }).to_string();
            assert!(matches!(service.send(request, &credentials).status, 400 | 401), "{request} {text}");
        }
        assert!(matches!(service.send("POST /auth/refresh", &json!({ "refresh": text }).to_string()).status, 401));
        let bearer = format!("Bearer {}", text.replace(['\r', '\n'], ""));
        assert_eq!(service.send_with("GET /activity/", &[("Authorization", &bearer)], "").status, 401);

        let encoded = text.bytes().fold(String::new(), |all, byte| all + &format!("%{byte:02X}"));
        for request in [
            format!("GET /tasks/{encoded}"),
            format!("PUT /tasks/{encoded}"),
            format!("DELETE /tasks/{encoded}"),
            format!("GET /tasks/get_single/{encoded}"),
            format!("DELETE /tasks/delete/{encoded}"),
        ] {
            let answer = service.send(&request, "{}");
            assert_eq!(answer.status, 404, "{request}");
            assert!(!answer.body.contains('<'), "{answer:?}");
        }
        for name in ["user", "path", "since", "limit"] {
            let request = format!("GET /activity/?{name}={encoded}");
            let answer = service.send_with(&request, &[("Authorization", &authorization)], "");
            let expected = if matches!(name, "user" | "path") { (200, "[]") } else { (400, answer.body.as_str()) };
            assert_eq!((answer.status, answer.body.as_str()), expected, "{request}");
        }
    }
    let tasks: Vec<Value> = serde_json::from_str(&service.send("GET /tasks/", "").body).unwrap();
    assert_eq!(tasks.len(), 2 * NASTY.len());
    let users = block_on(async { user::Entity::find().all(&connect(url).await).await.unwrap() });
    assert_eq!(users.len(), 1, "{users:?}");
}

#[test]
fn harmful_texts_are_stored_as_text_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    nothing_is_more_than_text(&sqlite_url(&directory));
}

#[test]
fn harmful_texts_are_stored_as_text_on_postgres() {
    if let Some(postgres) = Postgres::start() {
        nothing_is_more_than_text(&postgres.url());
    }
}
