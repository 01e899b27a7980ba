//! The journal as a sequence of objects, and the snapshot that they are folded into. An object of the sequence is put
//! only if its position is free.
//!
//! A taker of the lease puts a fence into the sequence, at the position of the previous holder's next object: a holder
//! that wakes up late collides with it, independently of clocks. Then the taker puts the snapshot again, so that a late
//! fold collides as well. This completes the takeover.
//!
//! A fence must stay after folding as long as a late writer could collide with it; every other object is deleted once a
//! snapshot includes it. If the previous holder completed its takeover and then released the lease, no late writer is
//! left: its snapshot names the older fences that are still needed. A taker may also fail or exit in the middle of the
//! takeover. Its release of the lease then proves nothing, because its predecessor may not be fenced off, or only by a
//! fence that no snapshot names. [`Stack::begin`] therefore keeps its own fence unless the holder that released the
//! lease also wrote the snapshot, and it keeps all fences that it finds after the snapshot.

use super::{
    client::{Found, Objects, Put},
    lease::HeldLease,
};
use crate::{
    state::State,
    store::{
        Holder, StoreError, checksum,
        clock::sleep,
        evidence,
        file::new_seed,
        journal::{JournalSink, StoredSize},
        lines::{Chain, Format},
        snapshot,
        source::{self, Source},
    },
    value::Seal,
};
use async_trait::async_trait;
use futures::{StreamExt, stream};
use object_store::{PutMode, UpdateVersion};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::Arc, time::Duration};

pub(super) const SNAPSHOT: &str = "state.json";
pub(super) const PREVIOUS: &str = "state.json.previous";
pub(super) const JOURNAL: &str = "journal";
/// Number of objects that are read concurrently.
const WINDOW: u64 = 16;
/// Cost of reading an object, expressed as a number of bytes.
const OBJECT_COST: u64 = 16 * 1024;
/// Number of times that a disturbed read is repeated.
const ATTEMPTS: u32 = 8;
/// Number of old fences that are kept: one more than the number of writers that may still wake up.
const FENCES: usize = 1000;

/// The position of a snapshot in the sequence, which the snapshot contains.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Position {
    /// The writer.
    epoch: u64,
    /// The last object that it includes.
    included: u64,
    /// Older objects that must stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fences: Vec<u64>,
    nonce: String,
}

/// The first line of every object of the sequence. It ends with its checksum, which begins the chain of the lines.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    infra_journal: u64,
    program: String,
    stack: String,
    pub(super) epoch: u64,
    /// The taker, if the object is a fence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fence: Option<Holder>,
    nonce: String,
    /// Number of lines after the header; `None` in the format without checksums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lines: Option<u64>,
    /// Checksum of the preceding fields.
    #[serde(default, skip_serializing)]
    checksum: Option<String>,
}

const BEFORE: &str = ",\"checksum\":\"";
const AFTER: &str = "\"}";

#[derive(Deserialize)]
struct Positioned {
    journal: Position,
}

/// The objects of a stack.
#[derive(Clone)]
pub(super) struct Stack {
    pub(super) objects: Objects,
    pub(super) program: String,
    pub(super) name: String,
    pub(super) seal: Arc<dyn Seal>,
}

/// The result of reading.
pub(super) struct Reading {
    pub(super) state: Option<State>,
    position: Position,
    pub(super) version: Option<UpdateVersion>,
    /// The first free position in the sequence.
    pub(super) next: u64,
    /// Fences after the snapshot, from takers that did not write a snapshot.
    pub(super) fences: Vec<u64>,
    /// The newest epoch in any object.
    pub(super) epoch: u64,
}

/// The result of an attempt to read.
enum Tried {
    Read(Box<Reading>),
    /// An object was written meanwhile, or one in between is missing.
    Disturbed,
    /// There is no snapshot, but these objects prove that there was one.
    Missing(Vec<String>),
}

/// A completed takeover of a stack.
pub(super) struct Takeover {
    pub(super) state: State,
    pub(super) size: StoredSize,
    position: Position,
    version: UpdateVersion,
}

/// The objects of a stack, open for writing.
pub(super) struct Sequence {
    stack: Stack,
    lease: HeldLease,
    position: Position,
    version: UpdateVersion,
    next: u64,
}

