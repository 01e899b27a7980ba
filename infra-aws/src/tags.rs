//! Tags: those that the engine gives every resource, and the user-defined ones.

use crate::client::Aws;
use infra_core::{Urn, diagnostic::Diagnostic, provider::Context, value::Value};
use std::collections::BTreeMap;

/// The tag type of a service.
pub(crate) trait SdkTag: Sized {
    /// Returns a tag. The SDK's builders report a missing key or value, and both are given.
    fn new(key: String, value: String) -> Option<Self>;
    /// Returns the key and the value.
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

#[cfg(feature = "acm")]
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

/// Prefixes of the keys of tags that belong to AWS and to the engine.
const RESERVED: [&str; 2] = ["aws:", "infra:"];

/// Returns the tags for a create request: program, stack, URN and operation as `infra:…`, the declaration's name as
/// `Name`, and the user-defined ones. A user-defined `Name` takes the place of the declaration's, because AWS refuses
/// requests with two tags of a key.
pub(crate) fn for_create<T: SdkTag>(cx: &Context<'_, Aws>, user_defined: &BTreeMap<String, String>) -> Vec<T> {
    let name = ("Name".to_owned(), cx.urn().name().to_owned());
    let tags: BTreeMap<String, String> = [name].into_iter().chain(user_defined.clone()).chain(cx.tags()).collect();
    tags.into_iter().filter_map(|(key, value)| T::new(key, value)).collect()
}

/// Returns the problems of user-defined tags with a reserved key.
pub(crate) fn problems(urn: &Urn, inputs: &Value) -> Vec<Diagnostic> {
    let Some(Value::Map(tags)) = inputs.field("tags") else { return Vec::new() };
    let reserved =
        tags.keys().filter_map(|key| Some((key, RESERVED.into_iter().find(|prefix| key.starts_with(prefix))?)));
    let problem = |(key, prefix): (_, &str)| {
        let owner = if prefix == "aws:" { "AWS" } else { "infra" };
        Diagnostic::error(format!(
            "`tags`: the key `{key}` is reserved: tags that begin with `{prefix}` belong to {owner}"
        ))
        .about(urn)
        .hint("choose another key")
    };
    reserved.map(problem).collect()
}

/// Returns whether the tags are those of a resource that this operation created.
pub(crate) fn are_of_operation<T: SdkTag>(cx: &Context<'_, Aws>, tags: &[T]) -> bool {
    tags.iter().any(|tag| tag.pair() == (Context::<Aws>::OPERATION_TAG, cx.operation().as_str()))
}

/// Returns the tags of an existing resource that a declaration contains: those that are recorded, because others may add
/// theirs; for an import, all except those of AWS and of the engine.
pub(crate) fn declared<T: SdkTag>(
    existing: &[T],
    recorded: Option<&BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    let is_created_by_engine = existing.iter().any(|tag| tag.pair().0 == Context::<Aws>::OPERATION_TAG);
    let is_reserved =
        |key: &str| RESERVED.iter().any(|prefix| key.starts_with(prefix)) || is_created_by_engine && key == "Name";
    let is_declared = |key: &str| recorded.map_or_else(|| !is_reserved(key), |recorded| recorded.contains_key(key));
    let pairs = existing.iter().map(SdkTag::pair).filter(|(key, _)| is_declared(key));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Returns the requests that change user-defined tags from `old` to `new`: the tags to set and the keys to remove. A
/// resource that has just been created has no old ones, and all of the new.
pub(crate) fn retag<T: SdkTag>(
    old: Option<&BTreeMap<String, String>>,
    new: &BTreeMap<String, String>,
) -> (Option<Vec<T>>, Option<Vec<String>>) {
    let Some(old) = old else { return (None, None) };
    let set = new.iter().filter(|(key, value)| old.get(*key) != Some(value));
    let set: Vec<T> = set.filter_map(|(key, value)| T::new(key.clone(), value.clone())).collect();
    let removed: Vec<String> = old.keys().filter(|key| !new.contains_key(*key)).cloned().collect();
    ((!set.is_empty()).then_some(set), (!removed.is_empty()).then_some(removed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_keys_are_refused() {
        let urn = Urn::new("dev", "shop", "aws:ec2:Vpc", "vpc").ok();
        let tags = |key: &str| Value::Map([(key, "x".into())].into());
        let problems = |key: &str| -> Vec<Diagnostic> {
            let inputs = Value::Map([("tags", tags(key))].into());
            urn.iter().flat_map(|urn| problems(urn, &inputs)).collect()
        };
        for key in ["Name", "infrastructure", "team"] {
            assert!(problems(key).is_empty(), "{key}");
        }
        for key in ["aws:createdBy", "infra:operation"] {
            assert!(problems(key).iter().any(|problem| problem.summary.contains(key)), "{key}");
        }
    }
}
