//! Writes a statement from the known parts of its tree, and refuses others.

use sqlparser::ast::{Ident, ObjectName, TableAlias, TableFactor};

use super::{
    error::SqlError,
    limits::MAX_TABLES,
    names::{Names, check_alias, relation_name, simple},
};

/// SQL in progress, and its names.
#[derive(Default)]
pub(super) struct Writer {
    text: String,
    pub(super) names: Names,
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
        self.names.use_column(name);
        self.put(&name.value);
    }

    /// Writes the name of a column of a table.
    pub(super) fn qualified(&mut self, table: &Ident, column: &Ident) {
        self.names.use_qualified(table, column);
        self.put(&table.value);
        self.put(".");
        self.put(&column.value);
    }

    /// Writes all columns of a table.
    pub(super) fn all_columns(&mut self, table: &Ident) {
        self.names.use_all(table);
        self.put(&table.value);
        self.put(".*");
    }

    /// Writes the name of a table or of a common table expression that is already defined.
    pub(super) fn table(&mut self, name: &ObjectName) -> Result<(), SqlError> {
        self.tables += 1;
        if self.tables > MAX_TABLES {
            return Err(SqlError::TooComplex);
        }
        match simple(name).filter(|name| self.names.table(&name.value).is_some()) {
            Some(name) => {
                self.put(&name.value);
                Ok(())
            }
            None => Err(SqlError::Table { table: name.to_string() }),
        }
    }

    /// Writes the definition of an alias of a column.
    pub(super) fn define_column(&mut self, name: &Ident) -> Result<(), SqlError> {
        self.names.define_column(name)?;
        self.put(&name.value);
        Ok(())
    }

    /// Writes the definitions of the columns of a table, if there are any.
    pub(super) fn define_columns(&mut self, alias: &TableAlias) -> Result<(), SqlError> {
        if !alias.columns.is_empty() {
            self.put(" (");
            self.list(&alias.columns, |writer, column| writer.define_column(&column.name))?;
            self.put(")");
        }
        Ok(())
    }

    /// Writes the alias of a table, if there is one, and defines the name of the table.
    pub(super) fn alias(&mut self, relation: &TableFactor, alias: Option<&TableAlias>) -> Result<(), SqlError> {
        if let Some(alias) = alias {
            check_alias(&alias.name)?;
            self.put(if alias.explicit { " AS " } else { " " });
            self.put(&alias.name.value);
            self.define_columns(alias)?;
        }
        if let Some(name) = relation_name(relation) {
            let columns = self.names.of_relation(relation);
            self.names.define_relation(name, columns);
        }
        Ok(())
    }

    /// Returns the statement.
    pub(super) fn finish(self) -> Result<String, SqlError> {
        self.names.verify()?;
        Ok(self.text)
    }
}
