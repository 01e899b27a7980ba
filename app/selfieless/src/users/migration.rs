//! Migrations of the service `users`. A released migration is never edited; a change is a new one.

use sea_orm_migration::{prelude::*, schema};

use crate::operation::CreateCount;

/// Table of counted requests.
pub(super) const COUNT: &str = "selfieless_users_count";

/// All migrations of this service. Their table differs from that of the service `acts`, which shares the database.
#[derive(Debug, Clone, Copy)]
pub struct Migrations;

impl MigratorTrait for Migrations {
    fn migration_table_name() -> DynIden {
        Alias::new("selfieless_users_migrations").into_iden()
    }

    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(CreateUser), Box::new(CreateCount { name: "m0002_create_users_count", table: COUNT })]
    }
}

struct CreateUser;

#[derive(DeriveIden)]
enum SelfielessUser {
    Table,
    Id,
    Username,
    PasswordHash,
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
            .table(SelfielessUser::Table)
            .col(schema::big_pk_auto(SelfielessUser::Id))
            .col(schema::string_len_uniq(SelfielessUser::Username, 150))
            .col(schema::string_len(SelfielessUser::PasswordHash, 255))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(SelfielessUser::Table).to_owned()).await
    }
}
