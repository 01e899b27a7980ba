//! Roles of a database: the service's superuser, and a master user without superuser rights.

use crate::model::rds::Account;
use crate::runtime::postgres::{PostgresError, Server, identifier, literal};
use crate::runtime::server_home::Login;

/// The service's own superuser, which no client uses.
pub(super) const SERVICE: &str = "rdsadmin";

/// Sets the passwords of the roles before the server starts; in new data, the master user becomes the owner of the
/// databases.
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
    // Creating an existing role fails and is ignored; this query shows whether all roles exist.
    statements.push(format!(
        "SELECT 'ready' FROM pg_authid WHERE rolname = {} AND rolpassword IS NOT NULL",
        literal(&account.user)
    ));
    server.single_user("creating the master user", &(statements.join("\n") + "\n")).await
}

/// Changes the password of the master user on a running server.
pub(super) async fn set_password(server: &Server, login: &Login, account: &Account) -> Result<(), PostgresError> {
    let statement = format!("ALTER ROLE {} PASSWORD {};", identifier(&account.user), literal(&account.password));
    login.query(server, &statement).await.map(drop)
}
