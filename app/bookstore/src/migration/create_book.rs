use sea_orm_migration::{prelude::*, schema};

use super::create_user::BookstoreUser;

/// Creates `bookstore_book`.
pub(super) struct CreateBook;

#[derive(DeriveIden)]
pub(super) enum BookstoreBook {
    Table,
    Id,
    Title,
    Author,
    Description,
    Price,
    Stock,
    SellerId,
    IsDeleted,
}

impl MigrationName for CreateBook {
    fn name(&self) -> &'static str {
        "m0002_create_book"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateBook {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(BookstoreBook::Table)
            .col(schema::big_pk_auto(BookstoreBook::Id))
            .col(schema::string_len(BookstoreBook::Title, 150))
            .col(schema::string_len(BookstoreBook::Author, 100))
            .col(schema::text(BookstoreBook::Description))
            .col(schema::decimal_len(BookstoreBook::Price, 12, 2).check(Expr::col(BookstoreBook::Price).gte(0)))
            .col(schema::integer(BookstoreBook::Stock).check(Expr::col(BookstoreBook::Stock).gte(0)))
            .col(schema::big_integer(BookstoreBook::SellerId))
            .col(schema::boolean(BookstoreBook::IsDeleted))
            .foreign_key(
                ForeignKey::create()
                    .name("bookstore_book_seller_id")
                    .from(BookstoreBook::Table, BookstoreBook::SellerId)
                    .to(BookstoreUser::Table, BookstoreUser::Id),
            )
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create()
            .name("bookstore_book_seller")
            .table(BookstoreBook::Table)
            .col(BookstoreBook::SellerId)
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(BookstoreBook::Table).to_owned()).await
    }
}
