//! The append-only journal with group commit.
//!
//! One writer commits all entries that arrived during its previous commit at once. It also keeps the state that the
//! snapshot and the journal result in, so that it can fold a long journal on its own.

use super::{Clock, StoreError, hold::Hold, lines};
use crate::{
    state::{Entry, State},
    value::Seal,
};
use async_trait::async_trait;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};
use tokio::sync::{mpsc, oneshot};

/// Size below which a journal is never folded during a run: it can be read within a second or two.
pub(super) const FOLD_AFTER: u64 = 256 * 1024 * 1024;

/// Ratio of journal and snapshot at which a journal is folded, so that the cost of folding per entry does not depend on
/// the size.
const FOLD_RATIO: u64 = 4;

/// Receives entries, and knows if the lock on the stack is still held. Clones share the writer.
#[derive(Clone)]
pub struct Journal {
    sender: mpsc::UnboundedSender<Message>,
    hold: Option<Hold>,
    used: Arc<AtomicBool>,
}

/// Keeps the writer running. When it is dropped, the writer stops after the entries that it has received.
pub(super) struct Writer {
    sender: mpsc::UnboundedSender<Message>,
    /// The thread is joined, so that the lock on the stack covers the last line.
    thread: Option<thread::JoinHandle<()>>,
}

/// The place where the journal and the snapshots of one stack are written. A [`Session`](super::Session) owns one and
/// calls it from a separate thread, one call at a time.
#[async_trait]
pub trait JournalSink: Send + 'static {
    /// Makes entries durable, in their order and all or none of them. Each is the JSON of an [`Entry`] with encrypted
    /// secrets. Returns the number of bytes written.
    async fn append(&mut self, entries: &[String]) -> Result<u64, StoreError>;

    /// Replaces the snapshot with this state and removes the entries of the journal, atomically. The state is serialised
    /// inside [`sealing`](crate::value::sealing).
    async fn fold(&mut self, state: &State) -> Result<StoredSize, StoreError>;

    /// Releases the lock on the stack.
    async fn close(self) -> Result<(), StoreError>;
}

/// Size of the stored state of a stack, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredSize {
    /// Size of the snapshot.
    pub snapshot: u64,
    /// Size of the journal; 0 if it has no entries that the snapshot lacks.
    pub journal: u64,
}

/// The start of a writer.
pub(super) struct Start {
    pub(super) state: State,
    pub(super) seal: Arc<dyn Seal>,
    pub(super) size: StoredSize,
    pub(super) fold_after: u64,
}

enum Message {
    Entry { entry: Box<Entry>, durable: Option<oneshot::Sender<Result<(), String>>> },
    Fold { state: Box<State>, done: oneshot::Sender<Result<u64, StoreError>> },
    Close { done: Option<oneshot::Sender<Result<(), StoreError>>> },
}

impl Journal {
    /// Creates a journal with a thread as its writer, for blocking sinks.
    pub(super) fn on_thread(start: Start, sink: impl JournalSink) -> (Self, Writer) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let writing = Writing::new(start, sink);
        let thread = thread::spawn(move || futures::executor::block_on(writing.run(receiver)));
        (Self { sender: sender.clone(), hold: None, used: Arc::default() }, Writer { sender, thread: Some(thread) })
    }

    /// Creates a journal with a task as its writer, which stops when the lease is lost.
    pub(super) fn on_clock(start: Start, sink: impl JournalSink, hold: Hold, clock: &dyn Clock) -> (Self, Writer) {
        let (sender, receiver) = mpsc::unbounded_channel();
        clock.spawn(Box::pin(Writing::new(start, sink).run(receiver)));
        (Self { sender: sender.clone(), hold: Some(hold), used: Arc::default() }, Writer { sender, thread: None })
    }

    /// Appends an entry and returns once it is durable.
    pub async fn append(&self, entry: Entry) -> Result<(), StoreError> {
        let (durable, answer) = oneshot::channel();
        self.send(Message::Entry { entry: Box::new(entry), durable: Some(durable) })?;
        let answer = tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| ended())?,
            lost = self.lost() => return Err(lost),
        };
        answer.map_err(|error| self.ensure_held().err().unwrap_or(StoreError::Journal(error)))
    }

    /// Appends an entry that becomes durable together with the next one that is waited for. If it is lost, the provider
    /// is asked again.
    pub fn note(&self, entry: Entry) -> Result<(), StoreError> {
        self.send(Message::Entry { entry: Box::new(entry), durable: None })
    }

    /// Fails if the lease has expired, so that another run may hold the stack. Must be called before every call to a
    /// provider, because the store rejects writes of a run that lost its lease, and the cloud does not.
    pub fn ensure_held(&self) -> Result<(), StoreError> {
        self.hold.as_ref().map_or(Ok(()), Hold::ensure)
    }

    /// Waits until the lease expires and returns the cause. Never returns for a lock that is released when its holder
    /// exits.
    pub async fn lost(&self) -> StoreError {
        match &self.hold {
            Some(hold) => hold.lost().await,
            None => std::future::pending().await,
        }
    }

    /// Replaces the snapshot, after all earlier entries, and returns its serial. The writer starts at once, even if the
    /// future is not polled.
    pub(super) fn fold(&self, state: State) -> impl Future<Output = Result<u64, StoreError>> + use<> {
        let (done, answer) = oneshot::channel();
        let sent = self.send(Message::Fold { state: Box::new(state), done });
        async move {
            sent?;
            answer.await.map_err(|_| ended())?
        }
    }

    /// Returns `true` if the journal received an entry.
    pub(super) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    fn send(&self, message: Message) -> Result<(), StoreError> {
        self.used.fetch_or(matches!(message, Message::Entry { .. }), Ordering::Relaxed);
        self.sender.send(message).map_err(|_| ended())
    }
}

