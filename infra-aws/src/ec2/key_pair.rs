//! `aws:ec2:KeyPair`: a key to log in to instances with.

use super::filter;
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::KeyName,
    region::AwsResource,
    tags,
};
use aws_sdk_ec2::{
    Client,
    primitives::Blob,
    types::{KeyPairInfo, ResourceType},
};
use infra_core::{
    Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use ssh_key::{Algorithm, LineEnding, PrivateKey, PublicKey, rand_core::OsRng};
use std::collections::BTreeMap;

/// An SSH key pair.
///
/// An Ed25519 key is generated on this machine; AWS is told only its public half, by `ImportKeyPair`. The private half
/// is an output, kept encrypted in the state and shown by `stack output --show-secrets` or `--key-file`. It is written
/// down before AWS is told of it, so an interrupted run never leaves a key that nobody can use.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KeyPair {
    /// Its name, unique in the region; derived from the declaration's when none is given.
    pub name: Option<String>,
    /// The public half of a key that exists already, in OpenSSH's format; none has one generated.
    pub public_key: Option<String>,
    /// Tags of one's own, changed by `CreateTags` and `DeleteTags`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What a [`KeyPair`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyPairOutputs {
    /// Its name, which instances take.
    pub name: Output<KeyName>,
    /// Its id, `key-…`.
    pub id: Output<String>,
    /// AWS's fingerprint of it.
    pub fingerprint: Output<String>,
    /// The public half, in OpenSSH's format.
    pub public_key: Output<String>,
    /// The private half, in OpenSSH's format; empty when it was not generated here.
    pub private_key: Output<String>,
}

/// Both halves, as they are written down.
#[derive(Clone, Serialize, Deserialize)]
struct Material {
    public: String,
    private: String,
}

impl KeyPair {
    /// A key that is generated.
    pub fn generated() -> Self {
        Self::default()
    }

    /// A key that exists already, by the line in its `.pub` file.
    pub fn imported(public_key: impl Into<String>) -> Self {
        Self { public_key: Some(public_key.into()), ..Self::default() }
    }

    fn key_name(&self, cx: &Context<'_, Aws>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(255))
    }

    /// The key of this operation: the given one, the one an interrupted run has written down, or a new one.
    async fn material(&self, cx: &Context<'_, Aws>) -> Result<Material, ProviderError> {
        if let Some(public) = &self.public_key {
            return Ok(Material { public: public.trim().to_owned(), private: String::new() });
        }
        if let Some(material) = cx.earlier().pop() {
            return Ok(material);
        }
        let material = generate(cx.urn().name())
            .map_err(|error| ProviderError::refused(format!("no key could be generated: {error}")))?;
        cx.progress(&material).await?;
        Ok(material)
    }
}

impl Resource for KeyPair {
    const TYPE: &'static str = "aws:ec2:KeyPair";
    type Outputs = KeyPairOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["name", "public_key"]).secret(["private_key"]).regional(["name", "id"])
    }
}

impl AwsResource for KeyPair {}

