//! Receives content: writes it to disk, hashes it, and compares it with all checksums of the request.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto::{Checksum, StreamingBlob};
use s3s::{S3Error, S3Result, s3_error};
use tokio::io::AsyncWriteExt as _;

use super::chunked::Trailers;
use crate::model::s3::Blob;
use crate::state::objects::{Objects, internal};

/// The checksum algorithms, by the suffix of their headers.
const ALGORITHMS: &[&str] = &["crc32", "crc32c", "crc64nvme", "sha1", "sha256"];

/// Digests that the client has sent with the content.
#[derive(Default)]
pub(super) struct Claims {
    pub(super) length: Option<i64>,
    /// Base64, as in `Content-MD5`.
    pub(super) md5: Option<String>,
    /// Checksums by algorithm, from headers.
    pub(super) checksums: BTreeMap<&'static str, String>,
    /// Trailing checksums, and the header that announces them.
    pub(super) trailers: Option<Trailers>,
    pub(super) announced: Option<String>,
    /// A requested algorithm without a checksum.
    pub(super) algorithm: Option<String>,
}

/// New content that does not belong to an object yet; it is deleted when dropped.
pub(super) struct NewBlob {
    path: PathBuf,
    blob: Option<Blob>,
}

impl NewBlob {
    /// Returns the content without deleting it when the upload is dropped; the caller must delete it.
    pub(super) fn keep(mut self) -> Blob {
        self.blob.take().unwrap_or_default()
    }

    pub(super) fn blob(&self) -> Option<&Blob> {
        self.blob.as_ref()
    }
}

impl Drop for NewBlob {
    fn drop(&mut self) {
        if self.blob.is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Writes a body to disk.
pub(super) async fn receive(
    objects: &Objects,
    bucket: &str,
    body: Option<StreamingBlob>,
    claims: Claims,
) -> S3Result<NewBlob> {
    let path = objects.new_blob_path(bucket);
    let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    // From here on an early return deletes the file.
    let mut new = NewBlob { path, blob: Some(Blob { file, ..Blob::default() }) };
    let mut file =
        tokio::fs::File::options().create_new(true).write(true).mode(0o600).open(&new.path).await.map_err(internal)?;
    let (mut md5, mut hashers) = (Md5::new(), claims.hashers());
    let mut size = 0_u64;
    if let Some(mut body) = body {
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| body_error(&*error))?;
            md5.update(&piece);
            hashers.update(&piece);
            file.write_all(&piece).await.map_err(internal)?;
            size += piece.len() as u64;
        }
    }
    file.flush().await.map_err(internal)?;
    let md5 = md5.finalize();
    let computed = by_name(hashers.finalize());
    claims.verify(size, md5, &computed)?;
    if let Some(blob) = &mut new.blob {
        blob.size = size;
        blob.e_tag = hex::encode(md5);
        blob.checksums = computed;
    }
    Ok(new)
}

/// Converts the failure of a body to S3's error.
fn body_error(error: &(dyn std::error::Error + 'static)) -> S3Error {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    let forged = causes.find_map(|error| error.downcast_ref::<std::io::Error>());
    match forged.filter(|error| error.kind() == std::io::ErrorKind::PermissionDenied) {
        Some(error) => s3_error!(SignatureDoesNotMatch, "{error}"),
        None => s3_error!(IncompleteBody, "the body could not be read: {error}"),
    }
}

impl Claims {
    /// Returns the algorithms to compute: those in the request, or the ones that S3 computes by default.
    fn hashers(&self) -> ChecksumHasher {
        let announced = self.announced.as_deref().unwrap_or_default().to_ascii_lowercase();
        let wanted = |name: &str| {
            self.checksums.contains_key(name)
                || announced.split(',').any(|header| header.trim().strip_prefix("x-amz-checksum-") == Some(name))
                || self.algorithm.as_ref().is_some_and(|algorithm| algorithm.eq_ignore_ascii_case(name))
        };
        let any = ALGORITHMS.iter().any(|name| wanted(name));
        ChecksumHasher {
            crc32: wanted("crc32").then(Crc32::new),
            crc32c: wanted("crc32c").then(Crc32c::new),
            sha1: wanted("sha1").then(Sha1::new),
            sha256: wanted("sha256").then(Sha256::new),
            crc64nvme: (wanted("crc64nvme") || !any).then(Crc64Nvme::new),
        }
    }

    fn verify(&self, size: u64, md5: [u8; 16], computed: &BTreeMap<String, String>) -> S3Result<()> {
        if self.length.is_some_and(|length| u64::try_from(length) != Ok(size)) {
            return Err(s3_error!(
                IncompleteBody,
                "You did not provide the number of bytes specified by the Content-Length HTTP header: {size} came"
            ));
        }
        if let Some(claimed) = &self.md5
            && STANDARD.decode(claimed).map_or(true, |digest| digest.len() != md5.len())
        {
            return Err(s3_error!(InvalidDigest, "The Content-MD5 you specified was invalid."));
        }
        if let Some(claimed) = &self.md5
            && *claimed != STANDARD.encode(md5)
        {
            return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."));
        }
        for name in ALGORITHMS {
            let trailer = self.trailers.as_ref().and_then(|trailers| trailers.get(&format!("x-amz-checksum-{name}")));
            for claimed in self.checksums.get(name).cloned().into_iter().chain(trailer) {
                if computed.get(*name) != Some(&claimed) {
                    return Err(s3_error!(
                        BadDigest,
                        "The {} you specified did not match the calculated checksum.",
                        name.to_uppercase()
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Returns the checksums of a request's headers by algorithm.
pub(super) fn claimed(checksum: Checksum) -> BTreeMap<&'static str, String> {
    let all = [
        ("crc32", checksum.checksum_crc32),
        ("crc32c", checksum.checksum_crc32c),
        ("crc64nvme", checksum.checksum_crc64nvme),
        ("sha1", checksum.checksum_sha1),
        ("sha256", checksum.checksum_sha256),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn by_name(checksum: Checksum) -> BTreeMap<String, String> {
    claimed(checksum).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
