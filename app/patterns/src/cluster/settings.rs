//! Settings of the cluster.

use std::time::Duration;

use kit::settings::{self, SettingError, Variables};

use super::database::{Database, DatabaseUrlError};

/// Maximum number of workers.
const MAX_WORKERS: usize = 16;

/// Settings of the cluster.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Node that accepts writes.
    pub manager: Database,
    /// Nodes that replicate from the manager.
    pub workers: Vec<Database>,
    /// Database for comparisons.
    pub standalone: Option<Database>,
    /// Time limit of a statement.
    pub statement: Duration,
    /// Number of connections of a pool.
    pub connections: u32,
}

/// Error for an invalid setting. It contains no password.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A required variable is not set, or empty.
    #[error(
        "{0} is not set; write postgres://user:password@host:5432/main_db or mysql://user:password@host:3306/main_db"
    )]
    NotSet(&'static str),
    /// There are too many workers.
    #[error("WORKER_URLS has {0} URLs; at most {MAX_WORKERS} workers are supported")]
    TooManyWorkers(usize),
    /// A worker is not a database of the manager's kind.
    #[error("WORKER_URLS has another kind of database than MANAGER_URL, from which a worker cannot replicate")]
    MixedKinds,
    /// A URL is malformed.
    #[error(transparent)]
    Url(#[from] DatabaseUrlError),
    /// A number is invalid.
    #[error(transparent)]
    Number(#[from] SettingError),
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingsError`] for the first invalid setting. No connection is opened.
    pub fn from(variables: Variables) -> Result<Self, SettingsError> {
        let required = |name: &'static str| {
            variables(name).filter(|value| !value.trim().is_empty()).ok_or(SettingsError::NotSet(name))
        };
        let manager = Database::parse(&required("MANAGER_URL")?, "MANAGER_URL")?;
        let workers = required("WORKER_URLS")?;
        let workers = workers.split([' ', ',', '\n', '\t']).filter(|url| !url.is_empty());
        let workers = workers.map(|url| Database::parse(url, "WORKER_URLS")).collect::<Result<Vec<_>, _>>()?;
        if workers.is_empty() {
            return Err(SettingsError::NotSet("WORKER_URLS"));
        }
        if workers.len() > MAX_WORKERS {
            return Err(SettingsError::TooManyWorkers(workers.len()));
        }
        if workers.iter().any(|worker| !worker.has_kind_of(&manager)) {
            return Err(SettingsError::MixedKinds);
        }
        let standalone = variables("STANDALONE_URL").map(|url| Database::parse(&url, "STANDALONE_URL")).transpose()?;
        let statement = settings::seconds(variables, "STATEMENT_SECONDS", 3)?;
        let connections = settings::positive(variables, "NODE_CONNECTIONS", 10)?;
        Ok(Self { manager, workers, standalone, statement, connections })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MANAGER: &str = "postgres://u:s3cret@10.0.0.1:5432/main_db";
    const WORKER: &str = "postgres://u:s3cret@10.0.0.2:5432/main_db";

    fn read(settings: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::from(&|name| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn workers_are_separated_by_spaces_or_commas() {
        for workers in [format!("{WORKER} {WORKER}"), format!("{WORKER},{WORKER}"), format!(" {WORKER} ,\n{WORKER},")] {
            let settings = read(&[("MANAGER_URL", MANAGER), ("WORKER_URLS", &workers)]).unwrap();
            assert_eq!(settings.workers.len(), 2, "{workers}");
        }
    }

    #[test]
    fn an_invalid_setting_is_named_and_no_password_is_shown() {
        let manager = ("MANAGER_URL", MANAGER);
        let worker = ("WORKER_URLS", WORKER);
        let many = [WORKER; 17].join(" ");
        for (settings, reason) in [
            (&[][..], "MANAGER_URL is not set"),
            (&[("MANAGER_URL", "")], "MANAGER_URL is not set"),
            (&[("MANAGER_URL", "s3cret")], "MANAGER_URL starts with neither"),
            (&[("MANAGER_URL", "sqlite:s3cret")], "MANAGER_URL starts with neither"),
            (&[("MANAGER_URL", "postgres://u:s3cret@h:port/d")], "MANAGER_URL cannot be read"),
            (&[manager], "WORKER_URLS is not set"),
            (&[manager, ("WORKER_URLS", " , ")], "WORKER_URLS is not set"),
            (&[manager, ("WORKER_URLS", "mysql://u:s3cret@h/d")], "WORKER_URLS has another kind"),
            (&[manager, ("WORKER_URLS", "mysql://u:s3cret@h:port/d")], "WORKER_URLS cannot be read"),
            (&[manager, ("WORKER_URLS", &many)], "WORKER_URLS has 17 URLs"),
            (&[manager, worker, ("STANDALONE_URL", "")], "STANDALONE_URL starts with neither"),
            (&[manager, worker, ("STATEMENT_SECONDS", "0")], "STATEMENT_SECONDS=0 is not"),
            (&[manager, worker, ("NODE_CONNECTIONS", "many")], "NODE_CONNECTIONS=many is not"),
        ] {
            let error = read(settings).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.starts_with(reason) && !text.contains("s3cret"), "{text}");
        }
        let settings = read(&[manager, worker]).unwrap();
        assert!(!format!("{settings:?}").contains("s3cret"));
    }
}
