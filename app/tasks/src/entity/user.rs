//! The table `tasks_user`.

use sea_orm::entity::prelude::*;

/// Maximum length of a name, in characters.
pub const USERNAME_CHARACTERS: usize = 150;

/// A user.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_user")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Unique name of letters, digits and `@.+-_`.
    #[sea_orm(column_type = "String(StringLen::N(150))", unique)]
    pub username: String,
    /// Hash of the password, by [`kit::password::hash`].
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub password_hash: String,
    /// May sign in to the admin site, with the granted permissions.
    pub is_staff: bool,
    /// Has every permission.
    pub is_superuser: bool,
    /// May sign in.
    pub is_active: bool,
    /// Time of creation.
    pub created_at: DateTimeUtc,
    /// Time of the last sign-in with a password.
    pub last_sign_in: Option<DateTimeUtc>,
}

/// Omits the hash of the password.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, username, is_staff, is_active, .. } = self;
        write!(f, "User {{ id: {id}, username: {username:?}, is_staff: {is_staff}, is_active: {is_active} }}")
    }
}

/// The foreign keys exist in the database only: no query uses them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
