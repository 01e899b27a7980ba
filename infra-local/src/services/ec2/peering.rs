//! Peering connections between two VPCs, in one region or two.

use chrono::{DateTime, Duration, Utc};

use super::{Ec2Operation, TAG_SPECIFICATIONS, check_id, resource, select, tags_for, vpc};
use crate::model::ec2::peering::{Peering, PeeringState, Side};
use crate::model::{Cloud, Region, Tags, new_id};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes(
        "CreateVpcPeeringConnection",
        create,
        &[&["VpcId", "PeerVpcId", "PeerOwnerId", "PeerRegion"], TAG_SPECIFICATIONS],
    )
    .on(&[resource::VPC, resource::PEER_VPC, resource::NEW_PEERING]),
    Operation::writes("AcceptVpcPeeringConnection", accept, &[ID]).on(&[resource::PEERING]),
    Operation::writes("RejectVpcPeeringConnection", reject, &[ID]).on(&[resource::PEERING]),
    Operation::writes("DeleteVpcPeeringConnection", delete, &[ID]).on(&[resource::PEERING]),
    Operation::writes(
        "ModifyVpcPeeringConnectionOptions",
        modify_options,
        &[
            ID,
            &[
                "RequesterPeeringConnectionOptions.AllowDnsResolutionFromRemoteVpc",
                "AccepterPeeringConnectionOptions.AllowDnsResolutionFromRemoteVpc",
            ],
        ],
    )
    .on(&[resource::PEERING]),
    Operation::reads("DescribeVpcPeeringConnections", describe, &[&["VpcPeeringConnectionId.N"], FILTERS, PAGES])
        .on_any(),
];

const ID: &[&str] = &["VpcPeeringConnectionId"];

/// AWS's default quota of peering connections per VPC.
const LIMIT: usize = 50;

/// Time after which a request expires.
const EXPIRES_AFTER: Duration = Duration::days(7);

/// Creates a request. The data plane checks later whether the accepter VPC exists, and whether the ranges overlap.
fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let tags = tags_for(params, "vpc-peering-connection")?;
    let peer_region = params.optional("PeerRegion").unwrap_or(call.region);
    let unknown = |_| ApiError::invalid(format!("Value ({peer_region}) for parameter peerRegion is invalid."));
    cloud.open_region(peer_region).map_err(unknown)?;
    let vpc = vpc::find(cloud.region(call.region)?, params.required("VpcId")?)?;
    let peer_vpc_id = params.required("PeerVpcId")?;
    check_id(peer_vpc_id, "vpc", "InvalidVpcID.Malformed")?;
    let peer_owner = params.optional("PeerOwnerId").unwrap_or(call.account.as_str());
    let other_region = cloud.region(peer_region)?;
    let of_both = |peering: &&Peering| {
        !peering.state.is_over() && peering.other_side(&vpc.id).is_some_and(|side| side.vpc_id == peer_vpc_id)
    };
    let own_region = &cloud.region(call.region)?.ec2.peerings;
    if own_region.values().any(|peering| of_both(&peering)) {
        return Err(ApiError::new(
            "VpcPeeringConnectionAlreadyExists",
            format!("A VPC peering connection between {} and {peer_vpc_id} exists already", vpc.id),
        ));
    }
    if own_region.values().filter(|peering| !peering.state.is_over() && peering.other_side(&vpc.id).is_some()).count()
        >= LIMIT
    {
        return Err(ApiError::new(
            "VpcPeeringConnectionLimitExceeded",
            format!("The maximum number of peering connections has been reached for VPC '{}'.", vpc.id),
        ));
    }
    let side = |region: &str, owner: &str, vpc_id: &str, cidr: Option<String>| Side {
        region: region.to_owned(),
        owner: owner.to_owned(),
        vpc_id: vpc_id.to_owned(),
        cidr,
        dns_resolution: false,
    };
    let peer_cidr =
        other_region.ec2.vpcs.get(peer_vpc_id).filter(|_| call.account == *peer_owner).map(|vpc| vpc.cidr.clone());
    let peering = Peering {
        id: new_id("pcx"),
        requester: side(call.region, call.account.as_str(), &vpc.id, Some(vpc.cidr.clone())),
        accepter: side(peer_region, peer_owner, peer_vpc_id, peer_cidr),
        state: PeeringState::InitiatingRequest,
        created: call.now,
        ended: None,
        tags,
    };
    let answer = Node::new().with("vpcPeeringConnection", render(&peering));
    if peer_region != call.region {
        let other_region = Peering { tags: Tags::new(), ..peering.clone() };
        cloud.region_mut(peer_region)?.ec2.peerings.insert(other_region.id.clone(), other_region);
    }
    cloud.region_mut(call.region)?.ec2.peerings.insert(peering.id.clone(), peering);
    Ok(answer)
}

