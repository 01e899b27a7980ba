//! Limits of a statement.

/// Maximum length, in bytes.
pub const MAX_BYTES: usize = 32 * 1024;

/// Maximum number of words and operators. It limits the depth of the tree, whose visitors are recursive.
pub const MAX_TOKENS: usize = 300;

/// Maximum depth of parentheses. The time of the parser grows exponentially with it.
pub const MAX_DEPTH: usize = 8;

/// Maximum number of tables, each of which multiplies the work of the database.
pub const MAX_TABLES: usize = 6;

/// Maximum number of inserted rows.
pub const MAX_ROWS: usize = 1000;
