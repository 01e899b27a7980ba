//! Snapshots and journals as text: what is damaged is refused, by its line.

use super::{StoreError, journal, readback};
use crate::{
    state::{Entry, State, StateError, VERSION},
    urn::Urn,
    value::{self, Seal},
};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where a text came from, and whose state it should be.
pub(super) struct Source<'a> {
    pub(super) program: &'a str,
    pub(super) stack: &'a str,
    pub(super) path: PathBuf,
    /// Where the snapshot before it lies, if there is one.
    pub(super) previous: Option<PathBuf>,
    pub(super) seal: &'a Arc<dyn Seal>,
}

/// The text of a snapshot of this state, which was verified; it is checked that it reads as the same state.
pub(super) fn write(snapshot: &impl Serialize, state: &State, source: &Source<'_>) -> Result<Vec<u8>, StoreError> {
    // Room that is not used costs nothing, and growing copies everything.
    let mut text = Vec::with_capacity(64 * 1024 + 4 * 1024 * state.resources.len());
    value::sealing(source.seal, || serde_json::to_writer_pretty(&mut text, snapshot))
        .map_err(|error| StoreError::Journal(error.to_string()))?;
    text.push(b'\n');
    value::sealing(source.seal, || readback::check(&text, state))
        .map_err(|error| source.broken(error.line(), message(&error)))?;
    Ok(text)
}

impl Source<'_> {
    /// The state in a snapshot, checked.
    pub(super) fn snapshot(&self, text: &[u8]) -> Result<State, StoreError> {
        #[derive(Deserialize)]
        struct Version {
            version: Option<u32>,
        }
        let state: State = value::sealing(self.seal, || serde_json::from_slice(text)).map_err(|error| {
            // A newer format may look different in everything but its version.
            match serde_json::from_slice(text) {
                Ok(Version { version: Some(found) }) if found > VERSION => {
                    self.refused(text, StateError::Newer { found })
                }
                Ok(Version { version: None }) => {
                    self.broken(1, "it does not tell its `version`, so it is no state".into())
                }
                _ => self.broken(error.line(), describe(text, &error)),
            }
        })?;
        if state.version > VERSION {
            return Err(self.refused(text, StateError::Newer { found: state.version }));
        }
        if (state.program.as_str(), state.stack.as_str()) != (self.program, self.stack) {
            return Err(self.refused(
                text,
                StateError::Foreign {
                    found: format!("{}/{}", state.program, state.stack),
                    expected: format!("{}/{}", self.program, self.stack),
                },
            ));
        }
        state.verify().map_err(|error| self.refused(text, error))?;
        Ok(state)
    }

    /// Applies the lines of a journal, of which the first one has the number `first`; how many bytes are whole lines.
    pub(super) fn replay(&self, state: &mut State, first: usize, lines: &[u8]) -> Result<usize, StoreError> {
        let (entries, whole) = journal::read(&self.path, first, lines, self.seal).map_err(|error| match error {
            StoreError::Broken { line, reason, .. } => self.broken(line, reason),
            other => other,
        })?;
        let before = state.clone();
        entries.iter().cloned().for_each(|entry| state.apply(entry));
        state.verify().map_err(|error| {
            let (line, error) = first_unsound(before, entries).map_or((0, error), |(at, error)| (first + at, error));
            StoreError::Refused { path: self.path.clone(), line, error, previous: self.previous.clone() }
        })?;
        Ok(whole)
    }

    pub(super) fn broken(&self, line: usize, reason: String) -> StoreError {
        // A text that ends at once has no line.
        StoreError::Broken { path: self.path.clone(), line: line.max(1), reason, previous: self.previous.clone() }
    }

    fn refused(&self, text: &[u8], error: StateError) -> StoreError {
        let line = line_of(&String::from_utf8_lossy(text), &error);
        StoreError::Refused { path: self.path.clone(), line, error, previous: self.previous.clone() }
    }
}

/// Which entry makes the state unsound.
fn first_unsound(mut state: State, entries: Vec<Entry>) -> Option<(usize, StateError)> {
    entries.into_iter().enumerate().find_map(|(at, entry)| {
        state.apply(entry);
        state.verify().err().map(|error| (at, error))
    })
}

fn describe(text: &[u8], error: &serde_json::Error) -> String {
    if text.iter().all(u8::is_ascii_whitespace) {
        return "it is empty".into();
    }
    if error.is_eof() {
        return "it ends in the middle: the rest was cut off".into();
    }
    message(error)
}

/// What a parser complains of, without the place, which is told otherwise.
pub(super) fn message(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(&place).unwrap_or(&message).to_owned()
}

