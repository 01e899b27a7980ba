//! Turns cells, lanes and tracks into coordinates, in pixels.

use super::{
    cells::Area,
    drawing::{Drawing, Edge},
    place::Grid,
    route::{self, Lane, Routes},
};

/// The size of a box.
pub(crate) const BOX: (f64, f64) = (160.0, 44.0);
/// The distance between the borders of nested frames, and between a frame and its boxes.
const PADDING: f64 = 12.0;
/// The height of a frame's title.
const TITLE: f64 = 24.0;
/// The distance between parallel lines.
const TRACK: f64 = 8.0;
/// The distance between a line and a box or a frame.
const CLEARANCE: f64 = 9.0;
/// The length of an arrow's head, which needs a straight line before it.
pub(crate) const ARROW: f64 = 7.0;
/// The distance of the picture's content from its border.
const MARGIN: f64 = 24.0;
/// The height above the content: the title and the legend.
const HEAD: f64 = 84.0;
/// The ratio of width to height that fills a slide.
const SLIDE: f64 = 16.0 / 9.0;

/// A rectangle, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    /// Horizontal position of the left border.
    pub x: f64,
    /// Vertical position of the upper border; positions increase downwards.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// The coordinates of a drawing's parts, in pixels. No two boxes overlap, and no edge crosses a box.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Width of the picture.
    pub width: f64,
    /// Height of the picture, including the heading and the legend.
    pub height: f64,
    /// Rectangles of [`Drawing::boxes`], in the same order.
    pub boxes: Vec<Rect>,
    /// Rectangles of [`Drawing::frames`], in the same order. The first one, which is the whole picture, has no border.
    pub frames: Vec<Rect>,
    /// Lines of [`Drawing::edges`], in the same order: the corners from the upper box to the lower box.
    pub edges: Vec<Vec<(f64, f64)>>,
}

/// The space between two neighbouring columns or rows.
struct Gap {
    /// Width of the borders of frames that end in it.
    ending: f64,
    /// Number of parallel lines in it.
    tracks: usize,
    /// Width of the borders of frames that begin in it.
    beginning: f64,
}

/// Positions along one axis.
struct Axis {
    /// Start of each column or row.
    cells: Vec<f64>,
    /// Position of the first line in each gap.
    tracks: Vec<f64>,
    /// End of the last gap.
    end: f64,
}

impl Axis {
    /// Positions of `count` cells of this size, with a gap before each of them and behind the last.
    fn of(count: usize, size: f64, start: f64, gap: impl Fn(usize) -> Gap) -> Self {
        let (mut cells, mut tracks_at) = (Vec::with_capacity(count), Vec::with_capacity(count + 1));
        let mut at = start;
        for index in 0..=count {
            let Gap { ending, tracks, beginning } = gap(index);
            let inner = index > 0 && index < count;
            let room = match tracks {
                0 if inner => 2.0 * CLEARANCE,
                0 => 0.0,
                tracks => 2.0 * CLEARANCE + (tracks - 1) as f64 * TRACK,
            };
            tracks_at.push(at + ending + CLEARANCE);
            at += ending + room + beginning;
            if index < count {
                cells.push(at);
                at += size;
            }
        }
        Self { cells, tracks: tracks_at, end: at }
    }
}

impl Layout {
    /// Lays out a drawing, with the number of boxes in a row that fits a slide best.
    pub fn new(drawing: &Drawing) -> Self {
        let count = drawing.boxes.len();
        // Large graphs have fewer trials, and so do overviews of large graphs, whose groups have many edges.
        let overview = drawing.boxes.iter().any(|node| node.group().is_some());
        let breadths: &[usize] = match count {
            0..=400 if overview => &[4, 8, 14],
            0..=400 => &[2, 3, 4, 5, 6, 8, 10, 14, 20],
            401..=1500 => &[12, 20, 32],
            _ => &[48],
        };
        let layouts = breadths.iter().map(|&breadth| {
            let grid = Grid::new(drawing, breadth);
            let routes = route::route(drawing, &grid);
            Self::of(drawing, &grid, &routes)
        });
        let unlike_slide = |layout: &Self| (layout.width / layout.height / SLIDE).ln().abs() + layout.area().ln() * 0.5;
        let best = layouts.min_by(|one, other| unlike_slide(one).total_cmp(&unlike_slide(other)));
        best.unwrap_or(Self { width: 0.0, height: 0.0, boxes: Vec::new(), frames: Vec::new(), edges: Vec::new() })
    }

