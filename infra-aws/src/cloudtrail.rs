//! The event history of CloudTrail: the callers that changed resources.

use crate::{client::Aws, error::SdkContext};
use aws_sdk_cloudtrail::types::{Event, LookupAttribute, LookupAttributeKey};
use chrono::{DateTime, SecondsFormat, Utc};
use infra_core::{Target, diagnostic::Diagnostic};

/// Region of the events of global services, such as IAM.
const GLOBAL: &str = "us-east-1";

/// Beginning of the name of the clients of this library in the header `User-Agent`.
const OWN_CLIENT: &str = "app/infra";

/// Returns a description of the last change of a resource, by its id or name, that another program than this library
/// requested; `None` if the event history contains none.
///
/// CloudTrail delivers events about five minutes after the request, and keeps them for 90 days. The call needs the
/// permission `cloudtrail:LookupEvents`. `infra_cli::Cli::new(programs).last_change(cloudtrail::last_change)` lets `watch`
/// name the caller of a change.
///
/// # API operations
/// `LookupEvents`
///
/// # Errors
/// A message for the user if the event history cannot be read.
pub async fn last_change(
    target: Target,
    region: Option<String>,
    resource: String,
) -> Result<Option<String>, Diagnostic> {
    let aws = Aws::new(&target);
    let cloudtrail = aws.cloudtrail(region.as_deref().unwrap_or(GLOBAL)).await;
    let named = LookupAttribute::builder()
        .attribute_key(LookupAttributeKey::ResourceName)
        .attribute_value(resource)
        .build()
        .map_err(|error| Diagnostic::error(error.to_string()))?;
    let events = cloudtrail.lookup_events().lookup_attributes(named).send().await.context("LookupEvents");
    let events = events.map_err(|error| {
        Diagnostic::error("the event history of CloudTrail cannot be read, so callers are unknown")
            .because(error.to_string())
            .hint("allow `cloudtrail:LookupEvents` to this identity")
    })?;
    Ok(events.events().iter().find(|event| is_foreign_change(event)).map(describe))
}

fn is_foreign_change(event: &Event) -> bool {
    let record = record(event);
    let is_own = record["userAgent"].as_str().is_some_and(|agent| agent.contains(OWN_CLIENT));
    event.read_only() == Some("false") && record["errorCode"].is_null() && !is_own
}

/// Returns the record of the request, which contains more than the event.
fn record(event: &Event) -> serde_json::Value {
    event.cloud_trail_event().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn describe(event: &Event) -> String {
    let record = record(event);
    let caller = record["userIdentity"]["arn"].as_str().or(event.username()).unwrap_or("an unknown identity");
    let service = event.event_source().unwrap_or_default().split('.').next().unwrap_or_default();
    let operation = event.event_name().unwrap_or_default();
    let at = event.event_time().and_then(|time| DateTime::<Utc>::from_timestamp(time.secs(), 0));
    let at = at.map(|at| format!(" at {}", at.to_rfc3339_opts(SecondsFormat::Secs, true))).unwrap_or_default();
    format!("{caller} called {service}:{operation}{at}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_types::DateTime as Time;
    use serde_json::json;

    fn event(read_only: &str, agent: &str, error: Option<&str>) -> Event {
        let arn = "arn:aws:sts::123456789012:assumed-role/admin/ada";
        let record = json!({"userIdentity": {"arn": arn}, "userAgent": agent, "errorCode": error});
        Event::builder()
            .event_name("DeleteTags")
            .event_source("ec2.amazonaws.com")
            .event_time(Time::from_secs(1_700_000_000))
            .read_only(read_only)
            .username("ada")
            .cloud_trail_event(record.to_string())
            .build()
    }

    #[test]
    fn changes_by_other_programs_are_described_with_their_caller() {
        let console = event("false", "console.amazonaws.com", None);
        assert!(is_foreign_change(&console));
        assert_eq!(
            describe(&console),
            "arn:aws:sts::123456789012:assumed-role/admin/ada called ec2:DeleteTags at 2023-11-14T22:13:20Z"
        );
        let without_record = Event::builder().event_name("DeleteTags").username("ada").build();
        assert_eq!(describe(&without_record), "ada called :DeleteTags");
    }

    #[test]
    fn reads_failures_and_own_requests_are_no_changes() {
        assert!(!is_foreign_change(&event("true", "console.amazonaws.com", None)));
        assert!(!is_foreign_change(&event("false", "console.amazonaws.com", Some("UnauthorizedOperation"))));
        assert!(!is_foreign_change(&event("false", "aws-sdk-rust/1.3 os/linux app/infra", None)));
    }
}
