//! The network process: it owns the namespaces of a cloud and outlives the cloud.
//!
//! It is this executable again, in a session of its own. A cloud that starts in the same directory connects to it, and
//! finds programs and open connections as they were.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::exit;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{getegid, geteuid, setsid, umask};
use rustix::thread::{CapabilitySet, capabilities, configure_capability_in_ambient_set, set_capabilities};
use serde::{Deserialize, Serialize};

use super::actual::{Actual, Places};
use super::protocol::{self, Request, Response, VERSION};
use super::space::Space;
use crate::model::process::ProcessIdentity;
use crate::runtime::network::Place;
use crate::state::files;

/// File of the cloud's directory that identifies the network process.
pub(super) const RECORD: &str = "network.json";
/// Socket of the network process in the cloud's directory.
pub(super) const SOCKET: &str = "network.sock";
/// File of the cloud's directory for messages of the network process.
pub(super) const LOG: &str = "network.log";

/// Answer on standard output once the process accepts connections. Anything else is the reason why it does not.
pub(super) const READY: &str = "ready";

/// Interval of checks whether the process is still needed.
const CHECK: Duration = Duration::from_secs(1);
/// Time without a cloud and without programs after which the process stops.
const IDLE: Duration = Duration::from_mins(5);
/// Limit of open connections.
const CONNECTIONS: usize = 256;

/// Content of [`RECORD`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) version: u32,
    #[serde(flatten)]
    pub(super) identity: ProcessIdentity,
}

impl Record {
    pub(super) fn read(directory: &Path) -> Option<Record> {
        serde_json::from_slice(&files::read(&directory.join(RECORD)).ok()??).ok()
    }
}

/// Runs the network process. The only argument is the cloud's directory.
pub(in crate::runtime) fn run(mut arguments: impl Iterator<Item = OsString>) -> ! {
    let started = arguments.next().ok_or_else(|| io::Error::other("a directory is missing")).and_then(start);
    let mut output = io::stdout();
    match started {
        Ok(server) => {
            let _ = writeln!(output, "{READY}").and_then(|()| output.flush());
            let null = File::options().write(true).open("/dev/null");
            let _ = null.and_then(|null| Ok(rustix::stdio::dup2_stdout(null)?));
            server.serve()
        }
        Err(error) => {
            let _ = writeln!(output, "{error}");
            exit(1)
        }
    }
}

