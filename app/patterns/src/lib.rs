//! The cloud design patterns gatekeeper, trusted host and proxy, in front of a database cluster.
//!
//! A request passes three tiers, which answer on the same paths. The *gatekeeper* is public and refuses every statement
//! that it does not know to be harmless. The *trusted host* repeats the check and signs the request. The *proxy* refuses
//! unsigned requests and runs the statement on a node of the cluster: writes on the manager, reads on the node that the
//! path selects.
//!
//! # Layout
//!
//! | module | content |
//! |---|---|
//! | [`operation`] | paths, modes and tables |
//! | [`input`] | bodies of requests |
//! | [`sql`] | check of statements |
//! | [`signature`] | signatures between the trusted host and the proxy |
//! | [`forward`] | requests to the next tier |
//! | [`cluster`] | nodes of the cluster: connections, latencies, selection, schema |
//! | [`tier`] | routes and errors that all tiers share, and the three tiers |
//! | [`openapi`] | OpenAPI document |
//!
//! Each tier is a program: `gatekeeper`, `trusted-host` and `proxy`. The program `patterns` is the client.
//!
//! # Databases
//!
//! PostgreSQL and MariaDB (or MySQL), selected by the scheme of the URLs. The drivers of sqlx are used without sea-orm:
//! results have any columns, which sea-orm cannot represent, and its feature for MySQL would become a part of every service.
//! `sqlx-mysql` is compiled without `rsa` (RUSTSEC-2023-0071), so a MySQL server that authenticates by `caching_sha2_password`
//! needs TLS. SQLite is not supported, because it has no replication.

pub mod cluster;
pub mod forward;
pub mod input;
pub mod openapi;
pub mod operation;
pub mod signature;
pub mod sql;
pub mod tier;
