use sea_orm_migration::{prelude::*, schema};

/// Creates `bookstore_user`.
pub(super) struct CreateUser;

#[derive(DeriveIden)]
pub(super) enum BookstoreUser {
    Table,
    Id,
    Name,
    Email,
    PasswordHash,
    IsAdmin,
    CreatedAt,
}

impl MigrationName for CreateUser {
    fn name(&self) -> &'static str {
        "m0001_create_user"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateUser {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(BookstoreUser::Table)
            .col(schema::big_pk_auto(BookstoreUser::Id))
            .col(schema::string_len(BookstoreUser::Name, 150))
            .col(schema::string_len_uniq(BookstoreUser::Email, 150))
            .col(schema::string_len(BookstoreUser::PasswordHash, 255))
            .col(schema::boolean(BookstoreUser::IsAdmin))
            .col(schema::timestamp_with_time_zone(BookstoreUser::CreatedAt))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(BookstoreUser::Table).to_owned()).await
    }
}
