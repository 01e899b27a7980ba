//! Assigns boxes to the cells of a grid: a box is below the boxes that it uses, and the boxes of a frame form a rectangle.

use super::{
    cells::{Area, Cells},
    drawing::{Drawing, Edge},
    rows::rows,
};
use std::collections::HashMap;

/// The passes over all boxes that look for better places.
const PASSES: usize = 12;

/// The cells of boxes and frames.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    /// The cell of each box: row and column.
    pub(crate) cells: Vec<(usize, usize)>,
    /// The cells of each frame.
    pub(crate) areas: Vec<Area>,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

/// Something that moves as a whole in its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Box(usize),
    Frame(usize),
}

struct Placer<'a> {
    drawing: &'a Drawing,
    /// The boxes as lists of one.
    single: Vec<usize>,
    neighbours: Vec<Vec<usize>>,
    rows: Vec<usize>,
    columns: Vec<usize>,
    /// Boxes of each frame, those of the frames in it included.
    inside: Vec<Vec<usize>>,
    items: Vec<Vec<Item>>,
    areas: Vec<Option<Area>>,
    /// Boxes that have a column; edges to others do not count yet.
    placed: Vec<bool>,
}

impl Grid {
    /// Places a drawing with at most `breadth` boxes of each outermost frame in a row.
    pub(crate) fn new(drawing: &Drawing, breadth: usize) -> Self {
        let mut placer = Placer::new(drawing, breadth);
        for frame in (0..drawing.frames.len()).rev() {
            placer.fill(frame);
        }
        placer.placed.fill(true);
        for _ in 0..PASSES {
            let improved: Vec<bool> = (0..drawing.frames.len()).map(|frame| placer.improve(frame)).collect();
            if !improved.contains(&true) {
                break;
            }
        }
        placer.finish()
    }
}

impl<'a> Placer<'a> {
    fn new(drawing: &'a Drawing, breadth: usize) -> Self {
        let count = drawing.boxes.len();
        let mut neighbours = vec![Vec::new(); count];
        for &Edge { upper: used, lower: user, .. } in &drawing.edges {
            neighbours[used].push(user);
            neighbours[user].push(used);
        }
        let mut inside = vec![Vec::new(); drawing.frames.len()];
        let mut items = vec![Vec::new(); drawing.frames.len()];
        for (at, node) in drawing.boxes.iter().enumerate() {
            items[node.frame].push(Item::Box(at));
            drawing.around(node.frame).for_each(|frame| inside[frame].push(at));
        }
        for (at, frame) in drawing.frames.iter().enumerate() {
            frame.parent.into_iter().for_each(|parent| items[parent].push(Item::Frame(at)));
        }
        Self {
            drawing,
            single: (0..count).collect(),
            neighbours,
            rows: rows(drawing, breadth),
            columns: vec![0; count],
            inside,
            items,
            areas: vec![None; drawing.frames.len()],
            placed: vec![false; count],
        }
    }

    /// Gives the items of a frame their first columns, counted from the frame's left border.
    fn fill(&mut self, frame: usize) {
        let mut items = self.items[frame].clone();
        items.retain(|item| !self.boxes(*item).is_empty());
        items.sort_by_key(|item| {
            let area = self.area(*item);
            (area.top, std::cmp::Reverse(area.bottom))
        });
        let narrowest = |row: usize| -> usize {
            let here = items.iter().map(|item| self.area(*item)).filter(|area| (area.top..=area.bottom).contains(&row));
            here.map(|area| area.right - area.left + 1).sum()
        };
        let rows = self.rows.iter().max().map_or(0, |row| row + 1);
        let mut width = (0..rows).map(narrowest).max().unwrap_or(1).max(1);
        let mut taken = Cells::new(0, rows);
        for item in items {
            self.boxes(item).to_vec().into_iter().for_each(|at| self.placed[at] = true);
            let mut best = None;
            while best.is_none() {
                for column in 0..width {
                    if let Some(cost) = self.cost_at(item, column, width, &taken) {
                        let cost = cost + column as f64 * 0.01;
                        best = best.filter(|(least, _)| *least <= cost).or(Some((cost, column)));
                    }
                }
                width += usize::from(best.is_none());
            }
            if let Some((_, column)) = best {
                self.shift(item, column);
            }
            taken.add(self.area(item));
        }
        self.areas[frame] = self.bounds(frame);
        // Its parent has not placed it yet.
        self.inside[frame].clone().into_iter().for_each(|at| self.placed[at] = false);
        self.improve(frame);
    }

