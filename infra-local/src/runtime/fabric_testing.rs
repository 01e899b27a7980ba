//! Access of integration tests to the fabric. A network is given as JSON, in the form that the network process receives,
//! or derived from a model that requests change.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use chrono::Utc;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

use crate::access::Context;
use crate::domain::network::{End, Flow, Network, Traffic};
use crate::model::Cloud;
use crate::runtime::confinement::Confinement;
use crate::runtime::network::namespaces::{Namespaces, probe};
use crate::runtime::network::{Fabric as _, Place};
use crate::runtime::process::{self, ProcessSpec};
use crate::runtime::user::User;
use crate::services::operation::{NoRequests, Run};
use crate::services::{Call, ec2};
use crate::state::address::AddressBlock;
use crate::wire::{Params, xml};

/// An endpoint of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    Interface(String),
    Router(String),
    Internet,
}

impl At {
    fn place(&self) -> Place {
        match self {
            At::Interface(id) => Place::Interface(id.clone()),
            At::Router(id) => Place::Router(id.clone()),
            At::Internet => Place::Internet,
        }
    }
}

/// A declared network.
#[derive(Debug, Clone)]
pub struct Declared(Network);

impl Declared {
    pub fn from_json(network: serde_json::Value) -> serde_json::Result<Declared> {
        serde_json::from_value(network).map(Declared)
    }

    pub fn to_json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(&self.0)
    }

    /// Returns the reason why a TCP connection cannot be opened. `from` is an interface; without it, a client outside.
    pub fn blocked(&self, from: Option<&str>, to: Ipv4Addr, port: u16, reply_port: u16) -> Option<String> {
        let from = from.map_or(End::Outside, End::Interface);
        let path = self.0.path(Flow { from, to, traffic: Traffic::Tcp(port, port), reply_port });
        path.blocked.map(|blocked| format!("{}: {}", blocked.component, blocked.reason))
    }
}

/// A cloud without a runtime, which requests to EC2 in us-east-1 change.
#[derive(Debug)]
pub struct Model {
    cloud: Cloud,
    addresses: AddressBlock,
    directory: PathBuf,
}

impl Model {
    pub fn new(directory: &Path) -> io::Result<Model> {
        let addresses = AddressBlock::claim(directory).map_err(io::Error::other)?;
        let mut cloud = Cloud::default();
        cloud.complete();
        cloud.use_private_addresses();
        Ok(Model { cloud, addresses, directory: directory.to_owned() })
    }

    /// Carries out an operation, and returns the response or the error's code and message.
    pub fn ec2(&mut self, action: &str, parameters: &[(&str, &str)]) -> Result<String, String> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let mut rows = ec2::OPERATIONS.iter().flat_map(|rows| rows.iter());
        let operation = rows.find(|row| row.name == action).ok_or_else(|| format!("no operation {action}"))?;
        let input = Params::parse(form.as_bytes());
        let told = |error: crate::wire::ApiError| format!("{}: {}", error.code, error.message);
        operation.check(&input, ec2::ALWAYS).map_err(told)?;
        let (addresses, directory) = (&self.addresses, &*self.directory);
        let call = Call {
            input,
            region: "us-east-1",
            account: self.cloud.account,
            access_key: "key",
            now: Utc::now(),
            addresses,
            directory,
            context: &Context::default(),
            requests: &NoRequests,
        };
        let answer = match operation.run {
            Run::Reads(run) => run(&self.cloud, &call),
            Run::Writes(run) => {
                let mut draft = self.cloud.clone();
                let answer = run(&mut draft, &call);
                if answer.is_ok() {
                    self.cloud = draft;
                }
                answer
            }
            Run::Performs(_) => return Err(format!("{action} needs a runtime")),
        };
        answer.map(|answer| xml::query_answer("urn:ec2", action, "request", &answer)).map_err(told)
    }

    pub fn network(&self) -> Declared {
        Declared(crate::domain::network::of(&self.cloud))
    }
}

/// The fabric of a cloud's directory.
#[derive(Debug)]
pub struct Fabric(Namespaces);

impl Fabric {
    pub async fn start(directory: &Path) -> io::Result<Fabric> {
        Namespaces::start(directory).await.map(Fabric)
    }

    pub async fn reconcile(&self, network: &Declared) -> io::Result<()> {
        self.0.reconcile(&network.0).await
    }

    pub async fn listen(&self, at: &At, address: SocketAddr) -> io::Result<TcpListener> {
        self.0.listen(&at.place(), address).await
    }

    pub async fn connect(&self, at: &At, address: SocketAddr) -> io::Result<TcpStream> {
        self.0.connect(&at.place(), address).await
    }

    pub async fn socket(&self, at: &At) -> io::Result<TcpSocket> {
        self.0.socket(&at.place()).await
    }

    pub async fn bind_udp(&self, at: &At, address: SocketAddr) -> io::Result<UdpSocket> {
        self.0.bind_udp(&at.place(), address).await
    }

    pub async fn namespace(&self, interface: &str) -> io::Result<(OwnedFd, Option<u32>)> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let namespace = self.0.namespace(interface).await?.ok_or_else(missing)?;
        Ok((namespace.file, namespace.owner))
    }

    /// Starts a shell script in the namespace of an interface, and returns its pid. `as_user` is a user's id.
    pub async fn run(
        &self,
        interface: &str,
        is_confined: bool,
        as_user: Option<u32>,
        script: &str,
        directory: &Path,
    ) -> io::Result<u32> {
        let confinement = Confinement { writable: vec![directory.to_owned()], readable: Vec::new(), user: None };
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let spec = ProcessSpec {
            program: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            environment: BTreeMap::from([("PATH".to_owned(), path.to_owned())]),
            directory: directory.to_owned(),
            log: directory.join("log"),
            user: as_user.map(|id| User { uid: id, gid: id }),
            confinement: is_confined.then_some(confinement),
        };
        let namespace = self.0.namespace(interface).await?;
        process::spawn(&spec, namespace.as_ref()).map(|process| process.pid)
    }

    /// Returns the pid of the network process.
    pub fn process(&self) -> Option<u32> {
        self.0.process().map(|process| process.pid)
    }

    pub fn generation(&self) -> tokio::sync::watch::Receiver<u64> {
        self.0.generation()
    }

    pub async fn shutdown(&self) -> io::Result<()> {
        self.0.shutdown().await
    }
}

/// Returns the reason why this machine cannot have a network of namespaces.
pub fn unavailable() -> Option<String> {
    probe().err().map(|reason| reason.to_string())
}
