//! `aws:elb:Listener`: a port of a load balancer.

use super::{action::Action, load_balancer::LoadBalancer, retag, tags_of, target_group::TargetGroup};
use crate::{acm::certificate::Certificate as AcmCertificate, prelude::*};
use aws_sdk_elasticloadbalancingv2::{
    Client,
    types::{self, Certificate, ProtocolEnum},
};
use std::collections::BTreeSet;

/// A listener: a port of a load balancer, with the action for requests that meet no rule.
///
/// With a certificate it accepts HTTPS, otherwise HTTP. [`ListenerRule`](crate::ListenerRule)s add actions for some
/// requests.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let network = virginia.lookup(DefaultVpc);
/// # let balancer = virginia.add("balancer", LoadBalancer::application(network.subnets, []));
/// # let targets = virginia.add("targets", TargetGroup::http(8080, network.vpc_id));
/// # let certificate = virginia.add("certificate", Certificate::self_signed(["shop.example.org"]));
/// virginia.add("http", Listener::redirect_to_https(80, &balancer.arn));
/// virginia.add("https", Listener {
///     ssl_policy: Some("ELBSecurityPolicy-TLS13-1-2-2021-06".into()),
///     ..Listener::https(443, &balancer.arn, certificate.arn).forward(targets.arn)
/// });
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `CreateListener`; `AddListenerCertificates`
/// - Read: `DescribeListeners`, `DescribeListenerCertificates` for HTTPS, `DescribeTags`
/// - Update: those of a read, `ModifyListener`, `AddListenerCertificates`, `RemoveListenerCertificates`, `AddTags`,
///   `RemoveTags`
/// - Delete: `DeleteListener`
///
/// # Replacement
/// A change of `balancer` replaces the listener. The previous listener is deleted first, because a target group serves
/// one balancer only. All other changes, of the port too, are made in place.
///
/// # Import
/// The import takes the ARN of the listener. Its action has to forward, redirect or respond.
///
/// ```console
/// $ stack import aws:elb:Listener https arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/web/50dc6c495c0c9188/f2f7dc8efc522ab2 --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:elb:Listener", delete_before_replace)]
pub struct Listener {
    /// ARN of the load balancer. A change replaces the listener.
    #[resource(replace)]
    pub balancer: Input<Arn<LoadBalancer>>,
    /// Port of the listener, 1 to 65,535; unique for the balancer.
    pub port: u16,
    /// ARN of the default certificate; the listener accepts plain HTTP when omitted.
    pub certificate: Option<Input<Arn<AcmCertificate>>>,
    /// ARNs of the certificates for other host names; none by default. They need a `certificate`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_certificates: Vec<Input<Arn<AcmCertificate>>>,
    /// Security policy of an HTTPS listener, which determines the versions of TLS and the ciphers:
    /// `ELBSecurityPolicy-TLS13-1-2-2021-06`. `ELBSecurityPolicy-2016-08` when omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssl_policy: Option<String>,
    /// ARN of the target group to which all requests are forwarded. A listener has either a `forward` or an `action`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<Input<Arn<TargetGroup>>>,
    /// Another action for requests that meet no rule. A listener has either a `forward` or an `action`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`Listener`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct ListenerOutputs {
    /// Amazon Resource Name of the listener.
    #[output(regional)]
    pub arn: Output<Arn<Listener>>,
}

/// A [`Listener`] without its action.
#[derive(Clone, Debug)]
pub struct ListenerPort {
    balancer: Input<Arn<LoadBalancer>>,
    port: u16,
    certificate: Option<Input<Arn<AcmCertificate>>>,
}

/// Default security policy.
const SSL_POLICY: &str = "ELBSecurityPolicy-2016-08";

impl Listener {
    /// Returns an HTTP listener on this port: `Listener::http(80, balancer.arn).forward(targets.arn)`.
    pub fn http(port: u16, balancer: impl Into<Input<Arn<LoadBalancer>>>) -> ListenerPort {
        ListenerPort { balancer: balancer.into(), port, certificate: None }
    }

