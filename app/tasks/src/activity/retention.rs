//! Deletes old rows, so that the table does not grow without limit.

use std::time::Duration;

use chrono::{DateTime, Days, Utc};
use sea_orm::{ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QuerySelect, QueryTrait};
use tokio::time::{Instant, interval_at};

use crate::entity::activity::{Column, Entity};

/// Interval between deletions.
const PERIOD: Duration = Duration::from_hours(1);
/// Time from the start to the first deletion.
const FIRST: Duration = Duration::from_mins(1);
/// Maximum number of rows in a statement, so that none takes long.
const PART: u64 = 5000;

/// Deletes rows that are older than this number of days, periodically. Every instance does so, which is harmless.
pub(super) async fn run(database: DatabaseConnection, days: u16) {
    let mut times = interval_at(Instant::now() + FIRST, PERIOD);
    loop {
        times.tick().await;
        let Some(before) = Utc::now().checked_sub_days(Days::new(days.into())) else {
            return;
        };
        match delete(&database, before).await {
            Ok(0) => (),
            Ok(rows) => tracing::info!(rows, "deleted old rows of the activity log"),
            Err(error) => {
                tracing::warn!(%error, "old rows of the activity log could not be deleted; retrying in an hour")
            }
        }
    }
}

/// Deletes the rows before a time, and returns their number.
///
/// # Errors
/// The error of the database. Some rows may be deleted.
pub async fn delete(database: &DatabaseConnection, before: DateTime<Utc>) -> Result<u64, DbErr> {
    let mut deleted = 0;
    loop {
        let part = Entity::find().select_only().column(Column::Id).filter(Column::Time.lt(before)).limit(PART);
        let part = Entity::delete_many().filter(Column::Id.in_subquery(part.into_query()));
        let rows = part.exec(database).await?.rows_affected;
        deleted += rows;
        if rows < PART {
            return Ok(deleted);
        }
    }
}
