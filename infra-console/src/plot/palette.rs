//! Colours of plots.
//!
//! A page's style sheet has the colours for light and dark, so a plot in a page has placeholders: `#000001` is the first
//! colour, and `metrics.css` maps it to a variable. A plot in a file has the colours of the light theme.

use plotters::style::RGBColor;
use schemars::JsonSchema;
use serde::Serialize;

/// A colour by its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Colour {
    /// One of the colours of series, from 0.
    Series(u8),
    Warn,
    Bad,
    Busy,
    Text,
    Muted,
    Grid,
    Background,
}

/// Number of the colours of series.
pub(crate) const SERIES_COLOURS: u8 = 8;

/// Place where a plot is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Palette {
    Page,
    File,
}

impl Colour {
    /// Returns the number of the placeholder and of the CSS class `colour-NUMBER`.
    pub(crate) fn number(self) -> u8 {
        match self {
            Colour::Series(index) => 1 + index % SERIES_COLOURS,
            Colour::Warn => 9,
            Colour::Bad => 10,
            Colour::Busy => 11,
            Colour::Text => 12,
            Colour::Muted => 13,
            Colour::Grid => 14,
            Colour::Background => 15,
        }
    }

    pub(super) fn of(self, palette: Palette) -> RGBColor {
        let number = self.number();
        match palette {
            Palette::Page => RGBColor(0, 0, number),
            Palette::File => LIGHT[usize::from(number) - 1],
        }
    }
}

/// The colours of the light theme, by their numbers.
const LIGHT: [RGBColor; 15] = [
    RGBColor(0x25, 0x63, 0xEB),
    RGBColor(0xD9, 0x77, 0x06),
    RGBColor(0x05, 0x96, 0x69),
    RGBColor(0xBE, 0x18, 0x5D),
    RGBColor(0x7C, 0x3A, 0xED),
    RGBColor(0x08, 0x91, 0xB2),
    RGBColor(0x85, 0x4D, 0x0E),
    RGBColor(0x47, 0x55, 0x69),
    RGBColor(0xD9, 0x9A, 0x06),
    RGBColor(0xB9, 0x1C, 0x1C),
    RGBColor(0x6D, 0x28, 0xD9),
    RGBColor(0x18, 0x20, 0x2C),
    RGBColor(0x5B, 0x65, 0x75),
    RGBColor(0xE3, 0xE7, 0xEE),
    RGBColor(0xFF, 0xFF, 0xFF),
];
