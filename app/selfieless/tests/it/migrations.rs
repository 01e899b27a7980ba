//! Migrations of both services in one database.

use std::{sync::Barrier, thread};

use kit::{migrate, testing::connect};
use sea_orm_migration::{MigratorTrait, SchemaManager};
use selfieless::{acts, users};

use crate::{block_on, with_postgres, with_sqlite};

const TABLES: [&str; 5] =
    ["selfieless_user", "selfieless_users_count", "selfieless_category", "selfieless_act", "selfieless_acts_count"];

/// Starts the migrations of two instances of each service concurrently.
fn migrate_at_once(database_url: &str) {
    let start = Barrier::new(4);
    let instance = |of_users: bool| {
        block_on(async {
            let database = connect(database_url).await;
            start.wait();
            if of_users {
                migrate::up::<users::Migrations>(&database).await
            } else {
                migrate::up::<acts::Migrations>(&database).await
            }
        })
    };
    thread::scope(|scope| {
        let instances: Vec<_> = (0..4).map(|at| scope.spawn(move || instance(at % 2 == 0))).collect();
        for instance in instances {
            instance.join().unwrap().unwrap();
        }
    });
    block_on(async {
        let database = connect(database_url).await;
        let applied = users::Migrations::get_migration_models(&database).await.unwrap().len();
        assert_eq!(applied, users::Migrations::migrations().len());
        let applied = acts::Migrations::get_migration_models(&database).await.unwrap().len();
        assert_eq!(applied, acts::Migrations::migrations().len());
    });
}

/// Applies all migrations, reverts them, and applies them again.
fn there_and_back(database_url: &str) {
    block_on(async {
        let database = connect(database_url).await;
        let manager = SchemaManager::new(&database);
        for _ in 0..2 {
            migrate::up::<users::Migrations>(&database).await.unwrap();
            migrate::up::<acts::Migrations>(&database).await.unwrap();
            for table in TABLES {
                assert!(manager.has_table(table).await.unwrap(), "{table}");
            }
            users::Migrations::down(&database, None).await.unwrap();
            assert!(!manager.has_table("selfieless_user").await.unwrap());
            assert!(manager.has_table("selfieless_act").await.unwrap(), "the tables of the other service remain");
            acts::Migrations::down(&database, None).await.unwrap();
            for table in TABLES {
                assert!(!manager.has_table(table).await.unwrap(), "{table}");
            }
        }
    });
}

#[test]
fn both_services_migrate_concurrently_on_sqlite() {
    for _ in 0..10 {
        with_sqlite(migrate_at_once);
    }
}

#[test]
fn both_services_migrate_concurrently_on_postgres() {
    with_postgres(migrate_at_once);
}

#[test]
fn migrations_are_reverted_and_applied_again_on_sqlite() {
    with_sqlite(there_and_back);
}

#[test]
fn migrations_are_reverted_and_applied_again_on_postgres() {
    with_postgres(there_and_back);
}
