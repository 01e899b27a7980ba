//! Properties that identify a resource.

use serde_json::Value as Json;

/// Returns the properties that only a replacement changes: `Arn` and `Id`, and the same names after that of the type, as
/// `TopicArn` of a topic. infra-bindings has the same rule for the outputs that it generates.
pub(super) fn identity(type_name: &str, properties: &Json) -> Json {
    let kind = type_name.split("::").nth(2).unwrap_or_default().to_ascii_lowercase();
    let is_identity = |name: &str| {
        let name = name.to_ascii_lowercase();
        matches!(name.strip_prefix(&kind).unwrap_or(&name), "arn" | "id")
    };
    let members = properties.as_object().into_iter().flatten();
    let found = members.filter(|(name, value)| value.is_string() && is_identity(name));
    Json::Object(found.map(|(name, value)| (name.clone(), value.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn identity_contains_the_arn_and_the_id_of_the_resource_itself() {
        let properties = json!({"TopicArn": "a", "Id": "i", "Arn": 1, "RoleArn": "r", "TopicName": "n"});
        assert_eq!(identity("AWS::SNS::Topic", &properties), json!({"TopicArn": "a", "Id": "i"}));
    }
}
