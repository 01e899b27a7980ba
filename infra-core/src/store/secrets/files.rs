//! The key document in a file, and the stores of files that use it.

use super::{
    DataKey, KeyDocument, KeyError, KeyRing, KeyedStore, Keys, Wrapping, check_key_is_not_lost, key_of_first_secret,
};
use crate::{
    boundary::{self, Boundary},
    store::{
        FileStore, Recovery, StoreError,
        documents::{DOCUMENTS_LOCK, open_directory, replace, sync_above, wait_for},
        envelope, file, lines, private, snapshot,
        source::Source,
    },
    urn,
    value::{Seal, SealError},
};
use async_trait::async_trait;
use std::{
    fs,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use zeroize::Zeroizing;

impl FileStore {
    fn key_path(&self) -> PathBuf {
        self.root().join("secrets.key")
    }
}

#[async_trait]
impl KeyedStore for FileStore {
    fn keys(&self) -> &Keys {
        FileStore::keys(self)
    }

    async fn key_document(&self) -> Result<Option<KeyDocument>, StoreError> {
        Ok(read(&self.key_path())?)
    }

    async fn put_key_document(&self, was: Option<&KeyDocument>, document: &KeyDocument) -> Result<(), StoreError> {
        open_directory(self.root())?;
        let path = self.key_path();
        let Some(was) = was else {
            return Ok(make(&path, document.text())?);
        };
        // The lock file is empty and is not removed. Each writer compares the document before it replaces it.
        let _lock = wait_for(&self.root().join("secrets.lock"))?;
        if read(&path)?.as_ref() != Some(was) {
            return Err(KeyError::Changed { place: self.key_place() }.into());
        }
        replace(&path, document.text().as_bytes())
    }

    /// Returns the key document, or creates one that is not wrapped: the file's mode protects it.
    async fn ensure_key_document(&self) -> Result<KeyDocument, StoreError> {
        loop {
            if let Some(document) = read(&self.key_path())? {
                return Ok(document);
            }
            check_key_is_not_lost(self).await?;
            open_directory(self.root())?;
            let ring = KeyRing::of(DataKey::random()?);
            let document = KeyDocument::close(&ring, &Wrapping::Plain, self.key_place()).await?;
            match make(&self.key_path(), document.text()) {
                // Another process created it first.
                Err(KeyError::Changed { .. }) => {}
                made => made?,
            }
        }
    }

    async fn first_secret(&self) -> Result<Option<(String, String)>, StoreError> {
        for (program, stack) in self.stacks().await? {
            for path in read_files(&self.directory_of(&program, &stack))? {
                let bytes = private::read(&path).map_err(StoreError::io(&path))?.unwrap_or_default();
                if let Some(id) = key_of_first_secret(&String::from_utf8_lossy(&bytes)) {
                    return Ok(Some((path.display().to_string(), id)));
                }
            }
        }
        Ok(None)
    }

    fn key_place(&self) -> String {
        self.key_path().display().to_string()
    }

    async fn stacks(&self) -> Result<Vec<(String, String)>, StoreError> {
        let mut stacks = Vec::new();
        for program in directories(self.root())? {
            for stack in directories(&self.root().join(&program))? {
                stacks.push((program.clone(), stack));
            }
        }
        Ok(stacks)
    }

    async fn reseal(&self, program: &str, stack: &str, ring: &KeyRing) -> Result<(), StoreError> {
        let directory = self.directory_of(program, stack);
        let _stack = file::lock(&directory.join("lock"))?;
        let _documents = wait_for(&directory.join(DOCUMENTS_LOCK))?;
        for path in read_files(&directory)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some(bytes) = private::read(&path).map_err(StoreError::io(&path))? else {
                continue;
            };
            if let Some(text) = resealed(program, stack, name, &path, &bytes, ring)? {
                replace(&path, &text)?;
            }
        }
        Ok(())
    }
}

