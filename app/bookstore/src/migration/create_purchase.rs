use sea_orm_migration::{prelude::*, schema};

use super::{create_book::BookstoreBook, create_user::BookstoreUser};

/// Creates `bookstore_purchase` and `bookstore_payment`.
pub(super) struct CreatePurchase;

#[derive(DeriveIden)]
pub(super) enum BookstorePurchase {
    Table,
    Id,
    UserId,
    BookId,
    Quantity,
    TotalPrice,
    Status,
    Token,
    CreatedAt,
}

#[derive(DeriveIden)]
enum BookstorePayment {
    Table,
    Id,
    PurchaseId,
    Amount,
    PaymentMethod,
    PaymentStatus,
    CreatedAt,
}

impl MigrationName for CreatePurchase {
    fn name(&self) -> &'static str {
        "m0003_create_purchase"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreatePurchase {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let positive = Expr::col(BookstorePurchase::Quantity).gt(0);
        let purchases = Table::create()
            .table(BookstorePurchase::Table)
            .col(schema::big_pk_auto(BookstorePurchase::Id))
            .col(schema::big_integer(BookstorePurchase::UserId))
            .col(schema::big_integer(BookstorePurchase::BookId))
            .col(schema::integer(BookstorePurchase::Quantity).check(positive))
            .col(schema::decimal_len(BookstorePurchase::TotalPrice, 12, 2))
            .col(schema::string_len(BookstorePurchase::Status, 30))
            .col(schema::string_len(BookstorePurchase::Token, 64))
            .col(schema::timestamp_with_time_zone(BookstorePurchase::CreatedAt))
            .foreign_key(
                ForeignKey::create()
                    .name("bookstore_purchase_user_id")
                    .from(BookstorePurchase::Table, BookstorePurchase::UserId)
                    .to(BookstoreUser::Table, BookstoreUser::Id),
            )
            .foreign_key(
                ForeignKey::create()
                    .name("bookstore_purchase_book_id")
                    .from(BookstorePurchase::Table, BookstorePurchase::BookId)
                    .to(BookstoreBook::Table, BookstoreBook::Id),
            )
            .to_owned();
        manager.create_table(purchases).await?;
        let token = Index::create()
            .name("bookstore_purchase_token")
            .table(BookstorePurchase::Table)
            .col(BookstorePurchase::UserId)
            .col(BookstorePurchase::Token)
            .unique()
            .to_owned();
        manager.create_index(token).await?;
        let payments = Table::create()
            .table(BookstorePayment::Table)
            .col(schema::big_pk_auto(BookstorePayment::Id))
            .col(schema::big_integer_uniq(BookstorePayment::PurchaseId))
            .col(schema::decimal_len(BookstorePayment::Amount, 12, 2))
            .col(schema::string_len(BookstorePayment::PaymentMethod, 50))
            .col(schema::string_len(BookstorePayment::PaymentStatus, 30))
            .col(schema::timestamp_with_time_zone(BookstorePayment::CreatedAt))
            .foreign_key(
                ForeignKey::create()
                    .name("bookstore_payment_purchase_id")
                    .from(BookstorePayment::Table, BookstorePayment::PurchaseId)
                    .to(BookstorePurchase::Table, BookstorePurchase::Id),
            )
            .to_owned();
        manager.create_table(payments).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(BookstorePayment::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(BookstorePurchase::Table).to_owned()).await
    }
}
