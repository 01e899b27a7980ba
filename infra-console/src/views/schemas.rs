//! JSON schemas of the types of infra-core that views contain. A test compares them with serialised values.

use schemars::JsonSchema;

/// Unique name of a resource in its stack: `urn:infra:STACK::PROGRAM::TYPE::NAME`.
#[derive(JsonSchema)]
#[schemars(rename = "Urn", transparent)]
#[expect(dead_code, reason = "only the schema is used")]
pub(crate) struct UrnSchema(String);

/// A message: the event, its subject, the cause, and what to do.
#[derive(JsonSchema)]
#[schemars(rename = "Diagnostic")]
#[expect(dead_code, reason = "only the schema is used")]
pub(crate) struct DiagnosticSchema {
    severity: SeveritySchema,
    /// The URN or file that the message is about.
    #[schemars(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// The event, in one sentence.
    summary: String,
    /// The cause, in one or more lines.
    #[schemars(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Advice.
    #[schemars(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// Severity of a message.
#[derive(JsonSchema)]
#[schemars(rename = "Severity", rename_all = "lowercase")]
#[expect(dead_code, reason = "only the schema is used")]
enum SeveritySchema {
    Note,
    Warning,
    Error,
}

/// Action of a plan on a resource.
#[derive(JsonSchema)]
#[schemars(rename = "Action", rename_all = "lowercase")]
#[expect(dead_code, reason = "only the schema is used")]
pub(crate) enum ActionSchema {
    Same,
    Read,
    Create,
    Update,
    Replace,
    Delete,
    Import,
    Forget,
}

/// Options of a declaration for the deletion of its resource. Options that are not set are omitted.
#[derive(JsonSchema)]
#[schemars(rename = "Marks")]
#[expect(dead_code, reason = "only the schema is used")]
pub(crate) struct MarksSchema {
    /// The resource must not be deleted or replaced.
    #[schemars(skip_serializing_if = "std::ops::Not::not")]
    protect: bool,
    /// The resource is removed from the state instead of deleted.
    #[schemars(skip_serializing_if = "std::ops::Not::not")]
    retain_on_delete: bool,
    /// The resource whose deletion also deletes this one.
    #[schemars(skip_serializing_if = "Option::is_none")]
    deleted_with: Option<UrnSchema>,
    /// Timeout of the deletion, in seconds.
    #[schemars(skip_serializing_if = "Option::is_none")]
    delete_timeout_seconds: Option<u64>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use infra_core::{
        diagnostic::{Diagnostic, Severity},
        diff::Action,
        state::Marks,
    };
    use schemars::generate::SchemaSettings;
    use serde_json::{Value as Json, json};
    use std::collections::BTreeSet;

    fn schema<T: JsonSchema>() -> Json {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        T::json_schema(&mut settings.with(|settings| settings.inline_subschemas = true).into_generator()).to_value()
    }

    fn names(object: &Json) -> BTreeSet<&str> {
        object.as_object().unwrap().keys().map(String::as_str).collect()
    }

    /// Returns the values of an enum, of which each has a description or not.
    fn values(schema: &Json) -> BTreeSet<&str> {
        let all = schema["enum"].as_array().into_iter().flatten();
        all.map(|value| value.as_str().unwrap()).collect()
    }

    #[test]
    fn fields_are_those_of_serialised_values() {
        let full = Diagnostic::error("summary").about("subject").because("detail").hint("hint");
        let diagnostic = schema::<DiagnosticSchema>();
        assert_eq!(names(&diagnostic["properties"]), names(&json!(full)));
        assert_eq!(diagnostic["required"], json!(["severity", "summary"]));
        let marks = Marks {
            protect: true,
            retain_on_delete: true,
            deleted_with: Some("urn:infra:dev::shop::cloud:Server::web".parse().unwrap()),
            delete_timeout_seconds: Some(60),
        };
        assert_eq!(names(&schema::<MarksSchema>()["properties"]), names(&json!(marks)));
        assert_eq!(schema::<MarksSchema>()["required"], Json::Null);
    }

    #[test]
    fn enums_have_all_values() {
        use Action::{Create, Delete, Forget, Import, Read, Replace, Same, Update};
        // The match fails to compile if infra-core has another action.
        let is_known = |action: Action| match action {
            Same | Read | Create | Update | Replace | Delete | Import | Forget => json!(action),
        };
        let actions = [Same, Read, Create, Update, Replace, Delete, Import, Forget].map(is_known);
        assert_eq!(values(&schema::<ActionSchema>()), actions.iter().map(|action| action.as_str().unwrap()).collect());
        let severities = [Severity::Note, Severity::Warning, Severity::Error].map(|severity| json!(severity));
        let known = schema::<SeveritySchema>();
        assert_eq!(values(&known), severities.iter().map(|severity| severity.as_str().unwrap()).collect());
    }
}
