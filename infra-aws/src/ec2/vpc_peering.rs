//! `aws:ec2:VpcPeering`: a connection between two VPCs, in one region or two.

use super::once;
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{VpcId, VpcPeeringId},
    region::{AwsResource, Region},
    tags, wait,
};
use aws_sdk_ec2::{
    Client,
    types::{
        PeeringConnectionOptionsRequest, ResourceType, VpcPeeringConnection as Described,
        VpcPeeringConnectionOptionsDescription, VpcPeeringConnectionStateReasonCode as State,
        VpcPeeringConnectionVpcInfo,
    },
};
use infra_core::{
    Input, Output, Resource, Schema, output_format,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, ProviderError, Recovery},
    target::Readiness,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A peering connection: hosts of two VPCs reach each other by their private addresses, once a
/// [`Route`](crate::Route) in each leads to it and the security groups let them. The VPCs must have no address in common.
///
/// Made by `CreateVpcPeeringConnection` in the region of the requester, where it is declared, and accepted by
/// `AcceptVpcPeeringConnection` in the other one; whether names are resolved across it is changed in place by
/// `ModifyVpcPeeringConnectionOptions`, tags by `CreateTags` and `DeleteTags`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VpcPeering {
    /// The VPC that asks, in the region of the declaration.
    pub vpc_id: Input<VpcId>,
    /// The VPC that is asked.
    pub peer_vpc_id: Input<VpcId>,
    /// The region of that VPC; the same one when none is given.
    pub peer_region: Option<String>,
    /// Whether the request is accepted here as well. When it is not, it waits until the owner of the other VPC accepts it.
    pub accept: bool,
    /// Whether both sides resolve each other's public names to private addresses; both VPCs need names for that.
    pub dns_resolution: bool,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What a [`VpcPeering`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VpcPeeringOutputs {
    /// Its id, `pcx-…`, which is the same in both regions.
    pub id: Output<VpcPeeringId>,
}

impl VpcPeering {
    /// A connection of two VPCs of one region.
    pub fn between(vpc_id: impl Into<Input<VpcId>>, peer_vpc_id: impl Into<Input<VpcId>>) -> Self {
        Self {
            vpc_id: vpc_id.into(),
            peer_vpc_id: peer_vpc_id.into(),
            peer_region: None,
            accept: true,
            dns_resolution: false,
            tags: BTreeMap::new(),
        }
    }

    /// A connection to a VPC of another region: `VpcPeering::across(&ours.id, &ohio, &theirs.id)`.
    pub fn across(vpc_id: impl Into<Input<VpcId>>, region: &Region, peer_vpc_id: impl Into<Input<VpcId>>) -> Self {
        // Inside of a text, an id may come from another region; here it has to.
        let peer_vpc_id = output_format!("{}", peer_vpc_id.into()).cast();
        Self { peer_region: Some(region.name().to_owned()), ..Self::between(vpc_id, peer_vpc_id) }
    }
}

impl Resource for VpcPeering {
    const TYPE: &'static str = "aws:ec2:VpcPeering";
    type Outputs = VpcPeeringOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["vpc_id", "peer_vpc_id", "peer_region"])
    }
}

impl AwsResource for VpcPeering {}

impl Handler for VpcPeering {
    type Client = Aws;

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let made = match ours(cx, &ec2).await? {
            Some(made) => made,
            None => make(cx, &ec2, inputs).await?,
        };
        let created = created(&made, inputs);
        match connect(cx, &ec2, &created.id, inputs).await {
            Ok(()) => Ok(Created { inputs: None, ..created }),
            Err(error) if error.kind == ErrorKind::NotFound => Err(ProviderError { kind: ErrorKind::Refused, ..error }),
            Err(error) => Err(created.failed(error)),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let connection = describe(&ec2, &prior.id).await?.filter(|connection| !is_over(connection));
        Ok(connection.map(|connection| created(&connection, &prior.inputs)))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        connect(cx, &ec2, &prior.id, inputs).await?;
        tags::ec2_retag(&ec2, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let call = ec2.delete_vpc_peering_connection().vpc_peering_connection_id(&prior.id);
        match call.send().await.context("DeleteVpcPeeringConnection") {
            // It was rejected, has expired or is deleted already.
            Err(error) if error.is(&["InvalidStateTransition"]) => return Ok(()),
            answer => drop(answer?),
        }
        if cx.client().readiness() == Readiness::ControlPlane {
            return Ok(());
        }
        wait::until(cx, "waiting until the connection has ended", wait::PATIENCE, async || {
            let connection = describe(&ec2, &prior.id).await?;
            Ok(connection
                .is_none_or(|connection| is_over(&connection) && state(&connection) != State::Deleting)
                .then_some(()))
        })
        .await
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let region = cx.region()?;
        let ec2 = cx.client().ec2(region).await;
        let Some(connection) = describe(&ec2, id).await?.filter(|connection| !is_over(connection)) else {
            return Ok(None);
        };
        let peer = connection.accepter_vpc_info().and_then(|side| side.region()).filter(|peer| *peer != region);
        let peer_region = peer.map(str::to_owned);
        let named = Self { peer_region, ..Self::between(VpcId::from(""), VpcId::from("")) };
        Ok(Some(created(&connection, &named)))
    }

    /// One that is found before it was accepted is accepted by the update that this difference asks for.
    fn recovery() -> Recovery<Self> {
        Recovery::tag(|cx: &Context<'_, Aws>, inputs: &Self| {
            Box::pin(async move {
                let ec2 = cx.client().ec2(cx.region()?).await;
                Ok(Found::from(ours(cx, &ec2).await?.map(|connection| created(&connection, inputs))))
            })
        })
    }
}

