//! `aws:ec2:VpcPeering`: a connection between two VPCs, in one region or two.

use super::{once, operation_filter, retag, tag_specification};
use crate::{prelude::*, region::Region};
use aws_sdk_ec2::{
    Client,
    types::{self, VpcPeeringConnectionStateReasonCode as State},
};
use infra_core::{output_format, target::Readiness};

/// A VPC peering connection: instances of two VPCs reach each other at their private addresses.
///
/// The VPCs belong to one account, and to one region or two; their ranges must not overlap. Traffic also needs a
/// [`Route`](crate::Route) to the connection in each VPC, and security groups that allow it.
/// [`Network::peer_with`](crate::Network::peer_with) declares the connection and the routes.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let ohio = aws::region(stack, "us-east-2");
/// let vpc = virginia.add("vpc", Vpc::new("10.1.0.0/16"));
/// let peer = ohio.add("vpc-2", Vpc::new("10.2.0.0/16"));
/// let peering = virginia.add("peering", VpcPeering::across(&vpc.id, &ohio, &peer.id));
/// virginia.add("routes", RouteTable::of(&vpc.id).route(Route::to(&peer.cidr).by_peering(&peering.id)));
/// ohio.add("routes-2", RouteTable::of(&peer.id).route(Route::to(&vpc.cidr).by_peering(&peering.id)));
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `DescribeVpcPeeringConnections`, which finds the connection of an interrupted run;
///   `CreateVpcPeeringConnection`; those of an update without tags
/// - Read: `DescribeVpcPeeringConnections`
/// - Update: `DescribeVpcPeeringConnections` in both regions; `AcceptVpcPeeringConnection` in the region of the peer;
///   `ModifyVpcPeeringConnectionOptions` in the region of each side; `CreateTags`, `DeleteTags`
/// - Delete: `DeleteVpcPeeringConnection`; `DescribeVpcPeeringConnections` until the connection is deleted
///
/// # Replacement
/// A change of `vpc_id`, `peer_vpc_id` or `peer_region` replaces the connection, because its sides are fixed. The new
/// connection is created before the previous one is deleted. With the same VPCs, the previous connection is deleted first,
/// because two VPCs have one connection. A change of `accept` to false has no effect on an active
/// connection.
///
/// # Import
/// The import takes the id of the connection, and the region is the requester's:
///
/// ```console
/// $ stack import aws:ec2:VpcPeering peering pcx-0123456789abcdef0 --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:ec2:VpcPeering")]
pub struct VpcPeering {
    /// Id of the requester's VPC, in the region of the declaration. A change replaces the connection.
    #[resource(replace, key)]
    pub vpc_id: Input<VpcId>,
    /// Id of the peer's VPC. A change replaces the connection.
    #[resource(replace, key)]
    pub peer_vpc_id: Input<VpcId>,
    /// Region of the peer's VPC, such as `us-east-2`; the region of the declaration when omitted. A change replaces the
    /// connection.
    #[resource(replace)]
    pub peer_region: Option<String>,
    /// Indicates whether the request is accepted; true by default. Otherwise it waits until the peer accepts it by
    /// other means.
    pub accept: bool,
    /// Indicates whether both VPCs resolve each other's public DNS names to private addresses; false by default. Both
    /// VPCs need `dns_support` and `dns_hostnames`. It is set once the connection is accepted.
    pub dns_resolution: bool,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`VpcPeering`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct VpcPeeringOutputs {
    /// Id of the connection, `pcx-…`, the same in both regions.
    pub id: Output<VpcPeeringId>,
}

impl VpcPeering {
    /// Returns a connection of two VPCs of one region.
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

    /// Returns a connection to a VPC of another region: `VpcPeering::across(&vpc.id, &ohio, &peer.id)`.
    pub fn across(vpc_id: impl Into<Input<VpcId>>, region: &Region, peer_vpc_id: impl Into<Input<VpcId>>) -> Self {
        // An id of another region is refused as an input, and allowed inside a text.
        let peer_vpc_id = output_format!("{}", peer_vpc_id.into()).cast();
        Self { peer_region: Some(region.name().to_owned()), ..Self::between(vpc_id, peer_vpc_id) }
    }
}

impl AwsResource for VpcPeering {}

impl Described for VpcPeering {
    type Client = Aws;
    type Api = Client;
    type Description = types::VpcPeeringConnection;

    const FOUND_BY: FoundBy = FoundBy::Tag;

