//! Actions on selected rows: first a page that names the rows and what will happen, then the change of all or none.
//!
//! A selection is ids, or every row that a list finds. The latter is counted on the page, and when the count is another
//! at the time of the change, nothing is changed and the page is shown again.

use actix_web::{
    http::StatusCode,
    web::{Path, ReqData},
};
use askama::Template;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::{
    error::{Answer, Failure},
    form::Fields,
    history::{self, Object},
    model::{Action, ModelAdmin},
    page::{self, Frame, Section, grouped},
    pager,
    permission::Verb,
    query::{ListQuery, SIZES},
    request::AdminRequest,
    search,
    session::{self, Visit},
};

/// Most rows that one action changes.
const MOST: u64 = 10_000;
/// Most rows that the page names.
const NAMED: usize = 100;
/// Rows in one statement.
const PART: usize = 1000;

/// What the templates need to know of an action.
pub(super) struct ShownAction {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) is_danger: bool,
}

/// Returns the actions of a model that a user may take.
pub(super) fn shown<E: ModelAdmin>(visit: &Visit) -> Vec<ShownAction> {
    let allowed = all::<E>().into_iter().filter(|action| visit.may(E::SECTION, action.verb));
    let shown =
        allowed.map(|Action { name, label, verb, .. }| ShownAction { name, label, is_danger: verb == Verb::Delete });
    shown.collect()
}

/// Answers with the page that asks for confirmation.
pub(super) async fn ask<E: ModelAdmin>(request: AdminRequest, name: Path<String>) -> Answer {
    let AdminRequest { database, visit, http } = request;
    let action = find::<E>(&name)?;
    visit.require(E::SECTION, action.verb)?;
    let asked = Fields::parse(http.query_string().as_bytes()).ok_or(Failure::NotAForm)?;
    let selection = Selection::of::<E>(&asked);
    let rows = selection.rows::<E>(database.as_ref()).await?;
    let page = ActionPage::new::<E>(&visit, &action, &asked, &selection, &rows, "");
    Ok(page::html(StatusCode::OK, page.render()?))
}

/// Takes the action, on all rows or on none.
pub(super) async fn perform<E: ModelAdmin>(
    request: AdminRequest,
    asked: ReqData<Fields>,
    name: Path<String>,
) -> Answer {
    let AdminRequest { database, visit, .. } = request;
    let action = find::<E>(&name)?;
    visit.require(E::SECTION, action.verb)?;
    let selection = Selection::of::<E>(&asked);
    let transaction = history::begin(&database).await?;
    let rows = selection.rows::<E>(&transaction).await?;
    let has_changed = matches!(selection, Selection::Every(_)) && asked.text("expected") != rows.len().to_string();
    let fault = if has_changed { "Meanwhile the list has changed, so nothing was done. Look at it again." } else { "" };
    let page = ActionPage::new::<E>(&visit, &action, &asked, &selection, &rows, fault);
    if has_changed || page.is_too_many || !page.refusals.is_empty() {
        transaction.rollback().await?;
        return Ok(page::html(StatusCode::CONFLICT, page.render()?));
    }
    for part in rows.chunks(PART) {
        (action.run)(&transaction, part).await?;
    }
    let objects = objects::<E>(&transaction, &action, &rows).await?;
    history::record(&transaction, &visit, E::SECTION, action.done, &objects).await?;
    transaction.commit().await?;
    session::tell(&database, &visit, &notice(&action, E::SECTION, &objects)).await?;
    Ok(page::redirect(&page.back))
}

fn all<E: ModelAdmin>() -> Vec<Action<E>> {
    let delete = E::SECTION.verbs.contains(&Verb::Delete).then_some(Action {
        name: "delete",
        label: "Delete",
        done: "Deleted",
        consequence: "will be gone for good",
        verb: Verb::Delete,
        refusal: |visit, row| E::refusal(visit, row, Verb::Delete),
        run: |transaction, rows| {
            let ids: Vec<i64> = rows.iter().map(E::id).collect();
            let delete = E::delete_many().filter(E::key().is_in(ids));
            Box::pin(async move { delete.exec(transaction).await.map(drop) })
        },
    });
    E::actions().into_iter().chain(delete).collect()
}

fn find<E: ModelAdmin>(name: &str) -> Result<Action<E>, Failure> {
    all::<E>().into_iter().find(|action| action.name == name).ok_or(Failure::NotFound)
}

