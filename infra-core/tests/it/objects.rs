//! States in object stores: the lease, the journal, and the reports of damage.

use crate::{
    common::{Lifecycle, sized},
    leases::{Case, entry, names},
};
use futures::task::LocalSpawnExt;
use infra_core::{
    Config, Engine, Result, Stack,
    event::{Event, Events},
    state::{Entry, OperationId, State},
    store::{FileStore, KeyedStore, ObjectStateStore, Session, StateStore, StoreError},
    testing::Fault,
    value::Value,
};
use insta::assert_snapshot;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

impl Case {
    fn open(&mut self, store: &(impl StateStore + Clone + 'static)) -> std::result::Result<Session, StoreError> {
        let store = store.clone();
        self.finish(async move { store.open("p", "dev").await })
    }

    fn peek(&mut self) -> std::result::Result<State, StoreError> {
        let (store, ..) = self.reliable();
        self.finish(async move { store.peek("p", "dev").await }).map(Option::unwrap)
    }

    /// Opens a session whose holder has appended `a`, is paused for ten minutes, and still considers its lease valid.
    fn paused(&mut self) -> Session {
        let process = self.world.process(Duration::from_hours(7), true);
        let session = self.open(&self.reliable_for(&process).0).unwrap();
        self.append(&session, "a").unwrap();
        process.stop(Duration::from_mins(10));
        session
    }

    /// Lets the paused holder wake up and write before it checks its lease. The write has no effect.
    fn assert_late_write_is_refused(&mut self, mut session: Session) {
        let error = self.append(&session, "late").unwrap_err();
        assert!(matches!(error, StoreError::Lost { .. }), "{error}");
        let mut state = session.state.clone();
        self.finish(async move { session.fold(&mut state).await }).unwrap_err();
        assert_eq!(names(&self.peek().unwrap()), set(["a"]));
    }

    fn append(&mut self, session: &Session, name: &str) -> std::result::Result<(), StoreError> {
        let (journal, entry) = (session.journal.clone(), entry(name));
        self.finish(async move { journal.append(entry).await })
    }

    fn objects(&mut self) -> Vec<String> {
        use futures::TryStreamExt;
        let list = self.truth.objects.list(None).map_ok(|object| object.location.to_string());
        self.finish(list.try_collect::<Vec<_>>()).unwrap()
    }

    fn text(&mut self, name: &str) -> String {
        let (objects, path) = (self.truth.objects.clone(), Path::from(format!("states/p/dev/{name}")));
        let bytes = self.finish(async move { objects.get(&path).await.unwrap().bytes().await.unwrap() });
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    fn damage(&mut self, name: &str, text: String) {
        let (objects, path) = (self.truth.objects.clone(), Path::from(format!("states/p/dev/{name}")));
        self.finish(async move { objects.put(&path, text.into()).await }).unwrap();
    }
}

impl Case {
    /// Removes an object.
    fn remove(&mut self, name: &str) {
        let (objects, path) = (self.truth.objects.clone(), Path::from(format!("states/p/dev/{name}")));
        self.finish(async move { objects.delete(&path).await }).unwrap();
    }

    /// Creates a stack with a snapshot of `a` and a journal with `b` and `c`, and returns the names of the last two
    /// objects.
    fn folded(&mut self) -> [String; 2] {
        let (store, ..) = self.reliable();
        let mut session = self.open(&store).unwrap();
        self.append(&session, "a").unwrap();
        let mut state = self.peek().unwrap();
        let session = self.finish(async move {
            session.fold(&mut state).await.unwrap();
            session
        });
        self.append(&session, "b").unwrap();
        self.append(&session, "c").unwrap();
        self.finish(session.close()).unwrap();
        let names = self.objects().into_iter().filter_map(|name| name.strip_prefix("states/p/dev/").map(str::to_owned));
        let journal: Vec<String> = names.filter(|name| name.starts_with("journal/")).collect();
        journal[journal.len() - 2..].to_vec().try_into().unwrap()
    }
}

#[test]
fn missing_snapshot_is_a_loss_if_an_earlier_run_left_objects() {
    let mut case = Case::new();
    case.folded();
    let (store, ..) = case.reliable();
    let config = store.clone();
    case.finish(async move { config.put_document("p", "dev", "config.json", b"{}").await }).unwrap();
    case.remove("state.json");
    let error = case.open(&store).map(drop).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. } | StoreError::Broken { .. }), "{error}");
    for journal in case.objects().iter().filter_map(|name| name.strip_prefix("states/p/dev/journal/")) {
        case.remove(&format!("journal/{journal}"));
    }
    assert_snapshot!(case.open(&store).map(drop).unwrap_err().diagnostic().to_string(), @"
    error: states/p/dev/state.json is missing, but an earlier run has left state.json.previous
      hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup; to start over with an empty stack, move these files away
    ");
    case.remove("state.json.previous");
    case.open(&store).unwrap();
}

