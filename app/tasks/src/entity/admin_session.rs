//! The table `tasks_admin_session`: who is signed in to the admin site.

use sea_orm::entity::prelude::*;

use super::user;

/// Longest notice, in characters.
pub const NOTICE_CHARACTERS: usize = 400;

/// One browser in which a user is signed in.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_admin_session")]
pub struct Model {
    /// Primary key: SHA-256 of the browser's token, in hexadecimal.
    #[sea_orm(primary_key, auto_increment = false, column_type = "String(StringLen::N(64))")]
    pub token_digest: String,
    /// Whose it is; goes with the user.
    pub user_id: i64,
    /// SHA-256 of the password's hash at the sign-in, in hexadecimal: another password ends the session.
    #[sea_orm(column_type = "String(StringLen::N(64))")]
    pub password_mark: String,
    /// When the user signed in.
    pub created_at: DateTimeUtc,
    /// When the user last asked for something, to the minute.
    pub seen_at: DateTimeUtc,
    /// What the next page says once, such as what was just saved.
    #[sea_orm(column_type = "String(StringLen::N(400))", nullable)]
    pub notice: Option<String>,
}

/// A session belongs to a user.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// Who signed in.
    #[sea_orm(belongs_to = "user::Entity", from = "Column::UserId", to = "user::Column::Id", on_delete = "Cascade")]
    User,
}

impl Related<user::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::User.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
