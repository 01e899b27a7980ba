//! A cloud in a directory, nastier than a real one.
//!
//! Every thing is one file, written atomically; it outlives whoever asked for it. A create makes a new thing every time
//! unless its idempotency token has been seen, so a request sent twice leaves a duplicate; names are unique; what is
//! used cannot be removed; a lookup by tag lags behind. Each change has two boundaries of its own: before it happens,
//! and after, with nobody told.

use crate::moment;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// A thing that exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its id, given by the world.
    pub id: String,
    /// How it was asked for.
    #[serde(flatten)]
    pub wanted: Wanted,
    /// In which run it was made.
    made_in: u64,
}

/// What a create asks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// Its kind; ids begin with it.
    pub kind: String,
    /// For whom, in words.
    pub label: String,
    /// The idempotency token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// A name that no other thing of the kind has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A tag to look it up by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The id of the thing that this is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<String>,
    /// Everything else.
    pub properties: BTreeMap<String, Json>,
}

/// Why the world did not do what it was asked.
#[derive(Debug)]
pub enum Refusal {
    /// Another thing has the name.
    NameTaken(String),
    /// There is no such thing.
    Missing(String),
    /// Another thing uses it.
    InUse {
        /// What should go.
        id: String,
        /// Who uses it.
        by: String,
    },
    /// The directory cannot be read or written.
    Io(io::Error),
}

/// When a tag can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lag {
    /// At once.
    None,
    /// At the third look of a run.
    Looks,
    /// Not before the second run after the one that made the thing.
    Runs,
}

/// The world in one directory, as one run sees it. Clones are the same run.
#[derive(Clone)]
pub struct World(Arc<Run>);

struct Run {
    directory: PathBuf,
    number: u64,
    looks: Mutex<HashMap<String, u32>>,
    /// One change at a time.
    change: Mutex<()>,
}

impl World {
    /// The world in this directory, for one more run.
    pub fn next_run(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        fs::create_dir_all(&directory)?;
        let number = counted(&directory.join("runs"))?;
        Ok(Self::of_run(directory, number))
    }

    /// The world in this directory, for somebody who only looks.
    pub fn visit(directory: impl Into<PathBuf>) -> Self {
        Self::of_run(directory.into(), 0)
    }

    fn of_run(directory: PathBuf, number: u64) -> Self {
        let looks = Mutex::default();
        Self(Arc::new(Run { directory, number, looks, change: Mutex::default() }))
    }