fn accept(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let peering = at_accepter(cloud, call, "accepted")?;
    let id = peering.id.clone();
    match peering.state {
        PeeringState::PendingAcceptance => {
            cloud.change_peering(&id, |peering| peering.state = PeeringState::Provisioning);
        }
        PeeringState::Provisioning | PeeringState::Active => {}
        state => return Err(wrong_state(&id, state, "active")),
    }
    let peering = find(cloud.region(call.region)?, &id)?;
    Ok(Node::new().with("vpcPeeringConnection", render(peering)))
}

fn reject(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let peering = at_accepter(cloud, call, "rejected")?;
    let id = peering.id.clone();
    if peering.state != PeeringState::PendingAcceptance {
        return Err(wrong_state(&id, peering.state, "rejected"));
    }
    end(cloud, &id, PeeringState::Rejected, call.now);
    Ok(Node::success())
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let peering = find(cloud.region(call.region)?, call.input.required("VpcPeeringConnectionId")?)?;
    let (id, state) = (peering.id.clone(), peering.state);
    match state {
        PeeringState::Active | PeeringState::Provisioning => {
            cloud.change_peering(&id, |peering| peering.state = PeeringState::Deleting);
        }
        PeeringState::InitiatingRequest | PeeringState::PendingAcceptance => {
            end(cloud, &id, PeeringState::Deleted, call.now);
        }
        PeeringState::Deleting | PeeringState::Deleted => {}
        _ => return Err(wrong_state(&id, state, "deleted")),
    }
    Ok(Node::success())
}

fn modify_options(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let peering = find(cloud.region(call.region)?, params.required("VpcPeeringConnectionId")?)?;
    let id = peering.id.clone();
    if peering.state != PeeringState::Active {
        return Err(ApiError::new(
            "OperationNotPermitted",
            format!("Peering {id} is not active. Peering options can be added only to active peerings."),
        ));
    }
    let wanted = |role: &str| -> Outcome<Option<bool>> {
        params.parsed(&format!("{role}PeeringConnectionOptions.AllowDnsResolutionFromRemoteVpc"))
    };
    let (requester, accepter) = (wanted("Requester")?, wanted("Accepter")?);
    for (given, side) in [(requester, &peering.requester), (accepter, &peering.accepter)] {
        if given.is_some() && side.region != call.region {
            return Err(ApiError::new(
                "OperationNotPermitted",
                format!("The options of {} are modified in its region, {}", side.vpc_id, side.region),
            ));
        }
    }
    cloud.change_peering(&id, |peering| {
        for (given, side) in [(requester, &mut peering.requester), (accepter, &mut peering.accepter)] {
            side.dns_resolution = given.unwrap_or(side.dns_resolution);
        }
    });
    let shown = |given: Option<bool>| given.map(|given| Node::new().with("allowDnsResolutionFromRemoteVpc", given));
    Ok(Node::new()
        .maybe("requesterPeeringConnectionOptions", shown(requester))
        .maybe("accepterPeeringConnectionOptions", shown(accepter)))
}

fn end(cloud: &mut Cloud, id: &str, state: PeeringState, now: DateTime<Utc>) {
    cloud.change_peering(id, |peering| {
        peering.state = state;
        peering.ended = Some(now);
    });
}

/// Returns the connection of a request, which is accepted in the accepter's region only.
fn at_accepter<'a>(cloud: &'a Cloud, call: &Call<'_, Params>, verb: &str) -> Outcome<&'a Peering> {
    let peering = find(cloud.region(call.region)?, call.input.required("VpcPeeringConnectionId")?)?;
    if peering.accepter.region != call.region {
        return Err(ApiError::new(
            "OperationNotPermitted",
            format!(
                "Incorrect region ({}) specified for this request. VPC peering connection {} must be {verb} in region {}",
                call.region, peering.id, peering.accepter.region
            ),
        ));
    }
    Ok(peering)
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("VpcPeeringConnectionId");
    for id in &ids {
        check_id(id, "pcx", "InvalidVpcPeeringConnectionId.Malformed")?;
    }
    let found =
        select(&region.ec2.peerings, &ids, "InvalidVpcPeeringConnectionID.NotFound", "vpcPeeringConnection ID")?;
    let found = Filters::parse(params)?.apply(found.into_iter(), FIELDS, |peering| &peering.tags)?;
    let page = Page::of(found, params, |peering| &peering.id)?;
    Ok(Node::new().list("vpcPeeringConnectionSet", page.items.into_iter().map(render)).maybe("nextToken", page.next))
}

