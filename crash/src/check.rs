//! What must hold once a run has come to its end, whatever happened before it.

use crate::{
    Result,
    kinds::{self, LateTag, Strategy},
    place::{Command, Place},
    world::{Record, World},
};
use infra_core::{
    Urn,
    state::{Generation, State},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    path::Path,
};

/// Makes everything be as the command's program says, and checks that it is: one run suffices, unless something can
/// only be found later; then a second one does.
pub async fn converges(place: &Place, command: Command) -> Result<()> {
    let state = run(place, command).await?;
    unchanged(place, command, &state).await?;
    exact(place, &state)?;
    // A create that never happened, and that the program has taken back, is looked for once more an hour later.
    let still = state.open.iter().map(|open| &open.request.urn).find(|urn| !urn.kind().ends_with("Tag"));
    if let Some(urn) = still.filter(|_| command != Command::TakeBack) {
        return Err(format!("an operation of `{}` is still open after the run", urn.short()).into());
    }
    let several = state.resources.iter().find(|(_, resource)| resource.generations() != 1);
    if let Some((urn, _)) = several {
        return Err(format!("`{}` exists more than once", urn.short()).into());
    }
    Ok(())
}

/// Deletes everything, and checks that nothing is left: one run suffices, unless something can only be found later.
pub async fn ends(place: &Place) -> Result<()> {
    let state = run(place, Command::Destroy).await?;
    exact(place, &state)?;
    match state.resources.keys().next() {
        Some(urn) => Err(format!("`{}` is still in the state after destroy", urn.short()).into()),
        None => Ok(()),
    }
}

/// What differs between the state and what exists, one line each; empty when nothing does.
pub fn difference(place: &Place, state: &State) -> Result<Vec<Difference>> {
    let mut existing = things(place)?;
    existing.extend(tree(&place.files())?);
    let mut differences = Vec::new();
    for (urn, generation) in state.generations() {
        let Some(id) = generation.id.as_ref().filter(|_| urn.provider() != "random") else {
            continue;
        };
        match existing.remove(&(urn.provider().to_owned(), id.clone())) {
            None => differences.push(Difference::Missing(urn.clone(), id.clone())),
            Some(thing) => differences.extend(thing.differs(place, urn, generation)?),
        }
    }
    differences.extend(existing.into_values().map(Difference::Orphan));
    Ok(differences)
}

/// A disagreement between the state and what exists.
#[derive(Debug)]
pub enum Difference {
    /// The state says that this exists.
    Missing(Urn, String),
    /// This exists, and the state does not know it.
    Orphan(Existing),
    /// It exists, and not as the state says.
    Other(Urn, String),
}

/// Something that exists.
#[derive(Debug)]
pub enum Existing {
    /// In the world, with the parts of it.
    Thing(Box<Record>, usize),
    /// In the tree of files.
    Path(String),
}

/// Runs a command, and once more when there was something that could not be found yet.
async fn run(place: &Place, command: Command) -> Result<State> {
    let outcome = place.command(command);
    let state = sound(place).await?;
    if late(&state).next().is_none() {
        outcome?;
        return Ok(state);
    }
    // What cannot be found yet may use what is to be deleted; then the run was refused, and has not come to everything.
    if outcome.is_ok() {
        known(&difference(place, &state)?, &state)?;
    }
    place.command(command)?;
    sound(place).await
}

async fn sound(place: &Place) -> Result<State> {
    let state = place.state().await?.ok_or("there is no state after a run")?;
    state.verify()?;
    Ok(state)
}

async fn unchanged(place: &Place, command: Command, state: &State) -> Result<()> {
    let plan = place.preview(command).await?;
    if plan.has_changes() {
        return Err(format!("a second {command} would change something:\n{plan}").into());
    }
    let exported: BTreeMap<_, _> = state.outputs.iter().map(|(name, value)| (name.clone(), value.masked())).collect();
    if plan.outputs != exported {
        return Err(format!("the exports are {exported:?} and not {:?}", plan.outputs).into());
    }
    Ok(())
}

fn exact(place: &Place, state: &State) -> Result<()> {
    report(&difference(place, state)?)
}

