//! The table `bookstore_delivery_provider`.

use sea_orm::entity::prelude::*;

use crate::money::Money;

/// A provider that delivers purchases.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bookstore_delivery_provider")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Unique name.
    #[sea_orm(column_type = "String(StringLen::N(100))", unique)]
    pub name: String,
    /// Area: `Internacional` or `Nacional`.
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub coverage_area: String,
    /// Cost of a delivery.
    #[sea_orm(column_type = "Decimal(Some((12, 2)))", select_as = "text", save_as = "numeric")]
    pub cost: Money,
}

/// The table has no foreign keys.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