const FIELDS: &[Field<Peering>] = &[
    ("vpc-peering-connection-id", |peering| vec![peering.id.clone()]),
    ("status-code", |peering| vec![peering.state.code().to_owned()]),
    ("status-message", |peering| vec![message(peering)]),
    ("requester-vpc-info.vpc-id", |peering| vec![peering.requester.vpc_id.clone()]),
    ("requester-vpc-info.cidr-block", |peering| peering.requester.cidr.iter().cloned().collect()),
    ("requester-vpc-info.owner-id", |peering| vec![peering.requester.owner.clone()]),
    ("accepter-vpc-info.vpc-id", |peering| vec![peering.accepter.vpc_id.clone()]),
    ("accepter-vpc-info.cidr-block", |peering| peering.accepter.cidr.iter().cloned().collect()),
    ("accepter-vpc-info.owner-id", |peering| vec![peering.accepter.owner.clone()]),
];

fn find<'a>(region: &'a Region, id: &str) -> Outcome<&'a Peering> {
    check_id(id, "pcx", "InvalidVpcPeeringConnectionId.Malformed")?;
    region.ec2.peerings.get(id).ok_or_else(|| not_found(id))
}

/// Returns AWS's error for a connection that does not exist.
pub(super) fn not_found(id: &str) -> ApiError {
    ApiError::new(
        "InvalidVpcPeeringConnectionID.NotFound",
        format!("The vpcPeeringConnection ID '{id}' does not exist"),
    )
}

fn wrong_state(id: &str, state: PeeringState, wanted: &str) -> ApiError {
    ApiError::new(
        "InvalidStateTransition",
        format!("Invalid state transition for {id}, attempted to transition from {} to {wanted}", state.code()),
    )
}

fn message(peering: &Peering) -> String {
    let (requester, accepter) = (&peering.requester.owner, &peering.accepter.owner);
    match peering.state {
        PeeringState::InitiatingRequest => format!("Initiating Request to {accepter}"),
        PeeringState::PendingAcceptance => format!("Pending Acceptance by {accepter}"),
        PeeringState::Provisioning => "Provisioning".to_owned(),
        PeeringState::Active => "Active".to_owned(),
        PeeringState::Deleting => format!("Deleting by {requester}"),
        PeeringState::Deleted => format!("Deleted by {requester}"),
        PeeringState::Rejected => format!("Rejected by {accepter}"),
        PeeringState::Failed => "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range".to_owned(),
        PeeringState::Expired => "Expired".to_owned(),
    }
}

fn render(peering: &Peering) -> Node {
    let waits = matches!(peering.state, PeeringState::InitiatingRequest | PeeringState::PendingAcceptance);
    Node::new()
        .with("vpcPeeringConnectionId", &peering.id)
        .with("requesterVpcInfo", render_side(&peering.requester, true))
        .with("accepterVpcInfo", render_side(&peering.accepter, !waits))
        .with("status", Node::new().with("code", peering.state.code()).with("message", message(peering)))
        .maybe("expirationTime", waits.then(|| peering.created + EXPIRES_AFTER))
        .with("tagSet", tags::set(&peering.tags))
}

/// Renders a side of the connection. Before the acceptance, AWS shows few details of the other side.
fn render_side(side: &Side, known: bool) -> Node {
    let node = Node::new().with("ownerId", &side.owner).with("vpcId", &side.vpc_id).with("region", &side.region);
    let Some(cidr) = side.cidr.as_ref().filter(|_| known) else { return node };
    node.with("cidrBlock", cidr).list("cidrBlockSet", [Node::new().with("cidrBlock", cidr)]).with(
        "peeringOptions",
        Node::new()
            .with("allowDnsResolutionFromRemoteVpc", side.dns_resolution)
            .with("allowEgressFromLocalClassicLinkToRemoteVpc", false)
            .with("allowEgressFromLocalVpcToRemoteClassicLink", false),
    )
}