impl Writer {
    /// Waits until all entries are written and the lock is released.
    pub(super) async fn close(mut self) -> Result<(), StoreError> {
        let (done, answer) = oneshot::channel();
        self.sender.send(Message::Close { done: Some(done) }).map_err(|_| ended())?;
        let closed = answer.await.map_err(|_| ended())?;
        // The thread has only to free memory.
        self.thread = None;
        closed
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A writer that has stopped needs no message.
        let _ = self.sender.send(Message::Close { done: None });
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has closed its channels, which every caller notices.
            let _ = thread.join();
        }
    }
}

fn ended() -> StoreError {
    StoreError::Journal("its writer has stopped".into())
}

/// A running writer.
struct Writing<S> {
    sink: S,
    seal: Arc<dyn Seal>,
    /// The snapshot with the entries of the journal applied.
    state: State,
    size: StoredSize,
    fold_after: u64,
    /// The error of a failed write. The journal may end with an incomplete line after it, so nothing is appended.
    failed: Option<String>,
}

type Batch = Vec<(Entry, Option<oneshot::Sender<Result<(), String>>>)>;

impl<S: JournalSink> Writing<S> {
    fn new(start: Start, sink: S) -> Self {
        let Start { state, seal, size, fold_after } = start;
        Self { sink, seal, state, size, fold_after, failed: None }
    }

    async fn run(mut self, mut receiver: mpsc::UnboundedReceiver<Message>) {
        while let Some(first) = receiver.recv().await {
            let mut batch = Batch::new();
            let mut next = Some(first);
            while let Some(Message::Entry { entry, durable }) = next {
                batch.push((*entry, durable));
                next = receiver.try_recv().ok();
            }
            if !batch.is_empty() {
                self.commit(batch).await;
            }
            match next {
                Some(Message::Fold { state, done }) => {
                    let serial = self.state.serial.max(state.serial);
                    let outcome = self.fold(State { serial, ..*state }).await;
                    // A caller that stopped waiting needs no result. The same applies below.
                    let _ = done.send(outcome);
                }
                Some(Message::Close { done }) => {
                    let outcome = self.sink.close().await;
                    if let Some(done) = done {
                        let _ = done.send(outcome);
                    }
                    return;
                }
                Some(Message::Entry { .. }) | None => self.fold_when_grown().await,
            }
        }
        if let Err(error) = self.sink.close().await {
            tracing::warn!(%error, "the lock on the stack could not be released");
        }
    }

