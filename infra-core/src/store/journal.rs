//! The append-only journal with group commit.

use super::StoreError;
use crate::{
    state::Entry,
    value::{self, Seal},
};
use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::{Arc, mpsc},
    thread,
};
use tokio::sync::oneshot;

/// Takes entries. One thread writes them: whatever has gathered while it was busy goes out with one write and one sync.
#[derive(Clone)]
pub struct Journal {
    sender: mpsc::Sender<Message>,
}

/// The thread that writes; dropping it waits until everything that was handed over has been written, so that the
/// stack's lock, which is dropped after it, covers the last line.
pub(super) struct Writer(Option<thread::JoinHandle<()>>);

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // A writer that panicked has told every caller that it is gone.
            let _ = thread.join();
        }
    }
}

struct Message {
    entry: Entry,
    durable: Option<oneshot::Sender<Result<(), String>>>,
}

/// Where the lines of a journal go.
pub(super) trait Sink: Send + 'static {
    fn append(&mut self, lines: &[u8]) -> std::io::Result<()>;
}

impl Journal {
    /// A journal that writes to `sink`, and its writer.
    pub(super) fn to(mut sink: impl Sink, seal: Arc<dyn Seal>) -> (Self, Writer) {
        let (sender, receiver) = mpsc::channel::<Message>();
        let writer = thread::spawn(move || {
            while let Ok(first) = receiver.recv() {
                let batch: Vec<Message> = std::iter::once(first).chain(receiver.try_iter()).collect();
                let mut lines = Vec::new();
                let encoded =
                    batch.iter().try_for_each(|message| line(&message.entry, &seal).map(|line| lines.extend(line)));
                let outcome = encoded.and_then(|()| sink.append(&lines).map_err(|error| error.to_string()));
                for durable in batch.into_iter().filter_map(|message| message.durable) {
                    // A caller that stopped waiting needs no answer.
                    let _ = durable.send(outcome.clone());
                }
            }
        });
        (Self { sender }, Writer(Some(writer)))
    }

    /// Appends an entry and returns once it is durable.
    pub async fn append(&self, entry: Entry) -> Result<(), StoreError> {
        let (durable, answer) = oneshot::channel();
        self.send(entry, Some(durable))?;
        answer.await.map_err(|_| StoreError::Journal("its writer has ended".into()))?.map_err(StoreError::Journal)
    }

    /// Appends an entry that becomes durable with the next one that is waited for; losing it costs a look at the
    /// provider, nothing more.
    pub fn note(&self, entry: Entry) -> Result<(), StoreError> {
        self.send(entry, None)
    }

    fn send(&self, entry: Entry, durable: Option<oneshot::Sender<Result<(), String>>>) -> Result<(), StoreError> {
        self.sender.send(Message { entry, durable }).map_err(|_| StoreError::Journal("its writer has ended".into()))
    }
}

/// One line: CRC-32 of the JSON in eight hexadecimal digits, a space, the JSON.
fn line(entry: &Entry, seal: &Arc<dyn Seal>) -> Result<Vec<u8>, String> {
    let json = value::sealing(seal, || serde_json::to_string(entry)).map_err(|error| error.to_string())?;
    Ok(format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes())).into_bytes())
}

/// Reads the entries of a journal. An incomplete last line is what a crash leaves behind: it was never durable, so
/// nothing depends on it. Anything else that is wrong is an error.
pub(super) fn read(path: &Path, text: &[u8], seal: &Arc<dyn Seal>) -> Result<(Vec<Entry>, usize), StoreError> {
    let mut entries = Vec::new();
    let mut whole = 0;
    for (number, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let broken = |reason: String| StoreError::Broken { path: path.to_owned(), line: number + 1, reason };
        let last = whole + line.len() == text.len();
        let parsed = parse(line, seal);
        match parsed {
            Ok(entry) => entries.push(entry),
            Err(_) if last && !line.ends_with(b"\n") => break,
            Err(reason) => return Err(broken(reason)),
        }
        whole += line.len();
    }
    Ok((entries, whole))
}

fn parse(line: &[u8], seal: &Arc<dyn Seal>) -> Result<Entry, String> {
    let line = std::str::from_utf8(line).map_err(|error| error.to_string())?;
    let line = line.strip_suffix('\n').ok_or("the line is not complete")?;
    let (sum, json) = line.split_once(' ').ok_or("no checksum")?;
    if u32::from_str_radix(sum, 16) != Ok(crc32fast::hash(json.as_bytes())) {
        return Err("its checksum does not fit: the line was changed".into());
    }
    value::sealing(seal, || serde_json::from_str(json)).map_err(|error| error.to_string())
}

/// A file, synced after every batch.
pub(super) struct Synced(pub(super) File);

impl Sink for Synced {
    fn append(&mut self, lines: &[u8]) -> std::io::Result<()> {
        self.0.write_all(lines)?;
        self.0.sync_data()
    }
}
