//! `aws:elbv2:TargetGroupAttachment`: a target in a target group.

use super::target_group::TargetGroup;
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::Arn,
    region::AwsResource,
    wait,
};
use aws_sdk_elasticloadbalancingv2::{
    Client,
    types::{TargetDescription, TargetHealthDescription, TargetHealthReasonEnum},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, Found, Handler, Prior, Problem, ProviderError, Recovery},
    target::Readiness,
    value::Unresolved,
};
use serde::{Deserialize, Serialize};

/// An instance or an address that a target group hands requests to.
///
/// Made by `RegisterTargets` and taken out by `DeregisterTargets`, after which the requests under way are finished. The
/// instances of an Auto Scaling group need none: the group registers them itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetGroupAttachment {
    /// The target group.
    pub targets: Input<Arn<TargetGroup>>,
    /// The instance's id, or the address in a group of addresses.
    pub target: Input<String>,
    /// The port it listens on; the group's when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// What a [`TargetGroupAttachment`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetGroupAttachmentOutputs {
    /// The port that requests are sent to.
    pub port: Output<u16>,
}

impl TargetGroupAttachment {
    /// This target on the group's port: `TargetGroupAttachment::new(targets.arn, instance.id.format())`.
    pub fn new(targets: impl Into<Input<Arn<TargetGroup>>>, target: impl Into<Input<String>>) -> Self {
        Self { targets: targets.into(), target: target.into(), port: None }
    }

    fn wanted(&self) -> Result<TargetDescription, Unresolved> {
        let target = TargetDescription::builder().id(self.target.known()?);
        Ok(target.set_port(self.port.map(i32::from)).build())
    }

    /// Target group, target and port.
    fn id(&self, port: i32) -> Result<String, Unresolved> {
        Ok(format!("{}|{}|{port}", self.targets.known()?, self.target.known()?))
    }
}

impl Resource for TargetGroupAttachment {
    const TYPE: &'static str = "aws:elbv2:TargetGroupAttachment";
    type Outputs = TargetGroupAttachmentOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["targets", "target", "port"])
    }
}

impl AwsResource for TargetGroupAttachment {}

impl Handler for TargetGroupAttachment {
    type Client = Aws;

    const IMPORTABLE: bool = false;

    fn check(&self) -> Vec<Problem> {
        (self.port == Some(0)).then(|| Problem::new("port", "there is no port 0")).into_iter().collect()
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        let arn = inputs.targets.known()?;
        let call = elbv2.register_targets().target_group_arn(arn.as_str()).targets(inputs.wanted()?);
        call.send().await.context("RegisterTargets")?;
        let status = "waiting until the target is registered";
        wait::until(cx, status, wait::CONSISTENCY, async || living(&elbv2, inputs).await).await
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        living(&elbv2, &prior.inputs).await
    }

    async fn update(_: &Context<'_, Aws>, prior: &Prior<Self>, _: &Self) -> Result<Self::Outputs, ProviderError> {
        // Whatever changes forces a replacement.
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        let inputs = &prior.inputs;
        let arn = inputs.targets.known()?;
        let call = elbv2.deregister_targets().target_group_arn(arn.as_str()).targets(inputs.wanted()?);
        found(call.send().await.context("DeregisterTargets"))?;
        if cx.client().readiness() == Readiness::ControlPlane {
            return Ok(());
        }
        wait::until(cx, "waiting until the target has finished its requests", wait::PATIENCE, async || {
            Ok(health(&elbv2, inputs).await?.is_none().then_some(()))
        })
        .await
    }

    fn recovery() -> Recovery<Self> {
        // Registering twice is the same as once, and whoever registered it: it is this target in this group.
        Recovery::key(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let elbv2 = cx.client().elbv2(cx.region()?).await;
                Ok(Found::from(living(&elbv2, inputs).await?))
            })
        })
    }
}

/// The target as it is registered; one that is on its way out is not.
async fn living(
    elbv2: &Client,
    inputs: &TargetGroupAttachment,
) -> Result<Option<Created<TargetGroupAttachment>>, ProviderError> {
    let Some(health) = health(elbv2, inputs).await? else {
        return Ok(None);
    };
    let leaving = Some(&TargetHealthReasonEnum::DeregistrationInProgress);
    if health.target_health().and_then(|health| health.reason()) == leaving {
        return Ok(None);
    }
    let port = health.target().and_then(TargetDescription::port).unwrap_or_default();
    let outputs = TargetGroupAttachmentOutputs { port: u16::try_from(port).unwrap_or_default().into() };
    Ok(Some(Created::new(inputs.id(port)?, outputs)))
}

/// What the group says of the target; nothing of one that is not registered.
async fn health(
    elbv2: &Client,
    inputs: &TargetGroupAttachment,
) -> Result<Option<TargetHealthDescription>, ProviderError> {
    let arn = inputs.targets.known()?;
    let call = elbv2.describe_target_health().target_group_arn(arn.as_str()).targets(inputs.wanted()?);
    let answer: Result<_, AwsError> = call.send().await.context("DescribeTargetHealth");
    let answer = match answer {
        // AWS does not know the instance any more.
        Err(error) if error.is(&["InvalidTarget"]) => return Ok(None),
        answer => found(answer)?,
    };
    let found = answer.and_then(|answer| answer.target_health_descriptions.unwrap_or_default().pop());
    let not_registered = Some(&TargetHealthReasonEnum::NotRegistered);
    Ok(found.filter(|found| found.target_health().and_then(|health| health.reason()) != not_registered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_says_what_is_where() {
        let attachment = TargetGroupAttachment::new(Arn::from("arn:targets"), "i-1".to_owned());
        assert_eq!(attachment.id(8080).ok().as_deref(), Some("arn:targets|i-1|8080"));
        assert!(attachment.check().is_empty());
        assert_eq!(TargetGroupAttachment { port: Some(0), ..attachment }.check().len(), 1);
    }
}
