//! `aws:elbv2:Listener`: a port of a balancer.

use super::{action::Action, is_ours, load_balancer::LoadBalancer, own_tags, target_group::TargetGroup};
use crate::{
    acm::certificate::Certificate as AcmCertificate,
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::Arn,
    region::AwsResource,
    tags,
};
use aws_sdk_elasticloadbalancingv2::{
    Client,
    types::{Certificate, Listener as Described, ProtocolEnum},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A port that a balancer listens on, and what it does with what arrives there and no rule is for.
///
/// Made by `CreateListener`, changed in place by `ModifyListener`; certificates for other names by
/// `AddListenerCertificates` and `RemoveListenerCertificates`, tags by `AddTags` and `RemoveTags`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listener {
    /// The balancer.
    pub balancer: Input<Arn<LoadBalancer>>,
    /// The port.
    pub port: u16,
    /// The certificate it shows; without one it speaks plain HTTP.
    pub certificate: Option<Input<Arn<AcmCertificate>>>,
    /// Certificates for other names, which it shows to clients that ask for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_certificates: Vec<Input<Arn<AcmCertificate>>>,
    /// The security policy of an HTTPS listener: which versions of TLS and which ciphers it takes, such as
    /// `ELBSecurityPolicy-TLS13-1-2-2021-06`. AWS's default is `ELBSecurityPolicy-2016-08`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssl_policy: Option<String>,
    /// The only target group that gets the requests; none when there is an `action`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<Input<Arn<TargetGroup>>>,
    /// What else is done with requests; none when there is a `forward`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// AWS's default.
const SSL_POLICY: &str = "ELBSecurityPolicy-2016-08";

/// A [`Listener`] that still has to be told what it does with requests.
#[derive(Clone, Debug)]
pub struct ListenerPort {
    balancer: Input<Arn<LoadBalancer>>,
    port: u16,
    certificate: Option<Input<Arn<AcmCertificate>>>,
}

/// What a [`Listener`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListenerOutputs {
    /// Its Amazon Resource Name.
    pub arn: Output<Arn<Listener>>,
}

impl Listener {
    /// HTTP on this port: `Listener::http(80, balancer.arn).forward(targets.arn)`.
    pub fn http(port: u16, balancer: impl Into<Input<Arn<LoadBalancer>>>) -> ListenerPort {
        ListenerPort { balancer: balancer.into(), port, certificate: None }
    }

    /// HTTPS on this port, with this certificate.
    pub fn https(
        port: u16,
        balancer: impl Into<Input<Arn<LoadBalancer>>>,
        certificate: impl Into<Input<Arn<AcmCertificate>>>,
    ) -> ListenerPort {
        ListenerPort { certificate: Some(certificate.into()), ..Self::http(port, balancer) }
    }

    /// HTTP on this port, where clients are sent to HTTPS: `Listener::redirect_to_https(80, balancer.arn)`.
    pub fn redirect_to_https(port: u16, balancer: impl Into<Input<Arn<LoadBalancer>>>) -> Self {
        Self::http(port, balancer).action(Action::redirect_to_https())
    }

    /// Whether no request is answered in the clear.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.certificate.is_some() || self.action.as_ref().is_some_and(Action::leads_to_https)
    }

    fn settings(&self) -> Result<Settings, ProviderError> {
        let certificate = self.certificate.as_ref().map(Input::known).transpose()?;
        let action = match (&self.forward, &self.action) {
            (Some(targets), None) => Some(Action::forward(targets.clone())),
            (_, action) => action.clone(),
        };
        Ok(Settings {
            port: self.port.into(),
            policy: certificate.as_ref().map(|_| self.ssl_policy.clone().unwrap_or_else(|| SSL_POLICY.to_owned())),
            certificate: certificate.map(String::from),
            action,
        })
    }

    fn others(&self) -> Result<BTreeSet<String>, ProviderError> {
        self.other_certificates.iter().map(|certificate| Ok(certificate.known()?.into())).collect()
    }
}

impl ListenerPort {
    /// Hands every request to this target group.
    pub fn forward(self, targets: impl Into<Input<Arn<TargetGroup>>>) -> Listener {
        Listener { forward: Some(targets.into()), ..self.listener() }
    }

    /// Does this with every request that no rule is for.
    pub fn action(self, action: Action) -> Listener {
        Listener { action: Some(action), ..self.listener() }
    }