    /// Moves and swaps the items of a frame inside its area while that shortens edges.
    fn improve(&mut self, frame: usize) -> bool {
        let Some(area) = self.areas[frame] else {
            return false;
        };
        let own: Vec<bool> = self.inside[frame].iter().map(|&at| self.placed[at]).collect();
        self.inside[frame].clone().into_iter().for_each(|at| self.placed[at] = true);
        let items: Vec<Item> = self.items[frame].iter().copied().filter(|item| !self.boxes(*item).is_empty()).collect();
        let mut taken = Cells::new(area.top, area.bottom - area.top + 1);
        items.iter().for_each(|item| taken.add(self.area(*item)));
        let alike = self.alike(&items);
        let mut improved = false;
        for (place, &item) in items.iter().enumerate() {
            taken.remove(self.area(item));
            let now = self.cost(item);
            let candidates = (area.left..=area.right).filter_map(|column| {
                let cost = self.cost_at(item, column, area.right + 1, &taken)?;
                Some((cost, column))
            });
            let best = candidates.min_by(|(one, _), (other, _)| one.total_cmp(other));
            if let Some((_, column)) = best.filter(|(cost, _)| *cost < now - 1e-9) {
                self.shift(item, column);
                improved = true;
            }
            taken.add(self.area(item));
            for &other in &alike[place] {
                improved |= self.swap(item, other);
            }
            improved |= self.mirror(item);
        }
        self.inside[frame].clone().into_iter().zip(own).for_each(|(at, placed)| self.placed[at] = placed);
        improved
    }

    /// Returns the later items with the same rows and width as each item.
    fn alike(&self, items: &[Item]) -> Vec<Vec<Item>> {
        let mut later: HashMap<(usize, usize, usize), Vec<Item>> = HashMap::new();
        let mut alike = vec![Vec::new(); items.len()];
        for (place, item) in items.iter().enumerate().rev() {
            let area = self.area(*item);
            let later = later.entry((area.top, area.bottom, area.right - area.left)).or_default();
            alike[place] = later.iter().rev().copied().collect();
            later.push(*item);
        }
        alike
    }

    /// Exchanges two items with the same rows and width if that shortens edges.
    fn swap(&mut self, one: Item, other: Item) -> bool {
        let (first, second) = (self.area(one), self.area(other));
        let before = self.cost(one) + self.cost(other);
        self.shift(one, second.left);
        self.shift(other, first.left);
        if self.cost(one) + self.cost(other) < before - 1e-9 {
            return true;
        }
        self.shift(one, first.left);
        self.shift(other, second.left);
        false
    }

    /// Reverses the columns of a frame if that shortens edges.
    fn mirror(&mut self, item: Item) -> bool {
        let Item::Frame(frame) = item else {
            return false;
        };
        let area = self.area(item);
        let before = self.cost(item);
        self.reverse(frame, area);
        if self.cost(item) < before - 1e-9 {
            return true;
        }
        self.reverse(frame, area);
        false
    }

    fn reverse(&mut self, frame: usize, area: Area) {
        let reversed = |column: usize| area.left + area.right - column;
        self.inside[frame].clone().into_iter().for_each(|at| self.columns[at] = reversed(self.columns[at]));
        for at in frame..self.areas.len() {
            if let Some(inner) = self.areas[at].filter(|_| self.is_within(at, frame)) {
                self.areas[at] = Some(Area { left: reversed(inner.right), right: reversed(inner.left), ..inner });
            }
        }
    }

