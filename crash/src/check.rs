//! Checks after a run that followed one or more kills.

use crate::{
    Result,
    cloud::{Cloud, Record},
    kinds::{self, LateTag, Strategy},
    sandbox::{Command, Sandbox},
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

/// Runs the command and checks that resources, state and program match. A second run is only necessary for resources that
/// the first one could not find yet.
pub async fn run_and_compare(sandbox: &Sandbox, command: Command) -> Result<()> {
    let state = run(sandbox, command).await?;
    check_no_changes(sandbox, command, &state).await?;
    check_no_differences(sandbox, &state)?;
    // The engine searches an hour later once more for a create that was never executed and is no longer declared.
    let open = state.open.iter().map(|open| &open.request.urn).find(|urn| !urn.kind().ends_with("Tag"));
    if let Some(urn) = open.filter(|_| command != Command::Revert) {
        return Err(format!("an operation of `{}` is still open after the run", urn.short()).into());
    }
    let duplicate = state.resources.iter().find(|(_, resource)| resource.generations() != 1);
    if let Some((urn, _)) = duplicate {
        return Err(format!("the state does not contain exactly one generation of `{}`", urn.short()).into());
    }
    Ok(())
}

/// Runs `destroy` and checks that no resource is left. A second run is only necessary for resources that the first one
/// could not find yet.
pub async fn destroy_and_compare(sandbox: &Sandbox) -> Result<()> {
    let state = run(sandbox, Command::Destroy).await?;
    check_no_differences(sandbox, &state)?;
    match state.resources.keys().next() {
        Some(urn) => Err(format!("`{}` is still in the state after destroy", urn.short()).into()),
        None => Ok(()),
    }
}

/// Returns the differences between the state and the existing resources.
pub fn differences(sandbox: &Sandbox, state: &State) -> Result<Vec<Difference>> {
    let mut existing = resources(sandbox)?;
    existing.extend(tree(&sandbox.files())?);
    let mut differences = Vec::new();
    for (urn, generation) in state.generations() {
        let Some(id) = generation.id.as_ref().filter(|_| urn.provider() != "random") else {
            continue;
        };
        match existing.remove(&(urn.provider().to_owned(), id.clone())) {
            None => differences.push(Difference::Missing(urn.clone(), id.clone())),
            Some(resource) => differences.extend(resource.difference(sandbox, urn, generation)?),
        }
    }
    differences.extend(existing.into_values().map(Difference::Orphan));
    Ok(differences)
}

/// A difference between the state and the existing resources.
#[derive(Debug)]
pub enum Difference {
    /// The state contains a resource that does not exist.
    Missing(Urn, String),
    /// A resource exists that the state does not contain.
    Orphan(Existing),
    /// The properties differ.
    Other(Urn, String),
}

/// An existing resource.
#[derive(Debug)]
pub enum Existing {
    /// A resource of the simulated cloud, with the number of its parts.
    Simulated(Box<Record>, usize),
    /// The path of a file or a directory.
    Path(String),
}

/// Runs a command, and repeats it when a resource could not be found yet.
async fn run(sandbox: &Sandbox, command: Command) -> Result<State> {
    let result = sandbox.command(command);
    let state = verified_state(sandbox).await?;
    if not_found_yet(&state).next().is_none() {
        result?;
        return Ok(state);
    }
    // A resource that cannot be found yet may depend on one that must be deleted. Then the run fails before it is complete.
    if result.is_ok() {
        check_orphans(&differences(sandbox, &state)?, &state)?;
    }
    sandbox.command(command)?;
    verified_state(sandbox).await
}

async fn verified_state(sandbox: &Sandbox) -> Result<State> {
    let state = sandbox.state().await?.ok_or("there is no state after a run")?;
    state.verify()?;
    Ok(state)
}

async fn check_no_changes(sandbox: &Sandbox, command: Command, state: &State) -> Result<()> {
    let plan = sandbox.preview(command).await?;
    if plan.has_changes() {
        return Err(format!("a second {command} would make changes:\n{plan}").into());
    }
    let exported: BTreeMap<_, _> = state.outputs.iter().map(|(name, value)| (name.clone(), value.masked())).collect();
    if plan.outputs != exported {
        return Err(format!("the exports are {exported:?} instead of {:?}", plan.outputs).into());
    }
    Ok(())
}

fn check_no_differences(sandbox: &Sandbox, state: &State) -> Result<()> {
    report(&differences(sandbox, state)?)
}

/// Returns the resources with an open create that recovery cannot find yet.
fn not_found_yet(state: &State) -> impl Iterator<Item = &Urn> {
    state.open.iter().map(|open| &open.request.urn).filter(|urn| urn.kind() == LateTag::TYPE)
}

/// Accepts orphans until the next run if the state still contains the operation that may have created them.
fn check_orphans(differences: &[Difference], state: &State) -> Result<()> {
    let open: BTreeSet<String> = not_found_yet(state).map(Urn::short).collect();
    let unknown = differences.iter().find(|difference| match difference {
        Difference::Orphan(Existing::Simulated(record, _)) => !open.contains(&record.request.label),
        _ => true,
    });
    if unknown.is_some() { report(differences) } else { Ok(()) }
}

fn report(differences: &[Difference]) -> Result<()> {
    if differences.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = differences.iter().map(ToString::to_string).collect();
    Err(format!("the existing resources differ from the state:\n{}", lines.join("\n")).into())
}

type Key = (String, String);

/// Returns the resources of the simulated cloud. A part is counted with its resource; without the resource, it is a
/// separate entry.
fn resources(sandbox: &Sandbox) -> Result<BTreeMap<Key, Existing>> {
    let (parts, records): (Vec<_>, Vec<_>) =
        Cloud::all_records(&sandbox.cloud())?.into_iter().partition(|record| record.request.part_of.is_some());
    let mut resources: BTreeMap<Key, Existing> = BTreeMap::new();
    for record in records {
        let count = parts.iter().filter(|part| part.request.part_of.as_ref() == Some(&record.id)).count();
        resources.insert(("cloud".to_owned(), record.id.clone()), Existing::Simulated(Box::new(record), count));
    }
    for part in parts {
        let counted = resources.contains_key(&("cloud".to_owned(), part.request.part_of.clone().unwrap_or_default()));
        if !counted {
            resources.insert(("cloud".to_owned(), part.id.clone()), Existing::Simulated(Box::new(part), 0));
        }
    }
    Ok(resources)
}

/// Returns all files and directories below a directory, except the provider's own `.infra…`.
fn tree(root: &Path) -> Result<BTreeMap<Key, Existing>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![String::new()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(root.join(&directory))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(".infra") {
                continue;
            }
            let id = if directory.is_empty() { name } else { format!("{directory}/{name}") };
            found.insert(("files".to_owned(), id.clone()), Existing::Path(id.clone()));
            if entry.file_type()?.is_dir() {
                pending.push(id);
            }
        }
    }
    Ok(found)
}

