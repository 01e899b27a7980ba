//! The key that encrypts the secrets of a store.

use crate::{
    boundary::{self, Boundary},
    value::{Seal, SealError},
};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Key},
};
use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// A data key: 256 bits, for XChaCha20-Poly1305 with a random nonce for each secret (RFC 8439 and draft-irtf-cfrg-xchacha).
pub struct DataKey(XChaCha20Poly1305);

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or made.
    #[error("the key of the secrets, {}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The file is no key.
    #[error("{} is no key: it must hold 64 hexadecimal digits; restore it from a copy, for without it the secrets in the state are lost", .0.display())]
    Malformed(PathBuf),
    /// Others may read the file.
    #[error("{} may be read by others (mode {mode:o}): run `chmod 600` on it", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness: {0}")]
    Randomness(getrandom::Error),
}

impl DataKey {
    /// A key that lives as long as the process.
    pub fn random() -> Result<Self, KeyError> {
        Ok(Self::of(random::<32>()?))
    }

    /// The key in a file that only its owner may read; the file is made when there is none.
    pub fn of_file(path: &Path) -> Result<Self, KeyError> {
        let io = |error| KeyError::Io { path: path.to_owned(), error };
        if !path.try_exists().map_err(io)? {
            Self::make_file(path)?;
        }
        let mode = fs::metadata(path).map_err(io)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Open { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        fs::File::open(path).and_then(|file| file.take(1024).read_to_string(&mut text)).map_err(io)?;
        let mut key = [0; 32];
        hex::decode_to_slice(text.trim(), &mut key).map_err(|_| KeyError::Malformed(path.to_owned()))?;
        Ok(Self::of(key))
    }

    /// Written beside and linked, so that a file of this name always holds a whole key; whoever comes first makes it.
    fn make_file(path: &Path) -> Result<(), KeyError> {
        let io = |error| KeyError::Io { path: path.to_owned(), error };
        let beside = path.with_extension(hex::encode(random::<8>()?));
        boundary::reached(Boundary::KeyWrite);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(io)?;
        let written = file.write_all(hex::encode(random::<32>()?).as_bytes()).and_then(|()| file.sync_all());
        let linked = written.and_then(|()| {
            boundary::reached(Boundary::KeyLink);
            match fs::hard_link(&beside, path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                _ => Ok(()),
            }
        });
        fs::remove_file(&beside).and(linked).map_err(io)?;
        fs::File::open(path.parent().unwrap_or(path)).and_then(|directory| directory.sync_all()).map_err(io)
    }

    fn of(key: [u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(&Key::<XChaCha20Poly1305>::from(key)))
    }
}

fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(KeyError::Randomness)?;
    Ok(bytes)
}

impl Seal for DataKey {
    fn seal(&self, plain: &str) -> Result<String, SealError> {
        let nonce = random::<24>().map_err(|_| SealError)?;
        let sealed = self.0.encrypt(XNonce::from_slice(&nonce), plain.as_bytes()).map_err(|_| SealError)?;
        Ok(BASE64.encode([&nonce[..], &sealed].concat()))
    }

    fn unseal(&self, sealed: &str) -> Result<String, SealError> {
        let bytes = BASE64.decode(sealed).map_err(|_| SealError)?;
        let (nonce, sealed) = bytes.split_at_checked(24).ok_or(SealError)?;
        let plain = self.0.decrypt(XNonce::from_slice(nonce), sealed).map_err(|_| SealError)?;
        String::from_utf8(plain).map_err(|_| SealError)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_same_file_opens_what_it_sealed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let sealed = DataKey::of_file(&path).unwrap().seal("hunter2").unwrap();
        assert!(!sealed.contains("hunter2"));
        assert_eq!(DataKey::of_file(&path).unwrap().unseal(&sealed).unwrap(), "hunter2");
        assert!(DataKey::random().unwrap().unseal(&sealed).is_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(DataKey::of_file(&path), Err(KeyError::Open { .. })));
    }
}
