//! The table `tasks_group`: groups of users, which grant permissions to their members.

use sea_orm::entity::prelude::*;

/// Maximum length of a name, in characters.
pub const NAME_CHARACTERS: usize = 150;

/// A group of users.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_group")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Unique name.
    #[sea_orm(column_type = "String(StringLen::N(150))", unique)]
    pub name: String,
}

/// The foreign keys exist in the database only: no query uses them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
