//! `patterns send-requests`: writes to every table, reads in every mode, and a table of latencies.

use std::{collections::BTreeMap, fmt::Write};

use clap::Args;
use patterns::operation::{Mode, Operation, Table};

use crate::{
    service::{RequestError, Service, Success},
    table::{self, Latencies},
};

/// Number of writes to each table, and of reads in each mode.
const REQUESTS: usize = 20;

#[derive(Args)]
pub(crate) struct Arguments {
    /// URL of the gatekeeper
    #[arg(long, env = "PATTERNS_URL", value_name = "URL")]
    url: String,
}

/// Error of the command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("{0}")]
    Url(String),
    #[error("{failed} of {total} requests failed; the lines above contain the reasons")]
    Failed { failed: usize, total: usize },
}

/// Results of the requests of a mode.
#[derive(Default)]
struct Series {
    latencies: Latencies,
    /// Number of requests by node.
    nodes: BTreeMap<String, usize>,
    failed: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), SendError> {
    let service = Service::at(&arguments.url).map_err(SendError::Url)?;
    let mut rows = vec![
        ["mode", "requests", "failed", "min ms", "median ms", "p95 ms", "max ms", "nodes"].map(str::to_owned).to_vec(),
    ];
    let (mut failed, mut total) = (0, 0);
    let mut add = |name: &str, mut series: Series| {
        failed += series.failed;
        series.latencies.sort();
        let mut nodes = String::new();
        for (node, count) in &series.nodes {
            // Writes to a String cannot fail.
            let _ = write!(nodes, "{}{node} ({count})", if nodes.is_empty() { "" } else { ", " });
        }
        let [min, median, p95, max] = [0, 50, 95, 100].map(|percent| series.latencies.percentile(percent));
        let count = series.latencies.len() + series.failed;
        total += count;
        rows.push(vec![name.to_owned(), count.to_string(), series.failed.to_string(), min, median, p95, max, nodes]);
    };
    add("write", write(&service));
    for mode in Mode::ALL {
        add(mode.name(), read(&service, mode));
    }
    banner("Latencies");
    print!("{}", table::lines(&rows));
    if failed > 0 { Err(SendError::Failed { failed, total }) } else { Ok(()) }
}

fn write(service: &Service) -> Series {
    let mut series = Series::default();
    for table in Table::ALL {
        banner(&format!("Write requests to {table}"));
        for number in 1..=REQUESTS {
            let sql = format!(
                "INSERT INTO {{table}} (column1, column2) VALUES ('column1_value_{number}', 'column2_value_{number}')"
            );
            let sent = service.send(Operation::Populate, &sql, Some(table));
            series.add(&format!("Write request {number}/{REQUESTS} to {table}"), sent);
        }
    }
    series
}

fn read(service: &Service, mode: Mode) -> Series {
    let mut series = Series::default();
    banner(&format!("Read requests in mode {}", mode.name()));
    let table = mode.table();
    let sql = format!("SELECT * FROM {table} ORDER BY id DESC LIMIT 20");
    for number in 1..=REQUESTS {
        let sent = service.send(Operation::Fetch(mode), &sql, None);
        series.add(&format!("Read request {number}/{REQUESTS} from {table}"), sent);
    }
    series
}

fn banner(title: &str) {
    println!("\n===== {title} =====");
}

impl Series {
    /// Adds the result of a request, and prints its line.
    fn add(&mut self, name: &str, sent: Result<Success, RequestError>) {
        match sent {
            Ok(Success { latency, node }) => {
                self.latencies.push(latency);
                *self.nodes.entry(node).or_default() += 1;
                println!("{name} successful.");
            }
            Err(error) => {
                self.failed += 1;
                println!("{name} failed: {error}");
            }
        }
    }
}
