//! The first page: the models and the latest changes.

use actix_web::{
    http::StatusCode,
    web::{Data, ReqData},
};
use askama::Template;
use sea_orm::{ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{
    MODELS,
    error::Answer,
    list::{self, Row},
    model::{Cell, ModelAdmin},
    page::{self, Frame, Section},
    pager,
    permission::Verb,
    session::Visit,
};
use crate::entity::{activity, user};

/// Number of changes on the page.
const LATEST: u64 = 8;
/// Number of the latest requests among which the changes are searched.
const SEARCHED: i64 = 10_000;

/// Paths of sign-ins and sign-outs, which are not shown as changes.
const SIGN_INS: [&str; 4] = ["/admin/sign-in", "/admin/sign-out", "/auth/token", "/auth/refresh"];

/// Responds with the first page.
pub(super) async fn show(database: Data<DatabaseConnection>, visit: ReqData<Visit>) -> Answer {
    let mut counted = Vec::new();
    for model in MODELS.iter().filter(|model| visit.may(model.section, Verb::View)) {
        let count = list::shown_count((model.count)(&database).await?);
        counted.push(Counted { section: model.section, count, can_add: visit.may(model.section, Verb::Add) });
    }
    let shows_latest = visit.may(activity::Entity::SECTION, Verb::View);
    let latest = if shows_latest { changes(&database).await? } else { Vec::new() };
    let columns = activity::Entity::columns();
    let page = HomePage {
        frame: Frame::new(&visit, "", "Overview"),
        counted,
        shows_latest,
        titles: columns.iter().filter(|column| column.listed).map(|column| column.title).collect(),
        latest: latest.iter().map(|row| Row::new::<activity::Entity>(row, "")).collect(),
        password_address: pager::password_address(user::Entity::id(&visit.user), ""),
    };
    Ok(page::html(StatusCode::OK, page.render()?))
}

/// Returns the latest requests that changed data.
async fn changes(database: &DatabaseConnection) -> Result<Vec<activity::Model>, DbErr> {
    let latest = activity::Entity::find().order_by_desc(activity::Column::Id);
    let Some(newest) = latest.clone().one(database).await? else {
        return Ok(Vec::new());
    };
    let changes = latest.filter(activity::Column::Id.gt(newest.id - SEARCHED));
    let changes = changes.filter(activity::Column::Method.is_in(["POST", "PUT", "PATCH", "DELETE"]));
    let changes = changes.filter(activity::Column::Status.lt(400)).filter(activity::Column::Path.is_not_in(SIGN_INS));
    changes.limit(LATEST).all(database).await
}

#[derive(Template)]
#[template(path = "admin/home.html")]
struct HomePage {
    frame: Frame,
    counted: Vec<Counted>,
    shows_latest: bool,
    titles: Vec<&'static str>,
    latest: Vec<Row>,
    password_address: String,
}

struct Counted {
    section: Section,
    count: String,
    can_add: bool,
}
