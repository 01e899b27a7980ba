//! Operations on categories and acts. Each write is atomic: one statement, or one transaction.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, DbErr,
    EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, SqlErr, TransactionTrait, sea_query::LockType,
};

use super::{
    directory::Directory,
    entity::{act, category},
    input::NewAct,
    upvotes::Upvotes,
};
use crate::refusal::Refusal;

/// Returns the names of all categories with their numbers of acts, in the order of their creation.
pub(super) async fn categories(database: &DatabaseConnection) -> Result<Vec<(String, i64)>, Refusal> {
    let counted = category::Entity::find()
        .select_only()
        .column(category::Column::Name)
        .column_as(act::Column::Id.count(), "acts")
        .left_join(act::Entity)
        .group_by(category::Column::Id)
        .group_by(category::Column::Name)
        .order_by_asc(category::Column::Id);
    Ok(counted.into_tuple().all(database).await?)
}

pub(super) async fn add_category(database: &DatabaseConnection, name: String) -> Result<(), Refusal> {
    let category = category::ActiveModel { name: Set(name.clone()), ..Default::default() };
    match category.insert(database).await {
        Ok(_) => Ok(()),
        Err(error) if is_duplicate(&error) => Err(Refusal::invalid(format!("There is already a category \"{name}\"."))),
        Err(error) => Err(error.into()),
    }
}

/// Deletes a category. The database deletes its acts.
pub(super) async fn delete_category(database: &DatabaseConnection, name: &str) -> Result<(), Refusal> {
    let has_name = category::Column::Name.eq(name);
    let transaction = database.begin().await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        // In the order of `Upvotes`: in another order, the deletion and concurrent votes could block each other forever.
        let acts = act::Entity::find().inner_join(category::Entity).filter(has_name.clone());
        let locked = acts.select_only().column(act::Column::Id).order_by_asc(act::Column::Id).lock(LockType::Update);
        locked.into_tuple::<i64>().all(&transaction).await?;
    }
    let deleted = category::Entity::delete_many().filter(has_name).exec(&transaction).await?;
    transaction.commit().await?;
    if deleted.rows_affected == 0 { Err(unknown_category(name)) } else { Ok(()) }
}

/// Returns the ID of a category.
pub(super) async fn category(database: &DatabaseConnection, name: &str) -> Result<i64, Refusal> {
    let found = category::Entity::find().filter(category::Column::Name.eq(name)).one(database).await?;
    found.map(|category| category.id).ok_or_else(|| unknown_category(name))
}

/// Returns the number of acts of a category.
pub(super) async fn size(database: &DatabaseConnection, category_id: i64) -> Result<u64, Refusal> {
    Ok(act::Entity::find().filter(act::Column::CategoryId.eq(category_id)).count(database).await?)
}

/// Returns the number of all acts.
pub(super) async fn count(database: &DatabaseConnection) -> Result<u64, Refusal> {
    Ok(act::Entity::find().count(database).await?)
}

/// Stores a new act. The service `users` is asked last, because that takes longest.
pub(super) async fn add(database: &DatabaseConnection, directory: &Directory, new: NewAct) -> Result<(), Refusal> {
    let NewAct { act_id, username, taken_at, caption, category: name, image } = new;
    let category_id = category(database, &name).await?;
    if act::Entity::find().filter(act::Column::ActId.eq(act_id)).count(database).await? > 0 {
        return Err(duplicate_act(act_id));
    }
    if !directory.has(&username).await? {
        return Err(Refusal::invalid(format!("There is no user \"{username}\".")));
    }
    let act = act::ActiveModel {
        act_id: Set(act_id),
        username: Set(username),
        taken_at: Set(taken_at),
        caption: Set(caption),
        upvotes: Set(0),
        category_id: Set(category_id),
        image: Set(image),
        ..Default::default()
    };
    // Without its columns, which include the picture.
    match act::Entity::insert(act).exec_without_returning(database).await {
        Ok(_) => Ok(()),
        // Another request stored the act, or deleted the category, after it was checked.
        Err(error) if is_duplicate(&error) => Err(duplicate_act(act_id)),
        Err(error) if matches!(error.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_))) => {
            Err(unknown_category(&name))
        }
        Err(error) => Err(error.into()),
    }
}

/// Adds a vote to an act.
pub(super) async fn upvote(upvotes: &Upvotes, act_id: i64) -> Result<(), Refusal> {
    if upvotes.add(act_id).await? { Ok(()) } else { Err(unknown_act(act_id)) }
}

pub(super) async fn delete(database: &DatabaseConnection, act_id: i64) -> Result<(), Refusal> {
    let deleted = act::Entity::delete_many().filter(act::Column::ActId.eq(act_id)).exec(database).await?;
    if deleted.rows_affected == 0 { Err(unknown_act(act_id)) } else { Ok(()) }
}

fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

pub(super) fn unknown_category(name: &str) -> Refusal {
    Refusal::invalid(format!("There is no category \"{name}\"."))
}

fn unknown_act(act_id: i64) -> Refusal {
    Refusal::invalid(format!("There is no act {act_id}."))
}

fn duplicate_act(act_id: i64) -> Refusal {
    Refusal::invalid(format!("There is already an act {act_id}."))
}
