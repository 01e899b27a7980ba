//! Tests of groups step by step, with simulated instances and health checks.
#![allow(clippy::unwrap_used)]

mod documented;
mod lifecycle;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::model::autoscaling::{
    ActivityStatus, Group, GroupTag, LaunchConfiguration, Metric, Policy, PolicyKind, Preferences, ProtectedInstances,
    Refresh, RefreshStatus, Tracking,
};
use crate::model::ec2::image::stock;
use crate::model::ec2::instance::{InstanceState, Service, ServiceState, StateReason};
use crate::model::ec2::launch_template::{LaunchData, TemplateVersion};
use crate::model::elbv2::{Check, Protocol, TargetGroup, TargetType};

const REGION: &str = "us-east-1";
const TARGETS: &str = "arn:targets";

/// A cloud with a group `g`, a target group, and a simulated clock.
struct World {
    cloud: Cloud,
    now: DateTime<Utc>,
    metrics: Metrics,
    addresses: AddressBlock,
    directory: tempfile::TempDir,
    /// True when new instances become healthy.
    boots_well: bool,
}

impl World {
    fn new(desired: u32) -> Self {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut cloud = Cloud::default();
        cloud.complete();
        let region = cloud.regions.get_mut(REGION).unwrap();
        let data = LaunchData {
            image_id: Some(stock(REGION)[0].id.clone()),
            instance_type: Some("t3.micro".to_owned()),
            ..LaunchData::default()
        };
        let versions =
            (1..=2).map(|number| (number, TemplateVersion { description: None, created: now, data: data.clone() }));
        let template = LaunchTemplate {
            id: "lt-1".to_owned(),
            name: "template".to_owned(),
            created: now,
            default_version: 1,
            latest_version: 2,
            versions: versions.collect(),
            tags: BTreeMap::new(),
        };
        region.ec2.launch_templates.insert(template.id.clone(), template);
        let check = Check {
            protocol: Protocol::Http,
            enabled: true,
            path: "/".to_owned(),
            port: "traffic-port".to_owned(),
            interval_seconds: 5,
            timeout_seconds: 2,
            healthy_threshold: 2,
            unhealthy_threshold: 2,
            matcher: "200".to_owned(),
        };
        let target_group = TargetGroup {
            protocol: Protocol::Http,
            arn: TARGETS.to_owned(),
            name: "targets".to_owned(),
            target_type: TargetType::Instance,
            version: crate::model::elbv2::ProtocolVersion::Http1,
            port: 8080,
            vpc_id: region.ec2.vpcs.keys().next().unwrap().clone(),
            check,
            attributes: BTreeMap::new(),
            targets: Vec::new(),
            tags: BTreeMap::new(),
        };
        region.elbv2.target_groups.insert(TARGETS.to_owned(), target_group);
        let group = group(region, desired, now);
        region.autoscaling.groups.insert(group.name.clone(), group);
        let addresses = AddressBlock::claim(directory.path()).unwrap();
        Self { cloud, now, metrics: Metrics::new(1.0), addresses, directory, boots_well: true }
    }

    fn region(&mut self) -> &mut Region {
        self.cloud.regions.get_mut(REGION).unwrap()
    }

    fn group(&mut self) -> &mut Group {
        self.region().autoscaling.groups.get_mut("g").unwrap()
    }

    /// Executes one step of the group, and simulates the other reconcilers.
    fn tick(&mut self) {
        self.now += TimeDelta::seconds(1);
        let env = Env {
            now: self.now,
            time_scale: 1.0,
            addresses: &self.addresses,
            directory: self.directory.path(),
            metrics: &self.metrics,
            custom: &self.cloud.metrics.clone(),
        };
        step_all(&mut self.cloud, &env);
        let boots_well = self.boots_well;
        let region = self.region();
        for instance in region.ec2.instances.values_mut() {
            instance.state = match instance.state {
                InstanceState::Pending => InstanceState::Running,
                InstanceState::ShuttingDown => InstanceState::Terminated,
                other => other,
            };
        }
        let targets = &mut region.elbv2.target_groups.get_mut(TARGETS).unwrap().targets;
        targets.retain(|target| !target.draining);
        for target in targets.iter_mut().filter(|target| target.health.state == "initial") {
            target.health.state = if boots_well { "healthy" } else { "unhealthy" }.to_owned();
            target.health.reason = (!boots_well).then(|| "Target.Timeout".to_owned());
        }
    }

