//! `aws:s3:BucketObject`: a file in a bucket.

use crate::{error::AwsError, prelude::*};
use aws_sdk_s3::{Client, config::Builder as Config, primitives::ByteStream};
use aws_smithy_types::timeout::TimeoutConfig;
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use std::{collections::HashMap, fs::File, path::Path, time::Duration};

/// A file of up to 5 GB in a bucket.
///
/// Its content is identified by its SHA-256, which is compared with the file before the upload, and by S3 with the
/// content that it receives. The metadata of the object contains program, stack, URN and operation. A create never
/// overwrites an object of another owner.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # use infra_core::output_format;
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let bucket = virginia.add("programs", Bucket { force_delete: true, ..Bucket::default() });
/// let program = virginia.lookup(CargoBin::of_workspace("web"));
/// virginia.add("program", BucketObject {
///     bucket: bucket.name,
///     key: output_format!("web/{}", &program.sha256),
///     source: program.path,
///     sha256: program.sha256,
/// });
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `PutObject`; if the key is in use, `HeadObject`, and `PutObject` again for an object of a previous
///   generation with the same content
/// - Read: `HeadObject`
/// - Update: `PutObject`
/// - Delete: `HeadObject`, `DeleteObject`
///
/// # Replacement
/// A change of `bucket` or `key` replaces the object. The new object is created before the previous one is deleted. When a
/// replacement is requested by `up --replace`, the previous object is deleted first. Another content is uploaded in place.
///
/// # Import
/// The import takes `BUCKET/KEY`. The printed declaration needs a `source` and its `sha256`; the first `up` uploads the
/// file, unless this library has uploaded the same content.
///
/// ```console
/// $ stack import aws:s3:BucketObject program example-files/web/program --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:s3:BucketObject")]
pub struct BucketObject {
    /// Name of the bucket. A change replaces the object.
    #[resource(replace, key)]
    pub bucket: Input<String>,
    /// Key of the object in the bucket, 1 to 1024 bytes. A change replaces the object.
    #[resource(replace, key)]
    pub key: Input<String>,
    /// Path of the file on this machine. Another path of a file with the same content is no change.
    #[resource(untracked)]
    pub source: Input<String>,
    /// SHA-256 of the file, 64 hexadecimal digits.
    pub sha256: Input<String>,
}

/// Outputs of a [`BucketObject`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct BucketObjectOutputs {
    /// Name of the bucket.
    pub bucket: Output<String>,
    /// Key of the object in the bucket.
    pub key: Output<String>,
    /// SHA-256 of the content, 64 hexadecimal digits; `unknown` if the object was overwritten by other means.
    #[output(changes_on_update)]
    pub sha256: Output<String>,
    /// Entity tag of the object, as S3 computes it.
    #[output(changes_on_update)]
    pub etag: Output<String>,
}

impl AwsResource for BucketObject {}

impl Described for BucketObject {
    type Client = Aws;
    type Api = Client;
    type Description = Head;

