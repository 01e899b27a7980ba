//! The journal as a sequence of objects, each put only where none is, and the snapshot they fold into.
//!
//! Whoever takes the lease puts a fence into the sequence, where the next object of the holder before would go: a
//! holder that wakes up late collides with it, whatever the clocks say. Then the taker puts the snapshot anew, so that a
//! late fold collides as well; with that it has taken the stack over.
//!
//! A fence must outlive its folding as long as somebody may collide with it; every other object goes once a snapshot
//! includes it. Nobody can, where the holder before had taken the stack over and then gave the lease back: its snapshot
//! names the older fences that still count. But a taker may also fail or die halfway. That it gave the lease back says
//! nothing then, for whoever came before it may not be fenced off, or be so by a fence that no snapshot names. Hence
//! [`Stack::begin`] keeps its own fence unless the snapshot is of the very holder who gave the lease back, and all
//! fences that it finds behind the snapshot.

use super::{
    client::{Found, Objects, Put},
    lease::Kept,
};
use crate::{
    state::State,
    store::{
        Holder, StoreError,
        clock::sleep,
        file::new_seed,
        journal::{Sink, Size},
        snapshot::{self, Source},
    },
    value::Seal,
};
use async_trait::async_trait;
use futures::{StreamExt, stream};
use object_store::{PutMode, UpdateVersion};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::Arc, time::Duration};

const SNAPSHOT: &str = "state.json";
pub(super) const PREVIOUS: &str = "state.json.previous";
const JOURNAL: &str = "journal";
/// How many objects are read at once.
const WINDOW: u64 = 16;
/// Reading an object costs as much as reading so many bytes.
const OBJECT_COST: u64 = 16 * 1024;
/// How often a reading that others disturb is begun anew.
const ATTEMPTS: u32 = 8;
/// How many old fences are kept: one more than any number of writers that may still wake up.
const FENCES: usize = 1000;

/// Where a snapshot stands in the sequence; written into it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Position {
    /// Who wrote it.
    epoch: u64,
    /// The last object that it includes.
    included: u64,
    /// Older objects that must stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fences: Vec<u64>,
    nonce: String,
}

#[derive(Serialize)]
struct Written<'a> {
    journal: &'a Position,
    #[serde(flatten)]
    state: &'a State,
}

/// The first line of every object of the sequence.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    infra_journal: u64,
    program: String,
    stack: String,
    epoch: u64,
    /// Who took the stack here, when it is a fence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fence: Option<Holder>,
    nonce: String,
}

#[derive(Deserialize)]
struct Positioned {
    journal: Position,
}

/// A stack as its objects tell it.
#[derive(Clone)]
pub(super) struct Stack {
    pub(super) objects: Objects,
    pub(super) program: String,
    pub(super) name: String,
    pub(super) seal: Arc<dyn Seal>,
}

/// What was read.
pub(super) struct Reading {
    pub(super) state: Option<State>,
    position: Position,
    version: Option<UpdateVersion>,
    /// The first place in the sequence where nothing is.
    next: u64,
    /// The fences behind the snapshot, of takers who did not come to put theirs.
    fences: Vec<u64>,
    /// The newest epoch that has left its mark.
    pub(super) epoch: u64,
}

/// A stack that was taken over.
pub(super) struct Begun {
    pub(super) state: State,
    pub(super) size: Size,
    position: Position,
    version: UpdateVersion,
}

/// The objects of a stack, open for writing.
pub(super) struct Sequence {
    stack: Stack,
    lease: Kept,
    position: Position,
    version: UpdateVersion,
    next: u64,
}