impl Stack {
    /// Reads the snapshot and all objects after it.
    pub(super) async fn read(&self) -> Result<Reading, StoreError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let error = match self.try_read().await? {
                Tried::Read(reading) => return Ok(*reading),
                Tried::Disturbed => self.source(SNAPSHOT).broken(1, "the objects of the journal are not consecutive"),
                Tried::Missing(found) => StoreError::Missing { path: self.source(SNAPSHOT).path, found },
            };
            if attempt == ATTEMPTS {
                return Err(error);
            }
            sleep(&*self.objects.clock, Duration::from_millis(500)).await;
        }
    }

    async fn try_read(&self) -> Result<Tried, StoreError> {
        let mut reading = self.snapshot().await?;
        let included = reading.position.included;
        loop {
            let window: Vec<Option<Found>> = {
                let names = (reading.next..reading.next + WINDOW).map(name);
                let reads = names.map(|name| async move { self.objects.get(&name).await });
                let reads: Vec<_> = stream::iter(reads).buffered(WINDOW as usize).collect().await;
                reads.into_iter().collect::<Result<_, _>>()?
            };
            let whole = window.iter().take_while(|found| found.is_some()).count();
            if window.iter().skip(whole).any(Option::is_some) {
                return Ok(Tried::Disturbed);
            }
            for found in window.iter().flatten() {
                self.apply_next(&mut reading, found)?;
            }
            if whole == WINDOW as usize {
                continue;
            }
            // An object at a later position is either new or follows a gap.
            if self.numbers().await?.last().is_none_or(|newest| *newest < reading.next) {
                break;
            }
            if whole == 0 {
                return Ok(Tried::Disturbed);
            }
        }
        let left = if reading.version.is_none() { self.left_by_a_run().await? } else { Vec::new() };
        if self.objects.version(SNAPSHOT).await? != reading.version {
            return Ok(Tried::Disturbed);
        }
        if !left.is_empty() {
            return Ok(Tried::Missing(left));
        }
        tracing::debug!(included, next = reading.next, "read");
        Ok(Tried::Read(Box::new(reading)))
    }

    /// Returns the names of the objects besides the sequence that only a run can have left.
    async fn left_by_a_run(&self) -> Result<Vec<String>, StoreError> {
        let previous = self.objects.version(PREVIOUS).await?.map(|_| PREVIOUS.to_owned());
        let documents = self.objects.list(super::DOCUMENTS).await?;
        let of_runs = documents.into_iter().filter(|name| evidence::is_of_a_run(name));
        Ok(previous.into_iter().chain(of_runs.map(|name| super::document(&name))).collect())
    }

    /// Returns the numbers of all objects of the sequence, in order.
    pub(super) async fn numbers(&self) -> Result<Vec<u64>, StoreError> {
        let names = self.objects.list(JOURNAL).await?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    async fn snapshot(&self) -> Result<Reading, StoreError> {
        match self.objects.get(SNAPSHOT).await? {
            Some(found) => self.parse(SNAPSHOT, &found),
            None => {
                let position = Position::default();
                Ok(Reading { state: None, position, version: None, next: 1, fences: Vec::new(), epoch: 0 })
            }
        }
    }

    /// Reads a snapshot. The objects after it are read later.
    pub(super) fn parse(&self, name: &str, found: &Found) -> Result<Reading, StoreError> {
        let source = self.source(name);
        let state = source.snapshot(&found.bytes)?.state;
        let Positioned { journal: position } = serde_json::from_slice(&found.bytes).map_err(|error| {
            source.broken(1, format!("it does not contain the position of its journal: {}", source::message(&error)))
        })?;
        let (next, epoch) = (position.included + 1, position.epoch);
        let version = Some(found.version.clone());
        Ok(Reading { state: Some(state), position, version, next, fences: Vec::new(), epoch })
    }

    /// Applies the next object of the sequence.
    pub(super) fn apply_next(&self, reading: &mut Reading, found: &Found) -> Result<(), StoreError> {
        let source = self.source(&name(reading.next));
        let (header, format, lines) = decode(&found.bytes).map_err(|reason| source.broken(1, reason))?;
        if (header.infra_journal, &header.program, &header.stack) != (reading.next, &self.program, &self.name) {
            let Header { infra_journal, program, stack, .. } = header;
            return Err(source.broken(1, format!("it is object {infra_journal} of the stack `{program}/{stack}`")));
        }
        match &mut reading.state {
            Some(state) => {
                let replayed = source.replay(state, 2, lines, format)?;
                // Object stores put objects as a whole, so an incomplete one was edited.
                let is_short = header.lines.is_some_and(|expected| expected != replayed.entries as u64);
                if replayed.whole < lines.len() || is_short {
                    let line = found.bytes.split(|&byte| byte == b'\n').count();
                    return Err(source.broken(line, "it is truncated"));
                }
            }
            None if lines.is_empty() => {}
            None => {
                let (path, found) = (self.source(SNAPSHOT).path, vec![name(reading.next)]);
                return Err(StoreError::Missing { path, found });
            }
        }
        if header.fence.is_some() {
            reading.fences.push(reading.next);
        }
        reading.epoch = reading.epoch.max(header.epoch);
        reading.next += 1;
        Ok(())
    }

    /// Takes the stack over: puts a fence, then the snapshot. `lease` is renewed meanwhile. It is `was_released` if the
    /// previous holder released it.
    pub(super) async fn begin(&self, lease: &HeldLease, was_released: bool) -> Result<Takeover, StoreError> {
        for _ in 0..ATTEMPTS {
            if let Some(takeover) = self.begin_from(self.read().await?, lease, was_released).await? {
                return Ok(takeover);
            }
            // A late writer put an object in between. The next attempt reads it.
        }
        Err(StoreError::Lost { reason: "other processes write the stack at the same time".into() })
    }

    /// Takes the stack over as it was read; `None` if it has to be read again.
    pub(super) async fn begin_from(
        &self,
        mut reading: Reading,
        lease: &HeldLease,
        was_released: bool,
    ) -> Result<Option<Takeover>, StoreError> {
        refuse_newer(lease, reading.epoch)?;
        let Some(fence) = self.fence(lease, &mut reading).await? else {
            return Ok(None);
        };
        // A holder that released the lease without writing a snapshot had not fenced off its predecessor.
        let obsolete = was_released && reading.position.epoch + 1 == lease.epoch;
        let own = (!obsolete).then_some(fence);
        let state = match reading.state {
            Some(state) => state,
            None => State::new(&self.program, &self.name, new_seed()?),
        };
        let kept: Vec<u64> = reading.position.fences.into_iter().chain(reading.fences).chain(own).collect();
        let newest = kept[kept.len().saturating_sub(FENCES)..].to_vec();
        let mut position = Position { epoch: lease.epoch, included: fence, fences: newest, nonce: String::new() };
        let mode = reading.version.map_or(PutMode::Create, PutMode::Update);
        let Some((version, size)) = self.write(&mut position, &state, mode).await? else {
            return Ok(None);
        };
        self.sweep(&position).await;
        Ok(Some(Takeover { state, size: StoredSize { snapshot: size, journal: 0 }, position, version }))
    }

    /// Puts a fence at the end of the sequence, after reading the objects that a late writer put there meanwhile.
    /// Returns its position; `None` if the sequence has to be read again.
    async fn fence(&self, lease: &HeldLease, reading: &mut Reading) -> Result<Option<u64>, StoreError> {
        loop {
            let at = reading.next;
            let header = self.header(at, lease.epoch, Some(lease.holder.clone()), 0)?;
            let (body, _) = encode(&header)?;
            if let Put::Done(_) = self.objects.put(&name(at), body, PutMode::Create, header.nonce.as_bytes()).await? {
                return Ok(Some(at));
            }
            let Some(found) = self.objects.get(&name(at)).await? else {
                return Ok(None);
            };
            self.apply_next(reading, &found)?;
            refuse_newer(lease, reading.epoch)?;
        }
    }

    /// Puts a snapshot and reads it back; `None` if another writer replaced it first.
    async fn write(
        &self,
        position: &mut Position,
        state: &State,
        mode: PutMode,
    ) -> Result<Option<(UpdateVersion, u64)>, StoreError> {
        position.nonce = super::nonce()?;
        let source = self.source(SNAPSHOT);
        let text = snapshot::write(state, Some(&*position), &source)?;
        let size = text.len() as u64;
        let Put::Done(version) = self.objects.put(SNAPSHOT, text.clone(), mode, position.nonce.as_bytes()).await?
        else {
            return Ok(None);
        };
        // An older or a newer version proves nothing about this one.
        if let Some(found) = self.objects.get(SNAPSHOT).await?.filter(|found| found.version == version)
            && found.bytes != text
        {
            return Err(source.broken(1, "the object store did not return what was put into it"));
        }
        Ok(Some((version, size)))
    }

    /// Deletes the remains of an interrupted fold.
    async fn sweep(&self, position: &Position) {
        if let Ok(numbers) = self.numbers().await {
            self.delete(position, numbers.into_iter().filter(|number| *number <= position.included)).await;
        }
    }

    async fn delete(&self, position: &Position, numbers: impl Iterator<Item = u64>) {
        let names = numbers.filter(|number| !position.fences.contains(number)).map(name).collect();
        self.objects.delete(names).await;
    }

    fn header(&self, number: u64, epoch: u64, fence: Option<Holder>, lines: u64) -> Result<Header, StoreError> {
        let (program, stack, nonce) = (self.program.clone(), self.name.clone(), super::nonce()?);
        Ok(Header { infra_journal: number, program, stack, epoch, fence, nonce, lines: Some(lines), checksum: None })
    }

    fn source(&self, name: &str) -> Source<'_> {
        let path = PathBuf::from(self.objects.path(name).to_string());
        Source { program: &self.program, stack: &self.name, path, seal: &self.seal }
    }
}

