//! The table `tasks_group`: groups of users, which give permissions to their members.

use sea_orm::entity::prelude::*;

/// Longest name, in characters.
pub const NAME_CHARACTERS: usize = 150;

/// A group of users.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_group")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Unique.
    #[sea_orm(column_type = "String(StringLen::N(150))", unique)]
    pub name: String,
}

/// Foreign keys exist in the database; no query follows them here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
