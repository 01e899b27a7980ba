//! Events of a run, for the terminal, for JSON lines, and for programs that embed the engine.
//!
//! # As JSON lines
//! `stack --json` prints one object per line. `event` names it; a run begins with `run_started`, whose `version` is
//! [`VERSION`], and ends with `run_finished`. Fields may be added without a new version, so readers must
//! ignore unknown fields and events. Removing one, or changing its meaning, requires a new version. Secrets are replaced
//! by `"[secret]"`, unknown values by `"(known after apply)"`.
//!
//! | event | content |
//! |---|---|
//! | `run_started` | the command, the program and the stack |
//! | `settled` | the outcome of an operation that an earlier run left open |
//! | `drifted` | the differences between the actual and the recorded state of a resource |
//! | `step_planned` | a step of the plan: its action, the differences (`path`, `old`, `new`, `replaces`) and the reason |
//! | `planned` | the plan is complete: the number of steps by action, sets of unknown size, and the execution graph (`tasks`, and `edges` between their indices with the `reason` of each) |
//! | `step_started`, `step_status` | a running step and its progress |
//! | `step_finished`, `step_failed`, `step_skipped` | the outcome of a step |
//! | `message` | a message: `severity`, `subject`, `summary`, `detail`, `hint` |
//! | `run_finished` | success, counts, failures, outputs, duration |

use crate::{
    diagnostic::Diagnostic,
    diff::{Action, Diff},
    execution::ExecutionGraph,
    urn::Urn,
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt, sync::Arc};
use tokio::sync::mpsc;

/// The version of the events as JSON.
pub const VERSION: u32 = 1;

