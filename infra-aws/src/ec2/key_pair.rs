//! `aws:ec2:KeyPair`: an SSH key for logins to instances.

use super::{filter, retag, tag_specification};
use crate::prelude::*;
use aws_sdk_ec2::{Client, primitives::Blob, types};
use infra_core::provider::{Found, Handler, Recovery};
use ssh_key::{Algorithm, LineEnding, PrivateKey, PublicKey, rand_core::OsRng};

/// A key pair: the SSH key for logins to instances.
///
/// Without a `public_key`, an Ed25519 key is generated on this machine, and AWS receives its public half only. The
/// private half is an output, which is encrypted in the state and shown by `stack output --show-secrets` or
/// `--key-file`. It is recorded before the request is sent, so that an interrupted run leaves no key pair whose private
/// half is lost.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let key = virginia.add("key", KeyPair::generated());
/// virginia.add("host", Instance { key_name: Some(key.name), ..Instance::new("t3.micro") });
/// stack.export("private_key", key.private_key);
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `ImportKeyPair`; `DescribeKeyPairs` if the name is in use, which finds the key pair of an interrupted run
/// - Read: `DescribeKeyPairs`
/// - Update: `CreateTags`, `DeleteTags`
/// - Delete: `DeleteKeyPair`
///
/// # Replacement
/// A change of `name` or `public_key` replaces the key pair, because AWS cannot change them. The new key pair is
/// created before the previous one is deleted, so a declared `name` has to change together with `public_key`. Instances
/// that use it are replaced as well.
///
/// # Import
/// The import takes the id of the key pair, not its name. AWS does not have the private half, so `private_key` is
/// empty.
///
/// ```console
/// $ stack import aws:ec2:KeyPair key key-0123456789abcdef0 --region us-east-1
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, Resource)]
#[resource(type = "aws:ec2:KeyPair")]
pub struct KeyPair {
    /// Name, unique in the region; when omitted, the declaration's name with a unique suffix. A change replaces the key
    /// pair.
    #[resource(replace)]
    pub name: Option<String>,
    /// Public half of an existing key, the line of its `.pub` file: `ssh-ed25519 AAAA… comment`. When omitted, a key is
    /// generated. A change replaces the key pair.
    #[resource(replace)]
    pub public_key: Option<String>,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`KeyPair`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct KeyPairOutputs {
    /// Name of the key pair, to which instances refer.
    #[output(regional)]
    pub name: Output<KeyName>,
    /// Id of the key pair, `key-…`.
    #[output(regional)]
    pub id: Output<String>,
    /// Fingerprint of the public half, as AWS computes it.
    pub fingerprint: Output<String>,
    /// Public half, in the format of OpenSSH.
    pub public_key: Output<String>,
    /// Private half, in the format of OpenSSH; secret, and empty for an existing or imported key.
    #[output(secret)]
    pub private_key: Output<String>,
}

/// Both halves of a key, as they are recorded in the journal.
#[derive(Clone, Serialize, Deserialize)]
struct Material {
    public: String,
    /// Empty for an existing key.
    private: String,
}

impl KeyPair {
    /// Returns a key pair whose key is generated.
    pub fn generated() -> Self {
        Self::default()
    }

    /// Returns a key pair of an existing key, by the line in its `.pub` file.
    pub fn imported(public_key: impl Into<String>) -> Self {
        Self { public_key: Some(public_key.into()), ..Self::default() }
    }

    fn key_name(&self, cx: &Context<'_>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(255))
    }

    /// Returns the declared key, or the one that an interrupted run has recorded.
    fn earlier_material(&self, cx: &Context<'_>) -> Option<Material> {
        let declared = self.public_key.as_deref().map(|public| Material::without_private(public.trim()));
        declared.or_else(|| cx.earlier().pop())
    }

    /// Returns the key of this operation, and generates and records it if there is none.
    async fn material(&self, cx: &Context<'_>) -> Result<Material> {
        if let Some(material) = self.earlier_material(cx) {
            return Ok(material);
        }
        let material = generate(cx.urn().name())
            .map_err(|error| ProviderError::refused(format!("no key could be generated: {error}")))?;
        cx.progress(&material).await?;
        Ok(material)
    }
}

impl Material {
    fn without_private(public: impl Into<String>) -> Self {
        Self { public: public.into(), private: String::new() }
    }
}

impl AwsResource for KeyPair {}

impl Handler for KeyPair {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let error = self.public_key.as_deref().and_then(|key| PublicKey::from_openssh(key).err());
        let problem = error.map(|error| {
            Problem::new("public_key", format!("it is not a public key: {error}"))
                .hint("copy the line in the key's `.pub` file: `ssh-ed25519 AAAA… comment`")
        });
        problem.into_iter().collect()
    }

