//! Migrations of the service `acts`. A released migration is never edited; a change is a new one.

use sea_orm_migration::{prelude::*, schema};

use crate::operation::CreateCount;

/// Table of counted requests.
pub(super) const COUNT: &str = "selfieless_acts_count";

/// All migrations of this service. Their table differs from that of the service `users`, which shares the database.
#[derive(Debug, Clone, Copy)]
pub struct Migrations;

impl MigratorTrait for Migrations {
    fn migration_table_name() -> DynIden {
        Alias::new("selfieless_acts_migrations").into_iden()
    }

    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(CreateCategory),
            Box::new(CreateAct),
            Box::new(CreateCount { name: "m0003_create_acts_count", table: COUNT }),
        ]
    }
}

#[derive(DeriveIden)]
enum SelfielessCategory {
    Table,
    Id,
    Name,
}

#[derive(DeriveIden)]
enum SelfielessAct {
    Table,
    Id,
    ActId,
    Username,
    TakenAt,
    Caption,
    Upvotes,
    CategoryId,
    Image,
}

struct CreateCategory;

impl MigrationName for CreateCategory {
    fn name(&self) -> &'static str {
        "m0001_create_category"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateCategory {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(SelfielessCategory::Table)
            .col(schema::big_pk_auto(SelfielessCategory::Id))
            .col(schema::string_len_uniq(SelfielessCategory::Name, 150))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(SelfielessCategory::Table).to_owned()).await
    }
}

struct CreateAct;

impl MigrationName for CreateAct {
    fn name(&self) -> &'static str {
        "m0002_create_act"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateAct {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(SelfielessAct::Table)
            .col(schema::big_pk_auto(SelfielessAct::Id))
            .col(schema::big_integer_uniq(SelfielessAct::ActId))
            .col(schema::string_len(SelfielessAct::Username, 150))
            .col(schema::timestamp(SelfielessAct::TakenAt))
            .col(schema::string_len(SelfielessAct::Caption, 1000))
            .col(schema::big_integer(SelfielessAct::Upvotes))
            .col(schema::big_integer(SelfielessAct::CategoryId))
            .col(schema::text(SelfielessAct::Image))
            .foreign_key(
                ForeignKey::create()
                    .name("selfieless_act_category_id")
                    .from(SelfielessAct::Table, SelfielessAct::CategoryId)
                    .to(SelfielessCategory::Table, SelfielessCategory::Id)
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .to_owned();
        manager.create_table(table).await?;
        // In the order of the lists: read backwards, the newest acts are first.
        for (name, column) in [
            ("selfieless_act_category", SelfielessAct::CategoryId.into_iden()),
            ("selfieless_act_user", SelfielessAct::Username.into_iden()),
        ] {
            let mut index = Index::create();
            index.name(name).table(SelfielessAct::Table);
            index.col(column).col(SelfielessAct::TakenAt).col(SelfielessAct::Id);
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(SelfielessAct::Table).to_owned()).await
    }
}
