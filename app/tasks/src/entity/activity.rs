//! The table `tasks_activity`: one row per request. It has no foreign keys, so that rows outlive users and tasks.

use sea_orm::entity::prelude::*;

/// An answered request.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_activity")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Time of arrival.
    pub time: DateTimeUtc,
    /// Name of the signed-in user.
    #[sea_orm(column_type = "String(StringLen::N(150))")]
    pub username: Option<String>,
    /// `GET`, `POST`, …
    #[sea_orm(column_type = "String(StringLen::N(16))")]
    pub method: String,
    /// Path without the query, which may contain secrets; at most 500 characters.
    #[sea_orm(column_type = "String(StringLen::N(500))")]
    pub path: String,
    /// Status code of the response.
    pub status: i16,
    /// Time from the head of the request to the head of the response, in microseconds.
    pub duration_us: i64,
    /// Address of the client.
    #[sea_orm(column_type = "String(StringLen::N(45))")]
    pub client: String,
    /// Host name of the instance that answered.
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub instance: String,
}

/// The table has no foreign keys.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
