//! Benchmark of the engine at scale: `cargo bench -p infra-core --bench scale [-- ROW…] [--check]`.
//!
//! Every measurement runs in a separate process, because peak memory is measured per process, and the best of several
//! counts. With `--check`, a missed target is a failure. `BENCH_DIRECTORY` is the directory of the states; the default
//! is the system's directory for temporary files.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to report")]

mod machine;
mod program;
mod work;

use std::{
    collections::HashMap,
    fmt::Write,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};
use work::Work;

/// The allocator of the `stack` command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measurements of one process.
pub(crate) struct Measured {
    pub(crate) wall_ms: f64,
    pub(crate) cpu_ms: f64,
    pub(crate) peak_mib: f64,
    /// Additional result: bytes of state, the critical path.
    pub(crate) note: String,
    /// Wall time over the critical path, where there is one.
    pub(crate) ratio: Option<f64>,
}

/// One line of the table.
struct Row {
    name: &'static str,
    what: &'static str,
    work: Work,
    count: usize,
    repeat: usize,
    most: Aim,
}

enum Aim {
    /// Milliseconds.
    Wall(f64),
    /// Milliseconds and MiB.
    WallAndPeak(f64, f64),
    /// A ratio to the critical path.
    Ratio(f64),
    /// The wall time of another row as the limit.
    NoSlowerThan(&'static str),
}

fn rows() -> Vec<Row> {
    let row = |name, what, work, count, repeat, most| Row { name, what, work, count, repeat, most };
    vec![
        row("create-1k", "create 1,000", Work::Create, 1_000, 5, Aim::Wall(400.0)),
        row("preview-1k", "preview 1,000 unchanged", Work::Preview, 1_000, 5, Aim::Wall(20.0)),
        row("destroy-1k", "destroy 1,000", Work::Destroy, 1_000, 5, Aim::NoSlowerThan("create-1k")),
        row("create-10k", "create 10,000", Work::Create, 10_000, 3, Aim::Wall(4_000.0)),
        row("preview-10k", "preview 10,000 unchanged", Work::Preview, 10_000, 7, Aim::WallAndPeak(200.0, 110.0)),
        row("destroy-10k", "destroy 10,000", Work::Destroy, 10_000, 3, Aim::NoSlowerThan("create-10k")),
        row("create-100k", "create 100,000", Work::Create, 100_000, 3, Aim::Wall(40_000.0)),
        row("preview-100k", "preview 100,000 unchanged", Work::Preview, 100_000, 3, Aim::WallAndPeak(2_500.0, 550.0)),
        row("destroy-100k", "destroy 100,000", Work::Destroy, 100_000, 2, Aim::NoSlowerThan("create-100k")),
        row("layers-of-ten-create", "create 1,000 in layers of ten", Work::CreateTens, 1_000, 5, Aim::Wall(450.0)),
        row("layers-of-ten-destroy", "destroy 1,000 in layers of ten", Work::DestroyTens, 1_000, 5, Aim::Wall(920.0)),
        row("path-memory", "500 latencies, journal in memory", Work::PathInMemory, 500, 3, Aim::Ratio(1.05)),
        row("path-disk", "500 latencies, journal on disk", Work::PathOnDisk, 500, 3, Aim::Ratio(1.10)),
    ]
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [child, work, count, directory] = &arguments[..]
        && child == "--measure"
    {
        println!("{}", work::measure(work.parse().unwrap(), count.parse().unwrap(), Path::new(directory)).to_line());
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let directory = std::env::var_os("BENCH_DIRECTORY").map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(directory).unwrap();
    println!("{}\n", machine::describe(directory.path()));
    println!("| row | work | wall | per resource | CPU time | peak memory | aim | |");
    println!("|---|---|---:|---:|---:|---:|---|---|");
    let mut best: HashMap<&str, f64> = HashMap::new();
    let mut missed = false;
    for row in rows() {
        if !wanted.is_empty() && !wanted.iter().any(|name| row.name.starts_with(name.as_str())) {
            continue;
        }
        let Some(measured) = best_of(&row, directory.path()) else {
            println!("| {} | {} | failed | | | | | |", row.name, row.what);
            missed = true;
            continue;
        };
        best.insert(row.name, measured.wall_ms);
        let (aim, met) = row.most.judge(&measured, &best);
        missed |= !met;
        println!(
            "| {} | {} | {} | {:.0} µs | {} | {:.0} MiB | {aim}{} | {} |",
            row.name,
            row.what,
            milliseconds(measured.wall_ms),
            measured.wall_ms * 1000.0 / row.count as f64,
            milliseconds(measured.cpu_ms),
            measured.peak_mib,
            if met { "" } else { " **missed**" },
            measured.note,
        );
    }
    if let (Some(few), Some(many)) = (best.get("create-1k"), best.get("create-100k")) {
        let growth = many / few / 100.0;
        missed |= growth > 1.2;
        println!("\nA resource of 100,000 takes {growth:.2} × the time of one of 1,000 to create; the aim is 1.2.");
    }
    if missed && arguments.iter().any(|argument| argument == "--check") { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Returns the fastest of several runs, each in a new process; `None` if one failed. Prerequisites of a run are created
/// first.
fn best_of(row: &Row, directory: &Path) -> Option<Measured> {
    let mut best: Option<Measured> = None;
    for attempt in 0..row.repeat {
        // A preview writes nothing, so all of them look at one stack; the others need a new one each.
        let shared = matches!(row.work, Work::Preview);
        let place = directory.join(if shared { row.name.to_owned() } else { format!("{}-{attempt}", row.name) });
        if let Some(first) = row.work.first().filter(|_| !shared || attempt == 0) {
            measure_apart(first, row.count, &place)?;
        }
        let measured = measure_apart(row.work, row.count, &place)?;
        if best.as_ref().is_none_or(|best| measured.wall_ms < best.wall_ms) {
            best = Some(measured);
        }
        if !shared || attempt + 1 == row.repeat {
            std::fs::remove_dir_all(place).ok();
        }
    }
    best
}

fn measure_apart(work: Work, count: usize, directory: &Path) -> Option<Measured> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--measure", work.name(), &count.to_string()])
        .arg(directory)
        .output()
        .unwrap();
    if !output.status.success() {
        eprintln!("{} of {count}: {}", work.name(), String::from_utf8_lossy(&output.stderr));
        return None;
    }
    Measured::from_line(String::from_utf8(output.stdout).unwrap().trim())
}

impl Aim {
    fn judge(&self, measured: &Measured, best: &HashMap<&str, f64>) -> (String, bool) {
        match self {
            Self::Wall(most) => (format!("≤ {}", milliseconds(*most)), measured.wall_ms <= *most),
            Self::WallAndPeak(most, mib) => (
                format!("≤ {}, ≤ {mib} MiB", milliseconds(*most)),
                measured.wall_ms <= *most && measured.peak_mib <= *mib,
            ),
            Self::Ratio(most) => (format!("≤ {most:.2} ×"), measured.ratio.is_some_and(|ratio| ratio <= *most)),
            Self::NoSlowerThan(other) => {
                let most = best.get(other);
                (format!("≤ {other}"), most.is_none_or(|most| measured.wall_ms <= *most))
            }
        }
    }
}

impl Measured {
    fn to_line(&self) -> String {
        let ratio = self.ratio.map(|ratio| ratio.to_string()).unwrap_or_default();
        format!("{};{};{};{ratio};{}", self.wall_ms, self.cpu_ms, self.peak_mib, self.note)
    }

    fn from_line(line: &str) -> Option<Self> {
        let mut parts = line.splitn(5, ';');
        let mut next = || parts.next();
        Some(Self {
            wall_ms: next()?.parse().ok()?,
            cpu_ms: next()?.parse().ok()?,
            peak_mib: next()?.parse().ok()?,
            ratio: next()?.parse().ok(),
            note: next()?.to_owned(),
        })
    }
}

fn milliseconds(ms: f64) -> String {
    let mut text = String::new();
    let _ = if ms >= 10_000.0 { write!(text, "{:.1} s", ms / 1000.0) } else { write!(text, "{ms:.0} ms") };
    text
}
