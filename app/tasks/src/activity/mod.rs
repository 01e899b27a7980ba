//! The activity log: user, time, path and status of every request, in `tasks_activity`.
//!
//! A request only adds its row to a queue. The queue is bounded: after a long outage of the database, further rows are
//! dropped and counted in `activity_dropped_total`. A graceful stop writes the remaining rows. Requests for `/healthz`,
//! which load balancers send all the time, and for the static files of pages are not logged.
//!
//! Rows are deleted after `ACTIVITY_DAYS`, by default 90.
//!
//! `INSTANCE` is the name of the instance in the rows. Its default is the host name and the value of `LISTEN`.

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

/// Settings of this module.
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
    /// [`SettingError`] if `ACTIVITY_DAYS` is not a positive number.
    pub fn from(variables: Variables) -> Result<Self, SettingError> {
        Ok(Self { instance: instance(variables), days: settings::positive(variables, "ACTIVITY_DAYS", 90)? })
    }
}

/// Returns the name of this instance.
fn instance(variables: Variables) -> String {
    let named = variables("INSTANCE").unwrap_or_else(|| {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let listen = variables("LISTEN").unwrap_or_else(|| kit::listen::DEFAULT.to_owned());
        format!("{}/{listen}", host.trim())
    });
    cut(&named, 255)
}

/// Starts the tasks that write rows and delete old ones.
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

/// Returns whether a path is a static file of a page: a style sheet, an icon, or a part of Swagger UI.
fn is_static_file(path: &str) -> bool {
    matches!(path, "/favicon.ico" | "/admin/style.css" | "/admin/icon.svg") || path.starts_with("/docs/")
}

/// Truncates a text to this number of characters.
fn cut(text: &str, characters: usize) -> String {
    let end = text.char_indices().nth(characters).map_or(text.len(), |(end, _)| end);
    text[..end].to_owned()
}
