//! A relay in front of a server, which delays or holds its connections.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use crate::listen;

/// A TCP port that forwards connections to the Unix socket of a server.
pub struct Relay {
    /// Address of the port.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    line: Mutex<Line>,
    changed: Condvar,
}

/// Condition of the line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Forwards what the client sends after this time.
    Delayed(Duration),
    /// Keeps the connections open, and forwards nothing.
    Silent,
    /// Closes everything at the end of the test.
    Closed,
}

impl Relay {
    /// Starts a relay without a delay.
    pub(super) fn to_socket(server: PathBuf) -> Self {
        let listener = listen::bind("LISTEN", "127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { line: Mutex::new(Line::Delayed(Duration::ZERO)), changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &server, &accepting));
        Self { address, shared }
    }

    /// Delays everything that clients send from now on.
    pub fn delay(&self, delay: Duration) {
        self.shared.set(Line::Delayed(delay));
    }

    /// Stops to forward, without closing a connection, until [`Relay::delay`] is called.
    pub fn silence(&self) {
        self.shared.set(Line::Silent);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.set(Line::Closed);
        // Wakes the thread that accepts connections.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn set(&self, line: Line) {
        *self.line.lock().unwrap() = line;
        self.changed.notify_all();
    }

    /// Waits until the line forwards again. Returns the delay, or `None` if the line is closed.
    fn wait(&self) -> Option<Duration> {
        let line = self.changed.wait_while(self.line.lock().unwrap(), |line| *line == Line::Silent).unwrap();
        match *line {
            Line::Delayed(delay) => Some(delay),
            Line::Silent | Line::Closed => None,
        }
    }
}

fn accept(listener: &TcpListener, server: &Path, shared: &Arc<Shared>) {
    while let Ok((client, _)) = listener.accept() {
        if *shared.line.lock().unwrap() == Line::Closed {
            return;
        }
        let shared = Arc::clone(shared);
        let server = server.to_path_buf();
        thread::spawn(move || {
            // A server that is stopped refuses the connection, as it would without the relay.
            let Ok(server) = UnixStream::connect(server) else { return };
            let (Ok(back), Ok(forth)) = (server.try_clone(), client.try_clone()) else { return };
            let answers = thread::spawn(move || copy(back, forth, || Some(Duration::ZERO)));
            copy(&client, &server, || shared.wait());
            // Both may already be closed.
            let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
            let _ = answers.join();
        });
    }
}

/// Copies until one side is closed. `pass` returns the delay of each part, or `None` to stop.
fn copy(mut from: impl Read, mut to: impl Write, pass: impl Fn() -> Option<Duration>) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let Some(delay) = pass() else { return };
        thread::sleep(delay);
        if to.write_all(&bytes[..count]).is_err() {
            return;
        }
    }
}