#[async_trait]
impl JournalSink for Sequence {
    async fn append(&mut self, entries: &[String]) -> Result<u64, StoreError> {
        self.lease.grip.ensure()?;
        let number = self.next;
        // If the result of a put is unknown, its position is not used again.
        self.next += 1;
        let header = self.stack.header(number, self.lease.epoch, None, entries.len() as u64)?;
        let (mut body, mut chain) = encode(&header)?;
        entries.iter().for_each(|json| chain.push(json, &mut body));
        let cost = OBJECT_COST.max(body.len() as u64);
        match self.stack.objects.put(&name(number), body, PutMode::Create, header.nonce.as_bytes()).await? {
            Put::Done(_) => Ok(cost),
            Put::Collided => Err(self.lost()),
        }
    }

    async fn fold(&mut self, state: &State) -> Result<StoredSize, StoreError> {
        self.lease.grip.ensure()?;
        let oldest = self.position.included + 1;
        self.stack.objects.copy(SNAPSHOT, PREVIOUS).await?;
        let included = self.next - 1;
        let mut position = Position { included, ..self.position.clone() };
        let mode = PutMode::Update(self.version.clone());
        let Some((version, snapshot)) = self.stack.write(&mut position, state, mode).await? else {
            return Err(self.lost());
        };
        (self.position, self.version) = (position, version);
        self.stack.delete(&self.position, oldest..=included).await;
        Ok(StoredSize { snapshot, journal: 0 })
    }

