//! The schemas of CloudFormation's resource types that this cloud was given, as files in `schemas/` of its directory.
//!
//! A directory may contain more than a thousand of them, so each is read when a request first names its type: before the
//! operation, because operations perform no I/O.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::Value;

/// Largest schema, in bytes. The largest published one has 0.3 MB.
const LARGEST: u64 = 4 << 20;

/// Limit of the number of schemas.
const MOST: usize = 20_000;

/// A schema that was read, with the time of the last change of its file.
struct Loaded {
    changed: Option<SystemTime>,
    schema: Arc<Value>,
}

/// Schemas by their files. Tests run several clouds in one process.
static LOADED: LazyLock<Mutex<HashMap<PathBuf, Loaded>>> = LazyLock::new(Mutex::default);

/// Writes schemas into the directory of a cloud, which may be running, and returns their number. `schemas` are names of
/// types and JSON documents.
pub fn install_schemas<'a>(
    directory: &Path,
    schemas: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> io::Result<usize> {
    let invalid = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
    let folder = folder(directory);
    fs::create_dir_all(&folder)?;
    let mut count = 0;
    for (name, text) in schemas {
        let path = path(directory, name).ok_or_else(|| invalid(format!("`{name}` is no name of a type")))?;
        parse(text, name).map_err(invalid)?;
        if count == MOST {
            return Err(invalid(format!("there are more than {MOST} schemas")));
        }
        // A running cloud must not read a part of the file.
        let new = path.with_extension("new");
        fs::write(&new, text)?;
        fs::rename(&new, &path)?;
        count += 1;
    }
    Ok(count)
}

/// Lets a cloud use the schemas in the directory of another one. Its folder is a link to theirs, because that may contain more
/// than a thousand.
pub fn share_schemas(of: &Path, with: &Path) -> io::Result<()> {
    let shared = folder(of);
    if !shared.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(with)?;
    std::os::unix::fs::symlink(std::path::absolute(shared)?, folder(with))
}

/// Reads the schema of a type, if the cloud has it and has not read its present version.
pub(crate) fn prepare(directory: &Path, type_name: &str) {
    let Some(path) = path(directory, type_name) else { return };
    let Ok(metadata) = fs::metadata(&path) else {
        lock().remove(&path);
        return;
    };
    let changed = metadata.modified().ok();
    if lock().get(&path).is_some_and(|loaded| loaded.changed == changed) {
        return;
    }
    let read = || {
        let mut text = String::new();
        fs::File::open(&path)?.take(LARGEST + 1).read_to_string(&mut text)?;
        parse(&text, type_name).map_err(io::Error::other)
    };
    match read() {
        Ok(schema) => drop(lock().insert(path, Loaded { changed, schema: Arc::new(schema) })),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the schema cannot be used");
            lock().remove(&path);
        }
    }
}

/// Returns the schema of a type that [`prepare`] has read.
pub(crate) fn find(directory: &Path, type_name: &str) -> Option<Arc<Value>> {
    lock().get(&path(directory, type_name)?).map(|loaded| loaded.schema.clone())
}

fn lock() -> std::sync::MutexGuard<'static, HashMap<PathBuf, Loaded>> {
    LOADED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Name of the folder in the directory of a cloud.
pub(crate) const FOLDER: &str = "schemas";

fn folder(directory: &Path) -> PathBuf {
    directory.join(FOLDER)
}

/// Returns the file of a type, `AWS-SQS-Queue.json`; `None` for a text that is no name of a type, and could lead out of the
/// folder.
fn path(directory: &Path, type_name: &str) -> Option<PathBuf> {
    let is_part = |part: &&str| (2..=64).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let parts: Vec<&str> = type_name.split("::").collect();
    let is_name = (3..=4).contains(&parts.len()) && parts.iter().all(is_part);
    is_name.then(|| folder(directory).join(format!("{}.json", parts.join("-"))))
}

fn parse(text: &str, type_name: &str) -> Result<Value, String> {
    if text.len() as u64 > LARGEST {
        return Err(format!("the schema of {type_name} exceeds {} MiB", LARGEST >> 20));
    }
    let schema: Value = serde_json::from_str(text).map_err(|error| format!("the schema of {type_name}: {error}"))?;
    if schema["typeName"] != type_name || !schema["properties"].is_object() {
        return Err(format!("the document is no schema of {type_name}"));
    }
    Ok(schema)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SHELF: &str = r#"{"typeName": "Shop::Store::Shelf", "properties": {"Name": {"type": "string"}}}"#;

    #[test]
    fn schemas_are_read_when_they_are_needed() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path();
        prepare(place, "Shop::Store::Shelf");
        assert!(find(place, "Shop::Store::Shelf").is_none());
        assert_eq!(install_schemas(place, [("Shop::Store::Shelf", SHELF)]).unwrap(), 1);
        prepare(place, "Shop::Store::Shelf");
        assert_eq!(find(place, "Shop::Store::Shelf").unwrap()["typeName"], "Shop::Store::Shelf");
        fs::remove_file(place.join("schemas/Shop-Store-Shelf.json")).unwrap();
        prepare(place, "Shop::Store::Shelf");
        assert!(find(place, "Shop::Store::Shelf").is_none());
    }

    #[test]
    fn schemas_of_another_cloud_are_shared() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        share_schemas(one.path(), other.path()).unwrap();
        install_schemas(one.path(), [("Shop::Store::Shelf", SHELF)]).unwrap();
        share_schemas(one.path(), other.path()).unwrap();
        prepare(other.path(), "Shop::Store::Shelf");
        assert!(find(other.path(), "Shop::Store::Shelf").is_some());
        drop(other);
        assert!(one.path().join("schemas/Shop-Store-Shelf.json").is_file());
    }

    #[test]
    fn names_lead_to_no_other_folder() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["../evil", "Shop::Store::../../x", "Shop::Store", "Shop::Store::Shelf/..", "A::B::C"] {
            assert!(install_schemas(directory.path(), [(name, SHELF)]).is_err(), "{name}");
            prepare(directory.path(), name);
        }
        assert!(install_schemas(directory.path(), [("Shop::Store::Other", SHELF)]).is_err());
        assert!(install_schemas(directory.path(), [("Shop::Store::Shelf", "{")]).is_err());
        assert_eq!(fs::read_dir(directory.path().join("schemas")).unwrap().count(), 0);
    }
}