fn start(directory: OsString) -> io::Result<Server> {
    // It fails for the leader of a process group, which is detached already.
    let _ = setsid();
    umask(Mode::from_raw_mode(0o077));
    crate::runtime::descriptors::raise();
    let directory = PathBuf::from(directory);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = rustix::fs::open(&directory, flags, Mode::empty())?;
    std::env::set_current_dir("/")?;
    enter_namespaces()?;
    let places = Places::default();
    let actual = Actual::new(Arc::clone(&places))?;
    let identity = ProcessIdentity::of(std::process::id()).ok_or_else(|| io::Error::other("/proc is not mounted"))?;
    // The path of a socket is limited to 108 bytes, and a directory's is not.
    let place = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
    match fs::remove_file(place.join(SOCKET)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(place.join(SOCKET))?;
    listener.set_nonblocking(true)?;
    let record = Record { version: VERSION, identity };
    files::write_private(&place.join(RECORD), &serde_json::to_vec(&record)?)?;
    Ok(Server {
        place,
        _directory: open,
        identity,
        listener,
        shared: Arc::new(Shared {
            places,
            actual: Mutex::new(actual),
            connections: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        }),
    })
}

/// Enters a network namespace, and without root's rights a user namespace in which this user may configure it.
pub(super) fn enter_namespaces() -> io::Result<()> {
    if geteuid().is_root() {
        return Ok(unshare(CloneFlags::CLONE_NEWNET)?);
    }
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
    // A program that a user other than root executes has ambient capabilities alone: `nft` needs this one.
    let mut sets = capabilities(None)?;
    sets.inheritable |= CapabilitySet::NET_ADMIN;
    set_capabilities(None, sets)?;
    Ok(configure_capability_in_ambient_set(CapabilitySet::NET_ADMIN, true)?)
}

struct Server {
    /// The cloud's directory, as a path through its file descriptor.
    place: PathBuf,
    _directory: OwnedFd,
    identity: ProcessIdentity,
    listener: UnixListener,
    shared: Arc<Shared>,
}

/// State that the threads of all connections use.
struct Shared {
    places: Places,
    actual: Mutex<Actual>,
    connections: AtomicUsize,
    stopping: AtomicBool,
}

impl Server {
    /// Serves connections until the process is no longer needed.
    fn serve(self) -> ! {
        let mut needed = Instant::now();
        let mut checked = Instant::now();
        while !self.shared.stopping.load(Ordering::Relaxed) {
            if self.wait() {
                self.accept();
            }
            if checked.elapsed() < CHECK {
                continue;
            }
            checked = Instant::now();
            if !self.is_in_directory() {
                // The cloud was deleted or has another network process.
                exit(0)
            }
            if self.shared.connections.load(Ordering::Relaxed) > 0 || needed.elapsed() > IDLE && self.has_programs() {
                needed = Instant::now();
            }
            if needed.elapsed() > IDLE {
                break;
            }
        }
        if self.is_in_directory() {
            for file in [SOCKET, RECORD] {
                let _ = fs::remove_file(self.place.join(file));
            }
        }
        exit(0)
    }

    /// Waits for a connection, up to the time of the next check.
    fn wait(&self) -> bool {
        let limit = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
        let mut files = [PollFd::new(&self.listener, PollFlags::IN)];
        poll(&mut files, Some(&limit)).is_ok_and(|ready| ready > 0)
    }

    fn accept(&self) {
        let Ok((stream, _)) = self.listener.accept() else { return };
        let peer = rustix::net::sockopt::socket_peercred(&stream);
        let is_own = peer.is_ok_and(|peer| peer.uid == geteuid());
        if !is_own || self.shared.connections.load(Ordering::Relaxed) >= CONNECTIONS {
            return;
        }
        self.shared.connections.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(&self.shared));
        let spawned = thread::Builder::new().name("connection".to_owned()).spawn(move || {
            if let Err(error) = counted.0.converse(&stream) {
                eprintln!("a connection failed: {error}");
            }
        });
        if let Err(error) = spawned {
            eprintln!("a connection has no thread: {error}");
        }
    }

    /// Returns whether the directory still names this process.
    fn is_in_directory(&self) -> bool {
        Record::read(&self.place).is_some_and(|record| record.identity == self.identity)
    }

    /// Returns whether a process is in the namespace of an interface.
    fn has_programs(&self) -> bool {
        // During a reconciliation a cloud is connected.
        let Ok(actual) = self.shared.actual.try_lock() else { return true };
        let namespaces = actual.interface_namespaces();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let namespace = |entry: fs::DirEntry| Some(fs::metadata(entry.path().join("ns/net")).ok()?.ino());
        processes.filter_map(namespace).any(|namespace| namespaces.contains(&namespace))
    }
}

/// Counts a connection until it is closed, even if its thread panics or cannot be started.
struct Counted(Arc<Shared>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    /// Answers the requests of a connection. Every connection has a thread, which enters the namespaces it is asked for.
    fn converse(&self, stream: &UnixStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        while let Some((request, _)) = protocol::receive::<Request>(stream)? {
            let stops = matches!(request, Request::Shutdown);
            let (response, file) = match self.answer(request) {
                Ok(file) => (Response::Done, file),
                Err(error) => (Response::failed(&error), None),
            };
            protocol::send(stream, &response, file)?;
            if stops {
                self.stopping.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn answer(&self, request: Request) -> io::Result<Option<OwnedFd>> {
        match request {
            Request::Hello { version: VERSION } | Request::Shutdown => Ok(None),
            Request::Hello { version } => Err(io::Error::other(format!("the version is {VERSION}, not {version}"))),
            Request::Reconcile { network } => {
                let mut actual = self.actual.lock().unwrap_or_else(PoisonError::into_inner);
                let errors = actual.reconcile(&network);
                if errors.is_empty() { Ok(None) } else { Err(io::Error::other(errors.join("; "))) }
            }
            Request::Listen { place, address } => self.space(&place)?.listen(address).map(Some),
            Request::Socket { place } => self.space(&place)?.socket().map(Some),
            Request::Datagrams { place, address } => self.space(&place)?.datagrams(address).map(Some),
            Request::Namespace { interface } => {
                let space = self.space(&Place::Interface(interface))?;
                space.file().as_fd().try_clone_to_owned().map(Some)
            }
        }
    }

    fn space(&self, place: &Place) -> io::Result<Arc<Space>> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("{place:?} does not exist"));
        places.get(place).cloned().ok_or_else(missing)
    }
}
