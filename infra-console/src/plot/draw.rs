//! The plot area: axes, series and marks.

use super::{
    Mark, Plot, Series, Shape,
    palette::{Colour, Palette},
    scale::{Scale, format_value},
};
use plotters::{
    chart::{ChartBuilder, ChartContext},
    coord::{Shift, cartesian::Cartesian2d},
    drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea},
    element::{Circle, PathElement, Polygon, Text},
    prelude::SVGBackend,
    style::{
        Color, FontFamily, ShapeStyle, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

/// Size of a plot in a page, in the units of its view box: half a pixel on a wide screen.
const PAGE: (u32, u32) = (PAGE_WIDTH, 420);

pub(crate) const PAGE_WIDTH: u32 = 1200;

/// The plot area of a page's plot within [`PAGE`], left and right.
pub(crate) const PAGE_AREA: (i32, i32) = (MARGINS.left, PAGE.0.cast_signed() - MARGINS.right);

/// Space around the plot area.
const MARGINS: Margins = Margins { left: 104, right: 24, top: 44, bottom: 52 };

struct Margins {
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
}

/// The largest number of ticks of the time axis.
const TIME_TICKS: f64 = 8.0;

/// The shortest distance of the numbers of marks.
const MARK_DISTANCE: i32 = 72;

/// Opacity of stacked areas, which show the grid.
const STACKED: f64 = 0.8;

pub(super) type DrawError = DrawingAreaErrorKind<std::io::Error>;
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Scale, Scale>>;

/// Colours and sizes of one plot.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) palette: Palette,
    /// Size of texts, in units of the view box.
    pub(super) text: f64,
    /// Titles of the axes: the time and the unit.
    pub(super) titles: bool,
}

impl Look {
    pub(super) fn text(self, colour: Colour, size: f64, anchor: (HPos, VPos)) -> TextStyle<'static> {
        // plotters divides the size by 1.24 in its SVG.
        let style: TextStyle<'static> = (FontFamily::SansSerif, size * 1.24).into();
        let position = Pos::new(anchor.0, anchor.1);
        TextStyle { color: colour.of(self.palette).to_backend_color(), pos: position, ..style }
    }

    fn line(self, colour: Colour, width: u32) -> ShapeStyle {
        colour.of(self.palette).stroke_width(width)
    }
}

/// Renders a plot for a page. Its size is the page's.
pub(super) fn page(plot: &Plot, name: &str) -> Result<String, DrawError> {
    let look = Look { palette: Palette::Page, text: 24.0, titles: false };
    let drawn = document(PAGE, |root| area(plot, root, look))?;
    let body = drawn.split_once(">\n").map_or("", |(_, body)| body);
    let name: String = clean(name).chars().map(escaped).collect();
    let (width, height) = PAGE;
    Ok(format!("<svg class=\"plot\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{name}\">\n{body}"))
}

fn escaped(character: char) -> String {
    match character {
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '&' => "&amp;".to_owned(),
        '"' => "&quot;".to_owned(),
        other => other.to_string(),
    }
}

/// Draws an SVG document.
pub(super) fn document(
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Result<(), DrawError>,
) -> Result<String, DrawError> {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        draw(&root)?;
        root.present()?;
    }
    Ok(text)
}

/// Removes the characters that XML does not allow.
pub(super) fn clean(text: &str) -> String {
    text.chars().filter(|character| !character.is_control() && !matches!(character, '\u{fffe}' | '\u{ffff}')).collect()
}

/// Draws a plot into an area.
pub(super) fn area(plot: &Plot, area: &Area<'_>, look: Look) -> Result<(), DrawError> {
    let times = Scale::time(plot.from, plot.to, TIME_TICKS);
    let values = Scale::value(plot.largest(), plot.shape == Shape::Steps);
    let titles = if look.titles { (look.text * 1.8) as i32 } else { 0 };
    let mut chart = ChartBuilder::on(area)
        .margin_top(MARGINS.top)
        .margin_right(MARGINS.right)
        .margin_left(titles / 2)
        .x_label_area_size(MARGINS.bottom + titles)
        .y_label_area_size(MARGINS.left + titles)
        .build_cartesian_2d(times, values)?;
    axes(plot, &mut chart, look)?;
    match plot.shape {
        Shape::Stacked => stack(plot, &mut chart, look)?,
        Shape::Lines => {
            for series in &plot.series {
                lines(series.colour, visible(plot, series), &mut chart, look)?;
            }
        }
        Shape::Steps => {
            // The first series is drawn last: with equal values, it hides the others.
            for series in plot.series.iter().rev() {
                lines(series.colour, steps(visible(plot, series), plot.to), &mut chart, look)?;
            }
        }
    }
    marks(plot, &values, &mut chart, look)
}

