//! Finished steps: one line each, in columns whose widths are computed from the plan.

use super::{
    style,
    text::{shorten, width},
    tree::Planned,
};
use infra_core::{diff::Action, urn::Urn};
use std::collections::{HashMap, HashSet};

/// Width of durations up to an hour.
const DURATION: usize = 6;
/// Minimum width of an ID in the column of IDs.
const ID: usize = 14;
/// Minimum width of an ID after a name that is wider than its column.
const SHORTEST_ID: usize = 9;
/// Width of most IDs of AWS.
const WHOLE_ID: usize = 21;

/// Column widths and regions of a plan's steps, and the number of finished ones.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Unfinished steps: resources, and whether they are deleted.
    counted: HashSet<(Urn, bool)>,
    regions: HashMap<Urn, String>,
    verbs: usize,
    names: usize,
    places: usize,
    ran: usize,
}

/// A finished step.
pub(super) struct Ran<'a> {
    pub(super) urn: &'a Urn,
    pub(super) action: Action,
    pub(super) failed: bool,
    pub(super) id: Option<&'a str>,
    pub(super) elapsed_ms: u64,
}

impl Progress {
    pub(super) fn of(plan: &[Planned]) -> Self {
        let shown = || plan.iter().filter(|step| !matches!(step.action, Action::Read | Action::Forget));
        // The execution may weaken an update or a replacement to nothing.
        let longest_verb = |action| match action {
            Action::Update | Action::Replace => style::done(Action::Same),
            action => style::done(action),
        };
        Self {
            counted: shown().map(|step| (step.urn.clone(), step.action == Action::Delete)).collect(),
            regions: plan.iter().filter_map(|step| Some((step.urn.clone(), step.region.clone()?))).collect(),
            verbs: shown().map(|step| longest_verb(step.action).len()).max().unwrap_or_default().max("created".len()),
            names: shown().map(|step| width(&step.urn.short())).max().unwrap_or_default(),
            places: shown().filter_map(|step| step.region.as_deref()).map(width).max().unwrap_or_default(),
            ran: 0,
        }
    }

    /// Returns the line of a step. The columns before the name are fixed; region and ID are shown if they fit.
    pub(super) fn line(&mut self, step: &Ran<'_>, longest: Option<usize>) -> String {
        let counter = self.count(step);
        let (sign, verb) = if step.failed {
            (style::failed("✗"), style::failed(format!("{:verbs$}", "failed", verbs = self.verbs)))
        } else {
            (style::sign(step.action), format!("{:verbs$}", style::done(step.action), verbs = self.verbs))
        };
        let counters = width(&self.total()) * 2 + 1;
        let duration = format!("{:>DURATION$}", style::duration(step.elapsed_ms));
        let before = 2 + 2 + self.verbs + 1 + counters + 1 + width(&duration) + 2;
        let name = step.urn.short();
        let columns = Columns::new(before, self.names, self.places, longest);
        let mut line = format!("  {sign} {verb} {counter:>counters$} {}  {name}", style::dim(duration));
        let after = columns.after(&name, self.region(step.urn), step.id);
        line.push_str(&style::dim(after));
        line
    }

    /// Counts a step and returns `7/34`, or nothing for the deletion that completes a replacement.
    fn count(&mut self, step: &Ran<'_>) -> String {
        if !self.counted.remove(&(step.urn.clone(), step.action == Action::Delete)) {
            return String::new();
        }
        self.ran += 1;
        format!("{}/{}", self.ran, self.total())
    }

    fn total(&self) -> String {
        (self.ran + self.counted.len()).to_string()
    }

    fn region(&self, urn: &Urn) -> &str {
        self.regions.get(urn).map(String::as_str).unwrap_or_default()
    }
}

/// Columns of names, regions and IDs.
struct Columns {
    names: usize,
    /// Width of regions, if they fit.
    places: Option<usize>,
    /// Width of the line from the name on.
    end: Option<usize>,
}

impl Columns {
    fn new(before: usize, names: usize, places: usize, longest: Option<usize>) -> Self {
        let Some(longest) = longest else {
            return Self { names, places: (places > 0).then_some(places), end: None };
        };
        let end = longest.saturating_sub(before);
        if places > 0 && names + 2 + places + 2 + WHOLE_ID <= end {
            return Self { names, places: Some(places), end: Some(end) };
        }
        Self { names: names.min(end.saturating_sub(2 + ID)), places: None, end: Some(end) }
    }

    /// Returns the text after a name.
    fn after(&self, name: &str, region: &str, id: Option<&str>) -> String {
        let name = width(name);
        let mut text = String::new();
        if let Some(places) = self.places {
            text = format!("{}  {region:places$}", " ".repeat(self.names.saturating_sub(name)));
        }
        let pad = if self.places.is_some() { 2 } else { self.names.saturating_sub(name) + 2 };
        let room = self.end.map_or(usize::MAX, |end| end.saturating_sub(name + width(&text) + pad));
        if let Some(id) = id.filter(|id| room >= SHORTEST_ID.min(width(id))) {
            text.push_str(&" ".repeat(pad));
            text.push_str(&shorten_id(id, room));
        }
        text.trim_end().to_owned()
    }
}

/// Shortens an ID. Of an ARN, the part after the account is kept.
fn shorten_id(id: &str, longest: usize) -> String {
    let short = || id.strip_prefix("arn:").and_then(|rest| rest.splitn(5, ':').last()).unwrap_or(id);
    if width(id) <= longest { id.to_owned() } else { shorten(short(), longest) }
}
