use sea_orm_migration::{prelude::*, schema};

/// Creates the tables of groups and permissions, and the flag for superusers. All staff become superusers, since they had
/// all permissions before.
pub(super) struct CreatePermissions;

#[derive(DeriveIden)]
enum TasksUser {
    Table,
    Id,
    IsSuperuser,
}

#[derive(DeriveIden)]
enum TasksGroup {
    Table,
    Id,
    Name,
}

#[derive(DeriveIden)]
enum TasksUserGroup {
    Table,
    UserId,
    GroupId,
}

#[derive(DeriveIden)]
enum TasksGroupPermission {
    Table,
    GroupId,
    Permission,
}

#[derive(DeriveIden)]
enum TasksUserPermission {
    Table,
    UserId,
    Permission,
}

impl MigrationName for CreatePermissions {
    fn name(&self) -> &'static str {
        "m0008_create_permissions"
    }
}

/// Returns a foreign key that deletes rows with the row that they refer to.
fn cascade<T, C>(
    name: &str,
    from: (T, C),
    to: (impl IntoIden + 'static, impl IntoIden + 'static),
) -> ForeignKeyCreateStatement
where
    T: IntoIden + 'static,
    C: IntoIden + 'static,
{
    let ((from_table, from_column), (to_table, to_column)) = (from, to);
    ForeignKey::create()
        .name(name)
        .from(from_table.into_iden(), from_column.into_iden())
        .to(to_table.into_iden(), to_column.into_iden())
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for CreatePermissions {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Instances of the previous version, which run during a rollout, need the default.
        let superuser = schema::boolean(TasksUser::IsSuperuser).default(false).to_owned();
        let user = Table::alter().table(TasksUser::Table).add_column(superuser).to_owned();
        manager.alter_table(user).await?;
        let promotion = "UPDATE tasks_user SET is_superuser = TRUE WHERE is_staff = TRUE";
        manager.get_connection().execute_unprepared(promotion).await?;

        let group = Table::create()
            .table(TasksGroup::Table)
            .col(schema::big_pk_auto(TasksGroup::Id))
            .col(schema::string_len_uniq(TasksGroup::Name, 150))
            .to_owned();
        manager.create_table(group).await?;
        let user_group = Table::create()
            .table(TasksUserGroup::Table)
            .col(schema::big_integer(TasksUserGroup::UserId))
            .col(schema::big_integer(TasksUserGroup::GroupId))
            .primary_key(Index::create().col(TasksUserGroup::UserId).col(TasksUserGroup::GroupId))
            .foreign_key(&mut cascade(
                "tasks_user_group_user_id",
                (TasksUserGroup::Table, TasksUserGroup::UserId),
                (TasksUser::Table, TasksUser::Id),
            ))
            .foreign_key(&mut cascade(
                "tasks_user_group_group_id",
                (TasksUserGroup::Table, TasksUserGroup::GroupId),
                (TasksGroup::Table, TasksGroup::Id),
            ))
            .to_owned();
        manager.create_table(user_group).await?;
        let index = Index::create()
            .name("tasks_user_group_group")
            .table(TasksUserGroup::Table)
            .col(TasksUserGroup::GroupId)
            .to_owned();
        manager.create_index(index).await?;
        let group_permission = Table::create()
            .table(TasksGroupPermission::Table)
            .col(schema::big_integer(TasksGroupPermission::GroupId))
            .col(schema::string_len(TasksGroupPermission::Permission, 100))
            .primary_key(Index::create().col(TasksGroupPermission::GroupId).col(TasksGroupPermission::Permission))
            .foreign_key(&mut cascade(
                "tasks_group_permission_group_id",
                (TasksGroupPermission::Table, TasksGroupPermission::GroupId),
                (TasksGroup::Table, TasksGroup::Id),
            ))
            .to_owned();
        manager.create_table(group_permission).await?;
        let user_permission = Table::create()
            .table(TasksUserPermission::Table)
            .col(schema::big_integer(TasksUserPermission::UserId))
            .col(schema::string_len(TasksUserPermission::Permission, 100))
            .primary_key(Index::create().col(TasksUserPermission::UserId).col(TasksUserPermission::Permission))
            .foreign_key(&mut cascade(
                "tasks_user_permission_user_id",
                (TasksUserPermission::Table, TasksUserPermission::UserId),
                (TasksUser::Table, TasksUser::Id),
            ))
            .to_owned();
        manager.create_table(user_permission).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(TasksUserPermission::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(TasksGroupPermission::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(TasksUserGroup::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(TasksGroup::Table).to_owned()).await?;
        let user = Table::alter().table(TasksUser::Table).drop_column(TasksUser::IsSuperuser).to_owned();
        manager.alter_table(user).await
    }
}
