//! `stack local forward`

use super::running;
use crate::{failure::Failure, session::Session};
use clap::Args;
use infra_core::diagnostic::Diagnostic;
use infra_local::daemon::Running;
use std::{net::Ipv4Addr, path::Path};
use tokio::net::{TcpListener, TcpStream};

/// Forward a port of this machine to a port inside the network, until Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = "The connections are an administrator's: security groups do not apply to them.")]
pub(crate) struct ForwardArgs {
    /// Instance, load balancer, database or network interface, by id, name or address
    // The global `--target` has the id `target`.
    #[arg(value_name = "TARGET")]
    to: String,
    /// Port of the target, and the local port [default of LOCAL: the same port, or a free one]
    #[arg(value_name = "PORT[:LOCAL]", value_parser = ports)]
    ports: Ports,
}

/// A remote port and a local one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ports {
    remote: u16,
    local: Option<u16>,
}

fn ports(text: &str) -> Result<Ports, String> {
    let port = |text: &str| match text.parse() {
        Ok(0) | Err(_) => Err(format!("`{text}` is not a port: write a number from 1 to 65535")),
        Ok(port) => Ok(port),
    };
    match text.split_once(':') {
        Some((remote, local)) => Ok(Ports { remote: port(remote)?, local: Some(port(local)?) }),
        None => Ok(Ports { remote: port(text)?, local: None }),
    }
}

pub(super) async fn run(session: &Session<'_>, directory: &Path, arguments: &ForwardArgs) -> Result<(), Failure> {
    let ForwardArgs { to, ports } = arguments;
    let cloud = running(directory).await?;
    // An unknown target or a closed port fails now, and not with the first client.
    drop(cloud.tunnel(to, ports.remote).await?);
    let listener = listen(*ports).await?;
    let address = listener.local_addr()?;
    if session.json {
        print_line!("{}", serde_json::json!({ "address": address, "target": to, "port": ports.remote }));
    } else {
        print_line!("{address} is forwarded to port {} of {to}; Ctrl-C stops it", ports.remote);
    }
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted?;
                tokio::spawn(forward(client, cloud.clone(), to.clone(), ports.remote));
            }
            interrupted = tokio::signal::ctrl_c() => return Ok(interrupted?),
        }
    }
}

/// Listens on the requested port. Without one, on the same port as the target's, else on a free one.
async fn listen(ports: Ports) -> Result<TcpListener, Failure> {
    if let Some(local) = ports.local {
        return TcpListener::bind((Ipv4Addr::LOCALHOST, local)).await.map_err(|error| {
            let unavailable = Diagnostic::error(format!("port {local} of this machine is not available: {error}"));
            Failure::wrong_use(unavailable.hint("choose another one after the colon"))
        });
    }
    match TcpListener::bind((Ipv4Addr::LOCALHOST, ports.remote)).await {
        Ok(listener) => Ok(listener),
        Err(_) => Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?),
    }
}

async fn forward(mut client: TcpStream, cloud: Running, to: String, port: u16) {
    match cloud.tunnel(&to, port).await {
        Ok(mut server) => {
            // The end of the connection concerns only its two sides.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        }
        Err(error) => print_error!("warning: a connection was not forwarded: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_numbers_with_an_optional_local_one() {
        assert_eq!(ports("5432"), Ok(Ports { remote: 5432, local: None }));
        assert_eq!(ports("5432:6000"), Ok(Ports { remote: 5432, local: Some(6000) }));
        for wrong in ["", "0", "65536", "a", "80:", ":80", "80:0"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }
}