/// Returns the files in a stack's directory that are ever read. Temporary files of a crash are overwritten, locks are
/// empty, and files kept as damaged stay unchanged.
fn read_files(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut paths = entries(directory)?;
    paths.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let beside = path.extension().is_some_and(|extension| extension == "next");
        let is_read = !beside && !name.contains(".damaged-");
        is_read && ![file::LOCK, DOCUMENTS_LOCK].contains(&name) && path.is_file()
    });
    paths.sort();
    Ok(paths)
}

/// Returns the content of a stack's file with every secret encrypted with the current key of the ring; `None` if it
/// already is.
fn resealed(
    program: &str,
    stack: &str,
    name: &str,
    path: &Path,
    bytes: &[u8],
    ring: &KeyRing,
) -> Result<Option<Vec<u8>>, StoreError> {
    let text = || {
        std::str::from_utf8(bytes).map_err(|error| StoreError::Broken {
            path: path.to_owned(),
            line: 1,
            reason: error.to_string(),
            recovery: Recovery::Restore,
        })
    };
    match name {
        file::SNAPSHOT | file::PREVIOUS => {
            let seal: Arc<dyn Seal> = Arc::new(ring.clone());
            let source = Source { program, stack, path: path.to_owned(), seal: &seal };
            Ok(snapshot::reseal(text()?, ring, &source)?.map(String::into_bytes))
        }
        file::JOURNAL | file::PREVIOUS_JOURNAL => {
            let broken = |line| {
                let reason = SealError.to_string();
                StoreError::Broken { path: path.to_owned(), line, reason, recovery: Recovery::Restore }
            };
            Ok(lines::reseal(text()?, ring).map_err(broken)?.map(String::into_bytes))
        }
        _ => envelope::reseal(name, path, bytes, ring),
    }
}

/// Reads the document from a file that only its owner may read.
fn read(path: &Path) -> Result<Option<KeyDocument>, KeyError> {
    const LONGEST: u64 = 1024 * 1024;
    let io = |error| KeyError::Io { path: path.to_owned(), error };
    let mut file = match private::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let metadata = file.metadata().map_err(io)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Open { path: path.to_owned(), mode });
    }
    let place = path.display().to_string();
    let malformed = |reason: &str| KeyError::Malformed { place: place.clone(), reason: reason.to_owned() };
    if metadata.len() > LONGEST {
        return Err(malformed("it is too long"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(metadata.len() as usize));
    file.read_to_end(&mut bytes).map_err(io)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed("it is not UTF-8"))?;
    KeyDocument::parse(text, place).map(Some)
}

/// Creates the file of a document. A temporary file is linked under its name, so that the file is always complete and
/// only the first process creates it.
fn make(path: &Path, text: &str) -> Result<(), KeyError> {
    let io = |error| KeyError::Io { path: path.to_owned(), error };
    let mut name = [0; 8];
    getrandom::fill(&mut name).map_err(KeyError::Randomness)?;
    let beside = path.with_extension(hex::encode(name));
    boundary::reached(Boundary::KeyWrite);
    private::write(&beside, text.as_bytes()).map_err(io)?;
    boundary::reached(Boundary::KeyLink);
    let linked = fs::hard_link(&beside, path);
    fs::remove_file(&beside).map_err(io)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(KeyError::Changed { place: path.display().to_string() })
        }
        linked => linked.and_then(|()| sync_above(path)).map_err(io),
    }
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(StoreError::io(directory))?,
    };
    entries.map(|entry| Ok(entry.map_err(StoreError::io(directory))?.path())).collect()
}

/// Returns the directories in a directory with valid names of programs or stacks, in order.
fn directories(directory: &Path) -> Result<Vec<String>, StoreError> {
    let directories = entries(directory)?.into_iter().filter(|path| path.is_dir());
    let names = directories.filter_map(|path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned));
    let mut names: Vec<String> = names.filter(|name| urn::check_name("directory", name).is_ok()).collect();
    names.sort();
    Ok(names)
}
