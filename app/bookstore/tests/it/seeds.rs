//! Migrations and the delivery providers, with instances that start at once.

use bookstore::{Migrations, entity::delivery_provider};
use kit::{
    migrate,
    testing::{Postgres, connect, sqlite_url, wait_until},
};
use sea_orm::{EntityTrait, QueryOrder};
use sea_orm_migration::{MigratorTrait, SchemaManager};

use crate::shop::{Shop, block_on};

const TABLES: [&str; 6] = [
    "bookstore_user",
    "bookstore_book",
    "bookstore_purchase",
    "bookstore_payment",
    "bookstore_delivery_provider",
    "bookstore_delivery_assignment",
];

/// Starts instances at once, and reads the providers and the users.
fn instances_start_at_once(url: &str) {
    let shops: Vec<_> = (0..3).map(|_| Shop::on(url)).collect();
    for shop in &shops {
        wait_until("the service answers", || shop.service.send("GET /healthz", "").status == 200);
    }
    let providers = block_on(async {
        let query = delivery_provider::Entity::find().order_by_asc(delivery_provider::Column::Id);
        query.all(&connect(url).await).await.unwrap()
    });
    let providers: Vec<_> = providers
        .iter()
        .map(|provider| format!("{} {} {}", provider.name, provider.coverage_area, provider.cost))
        .collect();
    assert_eq!(
        providers,
        ["DHL Internacional 50.00", "FedEx Internacional 45.00", "Envia Nacional 20.00", "Servientrega Nacional 15.00"]
    );
    assert_eq!(shops[0].number("SELECT COUNT(*) FROM bookstore_user WHERE is_admin"), 1);
}

/// Applies all migrations, reverts them, and applies them again.
fn there_and_back(url: &str) {
    block_on(async {
        let database = connect(url).await;
        let manager = SchemaManager::new(&database);
        for _ in 0..2 {
            migrate::up::<Migrations>(&database).await.unwrap();
            for table in TABLES {
                assert!(manager.has_table(table).await.unwrap(), "{table}");
            }
            Migrations::down(&database, None).await.unwrap();
            for table in TABLES {
                assert!(!manager.has_table(table).await.unwrap(), "{table}");
            }
        }
    });
}

#[test]
fn providers_are_created_once_on_sqlite() {
    // Several times, since the instances may start one after another by chance.
    for _ in 0..5 {
        let directory = tempfile::tempdir().unwrap();
        instances_start_at_once(&sqlite_url(&directory));
    }
}

#[test]
fn providers_are_created_once_on_postgres() {
    if let Some(postgres) = Postgres::start() {
        instances_start_at_once(&postgres.url());
    }
}

#[test]
fn migrations_are_reverted_and_applied_again_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    there_and_back(&sqlite_url(&directory));
}

#[test]
fn migrations_are_reverted_and_applied_again_on_postgres() {
    if let Some(postgres) = Postgres::start() {
        there_and_back(&postgres.url());
    }
}
