//! What can be done with tasks, whatever dialect asks for it. Each is one statement, so nothing is ever half done.

use std::{collections::VecDeque, rc::Rc};

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

/// Why a request is not granted.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such task.
    #[error("Not found.")]
    NotFound,
    /// The body is not JSON.
    #[error("JSON parse error - {0}")]
    Malformed(#[from] serde_json::Error),
    /// The body is JSON, but not that of a task.
    #[error("{0}")]
    Invalid(FieldErrors),
    /// The database did not do it.
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
            // Deleted between our finding it and our changing it.
            DbErr::RecordNotUpdated => Self::NotFound,
            other => Self::Database(other),
        }
    }
}

/// All tasks by their ids. A replica may not have the latest yet.
pub async fn list(reader: &Reader) -> Result<Vec<Model>, DbErr> {
    reader.read(async |database| Entity::find().order_by_asc(Column::Id).all(database).await).await
}

/// The task of an id, as it stands in a path. What cannot be an id is the id of no task.
pub async fn find(database: &DatabaseConnection, id: &str) -> Result<Model, Refusal> {
    Entity::find_by_id(parse_id(id)?).one(database).await?.ok_or(Refusal::NotFound)
}

/// What many ask for at once: the requests of a worker thread share statements.
#[derive(Clone)]
pub struct Together {
    found: Batch<i64, Option<Model>>,
    created: Batch<NewTask, Model>,
}

impl Together {
    /// Asks a database.
    pub fn at(database: &DatabaseConnection) -> Self {
        let (reads, writes) = (Rc::new(Connection::to(database)), Rc::new(Connection::to(database)));
        let (read, written) = (Rc::clone(&reads), Rc::clone(&writes));
        Self {
            found: Batch::new(move |ids| Rc::clone(&reads).find(ids), move || read.release()),
            created: Batch::new(move |tasks| Rc::clone(&writes).create(tasks), move || written.release()),
        }
    }

    /// As [`find`].
    pub async fn find(&self, id: &str) -> Result<Model, Refusal> {
        self.found.ask(parse_id(id)?).await?.ok_or(Refusal::NotFound)
    }

    /// Stores a task.
    pub async fn create(&self, task: NewTask) -> Result<Model, Refusal> {
        Ok(self.created.ask(task).await?)
    }
}

/// Changes a task that was found.
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

/// Deletes the task of an id, as it stands in a path.
pub async fn delete(database: &DatabaseConnection, id: &str) -> Result<(), Refusal> {
    let deleted = Entity::delete_by_id(parse_id(id)?).exec(database).await?;
    if deleted.rows_affected == 0 { Err(Refusal::NotFound) } else { Ok(()) }
}

/// Deletes all tasks. Their ids are not given again.
pub async fn delete_all(database: &DatabaseConnection) -> Result<(), Refusal> {
    Entity::delete_many().exec(database).await?;
    Ok(())
}

/// Where statements about several tasks go. In PostgreSQL one is the same for any number of them, so that it is prepared
/// once.
enum Connection {
    Postgres(Held),
    Other(DatabaseConnection),
}

/// A row as PostgreSQL gives it.
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

    /// The tasks of these ids, in their order.
    async fn find(self: Rc<Self>, ids: Vec<i64>) -> Result<Vec<Option<Model>>, DbErr> {
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

    /// Stores tasks, all or none, and gives them in their order.
    async fn create(self: Rc<Self>, tasks: Vec<NewTask>) -> Result<Vec<Model>, DbErr> {
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
        // No database promises an order, but rows that say the same are as good as each other.
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
