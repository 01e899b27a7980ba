//! Reconstructs the state of a stack from the remaining files.
//!
//! `state.json` is preferred. If it is missing or damaged, `state.json.previous` replaces it, and the journals that
//! follow it lead to the state of `state.json`. From a damaged journal, the lines before the damage are used.

use super::{FileStore, Found, JOURNAL, PREVIOUS, PREVIOUS_JOURNAL, SNAPSHOT, disk::Files, left_by_a_run, read_file};
use crate::{
    store::{
        Restored, Salvage, StoreError, evidence,
        lines::{self, Header},
        source::Source,
    },
    value::Seal,
};
use std::{fs, io, path::Path, sync::Arc};

/// Returns the reconstructed state; `None` if the files are undamaged or there are none.
pub(super) fn salvage(
    store: &FileStore,
    program: &str,
    stack: &str,
    seal: &Arc<dyn Seal>,
) -> Result<Option<Salvage>, StoreError> {
    let damage = match store.read(program, stack, seal) {
        Ok(Some(Found { .. }) | None) => return Ok(None),
        Err(damage @ (StoreError::Broken { .. } | StoreError::Refused { .. } | StoreError::Missing { .. })) => damage,
        Err(error) => return Err(error),
    };
    let directory = store.place(program, stack)?;
    let source = |name: &str| Source { program, stack, path: directory.join(name), seal };
    let read = |name: &str| {
        let missing = || StoreError::Missing { path: directory.join(name), found: vec!["nothing else".into()] };
        source(name).snapshot(&read_file(&directory.join(name))?.ok_or_else(missing)?)
    };
    let (name, state) = match read(SNAPSHOT) {
        Ok(read) => (SNAPSHOT, read.state),
        Err(_) => match read(PREVIOUS) {
            Ok(read) => (PREVIOUS, read.state),
            Err(previous) => {
                let (damage, previous) = (damage.to_string(), previous.to_string());
                return Err(StoreError::Irrecoverable { damage, previous });
            }
        },
    };
    let damage = damage.to_string();
    let mut salvage = Salvage { state, sources: vec![name.to_owned()], damage, unused_lines: 0, is_older: false };
    let mut newest = salvage.state.serial;
    // A journal that was included in a snapshot counts only while that snapshot is missing.
    let mut is_complete = true;
    for name in [PREVIOUS_JOURNAL, JOURNAL] {
        let Some(text) = read_file(&directory.join(name))? else {
            is_complete &= name == PREVIOUS_JOURNAL;
            continue;
        };
        let Ok((header, lines)) = lines::split(&text) else {
            salvage.unused_lines += count(&text).saturating_sub(1);
            is_complete = false;
            continue;
        };
        newest = newest.max(header.serial);
        let serial = salvage.state.serial;
        let begins_next = header.serial == serial + 1 && is_complete && salvage.sources.len() > 1;
        if header.serial == serial || begins_next {
            salvage.state.serial = header.serial;
            is_complete = apply(&mut salvage, header, lines, &source(name))?;
            salvage.sources.push(name.to_owned());
        } else if header.serial > serial {
            salvage.unused_lines += count(lines);
            is_complete = false;
        }
    }
    // The missing snapshot may have had the next serial.
    salvage.state.serial = (newest + 1).max(newest_declaration(&directory)?) + 1;
    Ok(Some(salvage))
}

/// Writes a reconstructed state with a new journal, after keeping the files that they replace under other names.
pub(super) fn install(files: &mut Files, salvage: &Salvage) -> Result<Restored, StoreError> {
    let directory = files.directory.clone();
    let is_damaged = salvage.sources.first().is_some_and(|source| source != SNAPSHOT);
    let mut kept = Vec::new();
    for (name, wanted) in [(SNAPSHOT, is_damaged), (JOURNAL, true), (PREVIOUS_JOURNAL, is_damaged)] {
        if wanted {
            kept.extend(keep(&directory, name)?);
        }
    }
    // The damaged snapshot must not replace the one that was read.
    files.write_snapshot(&salvage.state, !is_damaged)?;
    files.begin_journal()?;
    Ok(Restored { serial: salvage.state.serial, kept })
}

/// Applies the lines before the first damaged one. Returns `true` if all lines were applied.
fn apply(salvage: &mut Salvage, header: Header, text: &[u8], source: &Source<'_>) -> Result<bool, StoreError> {
    let read = lines::read(text, header.format, source.seal);
    let rest = &text[read.whole..];
    let applied = source.replay(&mut salvage.state, 2, &text[..read.whole], header.format)?;
    debug_assert_eq!(applied.whole, read.whole);
    if read.damage.is_some() {
        salvage.unused_lines += count(rest);
    }
    Ok(read.damage.is_none())
}

/// Links a file under a second name that marks it as damaged.
fn keep(directory: &Path, name: &str) -> Result<Option<String>, StoreError> {
    for number in 1_u32.. {
        let kept = format!("{name}.damaged-{number}");
        let path = directory.join(&kept);
        match fs::hard_link(directory.join(name), &path) {
            Ok(()) => return Ok(Some(kept)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io(path)(error)),
        }
    }
    Ok(None)
}

/// Returns the greatest serial with stored declarations.
fn newest_declaration(directory: &Path) -> Result<u64, StoreError> {
    let found = left_by_a_run(directory)?;
    Ok(found.iter().filter_map(|name| evidence::declared_serial(name)).max().unwrap_or(0))
}

fn count(lines: &[u8]) -> usize {
    lines.split(|&byte| byte == b'\n').count() - 1
}
