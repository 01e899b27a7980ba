//! State transitions of gateways and peering connections over time: they become available, expire, and are forgotten.

use std::net::Ipv4Addr;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::background::PhaseWatch;
use crate::model::cidr::Cidr;
use crate::model::ec2::gateway::NatState;
use crate::model::ec2::peering::{Peering, PeeringState};
use crate::model::{Cloud, Region};
use crate::state::Shared;

/// Time for which deleted resources are shown, at time scale 1.
const SHOWN_AFTER_END: Duration = Duration::from_hours(1);

/// Time after which a peering request expires, at time scale 1.
const EXPIRES_AFTER: Duration = Duration::from_hours(7 * 24);

/// Interval of checks, at time scale 1.
const FORGET_EVERY: Duration = Duration::from_mins(1);

/// Lower bound of that interval at any time scale.
const FORGET_AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// Runs until the cloud stops; `time_scale` divides the times above.
pub(crate) async fn run(shared: Shared, time_scale: f64, mut phase: PhaseWatch) {
    shared.update(|cloud| relocate(cloud, shared.addresses().number()));
    let mut changes = shared.changes();
    let mut forget = tokio::time::interval(FORGET_EVERY.div_f64(time_scale).max(FORGET_AT_MOST_EVERY));
    loop {
        changes.borrow_and_update();
        if shared.read(has_pending_transitions) {
            shared.update(|cloud| settle(cloud, Utc::now()));
        }
        tokio::select! {
            _ = changes.changed() => {}
            _ = forget.tick() => shared.update(|cloud| expire(cloud, time_scale, Utc::now())),
            _ = phase.ended() => return,
        }
    }
}

/// Moves elastic addresses and NAT gateways to this cloud's current address range.
fn relocate(cloud: &mut Cloud, block: u8) {
    let moved = |address: &mut Ipv4Addr| {
        let [first, _, part, host] = address.octets();
        *address = Ipv4Addr::new(first, block, part, host);
    };
    for region in cloud.regions.values_mut() {
        region.ec2.addresses.values_mut().for_each(|address| moved(&mut address.address));
        for gateway in region.ec2.nat_gateways.values_mut() {
            moved(&mut gateway.private_ip);
            gateway.public_ip.as_mut().map(moved);
        }
    }
}

fn has_pending_transitions(cloud: &Cloud) -> bool {
    let pending = |state: PeeringState| {
        matches!(state, PeeringState::InitiatingRequest | PeeringState::Provisioning | PeeringState::Deleting)
    };
    cloud.regions.values().any(|region| {
        region.ec2.nat_gateways.values().any(|gateway| matches!(gateway.state, NatState::Pending | NatState::Deleting))
            || region.ec2.peerings.values().any(|peering| pending(peering.state))
    })
}

/// Completes pending transitions.
fn settle(cloud: &mut Cloud, now: DateTime<Utc>) {
    for region in cloud.regions.values_mut() {
        settle_nat_gateways(region, now);
    }
    let peerings: Vec<Peering> =
        cloud.regions.values().flat_map(|region| region.ec2.peerings.values()).cloned().collect();
    for peering in peerings {
        let state = match peering.state {
            PeeringState::InitiatingRequest if can_be(&peering) => PeeringState::PendingAcceptance,
            PeeringState::InitiatingRequest => PeeringState::Failed,
            PeeringState::Provisioning => PeeringState::Active,
            PeeringState::Deleting => PeeringState::Deleted,
            _ => continue,
        };
        cloud.change_peering(&peering.id, |peering| {
            peering.state = state;
            peering.ended = state.is_over().then_some(now);
        });
    }
}

fn settle_nat_gateways(region: &mut Region, now: DateTime<Utc>) {
    let pending = region.ec2.nat_gateways.values();
    let pending = pending.filter(|gateway| matches!(gateway.state, NatState::Pending | NatState::Deleting));
    let pending: Vec<_> = pending.map(|gateway| (gateway.id.clone(), gateway.clone())).collect();
    for (id, gateway) in pending {
        if gateway.state == NatState::Deleting {
            region.delete_nat_gateway(&id, NatState::Deleted, now);
        } else if gateway.allocation_id.is_some() && region.internet_gateway_of(&gateway.vpc_id).is_none() {
            let message = format!("Network {} has no Internet gateway attached", gateway.vpc_id);
            region.delete_nat_gateway(&id, NatState::Failed("Gateway.NotAttached".to_owned(), message), now);
        } else if let Some(gateway) = region.ec2.nat_gateways.get_mut(&id) {
            gateway.state = NatState::Available;
        }
    }
}

/// Returns whether both VPCs exist and their ranges do not overlap.
fn can_be(peering: &Peering) -> bool {
    let range = |cidr: &Option<String>| cidr.as_deref().and_then(Cidr::parse);
    match (range(&peering.requester.cidr), range(&peering.accepter.cidr)) {
        (Some(ours), Some(theirs)) => !ours.overlaps(theirs),
        _ => false,
    }
}

