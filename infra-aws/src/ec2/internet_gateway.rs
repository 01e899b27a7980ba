//! `aws:ec2:InternetGateway`: the connection of a VPC to the internet.

use super::{Deletion, blockers, once, operation_filter, retag, tag_specification};
use crate::prelude::*;
use aws_sdk_ec2::{Client, types};

/// An internet gateway, attached to a VPC. A [`Route`](crate::Route) to it leads to the internet.
///
/// Created by `CreateInternetGateway` and `AttachInternetGateway`. `DetachInternetGateway` and `AttachInternetGateway`
/// move it to another VPC in place; `CreateTags` and `DeleteTags` change its tags.
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:ec2:InternetGateway")]
pub struct InternetGateway {
    /// VPC that the gateway is attached to.
    pub vpc_id: Input<VpcId>,
    /// User-defined tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of an [`InternetGateway`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct InternetGatewayOutputs {
    /// Id of the gateway, `igw-…`.
    #[output(regional)]
    pub id: Output<InternetGatewayId>,
}

impl InternetGateway {
    /// Returns a gateway of this VPC.
    pub fn of(vpc_id: impl Into<Input<VpcId>>) -> Self {
        Self { vpc_id: vpc_id.into(), tags: BTreeMap::new() }
    }
}

impl AwsResource for InternetGateway {}

impl Described for InternetGateway {
    type Client = Aws;
    type Api = Client;
    type Description = types::InternetGateway;

    const FOUND_BY: FoundBy = FoundBy::Tag;

    async fn create(cx: &Context<'_>, ec2: &Client, inputs: &Self) -> Result<Self::Description> {
        let tags = tag_specification(cx, types::ResourceType::InternetGateway, &inputs.tags);
        let call = ec2.create_internet_gateway().tag_specifications(tags);
        let response = call.customize().config_override(once()).send().await.context("CreateInternetGateway")?;
        response.internet_gateway.ok_or_else(|| ProviderError::unsure("CreateInternetGateway returned no gateway"))
    }

    /// Attaches the gateway to its VPC, after detaching it from another one.
    async fn apply(cx: &Context<'_>, ec2: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let vpc_id = update.new.vpc_id.known()?;
        let current = attached_to(&wait::visible(cx, ec2, &update).await?);
        if current.as_deref() != Some(vpc_id.as_str()) {
            if let Some(other) = current {
                detach(cx, ec2, update.id, &other).await?;
            }
            attach(cx, ec2, update.id, vpc_id.as_str()).await?;
        }
        retag(ec2, update.id, update.old.map(|old| &old.tags), &update.new.tags).await?;
        Ok(update.outputs.clone())
    }

    async fn delete(cx: &Context<'_>, ec2: &Client, prior: &Prior<Self>) -> Result<()> {
        let Some(gateway) = Self::describe(cx, ec2, &prior.id).await? else { return Ok(()) };
        if let Some(vpc_id) = attached_to(&gateway) {
            detach(cx, ec2, &prior.id, &vpc_id).await?;
        }
        let deleted =
            wait::retry_while_in_use(cx, "waiting until the gateway is detached", wait::CONSISTENCY, async || {
                ec2.delete_internet_gateway()
                    .internet_gateway_id(&prior.id)
                    .send()
                    .await
                    .context("DeleteInternetGateway")
            });
        Ok(deleted.await.map(drop)?)
    }

    async fn describe(_: &Context<'_>, ec2: &Client, id: &str) -> Result<Option<Self::Description>> {
        let response = ec2.describe_internet_gateways().internet_gateway_ids(id).send().await;
        Ok(found(response.context("DescribeInternetGateways"))?.and_then(|response| response.internet_gateways?.pop()))
    }

    async fn find_created(cx: &Context<'_>, ec2: &Client, _: &Self) -> Result<Option<Self::Description>> {
        let call = ec2.describe_internet_gateways().filters(operation_filter(cx));
        Ok(call.send().await.context("DescribeInternetGateways")?.internet_gateways.and_then(|mut found| found.pop()))
    }

    fn normalize(gateway: &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let id = gateway.internet_gateway_id().unwrap_or_default();
        Created {
            id: id.to_owned(),
            inputs: Some(Self {
                vpc_id: VpcId::from(attached_to(gateway).unwrap_or_default()).into(),
                tags: tags::declared(gateway.tags(), recorded.map(|recorded| &recorded.tags)),
            }),
            outputs: InternetGatewayOutputs { id: InternetGatewayId::from(id).into() },
        }
    }
}

fn attached_to(gateway: &types::InternetGateway) -> Option<String> {
    gateway.attachments().first()?.vpc_id.clone()
}

async fn attach(cx: &Context<'_>, ec2: &Client, id: &str, vpc_id: &str) -> Result<()> {
    let codes = ["InvalidInternetGatewayID.NotFound", "InvalidVpcID.NotFound"];
    let attached =
        wait::retry_while_inconsistent(cx, "waiting until the gateway and its VPC are visible", &codes, async || {
            let call = ec2.attach_internet_gateway().internet_gateway_id(id).vpc_id(vpc_id);
            call.send().await.context("AttachInternetGateway").map(drop)
        });
    match attached.await {
        // The SDK repeats a request whose response was lost.
        Err(error) if error.has_code(&["Resource.AlreadyAssociated"]) => {
            let gateway = InternetGateway::describe(cx, ec2, id).await?;
            if gateway.as_ref().and_then(attached_to).as_deref() == Some(vpc_id) { Ok(()) } else { Err(error.into()) }
        }
        attached => Ok(attached?),
    }
}

async fn detach(cx: &Context<'_>, ec2: &Client, id: &str, vpc_id: &str) -> Result<()> {
    let detached = blockers::delete(cx, ec2, Deletion::GatewayOf(vpc_id), async || {
        let call = ec2.detach_internet_gateway().internet_gateway_id(id).vpc_id(vpc_id);
        call.send().await.context("DetachInternetGateway").map(drop)
    });
    match detached.await {
        Err(error) if error.has_code(&["Gateway.NotAttached"]) || error.kind == ErrorKind::NotFound => Ok(()),
        detached => Ok(detached?),
    }
}
