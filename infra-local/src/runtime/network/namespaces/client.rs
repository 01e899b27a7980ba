//! The cloud's side: starts or adopts the network process, and uses it.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rustix::fs::{Mode, OFlags};
use rustix::process::geteuid;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::watch;

use super::COMMAND;
use super::probe::Reason;
use super::process::{LOG, READY, Record, SOCKET};
use super::protocol::{self, Request, Response, VERSION};
use crate::domain::network::Network;
use crate::model::process::ProcessIdentity;
use crate::runtime::executable;
use crate::runtime::network::{Fabric, Namespace, Place};

/// Limit for the answer to a request that opens a socket.
const PATIENCE: Duration = Duration::from_secs(10);
/// Limit for a reconciliation.
const RECONCILIATION: Duration = Duration::from_mins(2);
/// Limit for the start of the network process.
const START: Duration = Duration::from_secs(20);
/// Idle connections that are kept.
const POOL: usize = 8;

/// Every interface in a network namespace of its own.
#[derive(Debug)]
pub(crate) struct Namespaces {
    shared: Arc<Shared>,
    /// Reconciliations are ordered.
    order: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Shared {
    /// The cloud's directory.
    directory: PathBuf,
    /// Connections to the current process that are not in use.
    idle: Mutex<Vec<UnixStream>>,
    /// Identifies the network process. 0 when there is none.
    generation: watch::Sender<u64>,
    process: Mutex<Option<ProcessIdentity>>,
    /// Connection that stays open as long as this value. The network process is in use, and its end is noticed.
    lease: Mutex<Option<UnixStream>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(lease) = lock(&self.lease).take() {
            // The thread that waits for the end of the process has the same socket.
            let _ = lease.shutdown(std::net::Shutdown::Both);
        }
    }
}

impl Namespaces {
    /// Connects to the network process of a cloud's directory. Starts one if there is none or if its version differs.
    pub(crate) async fn start(directory: &Path) -> io::Result<Namespaces> {
        let shared = Arc::new(Shared {
            directory: directory.to_owned(),
            idle: Mutex::default(),
            generation: watch::Sender::new(0),
            process: Mutex::default(),
            lease: Mutex::default(),
        });
        let fabric = Namespaces { shared, order: tokio::sync::Mutex::new(()) };
        fabric.blocking(|shared| shared.ensure().map(|_| ())).await?;
        Ok(fabric)
    }

    /// Returns the network process.
    pub(crate) fn process(&self) -> Option<ProcessIdentity> {
        *lock(&self.shared.process)
    }

    /// Creates a TCP socket of a place. It is not connected.
    pub(crate) async fn socket(&self, place: &Place) -> io::Result<TcpSocket> {
        let file = self.file(Request::Socket { place: place.clone() }).await?;
        Ok(TcpSocket::from_std_stream(file.into()))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Arc<Shared>) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || run(&shared)).await.map_err(io::Error::other)?
    }

    async fn file(&self, request: Request) -> io::Result<OwnedFd> {
        self.blocking(move |shared| {
            let missing = || io::Error::other("the network process returned no file");
            shared.ask(&request, PATIENCE)?.ok_or_else(missing)
        })
        .await
    }
}

#[async_trait]
impl Fabric for Namespaces {
    fn is_private(&self) -> bool {
        true
    }

    async fn reconcile(&self, network: &Network) -> io::Result<()> {
        let request = Request::Reconcile { network: Box::new(network.clone()) };
        let _ordered = self.order.lock().await;
        self.blocking(move |shared| {
            let started = shared.ensure()?;
            let applied = shared.ask(&request, RECONCILIATION);
            let applied = match applied {
                Err(_) if !shared.is_alive() => {
                    shared.ensure()?;
                    shared.ask(&request, RECONCILIATION)
                }
                applied => applied,
            };
            if started || *shared.generation.borrow() == 0 {
                shared.publish();
            }
            applied.map(|_| ())
        })
        .await
    }

    async fn listen(&self, place: &Place, address: SocketAddr) -> io::Result<TcpListener> {
        let request = Request::Listen { place: place.clone(), address: ipv4(address)? };
        TcpListener::from_std(self.file(request).await?.into())
    }

