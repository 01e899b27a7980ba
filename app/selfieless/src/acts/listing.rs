//! Lists of acts, the newest first. Acts with equal timestamps are in the reverse order of their uploads.
//!
//! An act contains a picture, so a list is read in pages and sent as it is read: a response needs the memory of a page.
//! Small pictures make larger pages, so that a list of them needs few statements.
//! A page continues after the last act of the previous one, so acts that are stored or deleted meanwhile cause neither
//! repetitions nor gaps.

use std::collections::VecDeque;

use actix_web::{HttpResponse, http::header::ContentType};
use bytes::{BufMut, Bytes, BytesMut};
use chrono::NaiveDateTime;
use futures::stream;
use sea_orm::{ColumnTrait, Condition, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;

use super::{
    entity::{act, category},
    timestamp,
};
use crate::refusal::Refusal;

/// Number of acts in the first page, whose sizes are unknown.
const FIRST_PAGE: u64 = 8;
/// Largest number of acts in a page.
const LARGEST_PAGE: u64 = 32;
/// Aim for the size of the pictures in a page, in bytes.
pub(super) const PAGE_BYTES: u64 = 2 << 20;

/// Acts of a list.
#[derive(Debug, Clone)]
pub(super) enum Filter {
    /// Acts of the category with this ID.
    Category(i64),
    /// Acts of the user with this name.
    User(String),
}

/// Returns the acts from an offset, at most `limit`, as one page of JSON. Returns nothing if there are none.
pub(super) async fn page(
    database: &DatabaseConnection,
    filter: Filter,
    offset: u64,
    limit: u64,
) -> Result<Bytes, DbErr> {
    let mut pages = Pages { database: database.clone(), filter, offset, left: limit, size: limit, last: None };
    whole(pages.next().await?)
}

/// Returns 200 with a page of JSON, or 204 if it is empty.
pub(super) fn response(page: Bytes) -> HttpResponse {
    if page.is_empty() {
        return HttpResponse::NoContent().finish();
    }
    HttpResponse::Ok().content_type(ContentType::json()).body(page)
}

/// Returns 200 with the acts from an offset, at most `limit`, or 204 if there are none.
pub(super) async fn list(
    database: &DatabaseConnection,
    filter: Filter,
    offset: u64,
    limit: u64,
) -> Result<HttpResponse, Refusal> {
    let mut pages = Pages { database: database.clone(), filter, offset, left: limit, size: FIRST_PAGE, last: None };
    let first = pages.next().await?;
    if first.is_empty() || pages.left == 0 {
        return Ok(response(whole(first)?));
    }
    let parts = stream::try_unfold(Part::First(Box::new(pages), first), Part::next);
    Ok(HttpResponse::Ok().content_type(ContentType::json()).streaming(parts))
}

/// Returns the JSON of a complete list, or nothing if it is empty.
fn whole(page: VecDeque<Shown>) -> Result<Bytes, DbErr> {
    let mut body = BytesMut::new();
    if !page.is_empty() {
        write(&mut body, "[", page)?;
        body.put_u8(b']');
    }
    Ok(body.freeze())
}

/// The next part of a response.
enum Part {
    First(Box<Pages>, VecDeque<Shown>),
    Later(Box<Pages>),
    End,
}

impl Part {
    async fn next(self) -> Result<Option<(Bytes, Self)>, DbErr> {
        let (start, pages, page) = match self {
            Self::First(pages, page) => ("[", pages, page),
            Self::Later(mut pages) => {
                let page = pages.next().await?;
                (",", pages, page)
            }
            Self::End => return Ok(None),
        };
        let mut body = BytesMut::new();
        if !page.is_empty() {
            write(&mut body, start, page)?;
        }
        if pages.left == 0 {
            body.put_u8(b']');
            return Ok(Some((body.freeze(), Self::End)));
        }
        Ok(Some((body.freeze(), Self::Later(pages))))
    }
}

fn write(body: &mut BytesMut, start: &'static str, page: VecDeque<Shown>) -> Result<(), DbErr> {
    let mut separator = start;
    for act in page {
        body.put_slice(separator.as_bytes());
        separator = ",";
        serde_json::to_writer(body.writer(), &act).map_err(|error| DbErr::Json(error.to_string()))?;
    }
    Ok(())
}

/// Reader of a list.
struct Pages {
    database: DatabaseConnection,
    filter: Filter,
    /// Number of acts to skip before the first page.
    offset: u64,
    /// Number of acts to read, at most.
    left: u64,
    /// Number of acts in the next page.
    size: u64,
    /// Time and primary key of the last act.
    last: Option<(NaiveDateTime, i64)>,
}

impl Pages {
    /// Reads the next page, and sets `left` to 0 if it is the last one.
    async fn next(&mut self) -> Result<VecDeque<Shown>, DbErr> {
        let size = self.size.min(self.left);
        let condition = match &self.filter {
            Filter::Category(id) => act::Column::CategoryId.eq(*id),
            Filter::User(name) => act::Column::Username.eq(name),
        };
        let mut acts = act::Entity::find()
            .find_also_related(category::Entity)
            .filter(condition)
            .order_by_desc(act::Column::TakenAt)
            .order_by_desc(act::Column::Id)
            .limit(size);
        match self.last {
            Some((taken_at, id)) => {
                let earlier = act::Column::TakenAt.lt(taken_at);
                let same = Condition::all().add(act::Column::TakenAt.eq(taken_at)).add(act::Column::Id.lt(id));
                acts = acts.filter(Condition::any().add(earlier).add(same));
            }
            None => acts = acts.offset(self.offset),
        }
        let rows = acts.all(&self.database).await?;
        self.last = rows.last().map(|(act, _)| (act.taken_at, act.id));
        let count = rows.len() as u64;
        let bytes: usize = rows.iter().map(|(act, _)| act.image.len()).sum();
        self.size = (PAGE_BYTES * count / (bytes as u64).max(1)).clamp(1, LARGEST_PAGE);
        self.left = if count < size { 0 } else { self.left - count };
        Ok(rows.into_iter().map(Shown::from).collect())
    }
}

/// An act in a response.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    act_id: i64,
    username: String,
    timestamp: String,
    caption: String,
    upvotes: i64,
    category_name: String,
    #[serde(rename = "imgB64")]
    image: String,
}

impl From<(act::Model, Option<category::Model>)> for Shown {
    fn from((act, category): (act::Model, Option<category::Model>)) -> Self {
        let act::Model { act_id, username, taken_at, caption, upvotes, image, .. } = act;
        let category_name = category.map(|category| category.name).unwrap_or_default();
        Self { act_id, username, timestamp: timestamp::format(taken_at), caption, upvotes, category_name, image }
    }
}
