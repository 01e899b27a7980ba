//! Operations on users. Each is one statement, and so atomic.

use kit::password;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, SqlErr,
};

use super::{
    entity::{ActiveModel, Column, Entity, Model},
    input::Credentials,
};
use crate::refusal::Refusal;

pub(super) async fn create(database: &DatabaseConnection, new: Credentials) -> Result<(), Refusal> {
    if find(database, &new.username).await?.is_some() {
        return Err(duplicate(&new.username));
    }
    let password_hash = Set(password::hash(new.password).await?);
    let user = ActiveModel { username: Set(new.username.clone()), password_hash, ..Default::default() };
    match user.insert(database).await {
        Ok(_) => Ok(()),
        // Another request created the user first.
        Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
            Err(duplicate(&new.username))
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns the names of all users, in the order of their creation.
pub(super) async fn names(database: &DatabaseConnection) -> Result<Vec<String>, Refusal> {
    let names = Entity::find().select_only().column(Column::Username).order_by_asc(Column::Id);
    Ok(names.into_tuple().all(database).await?)
}

pub(super) async fn find(database: &DatabaseConnection, username: &str) -> Result<Option<Model>, Refusal> {
    Ok(Entity::find().filter(Column::Username.eq(username)).one(database).await?)
}

pub(super) async fn delete(database: &DatabaseConnection, username: &str) -> Result<(), Refusal> {
    let deleted = Entity::delete_many().filter(Column::Username.eq(username)).exec(database).await?;
    match deleted.rows_affected {
        0 => Err(Refusal::invalid(format!("There is no user \"{username}\"."))),
        _ => Ok(()),
    }
}

fn duplicate(username: &str) -> Refusal {
    Refusal::invalid(format!("There is already a user \"{username}\"."))
}
