//! Ways to break recovery on purpose: a harness that finds nothing proves nothing unless it finds these.

use clap::ValueEnum;

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Broken {
    /// Finders never find anything.
    Blind,
    /// The operation id is sent neither as token nor as tag.
    Anonymous,
    /// Intents do not wait for the disk: a kill takes whatever the journal got since the command began.
    Unsynced,
    /// Snapshots are written over the old one instead of beside it.
    Torn,
    /// What operations write down on their way is lost.
    Forgetful,
    /// The journal is applied twice.
    Replayed,
}
