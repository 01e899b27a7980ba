//! History of changes, written in the transaction of the change.

use std::sync::LazyLock;

use actix_web::{http::StatusCode, web::Path};
use askama::Template;
use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use serde::{Deserialize, Serialize};

use super::{
    error::{Answer, Failure},
    form::{Field, Kind},
    model::{Cell, Column, Control, Filter, ModelAdmin},
    page::{self, Frame, Section},
    pager,
    permission::Verb,
    query::Sort,
    request::{AdminRequest, parse_id},
    session::Visit,
};
use crate::entity::admin_history::{self, Entity, Model};

/// Maximum number of entries on the page of an object.
const SHOWN: u64 = 200;
/// Number of rows in a statement.
const PART: usize = 1000;
/// Maximum length of an object's name, in characters.
const NAME_CHARACTERS: usize = 200;

/// A changed value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    /// Label of the field.
    pub(super) field: String,
    /// Previous value, as text.
    pub(super) from: String,
    /// New value, as text.
    pub(super) to: String,
}

/// A changed object.
pub(super) struct Object {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) changes: Vec<Change>,
}

/// Begins a transaction that writes.
pub(super) async fn begin(database: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    // SQLite cannot upgrade a read lock to a write lock while other connections write.
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    database.begin_with_options(options).await
}

/// Records an action of a user on objects of a model.
pub(super) async fn record(
    transaction: &DatabaseTransaction,
    visit: &Visit,
    section: Section,
    action: &str,
    objects: &[Object],
) -> Result<(), Failure> {
    let time = Utc::now();
    for part in objects.chunks(PART) {
        let mut rows = Vec::with_capacity(part.len());
        for Object { id, name, changes } in part {
            rows.push(admin_history::ActiveModel {
                id: NotSet,
                time: Set(time),
                user_id: Set(visit.user.id),
                username: Set(visit.user.username.clone()),
                model: Set(section.path.to_owned()),
                object_id: Set(*id),
                object_name: Set(name.chars().take(NAME_CHARACTERS).collect()),
                action: Set(action.to_owned()),
                changes: Set(serde_json::to_string(changes).map_err(Failure::History)?),
            });
        }
        Entity::insert_many(rows).exec_without_returning(transaction).await?;
    }
    Ok(())
}

/// Returns the fields of a form whose values differ. Passwords have no values here.
pub(super) fn differences(before: &[Field], after: &[Field]) -> Vec<Change> {
    let changed = after.iter().filter(|field| field.kind != Kind::Password).filter_map(|field| {
        let from = before.iter().find(|other| other.name == field.name).map(Field::shown).unwrap_or_default();
        let to = field.shown();
        (from != to).then(|| Change { field: field.label.to_owned(), from, to })
    });
    changed.collect()
}

/// Returns the columns in which two versions of a row differ.
pub(super) fn column_differences<E: ModelAdmin>(before: &E::Model, after: &E::Model) -> Vec<Change> {
    let changed = E::columns().into_iter().filter_map(|column| {
        let (from, to) = ((column.cell)(before), (column.cell)(after));
        let change = || Change { field: column.title.to_owned(), from: from.text(), to: to.text() };
        (from != to).then(change)
    });
    changed.collect()
}

/// Responds with the history of an object, which may be deleted.
pub(super) async fn of<E: ModelAdmin>(request: AdminRequest, id: Path<String>) -> Answer {
    let (database, visit) = (&request.database, &request.visit);
    visit.require(E::SECTION, Verb::View)?;
    let id = parse_id(&id)?;
    let row = E::find_by_id(id).one(database.as_ref()).await?;
    let entries = entries(database.as_ref(), E::SECTION, id).await?;
    let name = match (&row, entries.first()) {
        (Some(row), _) => E::name(row),
        (None, Some(entry)) => entry.object_name.clone(),
        (None, None) => return Err(Failure::NotFound),
    };
    let state = request.list_state::<E>();
    let (back, back_label) = match &row {
        Some(_) => (pager::row_address(E::SECTION, id, &state), name.clone()),
        None => (pager::address(E::SECTION, &state), E::SECTION.title.to_owned()),
    };
    let page = HistoryPage {
        frame: Frame::new(visit, E::SECTION.path, format!("History of {name}")),
        back,
        back_label,
        one: E::SECTION.one,
        is_deleted: row.is_none(),
        is_cut: entries.len() as u64 == SHOWN,
        entries: entries.into_iter().map(Entry::from).collect(),
    };
    Ok(page::html(StatusCode::OK, page.render()?))
}

