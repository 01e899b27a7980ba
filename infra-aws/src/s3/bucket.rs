//! `aws:s3:Bucket`: a bucket.

use crate::{error::AwsError, prelude::*};
use aws_sdk_s3::{
    Client,
    types::{
        BucketLocationConstraint, CreateBucketConfiguration, Delete, ObjectIdentifier, PublicAccessBlockConfiguration,
        Tag, Tagging,
    },
};
use infra_core::provider::{Found, Handler, Recovery};

/// An S3 bucket without public access.
///
/// All four settings that block public access are on.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let bucket = virginia.add("files", Bucket { force_delete: true, ..Bucket::default() });
/// stack.export("bucket", bucket.name);
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `GetBucketTagging`, which finds an existing bucket with this name; `CreateBucket`, `PutPublicAccessBlock`;
///   `GetBucketTagging` and `PutBucketTagging` where `CreateBucket` accepts no tags
/// - Read: `HeadBucket`, `GetBucketTagging`
/// - Update: `PutPublicAccessBlock`, `GetBucketTagging`, `PutBucketTagging`
/// - Delete: `DeleteBucket`; before it `ListObjectVersions` and `DeleteObjects` if `force_delete` is true
///
/// # Replacement
/// A change of `name` replaces the bucket. The new bucket is created before the previous one is deleted, and **does not
/// have its objects**. Unless `force_delete` is true, the deletion of a bucket with objects is refused.
///
/// # Import
/// The import takes the name of the bucket:
///
/// ```console
/// $ stack import aws:s3:Bucket files example-files --region us-east-1
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, Resource)]
#[resource(type = "aws:s3:Bucket")]
pub struct Bucket {
    /// Name, unique in all of AWS: 3 to 63 lower-case letters, digits, `-` and `.`, beginning and ending with a letter
    /// or digit. When omitted, the declaration's name with a unique suffix. A change replaces the bucket.
    #[resource(replace)]
    pub name: Option<String>,
    /// Indicates whether all objects and their versions are deleted with the bucket; false by default. The plan of such
    /// a deletion warns of the loss.
    #[serde(default)]
    pub force_delete: bool,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`Bucket`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct BucketOutputs {
    /// Name of the bucket.
    pub name: Output<String>,
    /// Amazon Resource Name of the bucket.
    pub arn: Output<String>,
    /// Region of the bucket, such as `us-east-1`.
    pub region: Output<String>,
}

impl Bucket {
    fn bucket_name(&self, cx: &Context<'_>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(63).to_ascii_lowercase())
    }

    /// Returns whether this operation may have created the bucket with these tags. Where `CreateBucket` accepts no
    /// tags, that is a bucket without tags whose name is derived, and thus unique, or was unused directly before the
    /// request.
    fn may_be(&self, cx: &Context<'_>, tags: &[Tag]) -> bool {
        tags::are_of_operation(cx, tags)
            || (tags.is_empty() && (self.name.is_none() || cx.earlier().contains(&Checked::Unused)))
    }

    async fn request(&self, cx: &Context<'_>, s3: &Client, region: &str) -> Result<()> {
        if self.name.is_some() {
            cx.progress(&Checked::Unused).await?;
        }
        let name = self.bucket_name(cx);
        match create(cx, s3, region, &name, &self.tags).await {
            // The SDK repeats a request whose response was lost. The name was unused directly before.
            Err(error) if error.has_code(&["BucketAlreadyOwnedByYou"]) => match tags_of(s3, &name).await? {
                Some(tags) if tags.is_empty() || self.may_be(cx, &tags) => Ok(()),
                _ => Err(error.into()),
            },
            Err(error) if error.kind == ErrorKind::AlreadyExists => {
                Err(error.hint("names of buckets are unique in all of AWS: choose another name, or none").into())
            }
            response => Ok(response?),
        }
    }
}

/// Progress that is recorded before a bucket with a given name is created.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Checked {
    /// The account had no bucket with the name.
    #[serde(rename = "free")]
    Unused,
}

impl AwsResource for Bucket {}

impl Handler for Bucket {
    type Client = Aws;

    fn loses(&self, _: Option<&Self>) -> Option<String> {
        self.force_delete.then(|| "all objects in it".to_owned())
    }

    fn check(&self) -> Vec<Problem> {
        let problem = self.name.as_deref().filter(|name| !is_bucket_name(name)).map(|name| {
            Problem::new("name", format!("S3 does not accept the name `{name}`")).hint(
                "write 3 to 63 lower-case letters, digits, `-` and `.`, beginning and ending with a letter or digit",
            )
        });
        problem.into_iter().collect()
    }