    async fn connect(&self, place: &Place, address: SocketAddr) -> io::Result<TcpStream> {
        self.socket(place).await?.connect(address).await
    }

    async fn bind_udp(&self, place: &Place, address: SocketAddr) -> io::Result<UdpSocket> {
        let request = Request::Datagrams { place: place.clone(), address: ipv4(address)? };
        UdpSocket::from_std(self.file(request).await?.into())
    }

    async fn namespace(&self, interface: &str) -> io::Result<Option<Namespace>> {
        let file = self.file(Request::Namespace { interface: interface.to_owned() }).await?;
        Ok(Some(Namespace { file, owner: self.process().and_then(owner), names: None }))
    }

    fn generation(&self) -> watch::Receiver<u64> {
        self.shared.generation.subscribe()
    }

    async fn shutdown(&self) -> io::Result<()> {
        let _ordered = self.order.lock().await;
        self.blocking(|shared| shared.stop()).await
    }
}

impl Shared {
    /// Sends a request over an idle connection or a new one.
    fn ask(&self, request: &Request, patience: Duration) -> io::Result<Option<OwnedFd>> {
        let idle = lock(&self.idle).pop();
        let exchanged = match idle {
            Some(stream) => exchange(&stream, request, patience).map(|answer| (stream, answer)),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        let (stream, (response, file)) = match exchanged {
            // The process that had this connection may have been replaced.
            Err(error) if is_disconnection(&error) => {
                let (stream, _) = self.connect()?;
                let answer = exchange(&stream, request, patience)?;
                (stream, answer)
            }
            exchanged => exchanged?,
        };
        let mut idle = lock(&self.idle);
        if idle.len() < POOL {
            idle.push(stream);
        }
        response.into_result().map(|()| file)
    }

    /// Returns whether a network process was started, because none of this version exists.
    fn ensure(self: &Arc<Self>) -> io::Result<bool> {
        if self.is_alive() {
            return Ok(false);
        }
        lock(&self.idle).clear();
        let (stream, identity, started) = match self.adopt() {
            Ok((stream, identity)) => (stream, identity, false),
            Err(error) => {
                tracing::debug!(%error, "no network process is adopted");
                self.stop()?;
                self.launch()?;
                let (stream, identity) = self.adopt()?;
                (stream, identity, true)
            }
        };
        *lock(&self.process) = Some(identity);
        if !started {
            self.publish();
        }
        self.watch(stream, identity)?;
        Ok(started)
    }

    fn is_alive(&self) -> bool {
        lock(&self.process).is_some_and(|process| process.is_alive())
    }

    /// Announces the current process to all receivers of the generation.
    fn publish(&self) {
        let generation = lock(&self.process).map_or(0, |process| (process.started << 22) | u64::from(process.pid));
        self.generation.send_replace(generation);
    }

    /// Connects to the recorded process if it has this version.
    fn adopt(&self) -> io::Result<(UnixStream, ProcessIdentity)> {
        let (stream, identity) = self.connect()?;
        let (response, _) = exchange(&stream, &Request::Hello { version: VERSION }, PATIENCE)?;
        response.into_result()?;
        Ok((stream, identity))
    }

    fn connect(&self) -> io::Result<(UnixStream, ProcessIdentity)> {
        connect(&self.directory)
    }

    /// Starts a network process and waits until it accepts connections.
    fn launch(&self) -> io::Result<()> {
        let log = self.directory.join(LOG);
        let log = OpenOptions::new().append(true).create(true).mode(0o600).open(log)?;
        let unable = || io::Error::new(io::ErrorKind::Unsupported, Reason::NoLauncher.to_string());
        let mut command = executable::command(COMMAND).ok_or_else(unable)?;
        let mut child = command.arg(&self.directory).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let output = child.stdout.take();
        let pid = child.id();
        // A thread waits for its end, so that it leaves no zombie.
        thread::spawn(move || child.wait());
        let (sender, receiver) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let mut answer = String::new();
            let read = output.map(|mut output| output.read_to_string(&mut answer));
            let _ = sender.send(read.unwrap_or(Ok(0)).map(|_| answer));
        });
        let answer = receiver.recv_timeout(START).unwrap_or_else(|_| {
            if let Some(started) = ProcessIdentity::of(pid) {
                started.signal(rustix::process::Signal::KILL);
            }
            Err(io::Error::new(io::ErrorKind::TimedOut, "the network process does not start"))
        })?;
        match answer.trim() {
            READY => Ok(()),
            "" => Err(io::Error::other(format!("the network process stopped at once: see {LOG}"))),
            reason => Err(io::Error::other(format!("the network process cannot start: {reason}"))),
        }
    }

    /// Stops the recorded process, if there is one: by a request, else by a signal.
    fn stop(&self) -> io::Result<()> {
        // Its end is expected from now on.
        lock(&self.process).take();
        let Some(Record { identity, .. }) = Record::read(&self.directory) else { return Ok(()) };
        if !identity.is_alive() {
            return Ok(());
        }
        let asked = self.connect().and_then(|(stream, _)| exchange(&stream, &Request::Shutdown, PATIENCE));
        let deadline = Instant::now() + PATIENCE;
        let mut killed = asked.is_err();
        if killed {
            identity.kill();
        }
        while identity.is_alive() {
            if Instant::now() > deadline {
                if killed {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "the network process does not stop"));
                }
                identity.kill();
                killed = true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Notices the end of the process: the connection is closed.
    fn watch(self: &Arc<Self>, stream: UnixStream, identity: ProcessIdentity) -> io::Result<()> {
        stream.set_read_timeout(None)?;
        *lock(&self.lease) = Some(stream.try_clone()?);
        let shared = Arc::downgrade(self);
        thread::Builder::new().name("network".to_owned()).spawn(move || {
            let _ = (&stream).read(&mut [0]);
            if let Some(shared) = shared.upgrade()
                && *lock(&shared.process) == Some(identity)
            {
                tracing::warn!(pid = identity.pid, "the network process stopped");
                shared.generation.send_replace(0);
            }
        })?;
        Ok(())
    }
}

