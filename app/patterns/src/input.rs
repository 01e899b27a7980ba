//! Bodies of requests: `{"sql", "table"?}`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    operation::{Operation, Table},
    sql::{self, Kind, SqlError},
};

/// Placeholder for the name of the table in the SQL of an insertion.
const PLACEHOLDER: &str = "{table}";

/// Error for a body that a tier refuses.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The body is not JSON.
    #[error("The body is not JSON: {0}")]
    NotJson(serde_json::Error),
    /// The body is JSON, and not an object.
    #[error("The body is not a JSON object")]
    NotAnObject,
    /// The statement is missing or empty.
    #[error("No SQL query provided")]
    NoSql,
    /// The statement is not a string.
    #[error("\"sql\" is not a string")]
    SqlNotText,
    /// The table is not a string, or not one of the tables.
    #[error("\"table\" is not direct_table, random_table or customized_table")]
    UnknownTable,
    /// The statement inserts into another table than the body names.
    #[error("\"table\" is {named}, and the statement inserts into {target}")]
    OtherTable {
        /// Table in the body.
        named: Table,
        /// Table in the statement.
        target: Table,
    },
    /// The statement is refused.
    #[error(transparent)]
    Sql(#[from] SqlError),
}

/// A checked statement, in the form in which a tier passes it on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// SQL, generated from the parsed statement.
    pub sql: String,
    /// Table into which the statement inserts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Table>,
}

impl Input {
    /// Parses a body and checks its statement.
    ///
    /// # Errors
    /// [`InputError`], which is the reason of the response 400.
    pub fn check(body: &[u8], operation: Operation) -> Result<Self, InputError> {
        let (sql, table) = members(body)?;
        match operation {
            Operation::Fetch(_) => Ok(Self { sql: sql::check(&sql, Kind::Select)?.sql, table: None }),
            Operation::Populate => {
                let named = table.as_ref().map(table_of).transpose()?;
                let filled = sql.replace(PLACEHOLDER, named.unwrap_or(Table::Direct).name());
                let checked = sql::check(&filled, Kind::Insert)?;
                match (named, checked.target) {
                    (Some(named), Some(target)) if named != target => Err(InputError::OtherTable { named, target }),
                    (_, target) => Ok(Self { sql: checked.sql, table: target }),
                }
            }
        }
    }

    /// Parses a body that a tier has passed on, without a check of its statement.
    ///
    /// # Errors
    /// [`InputError`] if it has another form.
    pub fn trusted(body: &[u8]) -> Result<Self, InputError> {
        serde_json::from_slice(body).map_err(InputError::NotJson)
    }

    /// Returns the body for the next tier.
    pub fn body(&self) -> Vec<u8> {
        let Self { sql, table } = self;
        let mut body = serde_json::json!({ "sql": sql });
        if let Some(table) = table {
            body["table"] = table.name().into();
        }
        body.to_string().into_bytes()
    }
}

/// Returns the SQL of a body, and its table if there is one.
fn members(body: &[u8]) -> Result<(String, Option<Value>), InputError> {
    if body.is_empty() {
        return Err(InputError::NoSql);
    }
    let Value::Object(mut members) = serde_json::from_slice(body).map_err(InputError::NotJson)? else {
        return Err(InputError::NotAnObject);
    };
    let sql = match members.remove("sql") {
        None | Some(Value::Null) => return Err(InputError::NoSql),
        Some(Value::String(sql)) if sql.trim().is_empty() => return Err(InputError::NoSql),
        Some(Value::String(sql)) => sql,
        Some(_) => return Err(InputError::SqlNotText),
    };
    Ok((sql, members.remove("table").filter(|table| !table.is_null())))
}

fn table_of(value: &Value) -> Result<Table, InputError> {
    value.as_str().and_then(Table::named).ok_or(InputError::UnknownTable)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::operation::Mode;

    fn refusal(body: &str, operation: Operation) -> String {
        Input::check(body.as_bytes(), operation).unwrap_err().to_string()
    }

    #[test]
    fn a_placeholder_is_replaced_by_the_table() {
        let sql = "INSERT INTO {table} (column1, column2) VALUES ('a', 'b')";
        for (table, expected) in [("", Table::Direct), (r#","table":"random_table""#, Table::Random)] {
            let body = format!(r#"{{"sql":"{sql}"{table}}}"#);
            let input = Input::check(body.as_bytes(), Operation::Populate).unwrap();
            assert_eq!(input.table, Some(expected));
            assert_eq!(input.sql, sql.replace(PLACEHOLDER, expected.name()));
        }
    }

    #[test]
    fn a_checked_body_is_unchanged_by_another_check() {
        let body = br#"{"sql":"insert into {table} values (1, 'o''b', NULL);","table":"customized_table"}"#;
        let first = Input::check(body, Operation::Populate).unwrap();
        assert_eq!(Input::check(&first.body(), Operation::Populate).unwrap(), first);
        assert_eq!(Input::trusted(&first.body()).unwrap(), first);
    }

    #[test]
    fn a_body_without_a_statement_is_refused() {
        for body in ["", "{}", r#"{"sql":null}"#, r#"{"sql":""}"#, r#"{"sql":" \n"}"#, r#"{"query":"SELECT 1"}"#] {
            for operation in Operation::ALL {
                assert_eq!(refusal(body, operation), "No SQL query provided", "{body}");
            }
        }
    }

    #[test]
    fn an_invalid_body_is_refused_with_the_reason() {
        let insert = "INSERT INTO random_table (column1) VALUES ('a')";
        for (body, reason) in [
            ("{".to_owned(), "The body is not JSON: EOF while parsing an object at line 1 column 1"),
            ("[1]".to_owned(), "The body is not a JSON object"),
            (r#"{"sql":1}"#.to_owned(), "\"sql\" is not a string"),
            (
                format!(r#"{{"sql":"{insert}","table":"users"}}"#),
                "\"table\" is not direct_table, random_table or customized_table",
            ),
            (
                format!(r#"{{"sql":"{insert}","table":["random_table"]}}"#),
                "\"table\" is not direct_table, random_table or customized_table",
            ),
            (
                format!(r#"{{"sql":"{insert}","table":"direct_table"}}"#),
                "\"table\" is direct_table, and the statement inserts into random_table",
            ),
        ] {
            assert_eq!(refusal(&body, Operation::Populate), reason);
        }
        let select = r#"{"sql":"SELECT * FROM direct_table"}"#;
        assert_eq!(refusal(select, Operation::Populate), "Only INSERT is allowed on this path");
        let insert = format!(r#"{{"sql":"{insert}"}}"#);
        assert_eq!(refusal(&insert, Operation::Fetch(Mode::Random)), "Only SELECT is allowed on this path");
    }
}
