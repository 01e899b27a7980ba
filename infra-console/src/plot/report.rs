//! A plot as a file for reports: title, axes with units, legend, the marked events, and the source.

use super::{
    Plot,
    draw::{self, Area, DrawError, Look},
    palette::{Colour, Palette},
};
use plotters::{
    element::{Rectangle, Text},
    style::{
        Color,
        text_anchor::{HPos, VPos},
    },
};

/// Texts of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caption {
    pub(crate) title: String,
    /// Resource, region and time range.
    pub(crate) subtitle: String,
    /// A line for each marked event.
    pub(crate) notes: Vec<String>,
    /// Origin of the data, in lines.
    pub(crate) source: Vec<String>,
}

const WIDTH: u32 = 1600;
const PLOT_HEIGHT: u32 = 640;
const HEADER: u32 = 120;
const LINE: u32 = 36;
const GAP: u32 = 14;
const LEFT: i32 = 48;

/// Size of texts.
const TEXT: f64 = 24.0;

/// The largest number of notes, and of characters of a line.
const NOTES: usize = 12;
const LENGTH: usize = 120;

/// Width of a character of the legend. Texts are drawn by the viewer, in a font that is not known here.
const CHARACTER: i32 = 14;

const LOOK: Look = Look { palette: Palette::File, text: TEXT, titles: true };

/// Renders the file.
pub(super) fn file(plot: &Plot, caption: &Caption) -> Result<String, DrawError> {
    let legend = legend(plot);
    let notes = notes(caption);
    let rows = legend.last().map_or(0, |(row, ..)| row + 1);
    let lines = rows + (notes.len() + caption.source.len()) as u32;
    let size = (WIDTH, HEADER + PLOT_HEIGHT + LINE * lines + 4 * GAP);
    draw::document(size, |root| {
        root.fill(&Colour::Background.of(Palette::File))?;
        write(root, &caption.title, (LEFT, 28), (Colour::Text, 34.0))?;
        write(root, &caption.subtitle, (LEFT, 74), (Colour::Muted, TEXT))?;
        let (_, rest) = root.split_vertically(HEADER);
        let (area, _) = rest.split_vertically(PLOT_HEIGHT);
        let (area, _) = area.split_horizontally(WIDTH - LEFT.cast_unsigned());
        draw::area(plot, &area, LOOK)?;
        let top = |line: u32, gaps: u32| (HEADER + PLOT_HEIGHT + LINE * line + GAP * gaps).cast_signed();
        for (row, left, colour, name) in &legend {
            let (left, top) = (*left, top(*row, 1));
            let colour = colour.of(Palette::File).filled();
            root.draw(&Rectangle::new([(left, top + 2), (left + 22, top + 20)], colour))?;
            write(root, name, (left + 34, top), (Colour::Text, TEXT))?;
        }
        for (line, note) in (rows..).zip(&notes) {
            write(root, note, (LEFT, top(line, 2)), (Colour::Text, TEXT * 0.9))?;
        }
        for (line, source) in (rows + notes.len() as u32..).zip(&caption.source) {
            write(root, &shortened(source), (LEFT, top(line, 3)), (Colour::Muted, TEXT * 0.8))?;
        }
        Ok(())
    })
}

fn write(root: &Area<'_>, text: &str, at: (i32, i32), (colour, size): (Colour, f64)) -> Result<(), DrawError> {
    root.draw(&Text::new(draw::clean(text), at, LOOK.text(colour, size, (HPos::Left, VPos::Top))))
}

/// Returns the entries of the legend: row, left edge, colour, name.
fn legend(plot: &Plot) -> Vec<(u32, i32, Colour, &str)> {
    let (mut row, mut left) = (0, LEFT);
    let mut entries = Vec::new();
    for series in &plot.series {
        let width = 34 + CHARACTER * i32::try_from(series.name.chars().count()).unwrap_or(WIDTH.cast_signed()) + 40;
        if left > LEFT && left + width > WIDTH.cast_signed() {
            (row, left) = (row + 1, LEFT);
        }
        entries.push((row, left, series.colour, series.name.as_str()));
        left += width;
    }
    entries
}

/// Returns the lines of the notes within the limits.
fn notes(caption: &Caption) -> Vec<String> {
    let mut notes: Vec<String> = caption.notes.iter().take(NOTES).map(|note| shortened(note)).collect();
    if caption.notes.len() > NOTES {
        notes.push(format!("and {} more events", caption.notes.len() - NOTES));
    }
    notes
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
