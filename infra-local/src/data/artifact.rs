//! Programs from the object store, verified once and then shared by all instances that run them.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::machine::Artifact;
use crate::cloud::Shared;

/// Where programs are kept, in the cloud's directory.
const CACHE: &str = "artifacts";

/// Why an artifact cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArtifactError {
    /// There is no such object (yet).
    #[error("the artifact s3://{bucket}/{key} does not exist: upload it, or correct the Machine")]
    Missing {
        /// Bucket.
        bucket: String,
        /// Key.
        key: String,
    },
    /// The object is not what the Machine wants.
    #[error(
        "the artifact s3://{bucket}/{key} has SHA-256 {found}, and the Machine wants {wanted}: upload the right file"
    )]
    WrongContent {
        /// Bucket.
        bucket: String,
        /// Key.
        key: String,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: String,
    },
    /// The disk failed.
    #[error("the artifact cannot be put in place at {}: {source}", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Puts the program at `target`, executable by its owner only.
pub(crate) fn install(shared: &Shared, artifact: &Artifact, target: &Path) -> Result<(), ArtifactError> {
    let disk = |path: &Path| {
        let path = path.to_owned();
        move |source| ArtifactError::Disk { path, source }
    };
    // The name of a file in the cache is a hash that was verified; the Machine's word for it must not lead elsewhere.
    let wanted = artifact.sha256.to_ascii_lowercase();
    if wanted.len() != 64 || !wanted.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong(artifact, "(not looked at)".to_owned()));
    }
    let cached = shared.directory().join(CACHE).join(&wanted);
    if !cached.exists() {
        // An image may have brought it.
        if target.exists() && hash(target).map_err(disk(target))? == wanted {
            return Ok(());
        }
        fetch(shared, artifact, &wanted, &cached)?;
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(disk(parent))?;
    }
    match fs::remove_file(target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(disk(target)(error)),
        _ => {}
    }
    fs::hard_link(&cached, target).or_else(|_| fs::copy(&cached, target).map(|_| ())).map_err(disk(target))
}

/// Removes the programs that no instance and no image has any more. Nothing may be installed meanwhile.
pub(crate) fn forget_unused(directory: &Path) -> io::Result<()> {
    let cached = match fs::read_dir(directory.join(CACHE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        cached => cached?,
    };
    for program in cached {
        let program = program?;
        // Whoever runs it has a link to it.
        if program.metadata()?.nlink() == 1 {
            fs::remove_file(program.path())?;
        }
    }
    Ok(())
}

fn fetch(shared: &Shared, artifact: &Artifact, wanted: &str, cached: &Path) -> Result<(), ArtifactError> {
    let source = shared.objects().file(&artifact.bucket, &artifact.key);
    let source =
        source.ok_or_else(|| ArtifactError::Missing { bucket: artifact.bucket.clone(), key: artifact.key.clone() })?;
    let disk = |source| ArtifactError::Disk { path: cached.to_owned(), source };
    if let Some(parent) = cached.parent() {
        fs::create_dir_all(parent).map_err(disk)?;
    }
    let temporary = cached.with_extension(format!("tmp-{}", uuid::Uuid::new_v4().simple()));
    let result = copy_hashed(&source, &temporary).map_err(disk).and_then(|found| {
        if found == wanted { fs::rename(&temporary, cached).map_err(disk) } else { Err(wrong(artifact, found)) }
    });
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

fn wrong(artifact: &Artifact, found: String) -> ArtifactError {
    ArtifactError::WrongContent {
        bucket: artifact.bucket.clone(),
        key: artifact.key.clone(),
        found,
        wanted: artifact.sha256.clone(),
    }
}

fn copy_hashed(source: &Path, target: &Path) -> io::Result<String> {
    let mut output = fs::File::options().write(true).create_new(true).open(target)?;
    output.set_permissions(fs::Permissions::from_mode(0o700))?;
    hash_into(source, &mut output)
}

fn hash(path: &Path) -> io::Result<String> {
    hash_into(path, &mut io::sink())
}

/// Copies a file, and says what its content's SHA-256 is.
fn hash_into(source: &Path, output: &mut impl io::Write) -> io::Result<String> {
    let mut input = fs::File::open(source)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 256 * 1024];
    loop {
        let read = input.read(&mut piece)?;
        if read == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(&piece[..read]);
        output.write_all(&piece[..read])?;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_program_is_kept_as_long_as_somebody_has_it() {
        let directory = tempfile::tempdir().unwrap();
        forget_unused(directory.path()).unwrap();
        let cache = directory.path().join(CACHE);
        fs::create_dir(&cache).unwrap();
        fs::write(cache.join("used"), "program").unwrap();
        fs::write(cache.join("unused"), "program").unwrap();
        fs::hard_link(cache.join("used"), directory.path().join("instance")).unwrap();
        forget_unused(directory.path()).unwrap();
        let kept: Vec<_> = fs::read_dir(&cache).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(kept, ["used"]);
        fs::remove_file(directory.path().join("instance")).unwrap();
        forget_unused(directory.path()).unwrap();
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);
    }
}