    /// Returns an HTTPS listener on this port, with this certificate.
    pub fn https(
        port: u16,
        balancer: impl Into<Input<Arn<LoadBalancer>>>,
        certificate: impl Into<Input<Arn<AcmCertificate>>>,
    ) -> ListenerPort {
        ListenerPort { certificate: Some(certificate.into()), ..Self::http(port, balancer) }
    }

    /// Returns an HTTP listener that redirects clients to HTTPS: `Listener::redirect_to_https(80, balancer.arn)`.
    pub fn redirect_to_https(port: u16, balancer: impl Into<Input<Arn<LoadBalancer>>>) -> Self {
        Self::http(port, balancer).action(Action::redirect_to_https())
    }

    /// Returns whether the listener serves no content over plain HTTP.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.certificate.is_some() || self.action.as_ref().is_some_and(Action::leads_to_https)
    }

    fn settings(&self) -> Result<Settings> {
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

    fn others(&self) -> Result<BTreeSet<String>> {
        self.other_certificates.iter().map(|certificate| Ok(certificate.known()?.into())).collect()
    }
}

impl ListenerPort {
    /// Forwards every request to this target group.
    pub fn forward(self, targets: impl Into<Input<Arn<TargetGroup>>>) -> Listener {
        Listener { forward: Some(targets.into()), ..self.listener() }
    }

    /// Performs this action for every request that meets no rule.
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

impl AwsResource for Listener {}

impl Described for Listener {
    type Client = Aws;
    type Api = Client;
    /// The listener, the ARNs of its other certificates, and its tags.
    type Description = (types::Listener, BTreeSet<String>, Vec<types::Tag>);

    const FOUND_BY: FoundBy = FoundBy::Key;
    const CONFLICT: &'static str = "choose another port, import the balancer's listener on this port, or delete it";

    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.action.iter().flat_map(|action| action.problems("action")).collect();
        if self.port == 0 {
            problems.push(Problem::new("port", "port 0 does not exist"));
        }
        if self.forward.is_some() == self.action.is_some() {
            problems.push(
                Problem::new("action", "a listener has either a `forward` or an `action`")
                    .hint("write `Listener::http(80, balancer).forward(targets)` or `.action(…)`"),
            );
        }
        if self.certificate.is_none() && (self.ssl_policy.is_some() || !self.other_certificates.is_empty()) {
            problems.push(
                Problem::new("certificate", "only an HTTPS listener has other certificates and a security policy")
                    .hint("add a certificate: `Listener::https`"),
            );
        }
        problems
    }

    fn check_import((listener, ..): &Self::Description) -> Result<()> {
        if Action::from_sdk(listener.default_actions()).is_some() {
            return Ok(());
        }
        let arn = listener.listener_arn().unwrap_or_default();
        Err(ProviderError::refused(format!("the listener `{arn}` has an action that cannot be declared"))
            .hint("only forward, redirect and fixed-response actions can be declared"))
    }

    async fn create(cx: &Context<'_>, elbv2: &Client, inputs: &Self) -> Result<Self::Description> {
        let settings = inputs.settings()?;
        let tags = tags::for_create(cx, &inputs.tags);
        let response = elbv2
            .create_listener()
            .load_balancer_arn(inputs.balancer.known()?.as_str())
            .protocol(settings.protocol())
            .port(settings.port)
            .set_certificates(settings.certificates())
            .set_ssl_policy(settings.policy.clone())
            .set_default_actions(settings.actions()?)
            .set_tags(Some(tags.clone()))
            .send()
            .await
            .context("CreateListener")?;
        let created = response.listeners.and_then(|mut created| created.pop());
        let created = created.ok_or_else(|| ProviderError::unsure("CreateListener returned no listener"))?;
        Ok((created, BTreeSet::new(), tags))
    }

