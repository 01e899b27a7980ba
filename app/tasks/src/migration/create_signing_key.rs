use sea_orm_migration::{prelude::*, schema};

/// Creates `tasks_signing_key`.
pub(super) struct CreateSigningKey;

#[derive(DeriveIden)]
enum TasksSigningKey {
    Table,
    Id,
    Secret,
    CreatedAt,
}

impl MigrationName for CreateSigningKey {
    fn name(&self) -> &'static str {
        "m0004_create_signing_key"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateSigningKey {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TasksSigningKey::Table)
            .col(schema::string_len(TasksSigningKey::Id, 64).primary_key())
            .col(schema::string_len(TasksSigningKey::Secret, 64))
            .col(schema::timestamp_with_time_zone(TasksSigningKey::CreatedAt))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(TasksSigningKey::Table).to_owned()).await
    }
}
