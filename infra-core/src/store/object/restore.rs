//! Reconstructs the state of a stack from the remaining objects.

use super::{
    client::Found,
    lease::HeldLease,
    sequence::{JOURNAL, PREVIOUS, Reading, SNAPSHOT, Stack, decode, name},
};
use crate::store::{Restored, Salvage, StoreError, evidence};

/// A reconstructed state, and what its objects have to be replaced with.
struct Salvaged {
    salvage: Salvage,
    reading: Reading,
    /// Objects of the sequence that are not part of the state.
    unused: Vec<u64>,
}

impl Stack {
    /// Returns the reconstructed state; `None` if the objects are undamaged or there are none.
    pub(super) async fn salvage(&self) -> Result<Option<Salvage>, StoreError> {
        Ok(self.salvaged().await?.map(|salvaged| salvaged.salvage))
    }

    /// Returns the newest epoch of all readable objects.
    pub(super) async fn newest_epoch(&self) -> Result<u64, StoreError> {
        Ok(self.salvaged().await?.map_or(0, |salvaged| salvaged.reading.epoch))
    }

    /// Writes the reconstructed state, if a reconstruction still returns the same.
    pub(super) async fn install(&self, lease: &HeldLease, salvage: &Salvage) -> Result<Restored, StoreError> {
        let changed = || StoreError::NothingToRestore { stack: format!("{}/{}", self.program, self.name) };
        let Salvaged { reading, unused, .. } =
            self.salvaged().await?.filter(|found| found.salvage == *salvage).ok_or_else(changed)?;
        let mut kept = Vec::new();
        if reading.version.is_some() && salvage.sources.first().is_some_and(|source| source != SNAPSHOT) {
            kept.push(self.keep(SNAPSHOT, SNAPSHOT).await?);
        }
        for number in unused {
            kept.push(self.keep(&name(number), JOURNAL).await?);
        }
        let takeover = self.begin_from(reading, lease, false).await?.ok_or_else(changed)?;
        Ok(Restored { serial: takeover.state.serial, kept })
    }

    async fn salvaged(&self) -> Result<Option<Salvaged>, StoreError> {
        let damage = match self.read().await {
            Ok(_) => return Ok(None),
            Err(damage @ (StoreError::Broken { .. } | StoreError::Refused { .. } | StoreError::Missing { .. })) => {
                damage.to_string()
            }
            Err(error) => return Err(error),
        };
        let current = self.objects.get(SNAPSHOT).await?;
        let (source, mut reading) = match self.parsed(SNAPSHOT, current.as_ref()) {
            Ok(reading) => (SNAPSHOT, reading),
            Err(_) => match self.parsed(PREVIOUS, self.objects.get(PREVIOUS).await?.as_ref()) {
                Ok(reading) => (PREVIOUS, reading),
                Err(previous) => {
                    return Err(StoreError::Irrecoverable { damage, previous: previous.to_string() });
                }
            },
        };
        reading.version = current.map(|current| current.version);
        let mut sources = vec![source.to_owned()];
        let mut unused = Vec::new();
        let mut unused_lines = 0;
        let numbers = self.numbers().await?;
        let newest = numbers.last().copied().unwrap_or(0).max(reading.next - 1);
        let first = reading.next;
        for number in numbers.into_iter().filter(|number| *number >= first) {
            let Some(found) = self.objects.get(&name(number)).await? else {
                continue;
            };
            let before = reading.state.clone();
            if number == reading.next && unused.is_empty() {
                if self.apply_next(&mut reading, &found).is_ok() {
                    sources.push(name(number));
                    continue;
                }
                reading.state = before;
            }
            unused.push(number);
            unused_lines += found.bytes.split(|&byte| byte == b'\n').count().saturating_sub(2);
            if let Ok((header, ..)) = decode(&found.bytes) {
                reading.epoch = reading.epoch.max(header.epoch);
                reading.fences.extend(header.fence.map(|_| number));
            }
        }
        reading.next = newest + 1;
        let documents = self.objects.list(super::DOCUMENTS).await?;
        let declared = documents.iter().filter_map(|name| evidence::declared_serial(name)).max().unwrap_or(0);
        let Some(state) = &mut reading.state else {
            return Ok(None);
        };
        // The missing snapshot may have had the next serial.
        state.serial = (state.serial + 1).max(declared) + 1;
        let is_older = source == PREVIOUS;
        let salvage = Salvage { state: state.clone(), sources, damage, unused_lines, is_older };
        Ok(Some(Salvaged { salvage, reading, unused }))
    }

    fn parsed(&self, name: &str, found: Option<&Found>) -> Result<Reading, StoreError> {
        let missing = || {
            let path = self.objects.path(name).to_string().into();
            StoreError::Missing { path, found: vec!["nothing else".to_owned()] }
        };
        self.parse(name, found.ok_or_else(missing)?)
    }

    /// Copies an object to a name that marks it as damaged.
    async fn keep(&self, name: &str, prefix: &str) -> Result<String, StoreError> {
        let last = name.rsplit('/').next().unwrap_or(name);
        for number in 1_u32.. {
            let kept = if last == prefix {
                format!("{prefix}.damaged-{number}")
            } else {
                format!("{prefix}.damaged-{number}/{last}")
            };
            if self.objects.version(&kept).await?.is_none() {
                self.objects.copy(name, &kept).await?;
                return Ok(kept);
            }
        }
        Ok(name.to_owned())
    }
}
