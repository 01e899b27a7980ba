//! The selection of rows by a list's search and filters.

use sea_orm::{
    ColumnTrait, Condition, DbBackend, QueryFilter, Select,
    sea_query::{Expr, LikeExpr},
};

use super::{model::ModelAdmin, query::ListQuery};

/// The rows that are searched for, and the labels of filters whose values mean nothing.
pub(super) fn narrowed<E: ModelAdmin>(query: &ListQuery, backend: DbBackend) -> (Select<E>, Vec<&'static str>) {
    let mut wanted = Condition::all();
    for word in query.words() {
        let columns = E::searched().into_iter();
        wanted = wanted.add(columns.fold(Condition::any(), |any, column| any.add(contains(column, &word, backend))));
    }
    let mut not_understood = Vec::new();
    for filter in E::filters() {
        match query.filter(filter.name).map(&filter.condition) {
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
