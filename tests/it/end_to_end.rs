//! The Tasks system, from nothing to nothing, as a user drives it.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value as Json, json};
use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};
use tests::{Place, binary, http, until};

#[test]
fn the_tasks_system_lives() {
    let place = Place::new();
    let events = place.events(&["up"]);
    the_order_of_creation_follows_the_uses(&events);
    let url = place.output("url");
    tasks::testing::keeps_its_contract(url.trim_start_matches("http://").parse().unwrap());
    tasks_come_and_go(&url);
    the_client_works(&url);
    outputs_keep_their_secrets(&place);

    place.run(&["preview", "--expect-no-changes"]).expect(0);
    let again = place.events(&["up"]);
    assert!(again.iter().all(|event| event["event"] != "step_started"), "{again:?}");

    a_killed_process_is_replaced(&place, &url);
    a_new_environment_is_rolled_out(&place, &url);
    a_version_that_never_becomes_healthy_is_rolled_back(&place, &url);

    the_database_is_relaunched_with_its_data(&place, &url);

    let listening = addresses(&place);
    assert!(listening.len() >= 4, "{listening:?}");
    let events = place.events(&["destroy"]);
    let named =
        |event: &Json| event.to_string().contains("deleting it loses the PostgreSQL database `tasks` on its disk");
    assert!(events.iter().take_while(|event| event["event"] != "step_started").any(named), "{events:?}");
    the_order_of_deletion_is_the_reverse(&events);
    nothing_is_left(&place, &listening);
}

fn finished<'a>(events: &'a [Json], action: &'a str) -> Vec<&'a str> {
    let of = |event: &&Json| event["event"] == "step_finished" && event["action"] == action;
    events.iter().filter(of).map(|event| event["urn"].as_str().unwrap().split("::").last().unwrap()).collect()
}