impl Handler for KeyPair {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let wrong = self.public_key.as_deref().and_then(|key| PublicKey::from_openssh(key).err());
        let problem = wrong.map(|error| {
            Problem::new("public_key", format!("it is no public key: {error}"))
                .hint("give the line in the key's `.pub` file: `ssh-ed25519 AAAA… comment`")
        });
        problem.into_iter().collect()
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let material = inputs.material(cx).await?;
        let name = inputs.key_name(cx);
        let answer = ec2
            .import_key_pair()
            .key_name(&name)
            .public_key_material(Blob::new(material.public.as_bytes()))
            .tag_specifications(tags::ec2_with(cx, ResourceType::KeyPair, &inputs.tags))
            .send()
            .await
            .context("ImportKeyPair");
        match answer {
            Ok(answer) => {
                let (id, fingerprint) = (answer.key_pair_id(), answer.key_fingerprint());
                Ok(created(&name, id.unwrap_or_default(), fingerprint.unwrap_or_default(), &material))
            }
            // The SDK repeats a request whose answer was lost.
            Err(error) if error.kind == ErrorKind::AlreadyExists => {
                match ours(cx, &ec2, &name).await.map_err(AwsError::unsure)? {
                    Some(pair) => Ok(as_made(&pair, &material)),
                    None => Err(error.hint("choose another name, or delete the key pair that has it").into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let answer = ec2.describe_key_pairs().key_pair_ids(&prior.id).send().await.context("DescribeKeyPairs");
        let pair = found(answer)?.and_then(|answer| answer.key_pairs.unwrap_or_default().pop());
        let known = &prior.outputs;
        let material = Material { public: known.public_key.known()?, private: known.private_key.known()? };
        Ok(pair.map(|pair| {
            let inputs = Self { tags: tags::ec2_own(pair.tags(), &prior.inputs.tags), ..prior.inputs.clone() };
            Created { inputs: Some(inputs), ..as_made(&pair, &material) }
        }))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        // Whatever else changes forces a replacement.
        let ec2 = cx.client().ec2(cx.region()?).await;
        tags::ec2_retag(&ec2, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        ec2.delete_key_pair().key_pair_id(&prior.id).send().await.context("DeleteKeyPair")?;
        Ok(())
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let call = ec2.describe_key_pairs().key_pair_ids(id).include_public_key(true);
        let answer = found(call.send().await.context("DescribeKeyPairs"))?;
        let Some(pair) = answer.and_then(|answer| answer.key_pairs.unwrap_or_default().pop()) else {
            return Ok(None);
        };
        // The private half is not AWS's to tell.
        let public = pair.public_key().unwrap_or_default().trim().to_owned();
        let living = pair.tags().iter().filter_map(|tag| Some((tag.key()?, tag.value()?)));
        let inputs = Self {
            name: pair.key_name().map(str::to_owned),
            public_key: Some(public.clone()),
            tags: tags::foreign(living),
        };
        let material = Material { public, private: String::new() };
        Ok(Some(Created { inputs: Some(inputs), ..as_made(&pair, &material) }))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::phased(|cx: &Context<'_, Aws>, inputs: &Self| {
            Box::pin(async move {
                let given = inputs.public_key.clone().map(|public| Material { public, private: String::new() });
                let Some(material) = given.or_else(|| cx.earlier().pop()) else {
                    // Nothing is sent before the key has been written down.
                    return Ok(Found::Absent);
                };
                let ec2 = cx.client().ec2(cx.region()?).await;
                let pair = ours(cx, &ec2, &inputs.key_name(cx)).await?;
                Ok(Found::from(pair.map(|pair| as_made(&pair, &material))))
            })
        })
    }
}

fn generate(comment: &str) -> Result<Material, ssh_key::Error> {
    let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519)?;
    key.set_comment(comment);
    Ok(Material { public: key.public_key().to_openssh()?, private: key.to_openssh(LineEnding::LF)?.to_string() })
}

/// The pair of this name, if this very operation made it.
async fn ours(cx: &Context<'_, Aws>, ec2: &Client, name: &str) -> Result<Option<KeyPairInfo>, AwsError> {
    let answer = ec2.describe_key_pairs().filters(filter("key-name", name)).send().await.context("DescribeKeyPairs")?;
    let pairs = answer.key_pairs.unwrap_or_default();
    Ok(pairs.into_iter().find(|pair| tags::ec2_are_ours(cx, pair.tags())))
}

fn as_made(pair: &KeyPairInfo, material: &Material) -> Created<KeyPair> {
    created(
        pair.key_name().unwrap_or_default(),
        pair.key_pair_id().unwrap_or_default(),
        pair.key_fingerprint().unwrap_or_default(),
        material,
    )
}

fn created(name: &str, id: &str, fingerprint: &str, material: &Material) -> Created<KeyPair> {
    Created::new(
        id,
        KeyPairOutputs {
            name: KeyName::from(name).into(),
            id: id.into(),
            fingerprint: fingerprint.into(),
            public_key: material.public.as_str().into(),
            private_key: material.private.as_str().into(),
        },
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn generated_halves_belong_together_and_differ() {
        let (one, other) = (generate("web/key").unwrap(), generate("web/key").unwrap());
        assert_ne!(one.private, other.private);
        let private = PrivateKey::from_openssh(&one.private).unwrap();
        let public = PublicKey::from_openssh(&one.public).unwrap();
        assert_eq!(private.public_key(), &public);
        assert_eq!(public.comment(), "web/key");
        assert!(KeyPair::imported(one.public).check().is_empty());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(KeyPair::imported("ssh-rsa nonsense").check().len(), 1);
    }
}