    fn ticks(&mut self, count: usize) {
        for _ in 0..count {
            self.tick();
        }
    }

    /// Returns the ids of the members that serve.
    fn serving(&mut self) -> Vec<String> {
        let region = self.region();
        let group = &region.autoscaling.groups["g"];
        let serving = group.members.iter().filter(|member| members::serves(group, region, member));
        serving.map(|member| member.instance.clone()).collect()
    }

    fn versions(&mut self) -> Vec<u64> {
        let mut versions: Vec<u64> = self.group().staying().map(|member| member.template.version).collect();
        versions.sort_unstable();
        versions
    }

    fn causes(&mut self) -> String {
        self.group().activities.iter().map(|activity| activity.cause.clone()).collect::<Vec<_>>().join("\n")
    }

    fn refresh(&mut self, preferences: Preferences) {
        let refresh = Refresh {
            id: "r".to_owned(),
            status: RefreshStatus::Pending,
            reason: None,
            started: self.now,
            ended: None,
            desired: Some(reference(2)),
            preferences,
            total: 0,
            remaining: 0,
            rollback: None,
            moved: self.now,
            checkpoints: 0,
            paused: None,
            baking: None,
        };
        self.group().refreshes.push(refresh);
    }
}

fn reference(version: u64) -> TemplateReference {
    TemplateReference {
        id: Some("lt-1".to_owned()),
        name: Some("template".to_owned()),
        version: Some(version.to_string()),
    }
}

fn preferences() -> Preferences {
    Preferences {
        min_healthy_percentage: 90,
        max_healthy_percentage: 100,
        warmup_seconds: Some(0),
        skip_matching: true,
        auto_rollback: true,
        checkpoints: Vec::new(),
        checkpoint_delay_seconds: 0,
        bake_seconds: None,
        protected: ProtectedInstances::Wait,
        alarms: Vec::new(),
    }
}

fn group(region: &Region, desired: u32, now: DateTime<Utc>) -> Group {
    let subnets: Vec<_> = region.ec2.subnets.values().take(2).collect();
    let tag = GroupTag { value: "blue".to_owned(), propagate: true };
    Group {
        name: "g".to_owned(),
        arn: "arn:g".to_owned(),
        created: now,
        template: reference(1),
        notifications: BTreeMap::new(),
        mixed: None,
        extras: crate::model::autoscaling::Extras::default(),
        min: 1,
        max: 6,
        desired,
        subnets: subnets.iter().map(|subnet| subnet.id.clone()).collect(),
        zones: subnets.iter().map(|subnet| subnet.zone.clone()).collect(),
        target_groups: vec![TARGETS.to_owned()],
        elb_health: true,
        grace_seconds: 0,
        cooldown_seconds: 0,
        warmup_seconds: Some(0),
        tags: BTreeMap::from([("team".to_owned(), tag)]),
        termination_policies: vec!["Default".to_owned()],
        protects_new: false,
        suspended: BTreeMap::new(),
        members: Vec::new(),
        policies: BTreeMap::new(),
        hooks: BTreeMap::new(),
        schedule: BTreeMap::new(),
        collected: std::collections::BTreeSet::new(),
        balanced_only: false,
        rebalancing: false,
        refreshes: Vec::new(),
        activities: Vec::new(),
        deleting: false,
        cause: None,
        scaled_at: None,
        failures: 0,
        next_launch: None,
    }
}

#[test]
fn a_group_reaches_its_capacity_balanced_over_its_zones() {
    let mut world = World::new(4);
    world.ticks(4);
    assert_eq!(world.serving().len(), 4);
    let zones: Vec<String> = world.group().zones.clone();
    for zone in zones {
        assert_eq!(world.group().members.iter().filter(|member| member.zone == zone).count(), 2);
    }
    let instance = world.region().ec2.instances.values().next().unwrap();
    assert_eq!(instance.tags["aws:autoscaling:groupName"], "g");
    assert_eq!(instance.tags["team"], "blue");
    assert!(world.group().activities.iter().all(|activity| activity.status == ActivityStatus::Successful));
}

