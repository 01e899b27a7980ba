//! The row of each box.

use super::drawing::{Drawing, Edge};

/// The passes over all boxes that look for better rows.
const PASSES: usize = 12;

/// Number of boxes above which the first rows are kept.
const MANY: usize = 200;

/// Number of edges above which the first rows are kept.
const MANY_EDGES: usize = 500;

/// Returns the row of each box: below everything that it uses, and with at most `breadth` boxes of an outermost frame
/// in a row.
pub(crate) fn rows(drawing: &Drawing, breadth: usize) -> Vec<usize> {
    let count = drawing.boxes.len();
    let (mut used, mut users) = (vec![Vec::new(); count], vec![Vec::new(); count]);
    for &Edge { upper: from, lower: to, .. } in &drawing.edges {
        used[to].push(from);
        users[from].push(to);
    }
    // The number of boxes on the longest path down; boxes come after those that they use.
    let mut height = vec![0; count];
    for at in (0..count).rev() {
        height[at] = users[at].iter().map(|&user| height[user] + 1).max().unwrap_or(0);
    }
    let column: Vec<usize> = (0..count).map(|at| drawing.outermost(at).unwrap_or(0)).collect();
    let mut rows = vec![usize::MAX; count];
    let mut taken: Vec<Vec<usize>> = Vec::new();
    let mut waiting: Vec<usize> = (0..count).collect();
    waiting.sort_by_key(|&at| std::cmp::Reverse(height[at]));
    while !waiting.is_empty() {
        let row = taken.len();
        let mut here = vec![0; drawing.frames.len()];
        waiting.retain(|&at| {
            let ready = used[at].iter().all(|&used| rows[used] < row);
            let fits = ready && here[column[at]] < breadth;
            if fits {
                rows[at] = row;
                here[column[at]] += 1;
            }
            !fits
        });
        taken.push(here);
    }
    if count <= MANY && drawing.edges.len() <= MANY_EDGES {
        Settler { drawing, used: &used, users: &users, rows: &mut rows, last: taken.len().saturating_sub(1) }.settle();
    }
    rows
}

/// Moves boxes to other rows between those that they use and their users.
struct Settler<'a> {
    drawing: &'a Drawing,
    used: &'a [Vec<usize>],
    users: &'a [Vec<usize>],
    rows: &'a mut [usize],
    last: usize,
}

impl Settler<'_> {
    /// Makes the picture narrower, its frames lower and its edges shorter.
    fn settle(&mut self) {
        for _ in 0..PASSES {
            let mut changed = false;
            // Users first, so that the boxes that they use can follow.
            for at in (0..self.rows.len()).rev() {
                let first = self.used[at].iter().map(|&used| self.rows[used] + 1).max().unwrap_or(0);
                let last = self.users[at].iter().map(|&user| self.rows[user]).min().unwrap_or(self.last + 1);
                let now = self.rows[at];
                let mut best = (self.cost(at), now);
                for row in first..last {
                    self.rows[at] = row;
                    let cost = self.cost(at);
                    if cost < best.0 - 1e-9 {
                        best = (cost, row);
                    }
                }
                self.rows[at] = best.1;
                changed |= best.1 != now;
                for &used in &self.used[at] {
                    changed |= self.move_both(used, at);
                }
            }
            if !changed {
                break;
            }
        }
    }

    /// Moves a box and its user by the same number of rows if that is better than leaving both.
    fn move_both(&mut self, used: usize, user: usize) -> bool {
        let (from, to) = (self.rows[used], self.rows[user]);
        let before = self.cost(used) + self.cost(user);
        let mut best = (before - 1e-9, 0);
        for down in 1..=self.last - to {
            (self.rows[used], self.rows[user]) = (from + down, to + down);
            let ordered = |at: usize| {
                self.used[at].iter().all(|&other| self.rows[other] < self.rows[at])
                    && self.users[at].iter().all(|&other| self.rows[other] > self.rows[at])
            };
            if !ordered(used) || !ordered(user) {
                continue;
            }
            let cost = self.cost(used) + self.cost(user);
            if cost < best.0 {
                best = (cost, down);
            }
        }
        (self.rows[used], self.rows[user]) = (from + best.1, to + best.1);
        best.1 > 0
    }

    /// Returns the cost of a box in its row: the room of its outermost frame, and the length of its edges.
    fn cost(&self, at: usize) -> f64 {
        let frames = &self.drawing.frames;
        let outermost = self.drawing.outermost(at).unwrap_or(0);
        let mut loads = vec![vec![0_usize; self.last + 1]; frames.len()];
        for (node, &row) in self.drawing.boxes.iter().zip(self.rows.iter()) {
            loads[node.frame][row] += 1;
        }
        let mut height = 0;
        for frame in (outermost + 1..frames.len()).rev().filter(|&frame| frames[frame].parent.is_some()) {
            if frame == outermost || !self.drawing.around(frame).any(|frame| frame == outermost) {
                continue;
            }
            let filled = |row: &usize| loads[frame][*row] > 0;
            let (top, bottom) = ((0..=self.last).find(filled), (0..=self.last).rev().find(filled));
            if let (Some(top), Some(bottom), Some(parent)) = (top, bottom, frames[frame].parent) {
                let width = loads[frame].iter().max().copied().unwrap_or(0);
                loads[parent][top..=bottom].iter_mut().for_each(|load| *load += width);
                height += bottom - top;
            }
        }
        let loads = &loads[outermost];
        let width = loads.iter().max().copied().unwrap_or(0);
        let crowding: usize = loads.iter().map(|load| load * load).sum();
        let near = self.used[at].iter().chain(&self.users[at]);
        let length: usize = near.map(|&other| self.rows[at].abs_diff(self.rows[other])).sum();
        3.0 * width as f64 + 0.04 * crowding as f64 + 0.8 * height as f64 + 0.3 * length as f64
    }
}
