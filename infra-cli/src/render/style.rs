//! Colours, durations and tables.

use super::text;
use console::{Style, Term};
use infra_core::{
    diagnostic::{Diagnostic, Severity},
    diff::Action,
};
use std::collections::BTreeMap;

/// Returns the sign of an action, in its colour.
pub(crate) fn sign(action: Action) -> String {
    let sign = match action {
        Action::Same => " ",
        Action::Read => ">",
        Action::Create => "+",
        Action::Update => "~",
        Action::Replace => "±",
        Action::Delete => "-",
        Action::Import => "=",
        Action::Forget => "<",
    };
    colour(action).apply_to(sign).to_string()
}

pub(crate) fn colour(action: Action) -> Style {
    match action {
        Action::Same | Action::Read | Action::Forget => Style::new().dim(),
        Action::Create | Action::Import => Style::new().green(),
        Action::Update => Style::new().yellow(),
        Action::Replace => Style::new().magenta(),
        Action::Delete => Style::new().red(),
    }
}

/// Returns the past participle of an action, such as `created`.
pub(crate) fn done(action: Action) -> &'static str {
    match action {
        Action::Same => "unchanged",
        Action::Read => "read",
        Action::Create => "created",
        Action::Update => "updated",
        Action::Replace => "replaced",
        Action::Delete => "deleted",
        Action::Import => "imported",
        Action::Forget => "forgotten",
    }
}

/// Returns the present participle of an action, such as `creating`.
pub(crate) fn doing(action: Action) -> &'static str {
    match action {
        Action::Same => "comparing",
        Action::Read => "reading",
        Action::Create => "creating",
        Action::Update => "updating",
        Action::Replace => "replacing",
        Action::Delete => "deleting",
        Action::Import => "importing",
        Action::Forget => "forgetting",
    }
}

pub(crate) fn dim(text: impl std::fmt::Display) -> String {
    Style::new().dim().apply_to(text).to_string()
}

pub(crate) fn bold(text: impl std::fmt::Display) -> String {
    Style::new().bold().apply_to(text).to_string()
}

/// Formats a failure.
pub(crate) fn failed(text: impl std::fmt::Display) -> String {
    Style::new().red().bold().apply_to(text).to_string()
}

/// Returns the counts in the order in which they are shown, without forgotten resources.
pub(crate) fn in_order(counts: &BTreeMap<Action, usize>) -> impl Iterator<Item = (Action, usize)> {
    use Action::{Create, Delete, Import, Read, Replace, Same, Update};
    let order = [Same, Create, Update, Replace, Delete, Import, Read];
    order.into_iter().filter_map(|action| counts.get(&action).map(|&count| (action, count)))
}

/// Formats a duration: `340 ms`, `2.4 s` or `3m05s`.
pub(crate) fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0..1000 => format!("{milliseconds} ms"),
        1000..60_000 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        _ => format!("{}m{:02}s", milliseconds / 60_000, milliseconds / 1000 % 60),
    }
}

/// Formats a diagnostic, wrapped to this width.
pub(crate) fn diagnostic(diagnostic: &Diagnostic, width: Option<usize>) -> String {
    let style = match diagnostic.severity {
        Severity::Error => Style::new().red().bold(),
        Severity::Warning => Style::new().yellow().bold(),
        Severity::Note => Style::new().cyan(),
    };
    let text = text::wrap(&diagnostic.to_string(), width);
    match text.split_once(':') {
        Some((severity, rest)) => format!("{}:{rest}", style.for_stderr().apply_to(severity)),
        None => text,
    }
}

/// Returns the width of standard error, if it is a terminal.
pub(crate) fn error_width() -> Option<usize> {
    let terminal = Term::stderr();
    terminal.is_term().then(|| terminal.size().1.into())
}

/// Returns the width of standard output, if it is a terminal.
pub(crate) fn output_width() -> Option<usize> {
    let terminal = Term::stdout();
    terminal.is_term().then(|| terminal.size().1.into())
}

/// Formats a table for standard output. A column is as wide as its widest cell, without colours. A table without rows is
/// empty. On a terminal that is too narrow, the last columns are moved to an indented line below each row.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    table_within(output_width(), head, rows)
}

fn table_within<const N: usize>(
    longest: Option<usize>,
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let rows: Vec<[String; N]> = rows.collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut widths = head.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(console::measure_text_width(cell));
        }
    }
    let mut first = N;
    while first > 1 && longest.is_some_and(|longest| widths[..first].iter().sum::<usize>() + 2 * (first - 1) > longest)
    {
        first -= 1;
    }
    let aligned = |cells: &[String], widths: &[usize]| {
        let padded: Vec<_> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| console::pad_str(cell, *width, console::Alignment::Left, None))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let line = |cells: &[String; N]| {
        let below = aligned(&cells[first..], &widths[first..]);
        let below = if below.is_empty() { below } else { format!("\n  {below}") };
        aligned(&cells[..first], &widths[..first]) + &below
    };
    let mut text = dim(line(&head.map(str::to_owned))) + "\n";
    text.extend(rows.iter().map(|row| line(row) + "\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        assert_eq!([0, 999, 1000, 59_999, 65_000].map(duration), ["0 ms", "999 ms", "1.0 s", "59.9 s", "1m05s"]);
    }

    #[test]
    fn tables_align() {
        let rows = [["a".to_owned(), "b".to_owned()], ["longer".to_owned(), String::new()]];
        insta::assert_snapshot!(console::strip_ansi_codes(&table(["X", "Y"], rows.into_iter())), @r"
        X       Y
        a       b
        longer
        ");
    }

    #[test]
    fn colours_do_not_affect_column_widths() {
        let green = Style::new().green().force_styling(true).apply_to("a").to_string();
        let rows = [[green, "b".to_owned()], ["longer".to_owned(), "c".to_owned()]];
        insta::assert_snapshot!(console::strip_ansi_codes(&table(["X", "Y"], rows.into_iter())), @r"
        X       Y
        a       b
        longer  c
        ");
    }

    #[test]
    fn columns_that_do_not_fit_are_on_the_next_line() {
        let table = |longest| {
            let rows = [["i-1", "running", "tasks:8080"], ["i-2", "stopped", ""]].map(|row| row.map(str::to_owned));
            table_within(longest, ["INSTANCE", "STATE", "SERVICES"], rows.into_iter())
        };
        insta::assert_snapshot!(console::strip_ansi_codes(&table(Some(20))), @"
        INSTANCE  STATE
          SERVICES
        i-1       running
          tasks:8080
        i-2       stopped
        ");
        assert_eq!(table(None), table(Some(80)));
        assert_eq!(console::strip_ansi_codes(&table(Some(3))).lines().next(), Some("INSTANCE"));
    }
}
