//! Payments of purchases.

use chrono::Utc;
use kit::endpoints::{Commit, Scope};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

use super::{ShopError, insert, purchase_in};
use crate::entity::{
    payment::{self, Model},
    purchase::{self, PAID, PENDING},
};

/// Pays a purchase of a buyer: its total, whatever the client sent.
///
/// # Errors
/// [`ShopError::NotFound`], [`ShopError::NotBuyer`] or [`ShopError::AlreadyPaid`].
pub async fn pay(scope: &Scope, buyer: i64, purchase: i64, method: &str) -> Result<Model, ShopError> {
    // A repetition after a lost response finds the purchase paid.
    scope
        .transaction(Commit::Repeatable, async |transaction| {
            let purchase = purchase_in(transaction, buyer, purchase).await?;
            let paid = purchase::Entity::update_many()
                .col_expr(purchase::Column::Status, Expr::value(PAID))
                .filter(purchase::Column::Id.eq(purchase.id))
                .filter(purchase::Column::Status.eq(PENDING))
                .exec(transaction)
                .await?;
            if paid.rows_affected == 0 {
                return Err(ShopError::AlreadyPaid);
            }
            let payment = payment::ActiveModel {
                purchase_id: Set(purchase.id),
                amount: Set(purchase.total_price),
                payment_method: Set(method.to_owned()),
                payment_status: Set(PAID.to_owned()),
                created_at: Set(Utc::now()),
                ..Default::default()
            };
            Ok(insert(transaction, payment).await?)
        })
        .await
}
