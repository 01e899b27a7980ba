//! Migrations, the oldest first. A released migration is never edited; a change is a new one.

mod create_activity;
mod create_admin_history;
mod create_admin_session;
mod create_permissions;
mod create_refresh_token;
mod create_signing_key;
mod create_task;
mod create_user;
mod index_activity_of_users;

use sea_orm_migration::prelude::*;

/// All migrations of this service.
#[derive(Debug, Clone, Copy)]
pub struct Migrations;

impl MigratorTrait for Migrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(create_task::CreateTask),
            Box::new(create_user::CreateUser),
            Box::new(create_refresh_token::CreateRefreshToken),
            Box::new(create_signing_key::CreateSigningKey),
            Box::new(create_activity::CreateActivity),
            Box::new(create_admin_session::CreateAdminSession),
            Box::new(index_activity_of_users::IndexActivityOfUsers),
            Box::new(create_permissions::CreatePermissions),
            Box::new(create_admin_history::CreateAdminHistory),
        ]
    }
}
