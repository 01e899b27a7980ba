//! The table `bookstore_user`.

use sea_orm::entity::prelude::*;

/// Maximum length of a name, in characters.
pub const NAME_CHARACTERS: usize = 150;
/// Maximum length of an email address, in characters.
pub const EMAIL_CHARACTERS: usize = 150;

/// A user, who sells and buys books.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bookstore_user")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Name, for other users to see.
    #[sea_orm(column_type = "String(StringLen::N(150))")]
    pub name: String,
    /// Unique address in lower case, which identifies the user at the sign-in.
    #[sea_orm(column_type = "String(StringLen::N(150))", unique)]
    pub email: String,
    /// Hash of the password, by [`kit::password::hash`].
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub password_hash: String,
    /// Role of an administrator, who sees all users.
    pub is_admin: bool,
    /// Time of the registration.
    pub created_at: DateTimeUtc,
}

/// Omits the hash of the password.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, email, is_admin, .. } = self;
        write!(f, "User {{ id: {id}, email: {email:?}, is_admin: {is_admin} }}")
    }
}

/// The foreign keys exist in the database only: no query uses them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
