//! The table `tasks_task`.

use sea_orm::entity::prelude::*;

/// A task.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_task")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Title of at most 200 characters.
    #[sea_orm(column_type = "String(StringLen::N(200))")]
    pub title: String,
    /// Publication, to the microsecond.
    pub pub_date: DateTimeUtc,
    /// Description of at most 500 characters.
    #[sea_orm(column_type = "String(StringLen::N(500))")]
    pub description: String,
}

/// The table has no foreign keys.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
