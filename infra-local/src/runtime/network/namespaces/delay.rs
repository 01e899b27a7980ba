//! Delayed packets: a queue in user space that every router sends to and receives from.
//!
//! A router judges a packet and routes it as ever. When the packet is about to leave by its link, the packet filter
//! sends the frame to [`LINK`] instead, with a source address that contains the delay and the link ([`tag`]). At the other
//! end, in a namespace of its own, a thread holds the frame back and returns it. The packet filter then sends it out by
//! the link that the address names; the router's rules do not see it again.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recvfrom, sendto, socket_with, sockopt,
};

use super::checksum;
use super::space::Space;

/// Name of a router's link to the queue.
pub(super) const LINK: &str = "delay";

/// Limits of the queue. A packet beyond them is dropped, as by a router whose buffer is full.
const MOST_BYTES: usize = 64 << 20;
const MOST_PACKETS: usize = 100_000;

/// Size of the socket's buffer, as far as the system permits it.
const SOCKET_BUFFER: usize = 8 << 20;
/// Frames that are received before due ones are returned.
const BATCH: usize = 256;
/// Limit of a frame.
const FRAME: usize = 65_536 + 14;

/// The first byte of tags: a locally administered address.
const LOCAL: u8 = 2;

/// Returns the source address of a frame for the queue: its delay in milliseconds, and the index of the link that it
/// leaves by. Sixteen million links outlast a network process.
pub(super) fn tag(milliseconds: u16, link: u32) -> [u8; 6] {
    let [high, low] = milliseconds.to_be_bytes();
    let [_, first, second, third] = link.to_be_bytes();
    [LOCAL, high, low, first, second, third]
}

/// Takes the delay out of a frame's tag. `None` for a frame that has none.
fn take_delay(frame: &mut [u8]) -> Option<Duration> {
    let source = frame.get_mut(6..12)?;
    let milliseconds = u16::from_be_bytes([source[1], source[2]]);
    source[1..3].fill(0);
    (source[0] == LOCAL && milliseconds > 0).then(|| Duration::from_millis(milliseconds.into()))
}

/// Starts the thread, and returns its namespace, in which the other ends of the links are.
pub(super) fn start() -> io::Result<Arc<Space>> {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().name("delay".to_owned()).spawn(move || match open() {
        Ok((space, socket)) => {
            if sender.send(Ok(Arc::new(space))).is_ok() {
                run(&socket);
            }
        }
        Err(error) => _ = sender.send(Err(error)),
    })?;
    receiver.recv().map_err(io::Error::other)?
}

/// Creates the namespace, and a socket that receives the frames of all its links.
fn open() -> io::Result<(Space, OwnedFd)> {
    let space = Space::create()?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // Of this protocol, the socket does not receive what it has sent.
    let ipv4 = Some(rustix::net::eth::IP);
    let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, ipv4)?;
    let _ = sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BUFFER);
    Ok((space, socket))
}

/// Delays frames until the process stops.
fn run(socket: &OwnedFd) -> ! {
    let mut queue = Queue::default();
    let mut buffer = vec![0; FRAME];
    loop {
        let wait = queue.due().map(|due| due.saturating_duration_since(Instant::now()));
        let wait = wait.and_then(|wait| Timespec::try_from(wait).ok());
        // A failure is one of the socket, which receiving reports and clears.
        let _ = poll(&mut [PollFd::new(socket, PollFlags::IN)], wait.as_ref());
        for _ in 0..BATCH {
            let Ok((_, length, Some(link))) = recvfrom(socket, &mut buffer[..], RecvFlags::empty()) else { break };
            let Some(frame) = buffer.get_mut(..length) else { continue };
            if let Some(delay) = take_delay(frame) {
                queue.push(Instant::now() + delay, frame, link);
            }
        }
        let now = Instant::now();
        while let Some(Delayed { mut frame, link, .. }) = queue.pop(now) {
            checksum::complete(&mut frame);
            // The address of the link that the frame came from is also where it returns to. A frame that cannot be sent is
            // lost, as on any link.
            let _ = sendto(socket, &frame, SendFlags::empty(), &link);
        }
    }
}

