//! The table `bookstore_payment`.

use sea_orm::entity::prelude::*;

use crate::money::Money;

/// Maximum length of a payment method, in characters.
pub const METHOD_CHARACTERS: usize = 50;

/// The payment of a purchase.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bookstore_payment")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Paid purchase, which has at most one payment.
    #[sea_orm(unique)]
    pub purchase_id: i64,
    /// Total price of the purchase.
    #[sea_orm(column_type = "Decimal(Some((12, 2)))", select_as = "text", save_as = "numeric")]
    pub amount: Money,
    /// Method that the buyer has selected.
    #[sea_orm(column_type = "String(StringLen::N(50))")]
    pub payment_method: String,
    /// [`super::purchase::PAID`].
    #[sea_orm(column_type = "String(StringLen::N(30))")]
    pub payment_status: String,
    /// Time of the payment.
    pub created_at: DateTimeUtc,
}

/// The foreign keys exist in the database only: no query uses them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
