//! Runs a local cloud in the foreground:
//! `cargo run -p infra-local --example serve -- DIRECTORY [PORT [TIME_SCALE [NETWORK [control-plane]]]]`.
//!
//! With `control-plane`, no programs and databases run.

use infra_local::{Options, daemon};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    infra_local::enable_launcher();
    serve()
}

#[tokio::main]
async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("usage: serve DIRECTORY [PORT [TIME_SCALE [NETWORK [control-plane]]]]")?;
    let port = arguments.next().map(|port| port.parse()).transpose()?;
    let time_scale = arguments.next().map_or(Ok(1.0), |scale| scale.parse())?;
    let network = arguments.next().map(|name| serde_json::from_value(name.into())).transpose()?.unwrap_or_default();
    let control_plane_only = arguments.next().is_some_and(|part| part == "control-plane");
    daemon::run(Options { port, time_scale, network, control_plane_only, ..Options::new(directory) }).await?;
    Ok(())
}
