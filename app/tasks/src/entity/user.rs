//! The table `tasks_user`.

use sea_orm::entity::prelude::*;

/// Longest name, in characters.
pub const USERNAME_CHARACTERS: usize = 150;

/// Somebody who may sign in.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_user")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Unique; letters, digits and `@.+-_`.
    #[sea_orm(column_type = "String(StringLen::N(150))", unique)]
    pub username: String,
    /// The password as [`crate::password::hash`] made it.
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub password_hash: String,
    /// May sign in to the admin site, and do there what permissions allow.
    pub is_staff: bool,
    /// Has every permission.
    pub is_superuser: bool,
    /// May sign in at all.
    pub is_active: bool,
    /// When the user was made.
    pub created_at: DateTimeUtc,
    /// When a password was last given for a token or at the admin site.
    pub last_sign_in: Option<DateTimeUtc>,
}

/// Shown without the password's hash.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, username, is_staff, is_active, .. } = self;
        write!(f, "User {{ id: {id}, username: {username:?}, is_staff: {is_staff}, is_active: {is_active} }}")
    }
}

/// The database knows how the tables hang together; nothing here asks for it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
