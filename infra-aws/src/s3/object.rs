//! `aws:s3:BucketObject`: a file in a bucket.

use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    region::AwsResource,
};
use aws_sdk_s3::{Client, config::Builder as Config, primitives::ByteStream};
use aws_smithy_types::timeout::TimeoutConfig;
use base64::{Engine, engine::general_purpose::STANDARD};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::HashMap, fs::File, path::Path, time::Duration};

/// A file in a bucket.
///
/// Made by `PutObject`, which never replaces what somebody else has put there. The content is known by its SHA-256:
/// the file is compared with it before it is sent, and S3 compares what arrives. Program, stack, URN and operation
/// stand in the object's metadata. Up to 5 GB.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BucketObject {
    /// The bucket's name.
    pub bucket: Input<String>,
    /// Its key in the bucket.
    pub key: Input<String>,
    /// Where the file lies. That the same content lies elsewhere is no change.
    pub source: Input<String>,
    /// The SHA-256 of the file, 64 hexadecimal digits.
    pub sha256: Input<String>,
}

/// What a [`BucketObject`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BucketObjectOutputs {
    /// The bucket's name.
    pub bucket: Output<String>,
    /// Its key in the bucket.
    pub key: Output<String>,
    /// The SHA-256 of its content, in hexadecimal digits.
    pub sha256: Output<String>,
    /// Its entity tag.
    pub etag: Output<String>,
}

impl Resource for BucketObject {
    const TYPE: &'static str = "aws:s3:BucketObject";
    type Outputs = BucketObjectOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["bucket", "key"]).untracked(["source"]).changes_on_update(["sha256", "etag"])
    }
}

impl AwsResource for BucketObject {}

impl Handler for BucketObject {
    type Client = Aws;

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

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let s3 = cx.client().s3(cx.region()?).await;
        let upload = Upload::prepare(inputs).await?;
        let etag = match upload.put(cx, &s3, upload.open().await?, Existing::Keep).await {
            Ok(etag) => etag,
            // The SDK repeats a request whose answer was lost.
            Err(error) if error.is(&["PreconditionFailed", "ConditionalRequestConflict"]) => {
                let object = head(&s3, &upload.bucket, &upload.key).await?;
                match object {
                    Some(object) if object.says(OPERATION, cx.operation().as_str()) => object.etag,
                    // A content that was replaced and comes back before the old object has been deleted: it belongs to
                    // this generation from now on.
                    Some(object) if object.says(URN, cx.urn().as_str()) && object.says(SHA256, &upload.sha256) => {
                        upload.put(cx, &s3, upload.open().await?, Existing::Replace).await?
                    }
                    _ => return Err(upload.taken()),
                }
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Created::new(upload.id(), upload.outputs(&etag)))
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let s3 = cx.client().s3(cx.region()?).await;
        let (bucket, key) = (prior.inputs.bucket.known()?, prior.inputs.key.known()?);
        let object = head(&s3, &bucket, &key).await?.filter(|object| !object.is_of_another_generation(cx));
        Ok(object.map(|object| created(&bucket, &key, &object, &prior.inputs)))
    }

    async fn update(cx: &Context<'_, Aws>, _: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let s3 = cx.client().s3(cx.region()?).await;
        let upload = Upload::prepare(inputs).await?;
        let etag = upload.put(cx, &s3, upload.open().await?, Existing::Replace).await?;
        Ok(upload.outputs(&etag))
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let s3 = cx.client().s3(cx.region()?).await;
        let (bucket, key) = (prior.inputs.bucket.known()?, prior.inputs.key.known()?);
        if head(&s3, &bucket, &key).await?.is_some_and(|object| object.is_of_another_generation(cx)) {
            return Ok(());
        }
        s3.delete_object().bucket(bucket).key(key).send().await.context("DeleteObject")?;
        Ok(())
    }

    /// By `BUCKET/KEY`; only objects of this kind say what their content is.
    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let s3 = cx.client().s3(cx.region()?).await;
        let Some((bucket, key)) = id.split_once('/') else {
            return Err(ProviderError::refused(format!("`{id}` names no object: write BUCKET/KEY")));
        };
        let recorded =
            Self { bucket: bucket.into(), key: key.into(), source: String::new().into(), sha256: String::new().into() };
        Ok(head(&s3, bucket, key).await?.map(|object| created(bucket, key, &object, &recorded)))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::key(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let s3 = cx.client().s3(cx.region()?).await;
                let (bucket, key) = (inputs.bucket.known()?, inputs.key.known()?);
                let object = head(&s3, &bucket, &key).await?;
                let ours = object.filter(|object| object.metadata.get(OPERATION) == Some(&cx.operation().to_string()));
                Ok(Found::from(ours.map(|object| created(&bucket, &key, &object, inputs))))
            })
        })
    }
}

const OPERATION: &str = "infra-operation";
const URN: &str = "infra-urn";
const GENERATION: &str = "infra-generation";
const SHA256: &str = "infra-sha256";

/// What to do with an object that is already there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Keep,
    Replace,
}

/// A file that has the content it should.
struct Upload {
    bucket: String,
    key: String,
    source: String,
    sha256: String,
    bytes: u64,
}

