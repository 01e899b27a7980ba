//! The first page: what there is, and what happened last.

use actix_web::{
    http::StatusCode,
    web::{Data, ReqData},
};
use askama::Template;
use sea_orm::{DatabaseConnection, EntityTrait, QueryOrder, QuerySelect};

use super::{
    error::Answer,
    list::{self, Cell, Listed, Row},
    page::{self, Frame, Section},
    session::Visit,
};
use crate::entity::{activity, task, user};

/// How many requests are shown.
const LATEST: u64 = 8;

/// Answers with the first page.
pub(super) async fn show(database: Data<DatabaseConnection>, visit: ReqData<Visit>) -> Answer {
    let latest = activity::Entity::find().order_by_desc(activity::Column::Id).limit(LATEST).all(database.as_ref());
    let page = HomePage {
        frame: Frame::new(&visit, "", "Overview"),
        counted: [
            counted::<task::Entity>(&database).await?,
            counted::<user::Entity>(&database).await?,
            counted::<activity::Entity>(&database).await?,
        ],
        titles: activity::Entity::columns().iter().map(|column| column.title).collect(),
        latest: latest.await?.iter().map(|row| Row::new::<activity::Entity>(row, "")).collect(),
    };
    Ok(page::html(StatusCode::OK, page.render()?))
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

async fn counted<E: Listed>(database: &DatabaseConnection) -> Result<Counted, sea_orm::DbErr> {
    let count = list::count(database, &E::find()).await?;
    Ok(Counted { section: E::SECTION, count: list::shown_count(count) })
}