    const FOUND_BY: FoundBy = FoundBy::Key;
    const CONFLICT: &'static str = "use another key, or delete the object if an earlier deployment left it";

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.key.known().is_ok_and(|key| key.is_empty() || key.len() > 1024) {
            problems.push(Problem::new("key", "a key has 1 to 1024 bytes"));
        }
        if self.sha256.known().is_ok_and(|sum| !hex::decode(sum).is_ok_and(|sum| sum.len() == 32)) {
            problems.push(Problem::new("sha256", "a SHA-256 has 64 hexadecimal digits"));
        }
        problems
    }

    async fn create(cx: &Context<'_>, s3: &Client, inputs: &Self) -> Result<Self::Description> {
        let upload = Upload::prepare(inputs).await?;
        match upload.put(cx, s3, upload.open().await?, Existing::Keep).await {
            Err(error) if error.has_code(&["PreconditionFailed", "ConditionalRequestConflict"]) => {}
            response => return Ok(upload.head(response?)),
        }
        // A declaration can return to a content whose object of an earlier generation has not been deleted yet. This
        // generation adopts the object.
        let is_earlier = |object: Head| {
            object.has(URN, cx.urn().as_str())
                && object.has(SHA256, &upload.sha256)
                && !object.has(OPERATION, cx.operation().as_str())
        };
        if !head(s3, &upload.bucket, &upload.key).await?.is_some_and(is_earlier) {
            return Err(upload.conflict());
        }
        Ok(upload.head(upload.put(cx, s3, upload.open().await?, Existing::Replace).await?))
    }

    async fn apply(cx: &Context<'_>, s3: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        if update.old.is_none() {
            return Ok(update.outputs.clone());
        }
        let upload = Upload::prepare(update.new).await?;
        let etag = upload.put(cx, s3, upload.open().await?, Existing::Replace).await?;
        Ok(Self::normalize(&upload.head(etag), Some(update.new)).outputs)
    }

    async fn delete(cx: &Context<'_>, s3: &Client, prior: &Prior<Self>) -> Result<()> {
        if let Some(object) = Self::describe(cx, s3, &prior.id).await? {
            s3.delete_object().bucket(object.bucket).key(object.key).send().await.context("DeleteObject")?;
        }
        Ok(())
    }

    /// Describes the object with the id `BUCKET/KEY`, unless another generation has adopted it.
    async fn describe(cx: &Context<'_>, s3: &Client, id: &str) -> Result<Option<Self::Description>> {
        let (bucket, key) = id.split_once('/').ok_or_else(|| {
            ProviderError::refused(format!("`{id}` is no id of an object")).hint("write `BUCKET/KEY`")
        })?;
        Ok(head(s3, bucket, key).await?.filter(|object| !object.is_of_another_generation(cx)))
    }

    async fn find_created(cx: &Context<'_>, s3: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        let existing = head(s3, &inputs.bucket.known()?, &inputs.key.known()?).await?;
        Ok(existing.filter(|object| object.has(OPERATION, cx.operation().as_str())))
    }

    fn normalize(object: &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let Head { bucket, key, metadata, etag } = object;
        // An object that was overwritten outside of infra has no SHA-256.
        let sha256 = metadata.get(SHA256).map_or("unknown", String::as_str);
        Created {
            id: format!("{bucket}/{key}"),
            inputs: Some(Self {
                bucket: bucket.as_str().into(),
                key: key.as_str().into(),
                source: recorded.map_or_else(|| String::new().into(), |recorded| recorded.source.clone()),
                sha256: sha256.into(),
            }),
            outputs: BucketObjectOutputs {
                bucket: bucket.as_str().into(),
                key: key.as_str().into(),
                sha256: sha256.into(),
                etag: etag.as_str().into(),
            },
        }
    }
}

const OPERATION: &str = "infra-operation";
const URN: &str = "infra-urn";
const GENERATION: &str = "infra-generation";
const SHA256: &str = "infra-sha256";

/// Treatment of an existing object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Keep,
    Replace,
}

/// Size of the pieces in which a file is sent, in bytes. Each piece has a cost of its own.
const PIECE: usize = 256 << 10;

/// A file whose content has the declared SHA-256.
struct Upload {
    bucket: String,
    key: String,
    source: String,
    sha256: String,
    bytes: u64,
}

impl Upload {
    async fn prepare(inputs: &BucketObject) -> Result<Self> {
        let (source, sha256) = (inputs.source.known()?, inputs.sha256.known()?.to_ascii_lowercase());
        let unreadable = |error: &dyn std::fmt::Display| {
            ProviderError::refused(format!("the file `{source}` cannot be read: {error}"))
                .hint("build the file again if it was deleted, and repeat the command")
        };
        let path = source.clone();
        let summed = tokio::task::spawn_blocking(move || sum(Path::new(&path))).await;
        let (found, bytes) = summed.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error))?;
        if found != sha256 {
            return Err(ProviderError::refused(format!(
                "the file `{source}` has changed since it was planned: its SHA-256 is {found}, not {sha256}"
            ))
            .hint("run the command again, so that it plans with the current file"));
        }
        Ok(Self { bucket: inputs.bucket.known()?, key: inputs.key.known()?, source, sha256, bytes })
    }

    async fn open(&self) -> Result<ByteStream> {
        let opened = ByteStream::read_from().path(&self.source).buffer_size(PIECE).build().await;
        opened.map_err(|error| ProviderError::refused(format!("the file `{}` cannot be read: {error}", self.source)))
    }

    async fn put(
        &self,
        cx: &Context<'_>,
        s3: &Client,
        body: ByteStream,
        existing: Existing,
    ) -> Result<String, AwsError> {
        cx.status(format!("uploading {} kB", self.bytes.div_ceil(1000)));
        // The SDK includes the time of sending in the read timeout. 100 kB/s is a slow connection.
        let timeout = Duration::from_secs(60 + self.bytes / 100_000);
        let timeouts = TimeoutConfig::builder().read_timeout(timeout).build();
        let metadata = cx.tags().into_iter().map(|(key, value)| (key.replace(':', "-"), value));
        let own = [(SHA256.to_owned(), self.sha256.clone()), (GENERATION.to_owned(), cx.generation().to_string())];
        let sum = STANDARD.encode(hex::decode(&self.sha256).unwrap_or_default());
        let response = s3
            .put_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .set_metadata(Some(metadata.chain(own).collect()))
            .checksum_sha256(sum)
            .set_if_none_match((existing == Existing::Keep).then(|| "*".to_owned()))
            .body(body)
            .customize()
            .config_override(Config::new().timeout_config(timeouts))
            .send()
            .await
            .context("PutObject")?;
        Ok(response.e_tag.unwrap_or_default())
    }

    /// Returns the description of the uploaded object.
    fn head(&self, etag: String) -> Head {
        let metadata = HashMap::from([(SHA256.to_owned(), self.sha256.clone())]);
        Head { bucket: self.bucket.clone(), key: self.key.clone(), metadata, etag }
    }

    fn conflict(&self) -> ProviderError {
        let Self { bucket, key, .. } = self;
        ProviderError::of(ErrorKind::AlreadyExists, format!("the bucket `{bucket}` already contains an object `{key}`"))
    }
}

