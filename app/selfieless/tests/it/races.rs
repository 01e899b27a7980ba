//! Concurrent requests to several instances on one database.

use std::{net::SocketAddr, sync::Barrier, thread};

use kit::testing::{Answer, send};
use serde_json::Value;

use crate::{Services, act, serve_acts, with_postgres, with_sqlite};

const CLIENTS: usize = 8;

/// Sends the same request from all clients at once, in turn to the addresses.
fn at_once(addresses: &[SocketAddr], request: &str, body: &str) -> Vec<Answer> {
    let start = Barrier::new(CLIENTS);
    let client = |at: usize| {
        start.wait();
        send(addresses[at % addresses.len()], request, &[], body)
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|at| scope.spawn(move || client(at))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

/// Asserts that one client succeeded, and that the others were refused.
fn assert_once(answers: &[Answer], success: u16) {
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(success), count(400)), (1, CLIENTS - 1), "{answers:?}");
}

fn only_one_of_equal_requests_succeeds(database_url: &str) {
    let first = Services::start(database_url);
    let second = serve_acts(database_url, "acts-2", &format!("http://{}", first.users.address));
    let (users, acts) = ([first.users.address], [first.acts.address, second.address]);
    let user = format!(r#"{{"username":"ana","password":"{}"}}"#, crate::PASSWORD);
    assert_once(&at_once(&users, "POST /api/v1/users", &user), 201);
    assert_once(&at_once(&acts, "POST /api/v1/categories", r#"["trees"]"#), 201);
    assert_once(&at_once(&acts, "POST /api/v1/acts", &act(1, "ana", "trees")), 201);
    let votes = at_once(&acts, "POST /api/v1/acts/upvote", "[1]");
    assert!(votes.iter().all(|answer| answer.status == 200), "{votes:?}");
    let listed: Value = serde_json::from_str(&first.send("GET /list_act_user/ana", "").body).unwrap();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["upvotes"]), (1, &CLIENTS.into()));
    assert_once(&at_once(&acts, "DELETE /api/v1/acts/1", ""), 200);
    assert_once(&at_once(&acts, "DELETE /api/v1/categories/trees", ""), 200);
    assert_once(&at_once(&users, "DELETE /api/v1/users/ana", ""), 200);
    assert_eq!(first.send("GET /_count", "").body, format!("[{}]", 5 * CLIENTS + 1));
}

/// An upload either precedes the deletion of its category, and is deleted with it, or is refused.
fn uploads_and_deletions_leave_no_orphans(database_url: &str) {
    let services = Services::start(database_url);
    services.sign_up("ana");
    for round in 0..8 {
        assert_eq!(services.send("POST /categories", r#"["trees"]"#).status, 201);
        thread::scope(|scope| {
            let uploads: Vec<_> = (0..4)
                .map(|at| {
                    let services = &services;
                    scope.spawn(move || services.send("POST /acts", &act(round * 4 + at, "ana", "trees")).status)
                })
                .collect();
            assert_eq!(services.send("DELETE /categories/trees", "").status, 200);
            for upload in uploads {
                assert!([201, 400].contains(&upload.join().unwrap()));
            }
        });
        assert_eq!(services.send("GET /acts/count", "").body, "[0]");
    }
}

/// Votes for several acts share statements, and each one has its own outcome.
fn every_acknowledged_vote_is_stored(database_url: &str) {
    let first = Services::start(database_url);
    let second = serve_acts(database_url, "acts-2", &format!("http://{}", first.users.address));
    first.sign_up("ana");
    assert_eq!(first.send("POST /categories", r#"["trees"]"#).status, 201);
    for id in 1..=4 {
        assert_eq!(first.send("POST /acts", &act(id, "ana", "trees")).status, 201);
    }
    let addresses = [first.acts.address, second.address];
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                for turn in 0..25 {
                    let id = (client + turn) % 5 + 1;
                    let answer = send(addresses[turn % 2], "POST /api/v1/acts/upvote", &[], &format!("[{id}]"));
                    assert_eq!(answer.status, if id == 5 { 400 } else { 200 }, "{answer:?}");
                }
            });
        }
    });
    let listed: Value = serde_json::from_str(&first.send("GET /categories/trees/acts", "").body).unwrap();
    let upvotes: Vec<_> = listed.as_array().unwrap().iter().map(|act| act["upvotes"].as_u64().unwrap()).collect();
    assert_eq!(upvotes, [CLIENTS as u64 * 5; 4]);
}

