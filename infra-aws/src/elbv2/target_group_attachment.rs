//! `aws:elb:TargetGroupAttachment`: a target in a target group.

use super::target_group::TargetGroup;
use crate::{error::AwsError, prelude::*};
use aws_sdk_elasticloadbalancingv2::{
    Client,
    types::{TargetDescription, TargetHealthDescription, TargetHealthReasonEnum},
};
use infra_core::{target::Readiness, value::Unresolved};

/// A target of a target group: an instance or an IP address that is registered with it.
///
/// The instances of an [`AutoScalingGroup`](crate::AutoScalingGroup) need none: their group registers them.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let network = virginia.lookup(DefaultVpc);
/// let host = virginia.add("host", Instance::new("t3.micro"));
/// let targets = virginia.add("targets", TargetGroup::http(80, network.vpc_id));
/// virginia.add("target", TargetGroupAttachment {
///     port: Some(8080),
///     ..TargetGroupAttachment::new(targets.arn, host.id.cast::<String>())
/// });
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `RegisterTargets`; `DescribeTargetHealth` until the target is registered
/// - Read: `DescribeTargetHealth`
/// - Update: none
/// - Delete: `DeregisterTargets`; `DescribeTargetHealth` until the requests to the target have finished
///
/// # Replacement
/// Every change replaces the attachment, because a registration cannot change. The new target is registered before the
/// previous one is deregistered. When a replacement is requested by `up --replace`, the previous registration
/// is deleted first, because both are the same.
///
/// # Import
/// Attachments cannot be imported. The declaration of a target that is registered already adopts the registration.
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:elb:TargetGroupAttachment")]
pub struct TargetGroupAttachment {
    /// ARN of the target group. A change replaces the attachment.
    #[resource(replace, key)]
    pub targets: Input<Arn<TargetGroup>>,
    /// Id of the instance, or the IP address if the group's `target_type` is [`TargetType::Ip`](crate::TargetType::Ip).
    /// A change replaces the attachment.
    #[resource(replace, key)]
    pub target: Input<String>,
    /// Port on which the target listens, 1 to 65,535; the group's port when omitted. A change replaces the attachment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[resource(replace, key)]
    pub port: Option<u16>,
}

/// Outputs of a [`TargetGroupAttachment`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct TargetGroupAttachmentOutputs {
    /// Port to which requests are sent, 1 to 65,535.
    pub port: Output<u16>,
}

impl TargetGroupAttachment {
    /// Returns this target on the group's port: `TargetGroupAttachment::new(targets.arn, instance.id.format())`.
    pub fn new(targets: impl Into<Input<Arn<TargetGroup>>>, target: impl Into<Input<String>>) -> Self {
        Self { targets: targets.into(), target: target.into(), port: None }
    }

    fn description(&self) -> Result<TargetDescription, Unresolved> {
        let target = TargetDescription::builder().id(self.target.known()?);
        Ok(target.set_port(self.port.map(i32::from)).build())
    }
}

impl AwsResource for TargetGroupAttachment {}

impl Described for TargetGroupAttachment {
    type Client = Aws;
    type Api = Client;
    /// ARN of the group, and the registered target.
    type Description = (String, TargetDescription);

    // A second registration of a target has no effect.
    const FOUND_BY: FoundBy = FoundBy::Key;
    const IMPORTABLE: bool = false;

    fn check(&self) -> Vec<Problem> {
        (self.port == Some(0)).then(|| Problem::new("port", "port 0 does not exist")).into_iter().collect()
    }

    async fn create(cx: &Context<'_>, elbv2: &Client, inputs: &Self) -> Result<Self::Description> {
        let arn = inputs.targets.known()?;
        let call = elbv2.register_targets().target_group_arn(arn.as_str()).targets(inputs.description()?);
        call.send().await.context("RegisterTargets")?;
        wait::until(cx, "waiting until the target is registered", wait::CONSISTENCY, async || {
            Self::find_created(cx, elbv2, inputs).await
        })
        .await
    }

