//! Declarations of models. List, search, filters, forms, actions, history and exports are generic over them.

use actix_web::web::ServiceConfig;
use chrono::{DateTime, SecondsFormat, Utc};
use futures::future::LocalBoxFuture;
use kit::password::PasswordError;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, Iterable, PrimaryKeyToColumn,
    PrimaryKeyTrait, sea_query::Expr,
};
use serde_json::Value;

use super::{
    error::Failure,
    form::{Field, Fields},
    page::Section,
    permission::Verb,
    query::{Grammar, Sort},
    session::Visit,
};
use crate::{input::FieldErrors, timestamp};

/// A model with pages in the admin site.
pub(super) trait ModelAdmin:
    EntityTrait<Model: Send + Sync, PrimaryKey: PrimaryKeyTrait<ValueType = i64>>
{
    const SECTION: Section;
    /// Default order of the list.
    const SORT: Sort;
    /// Further effect of a deletion, as a sentence; `""` for none.
    const ALSO_DELETED: &'static str = "";

    fn id(row: &Self::Model) -> i64;

    /// Returns the name of a row.
    fn name(row: &Self::Model) -> String;

    /// Returns the columns of the list, of exports and of a row's page. In the list, the first one links to that page.
    fn columns() -> Vec<Column<Self>>;

    /// Returns the columns of a search.
    fn searched() -> Vec<Self::Column>;

    fn filters() -> Vec<Filter> {
        Vec::new()
    }

    /// Returns the actions on selected rows, besides the deletion.
    fn actions() -> Vec<Action<Self>> {
        Vec::new()
    }

    /// Returns the reason for which a user with the permission must not change or delete a row.
    fn refusal(_visit: &Visit, _row: &Self::Model, _verb: Verb) -> Option<&'static str> {
        None
    }

    /// Returns further links on a row's page: label and address. `state` is the query of the list.
    fn links(_row: &Self::Model, _state: &str) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Adds pages of this model only.
    fn more_routes(_app: &mut ServiceConfig) {}

    fn grammar() -> Grammar {
        Grammar {
            sortable: Self::columns().iter().filter(|column| column.listed).map(|column| column.name).collect(),
            sort: Self::SORT,
            filters: Self::filters().iter().map(|filter| filter.name).collect(),
        }
    }

    /// Returns the column of the primary key.
    fn key() -> Self::Column {
        let column = Self::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column).next();
        column.expect("a primary key of one integer has one column")
    }
}

/// A model whose rows are added and changed with a form.
pub(super) trait Editable: ModelAdmin {
    /// Parsed form.
    type Draft;

    /// Returns the fields of the form, with the values of a row or of a new one. The history records their differences after
    /// a change.
    async fn fields(
        database: &impl ConnectionTrait,
        visit: &Visit,
        row: Option<&Self::Model>,
    ) -> Result<Vec<Field>, DbErr>;

    /// Parses a form that changes a row or adds one.
    async fn parse(visit: &Visit, row: Option<&Self::Model>, sent: &Fields) -> Result<Self::Draft, StoreError>;

    /// Stores a form, in the transaction of the history's entry.
    async fn store(
        transaction: &DatabaseTransaction,
        visit: &Visit,
        row: Option<Self::Model>,
        draft: Self::Draft,
    ) -> Result<Self::Model, StoreError>;
}

/// Error of storing a form.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    /// Faults that the user can correct.
    #[error("{0}")]
    Invalid(FieldErrors),
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<FieldErrors> for StoreError {
    fn from(errors: FieldErrors) -> Self {
        Self::Invalid(errors)
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        Self::Failed(error.into())
    }
}

impl From<PasswordError> for StoreError {
    fn from(error: PasswordError) -> Self {
        Self::Failed(error.into())
    }
}

/// A column of a model.
pub(super) struct Column<E: EntityTrait> {
    /// Name in addresses and exports.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) sorted_by: E::Column,
    pub(super) cell: fn(&E::Model) -> Cell,
    /// Shown in the list, and not only in exports and on the page of a row.
    pub(super) listed: bool,
}

impl<E: EntityTrait> Column<E> {
    pub(super) fn new(
        name: &'static str,
        title: &'static str,
        sorted_by: E::Column,
        cell: fn(&E::Model) -> Cell,
    ) -> Self {
        Self { name, title, sorted_by, cell, listed: true }
    }