async fn make(cx: &Context<'_, Aws>, ec2: &Client, inputs: &VpcPeering) -> Result<Described, ProviderError> {
    let call = ec2
        .create_vpc_peering_connection()
        .vpc_id(inputs.vpc_id.known()?.as_str())
        .peer_vpc_id(inputs.peer_vpc_id.known()?.as_str())
        .set_peer_region(inputs.peer_region.clone())
        .tag_specifications(tags::ec2_with(cx, ResourceType::VpcPeeringConnection, &inputs.tags));
    let answer = call.customize().config_override(once()).send().await.context("CreateVpcPeeringConnection")?;
    let made = answer.vpc_peering_connection;
    made.ok_or_else(|| ProviderError::unsure("CreateVpcPeeringConnection: the answer has no connection"))
}

/// What this very operation made, in an earlier run.
async fn ours(cx: &Context<'_, Aws>, ec2: &Client) -> Result<Option<Described>, AwsError> {
    let call = ec2.describe_vpc_peering_connections().filters(tags::ec2_filter(cx));
    let answer = call.send().await.context("DescribeVpcPeeringConnections")?;
    let connections = answer.vpc_peering_connections.unwrap_or_default();
    Ok(connections.into_iter().find(|connection| !is_over(connection)))
}

/// Brings the connection to where it should be, wherever it stands; [`ErrorKind::NotFound`] when it failed.
async fn connect(cx: &Context<'_, Aws>, ec2: &Client, id: &str, inputs: &VpcPeering) -> Result<(), ProviderError> {
    let there = cx.client().ec2(inputs.peer_region.as_deref().unwrap_or(cx.region()?)).await;
    let accepted = [State::Provisioning, State::Active];
    let requested = until(cx, &there, id, "waiting until the other side knows of the request", |state| {
        *state == State::PendingAcceptance || accepted.contains(state)
    })
    .await?;
    if !inputs.accept {
        return Ok(());
    }
    if !accepted.contains(&state(&requested)) {
        let call = there.accept_vpc_peering_connection().vpc_peering_connection_id(id);
        call.send().await.context("AcceptVpcPeeringConnection")?;
    }
    let connection =
        until(cx, ec2, id, "waiting until the connection is active", |state| *state == State::Active).await?;
    resolve_names(ec2, &there, &connection, inputs).await?;
    Ok(())
}

/// The connection once its state is one of those.
async fn until(
    cx: &Context<'_, Aws>,
    ec2: &Client,
    id: &str,
    status: &str,
    wanted: impl Fn(&State) -> bool,
) -> Result<Described, ProviderError> {
    wait::until(cx, status, wait::PATIENCE, async || {
        let Some(connection) = describe(ec2, id).await? else { return Ok(None) };
        if is_over(&connection) {
            let why = connection.status().and_then(|status| status.message()).unwrap_or("it has ended");
            return Err(ProviderError::of(ErrorKind::NotFound, format!("the peering connection {id} failed: {why}"))
                .hint("the two VPCs must exist, and have no address in common"));
        }
        Ok(wanted(&state(&connection)).then_some(connection))
    })
    .await
}