    async fn create(cx: &Context<'_>, inputs: &Self) -> Result<Created<Self>> {
        let region = cx.region()?;
        let s3 = cx.client().s3(region).await;
        let name = inputs.bucket_name(cx);
        // In us-east-1, CreateBucket succeeds for an existing bucket of the account.
        match tags_of(&s3, &name).await? {
            Some(tags) if inputs.may_be(cx, &tags) => {}
            Some(_) => return Err(conflict(&name)),
            None => inputs.request(cx, &s3, region).await?,
        }
        let created = created(&name, region);
        match block_public_access(cx, &s3, &name, &inputs.tags).await {
            Ok(()) => Ok(created),
            Err(error) => Err(created.failed(error)),
        }
    }

    async fn read(cx: &Context<'_>, prior: &Prior<Self>) -> Result<Option<Created<Self>>> {
        let region = cx.region()?;
        let s3 = cx.client().s3(region).await;
        let response = found(s3.head_bucket().bucket(&prior.id).send().await.context("HeadBucket"))?;
        let Some(_) = response else { return Ok(None) };
        let tags = tags_of(&s3, &prior.id).await?.unwrap_or_default();
        let inputs = Self { tags: tags::declared(&tags, Some(&prior.inputs.tags)), ..prior.inputs.clone() };
        Ok(Some(Created { inputs: Some(inputs), ..created(&prior.id, region) }))
    }

    async fn update(cx: &Context<'_>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs> {
        let s3 = cx.client().s3(cx.region()?).await;
        block_public_access(cx, &s3, &prior.id, &inputs.tags).await?;
        retag(&s3, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_>, prior: &Prior<Self>) -> Result<()> {
        let s3 = cx.client().s3(cx.region()?).await;
        if prior.inputs.force_delete {
            delete_objects(cx, &s3, &prior.id).await?;
        }
        match s3.delete_bucket().bucket(&prior.id).send().await.context("DeleteBucket") {
            Err(error) if error.has_code(&["BucketNotEmpty"]) => Err(error
                .hint("delete its objects; or set `force_delete: true`, run `up`, and try again, which deletes the objects as well")
                .into()),
            response => Ok(response.map(drop)?),
        }
    }

    async fn import(cx: &Context<'_>, id: &str) -> Result<Option<Created<Self>>> {
        let region = cx.region()?;
        let s3 = cx.client().s3(region).await;
        let response = found(s3.head_bucket().bucket(id).send().await.context("HeadBucket"))?;
        let Some(_) = response else { return Ok(None) };
        let tags = tags_of(&s3, id).await?.unwrap_or_default();
        let inputs = Self { name: Some(id.to_owned()), force_delete: false, tags: tags::declared(&tags, None) };
        Ok(Some(Created { inputs: Some(inputs), ..created(id, region) }))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::phased(|cx: &Context<'_>, inputs| {
            Box::pin(async move {
                let region = cx.region()?;
                let s3 = cx.client().s3(region).await;
                let name = inputs.bucket_name(cx);
                let tags = tags_of(&s3, &name).await?;
                let existing = tags.filter(|tags| inputs.may_be(cx, tags));
                Ok(Found::from(existing.map(|_| created(&name, region))))
            })
        })
    }
}

async fn create(
    cx: &Context<'_>,
    s3: &Client,
    region: &str,
    name: &str,
    user_defined: &BTreeMap<String, String>,
) -> Result<(), AwsError> {
    let tags = tags::for_create(cx, user_defined);
    let mut place = CreateBucketConfiguration::builder().set_tags(Some(tags));
    if region != "us-east-1" {
        place = place.location_constraint(BucketLocationConstraint::from(region));
    }
    let place = place.build();
    // A bucket with this name may have been deleted just before.
    let status = "waiting until the name can be used again";
    wait::retry_while_inconsistent(cx, status, &["OperationAborted"], async || {
        let call = s3.create_bucket().bucket(name).create_bucket_configuration(place.clone());
        call.send().await.context("CreateBucket")
    })
    .await?;
    Ok(())
}

/// Blocks public access, and adds the tags where `CreateBucket` did not.
async fn block_public_access(
    cx: &Context<'_>,
    s3: &Client,
    name: &str,
    user_defined: &BTreeMap<String, String>,
) -> Result<()> {
    let blocked = PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .ignore_public_acls(true)
        .block_public_policy(true)
        .restrict_public_buckets(true)
        .build();
    let codes = ["NoSuchBucket", "OperationAborted"];
    wait::retry_while_inconsistent(cx, "waiting until the bucket is visible everywhere", &codes, async || {
        let call = s3.put_public_access_block().bucket(name).public_access_block_configuration(blocked.clone());
        call.send().await.context("PutPublicAccessBlock")
    })
    .await?;
    if tags_of(s3, name).await?.is_none_or(|tags| tags.is_empty()) {
        put_tags(s3, name, tags::for_create(cx, user_defined)).await?;
    }
    Ok(())
}

