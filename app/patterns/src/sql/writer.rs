//! Writes a statement from the known parts of its tree, and refuses others.

use std::collections::BTreeSet;

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart, TableAlias};

use super::{error::SqlError, limits::MAX_TABLES, tokens};
use crate::operation::{COLUMNS, Table};

/// Functions of PostgreSQL and MariaDB that are called without parentheses and are no words of the parser.
const BARE_FUNCTIONS: &[&str] = &["current_role", "system_user", "utc_date", "utc_time", "utc_timestamp", "sysdate"];

/// SQL in progress, and its names.
#[derive(Default)]
pub(super) struct Writer {
    text: String,
    /// Common table expressions that are defined so far.
    common: BTreeSet<String>,
    /// Aliases of columns and of tables.
    aliases: BTreeSet<String>,
    /// Names in expressions, which [`Writer::finish`] compares with the aliases: these may be defined later.
    columns: BTreeSet<String>,
    tables: usize,
}

impl Writer {
    /// Appends a part of the statement. Parts that start with a letter start with a space as well.
    pub(super) fn put(&mut self, part: &str) {
        self.text.push_str(part);
    }

    /// Appends a text, quoted.
    pub(super) fn quote(&mut self, text: &str) {
        self.text.push('\'');
        self.text.push_str(&text.replace('\'', "''"));
        self.text.push('\'');
    }

    /// Writes a list, separated by commas.
    pub(super) fn list<T>(
        &mut self,
        items: &[T],
        mut write: impl FnMut(&mut Self, &T) -> Result<(), SqlError>,
    ) -> Result<(), SqlError> {
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.put(", ");
            }
            write(self, item)?;
        }
        Ok(())
    }

    /// Writes the name of a column or an alias in an expression.
    pub(super) fn column(&mut self, name: &Ident) {
        self.columns.insert(name.value.clone());
        self.put(&name.value);
    }

    /// Writes the name of a table or of a common table expression that is already defined.
    pub(super) fn table(&mut self, name: &ObjectName) -> Result<(), SqlError> {
        self.tables += 1;
        if self.tables > MAX_TABLES {
            return Err(SqlError::TooComplex);
        }
        let simple = simple(name).map(|name| name.value.as_str());
        match simple.filter(|name| Table::named(name).is_some() || self.common.contains(*name)) {
            Some(name) => {
                self.aliases.insert(name.to_owned());
                self.put(name);
                Ok(())
            }
            None => Err(SqlError::Table { table: name.to_string() }),
        }
    }

    /// Writes the definition of an alias.
    pub(super) fn define(&mut self, name: &Ident) -> Result<(), SqlError> {
        let value = &name.value;
        let is_reserved = tokens::is_keyword(value) || value.starts_with("pg_");
        if is_reserved || BARE_FUNCTIONS.contains(&value.as_str()) || Table::named(value).is_some() {
            return Err(SqlError::Alias { name: value.clone() });
        }
        self.aliases.insert(value.clone());
        self.put(value);
        Ok(())
    }

    /// Writes the alias of a table, if there is one.
    pub(super) fn alias(&mut self, alias: Option<&TableAlias>) -> Result<(), SqlError> {
        let Some(TableAlias { explicit, name, columns, at: _ }) = alias else {
            return Ok(());
        };
        self.put(if *explicit { " AS " } else { " " });
        self.define(name)?;
        if !columns.is_empty() {
            self.put(" (");
            self.list(columns, |writer, column| writer.define(&column.name))?;
            self.put(")");
        }
        Ok(())
    }

    /// Makes a common table expression visible.
    pub(super) fn define_common(&mut self, name: &Ident) {
        self.common.insert(name.value.clone());
    }

    /// Returns the statement.
    pub(super) fn finish(self) -> Result<String, SqlError> {
        let is_known = |name: &&String| COLUMNS.contains(&name.as_str()) || self.aliases.contains(*name);
        match self.columns.iter().find(|name| !is_known(name)) {
            Some(name) => Err(SqlError::Column { name: name.clone() }),
            None => Ok(self.text),
        }
    }
}

/// Returns the name if it has one part.
pub(super) fn simple(name: &ObjectName) -> Option<&Ident> {
    match &name.0[..] {
        [ObjectNamePart::Identifier(name)] => Some(name),
        _ => None,
    }
}