#[test]
fn damaged_stack_is_restored_from_its_remaining_objects() {
    for (damaged, text, found, unused) in [
        ("state.json", Some("{}"), set([]), 2),
        ("state.json", None, set([]), 2),
        ("first", Some("{}\n"), set(["a"]), 1),
        ("second", None, set(["a", "b"]), 0),
    ] {
        let mut case = Case::new();
        let [first, second] = case.folded();
        let name = match damaged {
            "first" => &first,
            "second" => &second,
            other => other,
        };
        match text {
            Some(text) => case.damage(name, text.to_owned()),
            None => case.remove(name),
        }
        let (store, ..) = case.reliable();
        let salvaging = store.clone();
        let salvage = case.finish(async move { salvaging.salvage("p", "dev").await }).unwrap();
        let Some(salvage) = salvage else {
            // A missing last object cannot be distinguished from a run that was killed before it.
            assert_eq!((damaged, names(&case.peek().unwrap())), ("second", found));
            continue;
        };
        assert_eq!((names(&salvage.state), salvage.unused_lines), (found.clone(), unused), "{damaged} {text:?}");
        assert_eq!(salvage.is_older, damaged == "state.json", "{damaged} {text:?}");
        let (restoring, wanted) = (store.clone(), salvage.clone());
        let restored = case.finish(async move { restoring.restore("p", "dev", &wanted).await }).unwrap();
        assert_eq!(restored.serial, salvage.state.serial);
        for kept in restored.kept {
            assert!(!case.text(&kept).is_empty(), "{kept}");
        }
        assert_eq!(case.peek().unwrap(), salvage.state);
        let session = case.open(&store).unwrap();
        case.append(&session, "d").unwrap();
        case.finish(session.close()).unwrap();
        assert_eq!(names(&case.peek().unwrap()), found.into_iter().chain(["d".to_owned()]).collect());
        let again = case.finish(async move { store.restore("p", "dev", &salvage).await }).unwrap_err();
        assert!(matches!(again, StoreError::NothingToRestore { .. }), "{again}");
    }
}

