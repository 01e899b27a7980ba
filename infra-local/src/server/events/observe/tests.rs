//! Tests of the events between two states.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::model::autoscaling::moment;
use crate::model::cloudwatch::alarm::AlarmState;
use crate::model::faults::{NetworkSymptom, Side, Symptom};
use crate::services::{autoscaling, cloudwatch, ec2, rds};
use crate::testing::{ControlPlane, element};
use serde_json::json;

const REGION: &str = "us-east-1";

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

/// A cloud and its observer.
struct World {
    plane: ControlPlane,
    observer: Observer,
}

impl World {
    fn new() -> World {
        let mut plane = ControlPlane::new();
        plane.now = Some(at(0));
        World { plane, observer: Observer::default() }
    }

    fn region(&mut self) -> &mut Region {
        self.plane.cloud.regions.get_mut(REGION).unwrap()
    }

    /// Returns a line for each event until this second. Ids are replaced.
    fn events(&mut self, second: i64) -> String {
        let events = self.observer.observe(self.plane.cloud.clone(), at(second));
        let lines = events.iter().map(|event| {
            let Occurrence { at, region, kind, subject, text, began } = event;
            let began = began.map(|began| format!(" since {}", moment(began))).unwrap_or_default();
            let region = region.as_deref().unwrap_or("-");
            format!("{} {region} {kind:?} {subject}{began}: {text}", at.format("%T"))
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        let rules = [("i-[0-9a-f]{17}", "i-[id]"), (r"launched in \S+", "launched in [zone]")];
        rules.iter().fold(text, |text, (pattern, redaction)| {
            regex_lite::Regex::new(pattern).unwrap().replace_all(&text, *redaction).into_owned()
        })
    }
}

#[test]
fn faults_begin_and_end() {
    let mut world = World::new();
    assert_eq!(world.events(0), "");
    let throttle = RequestFault {
        number: 0,
        symptom: Symptom::Throttle,
        operation: "ec2:Run*".to_owned(),
        percent: 100,
        remaining: Some(2),
    };
    let partition = NetworkFault {
        number: 0,
        symptom: NetworkSymptom::Partition,
        between: [Side::Internet, Side::Zone("us-east-1a".to_owned())],
    };
    let faults = &mut world.plane.cloud.faults;
    faults.requests = vec![throttle.clone(), throttle];
    faults.lag_milliseconds = 500;
    faults.add_to_network(partition);
    world.region().lost_zones.insert("us-east-1b".to_owned());
    insta::assert_snapshot!(world.events(1), @r"
    08:00:01 us-east-1 Fault us-east-1b: A fault begins: the zone us-east-1b is lost
    08:00:01 - Fault ec2:Run*: A fault begins: ec2:Run* are throttled, for 2 of them
    08:00:01 - Fault ec2:Run*: A fault begins: ec2:Run* are throttled, for 2 of them
    08:00:01 - Fault *: A fault begins: reads return the state of 500 ms ago
    08:00:01 - Fault internet – us-east-1a: A fault begins: packets between internet and us-east-1a are dropped
    ");
    world.plane.cloud.faults.use_up(&[true, true]);
    assert_eq!(world.events(2), "", "the faults affect one more request each");
    world.plane.cloud.faults.use_up(&[true, false]);
    world.region().lost_zones.clear();
    insta::assert_snapshot!(world.events(3), @r"
    08:00:03 us-east-1 Fault us-east-1b since 2027-01-15T08:00:01Z: A fault ends that began at 08:00:01: the zone us-east-1b is lost
    08:00:03 - Fault ec2:Run* since 2027-01-15T08:00:01Z: A fault ends that began at 08:00:01: ec2:Run* are throttled
    ");
    world.plane.cloud.faults = crate::model::faults::Faults::default();
    insta::assert_snapshot!(world.events(4), @r"
    08:00:04 - Fault ec2:Run* since 2027-01-15T08:00:01Z: A fault ends that began at 08:00:01: ec2:Run* are throttled
    08:00:04 - Fault * since 2027-01-15T08:00:01Z: A fault ends that began at 08:00:01: reads return the state of 500 ms ago
    08:00:04 - Fault internet – us-east-1a since 2027-01-15T08:00:01Z: A fault ends that began at 08:00:01: packets between internet and us-east-1a are dropped
    ");
}

#[test]
fn instances_are_launched_stopped_and_terminated() {
    let mut world = World::new();
    let [one, other] = world.plane.launch_two("web");
    insta::assert_snapshot!(world.events(1), @r"
    08:00:00 us-east-1 Instance i-[id]: The instance i-[id] (web) is launched in [zone]
    08:00:00 us-east-1 Instance i-[id]: The instance i-[id] (web) is launched in [zone]
    ");
    let instances = &mut world.region().ec2.instances;
    instances.get_mut(&one).unwrap().state = InstanceState::Stopped;
    instances.get_mut(&other).unwrap().terminate("Server.InternalError", HOST_FAILED);
    insta::assert_snapshot!(world.events(2), @r"
    08:00:02 us-east-1 Instance i-[id]: The instance i-[id] (web) is stopped
    08:00:02 us-east-1 Fault i-[id]: The instance i-[id] (web) loses its host
    08:00:02 us-east-1 Instance i-[id]: The instance i-[id] (web) is terminated: Server.InternalError: Internal error: the host failed
    ");
    let instances = &mut world.region().ec2.instances;
    instances.get_mut(&one).unwrap().state = InstanceState::Pending;
    instances.get_mut(&other).unwrap().state = InstanceState::Terminated;
    insta::assert_snapshot!(world.events(3), @"08:00:03 us-east-1 Instance i-[id]: The instance i-[id] (web) is started");
    world.plane.query(ec2::OPERATIONS, "TerminateInstances", &format!("InstanceId.1={one}")).unwrap();
    world.region().ec2.instances.remove(&other);
    insta::assert_snapshot!(world.events(4), @"08:00:04 us-east-1 Instance i-[id]: The instance i-[id] (web) is terminated: Client.UserInitiatedShutdown: User initiated shutdown");
}

#[test]
fn groups_change_their_capacity_and_report_activities() {
    let mut world = World::new();
    let images = world.plane.query(ec2::OPERATIONS, "DescribeImages", "").unwrap();
    let template = format!(
        "LaunchTemplateName=template&LaunchTemplateData.ImageId={}&LaunchTemplateData.InstanceType=t3.micro",
        element(&images, "imageId")
    );
    world.plane.query(ec2::OPERATIONS, "CreateLaunchTemplate", &template).unwrap();
    let subnet = world.region().ec2.subnets.keys().next().unwrap().clone();
    let group = format!(
        "AutoScalingGroupName=g&MinSize=0&MaxSize=3&VPCZoneIdentifier={subnet}\
         &LaunchTemplate.LaunchTemplateName=template&LaunchTemplate.Version=1"
    );
    world.plane.query(autoscaling::OPERATIONS, "CreateAutoScalingGroup", &group).unwrap();
    assert_eq!(world.events(0), "");
    let activity = |id: &str| Activity {
        id: id.to_owned(),
        description: format!("Launching a new EC2 instance: {id}"),
        cause: String::new(),
        started: at(2),
        ended: None,
        status: ActivityStatus::InProgress,
        message: None,
        zone: String::new(),
        subnet: String::new(),
    };
    let group = |world: &mut World, change: &dyn Fn(&mut Group)| {
        change(world.region().autoscaling.groups.get_mut("g").unwrap());
    };
    group(&mut world, &|group| {
        group.scale_to(2, "a user request", at(1));
        group.begin(activity("one"));
        group.begin(activity("two"));
    });
    insta::assert_snapshot!(world.events(3), @r"
    08:00:01 us-east-1 Scaling g: The group g changes its desired capacity from 0 to 2
    08:00:02 us-east-1 Scaling g: g: Launching a new EC2 instance: one
    08:00:02 us-east-1 Scaling g: g: Launching a new EC2 instance: two
    ");
    group(&mut world, &|group| {
        group.end("one", ActivityStatus::Successful, None, at(4));
        group.end("two", ActivityStatus::Failed, Some("no room".to_owned()), at(5));
    });
    insta::assert_snapshot!(world.events(6), @"08:00:05 us-east-1 Scaling g: g: Launching a new EC2 instance: two (failed: no room)");
    assert_eq!(world.events(7), "");
}

#[test]
fn alarms_change_their_state() {
    let mut world = World::new();
    let alarm = json!({
        "AlarmName": "busy", "Namespace": "Shop", "MetricName": "orders", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 1, "Threshold": 5.0, "ComparisonOperator": "GreaterThanThreshold",
    });
    world.plane.values(cloudwatch::OPERATIONS, "PutMetricAlarm", alarm).unwrap();
    assert_eq!(world.events(0), "", "settings are no event");
    let set = |world: &mut World, state, second| {
        world.region().cloudwatch.set_state("busy", state, "9 is greater than 5".to_owned(), None, at(second));
    };
    set(&mut world, AlarmState::Alarm, 1);
    set(&mut world, AlarmState::Ok, 2);
    insta::assert_snapshot!(world.events(3), @r"
    08:00:01 us-east-1 Alarm busy: The alarm busy changes from INSUFFICIENT_DATA to ALARM: 9 is greater than 5
    08:00:02 us-east-1 Alarm busy: The alarm busy changes from ALARM to OK: 9 is greater than 5
    ");
    set(&mut world, AlarmState::Alarm, 4);
    insta::assert_snapshot!(world.events(5), @"08:00:04 us-east-1 Alarm busy: The alarm busy changes from OK to ALARM: 9 is greater than 5");
    let mut restarted = World { plane: ControlPlane::new(), observer: Observer::default() };
    restarted.plane.cloud = world.plane.cloud;
    assert_eq!(restarted.events(6).lines().count(), 3, "the history in the model is the beginning");
}

#[test]
fn databases_fail_over() {
    let mut world = World::new();
    let login = "MasterUsername=cloud&MasterUserPassword=long-enough";
    let cluster = format!("DBClusterIdentifier=c&Engine=aurora-postgresql&{login}");
    world.plane.query(rds::OPERATIONS, "CreateDBCluster", &cluster).unwrap();
    let instance = format!(
        "DBInstanceIdentifier=d&DBInstanceClass=db.t3.micro&Engine=postgres&{login}&AllocatedStorage=20&MultiAZ=true"
    );
    world.plane.query(rds::OPERATIONS, "CreateDBInstance", &instance).unwrap();
    world.region().rds.clusters.get_mut("c").unwrap().writer = Some("c-1".to_owned());
    let zones = |world: &mut World| {
        let instance = world.region().rds.instances.get_mut("d").unwrap();
        instance.zone = "us-east-1a".to_owned();
        instance.second_zone = Some("us-east-1b".to_owned());
    };
    zones(&mut world);
    assert_eq!(world.events(0), "");
    world.region().rds.clusters.get_mut("c").unwrap().writer = Some("c-2".to_owned());
    let instance = world.region().rds.instances.get_mut("d").unwrap();
    std::mem::swap(&mut instance.zone, instance.second_zone.as_mut().unwrap());
    insta::assert_snapshot!(world.events(1), @r"
    08:00:01 us-east-1 Failover c: The cluster c fails over from c-1 to c-2
    08:00:01 us-east-1 Failover d: The database d fails over from us-east-1a to us-east-1b
    ");
    world.region().rds.clusters.get_mut("c").unwrap().writer = None;
    assert_eq!(world.events(2), "");
}