    pub(super) fn unlisted(self) -> Self {
        Self { listed: false, ..self }
    }
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Text(String),
    /// Text that lists truncate.
    Long(String),
    Number(i64),
    /// Duration in microseconds.
    Duration(i64),
    Moment(DateTime<Utc>),
    Flag(bool),
    /// HTTP status code.
    Status(i16),
    Nothing,
}

impl Cell {
    /// Returns the value for programs.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Text(text) | Self::Long(text) => Value::from(text.as_str()),
            Self::Number(number) | Self::Duration(number) => Value::from(*number),
            Self::Moment(moment) => Value::from(moment.to_rfc3339_opts(SecondsFormat::Micros, true)),
            Self::Flag(flag) => Value::from(*flag),
            Self::Status(status) => Value::from(*status),
            Self::Nothing => Value::Null,
        }
    }

    /// Returns the value for people, in one line.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Duration(micros) => format!("{}.{:03} ms", micros / 1000, micros % 1000),
            Self::Moment(moment) => moment.format("%Y-%m-%d %H:%M:%S").to_string(),
            Self::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
            Self::Nothing => String::new(),
            Self::Text(text) | Self::Long(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Status(status) => status.to_string(),
        }
    }
}

/// Function that changes rows in a transaction.
type Run<E> =
    for<'a> fn(&'a DatabaseTransaction, &'a [<E as EntityTrait>::Model]) -> LocalBoxFuture<'a, Result<(), DbErr>>;

/// An action on selected rows.
pub(super) struct Action<E: EntityTrait> {
    /// Name in addresses, in lower-case letters.
    pub(super) name: &'static str,
    /// Imperative, such as `Publish`.
    pub(super) label: &'static str,
    /// Past participle, such as `Published`.
    pub(super) done: &'static str,
    /// Consequence, after “This task” or “These 3 tasks”, such as `will be deleted permanently`.
    pub(super) consequence: &'static str,
    /// Required permission.
    pub(super) verb: Verb,
    /// Returns the reason for which a row refuses the action.
    pub(super) refusal: fn(&Visit, &E::Model) -> Option<&'static str>,
    pub(super) run: Run<E>,
}

/// Function from the value of a filter to its condition.
type ParseFilter = dyn Fn(&str) -> Option<Expr>;

/// A filter of a list.
pub(super) struct Filter {
    /// Name in addresses.
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) control: Control,
    /// Returns the condition for rows, or `None` for a value that the filter does not understand.
    pub(super) condition: Box<ParseFilter>,
}

impl Filter {
    pub(super) fn new(
        name: &'static str,
        label: &'static str,
        control: Control,
        condition: impl Fn(&str) -> Option<Expr> + 'static,
    ) -> Self {
        Self { name, label, control, condition: Box::new(condition) }
    }

    /// Returns a filter for rows whose column equals the value.
    pub(super) fn equal(name: &'static str, label: &'static str, control: Control, column: impl ColumnTrait) -> Self {
        // PostgreSQL refuses null characters.
        Self::new(name, label, control, move |value| Some(column.eq(value.replace('\0', ""))))
    }

    /// Returns a filter for rows whose column is true or false.
    pub(super) fn flag(name: &'static str, label: &'static str, column: impl ColumnTrait) -> Self {
        let control = Control::Choice(&[("yes", "yes"), ("no", "no")]);
        Self::new(name, label, control, move |value| match value {
            "yes" => Some(column.eq(true)),
            "no" => Some(column.eq(false)),
            _ => None,
        })
    }

    /// Returns the filters `from` and `until` for the days of a column.
    pub(super) fn days(labels: [&'static str; 2], column: impl ColumnTrait) -> [Self; 2] {
        let [from, until] = labels;
        [
            Self::new("from", from, Control::Date, move |day| start_of_day(day).map(|start| column.gte(start))),
            Self::new("until", until, Control::Date, move |day| end_of_day(day).map(|end| column.lte(end))),
        ]
    }
}

/// Returns the first microsecond of a day, such as `2026-01-02`.
fn start_of_day(day: &str) -> Option<DateTime<Utc>> {
    timestamp::parse(&format!("{day}T00:00"))
}

/// Returns the last microsecond of a day, such as `2026-01-02`.
fn end_of_day(day: &str) -> Option<DateTime<Utc>> {
    timestamp::parse(&format!("{day}T23:59:59.999999"))
}

/// Input of a filter.
pub(super) enum Control {
    /// Selection of a value, with a label for each.
    Choice(&'static [(&'static str, &'static str)]),
    Text,
    Date,
}
