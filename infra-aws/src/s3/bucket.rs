//! `aws:s3:Bucket`: a place for objects.

use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    region::AwsResource,
    tags, wait,
};
use aws_sdk_s3::{
    Client,
    types::{
        BucketLocationConstraint, CreateBucketConfiguration, Delete, ObjectIdentifier, PublicAccessBlockConfiguration,
        Tag, Tagging,
    },
};
use infra_core::{
    Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A bucket that nobody outside the account can read.
///
/// Made by `CreateBucket`, closed to the public by `PutPublicAccessBlock`, tagged by `PutBucketTagging`. `DeleteBucket`
/// takes empty buckets only.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Bucket {
    /// Its name, unique in all of AWS; derived from the declaration's when none is given.
    pub name: Option<String>,
    /// Whether deleting the bucket deletes the objects in it.
    #[serde(default)]
    pub force_delete: bool,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What a [`Bucket`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BucketOutputs {
    /// Its name.
    pub name: Output<String>,
    /// Its Amazon Resource Name.
    pub arn: Output<String>,
    /// The region it lies in.
    pub region: Output<String>,
}

impl Bucket {
    fn bucket_name(&self, cx: &Context<'_, Aws>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(63).to_ascii_lowercase())
    }

    /// Whether this very operation made the bucket that bears these tags. Where `CreateBucket` takes no tags, one
    /// without may be one that they were still to be put on: when its name is derived, nobody else can have made it;
    /// when the name is given, it is ours if it was seen to be free just before.
    fn may_be(&self, cx: &Context<'_, Aws>, tags: &[Tag]) -> bool {
        tags::are_ours(cx, tags.iter().map(|tag| (Some(tag.key()), Some(tag.value()))))
            || (tags.is_empty() && (self.name.is_none() || cx.earlier().contains(&Seen::Free)))
    }

    async fn make(&self, cx: &Context<'_, Aws>, s3: &Client, region: &str) -> Result<(), ProviderError> {
        if self.name.is_some() {
            cx.progress(&Seen::Free).await?;
        }
        let name = self.bucket_name(cx);
        match create(cx, s3, region, &name, &self.tags).await {
            // The SDK repeats a request whose answer was lost; just before, there was no such bucket.
            Err(error) if error.is(&["BucketAlreadyOwnedByYou"]) => match tags_of(s3, &name).await? {
                Some(tags) if tags.is_empty() || self.may_be(cx, &tags) => Ok(()),
                _ => Err(error.into()),
            },
            Err(error) if error.kind == ErrorKind::AlreadyExists => {
                Err(error.hint("all of AWS shares the names of buckets: choose another one, or none").into())
            }
            made => Ok(made?),
        }
    }
}

/// What is written down before a bucket with a given name is made.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Seen {
    /// The account had no bucket of this name.
    Free,
}

impl Resource for Bucket {
    const TYPE: &'static str = "aws:s3:Bucket";
    type Outputs = BucketOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["name"])
    }
}

impl AwsResource for Bucket {}

impl Handler for Bucket {
    type Client = Aws;

    fn loses(&self, _: Option<&Self>) -> Option<String> {
        self.force_delete.then(|| "every object in it".to_owned())
    }

    fn check(&self) -> Vec<Problem> {
        let problem = self.name.as_deref().filter(|name| !is_bucket_name(name)).map(|name| {
            Problem::new("name", format!("`{name}` cannot name a bucket")).hint(
                "write 3 to 63 lower-case letters, digits, `-` and `.`, beginning and ending with a letter or digit",
            )
        });
        problem.into_iter().collect()
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let region = cx.region()?;
        let s3 = cx.client().s3(region).await;
        let name = inputs.bucket_name(cx);
        // In us-east-1 CreateBucket succeeds for a bucket that the account already has, so that is asked for first.
        match tags_of(&s3, &name).await? {
            Some(tags) if inputs.may_be(cx, &tags) => {}
            Some(_) => return Err(taken(&name)),
            None => inputs.make(cx, &s3, region).await?,
        }
        let created = created(&name, region);
        match secure(cx, &s3, &name, &inputs.tags).await {
            Ok(()) => Ok(created),
            Err(error) => Err(created.failed(error)),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let region = cx.region()?;
        let s3 = cx.client().s3(region).await;
        let answer = found(s3.head_bucket().bucket(&prior.id).send().await.context("HeadBucket"))?;
        let Some(_) = answer else { return Ok(None) };
        let recorded = &prior.inputs.tags;
        let living = if recorded.is_empty() { Vec::new() } else { tags_of(&s3, &prior.id).await?.unwrap_or_default() };
        let inputs = Self { tags: tags::own(pairs(&living), recorded), ..prior.inputs.clone() };
        Ok(Some(Created { inputs: Some(inputs), ..created(&prior.id, region) }))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let s3 = cx.client().s3(cx.region()?).await;
        secure(cx, &s3, &prior.id, &inputs.tags).await?;
        retag(&s3, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let s3 = cx.client().s3(cx.region()?).await;
        if prior.inputs.force_delete {
            empty(cx, &s3, &prior.id).await?;
        }
        match s3.delete_bucket().bucket(&prior.id).send().await.context("DeleteBucket") {
            Err(error) if error.is(&["BucketNotEmpty"]) => Err(error
                .hint("delete its objects, or set `force_delete: true`, run `up`, and try again: the objects then go with it")
                .into()),
            answer => Ok(answer.map(drop)?),
        }
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let region = cx.region()?;
        let s3 = cx.client().s3(region).await;
        let answer = found(s3.head_bucket().bucket(id).send().await.context("HeadBucket"))?;
        let Some(_) = answer else { return Ok(None) };
        let living = tags_of(&s3, id).await?.unwrap_or_default();
        let inputs = Self { name: Some(id.to_owned()), force_delete: false, tags: tags::foreign(pairs(&living)) };
        Ok(Some(Created { inputs: Some(inputs), ..created(id, region) }))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::phased(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let region = cx.region()?;
                let s3 = cx.client().s3(region).await;
                let name = inputs.bucket_name(cx);
                let tags = tags_of(&s3, &name).await?;
                let ours = tags.filter(|tags| inputs.may_be(cx, tags));
                Ok(Found::from(ours.map(|_| created(&name, region))))
            })
        })
    }
}