/// An event of a run. As JSON, the field `event` names the variant. No event holds a secret.
///
/// The enum is exhaustive, so that a reader that must show every event does not compile until it handles a new one.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A run started.
    RunStarted {
        /// The version of the events, [`VERSION`].
        version: u32,
        /// `preview`, `up`, `refresh` or `destroy`.
        command: String,
        /// The program's name.
        program: String,
        /// The stack's name.
        stack: String,
    },
    /// An operation that an earlier run left open was settled.
    Settled {
        /// The declaration.
        urn: Urn,
        /// The outcome, as a sentence.
        outcome: String,
    },
    /// The actual state of a resource differs from the recorded state.
    Drifted {
        /// The resource.
        urn: Urn,
        /// `true` if the resource no longer exists.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        gone: bool,
        /// The differences; `old` is the recorded value.
        #[serde(skip_serializing_if = "Diff::is_empty")]
        diff: Diff,
    },
    /// A step of the plan.
    StepPlanned {
        /// The resource.
        urn: Urn,
        /// The planned action.
        action: Action,
        /// Region of the resource.
        #[serde(skip_serializing_if = "Option::is_none")]
        region: Option<String>,
        /// The differences that cause the action.
        #[serde(skip_serializing_if = "Diff::is_empty")]
        diff: Diff,
        /// Previous name of the resource, if it was renamed.
        #[serde(skip_serializing_if = "Option::is_none")]
        renamed_from: Option<Urn>,
        /// Additional reason for the action, if the differences do not explain it.
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// The plan is complete.
    Planned {
        /// Number of steps by action.
        counts: BTreeMap<Action, usize>,
        /// Sets whose size is known only while applying.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        sets: Vec<PlannedSet>,
        /// The order in which the steps are executed.
        execution: ExecutionGraph,
    },
    /// A step started.
    StepStarted {
        /// The resource.
        urn: Urn,
        /// The action of the step.
        action: Action,
    },
    /// Progress of a running step.
    StepStatus {
        /// The resource.
        urn: Urn,
        /// The progress in words: `waiting for 2 healthy targets`.
        message: String,
    },
    /// A step succeeded.
    StepFinished {
        /// The resource.
        urn: Urn,
        /// The executed action. It is weaker than planned if a value turned out to be unchanged.
        action: Action,
        /// The provider's id.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// Duration, in milliseconds.
        elapsed_ms: u64,
    },
    /// A step failed.
    StepFailed {
        /// The resource.
        urn: Urn,
        /// The attempted action.
        action: Action,
        /// The error and its hint.
        diagnostic: Diagnostic,
        /// Duration, in milliseconds.
        elapsed_ms: u64,
    },
    /// A step was skipped, because an earlier step failed or the run was interrupted.
    StepSkipped {
        /// The resource.
        urn: Urn,
        /// The planned action.
        action: Action,
    },
    /// A message that belongs to no step.
    Message(Diagnostic),
    /// The run finished.
    RunFinished {
        /// `true` if every step succeeded.
        success: bool,
        /// `true` if the plan was rejected or the run was interrupted.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        interrupted: bool,
        /// Number of successful steps by action.
        counts: BTreeMap<Action, usize>,
        /// All errors, including those that belong to no step.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        failures: Vec<Diagnostic>,
        /// Number of steps that were not started.
        #[serde(skip_serializing_if = "is_zero")]
        skipped: usize,
        /// The program's exports, secrets masked.
        outputs: BTreeMap<String, serde_json::Value>,
        /// Duration without the time spent waiting for the user, in milliseconds.
        elapsed_ms: u64,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes references
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// A set whose size is known only while applying.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedSet {
    /// The set's name.
    pub name: String,
    /// The type token of its members.
    pub kind: String,
    /// Maximum number of members.
    pub most: usize,
}

/// Receiver of events.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Creates a receiver that calls `reader` for every event, in order. `reader` must return quickly.
    pub fn to(reader: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(reader))
    }

    /// Returns a receiver that ignores all events.
    pub fn ignored() -> Self {
        Self::to(|_| {})
    }

    /// Creates a receiver and the stream of its events.
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        // A dropped stream does not stop a run.
        (Self::to(move |event| drop(sender.send(event))), receiver)
    }

    /// Sends an event.
    pub fn send(&self, event: Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        execution::{Edge, Point, Reason, Task},
        resource::Schema,
        value::Value,
    };
    use serde_json::json;

    /// Readers in other languages rely on this format: consider [`VERSION`] with every change.
    #[test]
    fn events_serialise_as_json_lines() {
        let urn: Urn = "urn:infra:dev::web::aws:ec2:Subnet::net".parse().unwrap();
        let mut new = Value::from_json(json!({"cidr": "10.0.0.0/16", "zone": "a"}));
        if let Value::Map(map) = &mut new {
            map.insert("password", Value::from("hunter2").into_secret());
            map.insert("vpc", Value::Unknown);
        }
        let schema = Schema::new().replace_on(["cidr"]);
        let diff = Diff::between(&schema, &Value::from_json(json!({"cidr": "10.1.0.0/16"})), &new);
        let problem = Diagnostic::error("it failed").about(&urn).because("of this").hint("do that");
        let counts: BTreeMap<Action, usize> = [(Action::Create, 2)].into();
        let events = [
            Event::RunStarted { version: VERSION, command: "up".into(), program: "web".into(), stack: "dev".into() },
            Event::Settled { urn: urn.clone(), outcome: "never happened".into() },
            Event::Drifted { urn: urn.clone(), gone: true, diff: Diff::default() },
            Event::StepPlanned {
                urn: urn.clone(),
                action: Action::Replace,
                region: Some("us-east-1".into()),
                diff,
                renamed_from: None,
                note: Some("asked for".into()),
            },
            Event::Planned {
                counts: counts.clone(),
                sets: vec![PlannedSet { name: "subnets".into(), kind: "aws:ec2:Subnet".into(), most: 4 }],
                execution: ExecutionGraph {
                    tasks: vec![Task::Apply { urn: urn.clone(), action: Action::Replace }],
                    edges: vec![Edge { before: Point::Task(0), after: Point::Settled(0), reason: Reason::Settled }],
                },
            },
            Event::StepStarted { urn: urn.clone(), action: Action::Create },
            Event::StepStatus { urn: urn.clone(), message: "waiting".into() },
            Event::StepFinished { urn: urn.clone(), action: Action::Create, id: Some("net-1".into()), elapsed_ms: 5 },
            Event::StepFailed { urn: urn.clone(), action: Action::Create, diagnostic: problem.clone(), elapsed_ms: 5 },
            Event::StepSkipped { urn: urn.clone(), action: Action::Delete },
            Event::Message(problem.clone()),
            Event::RunFinished {
                success: true,
                interrupted: false,
                counts: counts.clone(),
                failures: Vec::new(),
                skipped: 0,
                outputs: [("url".to_owned(), json!("http://x"))].into(),
                elapsed_ms: 7,
            },
            Event::RunFinished {
                success: false,
                interrupted: true,
                counts,
                failures: vec![problem],
                skipped: 3,
                outputs: BTreeMap::new(),
                elapsed_ms: 7,
            },
        ];
        let lines: Vec<String> = events.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"event":"run_started","version":1,"command":"up","program":"web","stack":"dev"}
        {"event":"settled","urn":"urn:infra:dev::web::aws:ec2:Subnet::net","outcome":"never happened"}
        {"event":"drifted","urn":"urn:infra:dev::web::aws:ec2:Subnet::net","gone":true}
        {"event":"step_planned","urn":"urn:infra:dev::web::aws:ec2:Subnet::net","action":"replace","region":"us-east-1","diff":[{"path":"cidr","old":"10.1.0.0/16","new":"10.0.0.0/16","replaces":true},{"path":"password","old":null,"new":"[secret]","replaces":false},{"path":"vpc","old":null,"new":"(known after apply)","replaces":false},{"path":"zone","old":null,"new":"a","replaces":false}],"note":"asked for"}
        {"event":"planned","counts":{"create":2},"sets":[{"name":"subnets","kind":"aws:ec2:Subnet","most":4}],"execution":{"tasks":[{"task":"apply","urn":"urn:infra:dev::web::aws:ec2:Subnet::net","action":"replace"}],"edges":[{"before":{"task":0},"after":{"settled":0},"reason":"settled"}]}}
        {"event":"step_started","urn":"urn:infra:dev::web::aws:ec2:Subnet::net","action":"create"}
        {"event":"step_status","urn":"urn:infra:dev::web::aws:ec2:Subnet::net","message":"waiting"}
        {"event":"step_finished","urn":"urn:infra:dev::web::aws:ec2:Subnet::net","action":"create","id":"net-1","elapsed_ms":5}
        {"event":"step_failed","urn":"urn:infra:dev::web::aws:ec2:Subnet::net","action":"create","diagnostic":{"severity":"error","subject":"urn:infra:dev::web::aws:ec2:Subnet::net","summary":"it failed","detail":"of this","hint":"do that"},"elapsed_ms":5}
        {"event":"step_skipped","urn":"urn:infra:dev::web::aws:ec2:Subnet::net","action":"delete"}
        {"event":"message","severity":"error","subject":"urn:infra:dev::web::aws:ec2:Subnet::net","summary":"it failed","detail":"of this","hint":"do that"}
        {"event":"run_finished","success":true,"counts":{"create":2},"outputs":{"url":"http://x"},"elapsed_ms":7}
        {"event":"run_finished","success":false,"interrupted":true,"counts":{"create":2},"failures":[{"severity":"error","subject":"urn:infra:dev::web::aws:ec2:Subnet::net","summary":"it failed","detail":"of this","hint":"do that"}],"skipped":3,"outputs":{},"elapsed_ms":7}
        "#);
    }
}