    fn listener(self) -> Listener {
        let Self { balancer, port, certificate } = self;
        Listener {
            balancer,
            port,
            certificate,
            other_certificates: Vec::new(),
            ssl_policy: None,
            forward: None,
            action: None,
            tags: BTreeMap::new(),
        }
    }
}

impl Resource for Listener {
    const TYPE: &'static str = "aws:elbv2:Listener";
    type Outputs = ListenerOutputs;

    fn schema() -> Schema {
        // A target group serves one balancer only, so the old listener lets go of it first.
        Schema::new().replace_on(["balancer"]).delete_before_replace().regional(["arn"])
    }
}

impl AwsResource for Listener {}

impl Handler for Listener {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.action.iter().flat_map(|action| action.problems("action")).collect();
        if self.port == 0 {
            problems.push(Problem::new("port", "there is no port 0"));
        }
        if self.forward.is_some() == self.action.is_some() {
            problems.push(
                Problem::new("action", "a listener has either a `forward` or an `action`")
                    .hint("write `Listener::http(80, balancer).forward(targets)` or `.action(…)`"),
            );
        }
        if self.certificate.is_none() && (self.ssl_policy.is_some() || !self.other_certificates.is_empty()) {
            problems.push(
                Problem::new("certificate", "only HTTPS listeners have other certificates and a security policy")
                    .hint("give it a certificate: `Listener::https`"),
            );
        }
        problems
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        let balancer = inputs.balancer.known()?;
        let settings = inputs.settings()?;
        let answer = elbv2
            .create_listener()
            .load_balancer_arn(balancer.as_str())
            .protocol(settings.protocol())
            .port(settings.port)
            .set_certificates(settings.certificates())
            .set_ssl_policy(settings.policy.clone())
            .set_default_actions(settings.actions()?)
            .set_tags(Some(tags::elbv2_with(cx, &inputs.tags)))
            .send()
            .await
            .context("CreateListener");
        let listener = match answer {
            Ok(answer) => answer.listeners.unwrap_or_default().pop().ok_or_else(|| lost(balancer.as_str()))?,
            // The SDK repeats a request whose answer was lost.
            Err(error) if error.kind == ErrorKind::AlreadyExists => {
                ours(cx, &elbv2, inputs).await?.ok_or_else(|| {
                    error.hint("the balancer already listens on this port: choose another one, or delete that listener")
                })?
            }
            Err(error) => return Err(error.into()),
        };
        let created = Created { inputs: None, ..created(&listener, inputs, BTreeSet::new(), BTreeMap::new()) };
        match converge_certificates(&elbv2, &created.id, inputs).await {
            Ok(()) => Ok(created),
            Err(error) => Err(created.failed(error)),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        live(&elbv2, &prior.id, &prior.inputs).await
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        let listener = describe(&elbv2, &prior.id).await?.ok_or_else(|| lost(&prior.id))?;
        let settings = inputs.settings()?;
        if !Settings::of(&listener).is_same(&settings) {
            elbv2
                .modify_listener()
                .listener_arn(&prior.id)
                .protocol(settings.protocol())
                .port(settings.port)
                .set_certificates(settings.certificates())
                .set_ssl_policy(settings.policy.clone())
                .set_default_actions(settings.actions()?)
                .send()
                .await
                .context("ModifyListener")?;
        }
        converge_certificates(&elbv2, &prior.id, inputs).await?;
        tags::elbv2_retag(&elbv2, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        elbv2.delete_listener().listener_arn(&prior.id).send().await.context("DeleteListener")?;
        Ok(())
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        let Some(listener) = describe(&elbv2, id).await? else {
            return Ok(None);
        };
        if Action::living(listener.default_actions()).is_none() {
            return Err(ProviderError::refused(format!(
                "the listener `{id}` has an action that cannot be declared here"
            ))
            .hint("only forward, redirect and fixed-response actions can be declared"));
        }
        let balancer = Arn::from(listener.load_balancer_arn().unwrap_or_default());
        live(&elbv2, id, &Self::http(1, balancer).listener()).await
    }

    fn recovery() -> Recovery<Self> {
        Recovery::key(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let elbv2 = cx.client().elbv2(cx.region()?).await;
                match ours(cx, &elbv2, inputs).await? {
                    None => Ok(Found::Absent),
                    Some(listener) => {
                        let arn = listener.listener_arn().unwrap_or_default();
                        Ok(Found::from(live(&elbv2, arn, inputs).await?))
                    }
                }
            })
        })
    }
}