/// Says in each region what its side allows, where that differs.
async fn resolve_names(
    ec2: &Client,
    there: &Client,
    connection: &Described,
    inputs: &VpcPeering,
) -> Result<(), AwsError> {
    let id = connection.vpc_peering_connection_id().unwrap_or_default();
    let wanted = inputs.dns_resolution;
    let options = || PeeringConnectionOptionsRequest::builder().allow_dns_resolution_from_remote_vpc(wanted).build();
    if resolves(connection.requester_vpc_info()) != wanted {
        let call = ec2.modify_vpc_peering_connection_options().vpc_peering_connection_id(id);
        let call = call.requester_peering_connection_options(options());
        call.send().await.context("ModifyVpcPeeringConnectionOptions")?;
    }
    if resolves(connection.accepter_vpc_info()) != wanted {
        let call = there.modify_vpc_peering_connection_options().vpc_peering_connection_id(id);
        let call = call.accepter_peering_connection_options(options());
        call.send().await.context("ModifyVpcPeeringConnectionOptions")?;
    }
    Ok(())
}

async fn describe(ec2: &Client, id: &str) -> Result<Option<Described>, AwsError> {
    let answer = ec2.describe_vpc_peering_connections().vpc_peering_connection_ids(id).send().await;
    let answer = found(answer.context("DescribeVpcPeeringConnections"))?;
    Ok(answer.and_then(|answer| answer.vpc_peering_connections.unwrap_or_default().pop()))
}

fn state(connection: &Described) -> State {
    let code = connection.status().and_then(|status| status.code());
    code.cloned().unwrap_or(State::InitiatingRequest)
}

/// Whether it is on its way to being gone, or never came about; EC2 shows such connections for hours.
fn is_over(connection: &Described) -> bool {
    matches!(state(connection), State::Deleting | State::Deleted | State::Rejected | State::Failed | State::Expired)
}

fn resolves(side: Option<&VpcPeeringConnectionVpcInfo>) -> bool {
    let options = side.and_then(|side| side.peering_options());
    options.and_then(VpcPeeringConnectionOptionsDescription::allow_dns_resolution_from_remote_vpc).unwrap_or(false)
}

/// The connection as it lives, in the words of the recorded inputs where they say the same.
fn created(connection: &Described, recorded: &VpcPeering) -> Created<VpcPeering> {
    let id = connection.vpc_peering_connection_id().unwrap_or_default();
    let (ours, theirs) = (connection.requester_vpc_info(), connection.accepter_vpc_info());
    let vpc = |side: Option<&VpcPeeringConnectionVpcInfo>| {
        VpcId::from(side.and_then(|side| side.vpc_id()).unwrap_or_default()).into()
    };
    let sides = [resolves(ours), resolves(theirs)];
    let inputs = VpcPeering {
        vpc_id: vpc(ours),
        peer_vpc_id: vpc(theirs),
        peer_region: recorded.peer_region.as_ref().and_then(|_| theirs?.region().map(str::to_owned)),
        accept: recorded.accept && matches!(state(connection), State::Provisioning | State::Active),
        // When the sides differ, it is not as recorded, whatever that was.
        dns_resolution: if sides[0] == sides[1] { sides[0] } else { !recorded.dns_resolution },
        tags: tags::ec2_own(connection.tags(), &recorded.tags),
    };
    Created {
        id: id.to_owned(),
        inputs: Some(inputs),
        outputs: VpcPeeringOutputs { id: VpcPeeringId::from(id).into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::VpcPeeringConnectionStateReason;

    #[test]
    fn one_that_was_not_accepted_is_not_as_declared() {
        let side = |vpc: &str, region: &str| VpcPeeringConnectionVpcInfo::builder().vpc_id(vpc).region(region).build();
        let lives = |state: State| {
            Described::builder()
                .vpc_peering_connection_id("pcx-1")
                .requester_vpc_info(side("vpc-1", "us-east-1"))
                .accepter_vpc_info(side("vpc-2", "us-east-2"))
                .status(VpcPeeringConnectionStateReason::builder().code(state).build())
                .build()
        };
        let recorded = VpcPeering {
            peer_region: Some("us-east-2".to_owned()),
            ..VpcPeering::between(VpcId::from("vpc-1"), VpcId::from("vpc-2"))
        };
        let read = created(&lives(State::Active), &recorded).inputs;
        assert_eq!(serde_json::to_value(read).ok(), serde_json::to_value(Some(&recorded)).ok());
        let waiting = created(&lives(State::PendingAcceptance), &recorded).inputs;
        assert_eq!(waiting.map(|inputs| inputs.accept), Some(false));
        assert!(is_over(&lives(State::Rejected)) && !is_over(&lives(State::Provisioning)));
    }
}
