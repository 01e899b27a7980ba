//! Tests of the three tiers over HTTP, on PostgreSQL and MariaDB clusters, and of the programs.
#![allow(clippy::unwrap_used)]

mod away;
mod contract;
mod database;
mod hostile;
mod nodes;
mod openapi;
mod program;
mod signing;

use std::net::SocketAddr;

use kit::{
    limits::Limits,
    testing::{Answer, MariaDb, Postgres, Relay, Served, send, wait_until},
};
use patterns::tier::{Gatekeeper, Proxy, TierService, TrustedHost, proxy::ProxySettings};
use serde_json::json;

const LIMITS: Limits =
    Limits { body_bytes: 64 * 1024, head_bytes: 16 * 1024, time: std::time::Duration::from_secs(20) };

/// Key of the trusted host and the proxy.
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// Settings, as pairs.
type Settings<'a> = &'a [(&'a str, &'a str)];

fn variable(settings: Settings, name: &str) -> Option<String> {
    settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
}

fn start_gatekeeper(settings: Settings) -> Served {
    let gatekeeper = Gatekeeper::from(&|name| variable(settings, name)).unwrap();
    Served::start_alone(LIMITS, async |_| TierService(gatekeeper))
}

fn start_trusted_host(settings: Settings) -> Served {
    let trusted_host = TrustedHost::from(&|name| variable(settings, name)).unwrap();
    Served::start_alone(LIMITS, async |_| TierService(trusted_host))
}

fn start_proxy(settings: Settings) -> Served {
    let settings = ProxySettings::from(&|name| variable(settings, name)).unwrap();
    Served::start_alone(LIMITS, async |_| TierService(Proxy::start(settings)))
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// The three tiers, in front of databases.
struct Tiers {
    gatekeeper: Served,
    trusted_host: Served,
    proxy: Served,
}

impl Tiers {
    /// Starts the tiers. Does not wait for the databases.
    fn start(manager: &str, workers: &[String], more: Settings) -> Self {
        let workers = workers.join(" ");
        let cluster = [("SIGNING_KEY", KEY), ("MANAGER_URL", manager), ("WORKER_URLS", &workers)];
        let proxy = start_proxy(&[&cluster, more].concat());
        let trusted_host = start_trusted_host(&[("SIGNING_KEY", KEY), ("PROXY_URL", &url(proxy.address))]);
        let gatekeeper = start_gatekeeper(&[("TRUSTED_HOST_URL", &url(trusted_host.address))]);
        Self { gatekeeper, trusted_host, proxy }
    }

    /// Waits until the manager answers and has its tables, and all nodes run reads of all tables.
    fn wait_for(&self, nodes: &[&str]) {
        wait_until("the tiers are healthy", || self.gatekeeper.send("GET /healthz", "").status == 200);
        for node in nodes {
            wait_until("a node has the tables", || {
                let answer = self.fetch("customized", "SELECT id FROM direct_table LIMIT 1");
                let random = self.fetch("random", "SELECT id FROM customized_table LIMIT 1");
                let ran_on = |answer: &Answer| answer.status == 200 && answer.header("x-db-node") == Some(node);
                *node == "manager" || ran_on(&answer) || ran_on(&random)
            });
        }
    }

    fn fetch(&self, mode: &str, sql: &str) -> Answer {
        self.gatekeeper.send(&format!("POST /fetch_{mode}"), &json!({ "sql": sql }).to_string())
    }

    fn insert(&self, sql: &str) -> Answer {
        self.gatekeeper.send("POST /populate_tables", &json!({ "sql": sql }).to_string())
    }

    /// Returns the node that runs a read, which must succeed.
    fn node(&self, mode: &str) -> String {
        let answer = self.fetch(mode, "SELECT id FROM direct_table ORDER BY id LIMIT 1");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.header("x-db-node").unwrap().to_owned()
    }
}

/// A database server.
enum Server {
    Postgres(Postgres),
    MariaDb(MariaDb),
}

impl Server {
    fn url(&self) -> String {
        match self {
            Self::Postgres(server) => server.url(),
            Self::MariaDb(server) => server.url(),
        }
    }

    fn relay(&self) -> (Relay, String) {
        match self {
            Self::Postgres(server) => server.relay(),
            Self::MariaDb(server) => server.relay(),
        }
    }

    fn suspend(&self) {
        match self {
            Self::Postgres(server) => server.suspend(),
            Self::MariaDb(server) => server.suspend(),
        }
    }

    fn resume(&self) {
        match self {
            Self::Postgres(server) => server.resume(),
            Self::MariaDb(server) => server.resume(),
        }
    }
}

/// A manager with two workers.
struct Cluster(Vec<Server>);

impl Cluster {
    fn postgres() -> Option<Self> {
        let manager = Postgres::start()?;
        let workers = [manager.replicate(), manager.replicate()];
        Some(Self([manager].into_iter().chain(workers).map(Server::Postgres).collect()))
    }

    fn mariadb() -> Option<Self> {
        let manager = MariaDb::start()?;
        let workers = [manager.replicate(1), manager.replicate(2)];
        Some(Self([manager].into_iter().chain(workers).map(Server::MariaDb).collect()))
    }

    fn urls(&self) -> Vec<String> {
        self.0.iter().map(Server::url).collect()
    }

    fn start_tiers(&self) -> Tiers {
        let urls = self.urls();
        let tiers = Tiers::start(&urls[0], &urls[1..], &[]);
        tiers.wait_for(&["manager", "worker-0", "worker-1"]);
        tiers
    }
}

/// Runs a future to completion.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Sends a request to an address.
fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let answer = send(address, &format!("POST {path}"), headers, body);
    (answer.status, answer.body)
}
