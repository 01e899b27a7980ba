//! Selection of nodes: lost, slow and silent ones.

use std::{collections::BTreeSet, time::Duration};

use kit::testing::{Postgres, Relay, connect, wait_until};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::Tiers;

/// A manager with two workers, behind relays.
struct Relayed {
    tiers: Tiers,
    relays: Vec<Relay>,
    servers: Vec<Postgres>,
}

impl Relayed {
    fn start() -> Option<Self> {
        let manager = Postgres::start()?;
        let servers = [manager.replicate(), manager.replicate()];
        let servers: Vec<_> = [manager].into_iter().chain(servers).collect();
        let (relays, urls): (Vec<_>, Vec<_>) = servers.iter().map(Postgres::relay).unzip();
        let tiers = Tiers::start(&urls[0], &urls[1..], &[]);
        tiers.wait_for(&["manager", "worker-0", "worker-1"]);
        Some(Self { tiers, relays, servers })
    }
}

/// Returns the nodes of some reads, all of which must succeed.
fn nodes(tiers: &Tiers, mode: &str) -> BTreeSet<String> {
    (0..12).map(|_| tiers.node(mode)).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_node_with_the_lowest_latency_is_used() {
    let Some(Relayed { tiers, relays, servers: _servers }) = Relayed::start() else {
        return;
    };
    let [slow, slower] = [60, 250].map(Duration::from_millis);
    // Each node in turn is the fastest one.
    for (fastest, name) in ["manager", "worker-0", "worker-1"].into_iter().enumerate() {
        for (at, relay) in relays.iter().enumerate() {
            relay.delay(if at == fastest { Duration::ZERO } else { slower });
        }
        wait_until("the fastest node alone is used", || nodes(&tiers, "customized") == set(&[name]));
        // The fastest node is still the fastest if it is slow, but the others are slower.
        relays[fastest].delay(slow);
        wait_until("the fastest node alone is used", || nodes(&tiers, "customized") == set(&[name]));
    }
}

#[test]
fn the_header_names_the_node_that_ran_the_query() {
    let Some(Relayed { tiers, servers, relays: _relays }) = Relayed::start() else {
        return;
    };
    // Each node has other rows: the workers stop to apply changes one after another.
    block_on(async {
        for (number, stopped) in [None, Some(&servers[1]), Some(&servers[2])].into_iter().enumerate() {
            if let Some(server) = stopped {
                let worker = connect(&server.url()).await;
                worker.execute_unprepared("SELECT pg_wal_replay_pause()").await.unwrap();
                let paused = "SELECT 1 WHERE pg_get_wal_replay_pause_state() = 'paused'";
                while worker.query_one_raw(Statement::from_string(DbBackend::Postgres, paused)).await.unwrap().is_none()
                {
                }
            }
            let inserted = tiers.insert(&format!("INSERT INTO direct_table (column1) VALUES ('{number}')"));
            assert_eq!((inserted.status, inserted.header("x-db-node")), (200, Some("manager")));
            let last = if stopped.is_none() { &servers[1..] } else { &servers[2..2 + usize::from(number < 2)] };
            for server in last {
                let worker = connect(&server.url()).await;
                let arrived = format!("SELECT 1 FROM direct_table WHERE column1 = '{number}'");
                let arrived = Statement::from_string(DbBackend::Postgres, arrived);
                while worker.query_one_raw(arrived.clone()).await.unwrap().is_none() {}
            }
        }
    });
    let mut seen = BTreeSet::new();
    wait_until("all nodes have run a query", || {
        for mode in ["direct", "random"] {
            let answer = tiers.fetch(mode, "SELECT max(column1) FROM direct_table");
            let expected = match answer.header("x-db-node").unwrap() {
                "manager" => r#"[["2"]]"#,
                "worker-0" => r#"[["0"]]"#,
                "worker-1" => r#"[["1"]]"#,
                other => panic!("{other}"),
            };
            assert_eq!((answer.status, answer.body.as_str()), (200, expected), "{answer:?}");
            seen.insert(answer.header("x-db-node").unwrap().to_owned());
        }
        seen.len() == 3
    });
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_lost_worker_is_avoided_and_used_again() {
    let Some(Relayed { tiers, servers, relays: _relays }) = Relayed::start() else {
        return;
    };
    servers[1].suspend();
    // Every read succeeds from the first one on.
    assert_eq!(nodes(&tiers, "random"), set(&["worker-1"]));
    servers[2].suspend();
    assert_eq!(nodes(&tiers, "random"), set(&["manager"]));
    wait_until("the lost workers are not selected", || nodes(&tiers, "customized") == set(&["manager"]));

    servers[0].suspend();
    wait_until("the manager is away", || tiers.gatekeeper.send("GET /healthz", "").status == 503);
    for (mode, reason) in [
        ("direct", "The manager of the database cluster does not answer"),
        ("random", "No node of the database cluster answers"),
        ("customized", "No node of the database cluster answers"),
    ] {
        wait_until("all nodes are away", || {
            let answer = tiers.fetch(mode, "SELECT 1");
            (answer.status, answer.body) == (502, format!(r#"{{"error":"{reason}"}}"#))
        });
    }
    let answer = tiers.insert("INSERT INTO direct_table (column1) VALUES ('a')");
    let reason = r#"{"error":"The manager of the database cluster does not answer"}"#;
    assert_eq!((answer.status, answer.body.as_str()), (502, reason));

    for server in &servers {
        server.resume();
    }
    wait_until("both workers are used again", || {
        let node = |_| tiers.fetch("random", "SELECT id FROM direct_table").header("x-db-node").map(str::to_owned);
        (0..12).filter_map(node).collect::<BTreeSet<_>>() == set(&["worker-0", "worker-1"])
    });
    wait_until("the manager is used again", || tiers.insert("INSERT INTO direct_table (id) VALUES (7)").status == 200);
}

#[test]
fn reads_of_a_lost_manager_are_answered_by_workers() {
    let Some(Relayed { tiers, servers, relays: _relays }) = Relayed::start() else {
        return;
    };
    servers[0].suspend();
    assert_eq!(nodes(&tiers, "random"), set(&["worker-0", "worker-1"]));
    wait_until("the manager is away", || tiers.fetch("direct", "SELECT 1").status == 502);
    let used = nodes(&tiers, "customized");
    assert!(!used.contains("manager"), "{used:?}");
}

#[test]
fn reads_on_a_silent_worker_are_repeated_elsewhere() {
    let Some(Relayed { tiers, relays, servers: _servers }) = Relayed::start() else {
        return;
    };
    // The connections stay open, so that only the measurements notice.
    relays[1].silence();
    assert_eq!(nodes(&tiers, "random"), set(&["worker-1"]));
    let used = nodes(&tiers, "customized");
    assert!(!used.contains("worker-0"), "{used:?}");
    relays[1].delay(Duration::ZERO);
    wait_until("the worker is used again", || nodes(&tiers, "random").contains("worker-0"));
}

#[test]
fn a_write_to_a_silent_manager_is_502_and_not_repeated() {
    let Some(Relayed { tiers, relays, servers: _servers }) = Relayed::start() else {
        return;
    };
    assert_eq!(tiers.insert("INSERT INTO direct_table (column1) VALUES ('first')").status, 200);
    relays[0].silence();
    let answer = tiers.insert("INSERT INTO direct_table (column1) VALUES ('second')");
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(answer.body.contains("The manager of the database cluster does not answer"), "{answer:?}");
    relays[0].delay(Duration::ZERO);
    wait_until("the manager is used again", || tiers.gatekeeper.send("GET /healthz", "").status == 200);
    let rows = tiers.fetch("direct", "SELECT count(*) FROM direct_table WHERE column1 = 'second'").body;
    assert!(["[[0]]", "[[1]]"].contains(&rows.as_str()), "{rows}");
}

#[test]
fn the_proxy_starts_while_nodes_are_away() {
    let Some(manager) = Postgres::start() else {
        return;
    };
    let worker = manager.replicate();
    worker.suspend();
    manager.suspend();
    let missing = "postgres://postgres@127.0.0.1:1/postgres".to_owned();
    let tiers = Tiers::start(&manager.url(), &[worker.url(), missing], &[]);
    wait_until("the proxy answers", || tiers.fetch("direct", "SELECT 1").status == 502);
    assert_eq!(tiers.gatekeeper.send("GET /healthz", "").status, 503);
    manager.resume();
    wait_until("the tables exist", || tiers.gatekeeper.send("GET /healthz", "").status == 200);
    assert_eq!(nodes(&tiers, "random"), set(&["manager"]));
    worker.resume();
    wait_until("the worker is used", || {
        tiers.fetch("random", "SELECT id FROM direct_table").header("x-db-node") == Some("worker-0")
    });
}

#[test]
fn the_standalone_database_gets_the_same_tables() {
    let (Some(manager), Some(standalone)) = (Postgres::start(), Postgres::start()) else {
        return;
    };
    let urls = [manager.url(), standalone.url()];
    let _tiers = Tiers::start(&urls[0], &urls[..1], &[("STANDALONE_URL", &urls[1])]);
    let database = patterns::cluster::Database::parse(&urls[1], "STANDALONE_URL").unwrap();
    block_on(async {
        let pool = database.open(patterns::cluster::Access::Read, 1, Duration::from_secs(5));
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        while let Err(error) = pool.read("SELECT * FROM customized_table").await {
            assert!(tokio::time::Instant::now() < deadline, "{error}");
            tokio::task::yield_now().await;
        }
    });
}