/// Returns the SHA-256 and the length of a file.
fn sum(path: &Path) -> std::io::Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let bytes = std::io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok((hex::encode(hasher.finalize()), bytes))
}

/// Description of an object.
#[derive(Clone, Debug)]
pub struct Head {
    bucket: String,
    key: String,
    metadata: HashMap<String, String>,
    etag: String,
}

impl Head {
    fn has(&self, name: &str, value: &str) -> bool {
        self.metadata.get(name).is_some_and(|existing| existing == value)
    }

    /// Returns whether another generation of the same declaration has adopted the object.
    fn is_of_another_generation(&self, cx: &Context<'_>) -> bool {
        let generation = self.metadata.get(GENERATION);
        self.has(URN, cx.urn().as_str()) && generation.is_some_and(|number| *number != cx.generation().to_string())
    }
}

async fn head(s3: &Client, bucket: &str, key: &str) -> Result<Option<Head>> {
    let response = found(s3.head_object().bucket(bucket).key(key).send().await.context("HeadObject"))?;
    Ok(response.map(|response| Head {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        metadata: response.metadata.unwrap_or_default(),
        etag: response.e_tag.unwrap_or_default(),
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn object(source: &str, sha256: &str) -> BucketObject {
        BucketObject { bucket: "files".into(), key: "a".into(), source: source.into(), sha256: sha256.into() }
    }

    #[test]
    fn check_refuses_sums_of_another_length() {
        assert!(object("x", &"0".repeat(64)).check().is_empty());
        for bad in ["", "12", "zz"] {
            assert_eq!(object("x", bad).check()[0].property, "sha256");
        }
    }

    #[tokio::test]
    async fn changed_file_is_not_uploaded() {
        let path = std::env::temp_dir().join(format!("infra-aws-object-{}", std::process::id()));
        std::fs::write(&path, "hello").unwrap();
        let source = path.to_str().unwrap();
        let (found, bytes) = sum(&path).unwrap();
        assert_eq!(bytes, 5);
        assert!(Upload::prepare(&object(source, &found)).await.is_ok());
        let error = Upload::prepare(&object(source, &"0".repeat(64))).await.err().unwrap();
        assert!(error.message.contains("has changed since it was planned"), "{error}");
        std::fs::remove_file(&path).unwrap();
        let error = Upload::prepare(&object(source, &found)).await.err().unwrap();
        assert!(error.message.contains("cannot be read"), "{error}");
    }

    #[test]
    fn object_without_sha256_is_drift() {
        let recorded = object("x", "12");
        let head = |metadata| Head { bucket: "files".into(), key: "a".into(), metadata, etag: "e".into() };
        let read = |metadata| BucketObject::normalize(&head(metadata), Some(&recorded)).inputs;
        let json = |inputs| serde_json::to_value(inputs).unwrap();
        assert_eq!(json(read([(SHA256.to_owned(), "12".to_owned())].into())), json(Some(recorded.clone())));
        assert_ne!(json(read(HashMap::new())), json(Some(recorded.clone())));
    }
}
