//! Tags: those that the engine gives every resource, and the user-defined ones.

use crate::{
    client::Aws,
    error::{AwsError, SdkContext},
};
use infra_core::provider::{Context, ProviderError};
use std::collections::BTreeMap;

/// The tag type of a service.
pub(crate) trait SdkTag: Sized {
    /// Returns a tag. The SDK's builders report a missing key or value, and both are given.
    fn new(key: String, value: String) -> Option<Self>;
    /// The key and the value.
    fn pair(&self) -> (&str, &str);
}

macro_rules! sdk_tags {
    (optional: $($optional_feature:literal $optional:ident)+; required: $($required_feature:literal $required:ident)+) => {
        $(#[cfg(feature = $optional_feature)]
        impl SdkTag for $optional::types::Tag {
            fn new(key: String, value: String) -> Option<Self> {
                Some(Self::builder().key(key).value(value).build())
            }

            fn pair(&self) -> (&str, &str) {
                (self.key().unwrap_or_default(), self.value().unwrap_or_default())
            }
        })+
        $(#[cfg(feature = $required_feature)]
        impl SdkTag for $required::types::Tag {
            fn new(key: String, value: String) -> Option<Self> {
                Self::builder().key(key).value(value).build().ok()
            }

            fn pair(&self) -> (&str, &str) {
                (self.key(), self.value())
            }
        })+
    };
}

sdk_tags! {
    optional: "cloudwatch" aws_sdk_cloudwatch "ec2" aws_sdk_ec2 "elbv2" aws_sdk_elasticloadbalancingv2 "rds" aws_sdk_rds;
    required: "iam" aws_sdk_iam "s3" aws_sdk_s3 "ssm" aws_sdk_ssm
}

impl SdkTag for aws_sdk_acm::types::Tag {
    fn new(key: String, value: String) -> Option<Self> {
        Self::builder().key(key).value(value).build().ok()
    }

    fn pair(&self) -> (&str, &str) {
        (self.key(), self.value().unwrap_or_default())
    }
}

impl SdkTag for (String, String) {
    fn new(key: String, value: String) -> Option<Self> {
        Some((key, value))
    }

    fn pair(&self) -> (&str, &str) {
        (&self.0, &self.1)
    }
}

/// Returns the tags for a create request: program, stack, URN and operation as `infra:…`, the declaration's name as
/// `Name`, and the user-defined ones.
pub(crate) fn for_create<T: SdkTag>(cx: &Context<'_, Aws>, own: &BTreeMap<String, String>) -> Vec<T> {
    let tags = all(cx).into_iter().chain(own.clone());
    tags.filter_map(|(key, value)| T::new(key, value)).collect()
}

/// Whether the tags are those of a resource that this operation created.
pub(crate) fn are_of_operation<T: SdkTag>(cx: &Context<'_, Aws>, tags: &[T]) -> bool {
    tags.iter().any(|tag| tag.pair() == (Context::<Aws>::OPERATION_TAG, cx.operation().as_str()))
}

/// Returns the tags of an existing resource that a declaration contains: those that are recorded, because others may add
/// theirs; for an import, all except those of AWS and of the engine.
pub(crate) fn declared<T: SdkTag>(
    existing: &[T],
    recorded: Option<&BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    declared_of(existing.iter().map(SdkTag::pair), recorded)
}

/// [`declared`], of keys and values.
pub(crate) fn declared_of<'a>(
    existing: impl Iterator<Item = (&'a str, &'a str)>,
    recorded: Option<&BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    match recorded {
        Some(recorded) => own(existing, recorded),
        None => foreign(existing),
    }
}

/// Returns the requests that change user-defined tags from `old` to `new`: the tags to set and the keys to remove. A
/// resource that has just been created has no old ones, and all of the new.
pub(crate) fn retag<T: SdkTag>(
    old: Option<&BTreeMap<String, String>>,
    new: &BTreeMap<String, String>,
) -> (Option<Vec<T>>, Option<Vec<String>>) {
    let Some(old) = old else { return (None, None) };
    let (set, removed) = changes(old, new);
    let set: Vec<T> = set.into_iter().filter_map(|(key, value)| T::new(key.clone(), value.clone())).collect();
    ((!set.is_empty()).then_some(set), (!removed.is_empty()).then_some(removed))
}

/// Program, stack, URN and operation as `infra:…`, and the declaration's name as `Name`.
pub(crate) fn all(cx: &Context<'_, Aws>) -> BTreeMap<String, String> {
    let mut tags = cx.tags();
    tags.insert("Name".to_owned(), cx.urn().name().to_owned());
    tags
}

/// Whether tags say that this very operation made the thing.
pub(crate) fn are_ours<'a>(
    cx: &Context<'_, Aws>,
    tags: impl IntoIterator<Item = (Option<&'a str>, Option<&'a str>)>,
) -> bool {
    tags.into_iter()
        .any(|(key, value)| key == Some(Context::<Aws>::OPERATION_TAG) && value == Some(cx.operation().as_str()))
}