    async fn create(cx: &Context<'_>, inputs: &Self) -> Result<Created<Self>> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let material = inputs.material(cx).await?;
        let name = inputs.key_name(cx);
        let call = ec2
            .import_key_pair()
            .key_name(&name)
            .public_key_material(Blob::new(material.public.as_bytes()))
            .tag_specifications(tag_specification(cx, types::ResourceType::KeyPair, &inputs.tags));
        match call.send().await.context("ImportKeyPair") {
            Ok(response) => {
                let pair = types::KeyPairInfo::builder().key_name(name).set_key_pair_id(response.key_pair_id);
                Ok(created(&pair.set_key_fingerprint(response.key_fingerprint).build(), &material))
            }
            // The SDK repeats a request whose response was lost.
            Err(error) if error.kind == ErrorKind::AlreadyExists => match find_created(cx, &ec2, &name).await {
                Ok(Some(pair)) => Ok(created(&pair, &material)),
                Ok(None) => Err(error.hint("choose another name, import the existing key pair, or delete it").into()),
                Err(error) => Err(ProviderError { kind: ErrorKind::Unsure, ..error }),
            },
            Err(error) => Err(error.into()),
        }
    }

    async fn read(cx: &Context<'_>, prior: &Prior<Self>) -> Result<Option<Created<Self>>> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let response = ec2.describe_key_pairs().key_pair_ids(&prior.id).send().await.context("DescribeKeyPairs");
        let pair = found(response)?.and_then(|response| response.key_pairs?.pop());
        let Prior { inputs, outputs, .. } = prior;
        let material = Material { public: outputs.public_key.known()?, private: outputs.private_key.known()? };
        Ok(pair.map(|pair| {
            let tags = tags::declared(pair.tags(), Some(&inputs.tags));
            Created { inputs: Some(Self { tags, ..inputs.clone() }), ..created(&pair, &material) }
        }))
    }

    /// Changes the tags, the only input whose change replaces nothing.
    async fn update(cx: &Context<'_>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        retag(&ec2, &prior.id, Some(&prior.inputs.tags), &inputs.tags).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_>, prior: &Prior<Self>) -> Result<()> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        Ok(ec2.delete_key_pair().key_pair_id(&prior.id).send().await.context("DeleteKeyPair").map(drop)?)
    }

    /// Reads the public half: AWS does not have the private one.
    async fn import(cx: &Context<'_>, id: &str) -> Result<Option<Created<Self>>> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let call = ec2.describe_key_pairs().key_pair_ids(id).include_public_key(true);
        let response = found(call.send().await.context("DescribeKeyPairs"))?;
        let Some(pair) = response.and_then(|response| response.key_pairs?.pop()) else { return Ok(None) };
        let public = pair.public_key().unwrap_or_default().trim().to_owned();
        let inputs = Self {
            name: pair.key_name().map(str::to_owned),
            public_key: Some(public.clone()),
            tags: tags::declared(pair.tags(), None),
        };
        Ok(Some(Created { inputs: Some(inputs), ..created(&pair, &Material::without_private(public)) }))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::phased(|cx: &Context<'_>, inputs: &Self| {
            Box::pin(async move {
                // The request is not sent before the key is recorded.
                let Some(material) = inputs.earlier_material(cx) else { return Ok(Found::Absent) };
                let ec2 = cx.client().ec2(cx.region()?).await;
                let pair = find_created(cx, &ec2, &inputs.key_name(cx)).await?;
                Ok(Found::from(pair.map(|pair| created(&pair, &material))))
            })
        })
    }
}

fn generate(comment: &str) -> Result<Material, ssh_key::Error> {
    let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519)?;
    key.set_comment(comment);
    Ok(Material { public: key.public_key().to_openssh()?, private: key.to_openssh(LineEnding::LF)?.to_string() })
}

/// Returns the key pair with this name, if this operation has created it.
async fn find_created(cx: &Context<'_>, ec2: &Client, name: &str) -> Result<Option<types::KeyPairInfo>> {
    let response = ec2.describe_key_pairs().filters(filter("key-name", name)).send().await;
    let pairs = response.context("DescribeKeyPairs")?.key_pairs.unwrap_or_default();
    Ok(pairs.into_iter().find(|pair| tags::are_of_operation(cx, pair.tags())))
}

fn created(pair: &types::KeyPairInfo, material: &Material) -> Created<KeyPair> {
    let id = pair.key_pair_id().unwrap_or_default();
    let outputs = KeyPairOutputs {
        name: KeyName::from(pair.key_name().unwrap_or_default()).into(),
        id: id.into(),
        fingerprint: pair.key_fingerprint().unwrap_or_default().into(),
        public_key: material.public.as_str().into(),
        private_key: material.private.as_str().into(),
    };
    Created::new(id, outputs)
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
        assert!(Handler::check(&KeyPair::imported(one.public)).is_empty());
    }

    #[test]
    fn text_that_is_not_a_key_is_refused() {
        assert_eq!(Handler::check(&KeyPair::imported("ssh-rsa nonsense")).len(), 1);
    }
}
