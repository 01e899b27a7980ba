//! What can be done with tasks, whatever dialect asks for it. Each is one statement, so nothing is ever half done.

use kit::reader::Reader;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, DatabaseConnection, DbErr, EntityTrait, IntoActiveModel, QueryOrder,
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
pub async fn list(reader: &Reader) -> Result<Vec<Model>, Refusal> {
    Ok(reader.read(async |database| Entity::find().order_by_asc(Column::Id).all(database).await).await?)
}

/// The task of an id, as it stands in a path. What cannot be an id is the id of no task.
pub async fn find(database: &DatabaseConnection, id: &str) -> Result<Model, Refusal> {
    Entity::find_by_id(parse_id(id)?).one(database).await?.ok_or(Refusal::NotFound)
}

/// Stores a task.
pub async fn create(database: &DatabaseConnection, task: NewTask) -> Result<Model, Refusal> {
    let NewTask { title, pub_date, description } = task;
    let task =
        ActiveModel { title: Set(title), pub_date: Set(pub_date), description: Set(description), ..Default::default() };
    Ok(task.insert(database).await?)
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

fn parse_id(text: &str) -> Result<i64, Refusal> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(Refusal::NotFound)
}