/// The line that a person has to look at.
fn line_of(text: &str, error: &StateError) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let behind =
        |from: usize, what: &str| lines.iter().skip(from).position(|line| line.contains(what)).map(|at| from + at);
    let resource = |urn: &Urn| behind(0, &format!("\"{urn}\": {{"));
    let at = match error {
        StateError::Newer { .. } => behind(0, "\"version\""),
        StateError::Foreign { found, expected } => {
            let (program, stack) = found.split_once('/').unwrap_or((found, ""));
            let field = if expected.split_once('/').is_some_and(|(expected, _)| expected == program) {
                format!("\"stack\": \"{stack}\"")
            } else {
                format!("\"program\": \"{program}\"")
            };
            // The whole state, or one resource in it.
            behind(0, &field).or_else(|| behind(0, &format!("\"urn:infra:{stack}::{program}::")))
        }
        StateError::Dangling { user, used } => resource(user).and_then(|at| behind(at, &format!("\"{used}\""))),
        StateError::Empty(urn) | StateError::Generations(urn) | StateError::Cycle(urn) => resource(urn),
        StateError::Operations(operation) => {
            let first = behind(0, &format!("\"operation\": \"{operation}\""));
            first.and_then(|first| behind(first + 1, &format!("\"operation\": \"{operation}\"")))
        }
    };
    at.unwrap_or(0) + 1
}

