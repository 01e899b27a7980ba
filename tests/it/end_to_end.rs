//! The Tasks system from its first `up` to `destroy`, driven by the command line.

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
use tests::{Project, binary, http, until};

#[test]
fn tasks_system_is_deployed_updated_relaunched_and_destroyed() {
    let project = Project::new();
    let events = project.events(&["up", "--yes"]);
    creates_follow_the_dependencies(&events);
    let url = project.output("url");
    tasks::testing::keeps_its_contract(url.trim_start_matches("http://").parse().unwrap());
    tasks_are_created_updated_and_deleted(&url);
    client_creates_and_lists_tasks(&url);
    secret_outputs_are_masked(&project);

    project.run(&["preview", "--expect-no-changes"]).expect(0);
    let again = project.events(&["up", "--yes"]);
    assert!(again.iter().all(|event| event["event"] != "step_started"), "{again:?}");

    killed_process_is_replaced(&project, &url);
    changed_environment_is_rolled_out(&project, &url);
    version_that_never_becomes_healthy_is_rolled_back(&project, &url);

    database_is_relaunched_with_its_data(&project, &url);

    let listening = addresses(&project);
    assert!(listening.len() >= 4, "{listening:?}");
    let events = project.events(&["destroy", "--yes"]);
    let named =
        |event: &Json| event.to_string().contains("deleting it loses the PostgreSQL database `tasks` on its disk");
    assert!(events.iter().take_while(|event| event["event"] != "step_started").any(named), "{events:?}");
    deletions_have_the_reverse_order(&events);
    assert_nothing_is_left(&project, &listening);
}

fn finished<'a>(events: &'a [Json], action: &'a str) -> Vec<&'a str> {
    let of = |event: &&Json| event["event"] == "step_finished" && event["action"] == action;
    events.iter().filter(of).map(|event| event["urn"].as_str().unwrap().split("::").last().unwrap()).collect()
}

#[track_caller]
fn assert_order(names: &[&str], order: &[&str]) {
    let positions: Vec<_> = order.iter().map(|name| names.iter().position(|other| other == name)).collect();
    assert!(positions.iter().all(Option::is_some) && positions.is_sorted(), "{order:?} in {names:?}");
}

fn creates_follow_the_dependencies(events: &[Json]) {
    let created = finished(events, "create");
    assert_order(&created, &["database-password", "database/instance", "group", "scale-on-cpu"]);
    assert_order(&created, &["balancer-access", "application-access", "group"]);
    assert_order(&created, &["balancer-access", "balancer", "listener"]);
    assert_order(&created, &["application-key", "group"]);
}

fn deletions_have_the_reverse_order(events: &[Json]) {
    let deleted = finished(events, "delete");
    assert_order(&deleted, &["scale-on-cpu", "group", "database/instance", "database/access"]);
    assert_order(&deleted, &["listener", "balancer", "balancer-access"]);
    assert_order(&deleted, &["group", "application-access", "balancer-access"]);
}

fn tasks_are_created_updated_and_deleted(url: &str) {
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

fn client_creates_and_lists_tasks(url: &str) {
    let client = |arguments: &[&str]| {
        let output = Command::new(binary("client")).args(arguments).args(["--url", url]).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (added, text) = client(&["POST", "--title", "read", "--desc", "a book"]);
    assert!(added && text.contains("Successfully added task!"), "{text}");
    let (_, list) = client(&["GET"]);
    assert!(list.contains("\"title\": \"read\""), "{list}");
}

fn secret_outputs_are_masked(project: &Project) {
    let all = project.run(&["output"]);
    all.expect(0);
    assert_eq!(all.out.matches("[secret]").count(), 3, "{}", all.out);
    project.run(&["output", "application_private_key"]).expect(1);
    let file = project.path().join("key");
    project.run(&["output", "application_private_key", "--key-file", file.to_str().unwrap()]).expect(0);
    let key = fs::read_to_string(file).unwrap();
    assert!(key.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"), "not a key");
    let state = fs::read_to_string(project.path().join(".infra/state/multicloud-orm/dev/state.json")).unwrap();
    assert!(!state.contains("PRIVATE KEY"), "the state contains an unencrypted key");
}

/// Returns the ids of the application's instances with the process ids of their services.
fn processes(project: &Project) -> BTreeSet<(String, i64)> {
    let status = project.status().unwrap();
    let instances = status["regions"]["us-east-1"]["instances"].as_array().unwrap();
    let running = instances.iter().filter(|instance| instance["state"] == "running");
    running
        .filter_map(|instance| {
            let service = instance["services"].as_array()?.iter().find(|service| service["name"] == "tasks")?;
            Some((instance["id"].as_str()?.to_owned(), service["pid"].as_i64()?))
        })
        .collect()
}

/// Runs `work` while another thread sends requests. Returns the result of `work`, the number of requests, and the responses
/// other than status 200.
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
        let result = work();
        stop.store(true, Ordering::Relaxed);
        let (count, bad) = load.join().unwrap();
        (result, count, bad)
    })
}

fn killed_process_is_replaced(project: &Project, url: &str) {
    let before = processes(project);
    assert_eq!(before.len(), 2, "{before:?}");
    let (_, pid) = before.first().unwrap();
    let ((), count, bad) = under_load(url, || {
        kill_process(Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap(), Signal::KILL).unwrap();
        until("another process runs", || {
            let now = processes(project);
            (now.len() == 2 && now.iter().all(|(_, other)| other != pid)).then_some(())
        });
    });
    assert!(count > bad.len(), "no request succeeded");
    // Only the requests that the killed process was handling may fail.
    assert!(bad.iter().all(|answer| matches!(answer, Some((502, _)))) && bad.len() <= 2, "{bad:?} of {count}");
}

