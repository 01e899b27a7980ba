use sea_orm_migration::{prelude::*, schema};

/// Creates `tasks_user`.
pub(super) struct CreateUser;

#[derive(DeriveIden)]
enum TasksUser {
    Table,
    Id,
    Username,
    PasswordHash,
    IsStaff,
    IsActive,
    CreatedAt,
    LastSignIn,
}

impl MigrationName for CreateUser {
    fn name(&self) -> &'static str {
        "m0002_create_user"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateUser {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TasksUser::Table)
            .col(schema::big_pk_auto(TasksUser::Id))
            .col(schema::string_len_uniq(TasksUser::Username, 150))
            .col(schema::string_len(TasksUser::PasswordHash, 255))
            .col(schema::boolean(TasksUser::IsStaff))
            .col(schema::boolean(TasksUser::IsActive))
            .col(schema::timestamp_with_time_zone(TasksUser::CreatedAt))
            .col(schema::timestamp_with_time_zone_null(TasksUser::LastSignIn))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(TasksUser::Table).to_owned()).await
    }
}
