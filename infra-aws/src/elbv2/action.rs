//! Actions of listeners and rules: forward, redirect, fixed response.

use super::target_group::TargetGroup;
use crate::ids::Arn;
use aws_sdk_elasticloadbalancingv2::types::{
    Action as Described, ActionTypeEnum, FixedResponseActionConfig, ForwardActionConfig, RedirectActionConfig,
    RedirectActionStatusCodeEnum, TargetGroupStickinessConfig, TargetGroupTuple,
};
use infra_core::{Input, provider::Problem, value::Unresolved};
use serde::{Deserialize, Serialize};

/// Action of a listener or of one of its rules.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Forwards the request to a target of one of several groups.
    Forward(Forward),
    /// Redirects the client to another URL.
    Redirect(Redirect),
    /// Responds without a target.
    FixedResponse(FixedResponse),
}

/// Target groups among which requests are distributed by weight.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Forward {
    /// Target groups with their weights, one to five.
    pub shares: Vec<Share>,
    /// Time for which a client stays with the target group of its first request, 1 to 604,800 seconds; no stickiness
    /// when omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky_seconds: Option<u32>,
}

/// A target group and its weight.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Share {
    /// ARN of the target group.
    pub targets: Input<Arn<TargetGroup>>,
    /// Weight relative to the sum of all weights, 0 to 999.
    pub weight: u32,
}

/// URL to which a client is redirected. `#{protocol}`, `#{host}`, `#{port}`, `#{path}` and `#{query}` stand for the parts
/// of the requested URL; omitted parts do not change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// Protocol: `HTTP`, `HTTPS` or `#{protocol}`; unchanged when omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Host name; unchanged when omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Port, 1 to 65,535 or `#{port}`; unchanged when omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Path, beginning with `/`; unchanged when omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Query, without `?`; unchanged when omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Indicates whether clients may cache the redirect (301) or not (302).
    pub permanent: bool,
}