impl Upload {
    async fn prepare(inputs: &BucketObject) -> Result<Self, ProviderError> {
        let (source, sha256) = (inputs.source.known()?, inputs.sha256.known()?.to_ascii_lowercase());
        let unreadable = |error: &dyn std::fmt::Display| {
            ProviderError::refused(format!("the file {source} cannot be read: {error}"))
                .hint("it should lie where the program said; if it was deleted, build it again and repeat the command")
        };
        let path = source.clone();
        let summed = tokio::task::spawn_blocking(move || sum(Path::new(&path))).await;
        let (found, bytes) = summed.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error))?;
        if found != sha256 {
            return Err(ProviderError::refused(format!(
                "the file {source} has changed since it was planned: its SHA-256 is {found}, not {sha256}"
            ))
            .hint("run the command again, so that it plans with the file as it is now"));
        }
        Ok(Self { bucket: inputs.bucket.known()?, key: inputs.key.known()?, source, sha256, bytes })
    }

    async fn open(&self) -> Result<ByteStream, ProviderError> {
        let opened = ByteStream::from_path(&self.source).await;
        opened.map_err(|error| ProviderError::refused(format!("the file {} cannot be read: {error}", self.source)))
    }

    async fn put(
        &self,
        cx: &Context<'_, Aws>,
        s3: &Client,
        body: ByteStream,
        existing: Existing,
    ) -> Result<String, AwsError> {
        cx.status(format!("uploading {} kB", self.bytes.div_ceil(1000)));
        // The SDK counts the time of sending as time of waiting for an answer. 100 kB/s is a slow line.
        let patience = Duration::from_secs(60 + self.bytes / 100_000);
        let timeouts = TimeoutConfig::builder().read_timeout(patience).build();
        let metadata = cx.tags().into_iter().map(|(key, value)| (key.replace(':', "-"), value));
        let own = [(SHA256.to_owned(), self.sha256.clone()), (GENERATION.to_owned(), cx.generation().to_string())];
        let sum = STANDARD.encode(hex::decode(&self.sha256).unwrap_or_default());
        let answer = s3
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
        Ok(answer.e_tag.unwrap_or_default())
    }

    fn id(&self) -> String {
        format!("{}/{}", self.bucket, self.key)
    }

    fn outputs(&self, etag: &str) -> BucketObjectOutputs {
        BucketObjectOutputs {
            bucket: self.bucket.as_str().into(),
            key: self.key.as_str().into(),
            sha256: self.sha256.as_str().into(),
            etag: etag.into(),
        }
    }

    fn taken(&self) -> ProviderError {
        let Self { bucket, key, .. } = self;
        ProviderError::of(ErrorKind::AlreadyExists, format!("the bucket {bucket} already holds an object `{key}`"))
            .hint("use another key; or, if it is left over from an earlier deployment, delete it and try again")
    }
}

/// The SHA-256 of a file, and its length.
fn sum(path: &Path) -> std::io::Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let bytes = std::io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok((hex::encode(hasher.finalize()), bytes))
}

struct Head {
    metadata: HashMap<String, String>,
    etag: String,
}

impl Head {
    fn says(&self, name: &str, value: &str) -> bool {
        self.metadata.get(name).is_some_and(|said| said == value)
    }

    /// Whether another generation of the same declaration has taken it over.
    fn is_of_another_generation(&self, cx: &Context<'_, Aws>) -> bool {
        let generation = self.metadata.get(GENERATION);
        self.says(URN, cx.urn().as_str()) && generation.is_some_and(|number| *number != cx.generation().to_string())
    }
}

async fn head(s3: &Client, bucket: &str, key: &str) -> Result<Option<Head>, AwsError> {
    let answer = found(s3.head_object().bucket(bucket).key(key).send().await.context("HeadObject"))?;
    Ok(answer
        .map(|answer| Head { metadata: answer.metadata.unwrap_or_default(), etag: answer.e_tag.unwrap_or_default() }))
}

/// The object as it lives. One that somebody else has overwritten does not say what its content is.
fn created(bucket: &str, key: &str, object: &Head, recorded: &BucketObject) -> Created<BucketObject> {
    let sha256 = object.metadata.get(SHA256).map_or("unknown", String::as_str);
    Created {
        id: format!("{bucket}/{key}"),
        inputs: Some(BucketObject {
            bucket: bucket.into(),
            key: key.into(),
            source: recorded.source.clone(),
            sha256: sha256.into(),
        }),
        outputs: BucketObjectOutputs {
            bucket: bucket.into(),
            key: key.into(),
            sha256: sha256.into(),
            etag: object.etag.as_str().into(),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn object(source: &str, sha256: &str) -> BucketObject {
        BucketObject { bucket: "files".into(), key: "a".into(), source: source.into(), sha256: sha256.into() }
    }

    #[test]
    fn sums_have_the_right_length() {
        assert!(object("x", &"0".repeat(64)).check().is_empty());
        for bad in ["", "12", "zz"] {
            assert_eq!(object("x", bad).check()[0].property, "sha256");
        }
    }

    #[tokio::test]
    async fn a_file_that_changed_is_not_uploaded() {
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
}