async fn entries(database: &impl ConnectionTrait, section: Section, id: i64) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(admin_history::Column::Model.eq(section.path))
        .filter(admin_history::Column::ObjectId.eq(id))
        .order_by_desc(admin_history::Column::Id)
        .limit(SHOWN)
        .all(database)
        .await
}

#[derive(Template)]
#[template(path = "admin/history.html")]
struct HistoryPage {
    frame: Frame,
    back: String,
    back_label: String,
    one: &'static str,
    is_deleted: bool,
    is_cut: bool,
    entries: Vec<Entry>,
}

struct Entry {
    time: DateTime<Utc>,
    username: String,
    action: String,
    changes: Vec<Change>,
}

impl From<Model> for Entry {
    fn from(row: Model) -> Self {
        let changes = changes(&row);
        Self { time: row.time, username: row.username, action: row.action, changes }
    }
}

/// Parses the changes of an entry. Changes in the format of a later version are omitted.
fn changes(row: &Model) -> Vec<Change> {
    serde_json::from_str(&row.changes).unwrap_or_default()
}

fn summary(row: &Model) -> String {
    let changes = changes(row).into_iter().map(|Change { field, from, to }| match (&*from, &*to) {
        ("", to) => format!("{field}: {to}"),
        (from, "") => format!("{field}: {from} → –"),
        (from, to) => format!("{field}: {from} → {to}"),
    });
    changes.collect::<Vec<_>>().join("; ")
}

/// Path and title of the models with a history.
static RECORDED: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    let sections = super::MODELS.iter().map(|model| model.section);
    let recorded = sections.filter(|section| section.verbs.contains(&Verb::Change));
    recorded.map(|section| (section.path, section.title)).collect()
});

/// Pages of the history of all objects, including deleted ones.
impl ModelAdmin for Entity {
    const SECTION: Section =
        Section { path: "history", title: "History", one: "change", many: "changes", verbs: Verb::READ };
    const SORT: Sort = Sort { column: "time", descending: true };

    fn id(row: &Model) -> i64 {
        row.id
    }

    fn name(row: &Model) -> String {
        format!("{} {}", row.action, row.object_name)
    }

    fn columns() -> Vec<Column<Self>> {
        let column = Column::<Self>::new;
        vec![
            column("time", "Time", admin_history::Column::Time, |entry| Cell::Moment(entry.time)),
            column("user", "User", admin_history::Column::Username, |entry| Cell::Text(entry.username.clone())),
            column("action", "Action", admin_history::Column::Action, |entry| Cell::Text(entry.action.clone())),
            column("model", "Model", admin_history::Column::Model, |entry| Cell::Text(entry.model.clone())),
            column("object", "Object", admin_history::Column::ObjectName, |entry| {
                Cell::Text(entry.object_name.clone())
            }),
            column("changes", "Changes", admin_history::Column::Changes, |entry| match summary(entry) {
                empty if empty.is_empty() => Cell::Nothing,
                summary => Cell::Long(summary),
            }),
            column("object_id", "Object's id", admin_history::Column::ObjectId, |entry| Cell::Number(entry.object_id))
                .unlisted(),
            column("id", "Id", admin_history::Column::Id, |entry| Cell::Number(entry.id)).unlisted(),
        ]
    }

    fn searched() -> Vec<admin_history::Column> {
        use admin_history::Column::{Action, Changes, ObjectName, Username};
        vec![ObjectName, Username, Action, Changes]
    }

    fn filters() -> Vec<Filter> {
        let [from, until] = Filter::days(["From", "Until"], admin_history::Column::Time);
        vec![
            Filter::equal("user", "User", Control::Text, admin_history::Column::Username),
            Filter::equal("model", "Model", Control::Choice(&RECORDED), admin_history::Column::Model),
            from,
            until,
        ]
    }
}
