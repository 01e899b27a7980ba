//! `stack forward`

use super::exec::LoginArgs;
use crate::{
    Cli,
    failure::Failure,
    local_cloud,
    remote::{Forwarding, Purpose, Remote},
    session::Session,
};
use clap::Args;
use infra_core::diagnostic::Diagnostic;
use infra_local::daemon::Running;
use std::{net::Ipv4Addr, process::ExitCode};
use tokio::net::{TcpListener, TcpStream};

/// Forward a port of this machine to a port inside the network, until Ctrl-C
#[derive(Debug, Args)]
#[command(
    after_help = "On the local cloud, the connections are an administrator's: security groups do not apply to them. On AWS, \
                  they pass an instance of the stack by SSH with the stack's key, if a security group admits SSH (`sshFrom`). \
                  Otherwise the command of Session Manager is printed, and the exit code is 1."
)]
pub(crate) struct ForwardArgs {
    /// Instance, load balancer, database or network interface, by id, name or address
    // The global `--target` has the id `target`.
    #[arg(value_name = "TARGET")]
    to: String,
    /// Port of the target, and the local port [default of LOCAL: the same port, or a free one]
    #[arg(value_name = "PORT[:LOCAL]", value_parser = ports)]
    ports: Ports,
    /// Instance on AWS that the connections pass, if the target is not an instance: TARGET is then the name of a database or
    /// load balancer of the stack, or a host name
    #[arg(long, value_name = "INSTANCE")]
    through: Option<String>,
    #[command(flatten)]
    login: LoginArgs,
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

pub(super) async fn run(session: &Session<'_>, arguments: &ForwardArgs, cli: &Cli) -> Result<ExitCode, Failure> {
    if !session.is_local() {
        return to_aws(session, arguments, cli).await;
    }
    let ForwardArgs { to, ports, through, .. } = arguments;
    if through.is_some() {
        let needless = Diagnostic::error("`--through` is an option for AWS");
        return Err(Failure::wrong_use(needless.hint("remove it: the local cloud connects to every target itself")));
    }
    let cloud = local_cloud::running(&session.cloud_directory()).await?;
    // An unknown target or a closed port fails now, and not with the first client.
    drop(cloud.tunnel(to, ports.remote).await.map_err(Failure::named)?);
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
            interrupted = tokio::signal::ctrl_c() => return Ok(interrupted.map(|()| ExitCode::SUCCESS)?),
        }
    }
}

async fn to_aws(session: &Session<'_>, arguments: &ForwardArgs, cli: &Cli) -> Result<ExitCode, Failure> {
    let ForwardArgs { to, ports, through, login } = arguments;
    let remote = Remote::find(session, cli, through.as_ref().unwrap_or(to)).await?;
    let host = through.as_ref().map(|_| remote.host(to));
    // `ssh` listens on the port itself, and fails if another process takes it in between.
    let local = listen(*ports).await?.local_addr()?.port();
    let purpose = Purpose::Forward(Forwarding { local, host, port: ports.remote });
    remote.connect(session, &login.login(), &purpose).await
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
