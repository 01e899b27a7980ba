//! Behaviour that AWS's documentation of EC2 Auto Scaling promises, beside that of the other tests.

use super::*;
use crate::model::autoscaling::MixedInstances;

/// Returns a group in one zone with this number of serving members.
fn in_one_zone(count: u32) -> World {
    let mut world = World::new(count);
    world.group().subnets.truncate(1);
    let subnet = world.group().subnets[0].clone();
    let zone = world.region().ec2.subnets[&subnet].zone.clone();
    world.group().zones = vec![zone];
    world.ticks(4);
    assert_eq!(world.serving().len(), count as usize);
    world
}

fn ids(world: &mut World) -> Vec<String> {
    world.group().staying().map(|member| member.instance.clone()).collect()
}

#[test]
fn termination_policies_select_the_member_that_they_name() {
    for (policy, expected) in [
        ("OldestInstance", 2),
        ("NewestInstance", 0),
        ("ClosestToNextInstanceHour", 1),
        ("OldestLaunchTemplate", 1),
        ("AllocationStrategy", 0),
        ("Default", 1),
    ] {
        let mut world = in_one_zone(3);
        let now = world.now;
        // Their places in the current hour: 2,000 s, 3,400 s, 2,800 s.
        for (place, age) in [2_000, 7_000, 10_000].into_iter().enumerate() {
            world.group().members[place].launched = now - TimeDelta::seconds(age);
        }
        world.group().template = reference(2);
        for place in [0, 2] {
            world.group().members[place].template.version = 2;
        }
        let types = ["t3.micro", "t3.small"].map(str::to_owned);
        world.group().mixed = Some(MixedInstances { instance_types: types.to_vec(), ..MixedInstances::default() });
        let members = ids(&mut world);
        world.region().ec2.instances.get_mut(&members[0]).unwrap().instance_type = "t3.small".to_owned();
        world.group().termination_policies = vec![policy.to_owned()];
        world.group().scale_to(2, "a user request", now);
        world.ticks(4);
        let left = ids(&mut world);
        let gone: Vec<_> = members.iter().filter(|id| !left.contains(id)).collect();
        assert_eq!(gone, [&members[expected]], "{policy}");
    }
}

/// Members of a deleted launch configuration are terminated first, then those of the oldest one; members of launch templates
/// stay. Source: Amazon EC2 Auto Scaling User Guide, "Configure termination policies".
#[test]
fn the_policy_oldest_launch_configuration_selects_by_the_age_of_the_configuration() {
    let mut world = in_one_zone(4);
    let now = world.now;
    let original = world.region().ec2.launch_templates["lt-1"].clone();
    for (place, name, age) in [(1, "young", 1), (2, "old", 9), (3, "deleted", 2)] {
        let mut template = original.clone();
        template.id = format!("launch-configuration:{name}");
        template.name = name.to_owned();
        template.created = now - TimeDelta::days(age);
        let configuration = LaunchConfiguration { arn: format!("arn:{name}"), template };
        world.group().members[place].template.id = format!("launch-configuration:{name}");
        if name != "deleted" {
            world.region().autoscaling.launch_configurations.insert(name.to_owned(), configuration);
        }
    }
    // The age of the instances is without influence.
    for place in 0..4 {
        world.group().members[place].launched = now - TimeDelta::minutes(i64::try_from(60 - place).unwrap());
    }
    world.group().termination_policies = vec!["OldestLaunchConfiguration".to_owned()];
    let members = ids(&mut world);
    for (desired, expected) in [(3, 3), (2, 2), (1, 1)] {
        let before = ids(&mut world);
        let now = world.now;
        world.group().scale_to(desired, "a user request", now);
        world.ticks(4);
        let left = ids(&mut world);
        let gone: Vec<_> = before.iter().filter(|id| !left.contains(id)).collect();
        assert_eq!(gone, [&members[expected]]);
    }
}

