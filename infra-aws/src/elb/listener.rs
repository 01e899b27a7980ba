//! `aws:elb:Listener`: a port of a balancer.

use super::{is_ours, load_balancer::LoadBalancer, target_group::TargetGroup};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::Arn,
    region::AwsResource,
    tags,
};
use aws_sdk_elasticloadbalancingv2::{
    Client,
    types::{Action, ActionTypeEnum, Certificate, ForwardActionConfig, Listener as Described, ProtocolEnum},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};

/// A port that a balancer listens on, and to whom it hands what arrives there.
///
/// Made by `CreateListener`, changed in place by `ModifyListener`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listener {
    /// The balancer.
    pub balancer: Input<Arn<LoadBalancer>>,
    /// The port.
    pub port: u16,
    /// The ARN of the certificate it shows; without one it speaks plain HTTP.
    pub certificate: Option<Input<String>>,
    /// Who gets the requests.
    pub forward: Input<Arn<TargetGroup>>,
}

/// A [`Listener`] that still has to be told whom it hands requests to.
#[derive(Clone, Debug)]
pub struct ListenerPort {
    balancer: Input<Arn<LoadBalancer>>,
    port: u16,
    certificate: Option<Input<String>>,
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

    /// HTTPS on this port, with the certificate of this ARN.
    pub fn https(
        port: u16,
        balancer: impl Into<Input<Arn<LoadBalancer>>>,
        certificate: impl Into<Input<String>>,
    ) -> ListenerPort {
        ListenerPort { certificate: Some(certificate.into()), ..Self::http(port, balancer) }
    }

    fn settings(&self) -> Result<Settings, ProviderError> {
        Ok(Settings {
            port: self.port.into(),
            certificate: self.certificate.as_ref().map(Input::known).transpose()?,
            forward: self.forward.known()?.into(),
        })
    }
}

impl ListenerPort {
    /// Hands every request to this target group.
    pub fn forward(self, targets: impl Into<Input<Arn<TargetGroup>>>) -> Listener {
        let Self { balancer, port, certificate } = self;
        Listener { balancer, port, certificate, forward: targets.into() }
    }
}

impl Resource for Listener {
    const TYPE: &'static str = "aws:elb:Listener";
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
        (self.port == 0).then(|| Problem::new("port", "there is no port 0")).into_iter().collect()
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let elb = cx.client().balancing(cx.region()?).await;
        let balancer = inputs.balancer.known()?;
        let settings = inputs.settings()?;
        let answer = elb
            .create_listener()
            .load_balancer_arn(balancer.as_str())
            .protocol(settings.protocol())
            .port(settings.port)
            .set_certificates(settings.certificates())
            .default_actions(settings.action())
            .set_tags(Some(tags::balancing(cx)))
            .send()
            .await
            .context("CreateListener");
        let listener = match answer {
            Ok(answer) => answer.listeners.unwrap_or_default().pop().ok_or_else(|| lost(balancer.as_str()))?,
            // The SDK repeats a request whose answer was lost.
            Err(error) if error.kind == ErrorKind::AlreadyExists => ours(cx, &elb, inputs).await?.ok_or_else(|| {
                error.hint("the balancer already listens on this port: choose another one, or delete that listener")
            })?,
            Err(error) => return Err(error.into()),
        };
        Ok(Created { inputs: None, ..created(&listener, inputs) })
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let elb = cx.client().balancing(cx.region()?).await;
        Ok(describe(&elb, &prior.id).await?.map(|listener| created(&listener, &prior.inputs)))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let elb = cx.client().balancing(cx.region()?).await;
        let listener = describe(&elb, &prior.id).await?.ok_or_else(|| lost(&prior.id))?;
        let settings = inputs.settings()?;
        if Settings::of(&listener) != settings {
            elb.modify_listener()
                .listener_arn(&prior.id)
                .protocol(settings.protocol())
                .port(settings.port)
                .set_certificates(settings.certificates())
                .default_actions(settings.action())
                .send()
                .await
                .context("ModifyListener")?;
        }
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let elb = cx.client().balancing(cx.region()?).await;
        elb.delete_listener().listener_arn(&prior.id).send().await.context("DeleteListener")?;
        Ok(())
    }

    fn recovery() -> Recovery<Self> {
        Recovery::key(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let elb = cx.client().balancing(cx.region()?).await;
                let listener = ours(cx, &elb, inputs).await?;
                Ok(Found::from(listener.map(|listener| created(&listener, inputs))))
            })
        })
    }
}

/// What can change in place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Settings {
    port: i32,
    certificate: Option<String>,
    forward: String,
}

