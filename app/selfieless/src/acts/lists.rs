//! Lists of the acts of a category, which concurrent requests share.
//!
//! A list whose pictures fit in a page is read and serialised once for all requests that wait for it. A larger one is read
//! and sent by each request in pages, so that a response needs the memory of a page.

use std::sync::Arc;

use bytes::Bytes;
use kit::combine::Combiner;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement};

use super::{
    input::Range,
    listing::{self, Filter, PAGE_BYTES},
};
use crate::refusal::Refusal;

/// Maximum number of acts in a response.
pub(super) const MOST: u64 = 100;

/// Lists that concurrent requests share.
#[derive(Clone, Default)]
pub(super) struct Lists(Combiner<(String, Option<Range>), Option<List>>);

/// A list of acts of a category.
#[derive(Clone)]
pub(super) struct List {
    /// ID of the category.
    pub(super) category: i64,
    /// Number of acts in the category.
    pub(super) size: u64,
    /// The acts as JSON, or nothing if there are none. `None` if they are too large, or the range is refused.
    pub(super) acts: Option<Bytes>,
}

/// Reads the ID of a category, its number of acts, and the size of the pictures in a range.
const SUMMARY: &str = "
    SELECT
        id,
        (SELECT COUNT(*) FROM selfieless_act WHERE category_id = category.id) AS size,
        (SELECT CAST(COALESCE(SUM(OCTET_LENGTH(image)), 0) AS BIGINT) FROM (
            SELECT image FROM selfieless_act WHERE category_id = category.id
            ORDER BY taken_at DESC, id DESC LIMIT $2 OFFSET $3
        ) AS listed) AS bytes
    FROM selfieless_category AS category WHERE name = $1";

impl Lists {
    /// Reads the acts of a category, or those in a range. Returns `None` if there is no such category.
    pub(super) async fn read(
        &self,
        database: &DatabaseConnection,
        category: String,
        range: Option<Range>,
    ) -> Result<Option<List>, DbErr> {
        let (database, name) = (database.clone(), Arc::<str>::from(category.as_str()));
        let read = move || read(database.clone(), Arc::clone(&name), range);
        self.0.run((category, range), read).await
    }
}

impl List {
    /// Returns the first position, from 0, and the number of the acts in a range, or in the whole list.
    ///
    /// # Errors
    /// [`Refusal`] if the range is too long, or longer than the list.
    pub(super) fn section(&self, range: Option<Range>) -> Result<(u64, u64), Refusal> {
        section(range, self.size)
    }
}

async fn read(database: DatabaseConnection, category: Arc<str>, range: Option<Range>) -> Result<Option<List>, DbErr> {
    let start = range.map_or(0, |range| range.start - 1);
    let values = [(*category).into(), MOST.cast_signed().into(), i64::try_from(start).unwrap_or(i64::MAX).into()];
    let summary = Statement::from_sql_and_values(database.get_database_backend(), SUMMARY, values);
    let Some(row) = database.query_one_raw(summary).await? else {
        return Ok(None);
    };
    let (category, size, bytes): (i64, i64, i64) =
        (row.try_get("", "id")?, row.try_get("", "size")?, row.try_get("", "bytes")?);
    let (size, bytes) = (size.unsigned_abs(), bytes.unsigned_abs());
    let acts = match section(range, size) {
        Ok((offset, limit)) if bytes <= PAGE_BYTES => {
            Some(listing::page(&database, Filter::Category(category), offset, limit).await?)
        }
        _ => None,
    };
    Ok(Some(List { category, size, acts }))
}

fn section(range: Option<Range>, size: u64) -> Result<(u64, u64), Refusal> {
    match range {
        Some(range) if range.acts() > MOST => Err(Refusal::TooMany { acts: range.acts(), most: MOST }),
        Some(range) if range.end > size => {
            Err(Refusal::invalid(format!("end is {}, and the category has {size} acts.", range.end)))
        }
        Some(range) => Ok((range.start - 1, range.acts())),
        None if size > MOST => Err(Refusal::TooMany { acts: size, most: MOST }),
        None => Ok((0, MOST)),
    }
}
