//! Plots of time series as SVG, drawn by the crate `plotters`.
//!
//! - `scale`: scales of the axes
//! - `palette`: colours for pages and for files
//! - `draw`: the plot area
//! - `report`: a plot as a file, with title, legend and notes

mod draw;
mod palette;
mod report;
mod scale;

pub(crate) use draw::{PAGE_AREA, PAGE_WIDTH};
pub(crate) use palette::{Colour, SERIES_COLOURS};
pub(crate) use report::Caption;
pub(crate) use scale::format_value;

use infra_core::diagnostic::Diagnostic;
use schemars::JsonSchema;
use serde::Serialize;

/// Values over time.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Plot {
    /// Unit of all series, such as `ms`.
    pub(crate) unit: &'static str,
    pub(crate) shape: Shape,
    /// Time range, in milliseconds since 1970.
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) series: Vec<Series>,
    pub(crate) marks: Vec<Mark>,
}

/// Form of the series of a plot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Shape {
    /// Lines between the values.
    Lines,
    /// Areas on top of each other. All series have values at the same times.
    Stacked,
    /// Counts, each until the next one.
    Steps,
}

/// A named series.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) colour: Colour,
    /// Times, in milliseconds since 1970 and in ascending order, and values. `None` interrupts the line.
    pub(crate) points: Vec<(i64, Option<f64>)>,
}

/// A moment that a vertical line marks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Mark {
    /// Number of the event, which is shown at the line.
    pub(crate) number: u64,
    pub(crate) at: i64,
    pub(crate) colour: Colour,
}

impl Plot {
    /// Returns the largest value, of stacked series their largest sum.
    fn largest(&self) -> f64 {
        let values = |series: &Series| series.points.iter().map(|(_, value)| value.unwrap_or(0.0)).collect::<Vec<_>>();
        match self.shape {
            Shape::Lines | Shape::Steps => self.series.iter().flat_map(values).fold(0.0, f64::max),
            Shape::Stacked => draw::sums(&self.series).last().into_iter().flatten().copied().fold(0.0, f64::max),
        }
    }

    /// Returns whether there is no value.
    pub(crate) fn is_empty(&self) -> bool {
        self.series.iter().all(|series| series.points.iter().all(|(_, value)| value.is_none()))
    }

    /// Renders the plot for a page. `name` describes it to readers of the page that do not see it.
    pub(crate) fn svg(&self, name: &str) -> Result<String, Diagnostic> {
        draw::page(self, name).map_err(|error| failed(&error))
    }

    /// Renders the plot as a file.
    pub(crate) fn file(&self, caption: &Caption) -> Result<String, Diagnostic> {
        report::file(self, caption).map_err(|error| failed(&error))
    }
}

fn failed(error: &dyn std::fmt::Display) -> Diagnostic {
    Diagnostic::error("the plot cannot be drawn").because(error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn plot(shape: Shape) -> Plot {
        let points = |values: [Option<f64>; 4]| (0..).map(|at| at * 1000).zip(values).collect();
        Plot {
            unit: "requests/s",
            shape,
            from: 0,
            to: 4000,
            series: vec![
                Series {
                    name: "fine".to_owned(),
                    colour: Colour::Series(0),
                    points: points([Some(1.0), Some(2.0), None, Some(3.0)]),
                },
                Series {
                    name: "<b>'\"&\u{1}".to_owned(),
                    colour: Colour::Bad,
                    points: points([Some(0.0), Some(2.0), None, Some(1.0)]),
                },
            ],
            marks: vec![Mark { number: 7, at: 2000, colour: Colour::Bad }],
        }
    }

    fn count(svg: &str, text: &str) -> usize {
        svg.matches(text).count()
    }

    #[test]
    fn a_plot_of_a_page_has_placeholders_and_no_styles() {
        for shape in [Shape::Lines, Shape::Stacked, Shape::Steps] {
            let svg = plot(shape).svg("a \"plot\"").unwrap();
            assert!(svg.starts_with("<svg class=\"plot\" viewBox="), "{svg}");
            assert!(svg.contains("aria-label=\"a &quot;plot&quot;\""), "{svg}");
            assert!(!svg.contains("style="), "{svg}");
            assert!(svg.contains("#000001") && svg.contains("#00000A"), "{svg}");
            assert!(svg.contains("\n7\n"), "the mark has its number: {svg}");
        }
    }

    #[test]
    fn a_missing_value_interrupts_lines() {
        let lines = |shape| count(&plot(shape).svg("").unwrap(), "stroke=\"#000001\"");
        assert_eq!(lines(Shape::Lines), 1, "the value after the gap is a point");
        assert_eq!(lines(Shape::Steps), 2, "a step continues to the end");
    }

    #[test]
    fn the_scale_of_stacked_series_has_room_for_their_sum() {
        assert!((plot(Shape::Stacked).largest() - 4.0).abs() < 1e-9);
        assert!((plot(Shape::Lines).largest() - 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_file_has_real_colours_and_escaped_texts() {
        let caption = Caption {
            title: "Requests of <web>".to_owned(),
            subtitle: "us-east-1".to_owned(),
            notes: vec!["7 00:00:02 fault: the zone fails".to_owned()],
            source: vec!["source".to_owned()],
        };
        let svg = plot(Shape::Stacked).file(&caption).unwrap();
        assert!(svg.contains("#2563EB") && svg.contains("#B91C1C") && !svg.contains("#000001"), "{svg}");
        assert!(svg.contains("Requests of &lt;web&gt;"), "{svg}");
        assert!(svg.contains("&lt;b&gt;&apos;&quot;&amp;\n"), "control characters are removed: {svg}");
        assert!(svg.contains("requests/s") && svg.contains("the zone fails"), "{svg}");
    }

    #[test]
    fn extreme_values_are_drawn() {
        let mut plot = plot(Shape::Lines);
        plot.series[0].points = vec![(-5, Some(f64::MAX)), (1, Some(-1e300)), (i64::MAX, Some(1.0))];
        plot.svg("").unwrap();
    }
}
