//! Snapshots as text, with a checksum for each resource and one for the whole text. A damaged snapshot is refused with
//! the line and the resource of the damage.
//!
//! ```json
//! {
//!   "version": 2,
//!   …
//!   "resources": {
//!     "urn:infra:dev::web::aws:ec2:Vpc::net": {
//!       "current": {…},
//!       "checksum": "9b1f0a77"
//!     }
//!   },
//!   "outputs": {},
//!   "checksum": "5f0c1d2e"
//! }
//! ```
//!
//! The last checksum covers everything, so a reader checks only that one. Those of the resources locate a damage.
//! Version 1 has no checksums. It is still read, and a file of version 1 must not contain any.

use super::{
    KeyRing, StoreError, checksum, damage, lines, pieces, private, readback, secrets,
    source::{self, Source, is_sound},
};
use crate::{
    state::{Entry, ResourceState, State, StateError, VERSION},
    urn::Urn,
    value,
};
use checksum::Growing;
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::{collections::BTreeMap, io};

/// A state in the text of a snapshot.
pub(super) struct Read {
    pub(super) state: State,
    /// `true` for the format without checksums.
    pub(super) legacy: bool,
}

/// The result of applying the lines of a journal.
pub(super) struct Replayed {
    /// Number of bytes of whole lines.
    pub(super) whole: usize,
    /// Number of entries.
    pub(super) entries: usize,
    /// The end of the chain; `None` in the legacy format.
    pub(super) chain: Option<lines::Chain>,
}

/// Returns the text of a snapshot of this verified state, after checking that it parses as the same state. A store that
/// keeps its journal in other objects adds the position of the journal.
pub(super) fn write(
    state: &State,
    journal: Option<&impl Serialize>,
    source: &Source<'_>,
) -> Result<Vec<u8>, StoreError> {
    // Unused capacity costs nothing, and growing would copy the text.
    let text = Growing::with_capacity(64 * 1024 + 4 * 1024 * state.resources.len());
    value::sealing(source.seal, || serde_json::to_writer_pretty(&text, &Snapshot { state, journal, text: &text }))
        .map_err(|error| StoreError::Journal(error.to_string()))?;
    let mut text = text.into_bytes();
    text.push(b'\n');
    value::sealing(source.seal, || readback::check(&text, state))
        .map_err(|error| source.broken(error.line(), source::message(&error)))?;
    Ok(text)
}

/// Returns the snapshot with every secret encrypted with the current key of the ring; `None` if it already is.
pub(super) fn reseal(text: &str, ring: &KeyRing, source: &Source<'_>) -> Result<Option<String>, StoreError> {
    let legacy = damage::is_legacy(text.as_bytes());
    if !is_sound(text.as_bytes()) && !legacy {
        return Err(damage::of_snapshot(text.as_bytes(), source));
    }
    let sealed = |line| source.broken(line, value::SealError.to_string());
    let resealed = secrets::reseal(text, ring).map_err(sealed)?;
    Ok(resealed.map(|text| if legacy { text } else { damage::with_checksums(&text) }))
}

