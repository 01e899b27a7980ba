//! Lists of all models: search, filters, sorting, pages and ticked rows.

use actix_web::http::StatusCode;
use askama::Template;
use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, Iterable, Order, PrimaryKeyToColumn, QueryOrder, QuerySelect, QueryTrait,
    Select,
    sea_query::{Alias, Asterisk, Expr, Func, Query},
};

use super::{
    action::{self, ShownAction},
    error::Answer,
    model::{Cell, Column, Control, Filter, ModelAdmin},
    page::{self, Frame, Section, grouped},
    pager::{self, PageLink},
    permission::Verb,
    query::{Grammar, ListQuery, SEARCH_CHARACTERS, SIZES, Sort, Ticked},
    request::AdminRequest,
    search,
    session::Visit,
};

/// Maximum count of rows: users of a longer list search or filter it.
const MOST_COUNTED: u64 = 100_000;

/// Responds with the list.
pub(super) async fn show<E: ModelAdmin>(request: AdminRequest) -> Answer {
    let AdminRequest { database, visit, http } = request;
    visit.require(E::SECTION, Verb::View)?;
    let grammar = E::grammar();
    let mut query = ListQuery::parse(http.query_string(), &grammar);
    let (select, not_understood) = search::narrowed::<E>(&query, database.get_database_backend());
    let count = count(database.as_ref(), &select).await?;
    query.page = query.page.min(count.min(MOST_COUNTED).div_ceil(query.size)).max(1);
    let rows = rows::<E>(database.as_ref(), select, &query).await?;
    let page = ListPage::new::<E>(&visit, &grammar, &query, &rows, count, not_understood);
    Ok(page::html(StatusCode::OK, page.render()?))
}

/// Returns the number of rows, at most one more than [`MOST_COUNTED`].
pub(super) async fn count<E: EntityTrait>(database: &impl ConnectionTrait, select: &Select<E>) -> Result<u64, DbErr> {
    let keys = select.clone().select_only().columns(E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column));
    let keys = keys.limit(MOST_COUNTED + 1).into_query();
    let counted =
        Query::select().expr_as(Func::count(Expr::col(Asterisk)), "n").from_subquery(keys, Alias::new("t")).to_owned();
    let row = database.query_one(&counted).await?;
    let count: i64 = row.map_or(Ok(0), |row| row.try_get("", "n"))?;
    Ok(count.unsigned_abs())
}

/// Formats a count.
pub(super) fn shown_count(count: u64) -> String {
    if count > MOST_COUNTED { format!("more than {}", grouped(MOST_COUNTED)) } else { grouped(count) }
}

async fn rows<E: ModelAdmin>(
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
    // Equal rows have a fixed order, so that no page omits one.
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
    /// The user may add rows.
    can_add: bool,
    /// Actions of the user on ticked rows.
    actions: Vec<ShownAction>,
    headings: Vec<Heading>,
    rows: Vec<Row>,
    search: String,
    search_characters: usize,
    filters: Vec<ShownFilter>,
    filters_set: usize,
    not_understood: Vec<&'static str>,
    /// A search or a filter is set.
    is_narrowed: bool,
    /// Parameters that the search keeps: sorting and size.
    kept: Vec<(&'static str, String)>,
    /// Range of the rows, such as `1–25 of 312`.
    range: String,
    pages: Vec<PageLink>,
    sizes: Vec<PageLink>,
    /// Query of this list, to return to it.
    state: String,
    ticked: Ticked,
    /// Address that ticks the rows of this page, or none.
    tick_address: String,
    /// Address that ticks the rows of all pages; `""` with one page.
    every_address: String,
    /// Number of rows.
    count: String,
    csv_address: String,
    json_address: String,
}

struct Heading {
    title: &'static str,
    /// Address that sorts by this column, or reverses the order.
    address: String,
    /// Value of `aria-sort`; `""` if the list is not sorted by this column.
    sorted: &'static str,
}

/// A shown row.
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) address: String,
    /// Title and value of each listed column.
    pub(super) cells: Vec<(&'static str, Cell)>,
}

struct ShownFilter {
    name: &'static str,
    label: &'static str,
    control: Control,
    value: String,
}

impl ListPage {
    fn new<E: ModelAdmin>(
        visit: &Visit,
        grammar: &Grammar,
        query: &ListQuery,
        rows: &[E::Model],
        count: u64,
        not_understood: Vec<&'static str>,
    ) -> Self {
        let section = E::SECTION;
        let address = |query: ListQuery| pager::address(section, &query.write(grammar));
        let state = ListQuery { ticked: Ticked::Nothing, ..query.clone() }.write(grammar);
        let narrowing =
            ListQuery { sort: grammar.sort, page: 1, size: SIZES[0], ticked: Ticked::Nothing, ..query.clone() };
        let exported = narrowing.write(grammar);
        let size = |size: u64| PageLink {
            label: size.to_string(),
            address: if size == query.size {
                String::new()
            } else {
                address(ListQuery { size, page: 1, ticked: Ticked::Nothing, ..query.clone() })
            },
        };
        let from = (query.page - 1) * query.size + 1;
        let to = from + rows.len() as u64 - 1;
        Self {
            frame: Frame::new(visit, section.path, section.title),
            section,
            can_add: visit.may(section, Verb::Add),
            actions: action::shown::<E>(visit),
            headings: E::columns()
                .iter()
                .filter(|column| column.listed)
                .map(|column| heading(column, query, &address))
                .collect(),
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
                address(ListQuery { page, ticked: Ticked::Nothing, ..query.clone() })
            }),
            sizes: if count > SIZES[0] { SIZES.into_iter().map(size).collect() } else { Vec::new() },
            csv_address: pager::export_address(section, "csv", &exported),
            json_address: pager::export_address(section, "json", &exported),
            state,
            ticked: query.ticked,
            tick_address: address(ListQuery {
                ticked: if query.ticked == Ticked::Nothing { Ticked::Page } else { Ticked::Nothing },
                ..query.clone()
            }),
            every_address: if count > rows.len() as u64 {
                address(ListQuery { ticked: Ticked::Every, ..query.clone() })
            } else {
                String::new()
            },
            count: shown_count(count),
        }
    }
}

impl Row {
    /// Returns a row in a list with the query `state`.
    pub(super) fn new<E: ModelAdmin>(row: &E::Model, state: &str) -> Self {
        let id = E::id(row);
        let columns = E::columns().into_iter().filter(|column| column.listed);
        let cells = columns.map(|column| (column.title, (column.cell)(row))).collect();
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
        address: address(ListQuery { sort, page: 1, ticked: Ticked::Nothing, ..query.clone() }),
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
