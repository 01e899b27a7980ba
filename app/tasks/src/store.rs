//! Operations on tasks, shared by the dialects. Each is one statement, and so atomic.

use std::{collections::VecDeque, sync::Arc};

use chrono::{DateTime, Utc};
use kit::{batch::Batch, held::Held, reader::Reader};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DatabaseConnection, DbErr, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder, sqlx,
};

use crate::{
    entity::task::{ActiveModel, Column, Entity, Model},
    input::{FieldErrors, NewTask, TaskChange},
};

/// Error of an operation.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The task does not exist.
    #[error("Not found.")]
    NotFound,
    /// The body is not JSON.
    #[error("JSON parse error - {0}")]
    Malformed(#[from] serde_json::Error),
    /// The body is JSON with invalid fields.
    #[error("{0}")]
    Invalid(FieldErrors),
    /// The database returned an error.
    #[error(transparent)]
    Database(DbErr),
}

impl From<FieldErrors> for Refusal {
    fn from(errors: FieldErrors) -> Self {
        Self::Invalid(errors)
    }
}

impl From<DbErr> for Refusal {
    fn from(error: DbErr) -> Self {
        match error {
            // Another request deleted the task after it was found.
            DbErr::RecordNotUpdated => Self::NotFound,
            other => Self::Database(other),
        }
    }
}

/// Returns all tasks, ordered by ID. The replica may not contain the newest ones.
pub async fn list(reader: &Reader) -> Result<Vec<Model>, DbErr> {
    reader.read(async |database| Entity::find().order_by_asc(Column::Id).all(database).await).await
}

/// Returns the task with an ID from a path. An invalid ID is the ID of no task.
pub async fn find(database: &DatabaseConnection, id: &str) -> Result<Model, Refusal> {
    Entity::find_by_id(parse_id(id)?).one(database).await?.ok_or(Refusal::NotFound)
}

/// Frequent operations, for which the requests of a worker thread share statements.
#[derive(Clone)]
pub struct Together {
    found: Batch<i64, Option<Model>>,
    created: Batch<NewTask, Model>,
}

impl Together {
    /// Returns the operations on a database.
    pub fn at(database: &DatabaseConnection) -> Self {
        let (reads, writes) = (Arc::new(Connection::to(database)), Arc::new(Connection::to(database)));
        let (read, written) = (Arc::clone(&reads), Arc::clone(&writes));
        Self {
            found: Batch::new(move |ids| Arc::clone(&reads).find(ids), move || read.release()),
            created: Batch::new(move |tasks| Arc::clone(&writes).create(tasks), move || written.release()),
        }
    }

    /// Returns the task with an ID from a path, as [`find`] does.
    pub async fn find(&self, id: &str) -> Result<Model, Refusal> {
        self.found.run(parse_id(id)?).await?.ok_or(Refusal::NotFound)
    }

    /// Stores a new task.
    pub async fn create(&self, task: NewTask) -> Result<Model, Refusal> {
        Ok(self.created.run(task).await?)
    }
}

/// Changes a task.
pub async fn change(database: &DatabaseConnection, task: Model, change: TaskChange) -> Result<Model, Refusal> {
    let mut task = task.into_active_model();
    if let Some(title) = change.title {
        task.title = Set(title);
    }
    if let Some(pub_date) = change.pub_date {
        task.pub_date = Set(pub_date);
    }
    if let Some(description) = change.description {
        task.description = Set(description);
    }
    Ok(task.update(database).await?)
}

/// Deletes the task with an ID from a path.
pub async fn delete(database: &DatabaseConnection, id: &str) -> Result<(), Refusal> {
    let deleted = Entity::delete_by_id(parse_id(id)?).exec(database).await?;
    if deleted.rows_affected == 0 { Err(Refusal::NotFound) } else { Ok(()) }
}

/// Deletes all tasks. Their IDs are not reused.
pub async fn delete_all(database: &DatabaseConnection) -> Result<(), Refusal> {
    Entity::delete_many().exec(database).await?;
    Ok(())
}

/// Connection for statements about several tasks. In PostgreSQL, a statement has the same text for any number of tasks, so
/// that it is prepared once.
enum Connection {
    Postgres(Held),
    Other(DatabaseConnection),
}

/// A row of PostgreSQL.
type Row = (i64, String, DateTime<Utc>, String);

const FIND: &str = "SELECT id, title, pub_date, description FROM tasks_task WHERE id = ANY($1)";
const CREATE: &str = "INSERT INTO tasks_task (title, pub_date, description) \
                      SELECT * FROM UNNEST($1::text[], $2::timestamptz[], $3::text[]) \
                      RETURNING id, title, pub_date, description";

impl Connection {
    fn to(database: &DatabaseConnection) -> Self {
        Held::of(database).map_or_else(|| Self::Other(database.clone()), Self::Postgres)
    }

    fn release(&self) {
        if let Self::Postgres(held) = self {
            held.release();
        }
    }

    /// Returns the tasks with these IDs, in their order.
    async fn find(self: Arc<Self>, ids: Vec<i64>) -> Result<Vec<Option<Model>>, DbErr> {
        let found = match &*self {
            Self::Postgres(held) => {
                let find = sqlx::query_as::<_, Row>(FIND).bind(&ids);
                let rows = held.run(async |connection| find.fetch_all(connection).await).await?;
                rows.into_iter().map(Model::from).collect()
            }
            Self::Other(database) => Entity::find().filter(Column::Id.is_in(ids.iter().copied())).all(database).await?,
        };
        Ok(ids.into_iter().map(|id| found.iter().find(|task: &&Model| task.id == id).cloned()).collect())
    }

    /// Stores all of these tasks or none, and returns them in their order.
    async fn create(self: Arc<Self>, tasks: Vec<NewTask>) -> Result<Vec<Model>, DbErr> {
        let mut created: VecDeque<Model> = match &*self {
            Self::Postgres(held) => {
                let titles: Vec<_> = tasks.iter().map(|task| task.title.as_str()).collect();
                let pub_dates: Vec<_> = tasks.iter().map(|task| task.pub_date).collect();
                let descriptions: Vec<_> = tasks.iter().map(|task| task.description.as_str()).collect();
                let create = sqlx::query_as::<_, Row>(CREATE).bind(titles).bind(pub_dates).bind(descriptions);
                let rows = held.run(async |connection| create.fetch_all(connection).await).await?;
                rows.into_iter().map(Model::from).collect()
            }
            Self::Other(database) => {
                let rows = tasks.iter().cloned().map(ActiveModel::from);
                Entity::insert_many(rows).exec_with_returning(database).await?.into()
            }
        };
        // The order of returned rows is not specified, so they are matched by content.
        let mut ordered = Vec::with_capacity(tasks.len());
        for NewTask { title, pub_date, description } in &tasks {
            let same =
                |row: &Model| row.title == *title && row.pub_date == *pub_date && row.description == *description;
            let task = created.iter().position(same).and_then(|position| created.remove(position));
            ordered.push(task.ok_or(DbErr::RecordNotInserted)?);
        }
        Ok(ordered)
    }
}

impl From<Row> for Model {
    fn from((id, title, pub_date, description): Row) -> Self {
        Self { id, title, pub_date, description }
    }
}

impl From<NewTask> for ActiveModel {
    fn from(task: NewTask) -> Self {
        let NewTask { title, pub_date, description } = task;
        Self { title: Set(title), pub_date: Set(pub_date), description: Set(description), ..Default::default() }
    }
}

fn parse_id(text: &str) -> Result<i64, Refusal> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(Refusal::NotFound)
}