/// A response that the balancer sends itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedResponse {
    /// Status code: 2XX, 4XX or 5XX.
    pub status: u16,
    /// Content type: `text/plain`, `text/css`, `text/html`, `application/javascript` or `application/json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Body of up to 1024 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl Action {
    /// Returns the action that forwards requests to this target group.
    pub fn forward(targets: impl Into<Input<Arn<TargetGroup>>>) -> Self {
        Self::Forward(Forward { shares: vec![Share { targets: targets.into(), weight: 1 }], sticky_seconds: None })
    }

    /// Returns the permanent redirect to the same URL over HTTPS.
    pub fn redirect_to_https() -> Self {
        Self::Redirect(Redirect {
            protocol: Some("HTTPS".into()),
            port: Some("443".into()),
            permanent: true,
            ..Redirect::default()
        })
    }

    /// Returns a response with this status and text.
    pub fn fixed_response(status: u16, body: impl Into<String>) -> Self {
        let content_type = Some("text/plain".into());
        Self::FixedResponse(FixedResponse { status, content_type, body: Some(body.into()) })
    }

    /// Returns whether the action redirects clients to HTTPS.
    pub(crate) fn leads_to_https(&self) -> bool {
        matches!(self, Self::Redirect(redirect) if redirect.protocol.as_deref() == Some("HTTPS"))
    }

    /// Returns the problems for which the API would refuse the action.
    pub(super) fn problems(&self, property: &str) -> Vec<Problem> {
        let problem = |wrong: bool, message: &str| wrong.then(|| Problem::new(property, message));
        let found = match self {
            Self::Forward(Forward { shares, sticky_seconds }) => [
                problem(!(1..=5).contains(&shares.len()), "requests are shared by one to five target groups"),
                problem(shares.iter().any(|share| share.weight > 999), "a weight is at most 999"),
                problem(
                    sticky_seconds.is_some_and(|seconds| !(1..=604_800).contains(&seconds)),
                    "clients stay with a group for 1 to 604,800 seconds",
                ),
            ],
            Self::Redirect(redirect) => {
                let Redirect { protocol, host, port, path, .. } = redirect;
                let protocols = ["HTTP", "HTTPS", "#{protocol}"];
                let leads_on = [protocol, host, port, path].iter().any(|part| part.is_some());
                [
                    problem(
                        !leads_on,
                        "a redirect changes the protocol, the host, the port or the path, or it leads to itself",
                    ),
                    problem(
                        protocol.as_deref().is_some_and(|one| !protocols.contains(&one)),
                        "a redirect's protocol is `HTTP`, `HTTPS` or `#{protocol}`",
                    ),
                    problem(
                        path.as_deref().is_some_and(|path| !path.starts_with('/')),
                        "a redirect's path begins with `/`",
                    ),
                ]
            }
            Self::FixedResponse(fixed) => [
                problem(![2, 4, 5].contains(&(fixed.status / 100)), "a fixed response's status is 2XX, 4XX or 5XX"),
                problem(
                    fixed.body.as_ref().is_some_and(|body| body.len() > 1024),
                    "a fixed response's body has at most 1024 bytes",
                ),
                None,
            ],
        };
        found.into_iter().flatten().collect()
    }

    /// Converts the action for a request.
    pub(super) fn to_sdk(&self) -> Result<Described, Unresolved> {
        let action = Described::builder();
        Ok(match self {
            Self::Forward(forward) => action.r#type(ActionTypeEnum::Forward).forward_config(forward.config()?).build(),
            Self::Redirect(redirect) => {
                action.r#type(ActionTypeEnum::Redirect).redirect_config(redirect.config()).build()
            }
            Self::FixedResponse(fixed) => {
                let config = FixedResponseActionConfig::builder()
                    .status_code(fixed.status.to_string())
                    .set_content_type(fixed.content_type.clone())
                    .set_message_body(fixed.body.clone());
                action.r#type(ActionTypeEnum::FixedResponse).fixed_response_config(config.build()).build()
            }
        })
    }

    /// Converts the actions of a description; `None` for actions that cannot be declared.
    pub(super) fn from_sdk(actions: &[Described]) -> Option<Self> {
        let [action] = actions else { return None };
        match action.r#type()? {
            ActionTypeEnum::Forward => Some(Self::Forward(Forward::from_sdk(action))),
            ActionTypeEnum::Redirect => {
                action.redirect_config().map(|config| Self::Redirect(Redirect::from_sdk(config)))
            }
            ActionTypeEnum::FixedResponse => action.fixed_response_config().map(|config| {
                Self::FixedResponse(FixedResponse {
                    status: config.status_code().and_then(|code| code.parse().ok()).unwrap_or_default(),
                    content_type: config.content_type.clone(),
                    body: config.message_body.clone(),
                })
            }),
            _ => None,
        }
    }

    /// Returns the target group, if the action forwards all requests to one group without stickiness.
    pub(super) fn only_group(&self) -> Option<&Input<Arn<TargetGroup>>> {
        match self {
            Self::Forward(Forward { shares, sticky_seconds: None }) if shares.len() == 1 => Some(&shares[0].targets),
            _ => None,
        }
    }

    /// Returns whether both actions have the same effect.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let json = |action: &Self| serde_json::to_value(action.normal()).ok();
        json(self) == json(other)
    }

    /// Returns the normal form of actions with the same effect.
    fn normal(&self) -> Self {
        match self {
            Self::Forward(forward) if forward.shares.len() == 1 => {
                let shares = vec![Share { weight: 1, ..forward.shares[0].clone() }];
                Self::Forward(Forward { shares, ..forward.clone() })
            }
            Self::Redirect(redirect) => {
                let changed = |part: &Option<String>, kept: &str| part.clone().filter(|text| text != kept);
                Self::Redirect(Redirect {
                    protocol: changed(&redirect.protocol, "#{protocol}"),
                    host: changed(&redirect.host, "#{host}"),
                    port: changed(&redirect.port, "#{port}"),
                    path: changed(&redirect.path, "/#{path}"),
                    query: changed(&redirect.query, "#{query}"),
                    permanent: redirect.permanent,
                })
            }
            other => other.clone(),
        }
    }
}

