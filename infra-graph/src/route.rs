//! Routes the edges between the cells: down out of a box, along the channel below its row, down a lane, along the channel
//! above the user's row, and into the user from above.
//!
//! Lanes run in the gaps between columns, or through empty cells above or below the ends of an edge. So no edge crosses a
//! box. The edges of one box share their channels and lanes; other edges get tracks of their own.

use super::{
    drawing::{Drawing, Edge},
    place::Grid,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Route of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The user is in the next row.
    None,
    /// Through the empty cells below the used box.
    Below,
    /// Through the empty cells above the user.
    Above,
    /// In the gap on the left of this column, on a track of it.
    Gap { gap: usize, track: usize },
}

/// Routes of all edges, and the room that they need.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    /// By the index of the edge.
    pub(crate) lanes: Vec<Lane>,
    /// The number of tracks in each gap; one more gap than columns.
    pub(crate) gaps: Vec<usize>,
}

/// The tracks of the horizontal channels; one more channel than rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Channels {
    /// The track of a box's edges in a channel.
    pub(crate) tracks: HashMap<(usize, usize), usize>,
    /// The number of tracks in each channel.
    pub(crate) counts: Vec<usize>,
}

/// Chooses the lane of every edge.
pub(crate) fn route(drawing: &Drawing, grid: &Grid) -> Routes {
    let mut occupied = vec![vec![false; grid.columns]; grid.rows];
    grid.cells.iter().for_each(|&(row, column)| occupied[row][column] = true);
    let empty = |column: usize, rows: std::ops::Range<usize>| rows.into_iter().all(|row| !occupied[row][column]);
    let regions = drawing.frames.iter().zip(&grid.areas).filter(|(frame, _)| frame.region);
    let borders: BTreeSet<usize> = regions.flat_map(|(_, area)| [area.left, area.right + 1]).collect();
    // The rows that a box's edges pass in a gap, and how many boxes pass each row of it.
    let mut passed: BTreeMap<(usize, usize), (usize, usize)> = BTreeMap::new();
    let mut load = vec![vec![0_usize; grid.rows + 1]; grid.columns + 1];
    let mut chosen = vec![None; drawing.edges.len()];
    // Long edges last: they share the lanes of the shorter edges of their box.
    let mut order: Vec<usize> = (0..drawing.edges.len()).collect();
    order.sort_by_key(|&edge| {
        let Edge { upper: used, lower: user, .. } = drawing.edges[edge];
        grid.cells[user].0 - grid.cells[used].0
    });
    for edge in order {
        let Edge { upper: used, lower: user, .. } = drawing.edges[edge];
        let ((top, from), (bottom, to)) = (grid.cells[used], grid.cells[user]);
        if bottom == top + 1 {
            continue;
        }
        let sideways = from.abs_diff(to) as f64;
        let turn = if from == to { 0.0 } else { 0.3 };
        let mut best = (f64::INFINITY, Choice::Gap(0));
        if empty(from, top + 1..bottom) {
            best = (sideways + turn, Choice::Below);
        }
        if from != to && empty(to, top + 1..bottom) && sideways + 0.4 < best.0 {
            best = (sideways + 0.4, Choice::Above);
        }
        for (gap, load) in load.iter().enumerate() {
            let place = gap as f64 - 0.5;
            let shared = passed.get(&(used, gap)).map_or(0, |(first, last)| (*last).min(bottom) - (*first).max(top));
            let crowd: usize = (top + 1..=bottom).map(|row| load[row]).max().unwrap_or(0);
            let away = (from as f64 - place).abs() + (to as f64 - place).abs();
            // A lane along the border of a region is outside of it.
            let inside = drawing.outermost(used) == drawing.outermost(user) && borders.contains(&gap);
            let cost = away + if inside { 2.0 } else { 0.7 } + 0.25 * crowd as f64 - 0.3 * shared as f64;
            if cost < best.0 {
                best = (cost, Choice::Gap(gap));
            }
        }
        if let Choice::Gap(gap) = best.1 {
            let rows = passed.entry((used, gap)).or_insert((top, top));
            (rows.1 + 1..=bottom).for_each(|row| load[gap][row] += 1);
            rows.1 = rows.1.max(bottom);
        }
        chosen[edge] = Some(best.1);
    }
    let mut gaps = vec![0; grid.columns + 1];
    let mut tracks = HashMap::new();
    for (gap, count) in gaps.iter_mut().enumerate() {
        let mut passing: Vec<_> = passed.iter().filter(|((_, of), _)| *of == gap).collect();
        passing.sort_by_key(|((used, _), rows)| (rows.0, *used));
        let mut ends: Vec<usize> = Vec::new();
        for ((used, _), &(first, last)) in passing {
            let free = ends.iter().position(|&end| end <= first);
            let track = free.unwrap_or(ends.len());
            if free.is_none() {
                ends.push(0);
            }
            ends[track] = last;
            tracks.insert((*used, gap), track);
        }
        *count = ends.len();
    }
    let lane = |(choice, edge): (Option<Choice>, &Edge)| match choice {
        None => Lane::None,
        Some(Choice::Below) => Lane::Below,
        Some(Choice::Above) => Lane::Above,
        Some(Choice::Gap(gap)) => Lane::Gap { gap, track: tracks[&(edge.upper, gap)] },
    };
    Routes { lanes: chosen.into_iter().zip(&drawing.edges).map(lane).collect(), gaps }
}

