//! Notifications of changes, as server-sent events. A page lists the topics that it shows, and requests itself again
//! when one of them changes.

use crate::views::{Context, LOCAL, logs};
use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, stream};
use serde_json::Value as Json;
use std::{
    collections::BTreeMap,
    convert::Infallible,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::sync::watch;

/// Interval of looking for changes, while a page is open.
const INTERVAL: Duration = Duration::from_millis(400);

/// Number of intervals between two updates of measurements: 2 s in the local cloud. CloudWatch charges each request and
/// aggregates over a minute, so that the measurements of AWS are read every minute and its logs every 10 s.
const MEASUREMENTS: u64 = 5;
const AWS_MEASUREMENTS: u64 = 150;
const AWS_LOGS: u64 = 25;

/// A part of the system that pages show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// The recorded state and the run records.
    Stack,
    /// The status of the local cloud.
    Cloud,
    /// The API calls to the local cloud.
    Calls,
    /// The logs of the local cloud and of its services.
    Logs,
    /// Continuous measurements, such as metrics.
    Clock,
}

impl Topic {
    /// Returns the name of the event.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Topic::Stack => "stack",
            Topic::Cloud => "cloud",
            Topic::Calls => "calls",
            Topic::Logs => "logs",
            Topic::Clock => "clock",
        }
    }
}

/// A number per topic that changes with the topic's content.
type Revisions = BTreeMap<Topic, u64>;

/// The present revisions. The task that updates them works only while a page listens.
#[derive(Clone)]
pub(crate) struct Changes(watch::Sender<Revisions>);

impl Changes {
    /// Starts to watch.
    pub(crate) fn watch(context: Arc<Context>) -> Self {
        let (sender, _) = watch::channel(Revisions::new());
        let changes = sender.clone();
        tokio::spawn(async move {
            let mut tick: u64 = 0;
            loop {
                tokio::time::sleep(INTERVAL).await;
                if sender.receiver_count() == 0 {
                    continue;
                }
                tick += 1;
                let revisions = revisions(&context, tick).await;
                sender.send_if_modified(|known| {
                    let changed = *known != revisions;
                    *known = revisions;
                    changed
                });
            }
        });
        Self(changes)
    }
}

async fn revisions(context: &Context, tick: u64) -> Revisions {
    let is_local = context.source.target() == LOCAL;
    let measurements = if is_local { MEASUREMENTS } else { AWS_MEASUREMENTS };
    let mut revisions = Revisions::from([(Topic::Stack, stack_revision(context)), (Topic::Clock, tick / measurements)]);
    if !is_local {
        revisions.extend([(Topic::Cloud, 0), (Topic::Calls, 0), (Topic::Logs, tick / AWS_LOGS)]);
    } else if let Some(cloud) = context.source.cloud() {
        let status = cloud.get("status").await.unwrap_or(Json::Null);
        revisions.insert(Topic::Logs, logs::revision(context.source.directory(), Some(&status)));
        revisions.insert(Topic::Cloud, hash(&status.to_string()));
        let calls = cloud.get("calls?limit=1").await.unwrap_or(Json::Null);
        revisions.insert(Topic::Calls, calls["next"].as_u64().unwrap_or_default());
    } else {
        revisions.extend([(Topic::Cloud, 0), (Topic::Calls, 0)]);
        revisions.insert(Topic::Logs, logs::revision(context.source.directory(), None));
    }
    revisions
}

/// Hashes the names, sizes and times of the files of the stack's state and of its run records.
fn stack_revision(context: &Context) -> u64 {
    let (source, directory) = (&context.source, context.source.directory());
    let mut hasher = DefaultHasher::new();
    for part in ["state", "runs"] {
        hash_files(&directory.join(part).join(source.program()).join(source.stack()), &mut hasher);
        hash_files(&directory.join(part).join(source.program()), &mut hasher);
    }
    hasher.finish()
}

fn hash_files(directory: &Path, hasher: &mut DefaultHasher) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        (entry.file_name(), metadata.len(), modified).hash(hasher);
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Streams the name of a topic whenever its content changes.
pub(crate) async fn stream(
    State(changes): State<Changes>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<>> {
    let mut receiver = changes.0.subscribe();
    let first = receiver.borrow_and_update().clone();
    let names = stream::unfold((receiver, first), |(mut receiver, known)| async move {
        receiver.changed().await.ok()?;
        let new = receiver.borrow_and_update().clone();
        let changed: Vec<&str> = new
            .iter()
            .filter(|(topic, value)| known.get(topic) != Some(value))
            .map(|(topic, _)| topic.name())
            .collect();
        Some((Ok(Event::default().event("changed").data(changed.join(" "))), (receiver, new)))
    });
    Sse::new(names).keep_alive(KeepAlive::default())
}
