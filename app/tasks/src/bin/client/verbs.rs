//! Commands of one request each, in dialect A: GET, POST, PUT and DELETE.

use std::process::ExitCode;

use chrono::Utc;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use tasks::timestamp;

use crate::{
    print_failure, print_success,
    service::{Answer, Failure, Service},
};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Show all tasks, or the one with --id
    #[command(name = "GET", aliases = ["get", "Get"])]
    Get {
        /// ID of the task
        #[arg(long)]
        id: Option<i64>,
        #[command(flatten)]
        shape: Shape,
    },
    /// Add a task
    #[command(name = "POST", aliases = ["post", "Post"])]
    Post {
        /// Title of the task
        #[arg(long)]
        title: String,
        /// Description of the task
        #[arg(long)]
        desc: String,
        #[command(flatten)]
        shape: Shape,
    },
    /// Change a task
    #[command(name = "PUT", aliases = ["put", "Put"])]
    Put {
        /// ID of the task
        #[arg(long)]
        id: i64,
        /// New title
        #[arg(long, required_unless_present = "desc")]
        title: Option<String>,
        /// New description
        #[arg(long)]
        desc: Option<String>,
        #[command(flatten)]
        shape: Shape,
    },
    /// Delete a task
    #[command(name = "DELETE", aliases = ["delete", "Delete"])]
    Delete {
        /// ID of the task
        #[arg(long)]
        id: i64,
        #[command(flatten)]
        shape: Shape,
    },
}

#[derive(Args)]
pub(crate) struct Shape {
    /// Print one line of JSON, also for errors
    #[arg(long)]
    json: bool,
}

impl Verb {
    /// Sends the request and prints the result.
    pub(crate) fn run(self, service: &Service) -> ExitCode {
        let (shape, message) = match &self {
            Self::Get { shape, .. } => (shape, None),
            Self::Post { shape, .. } => (shape, Some("Successfully added task!")),
            Self::Put { shape, .. } => (shape, Some("Successfully altered task!")),
            Self::Delete { shape, .. } => (shape, Some("Successfully removed task!")),
        };
        let shown = self.call(service).and_then(|answer| match message {
            Some(message) => Ok(Success { text: message.to_owned(), json: success(&answer, message).to_string() }),
            None => Ok(Success { text: answer.indented()?, json: answer.in_one_line()? }),
        });
        match (shown, shape.json) {
            (Ok(shown), true) => println!("{}", shown.json),
            (Ok(shown), false) if message.is_some() => print_success(&shown.text),
            (Ok(shown), false) => println!("{}", shown.text),
            (Err(failure), json) => {
                if json {
                    println!("{}", refusal(&failure));
                } else {
                    print_failure(&failure);
                }
                return ExitCode::FAILURE;
            }
        }
        ExitCode::SUCCESS
    }

    fn call(&self, service: &Service) -> Result<Answer, Failure> {
        match self {
            Self::Get { id: None, .. } => service.call("GET", "/tasks/", None),
            Self::Get { id: Some(id), .. } => service.call("GET", &format!("/tasks/{id}"), None),
            Self::Post { title, desc, .. } => {
                let pub_date = timestamp::microseconds(Utc::now());
                let task = json!({ "title": title, "description": desc, "pub_date": pub_date });
                service.call("POST", "/tasks/", Some(&task))
            }
            Self::Put { id, title, desc, .. } => {
                let fields = [("title", title), ("description", desc)];
                let given =
                    fields.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?))));
                let change = Value::Object(given.collect::<Map<_, _>>());
                service.call("PUT", &format!("/tasks/{id}"), Some(&change))
            }
            Self::Delete { id, .. } => service.call("DELETE", &format!("/tasks/{id}"), None),
        }
    }
}

/// Result of a request, for people and for programs.
struct Success {
    text: String,
    json: String,
}

fn success(answer: &Answer, message: &str) -> Value {
    json!({ "ok": true, "message": message, "status": answer.status.as_u16(), "answer": body(&answer.body) })
}

fn refusal(failure: &Failure) -> Value {
    let mut refusal = json!({ "ok": false, "error": failure.to_string() });
    if let Some((status, text)) = failure.answer() {
        refusal["status"] = status.as_u16().into();
        refusal["answer"] = body(text);
    }
    refusal
}

/// Returns a body as JSON, or as text.
fn body(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}
