//! Programs from the object store: verified, cached, and copied into each instance.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::model::machine::Artifact;
use crate::state::Shared;

/// Directory of programs below the cloud's.
const CACHE: &str = "artifacts";

/// Reasons why an artifact cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArtifactError {
    /// The object does not exist (yet).
    #[error("the artifact s3://{bucket}/{key} does not exist: upload it, or correct the Machine")]
    Missing {
        /// Bucket.
        bucket: String,
        /// Key.
        key: String,
    },
    /// The object's hash differs from the one in the Machine document.
    #[error(
        "the artifact s3://{bucket}/{key} has the SHA-256 {found} instead of {wanted}: upload the file that the Machine declares"
    )]
    WrongContent {
        /// Bucket.
        bucket: String,
        /// Key.
        key: String,
        /// Actual digest.
        found: String,
        /// Declared digest.
        wanted: String,
    },
    /// The disk failed.
    #[error("the artifact cannot be put in place at {}: {source}", path.display())]
    Disk {
        /// Path.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// Installs a copy of the program at `target`, executable by its owner only, and records its hash. The cached program
/// is verified during the copy; a damaged one is downloaded again.
pub(crate) fn install(shared: &Shared, artifact: &Artifact, target: &Path) -> Result<(), ArtifactError> {
    let disk = |path: &Path| {
        let path = path.to_owned();
        move |source| ArtifactError::Disk { path, source }
    };
    // The hash in the Machine document becomes a file name, so it must not contain a path.
    let wanted = artifact.sha256.to_ascii_lowercase();
    if wanted.len() != 64 || !wanted.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong(artifact, "(not looked at)".to_owned()));
    }
    // The image or an earlier start may have installed the program.
    if target.is_file() && hash(target).map_err(disk(target))? == wanted {
        return Ok(());
    }
    let cached = shared.directory().join(CACHE).join(&wanted);
    if !cached.is_file() {
        fetch(shared, artifact, &wanted, &cached)?;
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(disk(parent))?;
    }
    let partial = target.with_file_name(format!(".{}.new", uuid::Uuid::new_v4().simple()));
    let installed = copy_verified(shared, artifact, &wanted, &cached, &partial)
        .and_then(|()| fs::write(note(target), &wanted).map_err(disk(target)))
        .and_then(|()| fs::rename(&partial, target).map_err(disk(target)));
    if installed.is_err() {
        let _ = fs::remove_file(&partial);
    }
    installed
}

fn copy_verified(
    shared: &Shared,
    artifact: &Artifact,
    wanted: &str,
    cached: &Path,
    target: &Path,
) -> Result<(), ArtifactError> {
    let disk = |source| ArtifactError::Disk { path: target.to_owned(), source };
    if copy_hashed(cached, target).map_err(disk)? == wanted {
        return Ok(());
    }
    tracing::warn!(path = %cached.display(), "a cached program has changed: it is fetched again");
    fs::remove_file(target).map_err(disk)?;
    fetch(shared, artifact, wanted, cached)?;
    let found = copy_hashed(cached, target).map_err(disk)?;
    if found == wanted { Ok(()) } else { Err(wrong(artifact, found)) }
}

/// Returns the file that holds the hash of an installed program. No service's name begins with a dot.
fn note(program: &Path) -> PathBuf {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    program.with_file_name(format!(".{name}.sha256"))
}

/// Returns the hashes of the programs that instances and images use.
fn used(directory: &Path) -> io::Result<BTreeSet<String>> {
    let mut used = BTreeSet::new();
    for holders in ["instances", "images"] {
        for holder in entries(&directory.join(holders))? {
            for file in entries(&holder.join("bin"))? {
                if file.extension().is_some_and(|extension| extension == "sha256") {
                    used.insert(fs::read_to_string(file)?);
                }
            }
        }
    }
    Ok(used)
}

fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    }
}

/// Removes the cached programs that no instance and no image uses. No installation may run at the same time.
pub(crate) fn forget_unused(directory: &Path) -> io::Result<()> {
    let used = used(directory)?;
    let cached = match fs::read_dir(directory.join(CACHE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        cached => cached?,
    };
    for program in cached {
        let program = program?;
        if !program.file_name().to_str().is_some_and(|name| used.contains(name)) {
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

/// Copies a file, and returns the SHA-256 of its content.
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
    fn a_cached_program_is_kept_while_an_instance_or_image_uses_it() {
        let directory = tempfile::tempdir().unwrap();
        forget_unused(directory.path()).unwrap();
        let cache = directory.path().join(CACHE);
        fs::create_dir(&cache).unwrap();
        fs::write(cache.join("used"), "program").unwrap();
        fs::write(cache.join("unused"), "program").unwrap();
        let bin = directory.path().join("instances/i-1/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(note(&bin.join("service")), "used").unwrap();
        forget_unused(directory.path()).unwrap();
        let kept: Vec<_> = fs::read_dir(&cache).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(kept, ["used"]);
        fs::remove_dir_all(directory.path().join("instances")).unwrap();
        forget_unused(directory.path()).unwrap();
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);
    }
}
