//! A plan as a tree, whose branches are components and whose leaves are steps.

use super::{
    style,
    text::{cut, width, wrap},
};
use infra_core::{
    diff::{Action, Diff, PropertyDiff},
    urn::Urn,
};
use std::collections::HashMap;

/// Largest number of creations that are listed individually.
const FEW: usize = 10;
/// Label of the resources without a component.
const OTHERS: &str = "(top level)";

/// A step of a plan.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) urn: Urn,
    pub(super) action: Action,
    pub(super) region: Option<String>,
    pub(super) diff: Diff,
    pub(super) renamed_from: Option<Urn>,
    pub(super) note: Option<String>,
}

impl Planned {
    /// Returns whether the step is shown. Lookups are only counted.
    fn is_shown(&self, all_properties: bool) -> bool {
        match self.action {
            Action::Read => all_properties,
            Action::Forget => all_properties || self.note.is_some(),
            _ => true,
        }
    }

    fn kind(&self) -> &str {
        self.urn.kind().rsplit(':').next().unwrap_or_default()
    }
}

/// Layout of a plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Maximum width of lines.
    pub(super) width: Option<usize>,
    /// Includes the properties of created resources.
    pub(super) all_properties: bool,
    /// Summarises a plan of creations by component.
    pub(super) sums_up: bool,
}

#[derive(Debug, Default)]
struct Branch<'a> {
    steps: Vec<&'a Planned>,
    /// Children in the order of the plan.
    children: Vec<(&'a str, Branch<'a>)>,
    /// Positions of the children by name.
    index: HashMap<&'a str, usize>,
}

/// Returns the lines of a plan.
pub(super) fn lines(steps: &[Planned], shape: Shape) -> Vec<String> {
    let mut root = Branch::default();
    let mut shown = steps.iter().filter(|step| step.is_shown(shape.all_properties)).peekable();
    if shown.peek().is_none() {
        return Vec::new();
    }
    for step in shown {
        root.insert(step);
    }
    let only_creates = steps.iter().all(|step| matches!(step.action, Action::Create | Action::Read));
    if shape.sums_up && !shape.all_properties && only_creates && root.total() > FEW {
        let columns = root.columns(0);
        let mut lines = Vec::new();
        root.sum_up(0, columns, shape.width, &mut lines);
        return lines;
    }
    let widest = root.widest(0);
    let region = steps.iter().filter_map(|step| step.region.as_ref()).map(|region| width(region)).max();
    let room = shape.width.map(|columns| columns.saturating_sub(region.unwrap_or_default() + 2));
    let list = List { shape, regions_at: room.map_or(widest, |room| widest.min(room)) };
    let mut lines = Vec::new();
    root.list(0, &list, &mut lines);
    lines
}

/// Returns the indentation of a step: two columns for each component around it.
fn indent(depth: usize) -> String {
    " ".repeat(2 + 2 * depth)
}

impl<'a> Branch<'a> {
    fn insert(&mut self, step: &'a Planned) {
        let mut branch = self;
        for part in step.urn.name().split('/') {
            let at = *branch.index.entry(part).or_insert(branch.children.len());
            if at == branch.children.len() {
                branch.children.push((part, Branch::default()));
            }
            branch = &mut branch.children[at].1;
        }
        branch.steps.push(step);
    }

    fn total(&self) -> usize {
        self.steps.len() + self.children.iter().map(|(_, child)| child.total()).sum::<usize>()
    }

    fn widest(&self, depth: usize) -> usize {
        let own = |name: &str, step: &Planned| width(&indent(depth)) + 2 + width(step.kind()) + 1 + width(name);
        let widths = self.children.iter().map(|(name, child)| {
            let steps = child.steps.iter().map(|step| own(name, step)).max().unwrap_or_default();
            steps.max(child.widest(depth + 1))
        });
        widths.max().unwrap_or_default()
    }

    fn list(&self, depth: usize, list: &List, lines: &mut Vec<String>) {
        for (name, child) in &self.children {
            if child.steps.is_empty() {
                lines.push(format!("{}{}", indent(depth), style::bold(name)));
            }
            for step in &child.steps {
                list.step(depth, name, step, lines);
            }
            child.list(depth + 1, list, lines);
        }
    }

    /// Returns the widths of the names of components and of their counts.
    fn columns(&self, depth: usize) -> (usize, usize) {
        let branches = self.children.iter().filter(|(_, child)| !child.children.is_empty());
        let widths = branches.map(|(name, child)| {
            let (names, counts) = child.columns(depth + 1);
            (names.max(width(name) + 2 * depth), counts)
        });
        let (names, counts) = widths.fold((0, 0), |(names, counts), (n, c)| (names.max(n), counts.max(c)));
        let own = self.steps.len() + self.leaves().count();
        let others = if depth == 0 && self.leaves().next().is_some() { width(OTHERS) } else { 0 };
        (names.max(others), counts.max(own.to_string().len()))
    }

