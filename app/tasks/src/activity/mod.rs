//! The activity log: who asked for what, when, and with what outcome, in `tasks_activity`.
//!
//! A request only puts its row into a queue. The queue is bounded: what does not fit, because the database has been
//! away for too long, is dropped and counted in `activity_dropped_total`. A graceful stop writes what is left.
//! `/healthz` and `/metrics`, which machines ask all the time, are not logged.
//!
//! `INSTANCE` names the instance in the rows; the default is the host's name and what `LISTEN` says.

pub mod routes;
mod writer;

use chrono::{DateTime, Utc};
use kit::{Context, log::Answered, settings::Variables};
use sea_orm::ActiveValue::{NotSet, Set};

use crate::entity::activity::ActiveModel;

pub use kit::log::identify;
pub use writer::Activity;

/// The name of this instance.
pub fn instance(variables: Variables) -> String {
    let named = variables("INSTANCE").unwrap_or_else(|| {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let listen = variables("LISTEN").unwrap_or_else(|| kit::listen::DEFAULT.to_owned());
        format!("{}/{listen}", host.trim())
    });
    cut(&named, 255)
}

/// Starts to write rows.
pub fn start(context: &Context, instance: String) -> Activity {
    Activity::start(context, instance)
}

impl Activity {
    /// Logs a request.
    pub fn log(&self, answered: &Answered) {
        let Answered { time, method, path, status, duration, client, user } = *answered;
        if matches!(path, "/healthz" | "/metrics") {
            return;
        }
        self.add(ActiveModel {
            id: NotSet,
            time: Set(DateTime::<Utc>::from(time)),
            username: Set(user.map(|user| cut(user, 150))),
            method: Set(cut(method, 16)),
            path: Set(cut(path, 500)),
            status: Set(status.cast_signed()),
            duration_us: Set(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)),
            client: Set(client.map(|address| address.to_string()).unwrap_or_default()),
            instance: Set(self.instance.clone()),
        });
    }
}

/// The first so many characters.
fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}
