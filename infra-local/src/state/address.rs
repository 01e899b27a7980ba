//! The range of loopback addresses of a local cloud.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The process that listens on this port of `127.N.0.1` owns `127.N.0.0/16`. The port is unprivileged and outside of
/// the ephemeral range.
const CLAIM_PORT: u16 = 17016;

const FIRST: u8 = 16;
const LAST: u8 = 250;

/// File that records the range, so that a restart uses it again.
const FILE: &str = "addresses.json";

/// A claimed range `127.N.0.0/16`. It is released when dropped, or when the process exits.
#[derive(Debug)]
pub(crate) struct AddressBlock {
    block: u8,
    _claim: TcpListener,
}

/// Reasons why no range could be claimed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AddressError {
    /// All ranges are in use.
    #[error(
        "every range 127.{FIRST}.0.0/16 to 127.{LAST}.0.0/16 is in use (port {CLAIM_PORT} of its first address is taken): \
         stop another local cloud, or whatever listens on 0.0.0.0:{CLAIM_PORT}"
    )]
    Exhausted,
    /// The system has only 127.0.0.1, as macOS does.
    #[error(
        "this system does not answer on 127.{block}.0.1: add the loopback aliases the local cloud uses, e.g. \
         `for host in $(seq 1 40); do for subnet in 0 1 2 3 4 5; do sudo ifconfig lo0 alias 127.{block}.$subnet.$host up; done; done`"
    )]
    NoAliases {
        /// The range that was tried.
        block: u8,
    },
    /// The first address cannot be bound for another reason.
    #[error("127.{block}.0.1:{CLAIM_PORT} cannot be bound: {source}")]
    Bind {
        /// The range that was tried.
        block: u8,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The range could not be recorded.
    #[error("{} cannot be written: {source}", path.display())]
    Remember {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl AddressBlock {
    /// Claims the range that is recorded in `directory`, or else a free one, and records it.
    pub(crate) fn claim(directory: &Path) -> Result<Self, AddressError> {
        let path = directory.join(FILE);
        let remembered = remembered(&path);
        // Clouds that start at the same moment begin their search at different ranges.
        let mut hasher = DefaultHasher::new();
        directory.hash(&mut hasher);
        let count = u64::from(LAST - FIRST) + 1;
        let start = hasher.finish() % count;
        let others = (0..count).filter_map(|step| u8::try_from(u64::from(FIRST) + (start + step) % count).ok());
        for block in remembered.into_iter().chain(others) {
            let Some(claim) = try_claim(block)? else {
                continue;
            };
            if let Some(before) = remembered.filter(|before| *before != block) {
                tracing::warn!(
                    "addresses 127.{before}.0.0/16 belong to another local cloud now; using 127.{block}.0.0/16"
                );
            }
            if remembered != Some(block) {
                remember(&path, block)?;
            }
            return Ok(Self { block, _claim: claim });
        }
        Err(AddressError::Exhausted)
    }

    /// Returns the second octet of every address in this range.
    pub(crate) fn number(&self) -> u8 {
        self.block
    }

    /// Returns an address of a subnet.
    pub(crate) fn address(&self, subnet_index: u8, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.block, subnet_index, host)
    }
}

#[derive(Serialize, Deserialize)]
struct Recorded {
    block: u8,
}

fn remembered(path: &Path) -> Option<u8> {
    let text = fs::read_to_string(path).ok()?;
    match serde_json::from_str::<Recorded>(&text) {
        Ok(Recorded { block }) if (FIRST..=LAST).contains(&block) => Some(block),
        Ok(Recorded { block }) => {
            tracing::warn!("{} names block {block}, which is out of range; choosing another", path.display());
            None
        }
        Err(error) => {
            tracing::warn!("{} cannot be read and is written again: {error}", path.display());
            None
        }
    }
}

fn remember(path: &Path, block: u8) -> Result<(), AddressError> {
    let failed = |source| AddressError::Remember { path: path.to_owned(), source };
    let text = serde_json::to_vec(&Recorded { block }).map_err(|error| failed(error.into()))?;
    let temporary = path.with_extension("json.new");
    fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, path)).map_err(failed)
}

/// Claims the range, or returns `None` if another process holds it.
fn try_claim(block: u8) -> Result<Option<TcpListener>, AddressError> {
    match TcpListener::bind((Ipv4Addr::new(127, block, 0, 1), CLAIM_PORT)) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) => match error.kind() {
            io::ErrorKind::AddrInUse => Ok(None),
            io::ErrorKind::AddrNotAvailable => Err(AddressError::NoAliases { block }),
            _ => Err(AddressError::Bind { block, source: error }),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn addresses_are_inside_the_block() {
        let directory = tempfile::tempdir().unwrap();
        let block = AddressBlock::claim(directory.path()).unwrap();
        assert_eq!(block.address(3, 17), Ipv4Addr::new(127, block.number(), 3, 17));
        assert!((FIRST..=LAST).contains(&block.number()));
    }

    #[test]
    fn two_clouds_never_share_a_block() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = AddressBlock::claim(one.path()).unwrap();
        fs::copy(one.path().join(FILE), two.path().join(FILE)).unwrap();
        let second = AddressBlock::claim(two.path()).unwrap();
        assert_ne!(first.number(), second.number());
        let moved = remembered(&two.path().join(FILE));
        assert_eq!(moved, Some(second.number()), "the new choice is remembered");
    }

    #[test]
    fn the_recorded_block_is_preferred() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        // The preferred range, not the one derived from the directory's path, must decide.
        let number = AddressBlock::claim(one.path()).unwrap().number();
        remember(&two.path().join(FILE), number).unwrap();
        let again = AddressBlock::claim(two.path()).unwrap();
        // Another test may claim the released range in between; then the file must contain the new one.
        assert_eq!(remembered(&two.path().join(FILE)), Some(again.number()));
    }

    #[test]
    fn a_damaged_record_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "{\"block\":3}").unwrap();
        let block = AddressBlock::claim(directory.path()).unwrap();
        assert_eq!(remembered(&directory.path().join(FILE)), Some(block.number()));
    }
}
