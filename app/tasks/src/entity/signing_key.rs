//! The table `tasks_signing_key`: keys that sign access tokens without `AUTH_KEYS`.

use sea_orm::entity::prelude::*;

/// A key that all instances share.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_signing_key")]
pub struct Model {
    /// Primary key: the key ID in the header of a token.
    #[sea_orm(primary_key, auto_increment = false, column_type = "String(StringLen::N(64))")]
    pub id: String,
    /// 32 random bytes, in base64.
    #[sea_orm(column_type = "String(StringLen::N(64))")]
    pub secret: String,
    /// Time of creation. The newest key signs, all verify.
    pub created_at: DateTimeUtc,
}

/// Omits the secret.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey {{ id: {:?} }}", self.id)
    }
}

/// The table has no foreign keys.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
