use sea_orm_migration::{prelude::*, schema};

use super::create_purchase::BookstorePurchase;

/// Creates `bookstore_delivery_provider` with its rows, and `bookstore_delivery_assignment`.
pub(super) struct CreateDelivery;

#[derive(DeriveIden)]
enum BookstoreDeliveryProvider {
    Table,
    Id,
    Name,
    CoverageArea,
    Cost,
}

#[derive(DeriveIden)]
enum BookstoreDeliveryAssignment {
    Table,
    Id,
    PurchaseId,
    ProviderId,
}

/// Name, area and cost of the providers.
const PROVIDERS: [(&str, &str, i32); 4] = [
    ("DHL", "Internacional", 50),
    ("FedEx", "Internacional", 45),
    ("Envia", "Nacional", 20),
    ("Servientrega", "Nacional", 15),
];

impl MigrationName for CreateDelivery {
    fn name(&self) -> &'static str {
        "m0004_create_delivery"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateDelivery {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let providers = Table::create()
            .table(BookstoreDeliveryProvider::Table)
            .col(schema::big_pk_auto(BookstoreDeliveryProvider::Id))
            .col(schema::string_len_uniq(BookstoreDeliveryProvider::Name, 100))
            .col(schema::string_len(BookstoreDeliveryProvider::CoverageArea, 100))
            .col(schema::decimal_len(BookstoreDeliveryProvider::Cost, 12, 2))
            .to_owned();
        manager.create_table(providers).await?;
        let mut insert = Query::insert().into_table(BookstoreDeliveryProvider::Table).to_owned();
        insert.columns([
            BookstoreDeliveryProvider::Name,
            BookstoreDeliveryProvider::CoverageArea,
            BookstoreDeliveryProvider::Cost,
        ]);
        for (name, area, cost) in PROVIDERS {
            insert.values_panic([name.into(), area.into(), cost.into()]);
        }
        manager.execute(insert).await?;
        let assignments = Table::create()
            .table(BookstoreDeliveryAssignment::Table)
            .col(schema::big_pk_auto(BookstoreDeliveryAssignment::Id))
            .col(schema::big_integer_uniq(BookstoreDeliveryAssignment::PurchaseId))
            .col(schema::big_integer(BookstoreDeliveryAssignment::ProviderId))
            .foreign_key(
                ForeignKey::create()
                    .name("bookstore_delivery_assignment_purchase_id")
                    .from(BookstoreDeliveryAssignment::Table, BookstoreDeliveryAssignment::PurchaseId)
                    .to(BookstorePurchase::Table, BookstorePurchase::Id),
            )
            .foreign_key(
                ForeignKey::create()
                    .name("bookstore_delivery_assignment_provider_id")
                    .from(BookstoreDeliveryAssignment::Table, BookstoreDeliveryAssignment::ProviderId)
                    .to(BookstoreDeliveryProvider::Table, BookstoreDeliveryProvider::Id),
            )
            .to_owned();
        manager.create_table(assignments).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(BookstoreDeliveryAssignment::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(BookstoreDeliveryProvider::Table).to_owned()).await
    }
}
