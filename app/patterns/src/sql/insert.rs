//! Insertions of the subset: literal rows into one table.

use sqlparser::ast::{Expr, Ident, Insert, ObjectName, SetExpr, TableObject, UnaryOperator, Values};

use super::{
    error::{SqlError, shortened},
    limits::MAX_ROWS,
    names::simple,
    writer::Writer,
};
use crate::operation::{COLUMNS, Table};

impl Writer {
    /// Writes an insertion and returns its table.
    pub(super) fn insert(&mut self, insert: &Insert) -> Result<Table, SqlError> {
        let refused = |construct| Err(SqlError::Construct { construct });
        if insert.on.is_some() {
            return refused("ON CONFLICT or ON DUPLICATE KEY");
        }
        if insert.returning.is_some() {
            return refused("RETURNING");
        }
        let TableObject::TableName(name) = &insert.table else {
            return refused("An insertion into another object than a table");
        };
        let table = simple(name).and_then(|name| Table::named(&name.value));
        let table = table.ok_or_else(|| SqlError::Table { table: shortened(&name.to_string()) })?;
        self.put("INSERT INTO ");
        self.put(table.name());
        if !insert.columns.is_empty() {
            self.put(" (");
            self.list(&insert.columns, Self::inserted_column)?;
            self.put(")");
        }
        let Some(SetExpr::Values(Values { rows, .. })) = insert.source.as_deref().map(|query| &*query.body) else {
            return refused("An insertion of anything but VALUES");
        };
        if rows.len() > MAX_ROWS {
            return Err(SqlError::TooManyRows);
        }
        self.put(" VALUES ");
        self.list(rows, |writer, row| writer.parenthesised(|writer| writer.list(&row.content, Self::inserted_value)))?;
        Ok(table)
    }

    fn inserted_column(&mut self, name: &ObjectName) -> Result<(), SqlError> {
        match simple(name).filter(|name| COLUMNS.contains(&name.value.as_str())) {
            Some(column) => {
                self.column(column);
                Ok(())
            }
            None => Err(SqlError::Column { name: shortened(&name.to_string()) }),
        }
    }

    fn inserted_value(&mut self, value: &Expr) -> Result<(), SqlError> {
        match value {
            Expr::Value(literal) => self.literal(&literal.value),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } if matches!(**expr, Expr::Value(_)) => {
                self.put("- ");
                self.inserted_value(expr)
            }
            Expr::Identifier(Ident { value, .. }) if value == "default" => {
                self.put("DEFAULT");
                Ok(())
            }
            _ => Err(SqlError::Expression { expression: shortened(&value.to_string()) }),
        }
    }
}
