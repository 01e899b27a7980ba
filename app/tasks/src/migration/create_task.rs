use sea_orm_migration::{prelude::*, schema};

/// Creates `tasks_task`.
pub(super) struct CreateTask;

#[derive(DeriveIden)]
enum TasksTask {
    Table,
    Id,
    Title,
    PubDate,
    Description,
}

impl MigrationName for CreateTask {
    fn name(&self) -> &'static str {
        "m0001_create_task"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateTask {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TasksTask::Table)
            .col(schema::big_pk_auto(TasksTask::Id))
            .col(schema::string_len(TasksTask::Title, 200))
            .col(schema::timestamp_with_time_zone(TasksTask::PubDate))
            .col(schema::string_len(TasksTask::Description, 500))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(TasksTask::Table).to_owned()).await
    }
}
