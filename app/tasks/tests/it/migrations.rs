//! Migrations: concurrent ones, and down and up again.

use std::{sync::Barrier, thread};

use kit::{
    migrate,
    testing::{Postgres, connect, sqlite_url},
};
use sea_orm::{ConnectionTrait, EntityTrait, QueryOrder};
use sea_orm_migration::{MigratorTrait, SchemaManager};
use tasks::{Migrations, entity::user};

use crate::block_on;

const INSTANCES: usize = 4;
const TABLES: [&str; 11] = [
    "tasks_task",
    "tasks_user",
    "tasks_refresh_token",
    "tasks_signing_key",
    "tasks_activity",
    "tasks_admin_session",
    "tasks_group",
    "tasks_user_group",
    "tasks_group_permission",
    "tasks_user_permission",
    "tasks_admin_history",
];

/// Starts the migrations of four instances concurrently, each with its own connections.
fn migrate_at_once(database_url: &str) {
    let start = Barrier::new(INSTANCES);
    let instance = || {
        block_on(async {
            let database = connect(database_url).await;
            start.wait();
            migrate::up::<Migrations>(&database).await
        })
    };
    thread::scope(|scope| {
        let instances: Vec<_> = (0..INSTANCES).map(|_| scope.spawn(instance)).collect();
        for instance in instances {
            instance.join().unwrap().unwrap();
        }
    });
    let applied = block_on(async { Migrations::get_migration_models(&connect(database_url).await).await.unwrap() });
    assert_eq!(applied.len(), Migrations::migrations().len(), "each is recorded once");
}

/// Applies all migrations, reverts them, and applies them again.
fn there_and_back(database_url: &str) {
    block_on(async {
        let database = connect(database_url).await;
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

/// Before permissions existed, staff had all of them.
fn staff_become_superusers(database_url: &str) {
    block_on(async {
        let database = connect(database_url).await;
        Migrations::up(&database, Some(7)).await.unwrap();
        for (name, is_staff) in [("eva", "TRUE"), ("ana", "FALSE")] {
            let insert = format!(
                "INSERT INTO tasks_user (username, password_hash, is_staff, is_active, created_at) \
                 VALUES ('{name}', 'h', {is_staff}, TRUE, '2026-01-02T03:04:05+00:00')"
            );
            database.execute_unprepared(&insert).await.unwrap();
            migrate::up::<Migrations>(&database).await.unwrap();
        }
        // The second user is added as by an instance of the previous version during a rollout.
        let users = user::Entity::find().order_by_asc(user::Column::Id).all(&database).await.unwrap();
        let users: Vec<_> = users.iter().map(|user| (user.username.as_str(), user.is_superuser)).collect();
        assert_eq!(users, [("eva", true), ("ana", false)]);
    });
}

#[test]
fn staff_become_superusers_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    staff_become_superusers(&sqlite_url(&directory));
}

#[test]
fn staff_become_superusers_on_postgres() {
    if let Some(postgres) = Postgres::start() {
        staff_become_superusers(&postgres.url());
    }
}

#[test]
fn instances_migrate_concurrently_on_sqlite() {
    // Several times, since the instances may run one after another by chance.
    for _ in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        migrate_at_once(&sqlite_url(&directory));
    }
}

#[test]
fn instances_migrate_concurrently_on_postgres() {
    if let Some(postgres) = Postgres::start() {
        migrate_at_once(&postgres.url());
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
