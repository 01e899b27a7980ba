use sea_orm_migration::{prelude::*, schema};

#[derive(DeriveIden)]
enum TasksUser {
    Table,
    Id,
}

/// Creates `tasks_admin_session`.
pub(super) struct CreateAdminSession;

#[derive(DeriveIden)]
enum TasksAdminSession {
    Table,
    TokenDigest,
    UserId,
    PasswordMark,
    CreatedAt,
    SeenAt,
    Notice,
}

impl MigrationName for CreateAdminSession {
    fn name(&self) -> &'static str {
        "m0006_create_admin_session"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateAdminSession {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TasksAdminSession::Table)
            .col(schema::string_len(TasksAdminSession::TokenDigest, 64).primary_key())
            .col(schema::big_integer(TasksAdminSession::UserId))
            .col(schema::string_len(TasksAdminSession::PasswordMark, 64))
            .col(schema::timestamp_with_time_zone(TasksAdminSession::CreatedAt))
            .col(schema::timestamp_with_time_zone(TasksAdminSession::SeenAt))
            .col(schema::string_len_null(TasksAdminSession::Notice, 400))
            .foreign_key(
                ForeignKey::create()
                    .name("tasks_admin_session_user_id")
                    .from(TasksAdminSession::Table, TasksAdminSession::UserId)
                    .to(TasksUser::Table, TasksUser::Id)
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create()
            .name("tasks_admin_session_user")
            .table(TasksAdminSession::Table)
            .col(TasksAdminSession::UserId)
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(TasksAdminSession::Table).to_owned()).await
    }
}
