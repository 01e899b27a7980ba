//! The table `tasks_refresh_token`.
//!
//! Refreshing uses a token up and gives the next of its family. A token that is used again was stolen from somebody,
//! so its whole family is forgotten.

use sea_orm::entity::prelude::*;

/// One refresh token that was given out.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_refresh_token")]
pub struct Model {
    /// Primary key: SHA-256 of the token, in base64.
    #[sea_orm(primary_key, auto_increment = false, column_type = "String(StringLen::N(43))")]
    pub hash: String,
    /// Whose it is; goes with the user.
    pub user_id: i64,
    /// Made at the sign-in, and handed on from token to token.
    #[sea_orm(column_type = "String(StringLen::N(36))")]
    pub family: String,
    /// From then on it is refused.
    pub expires_at: DateTimeUtc,
    /// When it was used up.
    pub used_at: Option<DateTimeUtc>,
}

/// The database knows how the tables hang together; nothing here asks for it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