/// What was done with each row, for the history.
async fn objects<E: ModelAdmin>(
    transaction: &DatabaseTransaction,
    action: &Action<E>,
    rows: &[E::Model],
) -> Result<Vec<Object>, DbErr> {
    let mut objects = Vec::with_capacity(rows.len());
    for part in rows.chunks(PART) {
        let after = match action.verb {
            Verb::Delete => Vec::new(),
            _ => E::find().filter(E::key().is_in(part.iter().map(E::id))).all(transaction).await?,
        };
        objects.extend(part.iter().map(|row| {
            let changed = after.iter().find(|other| E::id(other) == E::id(row));
            let changes = changed.map(|after| history::column_differences::<E>(row, after)).unwrap_or_default();
            Object { id: E::id(row), name: E::name(row), changes }
        }));
    }
    Ok(objects)
}

fn notice<E: EntityTrait>(action: &Action<E>, section: Section, objects: &[Object]) -> String {
    match objects {
        [] => format!("Nothing was {}: the {} had gone before.", action.done.to_lowercase(), section.many),
        [object] => format!("{} the {} “{}”.", action.done, section.one, object.name),
        _ => format!("{} {} {}.", action.done, grouped(objects.len() as u64), section.many),
    }
}

/// Rows that an action is for.
enum Selection {
    /// Those of these ids, at most a page of a list.
    Ids(Vec<i64>),
    /// Every row that a list finds.
    Every(ListQuery),
}

impl Selection {
    fn of<E: ModelAdmin>(asked: &Fields) -> Self {
        if asked.ticked("every") {
            return Self::Every(ListQuery::parse(asked.text("list"), &E::grammar()));
        }
        let most = SIZES[SIZES.len() - 1] as usize;
        // Anything but a number is the id of no row.
        Self::Ids(asked.all("id").filter_map(|id| id.parse().ok()).take(most).collect())
    }

    /// The rows, or one more than [`MOST`] of them.
    async fn rows<E: ModelAdmin>(&self, database: &impl ConnectionTrait) -> Result<Vec<E::Model>, DbErr> {
        let select = match self {
            Self::Ids(ids) => E::find().filter(E::key().is_in(ids.iter().copied())),
            Self::Every(query) => search::narrowed::<E>(query, database.get_database_backend()).0,
        };
        select.order_by_asc(E::key()).limit(MOST + 1).all(database).await
    }
}

#[derive(Template)]
#[template(path = "admin/action.html")]
struct ActionPage {
    frame: Frame,
    section: Section,
    name: &'static str,
    label: &'static str,
    /// What it does, as a past participle.
    done: String,
    consequence: &'static str,
    is_danger: bool,
    fault: &'static str,
    /// Ids of the rows; none when every row of the list is selected.
    ids: Vec<i64>,
    every: bool,
    count: usize,
    shown_count: String,
    is_too_many: bool,
    most: String,
    names: Vec<String>,
    /// How many rows are not named.
    unnamed: usize,
    /// Rows that refuse the action, and why.
    refusals: Vec<(String, &'static str)>,
    also: &'static str,
    state: String,
    back: String,
    back_label: &'static str,
}

impl ActionPage {
    fn new<E: ModelAdmin>(
        visit: &Visit,
        action: &Action<E>,
        asked: &Fields,
        selection: &Selection,
        rows: &[E::Model],
        fault: &'static str,
    ) -> Self {
        let grammar = E::grammar();
        let state = ListQuery::parse(asked.text("list"), &grammar).write(&grammar);
        let refusals = rows.iter().filter_map(|row| Some((E::name(row), (action.refusal)(visit, row)?)));
        let title = format!("{} {}", action.label, if rows.len() == 1 { E::SECTION.one } else { E::SECTION.many });
        let (ids, every) = match selection {
            Selection::Ids(_) => (rows.iter().map(E::id).collect(), false),
            Selection::Every(_) => (Vec::new(), true),
        };
        Self {
            frame: Frame::new(visit, E::SECTION.path, title),
            section: E::SECTION,
            name: action.name,
            label: action.label,
            done: action.done.to_lowercase(),
            consequence: action.consequence,
            is_danger: action.verb == Verb::Delete,
            fault,
            ids,
            every,
            count: rows.len(),
            shown_count: grouped(rows.len() as u64),
            is_too_many: rows.len() as u64 > MOST,
            most: grouped(MOST),
            names: rows.iter().take(NAMED).map(E::name).collect(),
            unnamed: rows.len().saturating_sub(NAMED),
            refusals: refusals.collect(),
            also: if action.verb == Verb::Delete { E::ALSO_DELETED } else { "" },
            back: pager::address(E::SECTION, &state),
            back_label: E::SECTION.title,
            state,
        }
    }
}
