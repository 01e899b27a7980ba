//! What is done with requests: forwarding, redirects, fixed answers.

use super::target_group::TargetGroup;
use crate::ids::Arn;
use aws_sdk_elasticloadbalancingv2::types::{
    Action as Described, ActionTypeEnum, FixedResponseActionConfig, ForwardActionConfig, RedirectActionConfig,
    RedirectActionStatusCodeEnum, TargetGroupStickinessConfig, TargetGroupTuple,
};
use infra_core::{Input, provider::Problem, value::Unresolved};
use serde::{Deserialize, Serialize};

/// What a listener or one of its rules does with a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A target of one of several groups answers it.
    Forward(Forward),
    /// The client is sent elsewhere.
    Redirect(Redirect),
    /// The balancer answers it itself.
    FixedResponse(FixedResponse),
}

/// Target groups that share requests by their weights.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Forward {
    /// One to five groups.
    pub shares: Vec<Share>,
    /// For how many seconds a client stays with the group it came to, up to 604,800; it does not when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky_seconds: Option<u32>,
}

/// A target group's share of the requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Share {
    /// The group.
    pub targets: Input<Arn<TargetGroup>>,
    /// Its part of all weights, 0 to 999.
    pub weight: u32,
}

/// Where a client is sent. `#{protocol}`, `#{host}`, `#{port}`, `#{path}` and `#{query}` stand for what it asked for,
/// and what is not given stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// `HTTP`, `HTTPS` or `#{protocol}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The path, beginning with `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The query, without `?`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Whether clients may remember it (301) or shall ask again (302).
    pub permanent: bool,
}

/// An answer of the balancer's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedResponse {
    /// 2XX, 4XX or 5XX.
    pub status: u16,
    /// `text/plain`, `text/css`, `text/html`, `application/javascript` or `application/json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Up to 1024 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl Action {
    /// Hands requests to this target group.
    pub fn forward(targets: impl Into<Input<Arn<TargetGroup>>>) -> Self {
        Self::Forward(Forward { shares: vec![Share { targets: targets.into(), weight: 1 }], sticky_seconds: None })
    }

    /// Sends clients to the same address by HTTPS, for good.
    pub fn redirect_to_https() -> Self {
        Self::Redirect(Redirect {
            protocol: Some("HTTPS".into()),
            port: Some("443".into()),
            permanent: true,
            ..Redirect::default()
        })
    }

    /// Answers with this status and text.
    pub fn fixed_response(status: u16, body: impl Into<String>) -> Self {
        let content_type = Some("text/plain".into());
        Self::FixedResponse(FixedResponse { status, content_type, body: Some(body.into()) })
    }

    /// Whether all it does is to send clients to HTTPS.
    pub(crate) fn leads_to_https(&self) -> bool {
        matches!(self, Self::Redirect(redirect) if redirect.protocol.as_deref() == Some("HTTPS"))
    }

    /// What AWS would refuse.
    pub(super) fn problems(&self, property: &str) -> Vec<Problem> {
        let problem = |wrong: bool, message: &str| wrong.then(|| Problem::new(property, message));
        let found = match self {
            Self::Forward(Forward { shares, sticky_seconds }) => [
                problem(!(1..=5).contains(&shares.len()), "requests are shared by one to five target groups"),
                problem(shares.iter().any(|share| share.weight > 999), "a weight is at most 999"),
                problem(
                    sticky_seconds.is_some_and(|seconds| !(1..=604_800).contains(&seconds)),
                    "clients stay for 1 to 604,800 seconds",
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
                problem(![2, 4, 5].contains(&(fixed.status / 100)), "a fixed answer's status is 2XX, 4XX or 5XX"),
                problem(
                    fixed.body.as_ref().is_some_and(|body| body.len() > 1024),
                    "a fixed answer's body has at most 1024 bytes",
                ),
                None,
            ],
        };
        found.into_iter().flatten().collect()
    }

    /// In AWS's words.
    pub(super) fn wanted(&self) -> Result<Described, Unresolved> {
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

    /// What lives, out of AWS's words; `None` for what this library does not know.
    pub(super) fn living(actions: &[Described]) -> Option<Self> {
        let [action] = actions else { return None };
        match action.r#type()? {
            ActionTypeEnum::Forward => Some(Self::Forward(Forward::living(action))),
            ActionTypeEnum::Redirect => action.redirect_config().map(|config| Self::Redirect(Redirect::living(config))),
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

    /// The only target group it leads to.
    pub(super) fn only_group(&self) -> Option<&Input<Arn<TargetGroup>>> {
        match self {
            Self::Forward(Forward { shares, sticky_seconds: None }) if shares.len() == 1 => Some(&shares[0].targets),
            _ => None,
        }
    }

    /// Whether both do the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let json = |action: &Self| serde_json::to_value(action.normal()).ok();
        json(self) == json(other)
    }

    /// What is the same is written in one way only.
    fn normal(&self) -> Self {
        match self {
            Self::Forward(forward) if forward.shares.len() == 1 => {
                let shares = vec![Share { weight: 1, ..forward.shares[0].clone() }];
                Self::Forward(Forward { shares, ..forward.clone() })
            }
            Self::Redirect(redirect) => {
                let said = |part: &Option<String>, kept: &str| part.clone().filter(|text| text != kept);
                Self::Redirect(Redirect {
                    protocol: said(&redirect.protocol, "#{protocol}"),
                    host: said(&redirect.host, "#{host}"),
                    port: said(&redirect.port, "#{port}"),
                    path: said(&redirect.path, "/#{path}"),
                    query: said(&redirect.query, "#{query}"),
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

    fn living(action: &Described) -> Self {
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

    fn living(config: &RedirectActionConfig) -> Self {
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
    fn what_is_sent_is_what_is_read() {
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
            let living = Action::living(&[action.wanted().unwrap()]).unwrap();
            assert!(living.is_same(&action), "{living:?}");
        }
        assert!(!Action::redirect_to_https().is_same(&Action::fixed_response(404, "")));
    }

    #[test]
    fn what_aws_fills_in_is_no_difference() {
        let config = RedirectActionConfig::builder()
            .protocol("HTTPS")
            .port("443")
            .host("#{host}")
            .path("/#{path}")
            .query("#{query}")
            .status_code(RedirectActionStatusCodeEnum::Http301);
        let lives = Described::builder().r#type(ActionTypeEnum::Redirect).redirect_config(config.build()).build();
        assert!(Action::living(&[lives]).unwrap().is_same(&Action::redirect_to_https()));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let loops = Action::Redirect(Redirect { query: Some("a=b".into()), ..Redirect::default() });
        assert_eq!(loops.problems("action").len(), 1);
        assert_eq!(Action::fixed_response(302, "").problems("action").len(), 1);
        let nobody = Action::Forward(Forward { shares: Vec::new(), sticky_seconds: Some(0) });
        assert_eq!(nobody.problems("action").len(), 2);
    }
}