    fn area(&self) -> f64 {
        self.width * self.height
    }

    fn of(drawing: &Drawing, grid: &Grid, routes: &Routes) -> Self {
        let insets = Insets::new(drawing, grid);
        let gap = |gap| Gap {
            ending: insets.most(drawing, grid, |area| area.right + 1 == gap, |insets| insets.right),
            tracks: routes.gaps[gap],
            beginning: insets.most(drawing, grid, |area| area.left == gap, |insets| insets.left),
        };
        let Axis { cells: columns, tracks: tracks_at, end } = Axis::of(grid.columns, BOX.0, MARGIN, gap);
        let width = end + MARGIN;
        let places = places(drawing, grid, routes, &columns, &tracks_at);
        let channels = route::channels(drawing, grid, &places);
        let channel = |channel| {
            let beginning = insets.most(drawing, grid, |area| area.top == channel, |insets| insets.top);
            Gap {
                ending: insets.most(drawing, grid, |area| area.bottom + 1 == channel, |insets| insets.bottom),
                tracks: channels.counts[channel],
                beginning: beginning.max(if channel > 0 && channel < grid.rows { ARROW } else { 0.0 }),
            }
        };
        let Axis { cells: rows, tracks: channels_at, end } = Axis::of(grid.rows, BOX.1, HEAD, channel);
        let cell =
            |&(row, column): &(usize, usize)| Rect { x: columns[column], y: rows[row], width: BOX.0, height: BOX.1 };
        let boxes: Vec<Rect> = grid.cells.iter().map(cell).collect();
        let frames = (0..drawing.frames.len()).map(|frame| {
            let (area, inset) = (grid.areas[frame], insets.of[frame]);
            let first = cell(&(area.top.min(grid.rows - 1), area.left));
            let last = cell(&(area.bottom.min(grid.rows - 1), area.right));
            Rect {
                x: first.x - inset.left,
                y: first.y - inset.top,
                width: last.x + last.width + inset.right - (first.x - inset.left),
                height: last.y + last.height + inset.bottom - (first.y - inset.top),
            }
        });
        let frames = if grid.rows == 0 { vec![Rect::EMPTY; drawing.frames.len()] } else { frames.collect() };
        let line = |(edge, &Edge { upper: used, lower: user, .. }): (usize, &Edge)| {
            let (start, lane, end) = places[edge];
            let track = |channel: usize| {
                let track = channels.tracks.get(&(channel, used)).copied().unwrap_or(0);
                channels_at[channel] + track as f64 * TRACK
            };
            let (first, last) = (grid.cells[used].0 + 1, grid.cells[user].0);
            let (from, to) = (boxes[used].y + BOX.1, boxes[user].y);
            let corners = match routes.lanes[edge] {
                Lane::None => vec![(start, from), (start, track(first)), (end, track(first)), (end, to)],
                _ => vec![
                    (start, from),
                    (start, track(first)),
                    (lane, track(first)),
                    (lane, track(last)),
                    (end, track(last)),
                    (end, to),
                ],
            };
            straightened(corners)
        };
        let edges = drawing.edges.iter().enumerate().map(line).collect();
        Self { width, height: end + MARGIN, boxes, frames, edges }
    }
}

impl Rect {
    const EMPTY: Self = Self { x: 0.0, y: 0.0, width: 0.0, height: 0.0 };
}