/// Where the file before `path` is kept, when there is one.
pub(super) fn previous_of(path: &Path) -> Option<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(".previous");
    Some(PathBuf::from(name)).filter(|previous| previous.exists())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::{
        state::{Entry, Live, OperationId, Request, State, Verb},
        store::{FileStore, Session, StateStore},
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

    /// A create that was asked for and done.
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

    /// A stack with a snapshot of `net` and `host`, and a journal with `late`.
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

    /// What the person is told when a file was changed like this; the files are as they were, afterwards.
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
    async fn a_damaged_snapshot_is_refused_by_its_line() {
        let directory = tempfile::tempdir().unwrap();
        stack(directory.path()).await;
        let refused = async |change: &dyn Fn(&str) -> String| refused(directory.path(), "state.json", change).await;
        assert_snapshot!(refused(&|text| text[..text.len() - 30].to_owned()).await, @r"
        error: …/p/dev/state.json: line 31: it ends in the middle: the rest was cut off
          hint: nothing was changed; restore the file from a copy (…/p/dev/state.json.previous is the one before it), mend it by hand, or move all files of the stack away to begin anew
        ");
        assert_snapshot!(refused(&|_| String::new()).await, @r"
        error: …/p/dev/state.json: line 1: it is empty
          hint: nothing was changed; restore the file from a copy (…/p/dev/state.json.previous is the one before it), mend it by hand, or move all files of the stack away to begin anew
        ");
        assert_snapshot!(refused(&|text| text.replacen("\"id\":", "\"id\"", 1)).await, @r"
        error: …/p/dev/state.json: line 10: expected `:`
          hint: nothing was changed; restore the file from a copy (…/p/dev/state.json.previous is the one before it), mend it by hand, or move all files of the stack away to begin anew
        ");
        assert_snapshot!(refused(&|text| text.replace("\"version\": 1", "\"version\": 2, \"resources\": []")).await, @r"error: …/p/dev/state.json: line 2: it has format 2, and this version reads up to 1: use the version that wrote it, or a newer one");
        assert_snapshot!(refused(&|_| "{\"serial\": 4}".to_owned()).await, @r"
        error: …/p/dev/state.json: line 1: it does not tell its `version`, so it is no state
          hint: nothing was changed; restore the file from a copy (…/p/dev/state.json.previous is the one before it), mend it by hand, or move all files of the stack away to begin anew
        ");
        assert_snapshot!(refused(&|text| text.replace("\"stack\": \"dev\"", "\"stack\": \"prod\"")).await, @r"
        error: …/p/dev/state.json: line 4: it belongs to stack `p/prod`, not to `p/dev`
          hint: nothing was changed; restore the file from a copy (…/p/dev/state.json.previous is the one before it), mend it by hand, or move all files of the stack away to begin anew
        ");
        assert_snapshot!(refused(&|text| text.replace("infra:dev::p::t:T::net\": {", "infra:prod::p::t:T::net\": {")).await, @r"
        error: …/p/dev/state.json: line 16: `urn:infra:dev::p::t:T::host` depends on `urn:infra:dev::p::t:T::net`, which it does not hold
          hint: nothing was changed; restore the file from a copy (…/p/dev/state.json.previous is the one before it), mend it by hand, or move all files of the stack away to begin anew
        ");
        assert_snapshot!(refused(&|text| text.replace("infra:dev::p::t:T::net\": {", "infra:dev::p::t:T::nat\": {")).await, @r"
        error: …/p/dev/state.json: line 16: `urn:infra:dev::p::t:T::host` depends on `urn:infra:dev::p::t:T::net`, which it does not hold
          hint: nothing was changed; restore the file from a copy (…/p/dev/state.json.previous is the one before it), mend it by hand, or move all files of the stack away to begin anew
        ");
        assert_snapshot!(refused(&|text| text.replacen("::net\"\n", "::host\"\n", 1)).await, @r"
        error: …/p/dev/state.json: line 8: `urn:infra:dev::p::t:T::host` depends on itself, through others
          hint: nothing was changed; restore the file from a copy (…/p/dev/state.json.previous is the one before it), mend it by hand, or move all files of the stack away to begin anew
        ");
        assert_snapshot!(refused(&|text| text.replacen("\"$secret\": \"", "\"$secret\": \"AAAA", 1)).await, @r"
        error: …/p/dev/state.json: line 13: a secret cannot be decrypted: the key is not the one it was encrypted with, or the text was changed
          hint: nothing was changed; restore the file from a copy (…/p/dev/state.json.previous is the one before it), mend it by hand, or move all files of the stack away to begin anew
        ");
        FileStore::new(directory.path()).peek("p", "dev").await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_damaged_journal_is_refused_by_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let files = stack(directory.path()).await;
        let refused = async |change: &dyn Fn(&str) -> String| refused(directory.path(), "journal", change).await;
        assert_snapshot!(refused(&|text| text.replacen("create", "delete", 1)).await, @r"
        error: …/p/dev/journal: line 2: its checksum does not fit: the line was changed
          hint: nothing was changed; restore the file from a copy, mend it by hand, or move all files of the stack away to begin anew
        ");
        assert_snapshot!(refused(&|text| text.replacen("snapshot 1", "snapshot 7", 1)).await, @r"
        error: …/p/dev/journal: line 1: it follows on snapshot 7, but there is only snapshot 1
          hint: nothing was changed; restore the file from a copy, mend it by hand, or move all files of the stack away to begin anew
        ");
        assert_snapshot!(refused(&|text| text.replacen("infra journal", "a shopping list", 1)).await, @r"
        error: …/p/dev/journal: line 1: it does not say which snapshot it follows on, so it is no journal
          hint: nothing was changed; restore the file from a copy, mend it by hand, or move all files of the stack away to begin anew
        ");
        assert_snapshot!(refused(&|text| sealed_again(&text.replace("p::t:T::host", "p::t:T::gone"))).await, @"
        error: …/p/dev/journal: line 4: `urn:infra:dev::p::t:T::late` depends on `urn:infra:dev::p::t:T::gone`, which it does not hold
          hint: nothing was changed; restore the file from a copy, mend it by hand, or move all files of the stack away to begin anew
        ");
        assert_snapshot!(refused(&|text| sealed_again(&text.replacen("\"done\"", "\"finished\"", 1))).await, @"
        error: …/p/dev/journal: line 3: unknown variant `finished`, expected one of `intent`, `progress`, `done`, `failed`, `read`, `refreshed`, `depends`, `marked`, `renamed`, `imported`, `released`, `distrusted`, `deposed`, `dropped`, `forgotten`, `outputs`
          hint: nothing was changed; restore the file from a copy, mend it by hand, or move all files of the stack away to begin anew
        ");
        fs::remove_file(files.join("state.json")).unwrap();
        let error = FileStore::new(directory.path()).peek("p", "dev").await.unwrap_err().diagnostic().to_string();
        assert_snapshot!(error.replace(directory.path().to_str().unwrap(), "…"), @r"
        error: …/p/dev/state.json: line 1: it is missing, but there is a journal that follows on it
          hint: nothing was changed; restore the file from a copy (…/p/dev/state.json.previous is the one before it), mend it by hand, or move all files of the stack away to begin anew
        ");
    }

    /// Somebody who knows the format has changed it: the checksums fit.
    fn sealed_again(text: &str) -> String {
        let line = |line: &str| match line.split_once(" {") {
            Some((_, json)) => format!("{:08x} {{{json}\n", crc32fast::hash(format!("{{{json}").as_bytes())),
            None => format!("{line}\n"),
        };
        text.lines().map(line).collect()
    }

    #[tokio::test]
    async fn a_long_run_folds_its_journal_and_loses_nothing_at_any_moment() {
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
            // A copy, as it would be found if the process had ended here.
            let copy = tempfile::tempdir().unwrap();
            fs::copy(directory.path().join("secrets.key"), copy.path().join("secrets.key")).unwrap();
            let (from, to) = (store.directory_of("p", "dev"), copy.path().join("p/dev"));
            fs::create_dir_all(&to).unwrap();
            // The journal first: a fold that comes between makes it count no more.
            for file in ["journal", "state.json"] {
                let _ = fs::copy(from.join(file), to.join(file));
            }
            let state = FileStore::new(copy.path()).peek("p", "dev").await.unwrap().unwrap();
            assert_eq!(state.resources.len(), number + 1);
            assert_eq!(state.open[0].progress, [Value::from("half way")]);
            serials.push(state.serial);
        }
        serials.dedup();
        // Each fold waits until the journal is a multiple of the snapshot, so there are ever fewer.
        assert!((3..12).contains(&serials.len()), "{serials:?}");
        session.close().await.unwrap();
    }
}