#[test]
fn suspended_processes_do_not_run() {
    let suspended = |process: &str, world: &mut World| {
        world.group().suspended = BTreeMap::from([(process.to_owned(), "User suspended".to_owned())]);
    };
    let mut world = in_one_zone(2);
    let now = world.now;
    let members = ids(&mut world);

    suspended("Launch", &mut world);
    world.group().scale_to(3, "a user request", now);
    world.ticks(4);
    assert_eq!(world.serving().len(), 2);

    suspended("AddToLoadBalancer", &mut world);
    world.ticks(4);
    assert_eq!(world.group().staying().count(), 3);
    assert_eq!(world.region().elbv2.target_groups[TARGETS].targets.len(), 2);

    suspended("Terminate", &mut world);
    world.group().scale_to(1, "a user request", now);
    world.ticks(4);
    assert_eq!(world.group().staying().count(), 3);

    world.group().scale_to(3, "a user request", now);
    for process in ["HealthCheck", "ReplaceUnhealthy"] {
        suspended(process, &mut world);
        world.region().ec2.instances.get_mut(&members[0]).unwrap().state = InstanceState::Stopped;
        world.ticks(4);
        assert!(ids(&mut world).contains(&members[0]), "{process}");
        let member = world.group().members.iter().find(|member| member.instance == members[0]).unwrap().healthy;
        assert_eq!(member, process == "HealthCheck", "{process}");
    }
    world.group().suspended.clear();
    world.ticks(6);
    assert!(!ids(&mut world).contains(&members[0]), "resumed processes replace it");
}

#[test]
fn a_suspended_alarm_notification_does_not_scale() {
    let mut world = World::new(1);
    world.ticks(4);
    follow_cpu(&mut world, 50.0);
    world.group().suspended.insert("AlarmNotification".to_owned(), "User suspended".to_owned());
    let mut used = BTreeMap::new();
    load(&mut world, &mut used, 0.9, 600);
    assert_eq!(world.group().desired, 1);
    world.group().suspended.clear();
    load(&mut world, &mut used, 0.9, 600);
    assert!(world.group().desired > 1);
}

#[test]
fn members_are_replaced_one_at_a_time_after_the_maximum_lifetime() {
    let mut world = in_one_zone(3);
    let now = world.now;
    let members = ids(&mut world);
    for (place, age) in [90_000, 100_000, 200_000].into_iter().enumerate() {
        world.group().members[place].launched = now - TimeDelta::seconds(age);
    }
    world.group().members[2].protected = true;
    world.group().extras.max_lifetime_seconds = Some(86_400);
    let mut fewest = 3;
    for _ in 0..20 {
        world.tick();
        fewest = fewest.min(world.serving().len());
    }
    assert_eq!(fewest, 2, "one is replaced at a time");
    let left = ids(&mut world);
    assert_eq!(left.len(), 3);
    // A protected instance stays.
    assert_eq!(members.iter().filter(|id| left.contains(id)).collect::<Vec<_>>(), [&members[2]]);
    assert!(world.causes().contains("maximum instance lifetime"));
}

#[test]
fn unhealthy_members_are_replaced_within_the_maintenance_policy() {
    for (maintenance, most, fewest) in [(None, 2, 1), (Some((100, 150)), 3, 2), (Some((50, 100)), 2, 1)] {
        let mut world = in_one_zone(2);
        world.group().extras.maintenance = maintenance;
        world.group().elb_health = true;
        world.group().grace_seconds = 0;
        let failing = ids(&mut world)[0].clone();
        let targets = &mut world.region().elbv2.target_groups.get_mut(TARGETS).unwrap().targets;
        targets.iter_mut().find(|target| target.id == failing).unwrap().health.state = "unhealthy".to_owned();
        let mut sizes = Vec::new();
        while ids(&mut world).contains(&failing) {
            world.tick();
            sizes.push(world.group().staying().count());
            assert!(sizes.len() < 20, "{maintenance:?}: the member is not replaced");
        }
        assert_eq!(sizes.iter().max(), Some(&most), "{maintenance:?}");
        // The other members that serve when the failing one leaves.
        assert_eq!(world.serving().len(), fewest, "{maintenance:?}");
        world.ticks(6);
        assert_eq!(world.serving().len(), 2, "{maintenance:?}");
    }
}
