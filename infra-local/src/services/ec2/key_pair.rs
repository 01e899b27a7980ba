//! Key pairs, imported or generated. The private half of a generated pair is in the response only.

use super::key_material::{Generated, PublicKey};
use super::{Ec2Operation, TAG_SPECIFICATIONS, check_id, not_honoured, resource, tags_for};
use crate::model::ec2::key_pair::KeyPair;
use crate::model::{Cloud, Region, Tags, new_id};
use crate::services::tags;
use crate::services::{Call, Operation, State};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::performs("CreateKeyPair", create, &[&["KeyName", "KeyType", "KeyFormat"], TAG_SPECIFICATIONS])
        .on(&[resource::KEY_PAIR]),
    Operation::writes("ImportKeyPair", import, &[&["KeyName", "PublicKeyMaterial"], TAG_SPECIFICATIONS])
        .on(&[resource::KEY_PAIR]),
    Operation::reads("DescribeKeyPairs", describe, &[&["KeyName.N", "KeyPairId.N", "IncludePublicKey"], FILTERS])
        .on_any(),
    Operation::writes("DeleteKeyPair", delete, &[&["KeyName", "KeyPairId"]])
        .on(&[resource::KEY_PAIR, resource::KEY_PAIR_BY_ID]),
];

/// AWS's quota of key pairs in a region.
const LIMIT: usize = 5000;

/// Generates a key pair. The key is generated while the state is not locked, because that takes time.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateKeyPair.html>
fn create(state: &State<'_>, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = check_name(params)?;
    let tags = tags_for(params, "key-pair")?;
    let generate = match params.optional("KeyType").unwrap_or("rsa") {
        "rsa" => Generated::rsa,
        "ed25519" => Generated::ed25519,
        other => return Err(ApiError::invalid(format!("Value ({other}) for parameter keyType is invalid."))),
    };
    match params.optional("KeyFormat").unwrap_or("pem") {
        "pem" => {}
        "ppk" => return Err(not_honoured("The local cloud returns private keys as PEM: convert them with puttygen")),
        other => return Err(ApiError::invalid(format!("Value ({other}) for parameter keyFormat is invalid."))),
    }
    state.read(|cloud| check_unused(cloud.region(call.region)?, name))?;
    if params.flag("DryRun")? {
        return Ok(Node::new());
    }
    let Generated { public, private } = generate(name)?;
    state.write(|cloud| {
        let region = cloud.region_mut(call.region)?;
        check_unused(region, name)?;
        let pair = pair_of(name, &public, tags, call);
        let answer = Node::new()
            .with("keyName", &pair.name)
            .with("keyFingerprint", &pair.fingerprint)
            .with("keyMaterial", &private)
            .with("keyPairId", &pair.id)
            .with("tagSet", tags::set(&pair.tags));
        region.ec2.key_pairs.insert(pair.id.clone(), pair);
        Ok(answer)
    })
}

fn import(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = check_name(params)?;
    let key = PublicKey::parse(params.required("PublicKeyMaterial")?)?;
    let tags = tags_for(params, "key-pair")?;
    let region = cloud.region_mut(call.region)?;
    check_unused(region, name)?;
    let pair = pair_of(name, &key, tags, call);
    let answer = Node::new()
        .with("keyFingerprint", &pair.fingerprint)
        .with("keyName", &pair.name)
        .with("keyPairId", &pair.id)
        .with("tagSet", tags::set(&pair.tags));
    region.ec2.key_pairs.insert(pair.id.clone(), pair);
    Ok(answer)
}

fn pair_of(name: &str, key: &PublicKey, tags: Tags, call: &Call<'_, Params>) -> KeyPair {
    KeyPair {
        id: new_id("key"),
        name: name.to_owned(),
        kind: key.kind.to_owned(),
        fingerprint: key.fingerprint.clone(),
        public_key: key.text.clone(),
        created: call.now,
        tags,
    }
}

/// Checks that the name has at most 255 ASCII characters.
fn check_name(params: &Params) -> Outcome<&str> {
    let name = params.required("KeyName")?;
    if name.len() <= 255 && name.is_ascii() {
        return Ok(name);
    }
    Err(ApiError::invalid(format!(
        "Value ({name}) for parameter KeyName is invalid. Character sets beyond ASCII are not supported, and the limit is \
         255 characters."
    )))
}

fn check_unused(region: &Region, name: &str) -> Outcome<()> {
    if region.ec2.key_pairs.values().any(|pair| pair.name == name) {
        return Err(ApiError::new("InvalidKeyPair.Duplicate", format!("The keypair '{name}' already exists.")));
    }
    if region.ec2.key_pairs.len() >= LIMIT {
        return Err(ApiError::new("KeyPairLimitExceeded", format!("The maximum number of key pairs is {LIMIT}.")));
    }
    Ok(())
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let (ids, names) = (params.texts("KeyPairId"), params.texts("KeyName"));
    for id in &ids {
        check_id(id, "key", "InvalidKeyPairId.Malformed")?;
        if !region.ec2.key_pairs.contains_key(id) {
            return Err(ApiError::new("InvalidKeyPair.NotFound", format!("The key pair ID '{id}' does not exist")));
        }
    }
    if let Some(missing) = names.iter().find(|name| !region.ec2.key_pairs.values().any(|pair| pair.name == **name)) {
        return Err(ApiError::new("InvalidKeyPair.NotFound", format!("The key pair '{missing}' does not exist")));
    }
    let pairs =
        region.ec2.key_pairs.values().filter(|pair| {
            (ids.is_empty() || ids.contains(&pair.id)) && (names.is_empty() || names.contains(&pair.name))
        });
    let pairs = Filters::parse(params)?.apply(pairs, FIELDS, |pair| &pair.tags)?;
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
