//! Deliberate defects of recovery. The harness must detect each of them; otherwise its success would prove nothing.

use clap::ValueEnum;

/// A deliberate defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Broken {
    /// Recovery never finds the resource of a lost create.
    Blind,
    /// Creates send the operation id neither as token nor as tag.
    Anonymous,
    /// Intents are not synced: a kill loses journal entries that the command has written.
    Unsynced,
    /// Snapshots overwrite the previous snapshot in place instead of being renamed over it.
    Torn,
    /// The progress entries of operations are lost.
    Forgetful,
    /// The entries of the journal are applied twice.
    Replayed,
}
