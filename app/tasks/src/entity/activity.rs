//! The table `tasks_activity`: one row per request. It refers to no other table, so that it outlives what it is about.

use sea_orm::entity::prelude::*;

/// One request that was answered.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_activity")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// When the request came.
    pub time: DateTimeUtc,
    /// Name of the user who was signed in.
    #[sea_orm(column_type = "String(StringLen::N(150))")]
    pub username: Option<String>,
    /// `GET`, `POST`, …
    #[sea_orm(column_type = "String(StringLen::N(16))")]
    pub method: String,
    /// Path without the query, which may hold secrets; at most 500 characters of it.
    #[sea_orm(column_type = "String(StringLen::N(500))")]
    pub path: String,
    /// Status code of the answer.
    pub status: i16,
    /// Time from the request's head to the answer's head, in microseconds.
    pub duration_us: i64,
    /// Address of the client.
    #[sea_orm(column_type = "String(StringLen::N(45))")]
    pub client: String,
    /// Host name of the instance that answered.
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub instance: String,
}

/// No other table is referred to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