impl Stack {
    /// Reads the snapshot and all objects behind it.
    pub(super) async fn read(&self) -> Result<Reading, StoreError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            if let Some(reading) = self.try_read().await? {
                return Ok(reading);
            }
            if attempt == ATTEMPTS {
                let reason = "the objects of the journal do not follow on one another".into();
                return Err(self.source(SNAPSHOT, false).broken(1, reason));
            }
            sleep(&*self.objects.clock, Duration::from_millis(500)).await;
        }
    }

    /// `None` when it was folded meanwhile.
    async fn try_read(&self) -> Result<Option<Reading>, StoreError> {
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
                return Ok(None);
            }
            for found in window.iter().flatten() {
                self.take_in(&mut reading, found)?;
            }
            if whole < WINDOW as usize {
                break;
            }
        }
        if self.objects.version(SNAPSHOT).await? != reading.version {
            return Ok(None);
        }
        tracing::debug!(included, next = reading.next, "read");
        Ok(Some(reading))
    }

    async fn snapshot(&self) -> Result<Reading, StoreError> {
        let Some(found) = self.objects.get(SNAPSHOT).await? else {
            let position = Position::default();
            return Ok(Reading { state: None, position, version: None, next: 1, fences: Vec::new(), epoch: 0 });
        };
        let previous = self.objects.version(PREVIOUS).await?.is_some();
        let source = self.source(SNAPSHOT, previous);
        let state = source.snapshot(&found.bytes)?;
        let Positioned { journal: position } = serde_json::from_slice(&found.bytes).map_err(|error| {
            source.broken(1, format!("it does not tell where its journal begins: {}", snapshot::message(&error)))
        })?;
        let (next, epoch) = (position.included + 1, position.epoch);
        Ok(Reading { state: Some(state), position, version: Some(found.version), next, fences: Vec::new(), epoch })
    }

    /// Applies the next object of the sequence.
    fn take_in(&self, reading: &mut Reading, found: &Found) -> Result<(), StoreError> {
        let source = self.source(&name(reading.next), false);
        let end = found.bytes.iter().position(|&byte| byte == b'\n').map_or(found.bytes.len(), |end| end + 1);
        let (header, lines) = found.bytes.split_at(end);
        let header: Header =
            serde_json::from_slice(header).map_err(|_| source.broken(1, "it is no journal of this engine".into()))?;
        if (header.infra_journal, &header.program, &header.stack) != (reading.next, &self.program, &self.name) {
            let Header { infra_journal, program, stack, .. } = header;
            return Err(source.broken(1, format!("it is number {infra_journal} of stack `{program}/{stack}`")));
        }
        match &mut reading.state {
            Some(state) => {
                // Objects are whole or not there: what ends in the middle was cut by hand.
                if source.replay(state, 2, lines)? < lines.len() {
                    let line = found.bytes.split(|&byte| byte == b'\n').count();
                    return Err(source.broken(line, "it ends in the middle: the rest was cut off".into()));
                }
            }
            None if lines.is_empty() => {}
            None => return Err(source.broken(2, format!("there is no {SNAPSHOT} that it could follow on"))),
        }
        if header.fence.is_some() {
            reading.fences.push(reading.next);
        }
        reading.epoch = reading.epoch.max(header.epoch);
        reading.next += 1;
        Ok(())
    }

    /// Takes the stack over: fence, then claim. `lease` is renewed meanwhile; it is `orderly` when the one before gave
    /// it back.
    pub(super) async fn begin(&self, lease: &Kept, orderly: bool) -> Result<Begun, StoreError> {
        for _ in 0..ATTEMPTS {
            let mut reading = self.read().await?;
            refuse_newer(lease, reading.epoch)?;
            let Some(fence) = self.fence(lease, &mut reading).await? else {
                continue;
            };
            // Who gave the lease back without a snapshot of its own had not fenced off whoever was before.
            let superfluous = orderly && reading.position.epoch + 1 == lease.epoch;
            let own = (!superfluous).then_some(fence);
            let state = match reading.state {
                Some(state) => state,
                None => State::new(&self.program, &self.name, new_seed()?),
            };
            let kept: Vec<u64> = reading.position.fences.into_iter().chain(reading.fences).chain(own).collect();
            let newest = kept[kept.len().saturating_sub(FENCES)..].to_vec();
            let mut position = Position { epoch: lease.epoch, included: fence, fences: newest, nonce: String::new() };
            let mode = reading.version.map_or(PutMode::Create, PutMode::Update);
            let Some((version, size)) = self.write(&mut position, &state, mode).await? else {
                // A late fold came between; the next reading sees it.
                continue;
            };
            self.sweep(&position).await;
            return Ok(Begun { state, size: Size { snapshot: size, journal: 0 }, position, version });
        }
        Err(StoreError::Lost { reason: "others write the stack at the same time".into() })
    }

    /// Puts a fence at the end of the sequence, taking in what a late writer has put there meanwhile. Where it is;
    /// `None` when the sequence has to be read again.
    async fn fence(&self, lease: &Kept, reading: &mut Reading) -> Result<Option<u64>, StoreError> {
        loop {
            let at = reading.next;
            let header = self.header(at, lease.epoch, Some(lease.holder.clone()))?;
            let body = encode(&header)?;
            if let Put::Done(_) = self.objects.put(&name(at), body, PutMode::Create, header.nonce.as_bytes()).await? {
                return Ok(Some(at));
            }
            let Some(found) = self.objects.get(&name(at)).await? else {
                return Ok(None);
            };
            self.take_in(reading, &found)?;
            refuse_newer(lease, reading.epoch)?;
        }
    }

    /// Puts a snapshot and reads it back; `None` when another one has come before it.
    async fn write(
        &self,
        position: &mut Position,
        state: &State,
        mode: PutMode,
    ) -> Result<Option<(UpdateVersion, u64)>, StoreError> {
        position.nonce = super::nonce()?;
        let source = self.source(SNAPSHOT, false);
        let text = snapshot::write(&Written { journal: position, state }, state, &source)?;
        let size = text.len() as u64;
        let Put::Done(version) = self.objects.put(SNAPSHOT, text.clone(), mode, position.nonce.as_bytes()).await?
        else {
            return Ok(None);
        };
        // An older or a newer version tells nothing about this one.
        if let Some(found) = self.objects.get(SNAPSHOT).await?.filter(|found| found.version == version)
            && found.bytes != text
        {
            return Err(source.broken(1, "the object store does not hold what was put into it".into()));
        }
        Ok(Some((version, size)))
    }

    /// Deletes what an interrupted fold has left.
    async fn sweep(&self, position: &Position) {
        let Ok(names) = self.objects.list(JOURNAL).await else {
            return;
        };
        let numbers = names.iter().filter_map(|name| name.parse::<u64>().ok());
        self.delete(position, numbers.filter(|number| *number <= position.included)).await;
    }

    async fn delete(&self, position: &Position, numbers: impl Iterator<Item = u64>) {
        let names = numbers.filter(|number| !position.fences.contains(number)).map(name).collect();
        self.objects.delete(names).await;
    }

    fn header(&self, number: u64, epoch: u64, fence: Option<Holder>) -> Result<Header, StoreError> {
        let (program, stack, nonce) = (self.program.clone(), self.name.clone(), super::nonce()?);
        Ok(Header { infra_journal: number, program, stack, epoch, fence, nonce })
    }

    fn source(&self, name: &str, previous: bool) -> Source<'_> {
        let path = |name: &str| PathBuf::from(self.objects.path(name).to_string());
        let previous = previous.then(|| path(PREVIOUS));
        Source { program: &self.program, stack: &self.name, path: path(name), previous, seal: &self.seal }
    }
}