    /// Everything that exists, at once and without lag: for whoever checks the world, not for providers.
    pub fn everything(directory: &Path) -> io::Result<Vec<Record>> {
        let mut records = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match fs::read(path) {
                Ok(text) => records.push(serde_json::from_slice(&text)?),
                // Removed between the two looks.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        records.sort_by(|a: &Record, b: &Record| a.id.cmp(&b.id));
        Ok(records)
    }

    /// Makes a thing, or tells the one that this token has made.
    pub async fn make(&self, wanted: Wanted) -> Result<Record, Refusal> {
        self.changing(|world| {
            let known = Self::everything(&world.directory)?;
            let same = |record: &&Record| wanted.token.is_some() && record.wanted.token == wanted.token;
            if let Some(record) = known.iter().find(same) {
                return Ok(record.clone());
            }
            let rival = known.iter().find(|record| {
                wanted.name.is_some() && (&record.wanted.kind, &record.wanted.name) == (&wanted.kind, &wanted.name)
            });
            if let Some(rival) = rival {
                return Err(Refusal::NameTaken(rival.id.clone()));
            }
            // First the counter, so that a death in between skips a number and no id is ever given twice.
            let made = counted(&world.directory.join("made"))?;
            let record = Record { id: format!("{}-{made}", wanted.kind), wanted, made_in: world.number };
            world.write(&record)?;
            Ok(record)
        })
        .await
    }

    /// Gives a thing other properties.
    pub async fn change(&self, id: &str, properties: BTreeMap<String, Json>) -> Result<Record, Refusal> {
        self.changing(|world| {
            let mut record = world.read(id)?.ok_or_else(|| Refusal::Missing(id.to_owned()))?;
            record.wanted.properties = properties;
            world.write(&record)?;
            Ok(record)
        })
        .await
    }

    /// Ends a thing that nothing uses.
    pub async fn remove(&self, id: &str) -> Result<(), Refusal> {
        self.changing(|world| {
            let user = Self::everything(&world.directory)?.into_iter().find(|record| record.wanted.uses(id));
            if let Some(user) = user {
                return Err(Refusal::InUse { id: id.to_owned(), by: user.id });
            }
            world.end(id)
        })
        .await
    }

    /// Ends a thing, whoever uses it.
    pub async fn wrench(&self, id: &str) -> Result<(), Refusal> {
        self.changing(|world| world.end(id)).await
    }

    /// The thing with this id.
    pub async fn by_id(&self, id: &str) -> Result<Option<Record>, Refusal> {
        tokio::task::yield_now().await;
        self.0.read(id)
    }

    /// The thing of this kind with this name.
    pub async fn by_name(&self, kind: &str, name: &str) -> Result<Option<Record>, Refusal> {
        self.first(|record| record.wanted.kind == kind && record.wanted.name.as_deref() == Some(name)).await
    }

    /// The thing that this token has made.
    pub async fn by_token(&self, token: &str) -> Result<Option<Record>, Refusal> {
        self.first(|record| record.wanted.token.as_deref() == Some(token)).await
    }

    /// The part of this thing.
    pub async fn part_of(&self, id: &str) -> Result<Option<Record>, Refusal> {
        self.first(|record| record.wanted.part_of.as_deref() == Some(id)).await
    }

    /// The thing with this tag, unless the index lags behind.
    pub async fn by_tag(&self, tag: &str, lag: Lag) -> Result<Option<Record>, Refusal> {
        let found = self.first(|record| record.wanted.tag.as_deref() == Some(tag)).await?;
        let mut looks = self.0.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let look = looks.entry(tag.to_owned()).or_default();
        *look += 1;
        Ok(found.filter(|record| match lag {
            Lag::None => true,
            Lag::Looks => *look >= 3,
            Lag::Runs => self.0.number >= record.made_in + 2,
        }))
    }

    async fn first(&self, fits: impl Fn(&Record) -> bool) -> Result<Option<Record>, Refusal> {
        tokio::task::yield_now().await;
        Ok(Self::everything(&self.0.directory)?.into_iter().find(fits))
    }

    async fn changing<T>(&self, change: impl FnOnce(&Run) -> Result<T, Refusal>) -> Result<T, Refusal> {
        // Others get their turn, so that operations that run at once really interleave.
        tokio::task::yield_now().await;
        moment::reached(moment::WORLD_COMMIT);
        let answer = {
            let _one_at_a_time = self.0.change.lock().unwrap_or_else(PoisonError::into_inner);
            change(&self.0)
        };
        moment::reached(moment::WORLD_COMMITTED);
        tokio::task::yield_now().await;
        answer
    }
}

impl Wanted {
    fn uses(&self, id: &str) -> bool {
        let uses = self.properties.get("uses").and_then(Json::as_array);
        let place = self.properties.get("place");
        uses.into_iter().flatten().chain(place).any(|used| used == id) || self.part_of.as_deref() == Some(id)
    }
}

impl Run {
    fn end(&self, id: &str) -> Result<(), Refusal> {
        match fs::remove_file(self.path(id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Refusal::Missing(id.to_owned())),
            other => Ok(other?),
        }
    }

    fn path(&self, id: &str) -> PathBuf {
        self.directory.join(format!("{id}.json"))
    }

    fn read(&self, id: &str) -> Result<Option<Record>, Refusal> {
        match fs::read(self.path(id)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text).map_err(io::Error::from)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn write(&self, record: &Record) -> Result<(), Refusal> {
        let text = serde_json::to_vec_pretty(record).map_err(io::Error::from)?;
        Ok(put(&self.path(&record.id), &text)?)
    }
}

/// Counts one up and tells the number.
fn counted(path: &Path) -> io::Result<u64> {
    let number = fs::read_to_string(path).ok().and_then(|text| text.parse().ok()).unwrap_or(0_u64) + 1;
    put(path, number.to_string().as_bytes())?;
    Ok(number)
}

/// Whole or not at all.
fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("next");
    fs::write(&beside, content)?;
    fs::rename(beside, path)
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