    async fn close(self) -> Result<(), StoreError> {
        self.lease.release().await;
        Ok(())
    }
}

impl Sequence {
    pub(super) fn new(stack: Stack, lease: HeldLease, takeover: Takeover) -> Self {
        let Takeover { position, version, .. } = takeover;
        let next = position.included + 1;
        Self { stack, lease, position, version, next }
    }

    fn lost(&self) -> StoreError {
        let reason = "another run has taken over the stack".to_owned();
        self.lease.grip.lose(&reason);
        StoreError::Lost { reason }
    }
}

fn refuse_newer(lease: &HeldLease, epoch: u64) -> Result<(), StoreError> {
    if epoch > lease.epoch {
        return Err(StoreError::Lost { reason: "another run has taken over the stack in the meantime".into() });
    }
    Ok(())
}

/// Returns the line of a header and the chain that begins with it.
fn encode(header: &Header) -> Result<(Vec<u8>, Chain), StoreError> {
    let mut line = serde_json::to_vec(header).map_err(|error| StoreError::Journal(error.to_string()))?;
    // The closing brace comes after the checksum.
    line.pop();
    let sum = checksum::of(&line);
    line.extend_from_slice(format!("{BEFORE}{sum}{AFTER}").as_bytes());
    let chain = Chain::after(&line);
    line.push(b'\n');
    Ok((line, chain))
}

/// Splits an object of the sequence into its header and its lines.
pub(super) fn decode(object: &[u8]) -> Result<(Header, Format, &[u8]), &'static str> {
    let end = object.iter().position(|&byte| byte == b'\n').ok_or("its header is incomplete")?;
    let (line, lines) = (&object[..end], &object[end + 1..]);
    let header: Header = serde_json::from_slice(line).map_err(|_| "it is not a journal of this engine")?;
    // A header in the newer format with one changed byte still has one of the two fields.
    if header.lines.is_none() && header.checksum.is_none() {
        return Ok((header, Format::Legacy, lines));
    }
    if header.lines.is_some() && checksum::fits(line, BEFORE, AFTER) {
        return Ok((header, Format::Chained(Chain::after(line)), lines));
    }
    Err("its header does not match its checksum: it was changed")
}

pub(super) fn name(number: u64) -> String {
    format!("{JOURNAL}/{number:020}")
}
