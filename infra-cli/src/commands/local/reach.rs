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
    let reach = running(directory).await?.reach(&request).await.map_err(Failure::named)?;
    answer(session, &reach, || describe(&reach))
}

fn describe(reach: &Reach) -> String {
    let mut lines: Vec<String> = reach.hops.iter().map(|hop| format!("{}: {}", hop.id, hop.effect)).collect();
    lines.push(match &reach.blocked {
        Some(by) => format!("{} {}: {}", Style::new().red().apply_to("blocked by"), by.id, by.effect),
        None => Style::new().green().apply_to("open").to_string(),
    });
    match reach.probed {
        Some(true) => lines.push("probe: packets get through".into()),
        Some(false) => lines.push("probe: packets are lost".into()),
        None => {}
    }
    lines.join("\n")
}
