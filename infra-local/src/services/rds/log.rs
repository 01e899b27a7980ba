//! The log file of a DB instance.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use super::{FILTERS, PAGES, entries, instance, not_found, resource};
use crate::model::Cloud;
use crate::services::{Call, Operation, State};
use crate::state::paths;
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::performs(
        "DescribeDBLogFiles",
        describe,
        &[&["DBInstanceIdentifier", "FilenameContains", "FileLastWritten", "FileSize"], PAGES, FILTERS],
    )
    .on(&[resource::INSTANCE]),
    Operation::performs(
        "DownloadDBLogFilePortion",
        download,
        &[&["DBInstanceIdentifier", "LogFileName", "Marker", "NumberOfLines"]],
    )
    .on(&[resource::INSTANCE]),
];

/// The only log file.
const NAME: &str = "error/postgresql.log";

/// Maximum size of a portion.
const PORTION_BYTES: u64 = 1 << 20;

fn describe(state: &State<'_>, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let metadata = std::fs::metadata(path(state, call)?).ok();
    let file = metadata.and_then(|metadata| {
        let written = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_millis() as u64;
        Some((written, metadata.len()))
    });
    let since: u64 = params.parsed("FileLastWritten")?.unwrap_or(0);
    let larger: u64 = params.parsed("FileSize")?.unwrap_or(0);
    let named = params.optional("FilenameContains").is_none_or(|part| NAME.contains(part));
    let file = file
        .filter(|(written, size)| named && *written >= since && *size >= larger)
        .map(|(written, size)| Node::new().with("LogFileName", NAME).with("LastWritten", written).with("Size", size));
    Ok(Node::new().with("DescribeDBLogFiles", entries("DescribeDBLogFilesDetails", file)))
}

fn download(state: &State<'_>, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let path = path(state, call)?;
    let name = params.required("LogFileName")?;
    let absent = || not_found("DBLogFileNotFoundFault", format!("DBLog File: {name}, is not found on the DB instance"));
    if name != NAME {
        return Err(absent());
    }
    // An instance whose server has not run yet has no log.
    let mut file = match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(absent()),
        opened => opened?,
    };
    let size = file.metadata()?.len();
    let lines: Option<usize> = params.parsed("NumberOfLines")?;
    // Without a marker, a number of lines selects the last ones; the marker 0 is the beginning.
    let marker = params.optional("Marker").filter(|marker| !marker.is_empty());
    let begin = match marker {
        Some(marker) => marker.parse().unwrap_or(0).min(size),
        None if lines.is_some() => size.saturating_sub(PORTION_BYTES),
        None => 0,
    };
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(PORTION_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let all: Vec<&str> = text.lines().collect();
    let shown = match (lines, marker) {
        (Some(lines), None) => &all[all.len().saturating_sub(lines)..],
        (Some(lines), Some(_)) => &all[..lines.min(all.len())],
        (None, _) => &all[..],
    };
    let end = begin + bytes.len() as u64;
    Ok(Node::new().with("LogFileData", shown.join("\n")).with("Marker", end).with("AdditionalDataPending", end < size))
}

fn path(state: &State<'_>, call: &Call<'_, Params>) -> Outcome<PathBuf> {
    let wanted = call.input.required("DBInstanceIdentifier")?;
    let found = |cloud: &Cloud| Ok(instance(cloud.region(call.region)?, wanted)?.resource_id.clone());
    let resource_id: Outcome<String> = state.read(found);
    Ok(paths::database(call.directory, &resource_id?).join("postgres.log"))
}
