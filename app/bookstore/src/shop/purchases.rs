//! Purchases of books.
//!
//! One statement checks and decrements the stock, so that it is never below zero. The purchase has the price that
//! the book has in that transaction.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Utc;
use kit::endpoints::{Commit, Scope};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, SqlErr, sea_query::Expr,
};

use super::{
    ShopError,
    books::{MOST_OF_USER, existing},
    insert,
};
use crate::entity::{
    book,
    purchase::{self, Column, Entity, Model, PENDING},
};

/// Order of a buyer.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// ID of the buyer.
    pub buyer: i64,
    /// ID of the book.
    pub book: i64,
    /// Positive number of copies.
    pub quantity: i32,
    /// Token of the form: an order with the token of an earlier one is that purchase again.
    pub token: &'a str,
}

/// Returns a new token, for an order without one.
///
/// # Errors
/// [`ShopError::Random`].
pub fn new_token() -> Result<String, ShopError> {
    let mut bytes = [0; 18];
    getrandom::fill(&mut bytes).map_err(ShopError::Random)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Buys copies of a book.
///
/// # Errors
/// [`ShopError::OutOfStock`] if there are fewer copies, [`ShopError::NotFound`], [`ShopError::TokenUsed`] or
/// [`ShopError::TotalTooHigh`].
pub async fn buy(scope: &Scope, order: Order<'_>) -> Result<Model, ShopError> {
    let attempt = async || scope.transaction(Commit::Repeatable, async |at| buy_in(at, order).await).await;
    match attempt().await {
        // A concurrent order with the same token was faster; now its purchase is found.
        Err(ShopError::Database(error)) if is_duplicate(&error) => attempt().await,
        other => other,
    }
}

async fn buy_in(transaction: &DatabaseTransaction, order: Order<'_>) -> Result<Model, ShopError> {
    let Order { buyer, book, quantity, token } = order;
    let earlier = Entity::find().filter(Column::UserId.eq(buyer)).filter(Column::Token.eq(token));
    if let Some(earlier) = earlier.one(transaction).await? {
        let is_same = earlier.book_id == book && earlier.quantity == quantity;
        return if is_same { Ok(earlier) } else { Err(ShopError::TokenUsed) };
    }
    let sold = book::Entity::update_many()
        .col_expr(book::Column::Stock, Expr::col(book::Column::Stock).sub(quantity))
        .filter(book::Column::Id.eq(book))
        .filter(book::Column::IsDeleted.eq(false))
        .filter(book::Column::Stock.gte(quantity))
        .exec(transaction)
        .await?;
    // The update has locked the row, so this is the price at which the copies were sold.
    let offer = existing(book).one(transaction).await?.ok_or(ShopError::NotFound)?;
    if sold.rows_affected == 0 {
        return Err(ShopError::OutOfStock);
    }
    let purchase = purchase::ActiveModel {
        user_id: Set(buyer),
        book_id: Set(book),
        quantity: Set(quantity),
        total_price: Set(offer.price.times(quantity).ok_or(ShopError::TotalTooHigh)?),
        status: Set(PENDING.to_owned()),
        token: Set(token.to_owned()),
        created_at: Set(Utc::now()),
        ..Default::default()
    };
    Ok(insert(transaction, purchase).await?)
}

/// Returns the purchases of a buyer with their books, the newest first.
///
/// # Errors
/// The error of the database.
pub async fn of_buyer(scope: &Scope, buyer: i64) -> Result<Vec<(Model, Option<book::Model>)>, DbErr> {
    let query = Entity::find().filter(Column::UserId.eq(buyer)).order_by_desc(Column::Id).limit(MOST_OF_USER);
    let query = query.find_also_related(book::Entity);
    scope.read(async |database| query.clone().all(database).await).await
}

fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}