/// Expires old requests, and forgets resources that were deleted long ago.
fn expire(cloud: &mut Cloud, time_scale: f64, now: DateTime<Utc>) {
    let older = |since: DateTime<Utc>, age: Duration| {
        (now - since).to_std().is_ok_and(|passed| passed > age.div_f64(time_scale))
    };
    for region in cloud.regions.values_mut() {
        for peering in region.ec2.peerings.values_mut() {
            if peering.state == PeeringState::PendingAcceptance && older(peering.created, EXPIRES_AFTER) {
                peering.state = PeeringState::Expired;
                peering.ended = Some(now);
            }
        }
        let shown = |ended: Option<DateTime<Utc>>| ended.is_none_or(|ended| !older(ended, SHOWN_AFTER_END));
        region.ec2.peerings.retain(|_, peering| shown(peering.ended));
        region.ec2.retain_nat_gateways(|gateway| shown(gateway.ended));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Tags;
    use crate::model::ec2::peering::Side;
    use crate::model::ec2::vpc;

    fn peering(ours: &str, theirs: Option<&str>) -> Peering {
        let side = |vpc_id: &str, cidr: Option<&str>| Side {
            region: "us-east-1".to_owned(),
            owner: crate::model::Account::default().to_string(),
            vpc_id: vpc_id.to_owned(),
            cidr: cidr.map(str::to_owned),
            dns_resolution: false,
        };
        Peering {
            id: "pcx-1".to_owned(),
            requester: side("vpc-1", Some(ours)),
            accepter: side("vpc-2", theirs),
            state: PeeringState::InitiatingRequest,
            created: Utc::now(),
            ended: None,
            tags: Tags::new(),
        }
    }

    fn next_state(peering: Peering) -> PeeringState {
        let mut cloud = Cloud::default();
        cloud.complete();
        for region in cloud.regions.values_mut() {
            region.ec2.peerings.insert(peering.id.clone(), peering.clone());
        }
        assert!(has_pending_transitions(&cloud));
        settle(&mut cloud, Utc::now());
        assert!(!has_pending_transitions(&cloud));
        let states: Vec<_> = cloud.regions.values().map(|region| region.ec2.peerings["pcx-1"].state).collect();
        assert_eq!(states[0], states[1], "both regions see the same");
        states[0]
    }

    #[test]
    fn peering_fails_for_overlapping_and_for_absent_vpcs() {
        assert_eq!(next_state(peering("10.0.0.0/16", Some("10.1.0.0/16"))), PeeringState::PendingAcceptance);
        assert_eq!(next_state(peering("10.0.0.0/16", Some("10.0.128.0/20"))), PeeringState::Failed);
        assert_eq!(next_state(peering("10.0.0.0/16", None)), PeeringState::Failed);
    }

    #[test]
    fn requests_expire_and_deleted_resources_are_forgotten() {
        let mut cloud = Cloud::default();
        cloud.complete();
        let waiting = Peering { state: PeeringState::PendingAcceptance, ..peering("10.0.0.0/16", Some("10.1.0.0/16")) };
        let region = cloud.regions.get_mut("us-east-1").expect("a region");
        region.ec2.peerings.insert(waiting.id.clone(), waiting.clone());
        let state = |cloud: &Cloud| cloud.regions["us-east-1"].ec2.peerings.get("pcx-1").map(|peering| peering.state);
        expire(&mut cloud, 1.0, waiting.created + EXPIRES_AFTER);
        assert_eq!(state(&cloud), Some(PeeringState::PendingAcceptance));
        let later = waiting.created + EXPIRES_AFTER + Duration::from_secs(1);
        expire(&mut cloud, 1.0, later);
        assert_eq!(state(&cloud), Some(PeeringState::Expired));
        expire(&mut cloud, 1.0, later + SHOWN_AFTER_END + Duration::from_secs(1));
        assert_eq!(state(&cloud), None);
    }

    #[test]
    fn every_subnet_has_a_separate_address_range() {
        let mut cloud = Cloud::default();
        cloud.complete();
        let mut taken: Vec<u8> =
            cloud.regions.values().flat_map(|region| region.ec2.subnets.values()).map(|subnet| subnet.index).collect();
        let sample = cloud.regions["us-east-1"].ec2.subnets.values().next().cloned().expect("a default subnet");
        while let Some(index) = cloud.take_subnet_index() {
            taken.push(index);
            let id = format!("subnet-{index}");
            let subnet = vpc::Subnet { id: id.clone(), index, ..sample.clone() };
            cloud.regions.get_mut("us-east-2").expect("a region").ec2.subnets.insert(id, subnet);
        }
        taken.sort_unstable();
        assert_eq!(taken, (0..vpc::ELASTIC_INDEX).collect::<Vec<_>>());
    }
}