/// Returns the horizontal positions of the start, the lane and the end of each edge.
fn places(drawing: &Drawing, grid: &Grid, routes: &Routes, columns: &[f64], tracks_at: &[f64]) -> Vec<(f64, f64, f64)> {
    let centre = |at: usize| columns[grid.cells[at].1] + BOX.0 / 2.0;
    // Direction of an edge, as seen from the user of the box.
    let origin = |edge: usize| match routes.lanes[edge] {
        Lane::Gap { gap, track } => tracks_at[gap] + track as f64 * TRACK,
        Lane::None | Lane::Below | Lane::Above => centre(drawing.edges[edge].upper),
    };
    let mut arriving: Vec<Vec<usize>> = vec![Vec::new(); drawing.boxes.len()];
    drawing.edges.iter().enumerate().for_each(|(at, edge)| arriving[edge.lower].push(at));
    let mut places = vec![(0.0, 0.0, 0.0); drawing.edges.len()];
    for (user, edges) in arriving.iter().enumerate() {
        let middle = centre(user);
        let straight = |edge: &usize| (origin(*edge) - middle).abs() < 1.0;
        for left in [true, false] {
            let mut side: Vec<usize> =
                edges.iter().copied().filter(|edge| !straight(edge) && (origin(*edge) < middle) == left).collect();
            // Outer edges end farther outside.
            side.sort_by(|one, other| (origin(*one) - middle).abs().total_cmp(&(origin(*other) - middle).abs()));
            let step = (BOX.0 / 2.0 - 12.0) / (side.len() as f64 + 1.0);
            let step = step.min(14.0);
            for (number, edge) in side.into_iter().enumerate() {
                let away = step * (number as f64 + 1.0);
                places[edge].2 = if left { middle - away } else { middle + away };
            }
        }
        edges.iter().copied().filter(|edge| straight(edge)).for_each(|edge| places[edge].2 = middle);
    }
    for (edge, &Edge { upper: used, .. }) in drawing.edges.iter().enumerate() {
        let (start, end) = (centre(used), places[edge].2);
        let lane = match routes.lanes[edge] {
            Lane::None | Lane::Below => start,
            Lane::Above => end,
            Lane::Gap { .. } => origin(edge),
        };
        places[edge] = (start, lane, end);
    }
    places
}

/// Removes the points of a line at which it does not turn.
fn straightened(corners: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let mut line: Vec<(f64, f64)> = Vec::with_capacity(corners.len());
    for corner in corners {
        let same = |one: f64, other: f64| (one - other).abs() < 0.01;
        if line.last().is_some_and(|last| same(last.0, corner.0) && same(last.1, corner.1)) {
            continue;
        }
        if let [.., before, last] = line[..]
            && (same(before.0, last.0) && same(last.0, corner.0) || same(before.1, last.1) && same(last.1, corner.1))
        {
            line.pop();
        }
        line.push(corner);
    }
    line
}

/// The distances between a frame and the cells in it.
#[derive(Clone, Copy, Debug, Default)]
struct Inset {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

struct Insets {
    of: Vec<Inset>,
}

impl Insets {
    /// Nests frames with borders at one position, with a distance between them.
    fn new(drawing: &Drawing, grid: &Grid) -> Self {
        let mut of = vec![Inset::default(); drawing.frames.len()];
        // Each frame is after its parent.
        for frame in (1..drawing.frames.len()).rev() {
            let area = grid.areas[frame];
            let inner = (frame + 1..drawing.frames.len()).filter(|&at| drawing.frames[at].parent == Some(frame));
            let most = |same: &dyn Fn(Area) -> bool, side: &dyn Fn(Inset) -> f64| {
                inner.clone().filter(|&at| same(grid.areas[at])).map(|at| side(of[at])).fold(0.0, f64::max)
            };
            let inset = Inset {
                left: PADDING + most(&|inner| inner.left == area.left, &|inset| inset.left),
                right: PADDING + most(&|inner| inner.right == area.right, &|inset| inset.right),
                top: TITLE + PADDING / 2.0 + most(&|inner| inner.top == area.top, &|inset| inset.top),
                bottom: PADDING + most(&|inner| inner.bottom == area.bottom, &|inset| inset.bottom),
            };
            of[frame] = inset;
        }
        // Regions are side by side, with their borders at one height.
        let regions: Vec<usize> = (0..drawing.frames.len()).filter(|&frame| drawing.frames[frame].region).collect();
        let most = |side: &dyn Fn(Inset) -> f64| regions.iter().map(|&frame| side(of[frame])).fold(0.0, f64::max);
        let (top, bottom) = (most(&|inset| inset.top), most(&|inset| inset.bottom));
        regions.iter().for_each(|&frame| of[frame] = Inset { top, bottom, ..of[frame] });
        Self { of }
    }

    fn most(&self, drawing: &Drawing, grid: &Grid, at: impl Fn(Area) -> bool, side: impl Fn(Inset) -> f64) -> f64 {
        let here = (1..drawing.frames.len()).filter(|&frame| at(grid.areas[frame]));
        here.map(|frame| side(self.of[frame])).fold(0.0, f64::max)
    }
}