/// What is to be done so that tags of one's own become `new`: the tags to set, and the keys to take away.
pub(crate) fn changes<'a>(
    old: &'a BTreeMap<String, String>,
    new: &'a BTreeMap<String, String>,
) -> (BTreeMap<&'a String, &'a String>, Vec<String>) {
    let set = new.iter().filter(|(key, value)| old.get(*key) != Some(value)).collect();
    (set, old.keys().filter(|key| !new.contains_key(*key)).cloned().collect())
}

/// What lives of the recorded tags of one's own; others may add theirs.
pub(crate) fn own<'a>(
    living: impl IntoIterator<Item = (&'a str, &'a str)>,
    recorded: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let kept = living.into_iter().filter(|(key, _)| recorded.contains_key(*key));
    kept.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The tags of something that is taken over, but for AWS's own and those that a stack has made it with.
pub(crate) fn foreign<'a>(living: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    let mut tags: BTreeMap<String, String> =
        living.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    if tags.contains_key(Context::<Aws>::OPERATION_TAG) {
        tags.remove("Name");
    }
    tags.retain(|key, _| !["aws:", "infra:"].iter().any(|own| key.starts_with(own)));
    tags
}

macro_rules! key_and_value {
    ($($(#[$doc:meta])* $name:ident: $sdk:ident)+) => {$(
        $(#[$doc])*
        pub(crate) fn $name(
            cx: &Context<'_, Aws>,
            own: &BTreeMap<String, String>,
        ) -> Result<Vec<$sdk::types::Tag>, ProviderError> {
            all(cx)
                .into_iter()
                .chain(own.clone())
                .map(|(key, value)| $sdk::types::Tag::builder().key(key).value(value).build())
                .collect::<Result<_, _>>()
                .map_err(|error| ProviderError::refused(error.to_string()))
        }
    )+};
}
key_and_value! {
    /// For IAM's Create calls, with tags of one's own.
    iam: aws_sdk_iam
    /// For S3, with tags of one's own.
    s3: aws_sdk_s3
    /// For Systems Manager, with tags of one's own.
    ssm: aws_sdk_ssm
}

/// For Elastic Load Balancing's Create calls.
pub(crate) fn elbv2(cx: &Context<'_, Aws>) -> Vec<aws_sdk_elasticloadbalancingv2::types::Tag> {
    use aws_sdk_elasticloadbalancingv2::types::Tag;
    all(cx).into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// For CloudWatch's Put calls, with tags of one's own.
pub(crate) fn cloudwatch(cx: &Context<'_, Aws>, own: &BTreeMap<String, String>) -> Vec<aws_sdk_cloudwatch::types::Tag> {
    use aws_sdk_cloudwatch::types::Tag;
    let all = all(cx).into_iter().chain(own.clone());
    all.map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// For Elastic Load Balancing's Create calls, with tags of one's own.
pub(crate) fn elbv2_with(
    cx: &Context<'_, Aws>,
    own: &BTreeMap<String, String>,
) -> Vec<aws_sdk_elasticloadbalancingv2::types::Tag> {
    let mut tags = elbv2(cx);
    tags.extend(own.iter().map(|(key, value)| elbv2_tag(key, value)));
    tags
}

/// Gives something in Elastic Load Balancing other tags of one's own, by `AddTags` and `RemoveTags`.
pub(crate) async fn elbv2_retag(
    elbv2: &aws_sdk_elasticloadbalancingv2::Client,
    arn: &str,
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Result<(), AwsError> {
    let removed: Vec<String> = old.keys().filter(|key| !new.contains_key(*key)).cloned().collect();
    if old != new && !new.is_empty() {
        let set = new.iter().map(|(key, value)| elbv2_tag(key, value)).collect();
        elbv2.add_tags().resource_arns(arn).set_tags(Some(set)).send().await.context("AddTags")?;
    }
    if !removed.is_empty() {
        elbv2.remove_tags().resource_arns(arn).set_tag_keys(Some(removed)).send().await.context("RemoveTags")?;
    }
    Ok(())
}

fn elbv2_tag(key: &str, value: &str) -> aws_sdk_elasticloadbalancingv2::types::Tag {
    aws_sdk_elasticloadbalancingv2::types::Tag::builder().key(key).value(value).build()
}

/// For an Auto Scaling group, and every instance it launches.
pub(crate) fn autoscaling(
    cx: &Context<'_, Aws>,
    group: &str,
    own: &BTreeMap<String, String>,
) -> Vec<aws_sdk_autoscaling::types::Tag> {
    use aws_sdk_autoscaling::types::Tag;
    let tag = |(key, value): (String, String)| {
        Tag::builder()
            .resource_type("auto-scaling-group")
            .resource_id(group)
            .key(key)
            .value(value)
            .propagate_at_launch(true)
            .build()
    };
    all(cx).into_iter().chain(own.clone()).map(tag).collect()
}
