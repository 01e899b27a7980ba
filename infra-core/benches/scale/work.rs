//! The measured operations.

use super::{Measured, machine, program};
use infra_core::{
    Config, Engine, Stack,
    diff::Action,
    engine::Program,
    execute::Report,
    store::{FileStore, MemoryStore},
};
use std::{
    path::Path,
    str::FromStr,
    time::{Duration, Instant},
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Work {
    Create,
    Preview,
    Destroy,
    CreateTens,
    DestroyTens,
    PathInMemory,
    PathOnDisk,
}

impl Work {
    const ALL: [Self; 7] = [
        Self::Create,
        Self::Preview,
        Self::Destroy,
        Self::CreateTens,
        Self::DestroyTens,
        Self::PathInMemory,
        Self::PathOnDisk,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Preview => "preview",
            Self::Destroy => "destroy",
            Self::CreateTens => "create-tens",
            Self::DestroyTens => "destroy-tens",
            Self::PathInMemory => "path-memory",
            Self::PathOnDisk => "path-disk",
        }
    }

    /// Returns the operation that must run before.
    pub(crate) fn first(self) -> Option<Self> {
        match self {
            Self::Preview | Self::Destroy => Some(Self::Create),
            Self::DestroyTens => Some(Self::CreateTens),
            _ => None,
        }
    }
}

impl FromStr for Work {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|work| work.name() == name).ok_or_else(|| format!("there is no work `{name}`"))
    }
}

/// Executes the operation once, and returns the time and memory of this process.
pub(crate) fn measure(work: Work, count: usize, directory: &Path) -> Measured {
    // The runtime of the command line.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        match work {
            Work::Create | Work::Preview | Work::Destroy => layers(work, count, 64, directory).await,
            Work::CreateTens | Work::DestroyTens => layers(work, count, 10, directory).await,
            Work::PathInMemory => path(count, Engine::new("bench", "dev", MemoryStore::new())).await,
            Work::PathOnDisk => path(count, Engine::new("bench", "dev", FileStore::new(directory))).await,
        }
    })
}

async fn layers(work: Work, count: usize, width: usize, directory: &Path) -> Measured {
    let program = move |stack: &Stack, _: &Config| {
        program::layers(stack, count, width);
        Ok(())
    };
    let store = FileStore::new(directory);
    let state = store.directory_of("bench", "dev").join("state.json");
    let engine = Engine::new("bench", "dev", store);
    let before = std::fs::metadata(&state).map_or(0, |state| state.len());
    let (wall, cpu) = timed(|| async {
        match work {
            Work::Preview => {
                let plan = engine.preview(&program).await.unwrap();
                assert_eq!(plan.counts(), [(Action::Same, count)].into());
            }
            Work::Destroy | Work::DestroyTens => {
                done(&engine.destroy(&program).parallel(64).await.unwrap(), Action::Delete, count)
            }
            _ => done(&engine.up(&program).parallel(64).await.unwrap(), Action::Create, count),
        }
    })
    .await;
    let after = std::fs::metadata(&state).map_or(0, |state| state.len());
    let note = format!("{} bytes of state each", before.max(after) / count as u64);
    Measured { wall_ms: wall, cpu_ms: cpu, peak_mib: machine::peak_mib(), note, ratio: None }
}

async fn path(count: usize, engine: Engine) -> Measured {
    let program = move |stack: &Stack, _: &Config| {
        program::latencies(stack, count);
        Ok(())
    };
    let program: Program<'_> = &program;
    let (wall, cpu) =
        timed(|| async { done(&engine.up(program).parallel(count).await.unwrap(), Action::Create, count) }).await;
    let critical = program::critical_path(count).as_secs_f64() * 1000.0;
    let ratio = wall / critical;
    let note = format!("{ratio:.3} × the critical path of {critical:.0} ms");
    Measured { wall_ms: wall, cpu_ms: cpu, peak_mib: machine::peak_mib(), note, ratio: Some(ratio) }
}

fn done(report: &Report, action: Action, count: usize) {
    assert!(report.is_success(), "{:?}", report.failures);
    assert_eq!(report.counts.get(&action), Some(&count));
}

/// Returns wall and processor time in milliseconds.
async fn timed<F: Future<Output = ()>>(work: impl FnOnce() -> F) -> (f64, f64) {
    let cpu = machine::cpu_time();
    let started = Instant::now();
    work().await;
    let in_ms = |time: Duration| time.as_secs_f64() * 1000.0;
    (in_ms(started.elapsed()), in_ms(machine::cpu_time().saturating_sub(cpu)))
}
