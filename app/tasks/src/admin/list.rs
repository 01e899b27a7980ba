//! Lists: a model says which columns, words and filters there are, and everything else is the same for all.

use actix_web::{
    HttpRequest,
    http::StatusCode,
    web::{Data, ReqData},
};
use askama::Template;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, Iterable, Order,
    PrimaryKeyToColumn, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{Alias, Asterisk, Expr, Func, LikeExpr, Query},
};

use super::{
    error::Answer,
    page::{self, Frame, Section, grouped},
    pager::{self, PageLink},
    query::{Grammar, ListQuery, SEARCH_CHARACTERS, SIZES, Sort},
    session::Visit,
};

/// A model that has a list.
pub(super) trait Listed: EntityTrait<Model: Send + Sync> {
    const SECTION: Section;
    /// How the list is sorted by itself.
    const SORT: Sort;

    /// The first leads to the row's own page.
    fn columns() -> Vec<Column<Self>>;

    /// Where the words of a search may occur.
    fn searched() -> Vec<Self::Column>;

    fn filters() -> Vec<Filter> {
        Vec::new()
    }

    fn id(row: &Self::Model) -> i64;

    fn grammar() -> Grammar {
        Grammar {
            sortable: Self::columns().iter().map(|column| column.name).collect(),
            sort: Self::SORT,
            filters: Self::filters().iter().map(|filter| filter.name).collect(),
        }
    }
}

/// A column of a list.
pub(super) struct Column<E: EntityTrait> {
    /// In addresses.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) sorted_by: E::Column,
    pub(super) cell: fn(&E::Model) -> Cell,
}

impl<E: EntityTrait> Column<E> {
    pub(super) fn new(
        name: &'static str,
        title: &'static str,
        sorted_by: E::Column,
        cell: fn(&E::Model) -> Cell,
    ) -> Self {
        Self { name, title, sorted_by, cell }
    }
}

/// What stands in one place of a list, or beside a name on a page.
pub(super) enum Cell {
    Text(String),
    /// Shown in full only where there is room.
    Long(String),
    Number(String),
    Moment(chrono::DateTime<chrono::Utc>),
    Flag(bool),
    /// A status code of HTTP.
    Status(i16),
    Nothing,
}

/// A way to narrow a list down.
pub(super) struct Filter {
    /// In addresses.
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) control: Control,
    /// What a row must be like; `None` for a value that means nothing.
    pub(super) condition: fn(&str) -> Option<Expr>,
}

/// How a filter is set.
pub(super) enum Control {
    /// One of these: value and what it is called.
    Choice(&'static [(&'static str, &'static str)]),
    Text,
    Date,
}

/// Counting stops here: a table of millions is searched or filtered, not leafed through.
const MOST_COUNTED: u64 = 100_000;

/// Answers with the list.
pub(super) async fn show<E: Listed>(
    database: Data<DatabaseConnection>,
    visit: ReqData<Visit>,
    request: HttpRequest,
) -> Answer {
    let grammar = E::grammar();
    let mut query = ListQuery::parse(request.query_string(), &grammar);
    let (select, not_understood) = narrowed::<E>(&query, database.get_database_backend());
    let count = count(database.as_ref(), &select).await?;
    query.page = query.page.min(count.min(MOST_COUNTED).div_ceil(query.size)).max(1);
    let rows = rows::<E>(database.as_ref(), select, &query).await?;
    let page = ListPage::new::<E>(&visit, &grammar, &query, &rows, count, not_understood);
    Ok(page::html(StatusCode::OK, page.render()?))
}

/// How many rows a selection has, or one more than [`MOST_COUNTED`].
pub(super) async fn count<E: EntityTrait>(database: &impl ConnectionTrait, select: &Select<E>) -> Result<u64, DbErr> {
    let keys = select.clone().select_only().columns(E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column));
    let keys = keys.limit(MOST_COUNTED + 1).into_query();
    let counted =
        Query::select().expr_as(Func::count(Expr::col(Asterisk)), "n").from_subquery(keys, Alias::new("t")).to_owned();
    let row = database.query_one(&counted).await?;
    let count: i64 = row.map_or(Ok(0), |row| row.try_get("", "n"))?;
    Ok(count.unsigned_abs())
}

/// A count for people.
pub(super) fn shown_count(count: u64) -> String {
    if count > MOST_COUNTED { format!("more than {}", grouped(MOST_COUNTED)) } else { grouped(count) }
}

/// The rows that are searched for, and the labels of filters whose values mean nothing.
fn narrowed<E: Listed>(query: &ListQuery, backend: DbBackend) -> (Select<E>, Vec<&'static str>) {
    let mut wanted = Condition::all();
    for word in query.words() {
        let columns = E::searched().into_iter();
        wanted = wanted.add(columns.fold(Condition::any(), |any, column| any.add(contains(column, &word, backend))));
    }
    let mut not_understood = Vec::new();
    for filter in E::filters() {
        match query.filter(filter.name).map(filter.condition) {
            Some(Some(condition)) => wanted = wanted.add(condition),
            Some(None) => not_understood.push(filter.label),
            None => (),
        }
    }
    (E::find().filter(wanted), not_understood)
}

/// Whatever the case; with SQLite that holds for the letters A to Z.
fn contains(column: impl ColumnTrait, word: &str, backend: DbBackend) -> Expr {
    let word = word.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    let pattern = LikeExpr::new(format!("%{word}%"));
    // With PostgreSQL the backslash escapes unless something else is said, and sea-query cannot say it with ILIKE.
    if backend == DbBackend::Postgres { column.ilike(pattern) } else { column.like(pattern.escape('\\')) }
}

