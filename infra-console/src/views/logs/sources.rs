//! The log files of the local cloud. Their paths come from the cloud's status, never from a request.

use crate::views::Problem;
use infra_core::diagnostic::{Diagnostic, did_you_mean};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Json;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

/// Maximum number of logs that are read for one page.
const LIMIT: usize = 300;

/// Name of the local cloud's own log among the sources.
pub(crate) const CLOUD: &str = "cloud";

/// Kind of a program that writes a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "LogKind")]
pub(crate) enum Kind {
    /// The local cloud itself.
    Cloud,
    /// A service of an instance.
    Service,
    /// A database server.
    Database,
    /// A load balancer, with a line per request.
    Balancer,
    /// The messages of the cloud about the start of an instance.
    Boot,
    /// A log stream of CloudWatch Logs in the local cloud.
    Stream,
    /// A log group of CloudWatch Logs on AWS.
    Group,
}

/// A log.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct LogSource {
    /// ID of the instance or the database and name of the service, such as `i-1/api`; of a log stream, `GROUP:STREAM`.
    pub(crate) id: String,
    /// ID of the instance or the database, name of the balancer, or name of the log group.
    pub(crate) of: String,
    /// The tag `Name` of the instance.
    pub(crate) name: Option<String>,
    /// Name of the service or the log stream; `postgres`, `requests` or `boot` for other logs.
    pub(crate) service: String,
    /// Short unique text for people.
    pub(crate) label: String,
    pub(crate) kind: Kind,
    pub(crate) region: Option<String>,
    /// State of the service or the database.
    pub(crate) state: Option<String>,
    #[serde(skip)]
    pub(super) path: PathBuf,
    /// Position in the list of all logs.
    #[serde(skip)]
    pub(crate) position: usize,
}

impl LogSource {
    /// Returns the files of the log, the newest first: the local cloud copies a long log to `NAME.1` and truncates it.
    pub(super) fn files(&self) -> [PathBuf; 2] {
        let mut previous = OsString::from(&self.path);
        previous.push(".1");
        [self.path.clone(), previous.into()]
    }

    fn is_selected(&self, of: &str) -> bool {
        [&self.id, &self.of, &self.service].into_iter().any(|name| name == of) || self.name.as_deref() == Some(of)
    }
}

/// Logs that exist.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) all: Vec<LogSource>,
    /// Number of logs beyond the limit.
    pub(super) omitted: usize,
}

impl Sources {
    /// Lists the log of the cloud in a directory, and those that its status names.
    pub(super) fn of(directory: &Path, status: Option<&Json>) -> Self {
        let mut all = vec![LogSource {
            id: CLOUD.to_owned(),
            of: CLOUD.to_owned(),
            name: None,
            service: CLOUD.to_owned(),
            label: "local cloud".to_owned(),
            kind: Kind::Cloud,
            region: None,
            state: None,
            path: cloud_log(directory),
            position: 0,
        }];
        let regions = || status.and_then(|status| status["regions"].as_object()).into_iter().flatten();
        for (region, status) in regions() {
            let instances = status["instances"].as_array().into_iter().flatten();
            all.extend(instances.flat_map(|instance| services(region, instance)));
            let databases = status["databases"].as_array().into_iter().flatten();
            all.extend(databases.filter_map(|database| server(region, database)));
            let balancers = status["balancers"].as_array().into_iter().flatten();
            all.extend(balancers.filter_map(|balancer| access(region, balancer)));
        }
        // The logs of programs are more important than these, if there are too many.
        for (region, status) in regions() {
            let instances = status["instances"].as_array().into_iter().flatten();
            all.extend(instances.filter_map(|instance| boot(region, instance)));
            let streams = status["log_streams"].as_array().into_iter().flatten();
            all.extend(streams.filter_map(|stream| stream_source(region, stream)));
        }
        let omitted = all.len().saturating_sub(LIMIT);
        all.truncate(LIMIT);
        label(&mut all);
        all.iter_mut().enumerate().for_each(|(position, source)| source.position = position);
        Self { all, omitted }
    }

    /// Returns the log groups of a stack on AWS.
    pub(super) fn on_aws(groups: Vec<LogSource>) -> Self {
        Self { all: groups, omitted: 0 }
    }

    /// Returns the logs of an instance, a service or a database.
    pub(super) fn select(&self, of: &str) -> Result<Vec<LogSource>, Problem> {
        let selected: Vec<_> =
            self.all.iter().filter(|source| of.is_empty() || source.is_selected(of)).cloned().collect();
        if !selected.is_empty() {
            return Ok(selected);
        }
        let shown: String = of.chars().take(100).collect();
        let missing = Diagnostic::error(format!("`{shown}` has no log"));
        let names = self.all.iter().flat_map(|source| [Some(&source.id), Some(&source.of), source.name.as_ref()]);
        let near = did_you_mean(of, names.flatten().map(String::as_str));
        let hint = "an instance that no longer exists has no log; the page `Logs` lists those that exist";
        Err(Problem::not_found(missing.hint(near.unwrap_or_else(|| hint.to_owned()))))
    }
}