#[test]
fn a_group_launches_instances_of_its_launch_configuration() {
    let mut world = World::new(1);
    let mut template = world.region().ec2.launch_templates["lt-1"].clone();
    template.id = "launch-configuration:small".to_owned();
    template.name = "small".to_owned();
    template.versions.retain(|number, _| *number == 1);
    template.versions.get_mut(&1).unwrap().data.instance_type = Some("t3.small".to_owned());
    let configuration = LaunchConfiguration { arn: "arn:small".to_owned(), template };
    world.group().template = configuration.reference();
    world.region().autoscaling.launch_configurations.insert("small".to_owned(), configuration);
    world.ticks(4);
    let [id] = world.serving().try_into().unwrap();
    assert_eq!(world.region().ec2.instances[&id].instance_type, "t3.small");
    assert_eq!(world.group().members[0].template.id, "launch-configuration:small");
}

#[test]
fn the_instance_closest_to_its_next_hour_is_terminated_first() {
    let mut world = World::new(2);
    world.ticks(4);
    let [early, late] = world.serving().try_into().unwrap();
    world.group().termination_policies = vec!["ClosestToNextInstanceHour".to_owned()];
    let (now, zone) = (world.now, world.group().zones[0].clone());
    for member in &mut world.group().members {
        // The next hour of one begins in a minute, that of the other in half an hour.
        let minutes = if member.instance == late { 59 } else { 90 };
        member.launched = now - TimeDelta::minutes(minutes);
        member.zone.clone_from(&zone);
    }
    world.group().scale_to(1, "a user request", now);
    world.ticks(4);
    assert_eq!(world.serving(), [early]);
}

#[test]
fn terminated_and_unhealthy_members_are_replaced() {
    let mut world = World::new(2);
    world.ticks(4);
    let [first, second] = world.serving().try_into().unwrap();
    world.region().ec2.instances.get_mut(&first).unwrap().state = InstanceState::Terminated;
    let targets = &mut world.region().elbv2.target_groups.get_mut(TARGETS).unwrap().targets;
    targets.iter_mut().find(|target| target.id == second).unwrap().health.state = "unhealthy".to_owned();
    world.ticks(5);
    let now = world.serving();
    assert_eq!(now.len(), 2);
    assert!(!now.contains(&first) && !now.contains(&second));
    let causes = world.causes();
    for words in ["EC2 health check", "ELB system health check failure", "unhealthy instance needing to be replaced"] {
        assert!(causes.contains(words), "{words} not in {causes}");
    }
}

#[test]
fn the_grace_period_protects_starting_instances() {
    let mut world = World::new(1);
    world.group().grace_seconds = 60;
    world.boots_well = false;
    world.ticks(30);
    let first = world.group().members[0].instance.clone();
    assert!(world.group().members[0].healthy);
    world.ticks(60);
    assert_ne!(world.group().members[0].instance, first);
}

#[test]
fn scale_in_prefers_the_fuller_zone_and_spares_protected_instances() {
    let mut world = World::new(3);
    world.ticks(4);
    let zones = world.group().zones.clone();
    let fuller = zones.iter().max_by_key(|zone| {
        let members = &world.cloud.regions[REGION].autoscaling.groups["g"].members;
        members.iter().filter(|member| member.zone == **zone).count()
    });
    let fuller = fuller.unwrap().clone();
    let mut in_fuller = world.group().members.iter_mut().filter(|member| member.zone == fuller);
    let protected = in_fuller.next().unwrap();
    protected.protected = true;
    let protected = protected.instance.clone();
    let now = world.now;
    world.group().scale_to(2, "a user request", now);
    world.ticks(4);
    let zones: Vec<String> = world.group().members.iter().map(|member| member.zone.clone()).collect();
    assert_eq!(zones.len(), 2);
    assert_ne!(zones[0], zones[1]);
    assert!(world.serving().contains(&protected));
    assert!(world.causes().contains("shrinking the capacity from 3 to 2"));
}

