//! The table `selfieless_act`.

use sea_orm::entity::prelude::*;

/// An act.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "selfieless_act")]
pub struct Model {
    /// Primary key, in the order of the uploads.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Unique ID, which the client chose.
    #[sea_orm(unique)]
    pub act_id: i64,
    /// Name of the user, who existed at the upload.
    #[sea_orm(column_type = "String(StringLen::N(150))")]
    pub username: String,
    /// Time of the act, to the second, without a time zone.
    pub taken_at: DateTime,
    /// Caption of at most 1000 characters.
    #[sea_orm(column_type = "String(StringLen::N(1000))")]
    pub caption: String,
    /// Number of votes.
    pub upvotes: i64,
    /// ID of the category.
    pub category_id: i64,
    /// Picture in base64.
    #[sea_orm(column_type = "Text")]
    pub image: String,
}

/// Relations to other tables.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// Category of the act.
    #[sea_orm(
        belongs_to = "super::category::Entity",
        from = "Column::CategoryId",
        to = "super::category::Column::Id",
        on_delete = "Cascade"
    )]
    Category,
}

impl Related<super::category::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Category.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
