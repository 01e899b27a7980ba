//! Deliveries of paid purchases.

use std::collections::BTreeSet;

use kit::endpoints::{Commit, Scope};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, SqlErr};

use super::{ShopError, purchase_in};
use crate::entity::{
    delivery_assignment::{self, Model},
    delivery_provider,
    purchase::PAID,
};

/// Returns all providers, ordered by ID.
///
/// # Errors
/// The error of the database.
pub async fn providers(scope: &Scope) -> Result<Vec<delivery_provider::Model>, DbErr> {
    let query = delivery_provider::Entity::find().order_by_asc(delivery_provider::Column::Id);
    scope.read(async |database| query.clone().all(database).await).await
}

/// Returns the assignment of a purchase, if there is one.
///
/// # Errors
/// The error of the database.
pub async fn of_purchase(scope: &Scope, purchase: i64) -> Result<Option<Model>, DbErr> {
    let query = delivery_assignment::Entity::find().filter(delivery_assignment::Column::PurchaseId.eq(purchase));
    scope.read(async |database| query.clone().one(database).await).await
}

/// Returns those of these purchases that have a provider.
///
/// # Errors
/// The error of the database.
pub async fn assigned_of(scope: &Scope, purchases: &[i64]) -> Result<BTreeSet<i64>, DbErr> {
    if purchases.is_empty() {
        return Ok(BTreeSet::new());
    }
    let column = delivery_assignment::Column::PurchaseId;
    let query = delivery_assignment::Entity::find().filter(column.is_in(purchases.iter().copied()));
    let found = scope.read(async |database| query.clone().all(database).await).await?;
    Ok(found.into_iter().map(|assignment| assignment.purchase_id).collect())
}

/// Assigns a provider to a paid purchase of a buyer.
///
/// # Errors
/// [`ShopError::NotFound`], [`ShopError::NotBuyer`], [`ShopError::Unpaid`], [`ShopError::NoProvider`] or
/// [`ShopError::AlreadyAssigned`].
pub async fn assign(scope: &Scope, buyer: i64, purchase: i64, provider: i64) -> Result<Model, ShopError> {
    // A repetition after a lost response finds the delivery assigned.
    let assigned = scope.transaction(Commit::Repeatable, async |transaction| {
        let purchase = purchase_in(transaction, buyer, purchase).await?;
        if purchase.status != PAID {
            return Err(ShopError::Unpaid);
        }
        let provider = delivery_provider::Entity::find_by_id(provider).one(transaction).await?;
        let provider = provider.ok_or(ShopError::NoProvider)?;
        let (purchase_id, provider_id) = (Set(purchase.id), Set(provider.id));
        let assignment = delivery_assignment::ActiveModel { purchase_id, provider_id, ..Default::default() };
        Ok(assignment.insert(transaction).await?)
    });
    assigned.await.map_err(|error| match error {
        ShopError::Database(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
            ShopError::AlreadyAssigned
        }
        other => other,
    })
}