/// Returns the path of the local cloud's own log.
pub(super) fn cloud_log(directory: &Path) -> PathBuf {
    directory.join("local").join("cloud.log")
}

/// Returns a number that changes when a log grows, is truncated, appears or disappears.
pub(crate) fn revision(directory: &Path, status: Option<&Json>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for source in Sources::of(directory, status).all {
        let length = std::fs::metadata(&source.path).map_or(0, |metadata| metadata.len());
        (source.id, source.state, length).hash(&mut hasher);
    }
    hasher.finish()
}

fn services<'a>(region: &'a str, instance: &'a Json) -> impl Iterator<Item = LogSource> + 'a {
    let services = instance["services"].as_array().into_iter().flatten();
    services.filter_map(move |service| {
        let (of, name) = (text(instance, "id")?, text(service, "name")?);
        Some(LogSource {
            id: format!("{of}/{name}"),
            of,
            name: text(instance, "name"),
            service: name,
            label: String::new(),
            kind: Kind::Service,
            region: Some(region.to_owned()),
            state: text(service, "state"),
            path: path(service)?,
            position: 0,
        })
    })
}

fn server(region: &str, database: &Json) -> Option<LogSource> {
    let of = text(database, "id")?;
    Some(LogSource {
        id: format!("{of}/postgres"),
        of,
        name: None,
        service: "postgres".to_owned(),
        label: String::new(),
        kind: Kind::Database,
        region: Some(region.to_owned()),
        state: text(database, "state"),
        path: path(database)?,
        position: 0,
    })
}

fn access(region: &str, balancer: &Json) -> Option<LogSource> {
    let of = text(balancer, "name")?;
    Some(LogSource {
        id: format!("{of}/requests"),
        of,
        name: None,
        service: "requests".to_owned(),
        label: String::new(),
        kind: Kind::Balancer,
        region: Some(region.to_owned()),
        state: text(balancer, "state"),
        path: path(balancer)?,
        position: 0,
    })
}

/// Returns the messages of the cloud about an instance. They exist as long as the instance is listed.
fn boot(region: &str, instance: &Json) -> Option<LogSource> {
    let of = text(instance, "id")?;
    Some(LogSource {
        id: format!("{of}/boot"),
        of,
        name: text(instance, "name"),
        service: "boot".to_owned(),
        label: String::new(),
        kind: Kind::Boot,
        region: Some(region.to_owned()),
        state: text(instance, "state"),
        path: absolute(instance, "console")?,
        position: 0,
    })
}

fn stream_source(region: &str, stream: &Json) -> Option<LogSource> {
    let (of, name) = (text(stream, "group")?, text(stream, "stream")?);
    Some(LogSource {
        id: format!("{of}:{name}"),
        of,
        name: None,
        service: name,
        label: String::new(),
        kind: Kind::Stream,
        region: Some(region.to_owned()),
        state: None,
        path: path(stream)?,
        position: 0,
    })
}

/// Gives every log a label. Instances with the same name, such as those of an Auto Scaling group, also have the end of
/// their ID.
fn label(sources: &mut [LogSource]) {
    let plain = |source: &LogSource| match source.kind {
        Kind::Cloud => source.label.clone(),
        Kind::Database | Kind::Balancer | Kind::Group => source.of.clone(),
        Kind::Stream => format!("{} {}", source.of, source.service),
        Kind::Service | Kind::Boot => format!("{} {}", source.name.as_deref().unwrap_or(&source.of), source.service),
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    sources.iter().for_each(|source| *counts.entry(plain(source)).or_default() += 1);
    for source in sources {
        let label = plain(source);
        let is_unique = counts.get(&label) == Some(&1);
        source.label = match &source.name {
            Some(name) if !is_unique => {
                let end: Vec<char> = source.of.chars().rev().take(4).collect();
                format!("{name}…{} {}", end.iter().rev().collect::<String>(), source.service)
            }
            _ => label,
        };
    }
}

fn text(document: &Json, member: &str) -> Option<String> {
    document[member].as_str().map(str::to_owned)
}

fn path(document: &Json) -> Option<PathBuf> {
    absolute(document, "log")
}

fn absolute(document: &Json, member: &str) -> Option<PathBuf> {
    document[member].as_str().map(PathBuf::from).filter(|path| path.is_absolute())
}