/// The deletion of a category locks its acts, as votes do.
fn votes_and_deletions_do_not_block_each_other(database_url: &str) {
    let first = Services::start(database_url);
    let second = serve_acts(database_url, "acts-2", &format!("http://{}", first.users.address));
    first.sign_up("ana");
    let addresses = [first.acts.address, second.address];
    for _ in 0..8 {
        assert_eq!(first.send("POST /categories", r#"["trees"]"#).status, 201);
        // Descending IDs: the order of the votes' IDs is not that of the rows.
        for id in (1..=8).rev() {
            assert_eq!(first.send("POST /acts", &act(id, "ana", "trees")).status, 201);
        }
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                scope.spawn(move || {
                    for turn in 0..16 {
                        let body = format!("[{}]", (client * 3 + turn) % 8 + 1);
                        let answer = send(addresses[client % 2], "POST /api/v1/acts/upvote", &[], &body);
                        assert!([200, 400].contains(&answer.status), "{answer:?}");
                    }
                });
            }
            assert_eq!(first.send("DELETE /categories/trees", "").status, 200);
        });
        assert_eq!(first.send("GET /acts/count", "").body, "[0]");
    }
}

/// A list that concurrent requests share contains all votes that were acknowledged before its request.
fn shared_lists_are_never_stale(database_url: &str) {
    let services = Services::start(database_url);
    services.sign_up("ana");
    assert_eq!(services.send("POST /categories", r#"["trees"]"#).status, 201);
    assert_eq!(services.send("POST /acts", &act(1, "ana", "trees")).status, 201);
    thread::scope(|scope| {
        let services = &services;
        for _ in 0..CLIENTS {
            scope.spawn(move || {
                let mut voted = 0;
                for _ in 0..25 {
                    assert_eq!(services.send("POST /acts/upvote", "[1]").status, 200);
                    voted += 1;
                    let answer = services.send("GET /categories/trees/acts", "");
                    let listed: Value = serde_json::from_str(&answer.body).unwrap();
                    let upvotes = listed[0]["upvotes"].as_u64().unwrap();
                    // The votes of all clients until the previous list, and the own one since.
                    assert!(upvotes >= voted, "{upvotes} of at least {voted}");
                    voted = upvotes;
                }
            });
        }
    });
    assert_eq!(services.send("DELETE /categories/trees", "").status, 200);
    assert_eq!(services.send("GET /categories/trees/acts", "").status, 400);
}

#[test]
fn every_acknowledged_vote_is_stored_on_sqlite() {
    with_sqlite(every_acknowledged_vote_is_stored);
}

#[test]
fn every_acknowledged_vote_is_stored_on_postgres() {
    with_postgres(every_acknowledged_vote_is_stored);
}

#[test]
fn votes_and_deletions_do_not_block_each_other_on_sqlite() {
    with_sqlite(votes_and_deletions_do_not_block_each_other);
}

#[test]
fn votes_and_deletions_do_not_block_each_other_on_postgres() {
    with_postgres(votes_and_deletions_do_not_block_each_other);
}

#[test]
fn shared_lists_are_never_stale_on_sqlite() {
    with_sqlite(shared_lists_are_never_stale);
}

#[test]
fn shared_lists_are_never_stale_on_postgres() {
    with_postgres(shared_lists_are_never_stale);
}

#[test]
fn only_one_of_equal_requests_succeeds_on_sqlite() {
    with_sqlite(only_one_of_equal_requests_succeeds);
}

#[test]
fn only_one_of_equal_requests_succeeds_on_postgres() {
    with_postgres(only_one_of_equal_requests_succeeds);
}

#[test]
fn uploads_and_deletions_leave_no_orphans_on_sqlite() {
    with_sqlite(uploads_and_deletions_leave_no_orphans);
}

#[test]
fn uploads_and_deletions_leave_no_orphans_on_postgres() {
    with_postgres(uploads_and_deletions_leave_no_orphans);
}