    async fn commit(&mut self, batch: Batch) {
        let outcome = match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.write(&batch).await,
        };
        self.failed = outcome.as_ref().err().cloned();
        for (entry, durable) in batch {
            if outcome.is_ok() {
                self.state.apply(entry);
            }
            if let Some(durable) = durable {
                let _ = durable.send(outcome.clone());
            }
        }
    }

    async fn write(&mut self, batch: &Batch) -> Result<(), String> {
        let lines = batch.iter().map(|(entry, _)| lines::json(entry, &self.seal)).collect::<Result<Vec<_>, _>>()?;
        self.size.journal += self.sink.append(&lines).await.map_err(|error| error.to_string())?;
        Ok(())
    }

    async fn fold(&mut self, mut state: State) -> Result<u64, StoreError> {
        state.verify().map_err(StoreError::Unsound)?;
        state.serial += 1;
        match self.sink.fold(&state).await {
            Ok(size) => {
                (self.size, self.state, self.failed) = (size, state, None);
                Ok(self.state.serial)
            }
            Err(error) => {
                // The new snapshot may have been written despite the error, and then no run reads this journal.
                self.failed = Some(error.to_string());
                Err(error)
            }
        }
    }

    async fn fold_when_grown(&mut self) {
        let limit = self.fold_after.max(FOLD_RATIO * self.size.snapshot);
        if self.size.journal < limit || self.failed.is_some() {
            return;
        }
        if let Err(error) = self.fold(self.state.clone()).await {
            tracing::warn!(%error, "the journal could not be folded");
            // A state that is invalid now may be valid at the end. Until then every entry stays in the journal.
            self.fold_after = 2 * self.size.journal;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        store::{
            DataKey,
            lines::{Chain, Format},
        },
        urn::Urn,
    };
    use std::{
        io,
        sync::{Mutex, PoisonError},
    };

    /// A disk that is full after this number of bytes.
    #[derive(Clone)]
    struct Disk {
        written: Arc<Mutex<Vec<u8>>>,
        room: usize,
        /// Sizes of the journals that were folded into snapshots.
        folded: Arc<Mutex<Vec<usize>>>,
        chain: Chain,
    }

    #[async_trait]
    impl JournalSink for Disk {
        async fn append(&mut self, entries: &[String]) -> Result<u64, StoreError> {
            let mut lines = Vec::new();
            for json in entries {
                self.chain.push(json, &mut lines);
            }
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            let room = self.room.saturating_sub(written.len()).min(lines.len());
            written.extend(&lines[..room]);
            let full = || StoreError::io("disk")(io::ErrorKind::StorageFull.into());
            if room < lines.len() { Err(full()) } else { Ok(room as u64) }
        }

        async fn fold(&mut self, _: &State) -> Result<StoredSize, StoreError> {
            self.chain = Chain::after(b"disk");
            let journal = std::mem::take(&mut *self.written.lock().unwrap()).len();
            self.folded.lock().unwrap().push(journal);
            Ok(StoredSize { snapshot: 100, journal: 0 })
        }

        async fn close(self) -> Result<(), StoreError> {
            Ok(())
        }
    }

    fn disk(room: usize) -> Disk {
        Disk { written: Arc::default(), room, folded: Arc::default(), chain: Chain::after(b"disk") }
    }

    fn start(seal: Arc<dyn Seal>, fold_after: u64) -> Start {
        Start { state: State::new("p", "dev", "seed".into()), seal, size: StoredSize::default(), fold_after }
    }

    fn entry(name: &str) -> Entry {
        Entry::Forgotten(Urn::new("dev", "p", "t:T", name).unwrap())
    }

    #[tokio::test]
    async fn full_disk_leaves_at_most_one_incomplete_line() {
        let seal: Arc<dyn Seal> = Arc::new(DataKey::random().unwrap());
        let disk = disk(100);
        let (journal, writer) = Journal::on_thread(start(seal.clone(), FOLD_AFTER), disk.clone());
        journal.append(entry("first")).await.unwrap();
        journal.append(entry("second")).await.unwrap_err();
        let error = journal.append(entry("third")).await.unwrap_err();
        assert!(error.to_string().contains("cannot be written"), "{error}");
        drop(writer);
        assert!(journal.append(entry("fourth")).await.is_err(), "the writer has stopped");
        let written = disk.written.lock().unwrap().clone();
        let read = lines::read(&written, Format::Chained(Chain::after(b"disk")), &seal);
        assert_eq!((read.entries, read.damage), (vec![entry("first")], None));
        assert!(read.whole < written.len());
    }

    #[tokio::test]
    async fn journal_is_folded_once_it_is_a_multiple_of_its_snapshot() {
        let seal: Arc<dyn Seal> = Arc::new(DataKey::random().unwrap());
        let disk = disk(usize::MAX);
        let (journal, writer) = Journal::on_thread(start(seal.clone(), 150), disk.clone());
        for _ in 0..40 {
            journal.append(entry("first")).await.unwrap();
        }
        writer.close().await.unwrap();
        let mut line = Vec::new();
        Chain::after(b"disk").push(&lines::json(&entry("first"), &seal).unwrap(), &mut line);
        // All line numbers between two folds have one digit.
        let line = line.len();
        let folded = disk.folded.lock().unwrap().clone();
        // The first fold happens after 150 bytes. Then the snapshot has 100, and the journal grows to four times that.
        assert_eq!(folded[0], 150_usize.next_multiple_of(line));
        assert!(folded.len() > 1 && folded[1..].iter().all(|&size| size == 400_usize.next_multiple_of(line)));
    }
}
