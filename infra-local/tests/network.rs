//! Packets in a network of namespaces: what a connection reaches, and that it is what the model says.
//!
//! This executable is its own launcher and its own network process, so it has no test harness. As root it runs everything
//! a second time as an unprivileged user.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../tests/skip.rs"]
mod skip;
#[cfg(target_os = "linux")]
mod support;

#[cfg(target_os = "linux")]
#[path = "network/mod.rs"]
mod cases;

fn main() {
    infra_local::enable_launcher();
    #[cfg(target_os = "linux")]
    cases::main();
    #[cfg(not(target_os = "linux"))]
    skip::skip("only Linux has network namespaces");
}