    /// Returns the steps of resources without children.
    fn leaves(&self) -> impl Iterator<Item = &'a Planned> {
        let leaves = self.children.iter().filter(|(_, child)| child.children.is_empty());
        leaves.flat_map(|(_, child)| child.steps.iter().copied())
    }

    /// Adds a line for each component with the number of its resources, by kind.
    fn sum_up(&self, depth: usize, columns: (usize, usize), longest: Option<usize>, lines: &mut Vec<String>) {
        for (name, child) in self.children.iter().filter(|(_, child)| !child.children.is_empty()) {
            let own = child.steps.iter().copied().chain(child.leaves());
            lines.push(sum(depth, name, own, columns, longest));
            child.sum_up(depth + 1, columns, longest, lines);
        }
        if depth == 0 && self.leaves().next().is_some() {
            lines.push(sum(depth, OTHERS, self.leaves(), columns, longest));
        }
    }
}

fn sum<'a>(
    depth: usize,
    name: &str,
    steps: impl Iterator<Item = &'a Planned>,
    (names, counts): (usize, usize),
    longest: Option<usize>,
) -> String {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    let mut count = 0;
    for step in steps {
        count += 1;
        match kinds.iter_mut().find(|(kind, _)| *kind == step.kind()) {
            Some((_, number)) => *number += 1,
            None => kinds.push((step.kind(), 1)),
        }
    }
    let kinds = kinds.iter().map(|(kind, number)| match number {
        1 => (*kind).to_owned(),
        number => format!("{number} {kind}"),
    });
    let kinds = kinds.collect::<Vec<_>>().join(", ");
    let names_here = names.saturating_sub(2 * depth);
    let before = 2 + 2 + names + 2 + counts + 2;
    let kinds = longest.map_or_else(|| kinds.clone(), |longest| cut(&kinds, longest.saturating_sub(before)));
    let count = if count == 0 { String::new() } else { count.to_string() };
    let line = format!("{name:names_here$}  {count:>counts$}  {kinds}");
    format!("{}{} {}", indent(depth), style::sign(Action::Create), line.trim_end())
}

struct List {
    shape: Shape,
    /// Column of the regions, unless a name is wider.
    regions_at: usize,
}

impl List {
    fn step(&self, depth: usize, name: &str, step: &Planned, lines: &mut Vec<String>) {
        let longest = self.shape.width.unwrap_or(usize::MAX);
        let before = format!("{}  {} {name}", indent(depth), step.kind());
        let mut length = width(&before);
        let mut line = format!("{}{} {} {}", indent(depth), style::sign(step.action), step.kind(), style::bold(name));
        let mut append = |text: &str, at: usize| {
            let pad = at.saturating_sub(length) + 2;
            let fits = length + pad + width(text) <= longest;
            if fits {
                line.push_str(&" ".repeat(pad));
                line.push_str(&style::dim(text));
                length += pad + width(text);
            }
            fits
        };
        if let Some(region) = &step.region {
            append(region, self.regions_at);
        }
        let renamed = step.renamed_from.iter().map(|from| format!("was {}", from.name()));
        let notes = renamed.chain(step.note.clone()).map(|note| format!("({note})"));
        let below: Vec<String> = notes.filter(|note| !append(note, 0)).collect();
        lines.push(line);
        let inner = format!("{}    ", indent(depth));
        let room = self.shape.width.map(|longest| longest.saturating_sub(width(&inner)));
        for note in below {
            let wrapped = wrap(&format!("{inner}{note}"), self.shape.width);
            lines.extend(wrapped.lines().map(style::dim));
        }
        if step.action == Action::Create && !self.shape.all_properties {
            return;
        }
        for property in &step.diff.properties {
            let text = fit(property, room);
            let text = if step.action == Action::Create { text.trim_start_matches("+ ") } else { &text };
            lines.push(format!("{inner}{}", style::colour(step.action).apply_to(text)));
        }
    }
}

/// Formats a property, and shortens its values to the room.
pub(super) fn fit(property: &PropertyDiff, room: Option<usize>) -> String {
    const SHORTEST: usize = 8;
    let whole = property.to_string();
    let Some(room) = room.filter(|room| width(&whole) > *room) else {
        return whole;
    };
    let texts = (SHORTEST..100).rev().map(|longest| format!("{property:.longest$}"));
    texts.into_iter().find(|text| width(text) <= room).unwrap_or_else(|| cut(&whole, room))
}
