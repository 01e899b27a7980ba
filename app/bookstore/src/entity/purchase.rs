//! The table `bookstore_purchase`.

use sea_orm::entity::prelude::*;

use super::book;
use crate::money::Money;

/// Status of a purchase that is not paid.
pub const PENDING: &str = "Pending Payment";
/// Status of a purchase and of its payment.
pub const PAID: &str = "Paid";
/// Maximum length of a token, in characters.
pub const TOKEN_CHARACTERS: usize = 64;

/// A purchase of one book.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bookstore_purchase")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// User who buys.
    pub user_id: i64,
    /// Book that is bought.
    pub book_id: i64,
    /// Number of copies.
    pub quantity: i32,
    /// Price of the copies at the time of the purchase.
    #[sea_orm(column_type = "Decimal(Some((12, 2)))", select_as = "text", save_as = "numeric")]
    pub total_price: Money,
    /// [`PENDING`] or [`PAID`].
    #[sea_orm(column_type = "String(StringLen::N(30))")]
    pub status: String,
    /// Token of the form, unique among the user's purchases, so that a form that is sent twice buys once.
    #[sea_orm(column_type = "String(StringLen::N(64))")]
    pub token: String,
    /// Time of the purchase.
    pub created_at: DateTimeUtc,
}

/// A purchase belongs to a book. Its other foreign keys exist in the database only.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// Book that is bought.
    #[sea_orm(belongs_to = "book::Entity", from = "Column::BookId", to = "book::Column::Id")]
    Book,
}

impl Related<book::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Book.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
