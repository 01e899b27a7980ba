//! Pages of tasks.

use chrono::{DateTime, SubsecRound, Utc};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel,
    QueryFilter, sea_query::Expr,
};
use serde_json::json;

use super::{
    form::{Field, Fields, Kind},
    model::{Action, Cell, Column, Editable, Filter, ModelAdmin, StoreError},
    page::Section,
    permission::Verb,
    query::Sort,
    session::Visit,
};
use crate::{
    entity::task::{self, Entity},
    input::{DESCRIPTION_CHARACTERS, NewTask, TITLE_CHARACTERS},
};

impl ModelAdmin for Entity {
    const SECTION: Section = Section { path: "tasks", title: "Tasks", one: "task", many: "tasks", verbs: Verb::ALL };
    const SORT: Sort = Sort { column: "id", descending: true };

    fn id(task: &task::Model) -> i64 {
        task.id
    }

    fn name(task: &task::Model) -> String {
        task.title.clone()
    }

    fn columns() -> Vec<Column<Self>> {
        let column = Column::<Self>::new;
        vec![
            column("title", "Title", task::Column::Title, |task| Cell::Text(task.title.clone())),
            column("description", "Description", task::Column::Description, |task| {
                Cell::Long(task.description.clone())
            }),
            column("pub_date", "Publication", task::Column::PubDate, |task| Cell::Moment(task.pub_date)),
            column("id", "Id", task::Column::Id, |task| Cell::Number(task.id)),
        ]
    }

    fn searched() -> Vec<task::Column> {
        vec![task::Column::Title, task::Column::Description]
    }

    fn filters() -> Vec<Filter> {
        Filter::days(["Published from", "Published until"], task::Column::PubDate).into()
    }

    fn actions() -> Vec<Action<Self>> {
        vec![Action {
            name: "publish",
            label: "Publish",
            done: "Published",
            consequence: "will have the current time as publication",
            verb: Verb::Change,
            refusal: |_, _| None,
            run: |transaction, tasks| {
                let ids: Vec<i64> = tasks.iter().map(|task| task.id).collect();
                let publish = Entity::update_many().col_expr(task::Column::PubDate, Expr::value(Utc::now()));
                let publish = publish.filter(task::Column::Id.is_in(ids));
                Box::pin(async move { publish.exec(transaction).await.map(drop) })
            },
        }]
    }
}

impl Editable for Entity {
    type Draft = NewTask;

    async fn fields(
        _database: &impl ConnectionTrait,
        _visit: &Visit,
        task: Option<&task::Model>,
    ) -> Result<Vec<Field>, DbErr> {
        let (title, description) = task.map(|task| (task.title.clone(), task.description.clone())).unwrap_or_default();
        Ok(vec![
            Field {
                name: "title",
                label: "Title",
                value: title,
                limit: TITLE_CHARACTERS,
                autocomplete: "off",
                ..Field::default()
            },
            Field {
                name: "pub_date",
                label: "Publication",
                kind: Kind::Moment,
                value: input_value(task.map_or_else(Utc::now, |task| task.pub_date)),
                help: "In UTC.".into(),
                ..Field::default()
            },
            Field {
                name: "description",
                label: "Description",
                kind: Kind::Lines,
                value: description,
                limit: DESCRIPTION_CHARACTERS,
                ..Field::default()
            },
        ])
    }

    /// Parses a task by the rules of the API.
    async fn parse(_visit: &Visit, _task: Option<&task::Model>, sent: &Fields) -> Result<NewTask, StoreError> {
        let [title, pub_date, description] = ["title", "pub_date", "description"].map(|name| sent.text(name));
        Ok(NewTask::parse(&json!({ "title": title, "pub_date": pub_date, "description": description }))?)
    }

    async fn store(
        transaction: &DatabaseTransaction,
        _visit: &Visit,
        task: Option<task::Model>,
        draft: NewTask,
    ) -> Result<task::Model, StoreError> {
        let Some(task) = task else {
            return Ok(task::ActiveModel::from(draft).insert(transaction).await?);
        };
        // The form shows whole seconds. The fraction is kept if the seconds are unchanged.
        let same_second = draft.pub_date == task.pub_date.trunc_subsecs(0);
        let pub_date = if same_second { task.pub_date } else { draft.pub_date };
        let mut row = task.into_active_model();
        row.title.set_if_not_equals(draft.title);
        row.pub_date.set_if_not_equals(pub_date);
        row.description.set_if_not_equals(draft.description);
        Ok(row.update(transaction).await?)
    }
}

/// Formats a time for an HTML input of the type `datetime-local`.
fn input_value(moment: DateTime<Utc>) -> String {
    moment.format("%Y-%m-%dT%H:%M:%S").to_string()
}
