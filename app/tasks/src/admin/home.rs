//! The first page: what there is, and what was done last.

use actix_web::{
    http::StatusCode,
    web::{Data, ReqData},
};
use askama::Template;
use sea_orm::{ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{
    error::Answer,
    list::{self, Cell, Listed, Row},
    page::{self, Frame, Section},
    session::Visit,
};
use crate::entity::{activity, task, user};

/// How many changes are shown.
const LATEST: u64 = 8;
/// Among how many of the latest requests they are looked for.
const LOOKED_AT: i64 = 10_000;

/// What is sent to sign in and out changes nothing that anybody looks for.
const SIGN_INS: [&str; 4] = ["/admin/sign-in", "/admin/sign-out", "/auth/token", "/auth/refresh"];

/// Answers with the first page.
pub(super) async fn show(database: Data<DatabaseConnection>, visit: ReqData<Visit>) -> Answer {
    let page = HomePage {
        frame: Frame::new(&visit, "", "Overview"),
        counted: [
            counted::<task::Entity>(&database).await?,
            counted::<user::Entity>(&database).await?,
            counted::<activity::Entity>(&database).await?,
        ],
        titles: activity::Entity::columns().iter().map(|column| column.title).collect(),
        latest: changes(&database).await?.iter().map(|row| Row::new::<activity::Entity>(row, "")).collect(),
    };
    Ok(page::html(StatusCode::OK, page.render()?))
}

/// What was asked for lately and changed something.
async fn changes(database: &DatabaseConnection) -> Result<Vec<activity::Model>, DbErr> {
    let latest = activity::Entity::find().order_by_desc(activity::Column::Id);
    let Some(newest) = latest.clone().one(database).await? else {
        return Ok(Vec::new());
    };
    let changes = latest.filter(activity::Column::Id.gt(newest.id - LOOKED_AT));
    let changes = changes.filter(activity::Column::Method.is_in(["POST", "PUT", "PATCH", "DELETE"]));
    let changes = changes.filter(activity::Column::Status.lt(400)).filter(activity::Column::Path.is_not_in(SIGN_INS));
    changes.limit(LATEST).all(database).await
}

#[derive(Template)]
#[template(path = "admin/home.html")]
struct HomePage {
    frame: Frame,
    counted: [Counted; 3],
    titles: Vec<&'static str>,
    latest: Vec<Row>,
}

struct Counted {
    section: Section,
    count: String,
}

async fn counted<E: Listed>(database: &DatabaseConnection) -> Result<Counted, DbErr> {
    let count = list::count(database, &E::find()).await?;
    Ok(Counted { section: E::SECTION, count: list::shown_count(count) })
}
