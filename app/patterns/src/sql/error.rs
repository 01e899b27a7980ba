//! Reasons for which a statement is refused.

use super::limits::{MAX_BYTES, MAX_ROWS};

/// Reason for which a statement is refused. The text is for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// The text is too long.
    #[error("The statement is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// The statement has too many words, operators, tables or parentheses.
    #[error("The statement is too complex")]
    TooComplex,
    /// An `INSERT` has too many rows.
    #[error("The statement inserts more than {MAX_ROWS} rows")]
    TooManyRows,
    /// The text contains no statement.
    #[error("The statement is empty")]
    Empty,
    /// The text contains several statements.
    #[error("Only one statement is allowed")]
    SeveralStatements,
    /// The text contains a comment.
    #[error("Comments are not allowed")]
    Comment,
    /// A text contains a backslash.
    #[error("Backslashes are not allowed, because databases read them differently")]
    Backslash,
    /// A text contains a control character.
    #[error("Control characters are not allowed")]
    ControlCharacter,
    /// The text contains a token outside of the subset.
    #[error("{token} is not allowed")]
    Token {
        /// The token, shortened.
        token: String,
    },
    /// The parser refuses the text.
    #[error("The statement cannot be parsed: {reason}")]
    Malformed {
        /// Reason of the parser.
        reason: String,
    },
    /// The statement is of another kind.
    #[error("Only {allowed} is allowed on this path")]
    WrongKind {
        /// Allowed kind.
        allowed: &'static str,
    },
    /// The statement uses another table.
    #[error("Table {table} is not allowed; the tables are direct_table, random_table and customized_table")]
    Table {
        /// Name of the table.
        table: String,
    },
    /// A name is neither a column nor an alias.
    #[error("Column {name} is not allowed; the columns are id, column1, column2 and the aliases of the statement")]
    Column {
        /// The name.
        name: String,
    },
    /// An alias is a word of SQL, or belongs to the system.
    #[error("{name} is not allowed as an alias; choose another name")]
    Alias {
        /// The alias.
        name: String,
    },
    /// The statement calls another function.
    #[error("Function {function} is not allowed")]
    Function {
        /// Name of the function.
        function: String,
    },
    /// The statement contains a known construct that is not part of the subset.
    #[error("{construct} is not allowed")]
    Construct {
        /// The construct.
        construct: &'static str,
    },
    /// The statement contains an expression outside of the subset.
    #[error("The expression {expression} is not allowed")]
    Expression {
        /// The expression, shortened.
        expression: String,
    },
    /// The operating system refuses the thread of the check.
    #[error("The statement cannot be checked now; try again shortly")]
    Busy,
    /// The statement contains a part that is not part of the subset.
    #[error("A part of the statement is not allowed")]
    UnknownPart,
}

/// Returns the start of a text, for an error.
pub(super) fn shortened(text: &str) -> String {
    const MAX: usize = 60;
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
