//! Key pairs. Clients generate the private keys and import the public ones.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use s3s::crypto::{Checksum as _, Md5};
use sha2::{Digest as _, Sha256};

use super::{Ec2Operation, TAG_SPECIFICATIONS, resource, select, tags_for};
use crate::model::Cloud;
use crate::model::ec2::key_pair::KeyPair;
use crate::model::new_id;
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes("ImportKeyPair", import, &[&["KeyName", "PublicKeyMaterial"], TAG_SPECIFICATIONS])
        .on(&[resource::KEY_PAIR]),
    Operation::reads("DescribeKeyPairs", describe, &[&["KeyName.N", "KeyPairId.N", "IncludePublicKey"], FILTERS])
        .on_any(),
    Operation::writes("DeleteKeyPair", delete, &[&["KeyName", "KeyPairId"]])
        .on(&[resource::KEY_PAIR, resource::KEY_PAIR_BY_ID]),
];

fn import(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = params.required("KeyName")?;
    let key = PublicKey::parse(params.required("PublicKeyMaterial")?)?;
    let tags = tags_for(params, "key-pair")?;
    let region = cloud.region_mut(call.region)?;
    if region.ec2.key_pairs.values().any(|pair| pair.name == name) {
        return Err(ApiError::new("InvalidKeyPair.Duplicate", format!("The keypair '{name}' already exists.")));
    }
    let pair = KeyPair {
        id: new_id("key"),
        name: name.to_owned(),
        kind: key.kind.to_owned(),
        fingerprint: key.fingerprint,
        public_key: key.text,
        created: call.now,
        tags,
    };
    let answer = Node::new()
        .with("keyFingerprint", &pair.fingerprint)
        .with("keyName", &pair.name)
        .with("keyPairId", &pair.id)
        .with("tagSet", tags::set(&pair.tags));
    region.ec2.key_pairs.insert(pair.id.clone(), pair);
    Ok(answer)
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let mut pairs = select(&region.ec2.key_pairs, &params.texts("KeyPairId"), "InvalidKeyPair.NotFound", "key pair")?;
    let names = params.texts("KeyName");
    if let Some(missing) = names.iter().find(|name| !pairs.iter().any(|pair| pair.name == **name)) {
        return Err(ApiError::new("InvalidKeyPair.NotFound", format!("The key pair '{missing}' does not exist")));
    }
    pairs.retain(|pair| names.is_empty() || names.contains(&pair.name));
    let pairs = Filters::parse(params)?.apply(pairs.into_iter(), FIELDS, |pair| &pair.tags)?;
    let with_key = params.flag("IncludePublicKey")?;
    let nodes = pairs.into_iter().map(|pair| {
        Node::new()
            .with("keyPairId", &pair.id)
            .with("keyName", &pair.name)
            .with("keyType", &pair.kind)
            .with("keyFingerprint", &pair.fingerprint)
            .with("createTime", pair.created)
            .maybe("publicKey", with_key.then_some(&pair.public_key))
            .with("tagSet", tags::set(&pair.tags))
    });
    Ok(Node::new().list("keySet", nodes))
}

const FIELDS: &[Field<KeyPair>] = &[
    ("key-name", |pair| vec![pair.name.clone()]),
    ("key-pair-id", |pair| vec![pair.id.clone()]),
    ("fingerprint", |pair| vec![pair.fingerprint.clone()]),
];

/// Deletes a key pair. As on AWS, the deletion of a missing key pair succeeds.
fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let (name, id) = (params.optional("KeyName"), params.optional("KeyPairId"));
    if name.is_none() && id.is_none() {
        return Err(ApiError::missing("KeyName or KeyPairId"));
    }
    let region = cloud.region_mut(call.region)?;
    let found =
        region.ec2.key_pairs.values().find(|pair| Some(pair.name.as_str()) == name || Some(pair.id.as_str()) == id);
    let found = found.map(|pair| pair.id.clone());
    if let Some(id) = &found {
        region.ec2.key_pairs.remove(id);
    }
    Ok(Node::success().maybe("keyPairId", found))
}

/// A public key in OpenSSH's format.
struct PublicKey {
    kind: &'static str,
    fingerprint: String,
    text: String,
}

impl PublicKey {
    /// Parses `ssh-ed25519 AAAA… comment` in base64.
    fn parse(material: &str) -> Outcome<PublicKey> {
        let invalid = || ApiError::new("InvalidKey.Format", "Key is not in valid OpenSSH public key format");
        let text =
            STANDARD.decode(material).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(invalid)?;
        let mut words = text.split_whitespace();
        let (algorithm, blob) = (words.next().ok_or_else(invalid)?, words.next().ok_or_else(invalid)?);
        let blob = STANDARD.decode(blob).map_err(|_| invalid())?;
        // The blob repeats the algorithm after its length, so a truncated or corrupted key is refused here.
        let named = blob.get(..4).zip(blob.get(4..4 + algorithm.len()));
        if named != Some(((algorithm.len() as u32).to_be_bytes().as_slice(), algorithm.as_bytes())) {
            return Err(invalid());
        }
        let (kind, fingerprint) = match algorithm {
            // As AWS: OpenSSH's SHA-256 fingerprint for Ed25519, and the MD5 of the key for imported RSA keys.
            "ssh-ed25519" => ("ed25519", STANDARD_NO_PAD.encode(Sha256::digest(&blob))),
            "ssh-rsa" => (
                "rsa",
                hex::encode(Md5::checksum(&blob))
                    .as_bytes()
                    .chunks(2)
                    .map(String::from_utf8_lossy)
                    .collect::<Vec<_>>()
                    .join(":"),
            ),
            _ => return Err(invalid()),
        };
        Ok(PublicKey { kind, fingerprint, text: text.trim().to_owned() })
    }
}
