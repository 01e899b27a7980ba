//! Actions on selected rows: a page that names the rows and the consequence, then the change of all of them or none.
//!
//! A selection is a list of IDs, or all rows of a filtered list. The page shows the number of the latter. If it differs at
//! the time of the change, no row is changed and the page is shown again.

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

/// Maximum number of rows that an action changes.
const MOST: u64 = 10_000;
/// Maximum number of rows that the page names.
const NAMED: usize = 100;
/// Number of rows in a statement.
const PART: usize = 1000;

/// An action, as shown by the templates.
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

/// Responds with the page that asks for confirmation.
pub(super) async fn ask<E: ModelAdmin>(request: AdminRequest, name: Path<String>) -> Answer {
    let AdminRequest { database, visit, http } = request;
    let action = find::<E>(&name)?;
    visit.require(E::SECTION, action.verb)?;
    let form = Fields::parse(http.query_string().as_bytes()).ok_or(Failure::NotAForm)?;
    let selection = Selection::of::<E>(&form);
    let rows = selection.rows::<E>(database.as_ref()).await?;
    let page = ActionPage::new::<E>(&visit, &action, &form, &selection, &rows, "");
    Ok(page::html(StatusCode::OK, page.render()?))
}

/// Performs the action on all rows or on none.
pub(super) async fn perform<E: ModelAdmin>(request: AdminRequest, form: ReqData<Fields>, name: Path<String>) -> Answer {
    let AdminRequest { database, visit, .. } = request;
    let action = find::<E>(&name)?;
    visit.require(E::SECTION, action.verb)?;
    let selection = Selection::of::<E>(&form);
    let transaction = history::begin(&database).await?;
    let rows = selection.rows::<E>(&transaction).await?;
    let has_changed = matches!(selection, Selection::Every(_)) && form.text("expected") != rows.len().to_string();
    let fault =
        if has_changed { "The list has changed in the meantime, so nothing was done. Check it again." } else { "" };
    let page = ActionPage::new::<E>(&visit, &action, &form, &selection, &rows, fault);
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
    session::set_notice(&database, &visit, &notice(&action, E::SECTION, &objects)).await?;
    Ok(page::redirect(&page.back))
}

fn all<E: ModelAdmin>() -> Vec<Action<E>> {
    let delete = E::SECTION.verbs.contains(&Verb::Delete).then_some(Action {
        name: "delete",
        label: "Delete",
        done: "Deleted",
        consequence: "will be deleted permanently",
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

/// Returns the changed rows for the history.
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
        [] => format!("Nothing was {}: the {} no longer existed.", action.done.to_lowercase(), section.many),
        [object] => format!("{} the {} “{}”.", action.done, section.one, object.name),
        _ => format!("{} {} {}.", action.done, grouped(objects.len() as u64), section.many),
    }
}

/// Selected rows.
enum Selection {
    /// Rows with these IDs, at most a page of a list.
    Ids(Vec<i64>),
    /// All rows of a filtered list.
    Every(ListQuery),
}

impl Selection {
    fn of<E: ModelAdmin>(form: &Fields) -> Self {
        if form.ticked("every") {
            return Self::Every(ListQuery::parse(form.text("list"), &E::grammar()));
        }
        let most = SIZES[SIZES.len() - 1] as usize;
        // No row has an ID that is not a number.
        Self::Ids(form.all("id").filter_map(|id| id.parse().ok()).take(most).collect())
    }

    /// Returns the rows, at most one more than [`MOST`].
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
    /// Past participle of the action.
    done: String,
    consequence: &'static str,
    is_danger: bool,
    fault: &'static str,
    /// IDs of the rows, empty if all rows of the list are selected.
    ids: Vec<i64>,
    every: bool,
    count: usize,
    shown_count: String,
    is_too_many: bool,
    most: String,
    names: Vec<String>,
    /// Number of rows that are not named.
    unnamed: usize,
    /// Rows that refuse the action, with the reason.
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
        form: &Fields,
        selection: &Selection,
        rows: &[E::Model],
        fault: &'static str,
    ) -> Self {
        let grammar = E::grammar();
        let state = ListQuery::parse(form.text("list"), &grammar).write(&grammar);
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
