//! The roles of a database as the service makes them: its own superuser, and a master user without that power.

use crate::model::rds::Account;
use crate::runtime::postgres::{Login, PostgresError, Server, identifier, literal};

/// The service's own superuser, which no client uses.
pub(super) const SERVICE: &str = "rdsadmin";

/// Gives the roles their passwords before the server is up; in fresh data the master user gets the databases.
pub(super) async fn prepare(server: &Server, account: &Account, fresh: bool) -> Result<(), PostgresError> {
    let master = identifier(&account.user);
    let mut statements = vec![
        format!("ALTER ROLE {SERVICE} LOGIN PASSWORD {}", literal(&account.service_password)),
        "CREATE ROLE rds_superuser".to_owned(),
        "GRANT pg_monitor, pg_signal_backend TO rds_superuser WITH ADMIN OPTION".to_owned(),
        "GRANT pg_checkpoint TO rds_superuser WITH ADMIN OPTION".to_owned(),
        format!("CREATE ROLE {master}"),
        format!("ALTER ROLE {master} LOGIN CREATEDB CREATEROLE PASSWORD {}", literal(&account.password)),
        format!("GRANT rds_superuser TO {master}"),
    ];
    if fresh {
        statements.push(format!("ALTER DATABASE postgres OWNER TO {master}"));
        if let Some(database) = account.database.as_deref() {
            statements.push(format!("CREATE DATABASE {}", identifier(database)));
            statements.push(format!("ALTER DATABASE {} OWNER TO {master}", identifier(database)));
        }
    }
    // Creating an existing role fails and is ignored; this shows whether all roles exist.
    statements.push(format!(
        "SELECT 'ready' FROM pg_authid WHERE rolname = {} AND rolpassword IS NOT NULL",
        literal(&account.user)
    ));
    server.single_user("creating the master user", &(statements.join("\n") + "\n")).await
}

/// Gives the master user of a running server another password.
pub(super) async fn set_password(server: &Server, login: &Login, account: &Account) -> Result<(), PostgresError> {
    let statement = format!("ALTER ROLE {} PASSWORD {};", identifier(&account.user), literal(&account.password));
    login.query(server, &statement).await.map(drop)
}
