//! Calls the Tasks service from the command line.

use std::{
    env,
    io::{IsTerminal, stderr, stdout},
    process::ExitCode,
    time::Duration,
};

use chrono::Utc;
use clap::{CommandFactory, Parser, ValueEnum, error::ErrorKind};
use serde::Serialize;
use serde_json::Value;
use tasks::timestamp;
use ureq::{
    Agent, Body,
    http::{Request, Response},
};

/// Reads and changes tasks.
#[derive(Parser)]
#[command(name = "client", version)]
struct Arguments {
    /// What to do, in capitals or not
    #[arg(ignore_case = true)]
    verb: Verb,
    /// The task's id; PUT and DELETE need it
    #[arg(long)]
    id: Option<i64>,
    /// Title; POST needs it
    #[arg(long)]
    title: Option<String>,
    /// Description; POST needs it
    #[arg(long)]
    desc: Option<String>,
    /// Where the service is, for example http://127.0.0.1:8080
    #[arg(long, env = "TASKS_URL")]
    url: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
enum Verb {
    /// Show all tasks, or the one with --id
    Get,
    /// Add a task
    Post,
    /// Alter a task
    Put,
    /// Remove a task
    Delete,
}

/// Why the service did not do what it was asked.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{url} does not answer: {source}. Is the service running there? Set --url or TASKS_URL to where it is")]
    NoAnswer { url: String, source: ureq::Error },
    #[error("{url} answered {status}: {body}")]
    Refused { url: String, status: ureq::http::StatusCode, body: String },
    #[error("{url} answered something that is not JSON: {source}. Is that the Tasks service?")]
    NotJson { url: String, source: serde_json::Error },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let request = arguments.request().unwrap_or_else(|why| {
        let kind = ErrorKind::MissingRequiredArgument;
        Arguments::command().error(kind, why).exit()
    });
    match arguments.verb.call(request) {
        Ok(message) if arguments.verb == Verb::Get => println!("{message}"),
        Ok(message) => println!("{}", paint(GREEN, &message, stdout().is_terminal())),
        Err(failure) => {
            let message = format!("Something went wrong! Try Again. ({failure})");
            eprintln!("{}", paint(RED, &message, stderr().is_terminal()));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// What is sent about a task; what is `None` is left out.
#[derive(Serialize)]
struct Fields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub_date: Option<String>,
}

impl Arguments {
    /// The request to send, or what is missing on the command line.
    fn request(&self) -> Result<Request<String>, String> {
        let (title, description) = (self.title.as_deref(), self.desc.as_deref());
        let (method, id, fields) = match (self.verb, self.id, title, description) {
            (Verb::Get, id, ..) => ("GET", id, None),
            (Verb::Post, _, Some(_), Some(_)) => {
                let pub_date = Some(timestamp::microseconds(Utc::now()));
                ("POST", None, Some(Fields { title, description, pub_date }))
            }
            (Verb::Post, ..) => return Err("POST needs --title and --desc".into()),
            (Verb::Put, None, ..) => return Err("PUT needs --id".into()),
            (Verb::Put, _, None, None) => return Err("PUT needs --title, --desc or both".into()),
            (Verb::Put, id, ..) => ("PUT", id, Some(Fields { title, description, pub_date: None })),
            (Verb::Delete, None, ..) => return Err("DELETE needs --id".into()),
            (Verb::Delete, id, ..) => ("DELETE", id, None),
        };
        let body = fields.map_or(Ok(String::new()), |fields| serde_json::to_string(&fields));
        let id = id.map_or_else(String::new, |id| id.to_string());
        let base = self.base()?;
        Request::builder()
            .method(method)
            .uri(format!("{base}/tasks/{id}"))
            .body(body.map_err(|error| error.to_string())?)
            .map_err(|error| format!("{base} is not a URL ({error}); write http://HOST:PORT"))
    }

    /// Where the service is, without the path to the tasks.
    fn base(&self) -> Result<&str, String> {
        let missing = "where is the service? Give --url http://HOST:PORT, or set TASKS_URL to it";
        let url = self.url.as_deref().filter(|url| !url.is_empty()).ok_or(missing)?;
        let url = url.trim_end_matches('/');
        Ok(url.strip_suffix("/tasks").unwrap_or(url))
    }
}

impl Verb {
    /// Sends the request; gives back what to show.
    fn call(self, request: Request<String>) -> Result<String, Failure> {
        let url = request.uri().to_string();
        let (status, body) = send(request).map_err(|source| Failure::NoAnswer { url: url.clone(), source })?;
        if !status.is_success() {
            return Err(Failure::Refused { url, status, body });
        }
        match self {
            Self::Get => indent(&body).map_err(|source| Failure::NotJson { url, source }),
            Self::Post => Ok("Successfully added task!".into()),
            Self::Put => Ok("Successfully altered task!".into()),
            Self::Delete => Ok("Successfully removed task!".into()),
        }
    }
}

fn send(request: Request<String>) -> Result<(ureq::http::StatusCode, String), ureq::Error> {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into();
    let mut response: Response<Body> = agent.run(request)?;
    Ok((response.status(), response.body_mut().read_to_string()?))
}

fn indent(json: &str) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&serde_json::from_str::<Value>(json)?)
}

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";

/// Colours a message for a terminal. `NO_COLOR` forbids it, `CLICOLOR_FORCE` demands it elsewhere too.
fn paint(colour: &str, message: &str, terminal: bool) -> String {
    let forbidden = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let demanded = env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
    if !forbidden && (terminal || demanded) { format!("{colour}{message}\x1b[0m") } else { message.to_owned() }
}
