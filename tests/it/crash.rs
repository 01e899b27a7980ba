//! SIGKILL during `up`, at many moments: the next `up` and `destroy` account for everything.

use serde_json::Value as Json;
use std::collections::BTreeMap;
use tests::{Place, http, until};

/// How many events are seen, from the first step on, before the run is killed.
const EARLY: [usize; 5] = [1, 6, 12, 18, 26];
const LATE: [usize; 5] = [34, 42, 50, 58, 66];

#[test]
fn a_run_killed_early_loses_nothing() {
    kill_at(&EARLY);
}

#[test]
fn a_run_killed_late_loses_nothing() {
    kill_at(&LATE);
}

fn kill_at(moments: &[usize]) {
    for &moment in moments {
        let place = Place::new();
        killed_at(moment, &place, &["up"]);
        place.run(&["up"]).expect(0);
        place.run(&["preview", "--expect-no-changes"]).expect(0);
        let (recorded, live) = (recorded(&place), live(&place));
        for kind in ["BakedImage", "LaunchTemplate", "KeyPair", "Parameter", "Bucket", "Role", "InstanceProfile"] {
            assert_eq!(recorded.get(kind), live.get(kind), "{kind} after a kill at event {moment}: {live:?}");
        }
        // The state holds the database's host; the group holds two more.
        assert_eq!(live.get("vpcs"), Some(&2));
        assert_eq!(recorded.get("Instance"), Some(&1));
        assert_eq!(live.get("Instance"), Some(&3), "after a kill at event {moment}");

        place.run(&["destroy"]).expect(0);
        assert_eq!(place.status(), None, "something is left in the cloud after a kill at event {moment}");
        assert_eq!(place.json(&["state", "list"]), Json::Array(Vec::new()));
    }
}

#[test]
fn a_relaunch_of_the_database_that_is_killed_loses_no_data() {
    let place = Place::new();
    place.run(&["up"]).expect(0);
    let tasks = format!("{}/tasks/", place.output("url"));
    let task = r#"{"title": "kept", "pub_date": "2026-01-02T03:04:05Z", "description": "whatever happens"}"#;
    assert_eq!(http("POST", &tasks, Some(task)).unwrap().0, 201);
    // While the old host is stopped, imaged, and the new one launched; and while the application follows.
    for moment in [1, 2, 3, 4, 5, 7, 9, 11] {
        killed_at(moment, &place, &["up", "--replace", "database"]);
        place.run(&["up"]).expect(0);
        place.run(&["preview", "--expect-no-changes"]).expect(0);
        until(&format!("the application has its data after a kill at event {moment}"), || {
            http("GET", &tasks, None).filter(|(status, list)| *status == 200 && list.contains("kept"))
        });
    }
    place.run(&["up", "--replace", "database"]).expect(0);
    assert!(http("GET", &tasks, None).unwrap().1.contains("kept"));
    let (recorded, live) = (recorded(&place), live(&place));
    assert_eq!((recorded.get("BakedImage"), live.get("BakedImage")), (Some(&1), Some(&1)), "{live:?}");
    place.run(&["destroy"]).expect(0);
    assert_eq!(place.status(), None, "something is left in the cloud");
}

/// Kills a run when so many events have been seen, from the first step on.
fn killed_at(moment: usize, place: &Place, arguments: &[&str]) {
    let mut run = place.begin(arguments);
    let mut seen = 0;
    while seen < moment {
        let event = run.next_event().unwrap_or_else(|| panic!("the run ended before event {moment}"));
        if seen > 0 || event["event"] == "step_started" {
            seen += 1;
        }
    }
    run.kill();
}

/// How many of each kind the state holds.
fn recorded(place: &Place) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for thing in place.json(&["state", "list"]).as_array().unwrap() {
        let kind = thing["urn"].as_str().unwrap().split("::").nth(2).unwrap().rsplit(':').next().unwrap();
        *counts.entry(kind.to_owned()).or_default() += 1;
    }
    counts
}

/// How many of each kind the cloud holds.
fn live(place: &Place) -> BTreeMap<String, u64> {
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
    let status = place.status().expect("the cloud runs");
    let regions = status["regions"].as_object().unwrap().values().map(|region| &region["counts"]);
    let mut counts = BTreeMap::new();
    for place in regions.chain([&status["counts"]]) {
        for (live, kind) in names {
            *counts.entry(kind.to_owned()).or_default() += place[live].as_u64().unwrap_or(0);
        }
    }
    counts
}