#[test]
fn failed_launches_are_recorded_and_retried_with_growing_pauses() {
    let mut world = World::new(1);
    world.region().ec2.launch_templates.get_mut("lt-1").unwrap().versions.get_mut(&1).unwrap().data.image_id =
        Some("ami-0123456789abcdef0".to_owned());
    world.ticks(120);
    let activities = &world.group().activities;
    assert!((4..=10).contains(&activities.len()), "{}", activities.len());
    assert!(activities.iter().all(|activity| activity.status == ActivityStatus::Failed));
    assert!(activities[0].message.as_ref().unwrap().contains("ami-0123456789abcdef0"));
}

#[test]
fn a_refresh_keeps_the_minimum_in_service() {
    let mut world = World::new(3);
    world.ticks(4);
    world.refresh(preferences());
    for _ in 0..40 {
        world.tick();
        assert!(world.serving().len() >= 3);
        assert!(world.group().staying().count() <= 4);
    }
    let refresh = world.group().refreshes[0].clone();
    assert_eq!((refresh.status, refresh.percentage()), (RefreshStatus::Successful, 100));
    assert_eq!(world.versions(), [2, 2, 2]);
    assert_eq!(world.group().template, reference(2));
    assert_eq!(world.serving().len(), 3);
}

#[test]
fn a_refresh_launches_no_instance_to_rebalance_afterwards() {
    let mut world = World::new(2);
    world.ticks(4);
    world.refresh(preferences());
    world.ticks(40);
    assert_eq!(world.versions(), [2, 2]);
    let zones: BTreeSet<String> = world.group().staying().map(|member| member.zone.clone()).collect();
    assert_eq!((zones.len(), world.region().ec2.instances.len()), (2, 4));
}

#[test]
fn a_refresh_that_may_reduce_capacity_terminates_first() {
    let mut world = World::new(4);
    world.ticks(4);
    world.refresh(Preferences { min_healthy_percentage: 50, ..preferences() });
    for _ in 0..40 {
        world.tick();
        assert!(world.serving().len() >= 2);
        assert!(world.group().staying().count() <= 4);
    }
    assert_eq!(world.versions(), [2, 2, 2, 2]);
}

#[test]
fn an_unhealthy_version_is_rolled_back_with_its_log_as_reason() {
    let mut world = World::new(2);
    world.ticks(4);
    let before = world.serving();
    world.boots_well = false;
    world.refresh(preferences());
    world.ticks(2);
    let fresh = world.group().members.iter().find(|member| member.template.version == 2).unwrap().instance.clone();
    std::fs::create_dir_all(crate::state::console::directory(world.directory.path(), &fresh)).unwrap();
    crate::state::console::write(world.directory.path(), &fresh, "no such table: tasks");
    world.boots_well = true;
    world.ticks(20);
    let refresh = world.group().refreshes[0].clone();
    assert_eq!(refresh.status, RefreshStatus::RollbackSuccessful);
    let reason = refresh.reason.unwrap();
    for words in [fresh.as_str(), "version 2", "Target.Timeout", "no such table: tasks"] {
        assert!(reason.contains(words), "{words} not in {reason}");
    }
    assert_eq!(world.serving(), before);
    assert_eq!(world.group().template, reference(1));
}

#[test]
fn without_auto_rollback_an_unhealthy_version_fails_and_its_instance_is_terminated_first() {
    let mut world = World::new(2);
    world.ticks(4);
    world.boots_well = false;
    world.refresh(Preferences { auto_rollback: false, ..preferences() });
    world.ticks(10);
    assert_eq!(world.group().refreshes[0].status, RefreshStatus::Failed);
    assert_eq!(world.versions(), [1, 1]);
}

