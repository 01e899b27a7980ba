//! The table `selfieless_category`.

use sea_orm::entity::prelude::*;

/// A category.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "selfieless_category")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Unique name, whose case matters.
    #[sea_orm(unique, column_type = "String(StringLen::N(150))")]
    pub name: String,
}

/// Relations to other tables.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// Acts of the category, which are deleted with it.
    #[sea_orm(has_many = "super::act::Entity")]
    Act,
}

impl Related<super::act::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Act.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
