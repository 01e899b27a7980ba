//! Actions of listeners and rules: parsing, validation and rendering.

use super::limits::{self, TARGET_GROUPS_PER_ACTION};
use super::{not_honoured, number, required, target_group, validation};
use crate::model::Region;
use crate::model::elbv2::routing::{Action, FixedResponse, Forward, Redirect, WeightedGroup};
use crate::wire::{ApiError, Node, Outcome, Params};

/// Parameters of a list of actions, for operation tables.
macro_rules! parameters {
    ($list:literal) => {
        &[
            concat!($list, ".N.Type"),
            concat!($list, ".N.Order"),
            concat!($list, ".N.TargetGroupArn"),
            concat!($list, ".N.ForwardConfig.TargetGroups.N.TargetGroupArn"),
            concat!($list, ".N.ForwardConfig.TargetGroups.N.Weight"),
            concat!($list, ".N.ForwardConfig.TargetGroupStickinessConfig.Enabled"),
            concat!($list, ".N.ForwardConfig.TargetGroupStickinessConfig.DurationSeconds"),
            concat!($list, ".N.RedirectConfig.Protocol"),
            concat!($list, ".N.RedirectConfig.Host"),
            concat!($list, ".N.RedirectConfig.Port"),
            concat!($list, ".N.RedirectConfig.Path"),
            concat!($list, ".N.RedirectConfig.Query"),
            concat!($list, ".N.RedirectConfig.StatusCode"),
            concat!($list, ".N.FixedResponseConfig.StatusCode"),
            concat!($list, ".N.FixedResponseConfig.ContentType"),
            concat!($list, ".N.FixedResponseConfig.MessageBody"),
        ]
    };
}
pub(super) const DEFAULT_ACTIONS: &[&str] = parameters!("DefaultActions");
pub(super) const ACTIONS: &[&str] = parameters!("Actions");

/// AWS's quota of actions per rule. Source: Application Load Balancer User Guide, "Quotas".
const ACTIONS_PER_RULE: usize = 5;

const CONTENT_TYPES: &[&str] = &["text/plain", "text/css", "text/html", "application/javascript", "application/json"];

/// Parses the action in the request's list of this name; `None` when the list is empty.
pub(super) fn parse(region: &Region, params: &Params, list: &str) -> Outcome<Option<Action>> {
    let actions = params.structures(list);
    let Some(action) = actions.first() else {
        return Ok(None);
    };
    if actions.len() > ACTIONS_PER_RULE {
        let message = format!("An action list can have at most {ACTIONS_PER_RULE} actions");
        return Err(ApiError::new("TooManyActions", message));
    }
    if actions.len() > 1 {
        return Err(invalid(
            "An action list must end with exactly one 'forward', 'redirect' or 'fixed-response' action, and the local cloud supports no action before it",
        ));
    }
    number(action, "Order", 1, 50_000)?;
    let kind = required(action, "Type")?;
    for (other, config) in
        [("forward", "ForwardConfig"), ("redirect", "RedirectConfig"), ("fixed-response", "FixedResponseConfig")]
    {
        if kind != other && action.structure(config).is_some() {
            return Err(invalid(format!("A '{kind}' action cannot have a {config}")));
        }
    }
    Ok(Some(match kind {
        "forward" => Action::Forward(parse_forward(region, action)?),
        "redirect" => Action::Redirect(parse_redirect(action)?),
        "fixed-response" => Action::FixedResponse(parse_fixed_response(action)?),
        "authenticate-oidc" | "authenticate-cognito" | "jwt-validation" => {
            return Err(not_honoured(format!(
                "The local cloud has actions of type 'forward', 'redirect' and 'fixed-response', not '{kind}'"
            )));
        }
        _ => return Err(validation(format!("'{kind}' is not a valid action type"))),
    }))
}

fn parse_forward(region: &Region, action: &Params) -> Outcome<Forward> {
    let config = action.structure("ForwardConfig").unwrap_or_default();
    let mut target_groups = Vec::new();
    for group in config.structures("TargetGroups") {
        target_groups.push(WeightedGroup {
            target_group: required(&group, "TargetGroupArn")?.to_owned(),
            weight: number(&group, "Weight", 0, 999)?.unwrap_or(1),
        });
    }
    match action.optional("TargetGroupArn") {
        Some(arn) if target_groups.is_empty() => {
            target_groups.push(WeightedGroup { target_group: arn.to_owned(), weight: 1 });
        }
        Some(arn) if target_groups.len() != 1 || target_groups[0].target_group != arn => {
            return Err(validation("You cannot specify both a target group ARN and other target groups in an action"));
        }
        _ => {}
    }
    if target_groups.is_empty() {
        return Err(validation("A target group ARN must be specified for a 'forward' action"));
    }
    if target_groups.len() > limits::of(TARGET_GROUPS_PER_ACTION) {
        return Err(invalid(format!(
            "A 'forward' action can have at most {} target groups",
            limits::of(TARGET_GROUPS_PER_ACTION)
        )));
    }
    for (index, group) in target_groups.iter().enumerate() {
        target_group(region, &group.target_group)?;
        if target_groups[..index].iter().any(|other| other.target_group == group.target_group) {
            return Err(invalid(format!("Target group '{}' is specified more than once", group.target_group)));
        }
    }
    let stickiness = config.structure("TargetGroupStickinessConfig").unwrap_or_default();
    let sticky = stickiness.parsed("Enabled").map_err(|error| validation(error.message))?.unwrap_or(false);
    let sticky_seconds = number(&stickiness, "DurationSeconds", 1, 604_800)?;
    if sticky && sticky_seconds.is_none() {
        return Err(validation("'DurationSeconds' must be specified when target group stickiness is enabled"));
    }
    Ok(Forward { target_groups, sticky, sticky_seconds })
}

