//! SIGKILL at many moments of `up`: the next `up` and `destroy` account for all resources.

use serde_json::Value as Json;
use std::collections::BTreeMap;
use tests::{Project, http, until};

/// Numbers of events, counted from the first step, after which the run is killed.
const EARLY: [usize; 5] = [1, 6, 12, 18, 26];
const LATE: [usize; 5] = [34, 42, 50, 58, 66];

#[test]
fn run_killed_early_loses_nothing() {
    kill_at(&EARLY);
}

#[test]
fn run_killed_late_loses_nothing() {
    kill_at(&LATE);
}

fn kill_at(moments: &[usize]) {
    for &moment in moments {
        let project = Project::new();
        run_killed_at(moment, &project, &["up", "--yes"]);
        project.run(&["up", "--yes"]).expect(0);
        project.run(&["preview", "--expect-no-changes"]).expect(0);
        let (recorded, existing) = (recorded(&project), existing(&project));
        for kind in ["BakedImage", "LaunchTemplate", "KeyPair", "Parameter", "Bucket", "Role", "InstanceProfile"] {
            assert_eq!(recorded.get(kind), existing.get(kind), "{kind} after a kill at event {moment}: {existing:?}");
        }
        // The state contains the database host; the group has launched two more instances.
        assert_eq!(existing.get("vpcs"), Some(&2));
        assert_eq!(recorded.get("Instance"), Some(&1));
        assert_eq!(existing.get("Instance"), Some(&3), "after a kill at event {moment}");

        project.run(&["destroy", "--yes"]).expect(0);
        assert_eq!(project.status(), None, "something is left in the cloud after a kill at event {moment}");
        assert_eq!(project.json(&["state", "list"]), Json::Array(Vec::new()));
    }
}

#[test]
fn killed_relaunch_of_the_database_loses_no_data() {
    let project = Project::new();
    project.run(&["up", "--yes"]).expect(0);
    let tasks = format!("{}/tasks/", project.output("url"));
    let task = r#"{"title": "kept", "pub_date": "2026-01-02T03:04:05Z", "description": "across relaunches"}"#;
    assert_eq!(http("POST", &tasks, Some(task)).unwrap().0, 201);
    // The moments cover the stop of the previous host, its image, the launch of its replacement, and the update of the
    // application.
    for moment in [1, 2, 3, 4, 5, 7, 9, 11] {
        run_killed_at(moment, &project, &["up", "--yes", "--replace", "database"]);
        project.run(&["up", "--yes"]).expect(0);
        project.run(&["preview", "--expect-no-changes"]).expect(0);
        until(&format!("the application has its data after a kill at event {moment}"), || {
            http("GET", &tasks, None).filter(|(status, list)| *status == 200 && list.contains("kept"))
        });
    }
    project.run(&["up", "--yes", "--replace", "database"]).expect(0);
    assert!(http("GET", &tasks, None).unwrap().1.contains("kept"));
    let (recorded, existing) = (recorded(&project), existing(&project));
    assert_eq!((recorded.get("BakedImage"), existing.get("BakedImage")), (Some(&1), Some(&1)), "{existing:?}");
    project.run(&["destroy", "--yes"]).expect(0);
    assert_eq!(project.status(), None, "something is left in the cloud");
}

/// Kills a run after this number of events, counted from the first step.
fn run_killed_at(moment: usize, project: &Project, arguments: &[&str]) {
    let mut run = project.spawn(arguments);
    let mut seen = 0;
    while seen < moment {
        let event = run.next_event().unwrap_or_else(|| panic!("the run finished before event {moment}"));
        if seen > 0 || event["event"] == "step_started" {
            seen += 1;
        }
    }
    run.kill();
}

/// Returns the number of resources of each kind in the state.
fn recorded(project: &Project) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for resource in project.json(&["state", "list"]).as_array().unwrap() {
        let kind = resource["urn"].as_str().unwrap().split("::").nth(2).unwrap().rsplit(':').next().unwrap();
        *counts.entry(kind.to_owned()).or_default() += 1;
    }
    counts
}

/// Returns the number of resources of each kind in the cloud.
fn existing(project: &Project) -> BTreeMap<String, u64> {
    let names = [
        ("images", "BakedImage"),
        ("launch_templates", "LaunchTemplate"),
        ("key_pairs", "KeyPair"),
        ("parameters", "Parameter"),
        ("buckets", "Bucket"),
        ("roles", "Role"),
        ("instance_profiles", "InstanceProfile"),
        ("instances", "Instance"),
        ("vpcs", "vpcs"),
    ];
    let status = project.status().expect("the cloud runs");
    let regions = status["regions"].as_object().unwrap().values().map(|region| &region["counts"]);
    let mut counts = BTreeMap::new();
    for counted in regions.chain([&status["counts"]]) {
        for (name, kind) in names {
            *counts.entry(kind.to_owned()).or_default() += counted[name].as_u64().unwrap_or(0);
        }
    }
    counts
}