impl Existing {
    /// Returns the difference between the resource and its generation in the state.
    fn difference(&self, sandbox: &Sandbox, urn: &Urn, generation: &Generation) -> Result<Option<Difference>> {
        let other = |text: String| Ok(Some(Difference::Other(urn.clone(), text)));
        match self {
            Self::Simulated(record, parts) => {
                let key = generation.outputs.field("key").and_then(|key| key.as_str()).unwrap_or_default();
                let mut expected: BTreeMap<_, _> =
                    generation.inputs.entries().map(|(name, value)| (name.to_string(), value.to_json())).collect();
                expected.extend(kinds::fingerprint(key));
                if expected != record.request.properties {
                    // The text contains secrets, which is acceptable because they protect nothing.
                    return other(format!("{} is {:?} instead of {expected:?}", record.id, record.request.properties));
                }
                let expected = usize::from(!key.is_empty());
                if *parts == expected { Ok(None) } else { other(format!("{} has {parts} parts", record.id)) }
            }
            Self::Path(path) => {
                let Some(content) = generation.inputs.field("content").and_then(|content| content.as_str()) else {
                    return Ok(None);
                };
                match fs::read_to_string(sandbox.files().join(path)) {
                    Ok(text) if text == content => Ok(None),
                    Ok(text) => other(format!("{path} contains {text:?} instead of {content:?}")),
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => other(format!("{path} is not text")),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(urn, id) => write!(f, "- {id} of `{}` is in the state but does not exist", urn.short()),
            Self::Orphan(Existing::Simulated(record, _)) => {
                write!(f, "+ {} of `{}` exists but is not in the state", record.id, record.request.label)
            }
            Self::Orphan(Existing::Path(path)) => write!(f, "+ {path} exists but is not in the state"),
            Self::Other(urn, text) => write!(f, "~ `{}`: {text}", urn.short()),
        }
    }
}
