//! The command `mcp`.

use crate::{place::Place, variables::PRINT};
use serde_json::{Value as Json, json};

/// Returns the messages of a client that calls these tools and ends its output.
fn messages(calls: &[(&str, Json)]) -> String {
    let client = json!({ "name": "test", "version": "1" });
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client });
    let mut messages = vec![
        json!({ "jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": hello }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
    ];
    let calls = calls.iter().map(|(tool, arguments)| {
        let parameters = json!({ "name": tool, "arguments": arguments });
        json!({ "jsonrpc": "2.0", "id": tool, "method": "tools/call", "params": parameters })
    });
    messages.extend(calls);
    let lines: Vec<String> = messages.iter().map(Json::to_string).collect();
    lines.join("\n") + "\n"
}

/// Returns the result with an ID. Fails the test if a line is no message.
fn result(out: &str, id: &str) -> Json {
    let messages: Vec<Json> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(messages.iter().all(|message| message["jsonrpc"] == "2.0"), "{out}");
    let answer = messages.into_iter().find(|message| message["id"] == id);
    answer.unwrap_or_else(|| panic!("`{id}` has no answer: {out}"))["result"].take()
}

#[test]
fn programs_that_print_do_not_disturb_the_messages() {
    let place = &Place::new("passwords");
    place.done(&["up", "--yes"]);
    let state = place.read("passwords/dev/state.json");
    let calls = [("overview", json!({})), ("preview", json!({ "replace": ["password"] }))];
    let ran = place.run_with(&["mcp"], &[(PRINT, "{ not a message")], &messages(&calls)).succeeds();
    assert!(ran.err.contains("{ not a message"), "{}", ran.err);
    assert_eq!(result(&ran.out, "hello")["serverInfo"]["name"], "infra");
    let overview = &result(&ran.out, "overview")["structuredContent"]["data"];
    assert_eq!((&overview["program"], &overview["counts"]), (&json!("passwords"), &json!({ "deployed": 1 })));
    let preview = &result(&ran.out, "preview")["structuredContent"]["data"];
    assert_eq!(preview["counts"], json!({ "replace": 1 }));
    assert_eq!(
        preview["how_to_apply"],
        "a person runs `stack --program passwords --stack dev --target aws up` in a terminal"
    );
    assert_eq!(place.read("passwords/dev/state.json"), state);
    let password = place.done(&["output", "password", "--show-secrets"]);
    assert!(!ran.out.contains(password.trim()));
}

#[test]
fn a_program_that_fails_is_a_problem_of_the_overview() {
    let place = &Place::new("demanding");
    let calls = [("overview", json!({})), ("preview", json!({}))];
    let ran = place.run_with(&["mcp"], &[], &messages(&calls)).succeeds();
    let overview = &result(&ran.out, "overview")["structuredContent"]["data"];
    assert!(overview["program_problem"]["summary"].as_str().unwrap().contains("`first`"), "{overview}");
    let preview = result(&ran.out, "preview");
    assert_eq!(preview["isError"], true, "{preview}");
    assert!(preview["content"][0]["text"].as_str().unwrap().contains("`first`"), "{preview}");
}
