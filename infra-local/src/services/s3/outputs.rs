//! Fields that the outputs of many operations share.

/// Sets the checksums of an output, from a map by algorithm.
macro_rules! checksums {
    ($answer:ident, $checksums:expr) => {
        $answer.checksum_crc32 = $checksums.get("crc32").cloned();
        $answer.checksum_crc32c = $checksums.get("crc32c").cloned();
        $answer.checksum_crc64nvme = $checksums.get("crc64nvme").cloned();
        $answer.checksum_sha1 = $checksums.get("sha1").cloned();
        $answer.checksum_sha256 = $checksums.get("sha256").cloned();
    };
}

/// Sets the encryption of an output.
macro_rules! encrypted {
    ($answer:ident, $object:expr) => {
        let encryption = &$object.encryption;
        $answer.server_side_encryption = Some(ServerSideEncryption::from(encryption.algorithm.clone()));
        $answer.ssekms_key_id = encryption.key_id.clone();
        $answer.bucket_key_enabled = encryption.bucket_key.then_some(true);
    };
}

pub(super) use {checksums, encrypted};
