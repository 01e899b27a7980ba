//! The table `bookstore_delivery_assignment`.

use sea_orm::entity::prelude::*;

/// The provider that delivers a purchase.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bookstore_delivery_assignment")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Paid purchase, which has at most one assignment.
    #[sea_orm(unique)]
    pub purchase_id: i64,
    /// Provider of the delivery.
    pub provider_id: i64,
}

/// The foreign keys exist in the database only: no query uses them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
