//! Migrations, the oldest first. A released migration is never edited; a change is a new one.

mod create_book;
mod create_delivery;
mod create_purchase;
mod create_user;

use sea_orm_migration::prelude::*;

/// All migrations of this service.
#[derive(Debug, Clone, Copy)]
pub struct Migrations;

impl MigratorTrait for Migrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(create_user::CreateUser),
            Box::new(create_book::CreateBook),
            Box::new(create_purchase::CreatePurchase),
            Box::new(create_delivery::CreateDelivery),
        ]
    }
}