async fn create(
    cx: &Context<'_, Aws>,
    s3: &Client,
    region: &str,
    name: &str,
    own: &BTreeMap<String, String>,
) -> Result<(), AwsError> {
    let tags = tags::s3(cx, own).unwrap_or_default();
    let mut place = CreateBucketConfiguration::builder().set_tags(Some(tags));
    if region != "us-east-1" {
        place = place.location_constraint(BucketLocationConstraint::from(region));
    }
    let place = place.build();
    // A bucket of this name that was deleted a moment ago.
    let status = "waiting until the name is free again";
    wait::while_inconsistent(cx, status, &["OperationAborted"], async || {
        let call = s3.create_bucket().bucket(name).create_bucket_configuration(place.clone());
        call.send().await.context("CreateBucket")
    })
    .await?;
    Ok(())
}

/// Closes the bucket to the public, and tags it where `CreateBucket` did not.
async fn secure(
    cx: &Context<'_, Aws>,
    s3: &Client,
    name: &str,
    own: &BTreeMap<String, String>,
) -> Result<(), ProviderError> {
    let closed = PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .ignore_public_acls(true)
        .block_public_policy(true)
        .restrict_public_buckets(true)
        .build();
    let codes = ["NoSuchBucket", "OperationAborted"];
    wait::while_inconsistent(cx, "waiting until the bucket is seen everywhere", &codes, async || {
        let call = s3.put_public_access_block().bucket(name).public_access_block_configuration(closed.clone());
        call.send().await.context("PutPublicAccessBlock")
    })
    .await?;
    if tags_of(s3, name).await?.is_none_or(|tags| tags.is_empty()) {
        put_tags(s3, name, tags::s3(cx, own)?).await?;
    }
    Ok(())
}

/// All tags of a bucket are put at once: those of others are put again.
async fn retag(
    s3: &Client,
    name: &str,
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Result<(), ProviderError> {
    let (set, removed) = tags::changes(old, new);
    if set.is_empty() && removed.is_empty() {
        return Ok(());
    }
    let mut tags = tags_of(s3, name).await?.unwrap_or_default();
    tags.retain(|tag| !removed.iter().any(|key| key == tag.key()) && !set.keys().any(|key| *key == tag.key()));
    let set = set.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
    let set: Vec<Tag> = set.collect::<Result<_, _>>().map_err(|error| ProviderError::refused(error.to_string()))?;
    tags.extend(set);
    put_tags(s3, name, tags).await
}

async fn put_tags(s3: &Client, name: &str, tags: Vec<Tag>) -> Result<(), ProviderError> {
    let tagging = Tagging::builder().set_tag_set(Some(tags)).build();
    let tagging = tagging.map_err(|error| ProviderError::refused(error.to_string()))?;
    s3.put_bucket_tagging().bucket(name).tagging(tagging).send().await.context("PutBucketTagging")?;
    Ok(())
}

fn pairs(tags: &[Tag]) -> impl Iterator<Item = (&str, &str)> {
    tags.iter().map(|tag| (tag.key(), tag.value()))
}

/// The tags of a bucket of this account; `None` when the account has no such bucket.
async fn tags_of(s3: &Client, name: &str) -> Result<Option<Vec<Tag>>, AwsError> {
    match s3.get_bucket_tagging().bucket(name).send().await.context("GetBucketTagging") {
        Ok(answer) => Ok(Some(answer.tag_set)),
        Err(error) if error.is(&["NoSuchTagSet"]) => Ok(Some(Vec::new())),
        // Somebody else's: CreateBucket says it better.
        Err(error) if error.is(&["AccessDenied"]) && s3.head_bucket().bucket(name).send().await.is_err() => Ok(None),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Deletes every object in every version.
async fn empty(cx: &Context<'_, Aws>, s3: &Client, name: &str) -> Result<(), ProviderError> {
    let mut deleted = 0;
    loop {
        let objects = some_objects(s3, name).await?;
        if objects.is_empty() {
            return Ok(());
        }
        deleted += objects.len();
        let batch = Delete::builder().set_objects(Some(objects)).quiet(true).build();
        let batch = batch.map_err(|error| ProviderError::refused(error.to_string()))?;
        let answer = s3.delete_objects().bucket(name).delete(batch).send().await.context("DeleteObjects")?;
        if let Some(error) = answer.errors().first() {
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

/// Up to a thousand of the objects, each in every version.
async fn some_objects(s3: &Client, name: &str) -> Result<Vec<ObjectIdentifier>, ProviderError> {
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

fn taken(name: &str) -> ProviderError {
    ProviderError::of(ErrorKind::AlreadyExists, format!("this account already has a bucket `{name}`"))
        .hint("choose another name, or bring the bucket under management with `stack import`")
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
    fn names_that_s3_refuses_are_refused_early() {
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
    fn arns_know_their_partition() {
        assert_eq!(created("b", "us-east-1").outputs.arn.known().ok().as_deref(), Some("arn:aws:s3:::b"));
        assert_eq!(created("b", "cn-north-1").outputs.arn.known().ok().as_deref(), Some("arn:aws-cn:s3:::b"));
    }
}
