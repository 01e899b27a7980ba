//! Reads the buckets from disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::{Bucket, Versions, make_directories};
use crate::model::s3::{Object, Part, Settings, Upload};
use crate::state::files;

/// Reads all buckets below `root`.
pub(super) fn buckets(root: &Path) -> io::Result<BTreeMap<String, Bucket>> {
    files::create_directory(root)?;
    let mut buckets = BTreeMap::new();
    for entry in std::fs::read_dir(root)? {
        let path = entry?.path();
        // A directory without settings belongs to a bucket whose creation or deletion was interrupted.
        let Some(settings) = read_json::<Settings>(&path.join("bucket.json"))? else {
            let _ = std::fs::remove_dir_all(&path);
            continue;
        };
        let bucket = bucket(&path, settings)?;
        buckets.insert(bucket.settings.name.clone(), bucket);
    }
    Ok(buckets)
}

fn bucket(path: &Path, settings: Settings) -> io::Result<Bucket> {
    make_directories(path)?;
    let mut objects: BTreeMap<String, Versions> = BTreeMap::new();
    for file in documents(&path.join("meta"))? {
        if let Some(object) = read_json::<Object>(&file)? {
            objects.entry(object.key.clone()).or_default().insert(object);
        }
    }
    let uploads = uploads(&path.join("uploads"), &objects)?;
    let of_versions = objects.values().flat_map(Versions::newest_first).map(|object| &object.blob);
    let of_parts = uploads.values().flat_map(|upload| upload.parts.values()).map(|part| &part.blob);
    let used: BTreeSet<&str> = of_versions.chain(of_parts).map(|blob| blob.file.as_str()).collect();
    for entry in std::fs::read_dir(path.join("data"))? {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(|name| used.contains(name)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(Bucket { settings, objects, uploads })
}

/// Reads the uploads in progress. Parts of an upload that was completed or aborted are removed.
fn uploads(directory: &Path, objects: &BTreeMap<String, Versions>) -> io::Result<BTreeMap<String, Upload>> {
    let files = documents(directory)?;
    let mut uploads: BTreeMap<String, Upload> = BTreeMap::new();
    for file in files.iter().filter(|file| part_number(file).is_none()) {
        let Some((id, upload)) = file_stem(file).zip(read_json::<Upload>(file)?) else { continue };
        let is_completed = objects.get(&upload.object.key).is_some_and(|versions| versions.of_upload(id).is_some());
        if is_completed {
            std::fs::remove_file(file)?;
        } else {
            uploads.insert(id.to_owned(), upload);
        }
    }
    for file in &files {
        let Some((id, number)) = part_number(file) else { continue };
        match uploads.get_mut(id) {
            Some(upload) => upload.parts.extend(read_json::<Part>(file)?.map(|part| (number, part))),
            None => std::fs::remove_file(file)?,
        }
    }
    Ok(uploads)
}

/// Splits the name of a part's file, `<id>.<number>.json`.
fn part_number(file: &Path) -> Option<(&str, i32)> {
    let (id, number) = file_stem(file)?.split_once('.')?;
    Some((id, number.parse().ok()?))
}

fn file_stem(file: &Path) -> Option<&str> {
    file.file_stem().and_then(|stem| stem.to_str())
}

/// Returns the JSON files of a directory, and removes the others: temporary files of an interrupted write.
fn documents(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut documents = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            documents.push(path);
        } else {
            let _ = std::fs::remove_file(&path);
        }
    }
    Ok(documents)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
