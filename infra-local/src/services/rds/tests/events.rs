//! Events of databases.

use chrono::{SubsecRound as _, TimeDelta, Utc};

use super::{ONE, Stage, World, family};
use crate::testing::element;

#[test]
fn events_are_recorded_for_the_changes_of_instances_snapshots_and_parameter_groups() {
    let mut world = World::new();
    world.call("CreateDBInstance", ONE).unwrap();
    world.settle();
    world.call("CreateDBSnapshot", "DBInstanceIdentifier=one&DBSnapshotIdentifier=first").unwrap();
    world.settle();
    let modify =
        "DBInstanceIdentifier=one&MultiAZ=true&AllocatedStorage=40&ApplyImmediately=true&BackupRetentionPeriod=0";
    world.call("ModifyDBInstance", modify).unwrap();
    world.settle();
    world.call("RebootDBInstance", "DBInstanceIdentifier=one").unwrap();
    world.settle();
    world.call("CopyDBSnapshot", "SourceDBSnapshotIdentifier=first&TargetDBSnapshotIdentifier=copy").unwrap();
    world.settle();
    world.call("DeleteDBSnapshot", "DBSnapshotIdentifier=first").unwrap();
    let family = family();
    let group = format!("DBParameterGroupName=own&DBParameterGroupFamily={family}&Description=d");
    world.call("CreateDBParameterGroup", &group).unwrap();
    let set = "DBParameterGroupName=own&Parameters.Parameter.1.ParameterName=statement_timeout\
               &Parameters.Parameter.1.ParameterValue=5000&Parameters.Parameter.1.ApplyMethod=immediate";
    world.call("ModifyDBParameterGroup", set).unwrap();
    insta::assert_snapshot!(world.events("SourceType=db-instance&SourceIdentifier=ONE"), @r"
    creation: DB instance created
    backup: Backing up DB instance
    backup: Finished DB Instance backup
    configuration change: Applying modification to allocated storage
    configuration change: Applying modification to convert to a Multi-AZ DB Instance
    configuration change: Disabled automated backups
    availability: DB instance shutdown
    availability: DB instance restarted
    ");
    insta::assert_snapshot!(world.events("SourceType=db-snapshot"), @r"
    creation: Creating manual snapshot
    creation: Manual snapshot created
    notification: Started copy of snapshot first in region us-east-1
    notification: Finished copy of snapshot first in region us-east-1
    deletion: Deleted user snapshot
    ");
    insta::assert_snapshot!(world.events("SourceType=db-parameter-group"), @"configuration change: Updated parameter statement_timeout to 5000 with apply method immediate");
    insta::assert_snapshot!(world.events("EventCategories.EventCategory.1=backup&EventCategories.EventCategory.2=failure"), @r"
    backup: Backing up DB instance
    backup: Finished DB Instance backup
    ");
    assert_eq!(world.events("SourceType=db-cluster"), "");

    let answer = world.call("DescribeEvents", "SourceType=db-snapshot").unwrap();
    assert_eq!(element(&answer, "SourceArn"), "arn:aws:rds:us-east-1:000000000000:snapshot:first");
    let all = world.call("DescribeEvents", "").unwrap().matches("<Event>").count();
    assert!(all < 20, "{all}");
    world.refuses("DescribeEvents", "SourceIdentifier=one", "InvalidParameterCombination", "SourceType");
    world.refuses("DescribeEvents", "Duration=20161", "InvalidParameterValue", "20160");
    world.refuses("DescribeEvents", "StartTime=yesterday", "InvalidParameterValue", "StartTime");
}

#[test]
fn events_are_selected_by_time_paged_and_forgotten_after_14_days() {
    let mut world = World::new();
    let begin = Utc::now().trunc_subsecs(0) - TimeDelta::days(13);
    for number in 0..15 {
        world.plane.now = Some(begin + TimeDelta::minutes(number));
        let instance = ONE.replace("=one&", &format!("=db{number}&"));
        world.call("CreateDBInstance", &instance).unwrap();
        let databases = &mut world.plane.cloud.regions.get_mut("us-east-1").unwrap().rds;
        databases.instances.values_mut().for_each(|instance| instance.stage = Stage::Available);
        world.call("DeleteDBInstance", &format!("DBInstanceIdentifier=db{number}&SkipFinalSnapshot=true")).unwrap();
        let before = world.plane.cloud.clone();
        world.plane.cloud.regions.get_mut("us-east-1").unwrap().rds.instances.clear();
        world.plane.cloud.record_events(&before, begin + TimeDelta::minutes(number));
    }
    // By default the past hour.
    world.plane.now = Some(begin + TimeDelta::minutes(61));
    let count = |world: &mut World, form: &str| world.call("DescribeEvents", form).unwrap().matches("<Event>").count();
    assert_eq!((count(&mut world, ""), count(&mut world, "Duration=120")), (14, 15));
    let time =
        |minutes: i64| (begin + TimeDelta::minutes(minutes)).to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let period = format!("StartTime={}&EndTime={}", time(2), time(4));
    assert_eq!(count(&mut world, &period), 3);
    assert_eq!(count(&mut world, &format!("StartTime={}&Duration=5", time(0))), 6);
    world.refuses(
        "DescribeEvents",
        "StartTime=2026-01-02T00:00Z&EndTime=2026-01-01T00:00Z",
        "InvalidParameterCombination",
        "before",
    );

    // A later event removes those that are older than 14 days.
    let before = world.plane.cloud.clone();
    world.plane.now = Some(begin);
    world.call("CreateDBInstance", ONE).unwrap();
    let late = world.plane.cloud.clone();
    world.plane.cloud.regions.get_mut("us-east-1").unwrap().rds.instances.clear();
    world.plane.cloud.record_events(&late, begin + TimeDelta::days(14) + TimeDelta::minutes(10));
    assert_ne!(before, world.plane.cloud);
    world.plane.now = Some(begin + TimeDelta::days(14) + TimeDelta::minutes(10));
    assert_eq!(count(&mut world, "Duration=20160"), 6);
}