impl Settings {
    /// As the listener lives. One that does something else than forwarding forwards to nobody.
    fn of(listener: &Described) -> Self {
        let target = |action: &Action| {
            let config = action.forward_config().map(ForwardActionConfig::target_groups);
            let only = config.and_then(|groups| groups.first().filter(|_| groups.len() == 1));
            let group = action.target_group_arn().or(only.and_then(|group| group.target_group_arn()));
            group.filter(|_| action.r#type() == Some(&ActionTypeEnum::Forward)).map(str::to_owned)
        };
        Self {
            port: listener.port().unwrap_or_default(),
            certificate: listener.certificates().first().and_then(|certificate| certificate.certificate_arn.clone()),
            forward: listener.default_actions().iter().find_map(target).unwrap_or_default(),
        }
    }

    fn protocol(&self) -> ProtocolEnum {
        if self.certificate.is_some() { ProtocolEnum::Https } else { ProtocolEnum::Http }
    }

    fn certificates(&self) -> Option<Vec<Certificate>> {
        let arn = self.certificate.as_ref()?;
        Some(vec![Certificate::builder().certificate_arn(arn).build()])
    }

    fn action(&self) -> Action {
        Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(&self.forward).build()
    }
}

async fn describe(elb: &Client, arn: &str) -> Result<Option<Described>, AwsError> {
    let answer = elb.describe_listeners().listener_arns(arn).send().await.context("DescribeListeners");
    Ok(found(answer)?.and_then(|answer| answer.listeners.unwrap_or_default().pop()))
}

/// The listener on this port of the balancer, if this very operation made it.
async fn ours(cx: &Context<'_, Aws>, elb: &Client, inputs: &Listener) -> Result<Option<Described>, ProviderError> {
    let balancer = inputs.balancer.known()?;
    let mut pages = elb.describe_listeners().load_balancer_arn(balancer.as_str()).into_paginator().items().send();
    while let Some(listener) = pages.next().await {
        match found(listener.context("DescribeListeners"))? {
            None => return Ok(None),
            Some(listener) if listener.port() != Some(inputs.port.into()) => {}
            Some(listener) => {
                let ours = is_ours(cx, elb, listener.listener_arn().unwrap_or_default()).await?;
                return Ok(ours.then_some(listener));
            }
        }
    }
    Ok(None)
}

fn lost(listener: &str) -> ProviderError {
    ProviderError::of(ErrorKind::NotFound, format!("the listener {listener} is gone"))
}

fn created(listener: &Described, recorded: &Listener) -> Created<Listener> {
    let arn = listener.listener_arn().unwrap_or_default();
    let settings = Settings::of(listener);
    Created {
        id: arn.to_owned(),
        inputs: Some(Listener {
            balancer: recorded.balancer.clone(),
            port: u16::try_from(settings.port).unwrap_or_default(),
            certificate: settings.certificate.map(Into::into),
            forward: Arn::from(settings.forward).into(),
        }),
        outputs: ListenerOutputs { arn: Arn::from(arn).into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_elasticloadbalancingv2::types::TargetGroupTuple;

    fn listener() -> Listener {
        Listener::http(80, Arn::from("arn:balancer")).forward(Arn::from("arn:targets"))
    }

    fn lives(action: Action) -> Described {
        let described = Described::builder().listener_arn("arn:listener").load_balancer_arn("arn:balancer");
        described.port(80).protocol(ProtocolEnum::Http).default_actions(action).build()
    }

    #[test]
    fn what_lives_as_declared_shows_no_drift() {
        let json = |inputs: &Listener| serde_json::to_value(inputs).ok();
        let action = Action::builder().r#type(ActionTypeEnum::Forward);
        let group = TargetGroupTuple::builder().target_group_arn("arn:targets").build();
        let config = ForwardActionConfig::builder().target_groups(group).build();
        for action in [action.clone().target_group_arn("arn:targets"), action.clone().forward_config(config)] {
            let read = created(&lives(action.build()), &listener()).inputs;
            assert_eq!(read.as_ref().and_then(json), json(&listener()));
        }
        let redirect = Action::builder().r#type(ActionTypeEnum::Redirect).build();
        assert_eq!(Settings::of(&lives(redirect)).forward, "");
    }

    #[test]
    fn a_certificate_makes_it_https() {
        let listener = Listener::https(443, Arn::from("b"), "arn:certificate").forward(Arn::from("t"));
        assert_eq!(listener.settings().ok().map(|settings| settings.protocol()), Some(ProtocolEnum::Https));
        assert!(listener.check().is_empty());
        assert_eq!(Listener { port: 0, ..listener }.check().len(), 1);
    }
}
