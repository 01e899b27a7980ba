//! Codes and messages of violated constraints, which differ between services.

use super::violation::{Constraint, Step, Violation};
use crate::wire::error::ApiError;

/// Maximum length of a value in a message, in characters.
const VALUE_LIMIT: usize = 2000;

/// Returns the error for the violations in a request to a service; `None` if there are none.
pub(super) fn error(service: &str, violations: &[Violation<'_>]) -> Option<ApiError> {
    let first = violations.first()?;
    Some(match service {
        "ec2" => of_ec2(first),
        "rds" => of_rds(first),
        // <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html> declares this error,
        // and <https://github.com/sj26/sidekiq-cloudwatchmetrics/issues/42> shows the names.
        "monitoring" if violations.iter().any(|violation| matches!(violation.constraint, Constraint::Required)) => {
            let missing = violations.iter().filter(|violation| matches!(violation.constraint, Constraint::Required));
            let lines = missing
                .map(|violation| format!("The parameter {} is required.", form_name(&violation.path, "member.")));
            ApiError::new("MissingParameter", lines.collect::<Vec<_>>().join("\n"))
        }
        "autoscaling" | "elasticloadbalancing" | "iam" | "monitoring" | "sts" => common("ValidationError", violations),
        // <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/CommonErrors.html>, and
        // <https://github.com/fluent-plugins-nursery/fluent-plugin-cloudwatch-logs/issues/223>.
        "logs" => common("InvalidParameterException", violations),
        _ => common("ValidationException", violations),
    })
}

/// Returns the error of the services that count all violations. Examples of the wording:
/// <https://github.com/NixOS/nixops/issues/328> (length), <https://github.com/SWO-GS/auto-tag/issues/90> (path of a list),
/// <https://github.com/hashicorp/terraform-provider-aws/pull/5246> (enumeration).
fn common(code: &'static str, violations: &[Violation<'_>]) -> ApiError {
    let count = violations.len();
    let each = violations.iter().map(|violation| {
        let value = match (&violation.value, &violation.constraint) {
            (_, Constraint::Required) => "Value null at".to_owned(),
            (Some(value), _) => format!("Value '{}' at", shortened(value)),
            // Secret values are left out.
            (None, _) => "Value at".to_owned(),
        };
        format!("{value} '{}' failed to satisfy constraint: {}", path(&violation.path), text(&violation.constraint))
    });
    let each: Vec<String> = each.collect();
    let plural = if count == 1 { "" } else { "s" };
    ApiError::new(code, format!("{count} validation error{plural} detected: {}", each.join("; ")))
}

/// Returns the text of a constraint in the common wording.
fn text(constraint: &Constraint<'_>) -> String {
    match constraint {
        Constraint::Required => "Member must not be null".to_owned(),
        Constraint::MinLength(least) => format!("Member must have length greater than or equal to {least}"),
        Constraint::MaxLength(most) => format!("Member must have length less than or equal to {most}"),
        Constraint::MinValue(least) => format!("Member must have value greater than or equal to {least}"),
        Constraint::MaxValue(most) => format!("Member must have value less than or equal to {most}"),
        Constraint::Values(values) => format!("Member must satisfy enum value set: [{}]", values.join(", ")),
        Constraint::Pattern(pattern) => format!("Member must satisfy regular expression pattern: {pattern}"),
        Constraint::Items(inner) => format!("Member must satisfy constraint: [{}]", texts(inner)),
        Constraint::Keys(inner) => format!("Map keys must satisfy constraint: [{}]", texts(inner)),
        Constraint::MapValues(inner) => format!("Map value must satisfy constraint: [{}]", texts(inner)),
    }
}

fn texts(constraints: &[Constraint<'_>]) -> String {
    constraints.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// Returns EC2's error, which names one parameter. The names of missing parameters are those of the request
/// (<https://github.com/getmoto/moto/issues/112>), and those of invalid ones begin with a small letter
/// (<https://github.com/aws/aws-sdk-ruby/pull/2575>, <https://github.com/ansible/ansible/issues/29519>).
fn of_ec2(violation: &Violation<'_>) -> ApiError {
    let name = lower_first(violation.member());
    let value = violation.value.as_deref().map(shortened).unwrap_or_default();
    ApiError::invalid(match &violation.constraint {
        Constraint::Required => return ApiError::missing(&form_name(&violation.path, "")),
        Constraint::MinValue(least) => {
            format!("Value ( {value} ) for parameter {name} is invalid. Expecting a value greater than {least}.")
        }
        Constraint::MaxValue(most) => {
            format!(
                "Value ( {value} ) for parameter {name} is invalid. Expecting a value less than or equal to {most}."
            )
        }
        Constraint::MinLength(_) if value.is_empty() && violation.value.is_some() => {
            format!("Value () for parameter {name} is invalid. The value cannot be empty")
        }
        other => format!("Value ({value}) for parameter {name} is invalid. {}.", text(other)),
    })
}

/// Returns the error of RDS. Missing parameters are invalid values there
/// (<https://github.com/terraform-aws-modules/terraform-aws-rds/issues/129>), and so are identifiers
/// (<https://github.com/alphagov/govuk-infrastructure/pull/1837>).
fn of_rds(violation: &Violation<'_>) -> ApiError {
    let name = violation.member();
    let value = violation.value.as_deref().map(shortened).unwrap_or_default();
    ApiError::invalid(match &violation.constraint {
        Constraint::Required => format!("The parameter {name} must be provided and must not be blank."),
        Constraint::MinLength(_) if value.is_empty() && violation.value.is_some() => {
            format!("The parameter {name} must be provided and must not be blank.")
        }
        Constraint::Pattern(_) if name.ends_with("Identifier") => format!(
            "The parameter {name} is not a valid identifier. Identifiers must begin with a letter; must contain only ASCII \
             letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens."
        ),
        other => format!("Invalid value '{value}' for parameter {name}. {}.", text(other)),
    })
}

/// Returns a path in the common form: `tags.1.member.key`.
fn path(steps: &[Step]) -> String {
    let steps = steps.iter().map(|step| match step {
        Step::Member(name) => lower_first(name),
        Step::Item(number) => format!("{number}.member"),
        Step::Key(name) => format!("{name}.member"),
    });
    steps.collect::<Vec<_>>().join(".")
}

/// Returns a path as the name of a form's parameter, with this text before the numbers of items.
fn form_name(steps: &[Step], before_item: &str) -> String {
    let steps = steps.iter().map(|step| match step {
        Step::Member(name) | Step::Key(name) => name.clone(),
        Step::Item(number) => format!("{before_item}{number}"),
    });
    steps.collect::<Vec<_>>().join(".")
}

fn lower_first(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(VALUE_LIMIT) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}
