//! `aws:ec2:InternetGateway`: the connection of a VPC to the internet.

use super::{Deletion, blockers, once, operation_filter, retag, tag_specification};
use crate::prelude::*;
use aws_sdk_ec2::{Client, types};

/// An internet gateway: the connection of a VPC to the internet.
///
/// It is attached to one VPC. A [`Route`](crate::Route) to it makes a subnet public.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let vpc = virginia.add("vpc", Vpc::new("10.0.0.0/16"));
/// let subnet = virginia.add("subnet", Subnet::of(&vpc.id, "10.0.1.0/24").public());
/// let gateway = virginia.add("gateway", InternetGateway::of(&vpc.id));
/// let route = Route::to("0.0.0.0/0").by_internet_gateway(&gateway.id);
/// virginia.add("routes", RouteTable::of(&vpc.id).route(route).subnet(&subnet.id));
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `DescribeInternetGateways`, which finds the gateway of an interrupted run; `CreateInternetGateway`;
///   `DescribeInternetGateways` until the gateway is visible; `AttachInternetGateway`
/// - Read: `DescribeInternetGateways`
/// - Update: `DescribeInternetGateways`, `CreateTags`, `DeleteTags`; `AttachInternetGateway` if the gateway is not attached
/// - Delete: `DescribeInternetGateways`, `DetachInternetGateway`, `DeleteInternetGateway`; if the detachment is refused
///   because a public address of the VPC is in use, `DescribeNetworkInterfaces`, `DescribeInstances`,
///   `DescribeNatGateways` and `DescribeLoadBalancers` find the resources that use it
///
/// # Replacement
/// A change of `vpc_id` replaces the gateway: AWS detaches a gateway only from a VPC without public addresses in use, and the
/// previous VPC keeps its connection until the resources in it are replaced. The new gateway is created before the previous
/// one is deleted. When a replacement is requested by `up --replace`, the previous gateway is deleted first, because a VPC has
/// one gateway.
///
/// # Import
/// The import takes the id of the gateway:
///
/// ```console
/// $ stack import aws:ec2:InternetGateway gateway igw-0123456789abcdef0 --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:ec2:InternetGateway")]
pub struct InternetGateway {
    /// Id of the VPC that the gateway is attached to. A change replaces the gateway; a detached one is attached.
    #[resource(replace, set_in_place, key)]
    pub vpc_id: Input<VpcId>,
    /// User-defined tags: key → value; none by default.
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

    /// Attaches a new gateway to its VPC.
    async fn apply(cx: &Context<'_>, ec2: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let vpc_id = update.new.vpc_id.known()?;
        if attached_to(&wait::visible(cx, ec2, &update).await?).is_none() {
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
