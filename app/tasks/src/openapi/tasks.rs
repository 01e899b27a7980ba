//! Descriptions of the operations on tasks. Both dialects have the same operations, with other paths, statuses and texts.

use serde_json::{Value, json};

use super::{Operation, Path, reference};
use crate::auth::Mode;

const A: Dialect = Dialect { tag: "dialect A", of_task: Operation::word_of_b };
const B: Dialect = Dialect { tag: "dialect B", of_task: Operation::missing_in_b };

pub(super) fn paths(mode: Mode) -> Vec<Path> {
    let get = |operation: Operation| ("get", operation.user(mode == Mode::All));
    let write = |method, operation: Operation| (method, operation.user(mode != Mode::Off));
    let invalid = match mode {
        Mode::Off => "Some fields are invalid.",
        Mode::Writes | Mode::All => "Some fields are invalid, or the request has no valid access token.",
    };
    vec![
        ("/tasks", vec![get(A.operation("redirect", "Redirects to `/tasks/`").redirect())]),
        ("/tasks/", vec![get(A.list("list", "ListedTask")), write("post", A.create("create"))]),
        (
            "/tasks/{id}",
            vec![
                get(A.show("show", 200)),
                write(
                    "put",
                    A.change("change", "Changes the given fields of a task", "TaskChange").answer(
                        201,
                        "The changed task.",
                        "Task",
                    ),
                ),
                write("delete", A.delete("delete", 200, "Task successfully deleted!")),
            ],
        ),
        ("/tasks/get_all", vec![get(B.list("getAll", "Task"))]),
        ("/tasks/get_single/{id}", vec![get(B.show("getSingle", 201))]),
        (
            "/tasks/post",
            vec![write("post", B.create("post").refusal(400, "The body is not JSON.").answer(401, invalid, "Fault"))],
        ),
        (
            "/tasks/update/{id}",
            vec![write(
                "put",
                B.change("update", "Changes a task; all fields are required", "NewTask").text(
                    201,
                    "The task has been changed.",
                    "Task foi alterada com sucesso!",
                ),
            )],
        ),
        ("/tasks/delete/{id}", vec![write("delete", B.delete("deleteOne", 201, "Deletado com sucesso!"))]),
        (
            "/tasks/delete_all",
            vec![write(
                "delete",
                B.operation("deleteAll", "Deletes all tasks").text(
                    201,
                    "All tasks have been deleted.",
                    "Todas as tasks fooram deletadas com sucesso!",
                ),
            )],
        ),
    ]
}

/// A dialect, as the builder of its operations.
struct Dialect {
    tag: &'static str,
    /// Adds the responses of operations on a single task.
    of_task: fn(Operation) -> Operation,
}

impl Dialect {
    fn operation(&self, id: &'static str, summary: &'static str) -> Operation {
        Operation::new(self.tag, id, summary)
    }

    fn operation_on_task(&self, id: &'static str, summary: &'static str) -> Operation {
        (self.of_task)(self.operation(id, summary).id())
    }

    fn list(&self, id: &'static str, schema: &str) -> Operation {
        let tasks = json!({ "type": "array", "items": reference(schema) });
        self.operation(id, "Lists all tasks").answer_with(200, "All tasks, ordered by id.", &tasks)
    }

    fn create(&self, id: &'static str) -> Operation {
        self.operation(id, "Adds a task").body("NewTask").answer(201, "The new task.", "Task")
    }

    fn show(&self, id: &'static str, status: u16) -> Operation {
        self.operation_on_task(id, "Shows a task").answer(status, "The task.", "Task")
    }

    fn change(&self, id: &'static str, summary: &'static str, body: &'static str) -> Operation {
        self.operation_on_task(id, summary).body(body)
    }

    fn delete(&self, id: &'static str, status: u16, text: &str) -> Operation {
        self.operation_on_task(id, "Deletes a task").text(status, "The task has been deleted.", text)
    }
}

impl Operation {
    /// Adds the response to an ID of dialect A that is a path of dialect B with other methods.
    fn word_of_b(self) -> Self {
        self.refusal(405, "The id is a path of dialect B, such as `post`, which does not support this method.")
    }

    /// Adds the response of dialect B for a missing task.
    fn missing_in_b(self) -> Self {
        self.text(404, "The task does not exist.", "Não achei a task especificada!")
    }

    fn redirect(mut self) -> Self {
        let location: Value = json!({ "required": true, "schema": { "type": "string", "const": "/tasks/" } });
        self.answers.insert(
            "301".into(),
            json!({ "description": "Redirect to `/tasks/`.", "headers": { "Location": location } }),
        );
        self
    }
}
