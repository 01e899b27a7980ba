//! Names of a statement: tables, their columns, and aliases.
//!
//! PostgreSQL calls a function for `x.name` if `x` is a row without a column `name`. So the columns of every table, subquery and
//! common table expression are known, and a qualified name must be one of them.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias,
    TableFactor, TableWithJoins,
};

use super::{error::SqlError, tokens};
use crate::operation::{COLUMNS, Table};

/// Names that no alias may have: functions that are called without parentheses and are no words of the parser, and columns of
/// the system.
const RESERVED: &[&str] = &[
    "_rowid",
    "cmax",
    "cmin",
    "ctid",
    "current_role",
    "oid",
    "rowid",
    "sysdate",
    "system_user",
    "tableoid",
    "utc_date",
    "utc_time",
    "utc_timestamp",
    "xmax",
    "xmin",
];

/// Names of columns.
pub(super) type Columns = BTreeSet<String>;

/// Names of a statement.
#[derive(Default)]
pub(super) struct Names {
    /// Common table expressions that are defined so far.
    common: BTreeMap<String, Columns>,
    /// Tables and their aliases. A name that is defined in several places has the columns that all of them have.
    relations: BTreeMap<String, Columns>,
    /// Aliases of columns.
    aliases: Columns,
    /// Names in expressions, which may be defined later.
    used: Columns,
    /// Qualified names in expressions.
    qualified: BTreeSet<(String, String)>,
    /// Tables of `x.*`.
    expanded: BTreeSet<String>,
}

impl Names {
    /// Returns the columns of a table, or of a common table expression that is already defined.
    pub(super) fn table(&self, name: &str) -> Option<Columns> {
        let table = Table::named(name).map(|_| COLUMNS.map(str::to_owned).into());
        table.or_else(|| self.common.get(name).cloned())
    }

    /// Makes a common table expression visible.
    pub(super) fn define_common(&mut self, name: &Ident, columns: Columns) {
        self.common.insert(name.value.clone(), columns);
    }

    /// Defines a name of a table.
    pub(super) fn define_relation(&mut self, name: &Ident, columns: Columns) {
        match self.relations.get_mut(&name.value) {
            Some(known) => known.retain(|column| columns.contains(column)),
            None => drop(self.relations.insert(name.value.clone(), columns)),
        }
    }

    /// Defines an alias of a column.
    pub(super) fn define_column(&mut self, name: &Ident) -> Result<(), SqlError> {
        check_alias(name)?;
        self.aliases.insert(name.value.clone());
        Ok(())
    }

    pub(super) fn use_column(&mut self, name: &Ident) {
        self.used.insert(name.value.clone());
    }

    pub(super) fn use_qualified(&mut self, table: &Ident, column: &Ident) {
        self.qualified.insert((table.value.clone(), column.value.clone()));
    }

    pub(super) fn use_all(&mut self, table: &Ident) {
        self.expanded.insert(table.value.clone());
    }

    /// Checks that all used names are defined.
    pub(super) fn verify(&self) -> Result<(), SqlError> {
        let is_column = |name: &&String| COLUMNS.contains(&name.as_str()) || self.aliases.contains(*name);
        if let Some(name) = self.used.iter().find(|name| !is_column(name)) {
            return Err(SqlError::Column { name: name.clone() });
        }
        let has_column =
            |table: &String, column: &String| self.relations.get(table).is_some_and(|columns| columns.contains(column));
        if let Some((table, column)) = self.qualified.iter().find(|(table, column)| !has_column(table, column)) {
            return Err(SqlError::Column { name: format!("{table}.{column}") });
        }
        match self.expanded.iter().find(|table| !self.relations.contains_key(*table)) {
            Some(table) => Err(SqlError::Column { name: format!("{table}.*") }),
            None => Ok(()),
        }
    }