impl Source<'_> {
    /// Reads the snapshot of a stack from a file and checks it. Returns `None` if the file does not exist.
    pub(super) fn snapshot_file(&self) -> Result<Option<(Read, u64)>, StoreError> {
        let file = match private::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io(&self.path)(error)),
        };
        if let Some(pieces::Loaded { state, size }) = pieces::load(file, self.seal)
            && state.version == VERSION
            && self.check_state(&state).is_ok()
        {
            return Ok(Some((Read { state, legacy: false }, size)));
        }
        let Some(text) = private::read(&self.path).map_err(StoreError::io(&self.path))? else {
            return Ok(None);
        };
        Ok(Some((self.snapshot(&text)?, text.len() as u64)))
    }

    /// Reads the state in the text of a snapshot and checks it.
    pub(super) fn snapshot(&self, text: &[u8]) -> Result<Read, StoreError> {
        let legacy = !is_sound(text);
        if legacy && !damage::is_legacy(text) {
            return Err(damage::of_snapshot(text, self));
        }
        let state: State = value::sealing(self.seal, || serde_json::from_slice(text))
            .map_err(|error| damage::syntax(text, &error, self))?;
        self.check_state(&state).map_err(|error| damage::refused(text, error, self))?;
        Ok(Read { state: State { version: VERSION, ..state }, legacy })
    }

    fn check_state(&self, state: &State) -> Result<(), StateError> {
        if state.version > VERSION {
            return Err(StateError::Newer { found: state.version });
        }
        if (state.program.as_str(), state.stack.as_str()) != (self.program, self.stack) {
            return Err(StateError::Foreign {
                found: format!("{}/{}", state.program, state.stack),
                expected: format!("{}/{}", self.program, self.stack),
            });
        }
        state.verify()
    }

    /// Applies the lines of a journal. The first one has the number `first`.
    pub(super) fn replay(
        &self,
        state: &mut State,
        first: usize,
        text: &[u8],
        format: lines::Format,
    ) -> Result<Replayed, StoreError> {
        let lines::Lines { entries, whole, chain, damage } = lines::read(text, format, self.seal);
        if let Some(reason) = damage {
            return Err(self.broken(first + entries.len(), reason));
        }
        if entries.is_empty() {
            return Ok(Replayed { whole, entries: 0, chain });
        }
        let before = state.clone();
        entries.iter().cloned().for_each(|entry| state.apply(entry));
        let count = entries.len();
        state.verify().map_err(|error| {
            let (line, error) = first_unsound(before, entries).map_or((0, error), |(at, error)| (first + at, error));
            self.refused(line, error)
        })?;
        Ok(Replayed { whole, entries: count, chain })
    }
}

/// Serializes a state with its checksums into `text`.
struct Snapshot<'a, J> {
    state: &'a State,
    journal: Option<&'a J>,
    text: &'a Growing,
}

struct Resources<'a>(&'a BTreeMap<Urn, ResourceState>, &'a Growing);

struct Resource<'a>(&'a ResourceState, &'a Growing);

impl<J: Serialize> Serialize for Snapshot<'_, J> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let State { version, program, stack, seed, serial, resources, open, outputs } = self.state;
        let begin = self.text.len();
        let mut out = serializer.serialize_map(None)?;
        if let Some(journal) = self.journal {
            out.serialize_entry("journal", journal)?;
        }
        out.serialize_entry("version", version)?;
        out.serialize_entry("program", program)?;
        out.serialize_entry("stack", stack)?;
        out.serialize_entry("seed", seed)?;
        out.serialize_entry("serial", serial)?;
        out.serialize_entry("resources", &Resources(resources, self.text))?;
        if !open.is_empty() {
            out.serialize_entry("open", open)?;
        }
        out.serialize_entry("outputs", outputs)?;
        out.serialize_entry(checksum::FIELD, &self.text.checksum_from(begin))?;
        out.end()
    }
}

impl Serialize for Resources<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(urn, resource)| (urn, Resource(resource, self.1))))
    }
}

impl Serialize for Resource<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ResourceState { current, deposed } = self.0;
        let begin = self.1.len();
        let mut out = serializer.serialize_map(None)?;
        if let Some(current) = current {
            out.serialize_entry("current", current)?;
        }
        if !deposed.is_empty() {
            out.serialize_entry("deposed", deposed)?;
        }
        out.serialize_entry(checksum::FIELD, &self.1.checksum_from(begin))?;
        out.end()
    }
}

