//! The orchestrator with real instances: as processes, and as containers of an engine in this process.

mod containers;
mod engine;
mod forwarding;
mod lifetime;
mod replacement;
mod scaling;
mod system;

use system::{Kind, System};

/// Runs a test with both runtimes.
macro_rules! with_both_runtimes {
    ($($test:ident, $with_processes:ident, $with_containers:ident;)*) => {
        $(
            #[test]
            fn $with_processes() {
                $test(crate::orchestrator::Kind::Processes);
            }

            #[test]
            fn $with_containers() {
                $test(crate::orchestrator::Kind::Containers);
            }
        )*
    };
}
pub(crate) use with_both_runtimes;