/// Changes the user-defined tags. `PutBucketTagging` replaces all tags of a bucket.
async fn retag(s3: &Client, name: &str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Result<()> {
    let (set, removed) = tags::retag::<Tag>(Some(old), new);
    if set.is_none() && removed.is_none() {
        return Ok(());
    }
    let (set, removed) = (set.unwrap_or_default(), removed.unwrap_or_default());
    let mut tags = tags_of(s3, name).await?.unwrap_or_default();
    tags.retain(|tag| !removed.iter().any(|key| key == tag.key()) && !set.iter().any(|new| new.key() == tag.key()));
    tags.extend(set);
    put_tags(s3, name, tags).await
}

async fn put_tags(s3: &Client, name: &str, tags: Vec<Tag>) -> Result<()> {
    let tagging = Tagging::builder().set_tag_set(Some(tags)).build();
    let tagging = tagging.map_err(|error| ProviderError::refused(error.to_string()))?;
    s3.put_bucket_tagging().bucket(name).tagging(tagging).send().await.context("PutBucketTagging")?;
    Ok(())
}

/// Returns the tags of a bucket of this account; `None` when the account has no such bucket.
async fn tags_of(s3: &Client, name: &str) -> Result<Option<Vec<Tag>>, AwsError> {
    match s3.get_bucket_tagging().bucket(name).send().await.context("GetBucketTagging") {
        Ok(response) => Ok(Some(response.tag_set)),
        Err(error) if error.has_code(&["NoSuchTagSet"]) => Ok(Some(Vec::new())),
        // The bucket of another account, for which CreateBucket returns a clearer error.
        Err(error) if error.has_code(&["AccessDenied"]) && s3.head_bucket().bucket(name).send().await.is_err() => {
            Ok(None)
        }
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Deletes all versions of all objects.
async fn delete_objects(cx: &Context<'_>, s3: &Client, name: &str) -> Result<()> {
    let mut deleted = 0;
    loop {
        let objects = some_objects(s3, name).await?;
        if objects.is_empty() {
            return Ok(());
        }
        deleted += objects.len();
        let batch = Delete::builder().set_objects(Some(objects)).quiet(true).build();
        let batch = batch.map_err(|error| ProviderError::refused(error.to_string()))?;
        let response = s3.delete_objects().bucket(name).delete(batch).send().await.context("DeleteObjects")?;
        if let Some(error) = response.errors().first() {
            return Err(ProviderError::refused(format!(
                "DeleteObjects: {}: {} (object {})",
                error.code().unwrap_or_default(),
                error.message().unwrap_or_default(),
                error.key().unwrap_or_default()
            )));
        }
        cx.status(format!("emptying the bucket: {deleted} objects deleted"));
    }
}

/// Returns up to a thousand versions of objects.
async fn some_objects(s3: &Client, name: &str) -> Result<Vec<ObjectIdentifier>> {
    let identify = |(key, version): (Option<&str>, Option<&str>)| {
        let object = ObjectIdentifier::builder().key(key.unwrap_or_default());
        object.set_version_id(version.map(str::to_owned)).build()
    };
    let page = s3.list_object_versions().bucket(name).send().await.context("ListObjectVersions")?;
    let versions = page.versions().iter().map(|version| (version.key(), version.version_id()));
    let markers = page.delete_markers().iter().map(|marker| (marker.key(), marker.version_id()));
    let identified: Result<Vec<_>, _> = versions.chain(markers).map(identify).collect();
    identified.map_err(|error| ProviderError::refused(error.to_string()))
}

fn conflict(name: &str) -> ProviderError {
    ProviderError::of(ErrorKind::AlreadyExists, format!("the account already has a bucket `{name}`"))
        .hint("choose another name, or import the existing bucket with `stack import`")
}

fn created(name: &str, region: &str) -> Created<Bucket> {
    let partition = match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    let outputs =
        BucketOutputs { name: name.into(), arn: format!("arn:{partition}:s3:::{name}").into(), region: region.into() };
    Created::new(name, outputs)
}

fn is_bucket_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.chars().all(|c| inner(c) || matches!(c, '-' | '.'))
        && name.starts_with(inner)
        && name.ends_with(inner)
        && !name.contains("..")
        && !name.starts_with("xn--")
        && !name.ends_with("-s3alias")
        && name.parse::<std::net::Ipv4Addr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_refuses_the_names_that_s3_refuses() {
        for good in ["abc", "my-files.2024", "0a0"] {
            assert!(is_bucket_name(good), "{good}");
        }
        for bad in ["ab", "My-files", "-abc", "abc-", "a..b", "192.168.0.1", "a_b", "xn--abc"] {
            let bucket = Bucket { name: Some(bad.to_owned()), ..Bucket::default() };
            assert_eq!(bucket.check().len(), 1, "{bad}");
        }
        assert!(Bucket::default().check().is_empty());
    }

    #[test]
    fn arn_contains_the_partition_of_the_region() {
        assert_eq!(created("b", "us-east-1").outputs.arn.known().ok().as_deref(), Some("arn:aws:s3:::b"));
        assert_eq!(created("b", "cn-north-1").outputs.arn.known().ok().as_deref(), Some("arn:aws-cn:s3:::b"));
    }
}
