//! Selection of nodes: lost, slow and silent ones.

use std::{collections::BTreeSet, time::Duration};

use kit::testing::{Postgres, Relay, wait_until};
use patterns::cluster::{Access, Database, Pool};

use crate::{Cluster, Server, Tiers, block_on};

/// A manager with two workers, behind relays.
struct Relayed {
    tiers: Tiers,
    relays: Vec<Relay>,
    servers: Vec<Server>,
}

/// Runs a test on a cluster of each kind.
fn on_each(test: impl Fn(&Relayed)) {
    for cluster in [Cluster::postgres, Cluster::mariadb] {
        let Some(Cluster(servers)) = cluster() else { continue };
        let (relays, urls): (Vec<_>, Vec<_>) = servers.iter().map(Server::relay).unzip();
        let tiers = Tiers::start(&urls[0], &urls[1..], &[]);
        tiers.wait_for(&["manager", "worker-0", "worker-1"]);
        test(&Relayed { tiers, relays, servers });
    }
}

fn pool(url: &str) -> Pool {
    Database::parse(url, "MANAGER_URL").unwrap().open(Access::Write, 1, Duration::from_secs(5))
}

/// Repeats a query until it has this result.
async fn read_until(pool: &Pool, sql: &str, expected: &str) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let read = pool.read(sql).await.map(|rows| serde_json::to_string(&rows).unwrap());
        if read.as_deref() == Ok(expected) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{sql}: {read:?} instead of {expected}");
        tokio::task::yield_now().await;
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
    on_each(|Relayed { tiers, relays, .. }| {
        let [slow, slower] = [60, 250].map(Duration::from_millis);
        // Each node in turn is the fastest one.
        for (fastest, name) in ["manager", "worker-0", "worker-1"].into_iter().enumerate() {
            for (at, relay) in relays.iter().enumerate() {
                relay.delay(if at == fastest { Duration::ZERO } else { slower });
            }
            wait_until("the fastest node alone is used", || nodes(tiers, "customized") == set(&[name]));
            // The fastest node is still the fastest if it is slow, but the others are slower.
            relays[fastest].delay(slow);
            wait_until("the fastest node alone is used", || nodes(tiers, "customized") == set(&[name]));
        }
    });
}

#[test]
fn the_header_names_the_node_that_ran_the_query() {
    on_each(|Relayed { tiers, servers, .. }| {
        // Each node has other rows: the workers stop to apply changes one after another.
        block_on(async {
            for (number, stopped) in [None, Some(1), Some(2)].into_iter().enumerate() {
                if let Some(stopped) = stopped {
                    stop_to_replicate(&servers[stopped]).await;
                }
                let inserted = tiers.insert(&format!("INSERT INTO direct_table (column1) VALUES ('{number}')"));
                assert_eq!((inserted.status, inserted.header("x-db-node")), (200, Some("manager")));
                for server in &servers[stopped.map_or(1, |stopped| stopped + 1)..] {
                    let arrived = format!(r#"[["{number}"]]"#);
                    read_until(&pool(&server.url()), "SELECT max(column1) FROM direct_table", &arrived).await;
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
    });
}

/// Stops a worker from applying the changes of its manager.
async fn stop_to_replicate(worker: &Server) {
    let pool = pool(&worker.url());
    match worker {
        Server::Postgres(_) => {
            pool.read("SELECT pg_wal_replay_pause()").await.unwrap();
            read_until(&pool, "SELECT pg_get_wal_replay_pause_state()", r#"[["paused"]]"#).await;
        }
        Server::MariaDb(_) => pool.write("STOP SLAVE SQL_THREAD").await.unwrap(),
    }
}

#[test]
fn a_lost_worker_is_avoided_and_used_again() {
    on_each(|Relayed { tiers, servers, .. }| {
        servers[1].suspend();
        // Every read succeeds from the first one on.
        assert_eq!(nodes(tiers, "random"), set(&["worker-1"]));
        servers[2].suspend();
        assert_eq!(nodes(tiers, "random"), set(&["manager"]));
        wait_until("the lost workers are not selected", || nodes(tiers, "customized") == set(&["manager"]));

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

        for server in servers {
            server.resume();
        }
        wait_until("both workers are used again", || {
            let node = |_| tiers.fetch("random", "SELECT id FROM direct_table").header("x-db-node").map(str::to_owned);
            (0..12).filter_map(node).collect::<BTreeSet<_>>() == set(&["worker-0", "worker-1"])
        });
        wait_until("the manager is used again", || {
            tiers.insert("INSERT INTO direct_table (id) VALUES (7)").status == 200
        });
    });
}

#[test]
fn reads_of_a_lost_manager_are_answered_by_workers() {
    on_each(|Relayed { tiers, servers, .. }| {
        servers[0].suspend();
        wait_until("both workers are used", || nodes(tiers, "random") == set(&["worker-0", "worker-1"]));
        wait_until("the manager is away", || tiers.fetch("direct", "SELECT 1").status == 502);
        let used = nodes(tiers, "customized");
        assert!(!used.contains("manager"), "{used:?}");
    });
}

#[test]
fn reads_on_a_silent_worker_are_repeated_elsewhere() {
    on_each(|Relayed { tiers, relays, .. }| {
        // The connections stay open, so that only the measurements notice.
        relays[1].silence();
        assert_eq!(nodes(tiers, "random"), set(&["worker-1"]));
        let used = nodes(tiers, "customized");
        assert!(!used.contains("worker-0"), "{used:?}");
        relays[1].delay(Duration::ZERO);
        wait_until("the worker is used again", || nodes(tiers, "random").contains("worker-0"));
    });
}

#[test]
fn a_write_to_a_silent_manager_is_502_and_not_repeated() {
    on_each(|Relayed { tiers, relays, .. }| {
        assert_eq!(tiers.insert("INSERT INTO direct_table (column1) VALUES ('first')").status, 200);
        relays[0].silence();
        let answer = tiers.insert("INSERT INTO direct_table (column1) VALUES ('second')");
        assert_eq!(answer.status, 502, "{answer:?}");
        assert!(answer.body.contains("The manager of the database cluster does not answer"), "{answer:?}");
        relays[0].delay(Duration::ZERO);
        wait_until("the manager is used again", || tiers.gatekeeper.send("GET /healthz", "").status == 200);
        let rows = tiers.fetch("direct", "SELECT count(*) FROM direct_table WHERE column1 = 'second'").body;
        assert!(["[[0]]", "[[1]]"].contains(&rows.as_str()), "{rows}");
    });
}

#[test]
fn the_proxy_starts_while_nodes_are_away() {
    for cluster in [Cluster::postgres, Cluster::mariadb] {
        let Some(Cluster(servers)) = cluster() else { continue };
        let [manager, worker, missing] = &servers[..] else { panic!("three servers") };
        for server in &servers {
            server.suspend();
        }
        let tiers = Tiers::start(&manager.url(), &[worker.url(), missing.url()], &[]);
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
}

#[test]
fn the_standalone_database_gets_the_same_tables() {
    let (Some(manager), Some(standalone)) = (Postgres::start(), Postgres::start()) else {
        return;
    };
    let urls = [manager.url(), standalone.url()];
    let _tiers = Tiers::start(&urls[0], &urls[..1], &[("STANDALONE_URL", &urls[1])]);
    // The pool needs the runtime.
    block_on(async { read_until(&pool(&urls[1]), "SELECT * FROM customized_table", "[]").await });
}