    async fn apply(cx: &Context<'_>, elbv2: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let (arn, new) = (update.id, update.new);
        let mut existing = BTreeSet::new();
        if update.old.is_some() {
            let (listener, others, _) = Self::require(cx, elbv2, arn).await?;
            modify(elbv2, &listener, &new.settings()?).await?;
            existing = others;
        }
        if new.certificate.is_some() {
            replace_certificates(elbv2, arn, &existing, &new.others()?).await?;
        }
        retag(elbv2, arn, update.old.map(|old| &old.tags), &new.tags).await?;
        Ok(update.outputs.clone())
    }

    async fn delete(_: &Context<'_>, elbv2: &Client, prior: &Prior<Self>) -> Result<()> {
        elbv2.delete_listener().listener_arn(&prior.id).send().await.context("DeleteListener")?;
        Ok(())
    }

    async fn describe(_: &Context<'_>, elbv2: &Client, arn: &str) -> Result<Option<Self::Description>> {
        let response = found(elbv2.describe_listeners().listener_arns(arn).send().await.context("DescribeListeners"))?;
        let Some(listener) = response.and_then(|response| response.listeners?.pop()) else { return Ok(None) };
        let mut others = BTreeSet::new();
        if !listener.certificates().is_empty() {
            let call = elbv2.describe_listener_certificates().listener_arn(arn).page_size(400);
            let response = call.send().await.context("DescribeListenerCertificates")?;
            let found = response.certificates.into_iter().flatten();
            others.extend(
                found.filter(|found| found.is_default() != Some(true)).filter_map(|found| found.certificate_arn),
            );
        }
        Ok(Some((listener, others, tags_of(elbv2, arn).await?)))
    }

    /// Finds the listener by the balancer and the port.
    async fn find_created(cx: &Context<'_>, elbv2: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        let balancer = inputs.balancer.known()?;
        let mut pages = elbv2.describe_listeners().load_balancer_arn(balancer.as_str()).into_paginator().items().send();
        while let Some(listener) = pages.next().await {
            let Some(listener) = found(listener.context("DescribeListeners"))? else { return Ok(None) };
            if listener.port() == Some(inputs.port.into()) {
                let existing = Self::describe(cx, elbv2, listener.listener_arn().unwrap_or_default()).await?;
                return Ok(existing.filter(|(.., tags)| tags::are_of_operation(cx, tags)));
            }
        }
        Ok(None)
    }

    fn normalize((listener, others, tags): &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let arn = listener.listener_arn().unwrap_or_default();
        let settings = Settings::of(listener);
        let recorded_action = recorded.and_then(|recorded| recorded.action.as_ref());
        let (forward, action) = match settings.action {
            Some(action) if recorded_action.is_some_and(|recorded| recorded.is_same(&action)) => {
                (None, recorded_action.cloned())
            }
            Some(action) => match action.only_group() {
                Some(group) if recorded_action.is_none() => (Some(group.clone()), None),
                _ => (None, Some(action)),
            },
            None => (None, None),
        };
        let same_others = recorded.filter(|recorded| recorded.others().is_ok_and(|recorded| recorded == *others));
        let with_policy = recorded.is_some_and(|recorded| recorded.ssl_policy.is_some());
        Created {
            id: arn.to_owned(),
            inputs: Some(Self {
                balancer: Arn::from(listener.load_balancer_arn().unwrap_or_default()).into(),
                port: u16::try_from(settings.port).unwrap_or_default(),
                certificate: settings.certificate.map(|arn| Arn::from(arn).into()),
                other_certificates: same_others.map_or_else(
                    || others.iter().map(|arn| Arn::from(arn.as_str()).into()).collect(),
                    |recorded| recorded.other_certificates.clone(),
                ),
                ssl_policy: settings.policy.filter(|policy| with_policy || policy != SSL_POLICY),
                forward,
                action,
                tags: tags::declared(tags, recorded.map(|recorded| &recorded.tags)),
            }),
            outputs: ListenerOutputs { arn: Arn::from(arn).into() },
        }
    }
}

