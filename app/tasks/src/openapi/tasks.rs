//! The two dialects described.

use serde_json::{Value, json};

use super::{Operation, Path, reference};
use crate::auth::Mode;

const A: &str = "dialect A";
const B: &str = "dialect B";

pub(super) fn paths(mode: Mode) -> Vec<Path> {
    let (reading, writing) = (mode == Mode::All, mode != Mode::Off);
    let a = |id, summary| Operation::new(A, id, summary);
    let b = |id, summary| Operation::new(B, id, summary);
    let list_of = |schema: &str| json!({ "type": "array", "items": reference(schema) });
    let gone = "Não achei a task especificada!";
    vec![
        ("/tasks", vec![("get", a("redirect", "Leads to `/tasks/`").redirect().user(reading))]),
        (
            "/tasks/",
            vec![
                (
                    "get",
                    a("list", "Lists all tasks")
                        .answer_with(200, "All tasks, by id.", &list_of("ListedTask"))
                        .user(reading),
                ),
                ("post", a("create", "Adds a task").body("NewTask").answer(201, "The new task.", "Task").user(writing)),
            ],
        ),
        (
            "/tasks/{id}",
            vec![
                ("get", a("show", "Shows a task").id().word_of_b().answer(200, "The task.", "Task").user(reading)),
                (
                    "put",
                    a("change", "Changes what is given of a task")
                        .id()
                        .word_of_b()
                        .body("TaskChange")
                        .answer(201, "The task as it is now.", "Task")
                        .user(writing),
                ),
                (
                    "delete",
                    a("delete", "Deletes a task")
                        .id()
                        .word_of_b()
                        .text(200, "It is gone.", "Task successfully deleted!")
                        .user(writing),
                ),
            ],
        ),
        (
            "/tasks/get_all",
            vec![(
                "get",
                b("getAll", "Lists all tasks").answer_with(200, "All tasks, by id.", &list_of("Task")).user(reading),
            )],
        ),
        (
            "/tasks/get_single/{id}",
            vec![(
                "get",
                b("getSingle", "Shows a task")
                    .id()
                    .text(404, "There is no such task.", gone)
                    .answer(201, "The task.", "Task")
                    .user(reading),
            )],
        ),
        (
            "/tasks/post",
            vec![(
                "post",
                b("post", "Adds a task")
                    .body("NewTask")
                    .refusal(400, "The body is not JSON.")
                    .answer(201, "The new task.", "Task")
                    .answer(
                        401,
                        if writing {
                            "Some fields are wrong, or nobody is signed in."
                        } else {
                            "Some fields are wrong."
                        },
                        "Fault",
                    )
                    .user(writing),
            )],
        ),
        (
            "/tasks/update/{id}",
            vec![(
                "put",
                b("update", "Changes a task; every field is needed")
                    .id()
                    .text(404, "There is no such task.", gone)
                    .body("NewTask")
                    .text(201, "It is changed.", "Task foi alterada com sucesso!")
                    .user(writing),
            )],
        ),
        (
            "/tasks/delete/{id}",
            vec![(
                "delete",
                b("deleteOne", "Deletes a task")
                    .id()
                    .text(404, "There is no such task.", gone)
                    .text(201, "It is gone.", "Deletado com sucesso!")
                    .user(writing),
            )],
        ),
        (
            "/tasks/delete_all",
            vec![(
                "delete",
                b("deleteAll", "Deletes all tasks")
                    .text(201, "All are gone.", "Todas as tasks fooram deletadas com sucesso!")
                    .user(writing),
            )],
        ),
    ]
}

impl Operation {
    /// What stands where dialect A has ids may be a path of dialect B, which takes other methods.
    fn word_of_b(self) -> Self {
        self.refusal(405, "The id is a word of dialect B, such as `post`, where this cannot be done.")
    }

    fn redirect(mut self) -> Self {
        let location: Value = json!({ "required": true, "schema": { "type": "string", "const": "/tasks/" } });
        self.answers.insert("301".into(), json!({ "description": "Go there.", "headers": { "Location": location } }));
        self
    }
}
