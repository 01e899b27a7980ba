//! The table `tasks_signing_key`: what signs access tokens when `AUTH_KEYS` does not say so.

use sea_orm::entity::prelude::*;

/// A key that all instances share.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_signing_key")]
pub struct Model {
    /// Primary key: the key id that stands in a token's header.
    #[sea_orm(primary_key, auto_increment = false, column_type = "String(StringLen::N(64))")]
    pub id: String,
    /// 32 random bytes, in base64.
    #[sea_orm(column_type = "String(StringLen::N(64))")]
    pub secret: String,
    /// The newest signs, all verify.
    pub created_at: DateTimeUtc,
}

/// Shown without the secret.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey {{ id: {:?} }}", self.id)
    }
}

/// No other table is referred to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