impl Forward {
    fn config(&self) -> Result<ForwardActionConfig, Unresolved> {
        let mut config = ForwardActionConfig::builder();
        for share in &self.shares {
            let arn = share.targets.known()?;
            let weight = share.weight.cast_signed();
            config = config.target_groups(TargetGroupTuple::builder().target_group_arn(arn).weight(weight).build());
        }
        let stickiness = TargetGroupStickinessConfig::builder()
            .enabled(self.sticky_seconds.is_some())
            .set_duration_seconds(self.sticky_seconds.map(u32::cast_signed));
        Ok(config.target_group_stickiness_config(stickiness.build()).build())
    }

    fn from_sdk(action: &Described) -> Self {
        let config = action.forward_config();
        let groups = config.map(ForwardActionConfig::target_groups).unwrap_or_default();
        let mut shares: Vec<Share> = groups
            .iter()
            .map(|group| Share {
                targets: Arn::from(group.target_group_arn().unwrap_or_default()).into(),
                weight: group.weight().map_or(1, i32::cast_unsigned),
            })
            .collect();
        if let (true, Some(arn)) = (shares.is_empty(), action.target_group_arn()) {
            shares.push(Share { targets: Arn::from(arn).into(), weight: 1 });
        }
        let stickiness = config.and_then(ForwardActionConfig::target_group_stickiness_config);
        let sticky = stickiness.filter(|stickiness| stickiness.enabled() == Some(true));
        let sticky_seconds = sticky.and_then(TargetGroupStickinessConfig::duration_seconds).map(i32::cast_unsigned);
        Self { shares, sticky_seconds }
    }
}

impl Redirect {
    fn config(&self) -> RedirectActionConfig {
        let status =
            if self.permanent { RedirectActionStatusCodeEnum::Http301 } else { RedirectActionStatusCodeEnum::Http302 };
        RedirectActionConfig::builder()
            .set_protocol(self.protocol.clone())
            .set_host(self.host.clone())
            .set_port(self.port.clone())
            .set_path(self.path.clone())
            .set_query(self.query.clone())
            .status_code(status)
            .build()
    }

    fn from_sdk(config: &RedirectActionConfig) -> Self {
        Self {
            protocol: config.protocol.clone(),
            host: config.host.clone(),
            port: config.port.clone(),
            path: config.path.clone(),
            query: config.query.clone(),
            permanent: config.status_code() == Some(&RedirectActionStatusCodeEnum::Http301),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn description_of_a_sent_action_is_the_same_action() {
        let weighted = Action::Forward(Forward {
            shares: vec![
                Share { targets: Arn::from("arn:blue").into(), weight: 9 },
                Share { targets: Arn::from("arn:green").into(), weight: 1 },
            ],
            sticky_seconds: Some(60),
        });
        for action in [
            weighted,
            Action::forward(Arn::from("arn:blue")),
            Action::redirect_to_https(),
            Action::fixed_response(404, "nothing here"),
        ] {
            assert!(action.problems("action").is_empty());
            let existing = Action::from_sdk(&[action.to_sdk().unwrap()]).unwrap();
            assert!(existing.is_same(&action), "{existing:?}");
        }
        assert!(!Action::redirect_to_https().is_same(&Action::fixed_response(404, "")));
    }

    #[test]
    fn defaults_of_redirects_are_no_difference() {
        let config = RedirectActionConfig::builder()
            .protocol("HTTPS")
            .port("443")
            .host("#{host}")
            .path("/#{path}")
            .query("#{query}")
            .status_code(RedirectActionStatusCodeEnum::Http301);
        let existing = Described::builder().r#type(ActionTypeEnum::Redirect).redirect_config(config.build()).build();
        assert!(Action::from_sdk(&[existing]).unwrap().is_same(&Action::redirect_to_https()));
    }

    #[test]
    fn impossible_actions_are_refused() {
        let loops = Action::Redirect(Redirect { query: Some("a=b".into()), ..Redirect::default() });
        assert_eq!(loops.problems("action").len(), 1);
        assert_eq!(Action::fixed_response(302, "").problems("action").len(), 1);
        let empty = Action::Forward(Forward { shares: Vec::new(), sticky_seconds: Some(0) });
        assert_eq!(empty.problems("action").len(), 2);
    }
}