#[derive(Clone, Copy)]
enum Choice {
    Below,
    Above,
    Gap(usize),
}

/// Positions at which the edges of one box meet a channel.
#[derive(Clone, Debug, Default)]
struct Net {
    from: usize,
    /// Horizontal positions of lines from above.
    tops: Vec<f64>,
    /// Horizontal positions of lines that continue below.
    bottoms: Vec<f64>,
}

impl Net {
    fn span(&self) -> (f64, f64) {
        let all = || self.tops.iter().chain(&self.bottoms).copied();
        (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max))
    }

    fn meets(&self, other: &Self) -> bool {
        let ((left, right), (other_left, other_right)) = (self.span(), other.span());
        left - 8.0 <= other_right && other_left - 8.0 <= right
    }

    /// Returns the number of crossings if the track of `self` is above that of `other`.
    fn crossings_above(&self, other: &Self) -> usize {
        let within = |places: &[f64], (left, right): (f64, f64)| {
            places.iter().filter(|place| (left - 1.0..=right + 1.0).contains(*place)).count()
        };
        // Lines of both at one position would cover each other.
        let covered =
            self.bottoms.iter().filter(|place| other.tops.iter().any(|top| (*place - top).abs() < 1.0)).count();
        within(&self.bottoms, other.span()) + within(&other.tops, self.span()) + 10 * covered
    }
}

/// Assigns the tracks of the edges in the channels. `places` are the horizontal positions of the start, the lane and the
/// end of each edge.
pub(crate) fn channels(drawing: &Drawing, grid: &Grid, places: &[(f64, f64, f64)]) -> Channels {
    let mut nets: BTreeMap<(usize, usize), Net> = BTreeMap::new();
    for (&Edge { upper: used, lower: user, .. }, &(start, lane, end)) in drawing.edges.iter().zip(places) {
        let (first, last) = (grid.cells[used].0 + 1, grid.cells[user].0);
        let mut meet = |channel: usize, top: f64, bottom: f64| {
            let net = nets.entry((channel, used)).or_default();
            net.from = used;
            net.tops.push(top);
            net.bottoms.push(bottom);
        };
        if first == last {
            meet(first, start, end);
        } else {
            meet(first, start, lane);
            meet(last, lane, end);
        }
    }
    let mut channels = Channels { tracks: HashMap::new(), counts: vec![0; grid.rows + 1] };
    for channel in 0..=grid.rows {
        let here = nets.range((channel, 0)..(channel + 1, 0)).map(|(_, net)| net.clone());
        let mut order: Vec<Net> = here.filter(|net| net.span().1 - net.span().0 > 0.5).collect();
        for net in &mut order {
            for places in [&mut net.tops, &mut net.bottoms] {
                places.sort_by(f64::total_cmp);
                places.dedup();
            }
        }
        // Neighbours are swapped while that avoids crossings.
        for _ in 0..order.len() {
            let mut changed = false;
            for at in 1..order.len() {
                let (one, other) = (&order[at - 1], &order[at]);
                if one.meets(other) && other.crossings_above(one) < one.crossings_above(other) {
                    order.swap(at - 1, at);
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
        let mut placed: Vec<(usize, &Net)> = Vec::new();
        for net in &order {
            let above = placed.iter().filter(|(_, other)| other.meets(net)).map(|(track, _)| track + 1);
            let track = above.max().unwrap_or(0);
            placed.push((track, net));
            channels.tracks.insert((channel, net.from), track);
            channels.counts[channel] = channels.counts[channel].max(track + 1);
        }
    }
    channels
}