#[track_caller]
fn assert_order(names: &[&str], order: &[&str]) {
    let places: Vec<_> = order.iter().map(|name| names.iter().position(|other| other == name)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{order:?} in {names:?}");
}

fn the_order_of_creation_follows_the_uses(events: &[Json]) {
    let created = finished(events, "create");
    assert_order(&created, &["database-password", "database/instance", "group", "scale-on-cpu"]);
    assert_order(&created, &["balancer-access", "application-access", "group"]);
    assert_order(&created, &["balancer-access", "balancer", "listener"]);
    assert_order(&created, &["application-key", "group"]);
}

fn the_order_of_deletion_is_the_reverse(events: &[Json]) {
    let deleted = finished(events, "delete");
    assert_order(&deleted, &["scale-on-cpu", "group", "database/instance", "database/access"]);
    assert_order(&deleted, &["listener", "balancer", "balancer-access"]);
    assert_order(&deleted, &["group", "application-access", "balancer-access"]);
}

fn tasks_come_and_go(url: &str) {
    let tasks = format!("{url}/tasks/");
    assert_eq!(http("DELETE", &format!("{tasks}delete_all"), None).map(|(status, _)| status), Some(201));
    assert_eq!(http("GET", &tasks, None), Some((200, "[]".into())));
    let task = json!({"title": "water", "pub_date": "2026-01-02T03:04:05.123456Z", "description": "the plants"});
    let (status, body) = http("POST", &tasks, Some(&task.to_string())).unwrap();
    assert_eq!(status, 201, "{body}");
    let id = serde_json::from_str::<Json>(&body).unwrap()["id"].as_i64().unwrap();
    let (_, list) = http("GET", &tasks, None).unwrap();
    let list: Json = serde_json::from_str(&list).unwrap();
    assert_eq!(
        list,
        json!([{"model": "tasks.task", "pk": id, "fields": {
            "title": "water", "pub_date": "2026-01-02T03:04:05.123Z", "description": "the plants"}}])
    );
    let (status, body) = http("PUT", &format!("{tasks}{id}"), Some(r#"{"title": "feed"}"#)).unwrap();
    assert_eq!((status, serde_json::from_str::<Json>(&body).unwrap()["title"].as_str()), (201, Some("feed")));
    assert_eq!(http("DELETE", &format!("{tasks}{id}"), None), Some((200, "Task successfully deleted!".into())));
    assert_eq!(http("GET", &format!("{tasks}{id}"), None).map(|(status, _)| status), Some(404));
}

fn the_client_works(url: &str) {
    let client = |arguments: &[&str]| {
        let output = Command::new(binary("client")).args(arguments).args(["--url", url]).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (added, said) = client(&["POST", "--title", "read", "--desc", "a book"]);
    assert!(added && said.contains("Successfully added task!"), "{said}");
    let (_, list) = client(&["GET"]);
    assert!(list.contains("\"title\": \"read\""), "{list}");
}

fn outputs_keep_their_secrets(place: &Place) {
    let all = place.run(&["output"]);
    all.expect(0);
    assert_eq!(all.out.matches("[secret]").count(), 3, "{}", all.out);
    place.run(&["output", "application_private_key"]).expect(1);
    let file = place.path().join("key");
    place.run(&["output", "application_private_key", "--key-file", file.to_str().unwrap()]).expect(0);
    let key = fs::read_to_string(file).unwrap();
    assert!(key.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"), "not a key");
    let state = fs::read_to_string(place.path().join(".infra/state/multicloud-orm/dev/state.json")).unwrap();
    assert!(!state.contains("PRIVATE KEY"), "a key stands in the state in the clear");
}

/// The processes of the application: instance → pid.
fn processes(place: &Place) -> BTreeSet<(String, i64)> {
    let status = place.status().unwrap();
    let instances = status["regions"]["us-east-1"]["instances"].as_array().unwrap();
    let running = instances.iter().filter(|instance| instance["state"] == "running");
    running
        .filter_map(|instance| {
            let service = instance["services"].as_array()?.iter().find(|service| service["name"] == "tasks")?;
            Some((instance["id"].as_str()?.to_owned(), service["pid"].as_i64()?))
        })
        .collect()
}

/// Answers that were no 200 while `work` went on, and how many there were in all.
fn under_load<T>(url: &str, work: impl FnOnce() -> T) -> (T, usize, Vec<Option<(u16, String)>>) {
    let tasks = format!("{url}/tasks/");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let load = scope.spawn(|| {
            let (mut count, mut bad) = (0, Vec::new());
            while !stop.load(Ordering::Relaxed) {
                count += 1;
                let answer = http("GET", &tasks, None);
                if !matches!(answer, Some((200, _))) {
                    bad.push(answer);
                }
                thread::sleep(Duration::from_millis(5));
            }
            (count, bad)
        });
        let done = work();
        stop.store(true, Ordering::Relaxed);
        let (count, bad) = load.join().unwrap();
        (done, count, bad)
    })
}

fn a_killed_process_is_replaced(place: &Place, url: &str) {
    let before = processes(place);
    assert_eq!(before.len(), 2, "{before:?}");
    let (_, pid) = before.first().unwrap();
    let ((), count, bad) = under_load(url, || {
        kill_process(Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap(), Signal::KILL).unwrap();
        until("another process runs", || {
            let now = processes(place);
            (now.len() == 2 && now.iter().all(|(_, other)| other != pid)).then_some(())
        });
    });
    assert!(count > bad.len(), "no request was answered");
    // Only what the process was working on when it died may be lost.
    assert!(bad.iter().all(|answer| matches!(answer, Some((502, _)))) && bad.len() <= 2, "{bad:?} of {count}");
}

fn a_new_environment_is_rolled_out(place: &Place, url: &str) {
    let before = processes(place);
    let (plan, count, bad) = under_load(url, || place.events(&["up", "-c", "logLevel=debug"]));
    assert!(bad.is_empty(), "{bad:?} of {count}");
    let updated = finished(&plan, "update");
    assert_order(&updated, &["application", "group"]);
    let after = processes(place);
    // Under load on a busy machine the group may have grown.
    assert!(after.len() >= 2, "{after:?}");
    assert!(after.iter().all(|(id, _)| before.iter().all(|(old, _)| old != id)), "{before:?} {after:?}");
    let (status, list) = http("GET", &format!("{url}/tasks/"), None).unwrap();
    assert!(status == 200 && list.contains("read"), "the data has survived: {list}");
}

fn a_version_that_never_becomes_healthy_is_rolled_back(place: &Place, url: &str) {
    // Some other program, which ends at once.
    let (output, count, bad) =
        under_load(url, || place.stack(["up"]).env("INFRA_ARTIFACT_TASKS", binary("client")).output().unwrap());
    assert!(bad.is_empty(), "{bad:?} of {count}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("was rolled back, and the group has its previous version"), "{text}");
    // The image of what lives is still there, beside the one that failed.
    let images = |place: &Place| {
        let recorded = place.json(&["state", "list"]);
        recorded.as_array().unwrap().iter().filter(|it| it["urn"].as_str().unwrap().contains(":BakedImage:")).count()
    };
    assert_eq!(images(place), 2);
    assert!(processes(place).len() >= 2);
    // The right program again.
    let ((), count, bad) = under_load(url, || place.run(&["up"]).expect(0));
    assert!(bad.is_empty(), "{bad:?} of {count}");
    place.run(&["preview", "--expect-no-changes"]).expect(0);
    assert_eq!(images(place), 1);
}

fn the_database_is_relaunched_with_its_data(place: &Place, url: &str) {
    let (endpoint, before) = (place.output("database_endpoint"), processes(place));
    let said = at_a_terminal(place, "up", "y\n\ny\n");
    assert!(said.contains("34 unchanged"), "the plan comes first: {said}");
    assert!(said.contains("Relaunch the database (a new host with the old one's data)? [y/N]"), "{said}");
    assert!(said.contains("Relaunch the application (new instances, one after another)? [y/N]"), "{said}");
    assert!(said.contains("29 unchanged, 3 to update, 2 to replace"), "{said}");
    assert!(said.contains("Make these changes? [y/N]"), "{said}");
    assert!(said.contains("29 unchanged, 3 updated, 2 replaced, 2 deleted"), "{said}");
    assert_ne!(place.output("database_endpoint"), endpoint);
    let (status, list) = http("GET", &format!("{url}/tasks/"), None).unwrap();
    assert!(status == 200 && list.contains("read"), "the data has survived, and the application followed: {list}");
    let after = processes(place);
    assert!(after.iter().all(|(id, _)| before.iter().all(|(old, _)| old != id)), "{before:?} {after:?}");
    place.run(&["preview", "--expect-no-changes"]).expect(0);

    let ran = place.run(&["up", "--replace", "application"]);
    ran.expect(0);
    assert!(ran.out.contains("32 unchanged, 1 updated, 1 replaced"), "{}", ran.out);
    assert!(processes(place).iter().all(|(id, _)| after.iter().all(|(old, _)| old != id)));
}

/// What the command says at a terminal where these answers are typed.
fn at_a_terminal(place: &Place, command: &str, answers: &str) -> String {
    let stack = place.stack([command]);
    let words = std::iter::once(stack.get_program()).chain(stack.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"]);
    terminal.envs(stack.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(place.path());
    let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(answers.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

/// Every address that something of this place listens on.
fn addresses(place: &Place) -> Vec<SocketAddr> {
    let status = place.status().unwrap();
    let endpoint = status["endpoint"].as_str().unwrap().trim_start_matches("http://").parse().unwrap();
    let balancer = place.output("url").trim_start_matches("http://").parse().unwrap();
    let mut addresses = vec![endpoint, balancer];
    for region in status["regions"].as_object().unwrap().values() {
        for instance in region["instances"].as_array().unwrap() {
            for service in instance["services"].as_array().unwrap() {
                let port = service["port"].as_u64().unwrap();
                addresses.push(format!("{}:{port}", instance["address"].as_str().unwrap()).parse().unwrap());
            }
        }
    }
    addresses
}

fn nothing_is_left(place: &Place, listening: &[SocketAddr]) {
    assert_eq!(place.status(), None, "the empty cloud has ended");
    for address in listening {
        assert!(TcpStream::connect_timeout(address, Duration::from_secs(1)).is_err(), "{address} still listens");
    }
    assert_eq!(place.json(&["state", "list"]), json!([]));
    let path = place.path().to_str().unwrap();
    for process in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let directory = fs::read_link(process.path().join("cwd")).unwrap_or_default();
        let ours = String::from_utf8_lossy(&command).contains(path) || directory.starts_with(path);
        assert!(!ours, "{} still runs: {}", process.path().display(), String::from_utf8_lossy(&command));
    }
}
