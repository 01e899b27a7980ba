//! Activity: list and look. Nobody changes what was done.

use actix_web::{
    HttpRequest,
    http::StatusCode,
    web::{Data, Path, ReqData},
};
use askama::Template;
use sea_orm::{ColumnTrait, DatabaseConnection};

use super::{
    edit,
    error::Answer,
    list::{Cell, Column, Control, Filter, Listed},
    page::{self, Frame, Section},
    pager,
    query::Sort,
    session::Visit,
};
use crate::entity::activity::{self, Entity};

impl Listed for Entity {
    const SECTION: Section =
        Section { path: "activity", title: "Activity", one: "request", many: "requests", editable: false };
    const SORT: Sort = Sort { column: "time", descending: true };

    fn columns() -> Vec<Column<Self>> {
        let column = Column::<Self>::new;
        vec![
            column("time", "Time", activity::Column::Time, |it| Cell::Moment(it.time)),
            column("user", "User", activity::Column::Username, |it| {
                it.username.clone().map_or(Cell::Nothing, Cell::Text)
            }),
            column("method", "Method", activity::Column::Method, |it| Cell::Text(it.method.clone())),
            column("path", "Path", activity::Column::Path, |it| Cell::Long(it.path.clone())),
            column("status", "Status", activity::Column::Status, |it| Cell::Status(it.status)),
            column("duration", "Took", activity::Column::DurationUs, |it| Cell::Number(milliseconds(it.duration_us))),
            column("client", "Client", activity::Column::Client, |it| Cell::Text(it.client.clone())),
        ]
    }

    fn searched() -> Vec<activity::Column> {
        vec![activity::Column::Path, activity::Column::Username, activity::Column::Client, activity::Column::Instance]
    }

    fn filters() -> Vec<Filter> {
        vec![
            Filter {
                name: "user",
                label: "User",
                control: Control::Text,
                condition: |user| Some(activity::Column::Username.eq(user.replace('\0', ""))),
            },
            Filter {
                name: "method",
                label: "Method",
                control: Control::Choice(&[
                    ("GET", "GET"),
                    ("POST", "POST"),
                    ("PUT", "PUT"),
                    ("PATCH", "PATCH"),
                    ("DELETE", "DELETE"),
                ]),
                condition: |method| {
                    let known = ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method);
                    known.then(|| activity::Column::Method.eq(method))
                },
            },
            Filter {
                name: "status",
                label: "Status",
                control: Control::Choice(&[
                    ("2", "2xx, done"),
                    ("3", "3xx, elsewhere"),
                    ("4", "4xx, refused"),
                    ("5", "5xx, failed"),
                ]),
                condition: |class| {
                    let class: i16 = class.parse().ok().filter(|class| (2..=5).contains(class))?;
                    Some(activity::Column::Status.between(class * 100, class * 100 + 99))
                },
            },
            Filter {
                name: "from",
                label: "From",
                control: Control::Date,
                condition: |day| edit::start_of_day(day).map(|start| activity::Column::Time.gte(start)),
            },
            Filter {
                name: "until",
                label: "Until",
                control: Control::Date,
                condition: |day| edit::end_of_day(day).map(|end| activity::Column::Time.lte(end)),
            },
        ]
    }

    fn id(request: &activity::Model) -> i64 {
        request.id
    }
}

/// Answers with everything about one request.
pub(super) async fn open(
    database: Data<DatabaseConnection>,
    visit: ReqData<Visit>,
    request: HttpRequest,
    id: Path<String>,
) -> Answer {
    let it = edit::find::<Entity>(&database, &id).await?;
    let page = FactsPage {
        frame: Frame::new(&visit, Entity::SECTION.path, format!("{} {}", it.method, it.path)),
        back: pager::address(Entity::SECTION, &edit::state::<Entity>(&request)),
        section: Entity::SECTION,
        facts: vec![
            ("Time", Cell::Moment(it.time)),
            ("User", it.username.map_or(Cell::Nothing, Cell::Text)),
            ("Method", Cell::Text(it.method)),
            ("Path", Cell::Text(it.path)),
            ("Status", Cell::Status(it.status)),
            ("Took", Cell::Number(milliseconds(it.duration_us))),
            ("Client", Cell::Text(it.client)),
            ("Instance", Cell::Text(it.instance)),
            ("Id", Cell::Number(it.id.to_string())),
        ],
    };
    Ok(page::html(StatusCode::OK, page.render()?))
}

/// `1.234 ms`.
pub(super) fn milliseconds(micros: i64) -> String {
    format!("{}.{:03} ms", micros / 1000, micros % 1000)
}

#[derive(Template)]
#[template(path = "admin/facts.html")]
struct FactsPage {
    frame: Frame,
    section: Section,
    back: String,
    facts: Vec<(&'static str, Cell)>,
}