/// Connects to the recorded network process of a cloud's directory, and to no other.
fn connect(directory: &Path) -> io::Result<(UnixStream, ProcessIdentity)> {
    let missing = || io::Error::new(io::ErrorKind::NotConnected, "there is no network process");
    let identity = Record::read(directory).ok_or_else(missing)?.identity;
    if !identity.is_alive() {
        return Err(missing());
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(directory, flags, Mode::empty())?;
    // The path of a socket is limited to 108 bytes, and a directory's is not.
    let stream = UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd()))?;
    let peer = rustix::net::sockopt::socket_peercred(&stream)?;
    if peer.uid != geteuid() || peer.pid.as_raw_nonzero().get().cast_unsigned() != identity.pid {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "another process has the network's socket"));
    }
    Ok((stream, identity))
}

/// Returns the namespace of an interface from the network process of a cloud's directory.
pub(crate) fn namespace(directory: &Path, interface: &str) -> io::Result<Namespace> {
    let (stream, process) = connect(directory)?;
    let request = Request::Namespace { interface: interface.to_owned() };
    let (response, file) = exchange(&stream, &request, PATIENCE)?;
    response.into_result()?;
    let file = file.ok_or_else(|| io::Error::other("the network process returned no file"))?;
    Ok(Namespace { file, owner: owner(process), names: None })
}

/// Returns the process whose user namespace owns the namespaces, unless that is this process's own.
fn owner(process: ProcessIdentity) -> Option<u32> {
    (!geteuid().is_root()).then_some(process.pid)
}

fn exchange(stream: &UnixStream, request: &Request, patience: Duration) -> io::Result<(Response, Option<OwnedFd>)> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    protocol::send(stream, request, None)?;
    let closed = || io::Error::new(io::ErrorKind::NotConnected, "the network process closed the connection");
    protocol::receive(stream)?.ok_or_else(closed)
}

fn is_disconnection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotConnected | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn ipv4(address: SocketAddr) -> io::Result<SocketAddrV4> {
    match address {
        SocketAddr::V4(address) => Ok(address),
        SocketAddr::V6(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "the local network has IPv4 alone")),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
