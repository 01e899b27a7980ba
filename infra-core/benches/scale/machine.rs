//! The machine of the measurements.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

/// Returns cores, processor, date and the latency of a sync, in one line.
pub(crate) fn describe(directory: &Path) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{}: {cores} cores of {}, load {} when it began; fdatasync of 4 KiB appended: {:.2} ms (median)",
        chrono::Utc::now().format("%Y-%m-%d %H:%M UTC"),
        model.unwrap_or("an unknown processor"),
        load.split(' ').next().unwrap_or_default(),
        sync_latency(directory).as_secs_f64() * 1000.0,
    )
}

/// Returns the time to append 4 KiB to a file and sync it, the median of 101.
fn sync_latency(directory: &Path) -> Duration {
    let path = directory.join("sync");
    let mut file = File::create(&path).unwrap();
    let mut times: Vec<Duration> = (0..101)
        .map(|_| {
            let started = Instant::now();
            file.write_all(&[b'.'; 4096]).and_then(|()| file.sync_data()).unwrap();
            started.elapsed()
        })
        .collect();
    fs::remove_file(path).unwrap();
    times.sort_unstable();
    times[times.len() / 2]
}

/// Returns the peak memory of this process, in MiB.
pub(crate) fn peak_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

/// Returns the processor time of this process so far, of all threads. The kernel counts it in steps of 10 ms.
pub(crate) fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let behind_name = stat.rsplit(") ").next().unwrap();
    let ticks: u64 = behind_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