#[async_trait]
impl Sink for Sequence {
    async fn append(&mut self, lines: &[u8]) -> Result<u64, StoreError> {
        self.lease.grip.ensure()?;
        let number = self.next;
        // When its fate is unknown, its place is not used again.
        self.next += 1;
        let header = self.stack.header(number, self.lease.epoch, None)?;
        let mut body = encode(&header)?;
        body.extend(lines);
        let cost = OBJECT_COST.max(body.len() as u64);
        match self.stack.objects.put(&name(number), body, PutMode::Create, header.nonce.as_bytes()).await? {
            Put::Done(_) => Ok(cost),
            Put::Collided => Err(self.lost()),
        }
    }

    async fn fold(&mut self, state: &State) -> Result<Size, StoreError> {
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
        Ok(Size { snapshot, journal: 0 })
    }

    async fn close(self) -> Result<(), StoreError> {
        self.lease.release().await;
        Ok(())
    }
}

impl Sequence {
    pub(super) fn new(stack: Stack, lease: Kept, begun: Begun) -> Self {
        let Begun { position, version, .. } = begun;
        let next = position.included + 1;
        Self { stack, lease, position, version, next }
    }

    fn lost(&self) -> StoreError {
        let reason = "another run has taken the stack over".to_owned();
        self.lease.grip.lose(&reason);
        StoreError::Lost { reason }
    }
}

fn refuse_newer(lease: &Kept, epoch: u64) -> Result<(), StoreError> {
    if epoch > lease.epoch {
        return Err(StoreError::Lost { reason: "another run has taken the stack over meanwhile".into() });
    }
    Ok(())
}

fn encode(header: &Header) -> Result<Vec<u8>, StoreError> {
    let mut line = serde_json::to_vec(header).map_err(|error| StoreError::Journal(error.to_string()))?;
    line.push(b'\n');
    Ok(line)
}

fn name(number: u64) -> String {
    format!("{JOURNAL}/{number:020}")
}
