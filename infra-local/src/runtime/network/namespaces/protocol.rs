//! The protocol between a cloud and its network process: length-prefixed JSON over a Unix socket, with file descriptors.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddrV4;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::domain::network::Network;
use crate::runtime::network::Place;

/// Version of the protocol and of the namespaces' layout. A network process of another version is replaced.
pub(super) const VERSION: u32 = 3;

/// Limit of a message's length.
pub(super) const MOST_BYTES: usize = 64 << 20;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    /// Checks that the process has this version.
    Hello { version: u32 },
    /// Brings the namespaces in line with a network.
    Reconcile { network: Box<Network> },
    /// Opens a TCP listener; the response carries it.
    Listen { place: Place, address: SocketAddrV4 },
    /// Creates an unconnected TCP socket; the response carries it.
    Socket { place: Place },
    /// Opens a UDP socket; the response carries it.
    Datagrams { place: Place, address: SocketAddrV4 },
    /// Returns a file of an interface's network namespace.
    Namespace { interface: String },
    /// Stops the process, and with it everything that it has created.
    Shutdown,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Response {
    Done,
    Failed {
        message: String,
        /// The system's error number, if it reported one.
        code: Option<i32>,
    },
}

impl Response {
    pub(super) fn failed(error: &io::Error) -> Response {
        Response::Failed { message: error.to_string(), code: error.raw_os_error() }
    }

    pub(super) fn into_result(self) -> io::Result<()> {
        match self {
            Response::Done => Ok(()),
            Response::Failed { message, code } => {
                let kind = code.map_or(io::ErrorKind::Other, |code| io::Error::from_raw_os_error(code).kind());
                Err(io::Error::new(kind, message))
            }
        }
    }
}

/// Sends a message. A file descriptor accompanies its first byte.
pub(super) fn send(stream: &UnixStream, message: &impl Serialize, file: Option<OwnedFd>) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    send_bytes(stream, &body, file)
}

pub(super) fn send_bytes(mut stream: &UnixStream, body: &[u8], file: Option<OwnedFd>) -> io::Result<()> {
    if body.len() > MOST_BYTES {
        return Err(too_long(body.len()));
    }
    let length = (body.len() as u32).to_le_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let files: Vec<_> = file.iter().map(|file| file.as_fd()).collect();
    if !files.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(io::Error::other("there is no space for a file descriptor"));
    }
    let sent = loop {
        match sendmsg(stream, &[IoSlice::new(&length)], &mut ancillary, SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            sent => break sent?,
        }
    };
    stream.write_all(&length[sent..])?;
    stream.write_all(body)
}

/// Receives a message and the file descriptor that accompanies it. `None` at the end of the stream.
pub(super) fn receive<T: DeserializeOwned>(mut stream: &UnixStream) -> io::Result<Option<(T, Option<OwnedFd>)>> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let flags = RecvFlags::CMSG_CLOEXEC;
        match recvmsg(stream, &mut [IoSliceMut::new(&mut length)], &mut ancillary, flags) {
            Err(rustix::io::Errno::INTR) => {}
            received => break received?.bytes,
        }
    };
    let mut file = None;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(files) = message {
            file = files.last();
        }
    }
    if received == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[received..])?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MOST_BYTES {
        return Err(too_long(length));
    }
    // The buffer grows with the bytes that arrive, whatever length was announced.
    let mut body = Vec::new();
    stream.take(length as u64).read_to_end(&mut body)?;
    if body.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some((serde_json::from_slice(&body)?, file)))
}

fn too_long(length: usize) -> io::Error {
    let message = format!("a message of {length} bytes exceeds the limit of {MOST_BYTES}");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::File;

    use super::*;

    #[test]
    fn a_message_arrives_with_its_file() {
        let (one, other) = UnixStream::pair().unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file"), "content").unwrap();
        let file = File::open(directory.path().join("file")).unwrap();
        send(&one, &Response::Done, Some(file.into())).unwrap();
        send(&one, &Response::Failed { message: "no".to_owned(), code: Some(98) }, None).unwrap();
        let (response, file) = receive::<Response>(&other).unwrap().unwrap();
        assert_eq!(response, Response::Done);
        assert_eq!(io::read_to_string(File::from(file.unwrap())).unwrap(), "content");
        let (response, file) = receive::<Response>(&other).unwrap().unwrap();
        assert_eq!(response.into_result().unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert!(file.is_none());
        drop(one);
        assert!(receive::<Response>(&other).unwrap().is_none());
    }

    #[test]
    fn messages_are_bounded_and_complete() {
        let (mut one, other) = UnixStream::pair().unwrap();
        one.write_all(&(MOST_BYTES as u32 + 1).to_le_bytes()).unwrap();
        assert_eq!(receive::<Response>(&other).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let (mut one, other) = UnixStream::pair().unwrap();
        one.write_all(&[9, 0, 0, 0, b'"']).unwrap();
        drop(one);
        assert_eq!(receive::<Response>(&other).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