/// What can change in place by `ModifyListener`.
#[derive(Clone, Debug)]
struct Settings {
    port: i32,
    certificate: Option<String>,
    policy: Option<String>,
    /// None for one that this library does not know.
    action: Option<Action>,
}

impl Settings {
    /// As the listener lives.
    fn of(listener: &Described) -> Self {
        Self {
            port: listener.port().unwrap_or_default(),
            certificate: listener.certificates().first().and_then(|certificate| certificate.certificate_arn.clone()),
            policy: listener.ssl_policy().filter(|policy| !policy.is_empty()).map(str::to_owned),
            action: Action::living(listener.default_actions()),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        let same = |one: &Action| other.action.as_ref().is_some_and(|other| one.is_same(other));
        (self.port, &self.certificate, &self.policy) == (other.port, &other.certificate, &other.policy)
            && self.action.as_ref().is_some_and(same)
    }

    fn protocol(&self) -> ProtocolEnum {
        if self.certificate.is_some() { ProtocolEnum::Https } else { ProtocolEnum::Http }
    }

    fn certificates(&self) -> Option<Vec<Certificate>> {
        Some(vec![shown(self.certificate.as_ref()?)])
    }

    fn actions(&self) -> Result<Option<Vec<aws_sdk_elasticloadbalancingv2::types::Action>>, ProviderError> {
        Ok(self.action.as_ref().map(Action::wanted).transpose()?.map(|action| vec![action]))
    }
}

fn shown(arn: &str) -> Certificate {
    Certificate::builder().certificate_arn(arn).build()
}

/// Brings the certificates for other names in order: new ones first, so that no name is without one.
async fn converge_certificates(elbv2: &Client, arn: &str, inputs: &Listener) -> Result<(), ProviderError> {
    if inputs.certificate.is_none() {
        return Ok(());
    }
    let (wanted, living) = (inputs.others()?, others(elbv2, arn).await?);
    let added: Vec<_> = wanted.difference(&living).map(|arn| shown(arn)).collect();
    let removed: Vec<_> = living.difference(&wanted).map(|arn| shown(arn)).collect();
    if !added.is_empty() {
        let call = elbv2.add_listener_certificates().listener_arn(arn).set_certificates(Some(added));
        call.send().await.context("AddListenerCertificates")?;
    }
    if !removed.is_empty() {
        let call = elbv2.remove_listener_certificates().listener_arn(arn).set_certificates(Some(removed));
        call.send().await.context("RemoveListenerCertificates")?;
    }
    Ok(())
}

/// The ARNs of the certificates for other names.
async fn others(elbv2: &Client, arn: &str) -> Result<BTreeSet<String>, AwsError> {
    let call = elbv2.describe_listener_certificates().listener_arn(arn).page_size(400);
    let answer = call.send().await.context("DescribeListenerCertificates")?;
    let others = answer.certificates().iter().filter(|certificate| certificate.is_default() != Some(true));
    Ok(others.filter_map(|certificate| certificate.certificate_arn.clone()).collect())
}

/// The listener as it lives, with what other calls tell.
async fn live(elbv2: &Client, arn: &str, recorded: &Listener) -> Result<Option<Created<Listener>>, ProviderError> {
    let Some(listener) = describe(elbv2, arn).await? else {
        return Ok(None);
    };
    let others = if listener.certificates().is_empty() { BTreeSet::new() } else { others(elbv2, arn).await? };
    let tags = own_tags(elbv2, arn, &recorded.tags).await?;
    Ok(Some(created(&listener, recorded, others, tags)))
}

async fn describe(elbv2: &Client, arn: &str) -> Result<Option<Described>, AwsError> {
    let answer = elbv2.describe_listeners().listener_arns(arn).send().await.context("DescribeListeners");
    Ok(found(answer)?.and_then(|answer| answer.listeners.unwrap_or_default().pop()))
}

/// The listener on this port of the balancer, if this very operation made it.
async fn ours(cx: &Context<'_, Aws>, elbv2: &Client, inputs: &Listener) -> Result<Option<Described>, ProviderError> {
    let balancer = inputs.balancer.known()?;
    let mut pages = elbv2.describe_listeners().load_balancer_arn(balancer.as_str()).into_paginator().items().send();
    while let Some(listener) = pages.next().await {
        match found(listener.context("DescribeListeners"))? {
            None => return Ok(None),
            Some(listener) if listener.port() != Some(inputs.port.into()) => {}
            Some(listener) => {
                let ours = is_ours(cx, elbv2, listener.listener_arn().unwrap_or_default()).await?;
                return Ok(ours.then_some(listener));
            }
        }
    }
    Ok(None)
}

fn lost(listener: &str) -> ProviderError {
    ProviderError::of(ErrorKind::NotFound, format!("the listener {listener} is gone"))
}

/// The listener as it lives, in the words of the recorded inputs where they say the same.
fn created(
    listener: &Described,
    recorded: &Listener,
    others: BTreeSet<String>,
    tags: BTreeMap<String, String>,
) -> Created<Listener> {
    let arn = listener.listener_arn().unwrap_or_default();
    let living = Settings::of(listener);
    let (forward, action) = match living.action {
        Some(action) if recorded.action.as_ref().is_some_and(|recorded| recorded.is_same(&action)) => {
            (None, recorded.action.clone())
        }
        Some(action) => match action.only_group() {
            Some(group) if recorded.action.is_none() => (Some(group.clone()), None),
            _ => (None, Some(action)),
        },
        None => (None, None),
    };
    let said_policy = |policy: &String| recorded.ssl_policy.is_some() || policy != SSL_POLICY;
    Created {
        id: arn.to_owned(),
        inputs: Some(Listener {
            balancer: recorded.balancer.clone(),
            port: u16::try_from(living.port).unwrap_or_default(),
            certificate: living.certificate.map(|arn| Arn::from(arn).into()),
            other_certificates: if recorded.others().is_ok_and(|recorded| recorded == others) {
                recorded.other_certificates.clone()
            } else {
                others.into_iter().map(|arn| Arn::from(arn).into()).collect()
            },
            ssl_policy: living.policy.filter(said_policy),
            forward,
            action,
            tags,
        }),
        outputs: ListenerOutputs { arn: Arn::from(arn).into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_elasticloadbalancingv2::types::{
        Action as Living, ActionTypeEnum, ForwardActionConfig, RedirectActionConfig, TargetGroupTuple,
    };

    fn listener() -> Listener {
        Listener::http(80, Arn::from("arn:balancer")).forward(Arn::from("arn:targets"))
    }

    fn lives(action: Living) -> Described {
        let described = Described::builder().listener_arn("arn:listener").load_balancer_arn("arn:balancer");
        described.port(80).protocol(ProtocolEnum::Http).default_actions(action).build()
    }

    #[test]
    fn what_lives_as_declared_shows_no_drift() {
        let json = |inputs: &Listener| serde_json::to_value(inputs).ok();
        let read = |action: Living, recorded: &Listener| {
            created(&lives(action), recorded, BTreeSet::new(), BTreeMap::new()).inputs
        };
        let action = Living::builder().r#type(ActionTypeEnum::Forward);
        let group = TargetGroupTuple::builder().target_group_arn("arn:targets").weight(1).build();
        let config = ForwardActionConfig::builder().target_groups(group).build();
        for action in [action.clone().target_group_arn("arn:targets"), action.clone().forward_config(config)] {
            assert_eq!(read(action.build(), &listener()).as_ref().and_then(json), json(&listener()));
        }
        let redirect = Living::builder()
            .r#type(ActionTypeEnum::Redirect)
            .redirect_config(RedirectActionConfig::builder().protocol("HTTPS").build());
        let changed = read(redirect.build(), &listener());
        assert!(changed.is_some_and(|inputs| inputs.forward.is_none() && inputs.action.is_some()));
    }

    #[test]
    fn what_was_recorded_before_there_were_actions_is_still_understood() {
        let recorded = serde_json::json!({"balancer": "b", "port": 80, "certificate": null, "forward": "t"});
        let recorded: Result<Listener, _> = serde_json::from_value(recorded);
        assert!(recorded.is_ok_and(|listener| listener.check().is_empty()));
    }

    #[test]
    fn a_certificate_makes_it_https() {
        let listener = Listener::https(443, Arn::from("b"), Arn::from("c")).forward(Arn::from("t"));
        assert_eq!(listener.settings().ok().map(|settings| settings.protocol()), Some(ProtocolEnum::Https));
        assert!(listener.check().is_empty() && listener.is_encrypted());
        assert_eq!(Listener { port: 0, ..listener.clone() }.check().len(), 1);
        assert_eq!(Listener { certificate: None, ssl_policy: Some("p".into()), ..listener }.check().len(), 1);
        let redirect = Listener::redirect_to_https(80, Arn::from("b"));
        assert!(redirect.check().is_empty() && redirect.is_encrypted());
        assert_eq!(Listener { action: None, ..redirect }.check().len(), 1);
    }
}
