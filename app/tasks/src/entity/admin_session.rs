//! The table `tasks_admin_session`: sessions of the admin site.

use sea_orm::entity::prelude::*;

use super::user;

/// Maximum length of a notice, in characters.
pub const NOTICE_CHARACTERS: usize = 400;

/// A browser with a signed-in user.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_admin_session")]
pub struct Model {
    /// Primary key: SHA-256 of the browser's token, in hexadecimal.
    #[sea_orm(primary_key, auto_increment = false, column_type = "String(StringLen::N(64))")]
    pub token_digest: String,
    /// ID of the user, with whom the session is deleted.
    pub user_id: i64,
    /// SHA-256 of the password's hash at the sign-in, in hexadecimal: a new password ends the session.
    #[sea_orm(column_type = "String(StringLen::N(64))")]
    pub password_mark: String,
    /// Time of the sign-in.
    pub created_at: DateTimeUtc,
    /// Time of the last request, to the minute.
    pub seen_at: DateTimeUtc,
    /// Message that the next page shows once.
    #[sea_orm(column_type = "String(StringLen::N(400))", nullable)]
    pub notice: Option<String>,
}

/// A session belongs to a user.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The signed-in user.
    #[sea_orm(belongs_to = "user::Entity", from = "Column::UserId", to = "user::Column::Id", on_delete = "Cascade")]
    User,
}

impl Related<user::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::User.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
