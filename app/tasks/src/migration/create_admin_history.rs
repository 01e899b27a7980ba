use sea_orm_migration::{prelude::*, schema};

/// Creates `tasks_admin_history`.
pub(super) struct CreateAdminHistory;

#[derive(DeriveIden)]
enum TasksAdminHistory {
    Table,
    Id,
    Time,
    UserId,
    Username,
    Model,
    ObjectId,
    ObjectName,
    Action,
    Changes,
}

impl MigrationName for CreateAdminHistory {
    fn name(&self) -> &'static str {
        "m0009_create_admin_history"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateAdminHistory {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TasksAdminHistory::Table)
            .col(schema::big_pk_auto(TasksAdminHistory::Id))
            .col(schema::timestamp_with_time_zone(TasksAdminHistory::Time))
            .col(schema::big_integer(TasksAdminHistory::UserId))
            .col(schema::string_len(TasksAdminHistory::Username, 150))
            .col(schema::string_len(TasksAdminHistory::Model, 50))
            .col(schema::big_integer(TasksAdminHistory::ObjectId))
            .col(schema::string_len(TasksAdminHistory::ObjectName, 200))
            .col(schema::string_len(TasksAdminHistory::Action, 50))
            .col(schema::text(TasksAdminHistory::Changes))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create()
            .name("tasks_admin_history_object")
            .table(TasksAdminHistory::Table)
            .col(TasksAdminHistory::Model)
            .col(TasksAdminHistory::ObjectId)
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(TasksAdminHistory::Table).to_owned()).await
    }
}