#[test]
fn every_changed_byte_and_truncation_of_an_object_is_refused() {
    let mut case = Case::new();
    let [first, _] = case.folded();
    let whole = case.text(&first);
    for at in 0..whole.len() {
        let mut changed = whole.clone().into_bytes();
        // An ASCII character stays one.
        changed[at] ^= 1 << (at % 4);
        case.damage(&first, String::from_utf8(changed).unwrap());
        case.peek().unwrap_err();
        case.damage(&first, whole[..at].to_owned());
        case.peek().unwrap_err();
    }
    case.damage(&first, whole);
    assert_eq!(names(&case.peek().unwrap()), set(["a", "b", "c"]));
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn next_writer_finds_all_appended_entries() {
    let mut case = Case::new();
    let (store, ..) = case.reliable();
    let mut session = case.open(&store).unwrap();
    case.append(&session, "a").unwrap();
    case.append(&session, "b").unwrap();
    assert_eq!(names(&case.peek().unwrap()), set(["a", "b"]));
    let mut state = case.peek().unwrap();
    let state = case.finish(async move {
        session.fold(&mut state).await.unwrap();
        session.journal.append(entry("c")).await.unwrap();
        session.close().await.unwrap();
        state
    });
    assert_eq!(state.serial, 1);
    assert_snapshot!(case.objects().join("\n"), @"
    states/p/dev/journal/00000000000000000004
    states/p/dev/lease
    states/p/dev/state.json
    states/p/dev/state.json.previous
    states/secrets.key
    ");
    let started = case.world.now();
    let session = case.open(&store).unwrap();
    assert!(case.world.since(started) < Duration::from_secs(2), "a released lease is taken at once");
    assert_eq!((names(&session.state), session.state.serial), (set(["a", "b", "c"]), 1));
}

#[test]
fn put_with_a_lost_response_is_read_back() {
    let mut case = Case::new();
    let (store, _, objects) = case.reliable();
    objects.loses_responses.store(true, Ordering::Relaxed);
    let mut session = case.open(&store).unwrap();
    case.append(&session, "a").unwrap();
    case.append(&session, "b").unwrap();
    let mut state = case.peek().unwrap();
    case.finish(async move {
        session.fold(&mut state).await.unwrap();
        session.close().await.unwrap();
    });
    assert_eq!(names(&case.peek().unwrap()), set(["a", "b"]));
    let started = case.world.now();
    case.open(&store).unwrap();
    assert!(case.world.since(started) < Duration::from_secs(10), "the lease was released");
}

#[test]
fn renewed_lease_is_not_taken() {
    let mut case = Case::new();
    let (holder, ..) = case.reliable();
    let session = case.open(&holder).unwrap();
    let (store, ..) = case.reliable();
    let started = case.world.now();
    let error = case.open(&store).map(drop).unwrap_err();
    let StoreError::Locked { holder: Some(holder) } = &error else { panic!("{error}") };
    assert_eq!(holder.process, std::process::id());
    assert!(error.to_string().starts_with("the stack is locked by another run: process "), "{error}");
    assert!(case.world.since(started) < Duration::from_secs(15), "one renewal is enough to know");
    case.append(&session, "a").unwrap();
}

#[test]
fn expired_lease_is_taken_and_its_holder_is_refused() {
    let mut case = Case::new();
    let (late, process, _) = case.reliable();
    let mut session = case.open(&late).unwrap();
    case.append(&session, "a").unwrap();
    process.stop(Duration::from_mins(10));

    let messages = Arc::new(Mutex::new(Vec::new()));
    let log = messages.clone();
    let events = Events::to(move |event| {
        if let Event::Message(diagnostic) = event {
            log.lock().unwrap().push(diagnostic.to_string());
        }
    });
    let store = case.reliable().0.events(events);
    let started = case.world.now();
    let successor = case.open(&store).unwrap();
    let waited = case.world.since(started);
    assert!(waited > Duration::from_secs(35) && waited < Duration::from_secs(40), "{waited:?}");
    let messages = messages.lock().unwrap().join("\n");
    assert!(messages.contains("waiting up to 35 s for its lease to be renewed or to expire"), "{messages}");
    assert_eq!(names(&successor.state), set(["a"]));
    case.append(&successor, "b").unwrap();

    case.world.run(&mut case.pool, case.world.now() + Duration::from_mins(10));
    assert!(matches!(session.journal.ensure_held(), Err(StoreError::Lost { .. })));
    let error = case.append(&session, "late").unwrap_err();
    assert!(error.to_string().contains("taken by"), "{error}");
    let mut state = session.state.clone();
    let error = case.finish(async move { session.fold(&mut state).await }).unwrap_err();
    assert!(matches!(error, StoreError::Lost { .. }), "{error}");
    assert_eq!(names(&case.peek().unwrap()), set(["a", "b"]));
    successor.journal.ensure_held().unwrap();
}

#[test]
fn failed_takeover_does_not_fence_off_the_previous_holder() {
    let mut case = Case::new();
    let late = case.paused();
    let whole = case.text("state.json");
    case.damage("state.json", "{".into());
    let (taker, ..) = case.reliable();
    let error = case.open(&taker).map(drop).unwrap_err();
    assert!(matches!(error, StoreError::Broken { .. }), "{error}");
    case.damage("state.json", whole);
    let (next, ..) = case.reliable();
    let started = case.world.now();
    let session = case.open(&next).unwrap();
    assert!(case.world.since(started) < Duration::from_secs(2), "the taker has released the lease");
    assert_eq!(names(&session.state), set(["a"]));
    case.finish(session.close()).unwrap();
    case.assert_late_write_is_refused(late);
}

/// Stops the taker before and after each of its changes of the objects.
#[test]
fn taker_can_be_killed_at_any_moment() {
    for moment in 0.. {
        let mut case = Case::new();
        let late = case.paused();
        let (taker, process, objects) = case.reliable();
        objects.stops_after.store(moment, Ordering::Relaxed);
        case.world.spawn(async move { drop(taker.open("p", "dev").await) });
        case.world.run(&mut case.pool, case.world.now() + Duration::from_mins(1));
        let ended = process.is_stopped();
        let (next, ..) = case.reliable();
        let session = case.open(&next).unwrap();
        assert_eq!(names(&session.state), set(["a"]));
        case.finish(session.close()).unwrap();
        case.assert_late_write_is_refused(late);
        if !ended {
            assert!(moment > 5, "{moment}");
            break;
        }
    }
}

#[test]
fn unlock_breaks_the_lease_of_a_running_process() {
    let mut case = Case::new();
    let (store, ..) = case.reliable();
    let unlock = |case: &mut Case| {
        let (store, ..) = case.reliable();
        case.finish(async move { store.unlock("p", "dev").await.unwrap() })
    };
    assert_eq!(unlock(&mut case), None);
    let session = case.open(&store).unwrap();
    assert_eq!(unlock(&mut case).map(|holder| holder.process), Some(std::process::id()));
    let journal = session.journal.clone();
    let started = case.world.now();
    let error = case.finish(async move { journal.lost().await });
    assert_snapshot!(error.to_string(), @r"the lease on the stack is lost: it was broken by `unlock`");
    assert!(case.world.since(started) < Duration::from_secs(12));
    drop(session);
    // Its holder might not have noticed yet.
    let session = case.open(&store).unwrap();
    assert!(case.world.since(started) > Duration::from_secs(35));
    case.finish(session.close()).unwrap();
    assert_eq!(unlock(&mut case), None);
}

/// Stops the process before and after each of its changes of the objects.
#[test]
fn process_can_be_killed_at_any_moment() {
    let mut folded = 0;
    for moment in 0.. {
        let mut case = Case::new();
        let (store, process, objects) = case.reliable();
        let mut session = case.open(&store).unwrap();
        objects.stops_after.store(moment, Ordering::Relaxed);
        let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
        let log = acknowledged.clone();
        case.world.spawn(async move {
            let mut state = session.state.clone();
            for name in ["a", "b", "c"] {
                state.apply(entry(name));
                session.journal.append(entry(name)).await.unwrap();
                log.lock().unwrap().insert(name.to_owned());
            }
            session.fold(&mut state).await.unwrap();
            session.journal.append(entry("d")).await.unwrap();
            log.lock().unwrap().insert("d".to_owned());
        });
        case.world.run(&mut case.pool, Duration::from_mins(1));
        let ended = process.is_stopped();
        let (next, ..) = case.reliable();
        let successor = case.open(&next).unwrap();
        let found = names(&successor.state);
        let acknowledged = acknowledged.lock().unwrap().clone();
        assert!(found.is_superset(&acknowledged), "after {moment}: {acknowledged:?}, but {found:?}");
        folded += successor.state.serial;
        case.finish(successor.close()).unwrap();
        // The remains of an interrupted fold are deleted; only the fence stays.
        let journal = case.objects().into_iter().filter(|name| name.contains("/journal/")).count();
        assert!(journal <= 1, "after {moment}: {:?}", case.objects());
        if !ended {
            assert!(moment > 10 && folded > 1, "{moment} {folded}");
            break;
        }
    }
}

#[test]
fn long_run_folds_its_journal_and_keeps_progress_of_open_operations() {
    let mut case = Case::new();
    let (store, ..) = case.reliable();
    let session = case.open(&store.fold_after(300 * 1024)).unwrap();
    let operation = OperationId::random().unwrap();
    let Entry::Intent(mut request) = entry("phased") else { panic!() };
    request.operation = operation.clone();
    let journal = session.journal.clone();
    case.finish(async move {
        journal.append(Entry::Intent(request)).await.unwrap();
        journal.append(Entry::Progress { operation, value: Value::from("half way") }).await.unwrap();
    });
    for number in 0..60 {
        case.append(&session, &format!("n{number}")).unwrap();
    }
    let objects = case.objects();
    assert!(objects.iter().any(|name| name.ends_with("state.json.previous")), "it was never folded");
    assert!(objects.len() < 30, "{objects:#?}");
    let state = case.peek().unwrap();
    assert_eq!(state.open.len(), 61);
    assert_eq!(state.open[0].progress, [Value::from("half way")]);
    assert!(state.serial > 1);
}

#[test]
fn damaged_object_is_refused_with_the_line_of_the_damage() {
    let mut case = Case::new();
    let (store, ..) = case.reliable();
    let mut session = case.open(&store).unwrap();
    case.append(&session, "a").unwrap();
    let mut state = case.peek().unwrap();
    let session = case.finish(async move {
        session.fold(&mut state).await.unwrap();
        session
    });
    case.append(&session, "b").unwrap();
    let journal = case.objects().into_iter().rfind(|name| name.contains("/journal/")).unwrap();
    let journal = journal.strip_prefix("states/p/dev/").unwrap().to_owned();
    let mut refused = |name: &str, change: &dyn Fn(&str) -> String| {
        let whole = case.text(name);
        case.damage(name, change(&whole));
        let error = case.peek().unwrap_err().diagnostic().to_string();
        case.damage(name, whole);
        error
    };
    assert_snapshot!(refused(&journal, &|text| text[..text.len() - 9].to_owned()), @"
    error: states/p/dev/journal/00000000000000000003: line 2: it is truncated
      hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
    ");
    assert_snapshot!(refused(&journal, &|text| text.replace("create", "delete")), @"
    error: states/p/dev/journal/00000000000000000003: line 2: it does not match its checksum: the line was changed
      hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
    ");
    assert_snapshot!(refused(&journal, &|text| text.replacen("\"dev\"", "\"prod\"", 1)), @"
    error: states/p/dev/journal/00000000000000000003: line 1: its header does not match its checksum: it was changed
      hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
    ");
    assert_snapshot!(refused("state.json", &|text| text[..text.len() / 2].to_owned()), @"
    error: states/p/dev/state.json: line 16: it is truncated
      hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
    ");
    assert_snapshot!(refused("state.json", &|text| text.replace("\"journal\"", "\"jurnal\"")), @"
    error: states/p/dev/state.json: line 1: it does not match its checksum, although the record of every resource does: another part was changed, or a record is missing
      hint: nothing was changed; run `state restore` to reconstruct the state from the other files, or restore the file from a backup
    ");
    case.damage("lease", "{}".into());
    assert_snapshot!(case.open(&store).map(drop).unwrap_err().diagnostic().to_string(), @"
    error: states/p/dev/lease: line 1: it is not a lease: missing field `epoch`; it contains only the holder of the stack
      hint: nothing was changed; remove the file
    ");
}

#[test]
fn provider_call_is_abandoned_when_the_lease_may_be_lost() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let mut case = Case::new();
    let (store, process, _) = case.reliable();
    let life = Lifecycle::new();
    life.cloud.faults(|_| Some(Fault::Hang));
    let program = |stack: &Stack, _: &Config| -> Result {
        stack.add("thing", sized(1));
        stack.add("other", sized(2));
        Ok(())
    };
    let (first, cloud) = (Engine::new("p", "dev", store), life.clone());
    let outcome = Arc::new(Mutex::new(None));
    let answer = outcome.clone();
    let run = async move {
        let report = first.up(&cloud.wrap(&program)).parallel(1).await;
        *answer.lock().unwrap() = Some(report.map(drop).unwrap_err().diagnostics()[0].to_string());
    };
    case.pool.spawner().spawn_local(run).unwrap();
    case.world.run(&mut case.pool, Duration::from_mins(1));
    assert_eq!(life.cloud.resources().len(), 1, "one call was started, and hangs");
    process.cut(Duration::from_mins(10));
    case.world.run(&mut case.pool, Duration::from_secs(90));
    assert_snapshot!(outcome.lock().unwrap().clone().unwrap(), @r"
        error: the lease on the stack is lost: it could not be renewed in time
          hint: no further operation was started, and the running ones are recorded as open; run the command again to settle them
        ");

    life.cloud.heal();
    let (store, ..) = case.reliable();
    let (second, cloud) = (Engine::new("p", "dev", store), life.clone());
    let again = outcome.clone();
    let run = async move {
        let report = second.up(&cloud.wrap(&program)).await.unwrap();
        assert!(report.is_success(), "{:?}", report.failures);
        *again.lock().unwrap() = None;
    };
    case.pool.spawner().spawn_local(run).unwrap();
    case.world.run(&mut case.pool, Duration::from_mins(4));
    assert_eq!(*outcome.lock().unwrap(), None, "the second run finished");
    assert!(life.cloud.resources().values().all(|ids| ids.len() == 1), "{:?}", life.cloud.resources());
}

#[tokio::test]
async fn stores_list_the_stacks_of_all_programs() {
    let objects: Arc<dyn ObjectStore> = Arc::new(object_store::memory::InMemory::new());
    let directory = tempfile::tempdir().unwrap();
    let stores: [Box<dyn KeyedStore>; 2] = [
        Box::new(ObjectStateStore::new(objects.clone(), "team")),
        Box::new(FileStore::new(directory.path().join("states"))),
    ];
    for store in stores {
        assert!(store.stacks().await.unwrap().is_empty());
        for (program, stack) in [("shop", "dev"), ("blog", "dev"), ("shop", "a-test")] {
            store.put_document(program, stack, "history.json", b"[]").await.unwrap();
        }
        let listed = store.stacks().await.unwrap();
        let listed: Vec<String> = listed.into_iter().map(|(program, stack)| format!("{program}/{stack}")).collect();
        assert_eq!(listed, ["blog/dev", "shop/a-test", "shop/dev"]);
    }
    // A different prefix is a different store.
    assert!(ObjectStateStore::new(objects, "tea").stacks().await.unwrap().is_empty());
}
