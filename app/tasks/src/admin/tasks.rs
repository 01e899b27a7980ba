//! Tasks: list, add, edit, delete.

use actix_web::{
    HttpRequest,
    http::StatusCode,
    web::{Data, Path, ReqData},
};
use chrono::{DateTime, SubsecRound, Utc};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, DatabaseConnection, IntoActiveModel};
use serde_json::json;

use super::{
    delete::Deleted,
    edit::{self, FormPage},
    error::Answer,
    form::{Field, Fields, Kind},
    list::{Cell, Column, Control, Filter, Listed},
    page::{self, Section},
    query::Sort,
    session::{self, Visit},
};
use crate::{
    entity::task::{self, Entity},
    input::{DESCRIPTION_CHARACTERS, FieldErrors, NewTask, TITLE_CHARACTERS},
};

impl Listed for Entity {
    const SECTION: Section = Section { path: "tasks", title: "Tasks", one: "task", many: "tasks", editable: true };
    const SORT: Sort = Sort { column: "id", descending: true };

    fn columns() -> Vec<Column<Self>> {
        let column = Column::<Self>::new;
        vec![
            column("title", "Title", task::Column::Title, |task| Cell::Text(task.title.clone())),
            column("description", "Description", task::Column::Description, |task| {
                Cell::Long(task.description.clone())
            }),
            column("pub_date", "Publication", task::Column::PubDate, |task| Cell::Moment(task.pub_date)),
            column("id", "Id", task::Column::Id, |task| Cell::Number(task.id.to_string())),
        ]
    }

    fn searched() -> Vec<task::Column> {
        vec![task::Column::Title, task::Column::Description]
    }

    fn filters() -> Vec<Filter> {
        vec![
            Filter {
                name: "from",
                label: "Published from",
                control: Control::Date,
                condition: |day| edit::start_of_day(day).map(|start| task::Column::PubDate.gte(start)),
            },
            Filter {
                name: "until",
                label: "Published until",
                control: Control::Date,
                condition: |day| edit::end_of_day(day).map(|end| task::Column::PubDate.lte(end)),
            },
        ]
    }

    fn id(task: &task::Model) -> i64 {
        task.id
    }
}

impl Deleted for Entity {
    fn name(task: &task::Model) -> String {
        task.title.clone()
    }
}

/// Answers with an empty form.
pub(super) async fn new(visit: ReqData<Visit>, request: HttpRequest) -> Answer {
    let task = Sent { title: "", description: "", pub_date: &input_value(Utc::now()) };
    form(&visit, &request, None, &task, &FieldErrors::default()).show(StatusCode::OK)
}

/// Stores a new task.
pub(super) async fn add(
    database: Data<DatabaseConnection>,
    visit: ReqData<Visit>,
    request: HttpRequest,
    fields: ReqData<Fields>,
) -> Answer {
    let sent = Sent::of(&fields);
    let NewTask { title, pub_date, description } = match sent.parse() {
        Ok(task) => task,
        Err(errors) => return form(&visit, &request, None, &sent, &errors).show(StatusCode::UNPROCESSABLE_ENTITY),
    };
    let task = task::ActiveModel {
        title: Set(title),
        pub_date: Set(pub_date),
        description: Set(description),
        ..Default::default()
    };
    let task = task.insert(database.as_ref()).await?;
    session::tell(&database, &visit, &format!("Added the task “{}”.", task.title)).await?;
    Ok(page::redirect(&edit::next::<Entity>(&request, &fields, task.id)))
}

/// Answers with a task in a form.
pub(super) async fn open(
    database: Data<DatabaseConnection>,
    visit: ReqData<Visit>,
    request: HttpRequest,
    id: Path<String>,
) -> Answer {
    let task = edit::find::<Entity>(&database, &id).await?;
    let pub_date = input_value(task.pub_date);
    let shown = Sent { title: &task.title, description: &task.description, pub_date: &pub_date };
    form(&visit, &request, Some(&task), &shown, &FieldErrors::default()).show(StatusCode::OK)
}

/// Stores a changed task.
pub(super) async fn save(
    database: Data<DatabaseConnection>,
    visit: ReqData<Visit>,
    request: HttpRequest,
    id: Path<String>,
    fields: ReqData<Fields>,
) -> Answer {
    let task = edit::find::<Entity>(&database, &id).await?;
    let sent = Sent::of(&fields);
    let changed = match sent.parse() {
        Ok(changed) => changed,
        Err(errors) => {
            let page = form(&visit, &request, Some(&task), &sent, &errors);
            return page.show(StatusCode::UNPROCESSABLE_ENTITY);
        }
    };
    // The form shows whole seconds; what is behind them stays when the seconds do.
    let same_second = changed.pub_date == task.pub_date.trunc_subsecs(0);
    let pub_date = if same_second { task.pub_date } else { changed.pub_date };
    let mut row = task.into_active_model();
    row.title.set_if_not_equals(changed.title);
    row.pub_date.set_if_not_equals(pub_date);
    row.description.set_if_not_equals(changed.description);
    let task = row.update(database.as_ref()).await?;
    session::tell(&database, &visit, &format!("Saved the task “{}”.", task.title)).await?;
    Ok(page::redirect(&edit::next::<Entity>(&request, &fields, task.id)))
}

/// What a form says.
struct Sent<'a> {
    title: &'a str,
    pub_date: &'a str,
    description: &'a str,
}

impl<'a> Sent<'a> {
    fn of(fields: &'a Fields) -> Self {
        Self { title: fields.text("title"), pub_date: fields.text("pub_date"), description: fields.text("description") }
    }

    /// By the rules of the interface.
    fn parse(&self) -> Result<NewTask, FieldErrors> {
        NewTask::parse(&json!({ "title": self.title, "pub_date": self.pub_date, "description": self.description }))
    }
}

fn form(
    visit: &Visit,
    request: &HttpRequest,
    task: Option<&task::Model>,
    sent: &Sent,
    errors: &FieldErrors,
) -> FormPage {
    let fields = vec![
        Field {
            name: "title",
            label: "Title",
            value: sent.title.into(),
            limit: TITLE_CHARACTERS,
            autocomplete: "off",
            ..Field::default()
        },
        Field {
            name: "pub_date",
            label: "Publication",
            kind: Kind::Moment,
            value: sent.pub_date.into(),
            help: "In UTC.".into(),
            ..Field::default()
        },
        Field {
            name: "description",
            label: "Description",
            kind: Kind::Lines,
            value: sent.description.into(),
            limit: DESCRIPTION_CHARACTERS,
            ..Field::default()
        },
    ];
    let (title, id) = match task {
        Some(task) => (task.title.clone(), Some(task.id)),
        None => ("Add a task".to_owned(), None),
    };
    FormPage::new::<Entity>(visit, request, title, id, fields, errors)
}

/// As HTML's `datetime-local` takes it.
fn input_value(moment: DateTime<Utc>) -> String {
    moment.format("%Y-%m-%dT%H:%M:%S").to_string()
}
