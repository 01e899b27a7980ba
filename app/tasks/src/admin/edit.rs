//! What adding and editing have in common: the page with the form, and where it leads.

use actix_web::{HttpRequest, http::StatusCode};
use askama::Template;
use chrono::{DateTime, Utc};
use sea_orm::{DatabaseConnection, EntityTrait, PrimaryKeyTrait};

use super::{
    error::{Answer, Failure},
    form::{Field, Fields, Kind},
    list::{Cell, Listed},
    page::{self, Frame},
    pager,
    query::ListQuery,
    session::Visit,
};
use crate::{input::FieldErrors, timestamp};

/// A page with a form.
#[derive(Template)]
#[template(path = "admin/form.html")]
pub(super) struct FormPage {
    frame: Frame,
    /// What is edited, if it exists already.
    id: Option<i64>,
    fields: Vec<Field>,
    /// Where one came from.
    pub(super) back: String,
    pub(super) back_label: String,
    /// Further links: label and address.
    pub(super) links: Vec<(&'static str, String)>,
    /// What can be seen and not changed: name and value.
    pub(super) facts: Vec<(&'static str, Cell)>,
    /// Whether one may save and go on with this one or another one.
    pub(super) can_stay: bool,
    /// `None` when this cannot be deleted from here.
    pub(super) delete_address: Option<String>,
}

impl FormPage {
    pub(super) fn new<E: Listed>(
        visit: &Visit,
        request: &HttpRequest,
        title: String,
        id: Option<i64>,
        mut fields: Vec<Field>,
        errors: &FieldErrors,
    ) -> Self {
        for (name, faults) in errors.iter() {
            let known = fields.iter().position(|field| field.name == name).unwrap_or_default();
            fields[known].errors.extend_from_slice(faults);
        }
        let state = state::<E>(request);
        Self {
            frame: Frame::new(visit, E::SECTION.path, title),
            id,
            fields,
            back: pager::address(E::SECTION, &state),
            back_label: E::SECTION.title.to_owned(),
            links: Vec::new(),
            facts: Vec::new(),
            can_stay: true,
            delete_address: id.map(|id| pager::delete_address(E::SECTION, id, &state)),
        }
    }

    pub(super) fn show(&self, status: StatusCode) -> Answer {
        Ok(page::html(status, self.render()?))
    }

    fn faults(&self) -> usize {
        self.fields.iter().filter(|field| !field.errors.is_empty()).count()
    }
}

/// The row of an id in an address. What cannot be an id is the id of no row.
pub(super) async fn find<E>(database: &DatabaseConnection, id: &str) -> Result<E::Model, Failure>
where
    E: EntityTrait<PrimaryKey: PrimaryKeyTrait<ValueType = i64>>,
{
    let digits = id.bytes().all(|byte| byte.is_ascii_digit());
    let id: i64 = id.parse().ok().filter(|_| digits).ok_or(Failure::NotFound)?;
    E::find_by_id(id).one(database).await?.ok_or(Failure::NotFound)
}

/// Where one goes after saving: back to the list, on with this one, or on to a new one, by the button.
pub(super) fn next<E: Listed>(request: &HttpRequest, fields: &Fields, id: i64) -> String {
    let state = state::<E>(request);
    match fields.text("then") {
        "stay" => pager::row_address(E::SECTION, id, &state),
        "another" => format!("/admin/{}/add", E::SECTION.path),
        _ => pager::address(E::SECTION, &state),
    }
}

/// The state of the list one came from, rewritten so that nothing else can be in it.
pub(super) fn state<E: Listed>(request: &HttpRequest) -> String {
    let query = Fields::parse(request.query_string().as_bytes()).unwrap_or_default();
    let grammar = E::grammar();
    ListQuery::parse(query.text("list"), &grammar).write(&grammar)
}

/// The first microsecond of a day written `2026-01-02`.
pub(super) fn start_of_day(day: &str) -> Option<DateTime<Utc>> {
    timestamp::parse(&format!("{day}T00:00"))
}

/// The last microsecond of a day written `2026-01-02`.
pub(super) fn end_of_day(day: &str) -> Option<DateTime<Utc>> {
    timestamp::parse(&format!("{day}T23:59:59.999999"))
}