/// Returns the entry that violates an invariant.
fn first_unsound(mut state: State, entries: Vec<Entry>) -> Option<(usize, StateError)> {
    entries.into_iter().enumerate().find_map(|(at, entry)| {
        state.apply(entry);
        state.verify().err().map(|error| (at, error))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::{
        state::{Entry, Live, OperationId, Request, State, Verb},
        store::{FileStore, Session, StateStore, lines::Chain},
        urn::Urn,
        value::Value,
    };
    use insta::assert_snapshot;
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    fn urn(name: &str) -> Urn {
        Urn::new("dev", "p", "t:T", name).unwrap()
    }

    /// Returns the entries of a successful create.
    fn create(name: &str, uses: &[&str]) -> [Entry; 2] {
        let operation = OperationId::random().unwrap();
        let inputs = Value::from("hunter2").into_secret();
        let request = Request {
            dependencies: uses.iter().map(|name| urn(name)).collect(),
            ..Request::new(operation.clone(), Verb::Create, urn(name), inputs, "")
        };
        let live = Some(Live { id: format!("id-{name}"), inputs: None, outputs: Value::empty() });
        [Entry::Intent(request), Entry::Done { operation, live }]
    }

    async fn append(session: &Session, state: &mut State, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            state.apply(entry.clone());
            session.journal.append(entry).await.unwrap();
        }
    }

    /// Creates a stack with a snapshot of `net` and `host`, and a journal with `late`.
    async fn stack(directory: &Path) -> PathBuf {
        let store = FileStore::new(directory);
        let mut session = store.open("p", "dev").await.unwrap();
        let mut state = session.state.clone();
        append(&session, &mut state, create("net", &[])).await;
        append(&session, &mut state, create("host", &["net"])).await;
        session.fold(&mut state).await.unwrap();
        append(&session, &mut state, create("late", &["host"])).await;
        let urn = |name| Urn::new("dev", "p", "t:T", name).unwrap();
        append(&session, &mut state, [Entry::Depends { urn: urn("late"), dependencies: vec![urn("host")] }]).await;
        session.close().await.unwrap();
        store.directory_of("p", "dev")
    }

    /// Changes a text and adjusts its checksums.
    fn summed(text: &str) -> String {
        super::damage::with_checksums(text)
    }

    /// Returns the error for a changed file, which is restored afterwards.
    async fn refused(directory: &Path, file: &str, change: impl Fn(&str) -> String) -> String {
        let path = directory.join("p/dev").join(file);
        let whole = fs::read_to_string(&path).unwrap();
        let damaged = change(&whole);
        assert_ne!(damaged, whole);
        fs::write(&path, &damaged).unwrap();
        let store = FileStore::new(directory);
        let error = store.peek("p", "dev").await.unwrap_err().diagnostic().to_string();
        assert_eq!(store.open("p", "dev").await.map(drop).unwrap_err().diagnostic().to_string(), error);
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged, "nothing is changed");
        fs::write(&path, whole).unwrap();
        error.replace(directory.to_str().unwrap(), "…")
    }

    #[tokio::test]
    async fn damaged_snapshot_is_refused_with_the_line_of_the_damage() {
        let directory = tempfile::tempdir().unwrap();
        stack(directory.path()).await;
        let refused = async |change: &dyn Fn(&str) -> String| refused(directory.path(), "state.json", change).await;
        assert_snapshot!(refused(&|text| text[..text.len() - 30].to_owned()).await, @"
        error: …/p/dev/state.json: line 36: it is truncated
          hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
        ");
        assert_snapshot!(refused(&|_| String::new()).await, @"
        error: …/p/dev/state.json: line 1: it is empty
          hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
        ");
        assert_snapshot!(refused(&|text| text.replacen("\"id\":", "\"id\"", 1)).await, @"
        error: …/p/dev/state.json: line 10: in the record of `urn:infra:dev::p::t:T::host`: expected `:`
          hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
        ");
        assert_snapshot!(refused(&|text| text.replace("\"version\": 2", "\"version\": 3, \"resources\": []")).await, @"error: …/p/dev/state.json: line 2: the state has format 3, and this version reads up to 2: use the version that wrote it, or a newer one");
        assert_snapshot!(refused(&|_| "{\"serial\": 4}".to_owned()).await, @"
        error: …/p/dev/state.json: line 1: it has no `version`, so it is not a state
          hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
        ");
        assert_snapshot!(refused(&|text| summed(&text.replace("\"stack\": \"dev\"", "\"stack\": \"prod\""))).await, @"
        error: …/p/dev/state.json: line 4: the state belongs to the stack `p/prod`, not to `p/dev`
          hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
        ");
        assert_snapshot!(refused(&|text| summed(&text.replace("infra:dev::p::t:T::net\": {", "infra:prod::p::t:T::net\": {"))).await, @"
        error: …/p/dev/state.json: line 16: `urn:infra:dev::p::t:T::host` depends on `urn:infra:dev::p::t:T::net`, which the state does not contain
          hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
        ");
        assert_snapshot!(refused(&|text| summed(&text.replace("infra:dev::p::t:T::net\": {", "infra:dev::p::t:T::nat\": {"))).await, @"
        error: …/p/dev/state.json: line 16: `urn:infra:dev::p::t:T::host` depends on `urn:infra:dev::p::t:T::net`, which the state does not contain
          hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
        ");
        assert_snapshot!(refused(&|text| summed(&text.replacen("::net\"\n", "::host\"\n", 1))).await, @"
        error: …/p/dev/state.json: line 8: `urn:infra:dev::p::t:T::host` depends on itself through other resources
          hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
        ");
        assert_snapshot!(refused(&|text| summed(&text.replacen("\"$secret\": \"", "\"$secret\": \"AAAA", 1))).await, @"
        error: …/p/dev/state.json: line 13: in the record of `urn:infra:dev::p::t:T::host`: a secret cannot be decrypted: it was encrypted with another key, or the text was changed
          hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
        ");
        assert_snapshot!(refused(&|text| text.replacen("id-host", "id-gone", 1)).await, @"
        error: …/p/dev/state.json: line 8: the record of `urn:infra:dev::p::t:T::host` does not match its checksum: it was changed
          hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
        ");
        assert_snapshot!(refused(&|text| text.replacen("\"serial\": 1", "\"serial\": 0", 1)).await, @"
        error: …/p/dev/state.json: line 1: it does not match its checksum, although the record of every resource does: another part was changed, or a record is missing
          hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
        ");
        assert_snapshot!(refused(&|text| text.replacen("\n  \"checksum\"", "\n  \"checksun\"", 1)).await, @"
        error: …/p/dev/state.json: line 38: the checksum at its end is missing or was changed
          hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
        ");
        assert_snapshot!(refused(&|text| text.replacen("\"version\": 2", "\"version\": 1", 1)).await, @"
        error: …/p/dev/state.json: line 2: it has checksums, which format 1 does not have: it was changed
          hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
        ");
        FileStore::new(directory.path()).peek("p", "dev").await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn every_changed_truncated_or_reordered_snapshot_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let files = stack(directory.path()).await;
        let store = FileStore::new(directory.path());
        let seal = store.seal().await.unwrap();
        let text = fs::read(files.join("state.json")).unwrap();
        let read = |text: &[u8]| {
            let source = super::Source { program: "p", stack: "dev", path: "state.json".into(), seal: &seal };
            source.snapshot(text).map(|read| read.state)
        };
        read(&text).unwrap();
        for at in 0..text.len() {
            // One of the eight bits: a checksum does not care which.
            let mut changed = text.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(read(&changed).is_err(), "byte {at}");
            assert!(read(&text[..at]).is_err(), "cut at {at}");
        }
        let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
        for at in 0..lines.len() {
            let mut changed = lines.clone();
            changed.remove(at);
            assert!(read(&changed.concat()).is_err(), "line {at} is lost");
            changed = lines.clone();
            changed.insert(at, lines[at]);
            assert!(read(&changed.concat()).is_err(), "line {at} is doubled");
            for other in at + 1..lines.len() {
                changed = lines.clone();
                changed.swap(at, other);
                assert!(changed == lines || read(&changed.concat()).is_err(), "lines {at} and {other} are swapped");
            }
        }
    }

    #[tokio::test]
    async fn damaged_journal_is_refused_with_the_line_of_the_damage() {
        let directory = tempfile::tempdir().unwrap();
        stack(directory.path()).await;
        let refused = async |change: &dyn Fn(&str) -> String| refused(directory.path(), "journal", change).await;
        assert_snapshot!(refused(&|text| text.replacen("create", "delete", 1)).await, @"
        error: …/p/dev/journal: line 2: it does not match its checksum: the line was changed
          hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
        ");
        assert_snapshot!(refused(&|text| text.replacen("snapshot 1", "snapshot 7", 1)).await, @"
        error: …/p/dev/journal: line 1: its header does not match its checksum: it was changed
          hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
        ");
        assert_snapshot!(refused(&|text| text.replacen("infra journal", "a shopping list", 1)).await, @"
        error: …/p/dev/journal: line 1: it has no header, so it is not a journal
          hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
        ");
        assert_snapshot!(refused(&|text| sealed_again(&text.replace("p::t:T::host", "p::t:T::gone"))).await, @"
        error: …/p/dev/journal: line 4: `urn:infra:dev::p::t:T::late` depends on `urn:infra:dev::p::t:T::gone`, which the state does not contain
          hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
        ");
        assert_snapshot!(refused(&|text| sealed_again(&text.replacen("\"done\"", "\"finished\"", 1))).await, @"
        error: …/p/dev/journal: line 3: unknown variant `finished`, expected one of `intent`, `progress`, `done`, `failed`, `read`, `refreshed`, `depends`, `marked`, `renamed`, `imported`, `released`, `distrusted`, `deposed`, `dropped`, `forgotten`, `outputs`
          hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
        ");
        assert_snapshot!(refused(&|text| text.lines().take(2).chain(text.lines().skip(3)).collect::<Vec<_>>().join("\n") + "\n").await, @"
        error: …/p/dev/journal: line 3: its number is 3 instead of 2: a line was lost, duplicated, moved or changed
          hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
        ");
        assert_snapshot!(refused(&|_| String::new()).await, @"
        error: …/p/dev/journal: line 1: its header is incomplete
          hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
        ");
    }

    /// Changes a journal and adjusts its checksums.
    fn sealed_again(text: &str) -> String {
        let (header, lines) = text.split_once('\n').unwrap();
        let mut chain = Chain::after(header.as_bytes());
        let mut answer = format!("{header}\n").into_bytes();
        for line in lines.lines() {
            chain.push(&line[line.find('{').unwrap()..], &mut answer);
        }
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn long_run_folds_its_journal_without_losing_entries() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::new(directory.path()).fold_after(1);
        let session = store.open("p", "dev").await.unwrap();
        let operation = OperationId::random().unwrap();
        let Entry::Intent(request) = create("phased", &[])[0].clone() else { panic!() };
        let request = Request { operation: operation.clone(), ..request };
        session.journal.append(Entry::Intent(request)).await.unwrap();
        session.journal.append(Entry::Progress { operation, value: Value::from("half way") }).await.unwrap();
        let mut serials = Vec::new();
        for number in 0..100 {
            for entry in create(&format!("n{number}"), &[]) {
                session.journal.append(entry).await.unwrap();
            }
            // A copy, as a crash at this moment would leave it.
            let copy = tempfile::tempdir().unwrap();
            fs::copy(directory.path().join("secrets.key"), copy.path().join("secrets.key")).unwrap();
            let (from, to) = (store.directory_of("p", "dev"), copy.path().join("p/dev"));
            fs::create_dir_all(&to).unwrap();
            // The journal first: if a fold follows, the journal is ignored.
            for file in ["journal", "state.json"] {
                let _ = fs::copy(from.join(file), to.join(file));
            }
            let state = FileStore::new(copy.path()).peek("p", "dev").await.unwrap().unwrap();
            assert_eq!(state.resources.len(), number + 1);
            assert_eq!(state.open[0].progress, [Value::from("half way")]);
            serials.push(state.serial);
        }
        serials.dedup();
        // Each fold waits until the journal is a multiple of the snapshot, so folds become rarer.
        assert!((3..12).contains(&serials.len()), "{serials:?}");
        session.close().await.unwrap();
    }
}
