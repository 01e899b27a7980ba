//! The table `tasks_admin_history`: changes in the admin site. It has no foreign keys, so that rows outlive users and
//! objects.

use sea_orm::entity::prelude::*;

/// A change of an object.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_admin_history")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Time of the change.
    pub time: DateTimeUtc,
    /// ID of the user.
    pub user_id: i64,
    /// Name of the user at that time.
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
    /// `Added`, `Changed`, `Deleted`, or the past participle of another action.
    #[sea_orm(column_type = "String(StringLen::N(50))")]
    pub action: String,
    /// JSON: `[{"field": "Title", "from": "…", "to": "…"}]`.
    #[sea_orm(column_type = "Text")]
    pub changes: String,
}

/// The table has no foreign keys.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