    /// Returns the columns of a query that have a name.
    pub(super) fn of_query(&self, set: &SetExpr) -> Columns {
        match set {
            SetExpr::Select(select) => self.of_select(select),
            SetExpr::Query(query) => self.of_query(&query.body),
            // The first query names the columns.
            SetExpr::SetOperation { left, .. } => self.of_query(left),
            _ => Columns::new(),
        }
    }

    fn of_select(&self, select: &Select) -> Columns {
        let mut columns = Columns::new();
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(Expr::Identifier(name)) => drop(columns.insert(name.value.clone())),
                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => {
                    columns.extend(names.last().map(|name| name.value.clone()));
                }
                SelectItem::ExprWithAlias { alias, .. } => drop(columns.insert(alias.value.clone())),
                SelectItem::Wildcard(_) => {
                    columns.extend(select.from.iter().flat_map(|joined| self.of_joined(joined, None)));
                }
                SelectItem::QualifiedWildcard(kind, _) => {
                    if let Some(table) = star(kind) {
                        columns.extend(select.from.iter().flat_map(|joined| self.of_joined(joined, Some(table))));
                    }
                }
                _ => (),
            }
        }
        columns
    }

    /// Returns the columns of joined tables, or of the one with a name.
    fn of_joined(&self, TableWithJoins { relation, joins }: &TableWithJoins, name: Option<&Ident>) -> Columns {
        let relations = [relation].into_iter().chain(joins.iter().map(|join| &join.relation));
        relations.flat_map(|relation| self.of_named(relation, name)).collect()
    }

    fn of_named(&self, relation: &TableFactor, name: Option<&Ident>) -> Columns {
        match (relation, name) {
            (TableFactor::NestedJoin { table_with_joins, alias: None }, name) => self.of_joined(table_with_joins, name),
            (relation, Some(name)) if relation_name(relation) != Some(name) => Columns::new(),
            (relation, _) => self.of_relation(relation),
        }
    }

    /// Returns the columns of a table.
    pub(super) fn of_relation(&self, relation: &TableFactor) -> Columns {
        let (columns, alias) = match relation {
            TableFactor::Table { name, alias, .. } => {
                (simple(name).and_then(|name| self.table(&name.value)).unwrap_or_default(), alias)
            }
            TableFactor::Derived { subquery, alias, .. } => (self.of_query(&subquery.body), alias),
            TableFactor::NestedJoin { table_with_joins, alias } => (self.of_joined(table_with_joins, None), alias),
            _ => return Columns::new(),
        };
        match alias {
            Some(TableAlias { columns: names, .. }) if !names.is_empty() => {
                names.iter().map(|column| column.name.value.clone()).collect()
            }
            _ => columns,
        }
    }
}

/// Returns the name by which expressions refer to a table.
pub(super) fn relation_name(relation: &TableFactor) -> Option<&Ident> {
    match relation {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::NestedJoin { alias: Some(alias), .. } => Some(&alias.name),
        TableFactor::Table { name, alias: None, .. } => simple(name),
        _ => None,
    }
}

/// Checks that a name may be an alias.
pub(super) fn check_alias(Ident { value, .. }: &Ident) -> Result<(), SqlError> {
    let is_reserved = tokens::is_keyword(value) || value.starts_with("pg_") || RESERVED.contains(&value.as_str());
    if is_reserved || Table::named(value).is_some() { Err(SqlError::Alias { name: value.clone() }) } else { Ok(()) }
}

/// Returns the name if it has one part.
pub(super) fn simple(name: &ObjectName) -> Option<&Ident> {
    match &name.0[..] {
        [ObjectNamePart::Identifier(name)] => Some(name),
        _ => None,
    }
}

/// Returns the table of `x.*`.
pub(super) fn star(kind: &SelectItemQualifiedWildcardKind) -> Option<&Ident> {
    match kind {
        SelectItemQualifiedWildcardKind::ObjectName(name) => simple(name),
        SelectItemQualifiedWildcardKind::Expr(_) => None,
    }
}