    async fn delete(cx: &Context<'_>, elbv2: &Client, prior: &Prior<Self>) -> Result<()> {
        let (arn, target) = (prior.inputs.targets.known()?, prior.inputs.description()?);
        let call = elbv2.deregister_targets().target_group_arn(arn.as_str()).targets(target.clone());
        found(call.send().await.context("DeregisterTargets"))?;
        if cx.client().readiness() == Readiness::ControlPlane {
            return Ok(());
        }
        wait::until(cx, "waiting until the requests to the target are completed", wait::TIMEOUT, async || {
            Ok(health(elbv2, arn.as_str(), &target).await?.is_none().then_some(()))
        })
        .await
    }

    async fn describe(_: &Context<'_>, elbv2: &Client, id: &str) -> Result<Option<Self::Description>> {
        let (arn, target) = parts(id).ok_or_else(|| ProviderError::refused(format!("`{id}` is no attachment")))?;
        registered(elbv2, arn, &target).await
    }

    async fn find_created(_: &Context<'_>, elbv2: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        registered(elbv2, inputs.targets.known()?.as_str(), &inputs.description()?).await
    }

    fn normalize((arn, target): &Self::Description, _: Option<&Self>) -> Created<Self> {
        let port = target.port().and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
        Created::new(id(arn, target), TargetGroupAttachmentOutputs { port: port.into() })
    }
}

/// Returns group, target and port.
fn id(arn: &str, target: &TargetDescription) -> String {
    format!("{arn}|{}|{}", target.id().unwrap_or_default(), target.port().unwrap_or_default())
}

fn parts(id: &str) -> Option<(&str, TargetDescription)> {
    let (rest, port) = id.rsplit_once('|')?;
    let (arn, target) = rest.split_once('|')?;
    Some((arn, TargetDescription::builder().id(target).set_port(port.parse().ok()).build()))
}

/// Returns a target that is registered and not being deregistered.
async fn registered(
    elbv2: &Client,
    arn: &str,
    target: &TargetDescription,
) -> Result<Option<(String, TargetDescription)>> {
    let leaving = Some(&TargetHealthReasonEnum::DeregistrationInProgress);
    let health = health(elbv2, arn, target).await?;
    let health = health.filter(|health| health.target_health().and_then(|health| health.reason()) != leaving);
    Ok(health.and_then(|health| Some((arn.to_owned(), health.target?))))
}

/// Returns the health of a registered target.
async fn health(elbv2: &Client, arn: &str, target: &TargetDescription) -> Result<Option<TargetHealthDescription>> {
    let call = elbv2.describe_target_health().target_group_arn(arn).targets(target.clone());
    let response: Result<_, AwsError> = call.send().await.context("DescribeTargetHealth");
    let response = match response {
        // The instance does not exist any more.
        Err(error) if error.has_code(&["InvalidTarget"]) => return Ok(None),
        response => found(response)?,
    };
    let health = response.and_then(|response| response.target_health_descriptions?.pop());
    let unregistered = Some(&TargetHealthReasonEnum::NotRegistered);
    Ok(health.filter(|health| health.target_health().and_then(|health| health.reason()) != unregistered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_contains_group_target_and_port() {
        let target = TargetDescription::builder().id("i-1").port(8080).build();
        assert_eq!(id("arn:targets", &target), "arn:targets|i-1|8080");
        assert_eq!(parts("arn:targets|i-1|8080"), Some(("arn:targets", target)));
        assert_eq!(parts("arn:targets"), None);
    }

    #[test]
    fn check_refuses_port_0() {
        let attachment = TargetGroupAttachment::new(Arn::from("arn:targets"), "i-1".to_owned());
        assert!(attachment.check().is_empty());
        assert_eq!(TargetGroupAttachment { port: Some(0), ..attachment }.check().len(), 1);
    }
}
