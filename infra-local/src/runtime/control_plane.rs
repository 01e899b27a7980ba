//! The observations of a cloud that only has a control plane: every resource works as declared.
//!
//! It stands in for the reconcilers of load balancers and databases, so that clients that wait for a resource continue at
//! once. Instances have hosts without services.

use super::background::PhaseWatch;
use super::rds;
use crate::model::ec2::instance::{Instance, InstanceState};
use crate::model::elbv2::{BalancerState, Elbv2, Health, TargetType};
use crate::model::{Cloud, Region};
use crate::state::Shared;
use crate::state::address::AddressBlock;

/// Completes transitions until the cloud stops.
pub(crate) async fn run(shared: Shared, mut phase: PhaseWatch) {
    let mut changes = shared.changes();
    loop {
        changes.borrow_and_update();
        let has_changes = |cloud: &Cloud| {
            let mut draft = cloud.clone();
            settle(&mut draft, shared.addresses());
            draft != *cloud
        };
        if shared.read(has_changes) {
            shared.update(|cloud| settle(cloud, shared.addresses()));
        }
        tokio::select! {
            _ = changes.changed() => {}
            _ = phase.ended() => return,
        }
    }
}

fn settle(cloud: &mut Cloud, addresses: &AddressBlock) {
    for region in cloud.regions.values_mut() {
        rds::control_plane::settle(region, addresses);
        settle_balancers(region);
    }
}

fn settle_balancers(region: &mut Region) {
    let Region { ec2, elbv2: Elbv2 { load_balancers, target_groups, .. }, .. } = region;
    load_balancers.values_mut().for_each(|balancer| balancer.state = BalancerState::Active);
    for group in target_groups.values_mut() {
        let of_instances = group.target_type == TargetType::Instance;
        let runs = |id: &str| {
            ec2.instances.get(id).is_some_and(|instance: &Instance| instance.state == InstanceState::Running)
        };
        group.targets.retain(|target| !target.draining);
        for target in &mut group.targets {
            if !of_instances || runs(&target.id) {
                target.health = Health { state: "healthy".to_owned(), reason: None, description: None };
            }
        }
    }
}