    async fn create(cx: &Context<'_>, ec2: &Client, inputs: &Self) -> Result<Self::Description> {
        let call = ec2
            .create_vpc_peering_connection()
            .vpc_id(inputs.vpc_id.known()?.as_str())
            .peer_vpc_id(inputs.peer_vpc_id.known()?.as_str())
            .set_peer_region(inputs.peer_region.clone())
            .tag_specifications(tag_specification(cx, types::ResourceType::VpcPeeringConnection, &inputs.tags));
        let response = call.customize().config_override(once()).send().await.context("CreateVpcPeeringConnection")?;
        let connection = response.vpc_peering_connection;
        let connection =
            connection.ok_or_else(|| ProviderError::unsure("CreateVpcPeeringConnection returned no connection"))?;
        let peer = inputs.peer_client(cx).await?;
        match until_requested(cx, &peer, connection.vpc_peering_connection_id().unwrap_or_default()).await {
            // AWS deletes a connection that failed, so it is not recorded.
            Err(error) if error.kind == ErrorKind::NotFound => Err(ProviderError { kind: ErrorKind::Refused, ..error }),
            Err(error) => Err(Self::normalize(&connection, Some(inputs)).failed(error)),
            Ok(_) => Ok(connection),
        }
    }

    async fn apply(cx: &Context<'_>, ec2: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let peer = update.new.peer_client(cx).await?;
        let requested = until_requested(cx, &peer, update.id).await?;
        if update.new.accept {
            if state(&requested) == State::PendingAcceptance {
                let call = peer.accept_vpc_peering_connection().vpc_peering_connection_id(update.id);
                call.send().await.context("AcceptVpcPeeringConnection")?;
            }
            let status = "waiting until the connection is active";
            let active = until(cx, ec2, update.id, status, |state| *state == State::Active).await?;
            set_dns_resolution(ec2, &peer, &active, update.new.dns_resolution).await?;
        }
        retag(ec2, update.id, update.old.map(|old| &old.tags), &update.new.tags).await?;
        Ok(update.outputs.clone())
    }

    async fn delete(cx: &Context<'_>, ec2: &Client, prior: &Prior<Self>) -> Result<()> {
        let call = ec2.delete_vpc_peering_connection().vpc_peering_connection_id(&prior.id);
        match call.send().await.context("DeleteVpcPeeringConnection") {
            // It was rejected, has expired or is deleted already.
            Err(error) if error.has_code(&["InvalidStateTransition"]) => return Ok(()),
            deleted => drop(deleted?),
        }
        if cx.client().readiness() == Readiness::ControlPlane {
            return Ok(());
        }
        wait::until(cx, "waiting until the connection is deleted", wait::TIMEOUT, async || {
            let remaining = describe_any(ec2, &prior.id).await?.map(|connection| state(&connection));
            Ok(remaining.is_none_or(|state| is_final(&state) && state != State::Deleting).then_some(()))
        })
        .await
    }

    async fn describe(_: &Context<'_>, ec2: &Client, id: &str) -> Result<Option<Self::Description>> {
        Ok(describe_any(ec2, id).await?.filter(exists))
    }

    async fn find_created(cx: &Context<'_>, ec2: &Client, _: &Self) -> Result<Option<Self::Description>> {
        let call = ec2.describe_vpc_peering_connections().filters(operation_filter(cx));
        let response = call.send().await.context("DescribeVpcPeeringConnections")?;
        Ok(response.vpc_peering_connections.unwrap_or_default().into_iter().find(exists))
    }

