//! Interactive commands, in dialect B.

use std::io::{self, Write, stdin, stdout};

use chrono::Utc;
use serde_json::{Value, json};
use tasks::timestamp;

use crate::{
    print_failure, print_success,
    service::{Failure, Service},
};

const PROMPT: &str = "tasks-api> ";

const HELP: &str = "\
get all      show all tasks
get ID       show a task
post         add a task; asks for its title and description
update ID    change a task; an empty answer keeps the value
delete ID    remove a task
delete all   remove all tasks
url          show the URL of the service
help         show this
exit, quit   leave";

/// Runs commands until the input ends. A failed command prints its error.
pub(crate) fn run(service: Service) -> Result<(), Failure> {
    while let Some(line) = ask(PROMPT)? {
        let words: Vec<&str> = line.split_whitespace().collect();
        let done = match words[..] {
            [] => Ok(()),
            ["exit" | "quit"] => return Ok(()),
            ["help"] => {
                println!("{HELP}");
                Ok(())
            }
            ["url"] => {
                println!("{}", service.base);
                Ok(())
            }
            ["get", "all"] => show(&service, "/tasks/get_all"),
            ["get", id] if is_id(id) => show(&service, &format!("/tasks/get_single/{id}")),
            ["post"] => post(&service),
            ["update", id] if is_id(id) => update(&service, id),
            ["delete", "all"] => delete(&service, "/tasks/delete_all"),
            ["delete", id] if is_id(id) => delete(&service, &format!("/tasks/delete/{id}")),
            _ => {
                println!("Comando '{}' não identificado.", line.trim());
                Ok(())
            }
        };
        if let Err(failure) = done {
            print_failure(&failure);
        }
    }
    println!();
    Ok(())
}

fn is_id(word: &str) -> bool {
    word.parse::<i64>().is_ok()
}

fn show(service: &Service, path: &str) -> Result<(), Failure> {
    println!("{}", service.call("GET", path, None)?.indented()?);
    Ok(())
}

fn post(service: &Service) -> Result<(), Failure> {
    let (Some(title), Some(description)) = (ask("title: ")?, ask("description: ")?) else {
        return Ok(());
    };
    let pub_date = timestamp::microseconds(Utc::now());
    let task = json!({ "title": title, "description": description, "pub_date": pub_date });
    println!("{}", service.call("POST", "/tasks/post", Some(&task))?.indented()?);
    Ok(())
}

fn update(service: &Service, id: &str) -> Result<(), Failure> {
    let mut task = service.call("GET", &format!("/tasks/get_single/{id}"), None)?.json()?;
    for field in ["title", "description"] {
        let now = task[field].as_str().unwrap_or_default().to_owned();
        let Some(new) = ask(&format!("{field} [{now}]: "))? else {
            return Ok(());
        };
        if !new.trim().is_empty() {
            task[field] = Value::String(new);
        }
    }
    print_success(&service.call("PUT", &format!("/tasks/update/{id}"), Some(&task))?.body);
    Ok(())
}

fn delete(service: &Service, path: &str) -> Result<(), Failure> {
    print_success(&service.call("DELETE", path, None)?.body);
    Ok(())
}

/// Asks for a line. Returns `None` at the end of the input.
pub(crate) fn ask(prompt: &str) -> io::Result<Option<String>> {
    print!("{prompt}");
    stdout().flush()?;
    line()
}

/// Reads a line without its line break. Returns `None` at the end of the input.
pub(crate) fn line() -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = stdin().read_line(&mut line)?;
    Ok((read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}
