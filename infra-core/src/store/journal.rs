//! The append-only journal with group commit.

use super::{KeyRing, StoreError, secrets};
use crate::{
    boundary::{self, Boundary},
    state::Entry,
    value::{self, Seal},
};
use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};
use tokio::sync::oneshot;

/// Takes entries. One thread writes them: whatever has gathered while it was busy goes out with one write and one sync.
#[derive(Clone)]
pub struct Journal {
    sender: mpsc::Sender<Message>,
    used: Arc<AtomicBool>,
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
    /// None when somebody only wants to know that everything before is written.
    entry: Option<Entry>,
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
            // After a failed write the file may end in half a line, which must stay its end.
            let mut failed: Option<String> = None;
            while let Ok(first) = receiver.recv() {
                let batch: Vec<Message> = std::iter::once(first).chain(receiver.try_iter()).collect();
                let outcome = match &failed {
                    Some(error) => Err(error.clone()),
                    None => write(&batch, &mut sink, &seal),
                };
                failed = outcome.as_ref().err().cloned();
                for durable in batch.into_iter().filter_map(|message| message.durable) {
                    // A caller that stopped waiting needs no answer.
                    let _ = durable.send(outcome.clone());
                }
            }
        });
        (Self { sender, used: Arc::default() }, Writer(Some(writer)))
    }

    /// Appends an entry and returns once it is durable.
    pub async fn append(&self, entry: Entry) -> Result<(), StoreError> {
        let (durable, answer) = oneshot::channel();
        self.send(Some(entry), Some(durable))?;
        answer.await.map_err(|_| StoreError::Journal("its writer has ended".into()))?.map_err(StoreError::Journal)
    }

    /// Appends an entry that becomes durable with the next one that is waited for; losing it costs a look at the
    /// provider, nothing more.
    pub fn note(&self, entry: Entry) -> Result<(), StoreError> {
        self.send(Some(entry), None)
    }

    /// Returns once everything that was handed over is durable.
    pub(super) async fn drain(&self) -> Result<(), StoreError> {
        let (durable, answer) = oneshot::channel();
        self.send(None, Some(durable))?;
        answer.await.map_err(|_| StoreError::Journal("its writer has ended".into()))?.map_err(StoreError::Journal)
    }

    /// Whether any entry was handed over.
    pub(super) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    fn send(
        &self,
        entry: Option<Entry>,
        durable: Option<oneshot::Sender<Result<(), String>>>,
    ) -> Result<(), StoreError> {
        self.used.fetch_or(entry.is_some(), Ordering::Relaxed);
        self.sender.send(Message { entry, durable }).map_err(|_| StoreError::Journal("its writer has ended".into()))
    }
}

fn write(batch: &[Message], sink: &mut impl Sink, seal: &Arc<dyn Seal>) -> Result<(), String> {
    let mut lines = Vec::new();
    for entry in batch.iter().filter_map(|message| message.entry.as_ref()) {
        lines.extend(line(entry, seal)?);
    }
    if lines.is_empty() {
        return Ok(());
    }
    sink.append(&lines).map_err(|error| error.to_string())
}

/// One line: CRC-32 of the JSON in eight hexadecimal digits, a space, the JSON.
fn line(entry: &Entry, seal: &Arc<dyn Seal>) -> Result<Vec<u8>, String> {
    let json = value::sealing(seal, || serde_json::to_string(entry)).map_err(|error| error.to_string())?;
    Ok(checked(&json).into_bytes())
}

fn checked(json: &str) -> String {
    format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()))
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

/// The journal with every secret under the ring's key in use; `None` when it is so already. The error is the number of
/// the line that was changed, or whose secret no key opens.
pub(super) fn reseal(text: &str, ring: &KeyRing) -> Result<Option<String>, usize> {
    let mut answer = String::new();
    let mut changed = false;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        // The header has no checksum; an incomplete line at the end never counts.
        let resealed = match line.split_once(' ').filter(|_| number > 0 && line.ends_with('\n')) {
            Some((sum, json)) => {
                let json = json.trim_end_matches('\n');
                if u32::from_str_radix(sum, 16) != Ok(crc32fast::hash(json.as_bytes())) {
                    return Err(number + 1);
                }
                secrets::reseal(json, ring).map_err(|_| number + 1)?
            }
            None => None,
        };
        match resealed {
            Some(json) => {
                changed = true;
                answer.push_str(&checked(&json));
            }
            None => answer.push_str(line),
        }
    }
    Ok(changed.then_some(answer))
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
        boundary::reached(Boundary::JournalWrite);
        self.0.write_all(lines)?;
        boundary::reached(Boundary::JournalSync);
        self.0.sync_data()?;
        boundary::reached(Boundary::JournalSynced);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{store::DataKey, urn::Urn};
    use std::{
        io,
        sync::{Mutex, PoisonError},
    };

    /// A disk that is full after so many bytes, which it still takes.
    #[derive(Clone)]
    struct Disk {
        written: Arc<Mutex<Vec<u8>>>,
        room: usize,
    }

    impl Sink for Disk {
        fn append(&mut self, lines: &[u8]) -> io::Result<()> {
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            let room = self.room.saturating_sub(written.len()).min(lines.len());
            written.extend(&lines[..room]);
            if room < lines.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }

    fn entry(name: &str) -> Entry {
        Entry::Forgotten(Urn::new("dev", "p", "t:T", name).unwrap())
    }

    #[tokio::test]
    async fn a_full_disk_leaves_whole_lines_and_half_a_line_at_the_end() {
        let seal: Arc<dyn Seal> = Arc::new(DataKey::random().unwrap());
        let disk = Disk { written: Arc::default(), room: 100 };
        let (journal, writer) = Journal::to(disk.clone(), seal.clone());
        journal.append(entry("first")).await.unwrap();
        journal.append(entry("second")).await.unwrap_err();
        let error = journal.append(entry("third")).await.unwrap_err();
        assert!(error.to_string().contains("cannot be written"), "{error}");
        drop(journal);
        drop(writer);
        let written = disk.written.lock().unwrap().clone();
        let (entries, whole) = read(Path::new("journal"), &written, &seal).unwrap();
        assert_eq!(entries, [entry("first")]);
        assert!(whole < written.len());
    }

    #[test]
    fn a_changed_line_is_refused_by_its_number() {
        let seal: Arc<dyn Seal> = Arc::new(DataKey::random().unwrap());
        let mut text = [line(&entry("first"), &seal).unwrap(), line(&entry("second"), &seal).unwrap()].concat();
        let at = text.len() - 10;
        text[at] ^= 1;
        let error = read(Path::new("journal"), &text, &seal).unwrap_err();
        assert!(matches!(error, StoreError::Broken { line: 2, .. }), "{error}");
    }
}
