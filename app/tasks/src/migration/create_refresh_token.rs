use sea_orm_migration::{prelude::*, schema};

#[derive(DeriveIden)]
enum TasksUser {
    Table,
    Id,
}

/// Creates `tasks_refresh_token`.
pub(super) struct CreateRefreshToken;

#[derive(DeriveIden)]
enum TasksRefreshToken {
    Table,
    Hash,
    UserId,
    Family,
    ExpiresAt,
    UsedAt,
}

impl MigrationName for CreateRefreshToken {
    fn name(&self) -> &'static str {
        "m0003_create_refresh_token"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateRefreshToken {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TasksRefreshToken::Table)
            .col(schema::string_len(TasksRefreshToken::Hash, 43).primary_key())
            .col(schema::big_integer(TasksRefreshToken::UserId))
            .col(schema::string_len(TasksRefreshToken::Family, 36))
            .col(schema::timestamp_with_time_zone(TasksRefreshToken::ExpiresAt))
            .col(schema::timestamp_with_time_zone_null(TasksRefreshToken::UsedAt))
            .foreign_key(
                ForeignKey::create()
                    .name("tasks_refresh_token_user_id")
                    .from(TasksRefreshToken::Table, TasksRefreshToken::UserId)
                    .to(TasksUser::Table, TasksUser::Id)
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .to_owned();
        manager.create_table(table).await?;
        for (name, column) in [
            ("tasks_refresh_token_user", TasksRefreshToken::UserId.into_iden()),
            ("tasks_refresh_token_family", TasksRefreshToken::Family.into_iden()),
        ] {
            let index = Index::create().name(name).table(TasksRefreshToken::Table).col(column).to_owned();
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(TasksRefreshToken::Table).to_owned()).await
    }
}