async fn rows<E: Listed>(
    database: &impl ConnectionTrait,
    select: Select<E>,
    query: &ListQuery,
) -> Result<Vec<E::Model>, DbErr> {
    let direction = if query.sort.descending { Order::Desc } else { Order::Asc };
    let column = E::columns().into_iter().find(|column| column.name == query.sort.column);
    let mut select = select;
    if let Some(column) = column {
        select = select.order_by(column.sorted_by, direction.clone());
    }
    // So that rows that are alike stand in one order, and no page leaves one out.
    for key in E::PrimaryKey::iter() {
        select = select.order_by(key.into_column(), direction.clone());
    }
    select.offset((query.page - 1) * query.size).limit(query.size).all(database).await
}

#[derive(Template)]
#[template(path = "admin/list.html")]
struct ListPage {
    frame: Frame,
    section: Section,
    headings: Vec<Heading>,
    rows: Vec<Row>,
    search: String,
    search_characters: usize,
    filters: Vec<ShownFilter>,
    filters_set: usize,
    not_understood: Vec<&'static str>,
    /// Whether anything narrows the list.
    is_narrowed: bool,
    /// What the search keeps: sorting and size.
    kept: Vec<(&'static str, String)>,
    /// `1–25 of 312`.
    range: String,
    pages: Vec<PageLink>,
    sizes: Vec<PageLink>,
    /// The address of this list behind the question mark, to come back to.
    state: String,
    ticked: bool,
    tick_address: String,
}

struct Heading {
    title: &'static str,
    /// Sorts by it, or the other way round.
    address: String,
    /// As `aria-sort` names it; `""` when it is not sorted by this.
    sorted: &'static str,
}

/// A row as it is shown.
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) address: String,
    pub(super) cells: Vec<Cell>,
}

struct ShownFilter {
    name: &'static str,
    label: &'static str,
    control: Control,
    value: String,
}

impl ListPage {
    fn new<E: Listed>(
        visit: &Visit,
        grammar: &Grammar,
        query: &ListQuery,
        rows: &[E::Model],
        count: u64,
        not_understood: Vec<&'static str>,
    ) -> Self {
        let section = E::SECTION;
        let address = |query: ListQuery| pager::address(section, &query.write(grammar));
        let state = ListQuery { ticked: false, ..query.clone() }.write(grammar);
        let size = |size: u64| PageLink {
            label: size.to_string(),
            address: if size == query.size {
                String::new()
            } else {
                address(ListQuery { size, page: 1, ticked: false, ..query.clone() })
            },
        };
        let from = (query.page - 1) * query.size + 1;
        let to = from + rows.len() as u64 - 1;
        Self {
            frame: Frame::new(visit, section.path, section.title),
            section,
            headings: E::columns().iter().map(|column| heading(column, query, &address)).collect(),
            rows: rows.iter().map(|row| Row::new::<E>(row, &state)).collect(),
            search: query.search.clone(),
            search_characters: SEARCH_CHARACTERS,
            filters: E::filters().into_iter().map(|filter| ShownFilter::new(filter, query)).collect(),
            filters_set: query.filters.len(),
            not_understood,
            is_narrowed: !query.search.is_empty() || !query.filters.is_empty(),
            kept: kept(query, grammar),
            range: match rows.len() {
                0 => format!("0 {}", section.many),
                1 => format!("{} of {}", grouped(from), shown_count(count)),
                _ => format!("{}–{} of {}", grouped(from), grouped(to), shown_count(count)),
            },
            pages: pager::links(query.page, count.min(MOST_COUNTED).div_ceil(query.size), |page| {
                address(ListQuery { page, ticked: false, ..query.clone() })
            }),
            sizes: if count > SIZES[0] { SIZES.into_iter().map(size).collect() } else { Vec::new() },
            state,
            ticked: query.ticked,
            tick_address: address(ListQuery { ticked: !query.ticked, ..query.clone() }),
        }
    }
}

impl Row {
    /// `state` is the list's that it stands in.
    pub(super) fn new<E: Listed>(row: &E::Model, state: &str) -> Self {
        let id = E::id(row);
        let cells = E::columns().iter().map(|column| (column.cell)(row)).collect();
        Self { id, address: pager::row_address(E::SECTION, id, state), cells }
    }
}

impl ShownFilter {
    fn new(filter: Filter, query: &ListQuery) -> Self {
        let value = query.filter(filter.name).filter(|value| (filter.condition)(value).is_some());
        let value = value.unwrap_or_default().to_owned();
        Self { name: filter.name, label: filter.label, control: filter.control, value }
    }
}

fn heading<E: EntityTrait>(column: &Column<E>, query: &ListQuery, address: &dyn Fn(ListQuery) -> String) -> Heading {
    let is_sorted = query.sort.column == column.name;
    let sort = Sort { column: column.name, descending: is_sorted && !query.sort.descending };
    Heading {
        title: column.title,
        address: address(ListQuery { sort, page: 1, ticked: false, ..query.clone() }),
        sorted: match (is_sorted, query.sort.descending) {
            (false, _) => "",
            (true, false) => "ascending",
            (true, true) => "descending",
        },
    }
}

fn kept(query: &ListQuery, grammar: &Grammar) -> Vec<(&'static str, String)> {
    let sort = (query.sort != grammar.sort).then(|| ("sort", query.sort.write()));
    let size = (query.size != SIZES[0]).then(|| ("size", query.size.to_string()));
    [sort, size].into_iter().flatten().collect()
}
