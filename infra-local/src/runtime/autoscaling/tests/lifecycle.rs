//! Hooks, schedules, standby, zones, checkpoints and custom metrics.

use super::*;
use crate::domain::autoscaling::membership::move_to_standby;
use crate::model::autoscaling::{Hook, Lifecycle, Scheduled};
use crate::model::cloudwatch::alarm::{Alarm, AlarmState, Comparison};
use crate::model::cloudwatch::metrics::{MetricName, Sample};

fn hook(world: &mut World, name: &str, launching: bool, continues: bool) {
    let hook = Hook { name: name.to_owned(), launching, heartbeat_seconds: 30, continues, metadata: None };
    world.group().hooks.insert(name.to_owned(), hook);
}

#[test]
fn an_instance_waits_for_every_hook_before_it_serves() {
    let mut world = World::new(1);
    hook(&mut world, "warm", true, false);
    hook(&mut world, "check", true, false);
    world.ticks(5);
    let member = world.group().members[0].clone();
    assert_eq!(member.lifecycle, Lifecycle::PendingWait);
    assert!(world.serving().is_empty());
    world.group().members[0].waits[0].continues = Some(true);
    world.ticks(2);
    assert_eq!(world.group().members[0].lifecycle, Lifecycle::PendingWait, "one is not enough");
    world.group().members[0].waits[1].continues = Some(true);
    world.ticks(2);
    assert_eq!(world.serving(), [member.instance]);
    assert_eq!(world.group().activities[0].status, ActivityStatus::Successful);
}

#[test]
fn a_hook_that_times_out_has_its_default_result() {
    let mut world = World::new(1);
    hook(&mut world, "warm", true, false);
    world.ticks(5);
    let first = world.group().members[0].instance.clone();
    world.ticks(40);
    assert!(world.group().members.iter().all(|member| member.instance != first), "abandoned and replaced");
    assert_eq!(world.group().activities[0].status, ActivityStatus::Cancelled);
    world.group().hooks.get_mut("warm").unwrap().continues = true;
    world.ticks(80);
    assert_eq!(world.serving().len(), 1);
}

#[test]
fn an_instance_waits_before_its_termination_and_is_out_of_service_meanwhile() {
    let mut world = World::new(2);
    world.ticks(4);
    hook(&mut world, "drain", false, false);
    let now = world.now;
    world.group().scale_to(1, "a user request", now);
    world.ticks(4);
    let states: Vec<Lifecycle> = world.group().members.iter().map(|member| member.lifecycle).collect();
    assert!(states.contains(&Lifecycle::TerminatingWait), "{states:?}");
    assert_eq!(world.region().elbv2.target_groups[TARGETS].targets.len(), 1);
    let running = |world: &mut World| {
        world.region().ec2.instances.values().filter(|instance| instance.state == InstanceState::Running).count()
    };
    assert_eq!(running(&mut world), 2, "it still runs");
    world.ticks(40);
    assert_eq!((running(&mut world), world.group().members.len()), (1, 1));
}

#[test]
fn a_scheduled_action_runs_once_or_repeatedly() {
    let mut world = World::new(1);
    world.ticks(4);
    let action = |name: &str, next, recurrence: Option<&str>| Scheduled {
        name: name.to_owned(),
        arn: format!("arn:{name}"),
        start: Some(next),
        end: None,
        recurrence: recurrence.map(str::to_owned),
        time_zone: None,
        min: Some(2),
        max: None,
        desired: None,
        next,
    };
    let soon = world.now + TimeDelta::seconds(10);
    world.group().schedule.insert("once".to_owned(), action("once", soon, None));
    world.group().schedule.insert("daily".to_owned(), action("daily", soon, Some("0 8 * * *")));
    world.ticks(8);
    assert_eq!(world.group().desired, 1, "its time has not come");
    world.ticks(8);
    assert_eq!((world.group().min, world.group().desired), (2, 2));
    assert_eq!(world.serving().len(), 2);
    assert!(world.causes().contains("a scheduled action update of AutoScalingGroup constraints to min: 2"));
    let left: Vec<String> = world.group().schedule.keys().cloned().collect();
    assert_eq!(left, ["daily"]);
    let now = world.now;
    assert!(world.group().schedule["daily"].next > now);
    world.group().suspended.insert("ScheduledActions".to_owned(), String::new());
    let (now, soon) = (world.now, world.now + TimeDelta::seconds(2));
    world.group().min = 1;
    world.group().scale_to(1, "a user request", now);
    world.group().schedule.get_mut("daily").unwrap().next = soon;
    world.ticks(5);
    assert_eq!(world.group().desired, 1, "what is suspended passes");
}