/// Settings that `ModifyListener` changes.
#[derive(Clone, Debug)]
struct Settings {
    port: i32,
    certificate: Option<String>,
    policy: Option<String>,
    /// None for an action that cannot be declared.
    action: Option<Action>,
}

impl Settings {
    fn of(listener: &types::Listener) -> Self {
        Self {
            port: listener.port().unwrap_or_default(),
            certificate: listener.certificates().first().and_then(|certificate| certificate.certificate_arn.clone()),
            policy: listener.ssl_policy().filter(|policy| !policy.is_empty()).map(str::to_owned),
            action: Action::from_sdk(listener.default_actions()),
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
        Some(vec![certificate(self.certificate.as_ref()?)])
    }

    fn actions(&self) -> Result<Option<Vec<types::Action>>> {
        Ok(self.action.as_ref().map(Action::to_sdk).transpose()?.map(|action| vec![action]))
    }
}

fn certificate(arn: &str) -> Certificate {
    Certificate::builder().certificate_arn(arn).build()
}

async fn modify(elbv2: &Client, listener: &types::Listener, settings: &Settings) -> Result<()> {
    if Settings::of(listener).is_same(settings) {
        return Ok(());
    }
    elbv2
        .modify_listener()
        .listener_arn(listener.listener_arn().unwrap_or_default())
        .protocol(settings.protocol())
        .port(settings.port)
        .set_certificates(settings.certificates())
        .set_ssl_policy(settings.policy.clone())
        .set_default_actions(settings.actions()?)
        .send()
        .await
        .context("ModifyListener")?;
    Ok(())
}

/// Replaces the other certificates. New ones are added first, so that no host name is without a certificate.
async fn replace_certificates(
    elbv2: &Client,
    arn: &str,
    existing: &BTreeSet<String>,
    wanted: &BTreeSet<String>,
) -> Result<()> {
    let added: Vec<_> = wanted.difference(existing).map(|arn| certificate(arn)).collect();
    let removed: Vec<_> = existing.difference(wanted).map(|arn| certificate(arn)).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_elasticloadbalancingv2::types::{
        ActionTypeEnum, ForwardActionConfig, RedirectActionConfig, TargetGroupTuple,
    };

    fn listener() -> Listener {
        Listener::http(80, Arn::from("arn:balancer")).forward(Arn::from("arn:targets"))
    }

    fn existing(action: types::Action) -> types::Listener {
        let described = types::Listener::builder().listener_arn("arn:listener").load_balancer_arn("arn:balancer");
        described.port(80).protocol(ProtocolEnum::Http).default_actions(action).build()
    }

    #[test]
    fn existing_listener_as_declared_shows_no_drift() {
        let json = |inputs: &Listener| serde_json::to_value(inputs).ok();
        let read = |action: types::Action| {
            Listener::normalize(&(existing(action), BTreeSet::new(), Vec::new()), Some(&listener())).inputs
        };
        let action = types::Action::builder().r#type(ActionTypeEnum::Forward);
        let group = TargetGroupTuple::builder().target_group_arn("arn:targets").weight(1).build();
        let config = ForwardActionConfig::builder().target_groups(group).build();
        for action in [action.clone().target_group_arn("arn:targets"), action.clone().forward_config(config)] {
            assert_eq!(read(action.build()).as_ref().and_then(json), json(&listener()));
        }
        let redirect = types::Action::builder()
            .r#type(ActionTypeEnum::Redirect)
            .redirect_config(RedirectActionConfig::builder().protocol("HTTPS").build());
        let changed = read(redirect.build());
        assert!(changed.is_some_and(|inputs| inputs.forward.is_none() && inputs.action.is_some()));
    }

    #[test]
    fn inputs_recorded_without_action_are_read() {
        let recorded = serde_json::json!({"balancer": "b", "port": 80, "certificate": null, "forward": "t"});
        let recorded: Result<Listener, _> = serde_json::from_value(recorded);
        assert!(recorded.is_ok_and(|listener| listener.check().is_empty()));
    }

    #[test]
    fn listener_with_certificate_is_https() {
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
