//! Errors of queries and of the cluster.

use kit::combine::Abandoned;
use sea_orm::sqlx;

use super::rows::TooLarge;

/// Error of a statement on a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The database refuses the statement.
    #[error("{reason}")]
    Refused {
        /// Message of the database.
        reason: String,
    },
    /// The database cancelled the statement because of a concurrent change, so that a retry may succeed.
    #[error("{reason}")]
    Conflict {
        /// Message of the database.
        reason: String,
    },
    /// The result is too large.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The node does not answer, or refuses every statement. The statement was not executed.
    #[error("The node does not answer")]
    Away {
        /// Cause, for the log.
        cause: String,
    },
    /// The node stopped answering during the statement, which may have been executed.
    #[error("The node does not answer")]
    Lost {
        /// Cause, for the log.
        cause: String,
    },
}

/// Error of an operation on the cluster. The client receives the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// The manager does not answer.
    #[error("The manager of the database cluster does not answer")]
    ManagerAway,
    /// No node answers that may run the read.
    #[error("No node of the database cluster answers")]
    NoNode,
    /// The manager stopped answering during a write.
    #[error("The manager of the database cluster does not answer; the rows may have been inserted")]
    WriteLost,
    /// The manager has no tables yet.
    #[error("The manager of the database cluster has no tables yet")]
    NotMigrated,
    /// The statement failed.
    #[error("{error}")]
    Query {
        /// Name of the node.
        node: String,
        /// Error of the node.
        error: QueryError,
    },
}

impl QueryError {
    /// Returns the error for a connection that cannot be acquired.
    pub(super) fn away(error: &sqlx::Error) -> Self {
        Self::Away { cause: error.to_string() }
    }
}

impl From<Abandoned> for QueryError {
    fn from(error: Abandoned) -> Self {
        Self::Lost { cause: error.to_string() }
    }
}

impl From<sqlx::Error> for QueryError {
    fn from(error: sqlx::Error) -> Self {
        let sqlx::Error::Database(refusal) = &error else {
            return Self::Lost { cause: error.to_string() };
        };
        let reason = refusal.message().to_owned();
        match refusal.code().as_deref() {
            Some(code) if is_away(code) => Self::Away { cause: reason },
            Some(code) if code.starts_with("40") => Self::Conflict { reason },
            _ => Self::Refused { reason },
        }
    }
}

/// Returns whether an SQLSTATE means that the server is away: connection (08), resources (53), shutdown (57P).
fn is_away(code: &str) -> bool {
    ["08", "53", "57P"].iter().any(|class| code.starts_with(class))
}