    fn normalize(connection: &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let id = connection.vpc_peering_connection_id().unwrap_or_default();
        let (requester, peer) = (connection.requester_vpc_info(), connection.accepter_vpc_info());
        let vpc = |side: Option<&types::VpcPeeringConnectionVpcInfo>| {
            VpcId::from(side.and_then(|side| side.vpc_id()).unwrap_or_default()).into()
        };
        let region = |side: Option<&types::VpcPeeringConnectionVpcInfo>| side?.region().map(str::to_owned);
        let declares_region = match recorded {
            Some(recorded) => recorded.peer_region.is_some(),
            None => region(peer) != region(requester),
        };
        let resolved = [resolves_names(requester), resolves_names(peer)];
        let recorded_resolution = recorded.is_some_and(|recorded| recorded.dns_resolution);
        let is_accepted = matches!(state(connection), State::Provisioning | State::Active);
        Created {
            id: id.to_owned(),
            inputs: Some(Self {
                vpc_id: vpc(requester),
                peer_vpc_id: vpc(peer),
                peer_region: region(peer).filter(|_| declares_region),
                accept: is_accepted && recorded.is_none_or(|recorded| recorded.accept),
                // Sides that differ are drift, whatever is recorded.
                dns_resolution: if resolved[0] == resolved[1] { resolved[0] } else { !recorded_resolution },
                tags: tags::declared(connection.tags(), recorded.map(|recorded| &recorded.tags)),
            }),
            outputs: VpcPeeringOutputs { id: VpcPeeringId::from(id).into() },
        }
    }
}

impl VpcPeering {
    /// Returns the API in the region of the peer.
    async fn peer_client(&self, cx: &Context<'_>) -> Result<Client> {
        Ok(cx.client().ec2(self.peer_region.as_deref().unwrap_or(cx.region()?)).await)
    }
}

/// Waits until the region of the peer has the request; fails with [`ErrorKind::NotFound`] when the connection failed.
async fn until_requested(cx: &Context<'_>, peer: &Client, id: &str) -> Result<types::VpcPeeringConnection> {
    until(cx, peer, id, "waiting until the region of the peer has the request", |state| {
        matches!(state, State::PendingAcceptance | State::Provisioning | State::Active)
    })
    .await
}

/// Waits until the connection has a wanted state; fails with [`ErrorKind::NotFound`] when it failed or is deleted.
async fn until(
    cx: &Context<'_>,
    ec2: &Client,
    id: &str,
    status: &str,
    wanted: impl Fn(&State) -> bool,
) -> Result<types::VpcPeeringConnection> {
    wait::until(cx, status, wait::TIMEOUT, async || {
        let Some(connection) = describe_any(ec2, id).await? else { return Ok(None) };
        if !exists(&connection) {
            let reason = connection.status().and_then(|status| status.message()).unwrap_or("it was deleted");
            let message = format!("the peering connection {id} failed: {reason}");
            return Err(ProviderError::of(ErrorKind::NotFound, message)
                .hint("the two VPCs must exist, and their ranges must not overlap"));
        }
        Ok(wanted(&state(&connection)).then_some(connection))
    })
    .await
}

/// Sets the resolution of DNS names of each side in its region, if it differs.
async fn set_dns_resolution(
    ec2: &Client,
    peer: &Client,
    connection: &types::VpcPeeringConnection,
    enabled: bool,
) -> Result<()> {
    let id = connection.vpc_peering_connection_id().unwrap_or_default();
    let options = types::PeeringConnectionOptionsRequest::builder().allow_dns_resolution_from_remote_vpc(enabled);
    let options = options.build();
    if resolves_names(connection.requester_vpc_info()) != enabled {
        let call = ec2.modify_vpc_peering_connection_options().vpc_peering_connection_id(id);
        let call = call.requester_peering_connection_options(options.clone());
        call.send().await.context("ModifyVpcPeeringConnectionOptions")?;
    }
    if resolves_names(connection.accepter_vpc_info()) != enabled {
        let call = peer.modify_vpc_peering_connection_options().vpc_peering_connection_id(id);
        let call = call.accepter_peering_connection_options(options);
        call.send().await.context("ModifyVpcPeeringConnectionOptions")?;
    }
    Ok(())
}

/// Describes a connection in any state: EC2 returns failed and deleted connections for hours.
async fn describe_any(ec2: &Client, id: &str) -> Result<Option<types::VpcPeeringConnection>> {
    let response = ec2.describe_vpc_peering_connections().vpc_peering_connection_ids(id).send().await;
    let response = found(response.context("DescribeVpcPeeringConnections"))?;
    Ok(response.and_then(|response| response.vpc_peering_connections?.pop()))
}

fn state(connection: &types::VpcPeeringConnection) -> State {
    let code = connection.status().and_then(|status| status.code());
    code.cloned().unwrap_or(State::InitiatingRequest)
}

/// Returns whether a connection is active or can become active.
fn exists(connection: &types::VpcPeeringConnection) -> bool {
    !is_final(&state(connection))
}

fn is_final(state: &State) -> bool {
    matches!(state, State::Deleting | State::Deleted | State::Rejected | State::Failed | State::Expired)
}

fn resolves_names(side: Option<&types::VpcPeeringConnectionVpcInfo>) -> bool {
    let options = side.and_then(|side| side.peering_options());
    options
        .and_then(types::VpcPeeringConnectionOptionsDescription::allow_dns_resolution_from_remote_vpc)
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> VpcPeering {
        VpcPeering {
            peer_region: Some("us-east-2".to_owned()),
            ..VpcPeering::between(VpcId::from("vpc-1"), VpcId::from("vpc-2"))
        }
    }

    fn description(state: State) -> types::VpcPeeringConnection {
        let side =
            |vpc: &str, region: &str| types::VpcPeeringConnectionVpcInfo::builder().vpc_id(vpc).region(region).build();
        types::VpcPeeringConnection::builder()
            .vpc_peering_connection_id("pcx-1")
            .requester_vpc_info(side("vpc-1", "us-east-1"))
            .accepter_vpc_info(side("vpc-2", "us-east-2"))
            .status(types::VpcPeeringConnectionStateReason::builder().code(state).build())
            .build()
    }

    #[test]
    fn description_of_a_declared_connection_equals_the_declaration() {
        for recorded in [Some(&declared()), None] {
            let read = VpcPeering::normalize(&description(State::Active), recorded).inputs;
            assert_eq!(serde_json::to_value(read).ok(), serde_json::to_value(Some(declared())).ok());
        }
    }

    #[test]
    fn request_that_is_not_accepted_is_drift() {
        let waiting = VpcPeering::normalize(&description(State::PendingAcceptance), Some(&declared())).inputs;
        assert_eq!(waiting.map(|inputs| inputs.accept), Some(false));
    }

    #[test]
    fn rejected_connection_does_not_exist() {
        assert!(!exists(&description(State::Rejected)) && exists(&description(State::Provisioning)));
    }
}
