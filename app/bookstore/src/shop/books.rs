//! The books that users sell.

use kit::endpoints::{Commit, Scope};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait,
    IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Select, sea_query::Expr,
};

use super::{ShopError, insert};
use crate::{
    entity::book::{self, Column, Entity, Model},
    input::{BookChange, NewBook},
};

/// Maximum number of a user's books or purchases in a list: the newest ones.
pub const MOST_OF_USER: u64 = 200;

/// Returns a page of all books, the newest first, with one more book than a page has if there is a next page.
///
/// # Errors
/// The error of the database.
pub async fn list(scope: &Scope, offset: u64, size: u64) -> Result<Vec<Model>, DbErr> {
    scope.read(async |database| page(database, offset, size).await).await
}

/// Returns a page of all books as [`list`] does, from this endpoint.
///
/// # Errors
/// The error of the database.
pub async fn page(database: &DatabaseConnection, offset: u64, size: u64) -> Result<Vec<Model>, DbErr> {
    newest().offset(offset).limit(size + 1).all(database).await
}

/// Returns the books of a seller, the newest first.
///
/// # Errors
/// The error of the database.
pub async fn of_seller(scope: &Scope, seller: i64) -> Result<Vec<Model>, DbErr> {
    let query = newest().filter(Column::SellerId.eq(seller)).limit(MOST_OF_USER);
    scope.read(async |database| query.clone().all(database).await).await
}

/// Returns a book.
///
/// # Errors
/// [`ShopError::NotFound`] if it does not exist.
pub async fn find(scope: &Scope, id: i64) -> Result<Model, ShopError> {
    scope.find(async |database| existing(id).one(database).await).await?.ok_or(ShopError::NotFound)
}

/// Adds a book of a seller.
///
/// # Errors
/// The error of the database.
pub async fn add(scope: &Scope, seller: i64, new: &NewBook) -> Result<Model, ShopError> {
    let NewBook { title, author, description, price, stock } = new.clone();
    let book = book::ActiveModel {
        title: Set(title),
        author: Set(author),
        description: Set(description),
        price: Set(price),
        stock: Set(stock),
        seller_id: Set(seller),
        is_deleted: Set(false),
        ..Default::default()
    };
    scope.transaction(Commit::Once, async |transaction| Ok(insert(transaction, book.clone()).await?)).await
}

/// Changes a book of a seller.
///
/// # Errors
/// [`ShopError::NotFound`] or [`ShopError::NotSeller`].
pub async fn change(scope: &Scope, seller: i64, id: i64, change: &BookChange) -> Result<Model, ShopError> {
    // The same change again has the same result.
    scope
        .transaction(Commit::Repeatable, async |transaction| {
            let book = of(transaction, seller, id).await?;
            let mut changed = book.clone().into_active_model();
            let BookChange { title, author, description, price, stock } = change.clone();
            changed.title = title.map_or(changed.title, Set);
            changed.author = author.map_or(changed.author, Set);
            changed.description = description.map_or(changed.description, Set);
            changed.price = price.map_or(changed.price, Set);
            changed.stock = stock.map_or(changed.stock, Set);
            if !changed.is_changed() {
                return Ok(book);
            }
            Entity::update_many().set(changed).filter(Column::Id.eq(id)).exec(transaction).await?;
            of(transaction, seller, id).await
        })
        .await
}

/// Deletes a book of a seller. Its purchases remain.
///
/// # Errors
/// [`ShopError::NotFound`] or [`ShopError::NotSeller`].
pub async fn delete(scope: &Scope, seller: i64, id: i64) -> Result<(), ShopError> {
    scope
        .transaction(Commit::Once, async |transaction| {
            of(transaction, seller, id).await?;
            let delete = Entity::update_many().col_expr(Column::IsDeleted, Expr::value(true));
            delete.filter(Column::Id.eq(id)).exec(transaction).await?;
            Ok(())
        })
        .await
}

async fn of(transaction: &impl ConnectionTrait, seller: i64, id: i64) -> Result<Model, ShopError> {
    let book = existing(id).one(transaction).await?.ok_or(ShopError::NotFound)?;
    if book.seller_id == seller { Ok(book) } else { Err(ShopError::NotSeller) }
}

fn newest() -> Select<Entity> {
    Entity::find().filter(Column::IsDeleted.eq(false)).order_by_desc(Column::Id)
}

/// Selects a book, unless it is deleted.
pub(super) fn existing(id: i64) -> Select<Entity> {
    Entity::find_by_id(id).filter(Column::IsDeleted.eq(false))
}
