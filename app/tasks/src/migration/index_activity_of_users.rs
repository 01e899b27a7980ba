use sea_orm_migration::prelude::*;

/// Removes requests without a user from the index by users: no query needs them there, and they are most of the rows.
pub(super) struct IndexActivityOfUsers;

const DROP: &str = "DROP INDEX tasks_activity_username";
const OF_USERS: &str = "CREATE INDEX tasks_activity_username ON tasks_activity (username) WHERE username IS NOT NULL";
const OF_ALL: &str = "CREATE INDEX tasks_activity_username ON tasks_activity (username)";

impl MigrationName for IndexActivityOfUsers {
    fn name(&self) -> &'static str {
        "m0007_index_activity_of_users"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for IndexActivityOfUsers {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in [DROP, OF_USERS] {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in [DROP, OF_ALL] {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
