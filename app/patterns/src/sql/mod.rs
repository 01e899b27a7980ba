//! Check of SQL statements against a small subset of SQL.
//!
//! The check never decides about the text of a client. It reads the text into tokens and refuses all that the databases
//! could read differently (`tokens`), parses them, and writes the statement again from the parts of the tree that it knows
//! (`writer`). The new text must parse to the same tree: otherwise the statement has a part that the writer does not know,
//! and is refused. Only the new text is passed on.
//!
//! | difference between the databases | rule |
//! |---|---|
//! | comments: nested, `#`, `--` without a space, executable `/*! */` | refused |
//! | backslash in a text: an escape or a character | refused; the proxy also makes it a character in all sessions |
//! | `E''`, `U&''`, `N''`, `X''`, `B''`, `$$` | refused |
//! | `"x"`: an identifier or a text; `` `x` ``; `[x]` | refused |
//! | case of table names | identifiers are in lower case |
//! | `\|\|`: concatenation or disjunction; `@`, `:=`, `?`, `{` | refused |
//! | functions, also without parentheses (`current_user`) or after a row (`x.row_to_json`) | only the functions of [`FUNCTIONS`]; names must be columns or aliases |
//! | system columns and tables | only known columns and tables |
//!
//! Names of common table expressions are tables from their definition on, and are allowed at the start of a statement only, so
//! that none can hide a table of the system in one place and be absent in another.

mod error;
mod expression;
mod insert;
mod limits;
mod names;
mod select;
mod tokens;
mod writer;

use std::{panic::catch_unwind, thread};

use sqlparser::{
    ast::Statement,
    dialect::AnsiDialect,
    parser::{Parser, ParserError},
    tokenizer::Token,
};

pub use error::SqlError;
pub use expression::FUNCTIONS;
pub use limits::{MAX_BYTES, MAX_DEPTH, MAX_ROWS, MAX_TABLES, MAX_TOKENS};

use crate::operation::Table;
use writer::Writer;

/// Kind of a statement, which depends on the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A query.
    Select,
    /// An insertion of literal rows.
    Insert,
}

/// A statement that passed the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// SQL, generated from the parsed statement.
    pub sql: String,
    /// Table into which an `INSERT` inserts.
    pub target: Option<Table>,
}

/// The dialect with the fewest extensions.
const DIALECT: AnsiDialect = AnsiDialect {};

/// Nesting that the parser accepts.
const PARSER_DEPTH: usize = 40;

/// Size of the stack of a check, in bytes. Without optimisation, a level of the parser takes up to 100 KiB.
const STACK: usize = 8 * 1024 * 1024;

/// Maximum number of words and operators of a statement that is checked on the thread of the caller. Each level of the
/// parser reads at least one of them, so that a statement with so few needs a part of the smallest stack of a thread.
const FEW_TOKENS: usize = 12;

/// Checks a statement. The parser is recursive, so a long statement is checked on a thread of its own with a large stack. A
/// panic of the parser refuses the statement.
///
/// # Errors
/// [`SqlError`] with the reason, for the client.
pub fn check(sql: &str, kind: Kind) -> Result<Checked, SqlError> {
    let tokens = tokens::read(sql)?;
    if tokens::words(&tokens) <= FEW_TOKENS {
        return catch_unwind(|| check_here(tokens, kind)).unwrap_or(Err(SqlError::TooComplex));
    }
    thread::scope(|scope| {
        let check = || check_here(tokens, kind);
        let thread = thread::Builder::new().name("sql".to_owned()).stack_size(STACK).spawn_scoped(scope, check);
        thread.map_err(|_| SqlError::Busy)?.join().unwrap_or(Err(SqlError::TooComplex))
    })
}

fn check_here(tokens: Vec<Token>, kind: Kind) -> Result<Checked, SqlError> {
    let statement = parse(tokens)?;
    let mut writer = Writer::default();
    let target = match (kind, &statement) {
        (Kind::Select, Statement::Query(query)) => {
            writer.statement(query)?;
            None
        }
        (Kind::Insert, Statement::Insert(insert)) => Some(writer.insert(insert)?),
        (Kind::Select, _) => return Err(SqlError::WrongKind { allowed: "SELECT" }),
        (Kind::Insert, _) => return Err(SqlError::WrongKind { allowed: "INSERT" }),
    };
    let sql = writer.finish()?;
    if sql.len() > MAX_BYTES {
        return Err(SqlError::TooLong);
    }
    let again = tokens::read(&sql).and_then(parse).map_err(|_| SqlError::UnknownPart)?;
    if again == statement { Ok(Checked { sql, target }) } else { Err(SqlError::UnknownPart) }
}

fn parse(tokens: Vec<Token>) -> Result<Statement, SqlError> {
    let parser = Parser::new(&DIALECT).with_recursion_limit(PARSER_DEPTH).with_tokens(tokens);
    let statements = { parser }.parse_statements().map_err(|error| match error {
        ParserError::RecursionLimitExceeded => SqlError::TooComplex,
        ParserError::TokenizerError(reason) | ParserError::ParserError(reason) => SqlError::Malformed { reason },
    })?;
    match <[Statement; 1]>::try_from(statements) {
        Ok([statement]) => Ok(statement),
        Err(statements) if statements.is_empty() => Err(SqlError::Empty),
        Err(_) => Err(SqlError::SeveralStatements),
    }
}

#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;