/// Whose creates are open and can be found by nobody yet.
fn late(state: &State) -> impl Iterator<Item = &Urn> {
    state.open.iter().map(|open| &open.request.urn).filter(|urn| urn.kind() == LateTag::TYPE)
}

/// Orphans are tolerated for one more run while the operation that may have made them is open: the state still knows of it.
fn known(differences: &[Difference], state: &State) -> Result<()> {
    let open: BTreeSet<String> = late(state).map(Urn::short).collect();
    let unknown = differences.iter().find(|difference| match difference {
        Difference::Orphan(Existing::Thing(record, _)) => !open.contains(&record.wanted.label),
        _ => true,
    });
    if unknown.is_some() { report(differences) } else { Ok(()) }
}

fn report(differences: &[Difference]) -> Result<()> {
    if differences.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = differences.iter().map(ToString::to_string).collect();
    Err(format!("what exists is not what the state holds:\n{}", lines.join("\n")).into())
}

type Key = (String, String);

fn things(place: &Place) -> Result<BTreeMap<Key, Existing>> {
    let (parts, whole): (Vec<_>, Vec<_>) =
        World::everything(&place.world())?.into_iter().partition(|record| record.wanted.part_of.is_some());
    let mut things: BTreeMap<Key, Existing> = BTreeMap::new();
    for record in whole {
        let of_this = parts.iter().filter(|part| part.wanted.part_of.as_ref() == Some(&record.id)).count();
        things.insert(("world".to_owned(), record.id.clone()), Existing::Thing(Box::new(record), of_this));
    }
    for part in parts {
        let known = things.contains_key(&("world".to_owned(), part.wanted.part_of.clone().unwrap_or_default()));
        if !known {
            things.insert(("world".to_owned(), part.id.clone()), Existing::Thing(Box::new(part), 0));
        }
    }
    Ok(things)
}

/// Everything in a directory but what is hidden.
fn tree(root: &Path) -> Result<BTreeMap<Key, Existing>> {
    let mut found = BTreeMap::new();
    let mut open = vec![String::new()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(root.join(&directory))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(".infra") {
                continue;
            }
            let id = if directory.is_empty() { name } else { format!("{directory}/{name}") };
            found.insert(("files".to_owned(), id.clone()), Existing::Path(id.clone()));
            if entry.file_type()?.is_dir() {
                open.push(id);
            }
        }
    }
    Ok(found)
}

impl Existing {
    /// What of it is not as the state says.
    fn differs(&self, place: &Place, urn: &Urn, generation: &Generation) -> Result<Option<Difference>> {
        let other = |what: String| Ok(Some(Difference::Other(urn.clone(), what)));
        match self {
            Self::Thing(record, parts) => {
                let key = generation.outputs.field("key").and_then(|key| key.as_str()).unwrap_or_default();
                let mut expected: BTreeMap<_, _> =
                    generation.inputs.entries().map(|(name, value)| (name.clone(), value.to_json())).collect();
                expected.extend(kinds::fingerprint(key));
                if expected != record.wanted.properties {
                    // A difference in a secret is told without the secret only because these open nothing.
                    return other(format!("{} is {:?} and not {expected:?}", record.id, record.wanted.properties));
                }
                let wanted = usize::from(!key.is_empty());
                if *parts == wanted { Ok(None) } else { other(format!("{} has {parts} parts", record.id)) }
            }
            Self::Path(path) => {
                let Some(content) = generation.inputs.field("content").and_then(|content| content.as_str()) else {
                    return Ok(None);
                };
                match fs::read_to_string(place.files().join(path)) {
                    Ok(text) if text == content => Ok(None),
                    Ok(text) => other(format!("{path} holds {text:?} and not {content:?}")),
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => other(format!("{path} is no text")),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(urn, id) => write!(f, "- {id} of `{}` is in the state and does not exist", urn.short()),
            Self::Orphan(Existing::Thing(record, _)) => {
                write!(f, "+ {} of `{}` exists and is not in the state", record.id, record.wanted.label)
            }
            Self::Orphan(Existing::Path(path)) => write!(f, "+ {path} exists and is not in the state"),
            Self::Other(urn, what) => write!(f, "~ `{}`: {what}", urn.short()),
        }
    }
}