fn axes(plot: &Plot, chart: &mut Chart<'_, '_>, look: Look) -> Result<(), DrawError> {
    let times = Scale::time(plot.from, plot.to, TIME_TICKS);
    let format_time = |time: &f64| times.format_time(*time);
    let format_value = |value: &f64| format_value(*value);
    let mut mesh = chart.configure_mesh();
    mesh.disable_x_mesh()
        .x_max_light_lines(0)
        .y_max_light_lines(0)
        .bold_line_style(look.line(Colour::Grid, 2))
        .light_line_style(look.line(Colour::Grid, 2).color.mix(0.0))
        .axis_style(look.line(Colour::Grid, 2))
        .set_all_tick_mark_size(8)
        .x_label_style(look.text(Colour::Muted, look.text, (HPos::Center, VPos::Top)))
        .y_label_style(look.text(Colour::Muted, look.text, (HPos::Right, VPos::Center)))
        .axis_desc_style(look.text(Colour::Muted, look.text, (HPos::Center, VPos::Center)))
        .x_label_formatter(&format_time)
        .y_label_formatter(&format_value);
    if look.titles {
        mesh.x_desc("time (UTC)").y_desc(plot.unit);
    }
    mesh.draw()
}

type Points = Vec<(f64, Option<f64>)>;

fn visible(plot: &Plot, series: &Series) -> Points {
    let within = series.points.iter().filter(|(at, _)| (plot.from..=plot.to).contains(at));
    within.map(|(at, value)| (*at as f64, *value)).collect()
}

/// Adds a point at the end of each step.
fn steps(points: Points, end: i64) -> Points {
    let mut steps = Points::new();
    for (index, (at, value)) in points.iter().enumerate() {
        steps.push((*at, *value));
        steps.push((points.get(index + 1).map_or(end as f64, |next| next.0), *value));
    }
    steps
}

/// Draws a line for each part of a series without missing values.
fn lines(colour: Colour, points: Points, chart: &mut Chart<'_, '_>, look: Look) -> Result<(), DrawError> {
    for part in points.split(|(_, value)| value.is_none()).filter(|part| !part.is_empty()) {
        let part: Vec<(f64, f64)> = part.iter().filter_map(|(at, value)| Some((*at, (*value)?))).collect();
        match part[..] {
            [alone] => chart.draw_series([Circle::new(alone, 4, colour.of(look.palette).filled())])?,
            _ => chart.draw_series([PathElement::new(part, look.line(colour, 4))])?,
        };
    }
    Ok(())
}

/// Returns the sums of each series and those before it.
pub(super) fn sums(series: &[Series]) -> Vec<Vec<f64>> {
    let mut total = Vec::new();
    let add = |series: &Series| {
        total.resize(series.points.len().max(total.len()), 0.0);
        for (sum, (_, value)) in total.iter_mut().zip(&series.points) {
            *sum += value.unwrap_or(0.0);
        }
        total.clone()
    };
    series.iter().map(add).collect()
}

/// Draws stacked areas, from the first series at the bottom.
fn stack(plot: &Plot, chart: &mut Chart<'_, '_>, look: Look) -> Result<(), DrawError> {
    let sums = sums(&plot.series);
    for (index, series) in plot.series.iter().enumerate() {
        let zeros = vec![0.0; series.points.len()];
        let below = index.checked_sub(1).map_or(&zeros, |index| &sums[index]);
        let band = series.points.iter().zip(below.iter().zip(&sums[index]));
        let band: Vec<_> = band.filter(|((at, _), _)| (plot.from..=plot.to).contains(at)).collect();
        for part in band.split(|((_, value), _)| value.is_none()) {
            // A part without any value would be a line on the one below.
            if part.iter().all(|(_, (low, high))| low >= high) {
                continue;
            }
            let upper = part.iter().map(|((at, _), (_, high))| (*at as f64, **high));
            let lower = part.iter().rev().map(|((at, _), (low, _))| (*at as f64, **low));
            let colour = series.colour.of(look.palette).mix(STACKED);
            chart.draw_series([Polygon::new(upper.chain(lower).collect::<Vec<_>>(), colour.filled())])?;
        }
    }
    Ok(())
}

/// Draws the vertical lines of marks, and their numbers above the plot. The numbers of close marks are joined: `3–5`.
fn marks(plot: &Plot, values: &Scale, chart: &mut Chart<'_, '_>, look: Look) -> Result<(), DrawError> {
    let mut visible: Vec<&Mark> = plot.marks.iter().filter(|mark| (plot.from..=plot.to).contains(&mark.at)).collect();
    visible.sort_by_key(|mark| (mark.at, mark.number));
    let mut labels: Vec<(i32, &Mark, &Mark)> = Vec::new();
    for mark in visible {
        let at = mark.at as f64;
        chart.draw_series([PathElement::new(vec![(at, 0.0), (at, values.to)], look.line(mark.colour, 3))])?;
        let place = chart.backend_coord(&(at, values.to)).0;
        match labels.last_mut() {
            Some((first, _, last)) if place - *first < MARK_DISTANCE => *last = mark,
            _ => labels.push((place, mark, mark)),
        }
    }
    for (_, first, last) in labels {
        let number = if first.number == last.number {
            first.number.to_string()
        } else {
            format!("{}–{}", first.number, last.number)
        };
        let style = look.text(first.colour, look.text * 0.9, (HPos::Center, VPos::Bottom));
        let at = (first.at as f64, values.to + (values.to - values.from) * 0.015);
        chart.plotting_area().draw(&Text::new(number, at, style))?;
    }
    Ok(())
}
