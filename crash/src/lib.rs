//! The proof that a SIGKILL at any moment loses nothing.
//!
//! A life is `up` of a program, `up` of what the program becomes, `refresh` after things have changed by themselves, and
//! `destroy`. It is lived again and again, and each time a process that runs one of the commands is killed at another
//! moment: at every boundary that the engine and the world tell of, and at random ones; once, twice, or three times in
//! a row; alone, or with everything lost that was not synced to the disk. Afterwards one run must bring everything in
//! order, with no question asked, and what exists must be what the state says, one thing for each declaration.
//!
//! # Use
//! ```console
//! $ cargo run -p crash -- --all --random 500            # every boundary, and 500 random lives
//! $ cargo run -p crash -- --life up-b/kill:WorldCommitted.7/destroy
//! $ cargo run -p crash -- --broken blind                # recovery is broken: does it notice?
//! ```
//! A life is written as what is killed, how it dies, and what comes after: `up` of the same program, `back`
//! to what was declared first, or `destroy` at once. `kill:ProviderAnswer.3` is SIGKILL at the third answer of a provider, `kill:1500us` after so many microseconds;
//! `cut:` takes what was not synced as well; what follows a `+` falls on the run that recovers. A life that fails is
//! printed with what was open when it died, what differs now, its directory, and the command that lives it again.
//!
//! # What must hold
//! - After a death the state can be read and keeps its invariants, and a preview changes nothing.
//! - One run of the same program succeeds, and a further preview shows no change and the same exports.
//! - What exists is what the state says, ids and properties, both ways; one thing for each declaration.
//! - `destroy` leaves nothing in the world and nothing in the state.
//! - The one exception is [`kinds::LateTag`], whose things nobody can find in the first run after: until the second
//!   the state still knows the operation that made them, and after it all of the above holds for them too.
//!
//! # Layout
//! - [`moment`]: the moments at which a process can be made to die
//! - [`world`]: a cloud in a directory, nastier than a real one
//! - [`kinds`]: what exists in it, one kind for each way to find a lost create again
//! - [`files`]: the files provider of the examples, put to the same test
//! - [`programs`]: the life that is interrupted
//! - [`place`]: where a life happens, and how a command is run there
//! - [`disk`]: what a power cut takes
//! - [`check`]: what must hold afterwards
//! - [`life`]: one life, as it is written on the command line
//! - [`harness`]: all of them
//! - [`broken`]: ways to break recovery on purpose, which the harness must notice

pub mod broken;
pub mod check;
pub mod disk;
#[path = "../../examples/files/provider.rs"]
pub mod files;
pub mod harness;
pub mod kinds;
pub mod life;
pub mod moment;
pub mod place;
pub mod programs;
pub mod shelf;
pub mod world;

/// What a part of the harness returns; its errors are read by people.
pub type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
