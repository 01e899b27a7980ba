//! The activity log: who asked for what, when, and with what outcome, in `tasks_activity`.
//!
//! A request only puts its row into a queue. The queue is bounded: what does not fit, because the database has been
//! away for too long, is dropped and counted in `activity_dropped_total`. A graceful stop writes what is left.
//! `/healthz`, which balancers request all the time, and the files that browsers load along with pages are not logged.
//!
//! Rows are kept for `ACTIVITY_DAYS`, 90 when it is not set.
//!
//! `INSTANCE` names the instance in the rows; the default is the host's name and what `LISTEN` says.

pub mod retention;
pub mod routes;
mod writer;

use chrono::{DateTime, Utc};
use kit::{
    Context,
    log::Answered,
    settings::{self, SettingError, Variables},
};
use writer::Row;

pub use kit::log::identify;
pub use writer::Activity;

/// The settings of this module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `INSTANCE`.
    pub instance: String,
    /// `ACTIVITY_DAYS`.
    pub days: u16,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] when `ACTIVITY_DAYS` is not a number above zero.
    pub fn from(variables: Variables) -> Result<Self, SettingError> {
        Ok(Self { instance: instance(variables), days: settings::positive(variables, "ACTIVITY_DAYS", 90)? })
    }
}

/// The name of this instance.
fn instance(variables: Variables) -> String {
    let named = variables("INSTANCE").unwrap_or_else(|| {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let listen = variables("LISTEN").unwrap_or_else(|| kit::listen::DEFAULT.to_owned());
        format!("{}/{listen}", host.trim())
    });
    cut(&named, 255)
}

/// Starts to write rows, and to delete old ones.
pub fn start(context: &Context, settings: Settings) -> Activity {
    tokio::spawn(retention::run(context.database.clone(), settings.days));
    Activity::start(context, settings.instance)
}

impl Activity {
    /// Logs a request.
    pub fn log(&self, answered: &Answered) {
        let Answered { time, method, path, status, duration, client, user } = *answered;
        let reads = matches!(method, "GET" | "HEAD");
        if path == "/healthz" || reads && is_static_file(path) {
            return;
        }
        self.add(Row {
            time: DateTime::<Utc>::from(time),
            username: user.map(|user| cut(user, 150)),
            method: cut(method, 16),
            path: cut(path, 500),
            status: status.cast_signed(),
            duration_us: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX),
            client,
        });
    }
}

/// Returns whether browsers load a path along with a page: styles, icons, and the parts of Swagger UI.
fn is_static_file(path: &str) -> bool {
    matches!(path, "/favicon.ico" | "/admin/style.css" | "/admin/icon.svg") || path.starts_with("/docs/")
}

/// The first so many characters.
fn cut(text: &str, characters: usize) -> String {
    let end = text.char_indices().nth(characters).map_or(text.len(), |(end, _)| end);
    text[..end].to_owned()
}
