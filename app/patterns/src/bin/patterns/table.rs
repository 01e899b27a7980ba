//! Tables of measurements, as text.

use std::time::Duration;

/// Latencies of a series of requests.
#[derive(Debug, Default, Clone)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn push(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn sort(&mut self) {
        self.0.sort_unstable();
    }

    /// Returns the smallest latency that at least this share of the sorted latencies does not exceed, in milliseconds.
    pub(crate) fn percentile(&self, percent: usize) -> String {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).map_or_else(|| "-".to_owned(), |latency| format!("{:.2}", latency.as_secs_f64() * 1000.0))
    }
}

/// Returns rows as lines, with columns of equal width. The first row is the head. Numbers are aligned to the right.
pub(crate) fn lines(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let is_number = |cell: &str| cell.starts_with(|first: char| first.is_ascii_digit()) || cell == "-";
    let is_numeric = |column: usize| {
        rows.iter().skip(1).filter_map(|row| row.get(column)).all(|cell| is_number(cell)) && rows.len() > 1
    };
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = widths[column];
            if is_numeric(column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let mut latencies = Latencies::default();
        for millis in (1..=20).rev() {
            latencies.push(Duration::from_millis(millis));
        }
        latencies.sort();
        let percentiles = [0, 50, 95, 100].map(|percent| latencies.percentile(percent));
        assert_eq!(percentiles, ["1.00", "10.00", "19.00", "20.00"]);
        assert_eq!(Latencies::default().percentile(50), "-");
    }

    #[test]
    fn numbers_are_aligned_to_the_right() {
        let rows = [["mode", "min ms", "nodes"], ["direct", "1.25", "manager"], ["random", "10.00", "worker-0"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        let expected = "mode    min ms  nodes\ndirect    1.25  manager\nrandom   10.00  worker-0\n";
        assert_eq!(lines(&rows), expected);
    }
}