#[test]
fn standby_instances_neither_serve_nor_count() {
    let mut world = World::new(2);
    world.ticks(4);
    let id = world.serving()[0].clone();
    let region = world.cloud.regions.get_mut(REGION).unwrap();
    let mut group = region.autoscaling.groups.remove("g").unwrap();
    move_to_standby(&mut group, region, &id);
    region.autoscaling.groups.insert("g".to_owned(), group);
    world.ticks(6);
    assert_eq!(world.group().member_mut(&id).unwrap().lifecycle, Lifecycle::Standby);
    assert_eq!(world.serving().len(), 2, "another one took its place");
    assert_eq!(world.group().members.len(), 3);
    world.group().deleting = true;
    world.ticks(6);
    assert!(world.region().autoscaling.groups.is_empty(), "it goes with its group");
}

#[test]
fn unbalanced_zones_are_rebalanced_without_reducing_capacity() {
    let mut world = World::new(4);
    world.ticks(4);
    let zones = world.group().zones.clone();
    let subnets = world.group().subnets.clone();
    world.group().zones.truncate(1);
    world.group().subnets.truncate(1);
    world.ticks(40);
    assert!(world.group().members.iter().all(|member| member.zone == zones[0]), "the other zone was left");
    world.group().zones = zones.clone();
    world.group().subnets = subnets;
    world.group().suspended.insert("AZRebalance".to_owned(), "User suspended".to_owned());
    world.ticks(10);
    assert!(world.group().members.iter().all(|member| member.zone == zones[0]), "the process is suspended");
    world.group().suspended.clear();
    for _ in 0..40 {
        world.tick();
        assert!(world.serving().len() >= 4);
    }
    for zone in zones {
        assert_eq!(world.group().members.iter().filter(|member| member.zone == zone).count(), 2);
    }
    assert!(world.causes().contains("to aid in balancing the group's zones"));
}

#[test]
fn a_refresh_waits_at_its_checkpoints_and_bakes() {
    let mut world = World::new(4);
    world.ticks(4);
    let checkpoints = vec![50, 100];
    let halfway = Preferences { checkpoints, checkpoint_delay_seconds: 60, bake_seconds: Some(30), ..preferences() };
    world.refresh(halfway);
    world.ticks(50);
    assert_eq!(world.versions(), [1, 1, 2, 2]);
    assert!(world.group().refreshes[0].reason.as_ref().unwrap().contains("Checkpoint reached: 50%"));
    world.ticks(50);
    assert_eq!(world.versions(), [2, 2, 2, 2]);
    assert_eq!(world.group().refreshes[0].status, RefreshStatus::Baking);
    world.ticks(40);
    assert_eq!(world.group().refreshes[0].status, RefreshStatus::Successful);
}

#[test]
fn an_alarm_during_the_bake_time_rolls_a_refresh_back() {
    let mut world = World::new(1);
    world.ticks(4);
    world.refresh(Preferences { bake_seconds: Some(600), alarms: vec!["errors".to_owned()], ..preferences() });
    world.ticks(20);
    assert_eq!(world.group().refreshes[0].status, RefreshStatus::Baking);
    let now = world.now;
    let alarm = Alarm {
        name: "errors".to_owned(),
        arn: String::new(),
        description: None,
        actions_enabled: true,
        actions: BTreeMap::new(),
        namespace: "n".to_owned(),
        metric: "m".to_owned(),
        dimensions: BTreeMap::new(),
        statistic: "Sum".to_owned(),
        period_seconds: 60,
        unit: None,
        evaluation_periods: 1,
        datapoints_to_alarm: None,
        threshold: 0.0,
        comparison: Comparison::GreaterThanThreshold,
        missing: None,
        tags: BTreeMap::new(),
        state: AlarmState::Alarm,
        reason: String::new(),
        reason_data: None,
        configured: now,
        state_updated: now,
        transitioned: now,
    };
    world.region().cloudwatch.alarms.insert("errors".to_owned(), alarm);
    world.ticks(20);
    assert_eq!(world.group().refreshes[0].status, RefreshStatus::RollbackSuccessful);
    assert!(world.group().refreshes[0].reason.as_ref().unwrap().contains("The alarm errors"));
    assert_eq!(world.versions(), [1]);
}

#[test]
fn a_custom_metric_is_followed() {
    let mut world = World::new(1);
    world.ticks(4);
    let metric = Metric::Custom {
        namespace: "Shop".to_owned(),
        name: "Jobs".to_owned(),
        dimensions: BTreeMap::new(),
        statistic: "Average".to_owned(),
        unit: None,
    };
    follow_cpu(&mut world, 50.0);
    let PolicyKind::TargetTracking(tracking) = &mut world.group().policies.get_mut("cpu").unwrap().kind else {
        panic!("a tracking policy");
    };
    tracking.metric = metric;
    let name = MetricName {
        region: REGION.to_owned(),
        namespace: "Shop".to_owned(),
        name: "Jobs".to_owned(),
        dimensions: BTreeMap::new(),
    };
    for _ in 0..60 {
        world.tick();
        world.cloud.metrics.record(&name, Sample::value(world.now, "None", 140.0));
    }
    assert_eq!(world.group().desired, 6, "three times as many, twice over, within the maximum");
}