/// Frames in the order in which they are due.
struct Queue<L> {
    frames: BinaryHeap<Delayed<L>>,
    bytes: usize,
    /// Number of the newest frame.
    last: u64,
}

struct Delayed<L> {
    due: Instant,
    number: u64,
    frame: Vec<u8>,
    link: L,
}

impl<L> Default for Queue<L> {
    fn default() -> Self {
        Queue { frames: BinaryHeap::new(), bytes: 0, last: 0 }
    }
}

impl<L> Queue<L> {
    fn due(&self) -> Option<Instant> {
        self.frames.peek().map(|first| first.due)
    }

    fn push(&mut self, due: Instant, frame: &[u8], link: L) {
        if self.frames.len() >= MOST_PACKETS || self.bytes + frame.len() > MOST_BYTES {
            return;
        }
        self.bytes += frame.len();
        self.last += 1;
        self.frames.push(Delayed { due, number: self.last, frame: frame.to_vec(), link });
    }

    /// Removes the first frame if it is due.
    fn pop(&mut self, now: Instant) -> Option<Delayed<L>> {
        let first = PeekMut::pop(self.frames.peek_mut().filter(|first| first.due <= now)?);
        self.bytes -= first.frame.len();
        Some(first)
    }
}

impl<L> Ord for Delayed<L> {
    /// The greatest frame is the first one that is due. Frames with the same delay keep their order.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.number).cmp(&(self.due, self.number))
    }
}

impl<L> PartialOrd for Delayed<L> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<L> PartialEq for Delayed<L> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<L> Eq for Delayed<L> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_contains_the_delay_and_the_link() {
        let mut frame = vec![9; 6];
        frame.extend(tag(300, 70_000));
        assert_eq!(take_delay(&mut frame), Some(Duration::from_millis(300)));
        assert_eq!(frame[6..], tag(0, 70_000), "a returned frame names its link alone");
        assert_eq!(take_delay(&mut frame), None);
        assert_eq!(take_delay(&mut [0; 11]), None);
    }

    #[test]
    fn frames_leave_in_the_order_in_which_they_are_due() {
        let now = Instant::now();
        let later = |milliseconds| now + Duration::from_millis(milliseconds);
        let mut queue = Queue::default();
        for (due, frame) in [(20, b"c"), (10, b"a"), (20, b"d"), (10, b"b")] {
            queue.push(later(due), frame, ());
        }
        assert_eq!(queue.due(), Some(later(10)));
        assert!(queue.pop(later(9)).is_none());
        let popped: Vec<u8> = std::iter::from_fn(|| queue.pop(later(19))).flat_map(|one| one.frame).collect();
        assert_eq!(popped, b"ab");
        let popped: Vec<u8> = std::iter::from_fn(|| queue.pop(later(20))).flat_map(|one| one.frame).collect();
        assert_eq!((popped.as_slice(), queue.bytes), (&b"cd"[..], 0));
    }

    #[test]
    fn a_full_queue_drops_frames() {
        let now = Instant::now();
        let mut queue = Queue::default();
        let frame = vec![0; MOST_BYTES / 4];
        for _ in 0..6 {
            queue.push(now, &frame, ());
        }
        assert_eq!((queue.frames.len(), queue.bytes), (4, MOST_BYTES));
        assert!(queue.pop(now).is_some());
        queue.push(now, &frame, ());
        assert_eq!(queue.bytes, MOST_BYTES);
        let mut queue = Queue::default();
        for _ in 0..=MOST_PACKETS {
            queue.push(now, &[], ());
        }
        assert_eq!(queue.frames.len(), MOST_PACKETS);
    }
}
