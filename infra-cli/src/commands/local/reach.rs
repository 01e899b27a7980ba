//! `stack local reach`

use super::{answer, running};
use crate::{failure::Failure, session::Session};
use clap::Args;
use console::Style;
use infra_local::{Reach, ReachRequest};
use std::path::Path;

/// Show whether a connection gets through the network, and the component that blocks it
#[derive(Debug, Args)]
#[command(
    after_help = "A party is an instance, load balancer, database, NAT gateway or network interface, by id, name or address."
)]
pub(crate) struct ReachArgs {
    /// Source: a party, or `internet`
    from: String,
    /// Destination: a party, or an address
    to: String,
    /// TCP port of the destination
    port: u16,
    /// Also open the connection
    #[arg(long)]
    probe: bool,
}

pub(super) async fn run(session: &Session<'_>, directory: &Path, arguments: &ReachArgs) -> Result<(), Failure> {
    let ReachArgs { from, to, port, probe } = arguments;
    let request = ReachRequest { from: from.clone(), to: to.clone(), port: *port, probe: *probe };
    let reach = running(directory).await?.reach(&request).await?;
    answer(session, &reach, || describe(&reach))
}

fn describe(reach: &Reach) -> String {
    let mut text = String::new();
    for hop in &reach.hops {
        text.extend([hop.id.as_str(), ": ", &hop.effect, "\n"]);
    }
    text += &match &reach.blocked {
        Some(component) => {
            format!("{} {}: {}", Style::new().red().apply_to("blocked by"), component.id, component.effect)
        }
        None => Style::new().green().apply_to("open").to_string(),
    };
    match reach.probed {
        Some(true) => text += "\nprobe: packets get through",
        Some(false) => text += "\nprobe: packets are lost",
        None => {}
    }
    text
}
