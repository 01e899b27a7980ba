//! The table `bookstore_book`.

use sea_orm::entity::prelude::*;

use crate::money::Money;

/// Maximum length of a title, in characters.
pub const TITLE_CHARACTERS: usize = 150;
/// Maximum length of an author, in characters.
pub const AUTHOR_CHARACTERS: usize = 100;
/// Maximum length of a description, in characters.
pub const DESCRIPTION_CHARACTERS: usize = 5000;

/// A book that a user sells.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bookstore_book")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Title.
    #[sea_orm(column_type = "String(StringLen::N(150))")]
    pub title: String,
    /// Author.
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub author: String,
    /// Description, which may be empty.
    #[sea_orm(column_type = "Text")]
    pub description: String,
    /// Price of one copy.
    #[sea_orm(column_type = "Decimal(Some((12, 2)))", select_as = "text", save_as = "numeric")]
    pub price: Money,
    /// Number of copies for sale.
    pub stock: i32,
    /// User who sells the book.
    pub seller_id: i64,
    /// Deleted by its seller. The row remains for the purchases of the book.
    pub is_deleted: bool,
}

/// The foreign keys exist in the database only: no query uses them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
