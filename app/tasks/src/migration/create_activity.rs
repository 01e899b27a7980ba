use sea_orm_migration::{prelude::*, schema};

/// Creates `tasks_activity`.
pub(super) struct CreateActivity;

#[derive(DeriveIden)]
enum TasksActivity {
    Table,
    Id,
    Time,
    Username,
    Method,
    Path,
    Status,
    DurationUs,
    Client,
    Instance,
}

impl MigrationName for CreateActivity {
    fn name(&self) -> &'static str {
        "m0005_create_activity"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateActivity {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TasksActivity::Table)
            .col(schema::big_pk_auto(TasksActivity::Id))
            .col(schema::timestamp_with_time_zone(TasksActivity::Time))
            .col(schema::string_len_null(TasksActivity::Username, 150))
            .col(schema::string_len(TasksActivity::Method, 16))
            .col(schema::string_len(TasksActivity::Path, 500))
            .col(schema::small_integer(TasksActivity::Status))
            .col(schema::big_integer(TasksActivity::DurationUs))
            .col(schema::string_len(TasksActivity::Client, 45))
            .col(schema::string_len(TasksActivity::Instance, 255))
            .to_owned();
        manager.create_table(table).await?;
        for (name, column) in [
            ("tasks_activity_time", TasksActivity::Time.into_iden()),
            ("tasks_activity_username", TasksActivity::Username.into_iden()),
        ] {
            let index = Index::create().name(name).table(TasksActivity::Table).col(column).to_owned();
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(TasksActivity::Table).to_owned()).await
    }
}