#[test]
fn a_crashing_service_fails_a_refresh_before_its_health_check_does() {
    let mut world = World::new(1);
    world.ticks(4);
    world.group().grace_seconds = 3600;
    world.boots_well = false;
    world.refresh(preferences());
    world.ticks(3);
    let fresh = world.group().members.iter().find(|member| member.template.version == 2).unwrap().instance.clone();
    let service = Service { state: ServiceState::Restarting, restarts: 3, ..Service::default() };
    world.region().ec2.instances.get_mut(&fresh).unwrap().runtime.services.insert("tasks".to_owned(), service);
    world.ticks(5);
    let refresh = &world.group().refreshes[0];
    assert!(refresh.reason.as_ref().unwrap().contains("its service tasks ended 3 times"), "{refresh:?}");
}

#[test]
fn an_instance_that_could_not_start_fails_a_refresh() {
    let mut world = World::new(1);
    world.ticks(4);
    world.refresh(preferences());
    world.ticks(2);
    let fresh = world.group().members.iter().find(|member| member.template.version == 2).unwrap().instance.clone();
    let instance = world.region().ec2.instances.get_mut(&fresh).unwrap();
    instance.state = InstanceState::Terminated;
    instance.reason = Some(StateReason {
        code: "Server.InternalError".to_owned(),
        message: "Server.InternalError: no room".to_owned(),
    });
    world.ticks(8);
    let refresh = &world.group().refreshes[0];
    assert_eq!(refresh.status, RefreshStatus::RollbackSuccessful);
    assert!(refresh.reason.as_ref().unwrap().contains("no room"), "{refresh:?}");
}

fn follow_cpu(world: &mut World, target: f64) {
    let tracking = Tracking { metric: Metric::Cpu, target, disable_scale_in: false, alarm: "alarm".to_owned() };
    let policy = Policy {
        name: "cpu".to_owned(),
        arn: "arn:cpu".to_owned(),
        enabled: true,
        warmup_seconds: Some(0),
        kind: PolicyKind::TargetTracking(tracking),
    };
    world.group().policies.insert(policy.name.clone(), policy);
}

/// Advances the clock with this utilisation of every member, from 0 to 1.
fn load(world: &mut World, used: &mut BTreeMap<String, f64>, utilisation: f64, seconds: usize) {
    for _ in 0..seconds {
        world.tick();
        for id in world.serving() {
            let total = used.entry(id.clone()).or_default();
            *total += utilisation;
            world.metrics.record_cpu(&id, *total, world.now);
        }
    }
}

#[test]
fn load_scales_out_in_proportion_and_idleness_scales_in_one_by_one() {
    let mut world = World::new(1);
    world.ticks(4);
    follow_cpu(&mut world, 50.0);
    let mut used = BTreeMap::new();
    load(&mut world, &mut used, 0.9, 65);
    assert_eq!(world.group().desired, 2);
    load(&mut world, &mut used, 0.9, 600);
    assert_eq!(world.group().desired, 6, "and never more than the maximum");
    assert!(world.causes().contains("TargetTracking-g-AlarmHigh-alarm in state ALARM triggered policy cpu"));
    load(&mut world, &mut used, 0.1, 400);
    assert_eq!(world.group().desired, 6, "caution");
    load(&mut world, &mut used, 0.1, 600);
    assert_eq!(world.group().desired, 5);
    load(&mut world, &mut used, 0.1, 6000);
    assert_eq!(world.group().desired, 1, "and never fewer than the minimum");
}

#[test]
fn a_metric_at_its_target_changes_nothing_and_no_policy_nothing_at_all() {
    let mut world = World::new(2);
    world.ticks(4);
    follow_cpu(&mut world, 50.0);
    let mut used = BTreeMap::new();
    load(&mut world, &mut used, 0.48, 1000);
    assert_eq!(world.group().desired, 2);
    world.group().policies.clear();
    load(&mut world, &mut used, 1.0, 200);
    assert_eq!(world.group().desired, 2);
}

#[test]
fn a_deleted_group_terminates_its_instances_and_is_removed() {
    let mut world = World::new(3);
    world.ticks(4);
    world.group().deleting = true;
    world.ticks(3);
    assert!(world.region().autoscaling.groups.is_empty());
    assert!(world.region().ec2.instances.values().all(|instance| instance.state == InstanceState::Terminated));
}
