//! The table `selfieless_user`.

use sea_orm::entity::prelude::*;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "selfieless_user")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Unique name, whose case matters.
    #[sea_orm(unique, column_type = "String(StringLen::N(150))")]
    pub username: String,
    /// Hash of the SHA-1 of the password, as a PHC string of argon2id.
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub password_hash: String,
}

/// The table has no foreign keys.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