fn changed_environment_is_rolled_out(project: &Project, url: &str) {
    let before = processes(project);
    let (plan, count, bad) = under_load(url, || project.events(&["up", "--yes", "-c", "logLevel=debug"]));
    assert!(bad.is_empty(), "{bad:?} of {count}");
    let updated = finished(&plan, "update");
    assert_order(&updated, &["application", "group"]);
    let after = processes(project);
    // Under load on a busy machine the group may have grown.
    assert!(after.len() >= 2, "{after:?}");
    assert!(after.iter().all(|(id, _)| before.iter().all(|(old, _)| old != id)), "{before:?} {after:?}");
    let (status, list) = http("GET", &format!("{url}/tasks/"), None).unwrap();
    assert!(status == 200 && list.contains("read"), "the data is kept: {list}");
}

fn version_that_never_becomes_healthy_is_rolled_back(project: &Project, url: &str) {
    // Another executable, which exits immediately.
    let (output, count, bad) = under_load(url, || {
        project.stack(["up", "--yes"]).env("INFRA_ARTIFACT_TASKS", binary("client")).output().unwrap()
    });
    assert!(bad.is_empty(), "{bad:?} of {count}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("was rolled back, and the group has its previous version"), "{text}");
    // The image of the running instances still exists, in addition to the failed one.
    let images = |project: &Project| {
        let recorded = project.json(&["state", "list"]);
        recorded
            .as_array()
            .unwrap()
            .iter()
            .filter(|resource| resource["urn"].as_str().unwrap().contains(":BakedImage:"))
            .count()
    };
    assert_eq!(images(project), 2);
    assert!(processes(project).len() >= 2);
    // The correct executable again.
    let ((), count, bad) = under_load(url, || project.run(&["up", "--yes"]).expect(0));
    assert!(bad.is_empty(), "{bad:?} of {count}");
    project.run(&["preview", "--expect-no-changes"]).expect(0);
    assert_eq!(images(project), 1);
}

fn database_is_relaunched_with_its_data(project: &Project, url: &str) {
    let (endpoint, before) = (project.output("database_endpoint"), processes(project));
    let shown = run_at_a_terminal(project, "up", "y\n\ny\n");
    assert!(shown.contains("34 unchanged"), "the plan is shown first: {shown}");
    assert!(shown.contains("Relaunch the database (a new host with the existing data)? [y/N]"), "{shown}");
    assert!(shown.contains("Relaunch the application (new instances, one after another)? [y/N]"), "{shown}");
    assert!(shown.contains("29 unchanged, 3 to update, 2 to replace"), "{shown}");
    assert!(shown.contains("Make these changes? [y/N]"), "{shown}");
    assert!(shown.contains("29 unchanged, 3 updated, 2 replaced, 2 deleted"), "{shown}");
    assert_ne!(project.output("database_endpoint"), endpoint);
    let (status, list) = http("GET", &format!("{url}/tasks/"), None).unwrap();
    assert!(status == 200 && list.contains("read"), "the application uses the new host with the data: {list}");
    let after = processes(project);
    assert!(after.iter().all(|(id, _)| before.iter().all(|(old, _)| old != id)), "{before:?} {after:?}");
    project.run(&["preview", "--expect-no-changes"]).expect(0);

    let completed = project.run(&["up", "--yes", "--replace", "application"]);
    completed.expect(0);
    assert!(completed.out.contains("32 unchanged, 1 updated, 1 replaced"), "{}", completed.out);
    assert!(processes(project).iter().all(|(id, _)| after.iter().all(|(old, _)| old != id)));
}

/// Runs a command at a terminal with these answers as its input, and returns its output.
fn run_at_a_terminal(project: &Project, command: &str, answers: &str) -> String {
    let stack = project.stack([command]);
    let words = std::iter::once(stack.get_program()).chain(stack.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"]);
    terminal.envs(stack.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(project.path());
    let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(answers.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

/// Returns the listening addresses of the local cloud, its balancer and its services that this machine reaches.
fn addresses(project: &Project) -> Vec<SocketAddr> {
    let status = project.status().unwrap();
    let endpoint = status["endpoint"].as_str().unwrap().trim_start_matches("http://").parse().unwrap();
    let balancer = project.output("url").trim_start_matches("http://").parse().unwrap();
    let mut addresses = vec![endpoint, balancer];
    for region in status["regions"].as_object().unwrap().values() {
        for instance in region["instances"].as_array().unwrap() {
            for service in instance["services"].as_array().unwrap() {
                let port = service["port"].as_u64().unwrap();
                let known = ["address", "public_address"].map(|field| instance[field].as_str());
                // Addresses in a VPC have no meaning outside of it.
                let reachable = known.into_iter().flatten().filter(|address| address.starts_with("127."));
                addresses.extend(reachable.map(|address| format!("{address}:{port}").parse::<SocketAddr>().unwrap()));
            }
        }
    }
    addresses
}

fn assert_nothing_is_left(project: &Project, listening: &[SocketAddr]) {
    assert_eq!(project.status(), None, "the empty cloud is stopped");
    for address in listening {
        assert!(TcpStream::connect_timeout(address, Duration::from_secs(1)).is_err(), "{address} still listens");
    }
    assert_eq!(project.json(&["state", "list"]), json!([]));
    let path = project.path().to_str().unwrap();
    for process in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let directory = fs::read_link(process.path().join("cwd")).unwrap_or_default();
        let is_of_project = String::from_utf8_lossy(&command).contains(path) || directory.starts_with(path);
        assert!(!is_of_project, "{} still runs: {}", process.path().display(), String::from_utf8_lossy(&command));
    }
}
