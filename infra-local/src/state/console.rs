//! The console output of an instance: the cloud's messages about it, and the ends of its services' logs.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// EC2's limit.
const LIMIT_BYTES: usize = 64 * 1024;

/// Returns the directory of an instance.
pub(crate) fn directory(cloud: &Path, instance: &str) -> PathBuf {
    cloud.join("instances").join(instance)
}

/// Returns the path of the output of an instance's service.
pub(crate) fn log(cloud: &Path, instance: &str, service: &str) -> PathBuf {
    directory(cloud, instance).join(format!("{service}.log"))
}

/// Returns the path of the cloud's messages about an instance.
pub(crate) fn own(cloud: &Path, instance: &str) -> PathBuf {
    log(cloud, instance, BOOT)
}

/// Writes a message of the cloud about an instance.
pub(crate) fn write(cloud: &Path, instance: &str, line: &str) {
    let path = own(cloud, instance);
    let written = File::options().create(true).append(true).mode(0o600).open(&path).and_then(|mut file| {
        writeln!(file, "{} {line}", chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
    });
    if let Err(error) = written {
        tracing::debug!(path = %path.display(), %error, "the console could not be written");
    }
}

/// Returns the console output, at most its last 64 KiB: one log after the other.
pub(crate) fn read(cloud: &Path, instance: &str) -> io::Result<Vec<u8>> {
    let mut logs: Vec<PathBuf> = match std::fs::read_dir(directory(cloud, instance)) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    // The cloud's messages first, then the services in the order of their names.
    logs.sort_by_key(|path| (path.file_stem().is_none_or(|stem| stem != BOOT), path.clone()));
    let share = LIMIT_BYTES / logs.len().max(1);
    let mut output = Vec::new();
    for path in logs {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        output.extend_from_slice(format!("[{name}]\n").as_bytes());
        output.extend(tail(&path, share.saturating_sub(name.len() + 3))?);
    }
    Ok(output)
}

/// Name of the cloud's log among those of the services.
const BOOT: &str = "console";

fn tail(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(limit as u64)))?;
    let mut bytes = Vec::new();
    file.take(limit as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