fn parse_redirect(action: &Params) -> Outcome<Redirect> {
    let Some(config) = action.structure("RedirectConfig") else {
        return Err(validation("A redirect configuration must be specified for a 'redirect' action"));
    };
    let part = |name: &str, kept: &str, longest: usize| -> Outcome<String> {
        let text = config.optional(name).unwrap_or(kept);
        if text.len() > longest {
            return Err(invalid(format!("The redirect {name} must be at most {longest} characters long")));
        }
        let mut rest = text.to_owned();
        for keyword in ["#{protocol}", "#{host}", "#{port}", "#{path}", "#{query}"] {
            rest = rest.replace(keyword, "");
        }
        if rest.contains("#{") || rest.chars().any(|character| character.is_control() || character == ' ') {
            return Err(invalid(format!("The redirect {name} '{text}' is not valid")));
        }
        Ok(text.to_owned())
    };
    let redirect = Redirect {
        protocol: part("Protocol", "#{protocol}", 16)?,
        host: part("Host", "#{host}", 128)?,
        port: part("Port", "#{port}", 7)?,
        path: part("Path", "/#{path}", 128)?,
        query: part("Query", "#{query}", 128)?,
        status: match required(&config, "StatusCode")? {
            "HTTP_301" => 301,
            "HTTP_302" => 302,
            other => return Err(validation(format!("The status code '{other}' must be one of: HTTP_301, HTTP_302"))),
        },
    };
    if !["HTTP", "HTTPS", "#{protocol}"].contains(&redirect.protocol.as_str()) {
        return Err(invalid(format!(
            "The redirect protocol '{}' must be one of: HTTP, HTTPS, #{{protocol}}",
            redirect.protocol
        )));
    }
    if redirect.port != "#{port}" && !redirect.port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Err(invalid(format!("The redirect port '{}' must be from 1 to 65535, or #{{port}}", redirect.port)));
    }
    if redirect.host.is_empty() {
        return Err(invalid("The redirect host cannot be empty"));
    }
    if !redirect.path.starts_with('/') {
        return Err(invalid(format!("The redirect path '{}' must begin with '/'", redirect.path)));
    }
    let changes_url = redirect.protocol != "#{protocol}"
        || redirect.host != "#{host}"
        || redirect.port != "#{port}"
        || redirect.path != "/#{path}";
    if changes_url {
        return Ok(redirect);
    }
    Err(invalid("The redirect must change at least one of protocol, host, port and path, or it leads to itself"))
}

fn parse_fixed_response(action: &Params) -> Outcome<FixedResponse> {
    let Some(config) = action.structure("FixedResponseConfig") else {
        return Err(validation("A fixed response configuration must be specified for a 'fixed-response' action"));
    };
    let code = required(&config, "StatusCode")?;
    let status = code.parse::<u16>().ok().filter(|status| code.len() == 3 && [2, 4, 5].contains(&(status / 100)));
    let Some(status) = status else {
        return Err(invalid(format!("The status code '{code}' must be 2XX, 4XX or 5XX")));
    };
    let content_type = config.optional("ContentType").map(str::to_owned);
    if content_type.as_deref().is_some_and(|kind| !CONTENT_TYPES.contains(&kind)) {
        return Err(invalid(format!("The content type must be one of: {}", CONTENT_TYPES.join(", "))));
    }
    let body = config.optional("MessageBody").map(str::to_owned);
    if body.as_ref().is_some_and(|body| body.len() > 1024) {
        return Err(validation("The message body of a fixed response must be at most 1024 characters long"));
    }
    Ok(FixedResponse { status, content_type, body })
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidLoadBalancerAction", message)
}

/// Renders an action as a list.
pub(super) fn render(action: &Action) -> Node {
    Node::items([match action {
        Action::Forward(forward) => render_forward(forward),
        Action::Redirect(redirect) => Node::new().with("Type", "redirect").with("Order", 1).with(
            "RedirectConfig",
            Node::new()
                .with("Protocol", &redirect.protocol)
                .with("Port", &redirect.port)
                .with("Host", &redirect.host)
                .with("Path", &redirect.path)
                .with("Query", &redirect.query)
                .with("StatusCode", format!("HTTP_{}", redirect.status)),
        ),
        Action::FixedResponse(fixed) => Node::new().with("Type", "fixed-response").with("Order", 1).with(
            "FixedResponseConfig",
            Node::new()
                .with("StatusCode", fixed.status)
                .maybe("ContentType", fixed.content_type.as_ref())
                .maybe("MessageBody", fixed.body.as_ref()),
        ),
    }])
}

fn render_forward(forward: &Forward) -> Node {
    let groups = forward
        .target_groups
        .iter()
        .map(|group| Node::new().with("TargetGroupArn", &group.target_group).with("Weight", group.weight));
    let only = match forward.target_groups.as_slice() {
        [group] => Some(&group.target_group),
        _ => None,
    };
    let stickiness = Node::new().with("Enabled", forward.sticky).maybe("DurationSeconds", forward.sticky_seconds);
    let config = Node::new().list("TargetGroups", groups).with("TargetGroupStickinessConfig", stickiness);
    Node::new().with("Type", "forward").maybe("TargetGroupArn", only).with("Order", 1).with("ForwardConfig", config)
}
