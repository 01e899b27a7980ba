//! Operations of the API: their paths, the modes of reads, and the tables.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An operation on the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Inserts rows.
    Populate,
    /// Reads rows.
    Fetch(Mode),
}

/// Selection of the node that a read runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The manager.
    Direct,
    /// A worker, drawn for each request.
    Random,
    /// The node with the lowest measured latency.
    Customized,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Direct, Self::Random, Self::Customized];

    /// Returns the name of the mode.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Random => "random",
            Self::Customized => "customized",
        }
    }

    /// Returns the table that the client reads in this mode.
    pub fn table(self) -> Table {
        match self {
            Self::Direct => Table::Direct,
            Self::Random => Table::Random,
            Self::Customized => Table::Customized,
        }
    }
}

impl Operation {
    /// All operations.
    pub const ALL: [Self; 4] =
        [Self::Populate, Self::Fetch(Mode::Direct), Self::Fetch(Mode::Random), Self::Fetch(Mode::Customized)];

    /// Returns the path, which is the same on all tiers.
    pub fn path(self) -> &'static str {
        match self {
            Self::Populate => "/populate_tables",
            Self::Fetch(Mode::Direct) => "/fetch_direct",
            Self::Fetch(Mode::Random) => "/fetch_random",
            Self::Fetch(Mode::Customized) => "/fetch_customized",
        }
    }
}

/// A table of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Table {
    /// `direct_table`.
    #[serde(rename = "direct_table")]
    Direct,
    /// `random_table`.
    #[serde(rename = "random_table")]
    Random,
    /// `customized_table`.
    #[serde(rename = "customized_table")]
    Customized,
}

/// Columns of every table.
pub const COLUMNS: [&str; 3] = ["id", "column1", "column2"];

impl Table {
    /// All tables.
    pub const ALL: [Self; 3] = [Self::Direct, Self::Random, Self::Customized];

    /// Returns the name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct_table",
            Self::Random => "random_table",
            Self::Customized => "customized_table",
        }
    }

    /// Returns the table with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
