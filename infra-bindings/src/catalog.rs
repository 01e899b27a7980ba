//! Schemas of directories and zips.
//!
//! Files are recognised by their content, because sources name them differently: CloudFormation's own zip has
//! `aws-sqs-queue.json`, the wheel of cfn-lint `cfnlint/data/schemas/resources/<digest>.json`. Nothing of a zip is written
//! to the disk, so the names in it are irrelevant.

use crate::{
    error::BindingError,
    schema::{Schema, is_type_name},
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Largest file, in bytes. The largest published schema has 0.3 MB, and the largest other file in the wheel of cfn-lint 5 MB.
const LARGEST_FILE: u64 = 16 << 20;
/// Limit of all files of a source together, in bytes.
const LARGEST_SOURCE: u64 = 256 << 20;
/// Limit of the number of files of a source.
const MOST_FILES: usize = 20_000;
/// Deepest directory below a source.
const DEEPEST: usize = 12;

/// Schemas by the names of their types.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    documents: BTreeMap<String, Document>,
}

#[derive(Clone, Debug)]
struct Document {
    place: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    type_name: String,
}

impl Catalog {
    /// Reads all schemas of a directory, a zip, or a single file.
    pub fn read(path: &Path) -> Result<Self, BindingError> {
        let unreadable = |source| BindingError::Unreadable { path: path.to_owned(), source };
        let kind = fs::metadata(path).map_err(unreadable)?;
        let mut catalog = Self::default();
        let mut budget = Budget::default();
        if kind.is_dir() {
            catalog.add_directory(path, DEEPEST, &mut budget)?;
        } else if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
            catalog.add_file(path, &mut budget)?;
        } else {
            catalog.add_zip(path, &mut budget)?;
        }
        if catalog.documents.is_empty() {
            return Err(BindingError::NoSchemas { path: path.to_owned() });
        }
        Ok(catalog)
    }

    /// Adds a schema, such as one that an API has returned. Returns `false` for another document.
    pub fn add(&mut self, place: &str, text: String) -> bool {
        let Ok(Named { type_name }) = serde_json::from_str(&text) else { return false };
        if !is_type_name(&type_name) {
            return false;
        }
        self.documents.entry(type_name).or_insert_with(|| Document { place: place.to_owned(), text });
        true
    }

    /// Returns the names of all types, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.documents.keys().map(String::as_str)
    }

    /// Returns the text of a schema.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.documents.get(name).map(|document| document.text.as_str())
    }

    /// Returns the schema of a type.
    pub fn schema(&self, name: &str) -> Result<Schema, BindingError> {
        if !is_type_name(name) {
            return Err(BindingError::BadName(name.to_owned()));
        }
        let document = self
            .documents
            .get(name)
            .ok_or_else(|| BindingError::UnknownType { name: name.to_owned(), similar: self.similar(name) })?;
        Schema::parse(&document.text, &document.place)
    }

    /// Returns up to three type names that resemble a name: without regard to case, at least three quarters of it.
    fn similar(&self, name: &str) -> Vec<String> {
        let wanted = name.to_lowercase();
        let likeness = |name: &str| strsim::normalized_damerau_levenshtein(&wanted, &name.to_lowercase());
        let mut names: Vec<(f64, &str)> = self.names().map(|name| (likeness(name), name)).collect();
        names.retain(|(likeness, _)| *likeness > 0.75);
        names.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        names.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
    }

    fn add_directory(&mut self, directory: &Path, depth: usize, budget: &mut Budget) -> Result<(), BindingError> {
        let unreadable = |source| BindingError::Unreadable { path: directory.to_owned(), source };
        if depth == 0 {
            return Ok(());
        }
        let mut entries: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(directory).map_err(unreadable)? {
            entries.push(entry.map_err(unreadable)?.path());
        }
        entries.sort();
        for path in entries {
            // A symbolic link could lead back to the directory.
            let kind = fs::symlink_metadata(&path).map_err(unreadable)?;
            if kind.is_dir() {
                self.add_directory(&path, depth - 1, budget)?;
            } else if kind.is_file() && is_json(&path.to_string_lossy()) {
                self.add_file(&path, budget)?;
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path, budget: &mut Budget) -> Result<(), BindingError> {
        let unreadable = |source| BindingError::Unreadable { path: path.to_owned(), source };
        let place = path.display().to_string();
        let file = fs::File::open(path).map_err(unreadable)?;
        let text = budget.read(file, &place)?.map_err(unreadable)?;
        self.add(&place, text);
        Ok(())
    }

    fn add_zip(&mut self, path: &Path, budget: &mut Budget) -> Result<(), BindingError> {
        let unreadable = |source| BindingError::Unreadable { path: path.to_owned(), source };
        let damaged = |reason: String| BindingError::BadZip { path: path.to_owned(), reason };
        let file = fs::File::open(path).map_err(unreadable)?;
        let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).map_err(|error| damaged(error.to_string()))?;
        for index in 0..archive.len() {
            let entry = archive.by_index(index).map_err(|error| damaged(error.to_string()))?;
            let name = entry.name().map_err(|error| damaged(error.to_string()))?.into_owned();
            if !entry.is_file() || !is_json(&name) {
                continue;
            }
            let place = format!("{name:?} in {}", path.display());
            let text = budget.read(entry, &place)?.map_err(|error| damaged(format!("{name:?}: {error}")))?;
            self.add(&place, text);
        }
        Ok(())
    }
}

fn is_json(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// Files and bytes that were read from a source.
#[derive(Default)]
struct Budget {
    files: usize,
    bytes: u64,
}

impl Budget {
    /// Reads a text. The size in a zip's directory may be wrong, so the content itself is limited.
    fn read(&mut self, from: impl Read, place: &str) -> Result<io::Result<String>, BindingError> {
        let exceeded = |limit: String| BindingError::TooLarge { place: place.to_owned(), limit };
        self.files += 1;
        if self.files > MOST_FILES {
            return Err(exceeded(format!("{MOST_FILES} files")));
        }
        let mut bytes = Vec::new();
        if let Err(error) = from.take(LARGEST_FILE + 1).read_to_end(&mut bytes) {
            return Ok(Err(error));
        }
        self.bytes += bytes.len() as u64;
        if bytes.len() as u64 > LARGEST_FILE {
            return Err(exceeded(format!("{} MiB per file", LARGEST_FILE >> 20)));
        }
        if self.bytes > LARGEST_SOURCE {
            return Err(exceeded(format!("{} MiB of schemas", LARGEST_SOURCE >> 20)));
        }
        Ok(Ok(String::from_utf8_lossy(&bytes).into_owned()))
    }
}
