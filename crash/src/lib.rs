//! A harness that kills runs of the engine at any moment and checks that no resource is lost.
//!
//! The engine runs four commands: `up` of an initial program, `up` of its changed version, `refresh` after resources have
//! changed outside of the engine, and `destroy`. A scenario kills the process of one of them at a certain moment, and runs
//! further commands afterwards. The harness executes scenarios with every boundary that the engine and the simulated cloud
//! report, and with random moments; with one, two or three kills in a row; and with the additional loss of all data that was
//! not synced to the disk. After the kills, a single run must reconcile all resources without user interaction, and the
//! existing resources must match the state: one resource for each declaration.
//!
//! # Use
//! ```console
//! $ cargo run -p crash -- --all --random 500            # every boundary, and 500 random scenarios
//! $ cargo run -p crash -- --scenario up-b/kill:CloudCommitted.7/destroy
//! $ cargo run -p crash -- --broken blind                # checks that the harness detects broken recovery
//! ```
//! A scenario is written as COMMAND/KILLS/ENDING. The ending is `up` of the same program, `revert` to the initial program, or
//! `destroy`. `kill:ProviderAnswer.3` is a SIGKILL at the third response of a provider, `kill:1500us` a SIGKILL after so
//! many microseconds; `cut:` also loses unsynced data. Kills after a `+` apply to the run that recovers from the previous
//! kill. For a scenario that fails, the harness prints the operations that were open at the kill, the present differences,
//! the directory, and the command that repeats it.
//!
//! # Invariants
//! - After a kill, the state can be read and satisfies its invariants, and a preview does not modify it.
//! - One run of the same program succeeds, and a further preview shows no changes and the same exports.
//! - The existing resources are exactly those of the state, with the same ids and properties; one for each declaration.
//! - `destroy` leaves no resource in the cloud and none in the state.
//! - The only exception is [`kinds::LateTag`], whose resources cannot be found by the first run after the kill: until the
//!   second run, the state still contains the operation that created them; after it, all of the above applies to them too.
//!
//! # Layout
//! - [`moment`]: the boundaries at which a process can be killed
//! - [`cloud`]: a simulated cloud in a directory, less forgiving than a real one
//! - [`kinds`]: its resources, one kind for each strategy to find a lost create
//! - [`files`]: the files provider of the examples, which the scenarios use as well
//! - [`programs`]: the initial and the changed program
//! - [`objects`]: an object store in a directory, and an accelerated clock
//! - [`sandbox`]: the directory of a scenario, and the commands that run in it
//! - [`disk`]: the loss of unsynced data
//! - [`check`]: the checks after a run
//! - [`scenario`]: one scenario and its notation on the command line
//! - [`harness`]: enumeration and parallel execution of scenarios
//! - [`broken`]: deliberate defects of recovery, which the harness must detect

pub mod broken;
pub mod check;
pub mod cloud;
pub mod disk;
#[path = "../../examples/files/provider.rs"]
pub mod files;
pub mod harness;
pub mod kinds;
pub mod moment;
pub mod objects;
pub mod programs;
pub mod sandbox;
pub mod scenario;

/// Result of the harness's functions. The errors are only printed.
pub type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
