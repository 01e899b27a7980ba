//! Selection of rows by the search and the filters of a list.

use sea_orm::{
    ColumnTrait, Condition, DbBackend, QueryFilter, Select,
    sea_query::{Expr, LikeExpr},
};

use super::{model::ModelAdmin, query::ListQuery};

/// Returns the selected rows, and the labels of filters with invalid values.
pub(super) fn narrowed<E: ModelAdmin>(query: &ListQuery, backend: DbBackend) -> (Select<E>, Vec<&'static str>) {
    let mut all = Condition::all();
    for word in query.words() {
        let columns = E::searched().into_iter();
        all = all.add(columns.fold(Condition::any(), |any, column| any.add(contains(column, &word, backend))));
    }
    let mut not_understood = Vec::new();
    for filter in E::filters() {
        match query.filter(filter.name).map(&filter.condition) {
            Some(Some(condition)) => all = all.add(condition),
            Some(None) => not_understood.push(filter.label),
            None => (),
        }
    }
    (E::find().filter(all), not_understood)
}

/// Returns the condition that a column contains a word, ignoring case (with SQLite, of the letters A to Z).
fn contains(column: impl ColumnTrait, word: &str, backend: DbBackend) -> Expr {
    let word = word.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    let pattern = LikeExpr::new(format!("%{word}%"));
    // The backslash is the default escape character of PostgreSQL. SQLite needs ESCAPE, which sea-query lacks for ILIKE.
    if backend == DbBackend::Postgres { column.ilike(pattern) } else { column.like(pattern.escape('\\')) }
}
