use sea_orm_migration::{prelude::*, schema};

/// Creates the table of counted requests of a service.
pub struct CreateCount {
    /// Name of the migration.
    pub name: &'static str,
    /// Name of the table.
    pub table: &'static str,
}

impl MigrationName for CreateCount {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateCount {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(Alias::new(self.table))
            .col(schema::string_len(Alias::new("instance"), 300).primary_key())
            .col(schema::big_integer(Alias::new("requests")))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Alias::new(self.table)).to_owned()).await
    }
}
