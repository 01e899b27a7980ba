//! The table `tasks_refresh_token`.
//!
//! A refresh consumes a token and returns the next one of its family. A second use means that the token was stolen, so
//! its whole family is deleted.

use sea_orm::entity::prelude::*;

/// An issued refresh token.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_refresh_token")]
pub struct Model {
    /// Primary key: SHA-256 of the token, in base64.
    #[sea_orm(primary_key, auto_increment = false, column_type = "String(StringLen::N(43))")]
    pub hash: String,
    /// ID of the user, with whom the token is deleted.
    pub user_id: i64,
    /// ID of the family: the sign-in and all tokens since.
    #[sea_orm(column_type = "String(StringLen::N(36))")]
    pub family: String,
    /// Time of expiry.
    pub expires_at: DateTimeUtc,
    /// Time of use.
    pub used_at: Option<DateTimeUtc>,
}

/// The foreign keys exist in the database only: no query uses them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
