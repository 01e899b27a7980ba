//! Tags in the parameters of a request, for the condition keys `aws:RequestTag/KEY` and `aws:TagKeys`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Context;
use crate::model::tags::Tags;
use crate::wire::Params;

/// Tags that a request adds or removes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RequestTags {
    tags: Tags,
    /// Keys of removed tags.
    removed: Vec<String>,
    /// Tags of EC2's `TagSpecification`, by the type of the created resource.
    by_type: BTreeMap<String, Tags>,
}

impl RequestTags {
    /// Returns the tags in a form.
    pub(crate) fn of_params(params: &Params) -> RequestTags {
        let mut found = RequestTags::default();
        // RDS names the entries of its lists.
        for list in ["Tags", "Tag", "Tags.Tag"] {
            found.tags.extend(tags(params, list));
        }
        for list in ["TagKeys", "TagKey"] {
            found.removed.extend(params.texts(list));
        }
        for specification in params.structures("TagSpecification") {
            let Some(kind) = specification.optional("ResourceType") else { continue };
            found.by_type.entry(kind.to_owned()).or_default().extend(tags(&specification, "Tag"));
        }
        found
    }

    /// Returns the tags in a JSON request: a list of keys and values, or an object.
    pub(crate) fn of_value(input: &Value) -> RequestTags {
        let mut found = RequestTags::default();
        for name in ["Tags", "tags"] {
            match &input[name] {
                Value::Array(items) => found.tags.extend(items.iter().filter_map(tag)),
                Value::Object(tags) => {
                    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                    found.tags.extend(tags.iter().map(|(key, value)| (key.clone(), text(value))));
                }
                _ => {}
            }
        }
        for name in ["TagKeys", "tagKeys"] {
            let keys = input[name].as_array().into_iter().flatten();
            found.removed.extend(keys.filter_map(|key| key.as_str().map(str::to_owned)));
        }
        found
    }

    /// Returns whether the request adds tags.
    pub(crate) fn has_tags(&self) -> bool {
        !self.tags.is_empty()
    }

    /// Returns the types of the resources that EC2 creates with tags.
    pub(crate) fn created_types(&self) -> impl Iterator<Item = &str> {
        self.by_type.iter().filter(|(_, tags)| !tags.is_empty()).map(|(kind, _)| kind.as_str())
    }

    /// Returns the condition keys for a resource. Tags of a specification apply only to resources of their type.
    pub(crate) fn context_for(&self, service: &str, arn: &str) -> Context {
        let mut context = Context::default();
        let kind = arn.splitn(6, ':').nth(5).and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let of_type = self.by_type.get(kind).filter(|_| service == "ec2");
        let tags: Tags =
            self.tags.iter().chain(of_type.into_iter().flatten()).map(|(k, v)| (k.clone(), v.clone())).collect();
        let keys: Vec<String> = tags.keys().chain(&self.removed).cloned().collect();
        if !keys.is_empty() {
            context.set_tags("aws:RequestTag", &tags);
            context.set_all("aws:TagKeys", keys);
        }
        context
    }
}

/// Returns the entries `name.N.Key` and `name.N.Value`.
fn tags(params: &Params, name: &str) -> Tags {
    let entries = params.structures(name);
    let tag = |entry: &Params| {
        Some((entry.optional("Key")?.to_owned(), entry.optional("Value").unwrap_or_default().to_owned()))
    };
    entries.iter().filter_map(tag).collect()
}

fn tag(entry: &Value) -> Option<(String, String)> {
    let member = |upper: &str, lower: &str| entry[upper].as_str().or(entry[lower].as_str()).map(str::to_owned);
    Some((member("Key", "key")?, member("Value", "value").unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn keys(tags: &RequestTags, arn: &str) -> String {
        serde_json::to_string(&tags.context_for("ec2", arn)).unwrap_or_default()
    }

    #[test]
    fn specifications_apply_to_resources_of_their_type() {
        let form =
            b"TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.1.Value=b";
        let tags = RequestTags::of_params(&Params::parse(form));
        assert_eq!(tags.created_types().collect::<Vec<_>>(), ["instance"]);
        insta::assert_snapshot!(keys(&tags, "arn:aws:ec2:us-east-1:0:instance/*"), @r#"{"aws:RequestTag/a":["b"],"aws:TagKeys":["a"]}"#);
        insta::assert_snapshot!(keys(&tags, "arn:aws:ec2:us-east-1:0:volume/*"), @"{}");
    }

    #[test]
    fn tags_are_found_in_forms_and_in_json() {
        let form = RequestTags::of_params(&Params::parse(b"Tags.member.1.Key=a&Tags.member.1.Value=b"));
        for input in [json!({"Tags": [{"Key": "a", "Value": "b"}]}), json!({"tags": {"a": "b"}})] {
            assert_eq!(RequestTags::of_value(&input), form, "{input}");
        }
        let removed = RequestTags::of_value(&json!({"TagKeys": ["x", "y"]}));
        insta::assert_snapshot!(keys(&removed, "*"), @r#"{"aws:TagKeys":["x","y"]}"#);
    }
}
