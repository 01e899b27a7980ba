//! Deleting one or several: first a page that says what will be gone, then it is.

use actix_web::{
    HttpRequest,
    http::StatusCode,
    web::{Data, ReqData},
};
use askama::Template;
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, Iterable, PrimaryKeyToColumn, QueryFilter};

use super::{
    error::{Answer, Failure},
    form::Fields,
    list::Listed,
    page::{self, Frame, Section},
    pager,
    query::{ListQuery, SIZES},
    session::{self, Visit},
};

/// A model whose rows can be deleted.
pub(super) trait Deleted: Listed {
    /// What a row is called on the page that asks.
    fn name(row: &Self::Model) -> String;

    /// Why a row must stay.
    fn refusal(_visit: &Visit, _row: &Self::Model) -> Option<&'static str> {
        None
    }

    /// What else goes with a row; `""` for nothing.
    const ALSO: &'static str = "";
}

/// Asks whether the rows named by `id`, as often as there are rows, are to go.
pub(super) async fn ask<E: Deleted>(
    database: Data<DatabaseConnection>,
    visit: ReqData<Visit>,
    request: HttpRequest,
) -> Answer {
    let asked = Fields::parse(request.query_string().as_bytes()).ok_or(Failure::NotAForm)?;
    let page = DeletePage::new::<E>(&database, &visit, &asked).await?;
    Ok(page::html(StatusCode::OK, page.render()?))
}

/// Deletes them: all, or none when one must stay.
pub(super) async fn perform<E: Deleted>(
    database: Data<DatabaseConnection>,
    visit: ReqData<Visit>,
    asked: ReqData<Fields>,
) -> Answer {
    let page = DeletePage::new::<E>(&database, &visit, &asked).await?;
    if !page.refusals.is_empty() {
        return Ok(page::html(StatusCode::CONFLICT, page.render()?));
    }
    let deleted = E::delete_many().filter(key::<E>().is_in(ids(&asked))).exec(database.as_ref()).await?;
    let notice = match (deleted.rows_affected, &page.names[..]) {
        (0, _) => format!("Nothing was deleted: the {} had gone before.", E::SECTION.many),
        (1, [name]) => format!("Deleted the {} “{name}”.", E::SECTION.one),
        (1, _) => format!("Deleted 1 {}.", E::SECTION.one),
        (count, _) => format!("Deleted {count} {}.", E::SECTION.many),
    };
    session::tell(&database, &visit, &notice).await?;
    Ok(page::redirect(&page.back))
}

#[derive(Template)]
#[template(path = "admin/delete.html")]
struct DeletePage {
    frame: Frame,
    section: Section,
    ids: Vec<i64>,
    names: Vec<String>,
    /// Rows that must stay, and why.
    refusals: Vec<(String, &'static str)>,
    also: &'static str,
    state: String,
    back: String,
}

impl DeletePage {
    async fn new<E: Deleted>(database: &DatabaseConnection, visit: &Visit, asked: &Fields) -> Result<Self, Failure> {
        let rows = E::find().filter(key::<E>().is_in(ids(asked))).all(database).await?;
        let grammar = E::grammar();
        let state = ListQuery::parse(asked.text("list"), &grammar).write(&grammar);
        let refusals = rows.iter().filter_map(|row| Some((E::name(row), E::refusal(visit, row)?)));
        let title = format!("Delete {}", if rows.len() == 1 { E::SECTION.one } else { E::SECTION.many });
        Ok(Self {
            frame: Frame::new(visit, E::SECTION.path, title),
            section: E::SECTION,
            ids: rows.iter().map(E::id).collect(),
            names: rows.iter().map(E::name).collect(),
            refusals: refusals.collect(),
            also: E::ALSO,
            back: pager::address(E::SECTION, &state),
            state,
        })
    }
}

/// At most a page of a list; what is no number is the id of nothing.
fn ids(asked: &Fields) -> Vec<i64> {
    let most = SIZES[SIZES.len() - 1] as usize;
    asked.all("id").filter_map(|id| id.parse().ok()).take(most).collect()
}

/// The one column of the primary key.
fn key<E: EntityTrait>() -> E::Column {
    E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column).next().expect("a listed table has a primary key")
}
