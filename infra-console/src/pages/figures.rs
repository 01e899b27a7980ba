//! The plots of sections as HTML: `figures.html`.

use crate::{
    plot::{Colour, PAGE_AREA, PAGE_WIDTH, format_value},
    views::{
        Problem,
        metrics::{Section, charts::Chart},
        range::Range,
    },
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// The plots of a section.
pub(super) struct Figures {
    pub(super) kind: &'static str,
    pub(super) name: Option<String>,
    pub(super) region: String,
    pub(super) plots: Vec<Figure>,
}

/// A plot in a page.
pub(super) struct Figure {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) unit: &'static str,
    pub(super) svg: String,
    pub(super) empty: Option<&'static str>,
    pub(super) omitted: usize,
    pub(super) legend: Vec<LegendEntry>,
    /// The values for the script, as JSON.
    pub(super) values: String,
    pub(super) picture_link: String,
    pub(super) values_link: String,
}

pub(super) struct LegendEntry {
    pub(super) colour: Colour,
    pub(super) name: String,
    /// The latest value.
    pub(super) value: String,
}

impl Figures {
    /// Renders the plots of sections.
    pub(super) fn render(sections: &[Section], range: &Range, of: &str) -> Result<Vec<Self>, Problem> {
        let figures = |section: &Section| {
            let figures = section.charts.iter().map(|chart| Figure::render(section, chart, range, of));
            Ok(Self {
                kind: section.kind.title(),
                name: section.name.clone(),
                region: section.region.clone(),
                plots: figures.collect::<Result<_, Problem>>()?,
            })
        };
        sections.iter().map(figures).collect()
    }
}

impl Figure {
    fn render(section: &Section, chart: &Chart, range: &Range, of: &str) -> Result<Self, Problem> {
        let legend = chart.plot.series.iter().map(|series| LegendEntry {
            colour: series.colour,
            name: series.name.clone(),
            value: series.points.iter().rev().find_map(|point| point.1).map_or("–".to_owned(), format_value),
        });
        let name = format!("{} in {}: {}", section.label(), section.region, chart.title);
        Ok(Self {
            id: chart.id.clone(),
            title: chart.title.to_string(),
            unit: chart.plot.unit,
            svg: chart.plot.svg(&name)?,
            empty: chart.empty,
            omitted: chart.omitted,
            legend: legend.collect(),
            values: values(chart),
            picture_link: link("/metrics/plot.svg", range, of, &chart.id),
            values_link: link("/metrics/data.csv", range, of, &chart.id),
        })
    }
}

/// Returns the values of a plot at each time, and the place of the plot area, for the script.
fn values(chart: &Chart) -> String {
    let plot = &chart.plot;
    let times: BTreeSet<i64> =
        plot.series.iter().flat_map(|series| series.points.iter().map(|point| point.0)).collect();
    let short = |value: f64| format!("{value:.4e}").parse::<f64>().unwrap_or(value);
    let columns = plot.series.iter().map(|series| {
        let known: BTreeMap<i64, Option<f64>> = series.points.iter().copied().collect();
        times.iter().map(|time| known.get(time).copied().flatten().map(short)).collect::<Vec<_>>()
    });
    let (columns, (left, right)) = (columns.collect::<Vec<_>>(), PAGE_AREA);
    let area = [left, right, PAGE_WIDTH.cast_signed()];
    json!({ "area": area, "from": plot.from, "to": plot.to, "times": times, "columns": columns }).to_string()
}

impl Section {
    pub(super) fn label(&self) -> String {
        match &self.name {
            Some(name) => format!("{} {name}", self.kind.title()),
            None => self.kind.title().to_owned(),
        }
    }
}

/// Returns the URL of a file with the explicit limits of the range, so that it shows the same as the page.
pub(super) fn link(path: &str, range: &Range, of: &str, plot: &str) -> String {
    let [from, to] = range.fields();
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("from", &from).append_pair("to", &to);
    for (name, value) in [("of", of), ("plot", plot)] {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    format!("{path}?{}", query.finish())
}
