//! The table `tasks_admin_history`: changes that were made in the admin site. It refers to no other table, so that it
//! outlives users and objects.

use sea_orm::entity::prelude::*;

/// One change of one object.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_admin_history")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// When it was made.
    pub time: DateTimeUtc,
    /// Id of the user who made it.
    pub user_id: i64,
    /// Name of that user at the time.
    #[sea_orm(column_type = "String(StringLen::N(150))")]
    pub username: String,
    /// Path of the object's model in the admin site, such as `tasks`.
    #[sea_orm(column_type = "String(StringLen::N(50))")]
    pub model: String,
    /// Primary key of the object.
    pub object_id: i64,
    /// Name of the object after the change.
    #[sea_orm(column_type = "String(StringLen::N(200))")]
    pub object_name: String,
    /// `Added`, `Changed`, `Deleted`, or what a custom action did.
    #[sea_orm(column_type = "String(StringLen::N(50))")]
    pub action: String,
    /// JSON: `[{"field": "Title", "from": "…", "to": "…"}]`.
    #[sea_orm(column_type = "Text")]
    pub changes: String,
}

/// No other table is referred to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