    fn is_within(&self, frame: usize, around: usize) -> bool {
        self.drawing.around(frame).any(|frame| frame == around)
    }

    /// Returns the cost of an item in another column, or `None` when it does not fit there.
    fn cost_at(&mut self, item: Item, column: usize, width: usize, taken: &Cells) -> Option<f64> {
        let area = self.area(item);
        let moved = Area { left: column, right: column + area.right - area.left, ..area };
        if moved.right >= width || !taken.are_free(moved) {
            return None;
        }
        self.shift(item, column);
        let cost = self.cost(item);
        self.shift(item, area.left);
        Some(cost)
    }

    /// Returns the length of the edges of an item. A box that an edge would have to pass around makes the edge longer.
    fn cost(&self, item: Item) -> f64 {
        let mut cost = 0.0;
        for &at in self.boxes(item) {
            for &other in self.neighbours[at].iter().filter(|other| self.placed[**other]) {
                let distance = self.columns[at].abs_diff(self.columns[other]) as f64;
                cost += distance + if distance > 0.0 { 0.4 } else { 0.0 };
            }
        }
        cost
    }

    fn boxes(&self, item: Item) -> &[usize] {
        match item {
            Item::Box(at) => std::slice::from_ref(&self.single[at]),
            Item::Frame(frame) => &self.inside[frame],
        }
    }

    /// Moves an item, so that its left border is in this column.
    fn shift(&mut self, item: Item, column: usize) {
        let from = self.area(item).left;
        let moved = |old: usize| old + column - from;
        match item {
            Item::Box(at) => self.columns[at] = column,
            Item::Frame(frame) => {
                self.inside[frame].iter().for_each(|&at| self.columns[at] = moved(self.columns[at]));
                for at in frame..self.areas.len() {
                    if let Some(area) = self.areas[at].filter(|_| self.is_within(at, frame)) {
                        self.areas[at] = Some(Area { left: moved(area.left), right: moved(area.right), ..area });
                    }
                }
            }
        }
    }

    /// Returns the cells that the items of a frame cover.
    fn bounds(&self, frame: usize) -> Option<Area> {
        let inside = &self.inside[frame];
        let rows = || inside.iter().map(|&at| self.rows[at]);
        let columns = || inside.iter().map(|&at| self.columns[at]);
        let (left, right) = (columns().min()?, columns().max()?);
        Some(Area { top: rows().min()?, bottom: rows().max()?, left, right })
    }

    fn finish(self) -> Grid {
        let rows = self.rows.iter().max().map_or(0, |row| row + 1);
        let columns = self.columns.iter().max().map_or(0, |column| column + 1);
        let empty = Area { top: 0, bottom: 0, left: 0, right: 0 };
        let areas = (0..self.areas.len()).map(|frame| {
            let area = self.bounds(frame).unwrap_or(empty);
            let tall = self.drawing.frames[frame].region || frame == 0;
            if tall { Area { top: 0, bottom: rows.saturating_sub(1), ..area } } else { area }
        });
        let areas = areas.collect();
        Grid { cells: self.rows.into_iter().zip(self.columns).collect(), areas, rows, columns }
    }

    fn area(&self, item: Item) -> Area {
        match item {
            Item::Box(at) => {
                let (row, column) = (self.rows[at], self.columns[at]);
                Area { top: row, bottom: row, left: column, right: column }
            }
            Item::Frame(frame) => {
                let area = self.areas[frame].unwrap_or(Area { top: 0, bottom: 0, left: 0, right: 0 });
                // The outermost frames are side by side.
                if self.drawing.frames[frame].region { Area { top: 0, bottom: usize::MAX, ..area } } else { area }
            }
        }
    }
}
