//! Page of the metrics, and its plots and values as files.

use super::{Failure, Frame, Page, Shared, render};
use crate::{
    plot::{Caption, Colour, PAGE_AREA, PAGE_WIDTH, format_value},
    views::{
        Problem,
        events::{Event, Events},
        inventory::{Kind, Resource},
        metrics::{Metrics, Query, Section, charts::Chart},
        range::{RANGES, Range},
    },
};
use askama::Template;
use axum::{
    extract::{Query as Parameters, State, rejection::QueryRejection},
    http::{
        StatusCode,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    response::IntoResponse,
};
use chrono::{DateTime, SecondsFormat, Utc};
use infra_core::diagnostic::Diagnostic;
use serde::Deserialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Template)]
#[template(path = "metrics.html")]
struct MetricsPage {
    frame: Frame,
    range: Range,
    of: String,
    resources: Vec<Resource>,
    figures: Vec<Figures>,
    omitted: usize,
    events: Events,
    topics: &'static str,
}

impl MetricsPage {
    fn ranges(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> + '_ {
        RANGES.iter().map(|(name, title, _)| (*name, *title, *name == self.range.name))
    }

    /// Returns the resources by kind, for the selection.
    fn choices(&self) -> Vec<(&'static str, Vec<&Resource>)> {
        let kinds = [Kind::Balancer, Kind::Group, Kind::Instance, Kind::Database];
        let of_kind =
            |kind: Kind| self.resources.iter().filter(move |resource| resource.kind == kind).collect::<Vec<_>>();
        kinds.into_iter().map(|kind| (kind.title(), of_kind(kind))).filter(|(_, list)| !list.is_empty()).collect()
    }

    fn values_link(&self) -> String {
        link("/metrics/data.csv", &self.range, &self.of, "")
    }
}

/// The plots of a section.
pub(super) struct Figures {
    kind: &'static str,
    name: Option<String>,
    region: String,
    plots: Vec<Figure>,
}

/// A plot in a page.
struct Figure {
    id: String,
    title: &'static str,
    unit: &'static str,
    svg: String,
    empty: Option<&'static str>,
    omitted: usize,
    legend: Vec<LegendEntry>,
    /// The values for the script, as JSON.
    values: String,
    picture_link: String,
    values_link: String,
}

struct LegendEntry {
    colour: Colour,
    name: String,
    /// The latest value.
    value: String,
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
            title: chart.title,
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
    fn label(&self) -> String {
        match &self.name {
            Some(name) => format!("{} {name}", self.kind.title()),
            None => self.kind.title().to_owned(),
        }
    }
}

/// Returns the URL of a file with the explicit limits of the range, so that it shows the same as the page.
fn link(path: &str, range: &Range, of: &str, plot: &str) -> String {
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

/// Parameters of the page and of its files, or the reason why they are invalid.
type Wanted<T> = Result<Parameters<T>, QueryRejection>;

pub(crate) fn parameters<T>(wanted: Wanted<T>) -> Result<T, Problem> {
    wanted.map(|Parameters(wanted)| wanted).map_err(|error| Problem {
        status: StatusCode::BAD_REQUEST,
        diagnostic: Diagnostic::error("the parameters are invalid").because(error.body_text()),
    })
}

pub(super) async fn page(State(shared): State<Shared>, frame: Frame, wanted: Wanted<Query>) -> Page {
    let loaded = async {
        let metrics = Metrics::load(&shared.context, &parameters(wanted)?).await?;
        let of = metrics.of.clone().unwrap_or_default();
        Ok((Figures::render(&metrics.sections, &metrics.range, &of)?, of, metrics))
    };
    match loaded.await {
        Ok((figures, of, metrics)) => {
            let Metrics { range, resources, omitted, mut events, .. } = metrics;
            events.events.reverse();
            let topics = if range.is_custom() { "" } else { "clock cloud" };
            Ok(render(&MetricsPage { frame, range, of, resources, figures, omitted, events, topics }))
        }
        Err(problem) => Err(Failure::of::<Problem>(frame)(problem)),
    }
}

/// Parameters of a file.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FileQuery {
    #[serde(flatten)]
    query: Query,
    /// Id of the plot; all plots if omitted, where that is possible.
    plot: String,
}

/// Responds with a plot as an SVG file.
pub(super) async fn picture(State(shared): State<Shared>, frame: Frame, wanted: Wanted<FileQuery>) -> Page {
    let file = async {
        let wanted = parameters(wanted)?;
        let metrics = Metrics::load(&shared.context, &wanted.query).await?;
        let (section, chart) = metrics.chart(&wanted.plot)?;
        let caption = caption(&frame, &metrics, section, chart);
        let headers = [
            (CONTENT_TYPE, "image/svg+xml".to_owned()),
            (CONTENT_DISPOSITION, disposition("inline", &chart.id, "svg")),
        ];
        Ok((headers, chart.plot.file(&caption)?).into_response())
    };
    file.await.map_err(Failure::of::<Problem>(frame))
}

fn caption(frame: &Frame, metrics: &Metrics, section: &Section, chart: &Chart) -> Caption {
    let is_marked = |event: &&Event| chart.plot.marks.iter().any(|mark| mark.number == event.number);
    let note = |event: &Event| format!("{} · {} · {}: {}", event.number, event.time(), event.kind.name(), event.text);
    let now = Utc::now().format("%Y-%m-%d %H:%M:%S");
    let (program, stack, names) = (&frame.program, &frame.stack, chart.metrics.join(", "));
    Caption {
        title: chart.title.to_owned(),
        subtitle: format!("{} in {} · {}", section.label(), section.region, metrics.range.title()),
        notes: metrics.events.events.iter().filter(is_marked).map(note).collect(),
        source: vec![
            format!("Metrics: {names}"),
            format!("Source: CloudWatch of the local cloud, stack {program}/{stack}, {now} UTC"),
        ],
    }
}

/// Responds with the values of one plot or of all plots as a CSV file, one value per line.
pub(super) async fn values_file(State(shared): State<Shared>, frame: Frame, wanted: Wanted<FileQuery>) -> Page {
    let file = async {
        let wanted = parameters(wanted)?;
        let metrics = Metrics::load(&shared.context, &wanted.query).await?;
        if !wanted.plot.is_empty() {
            metrics.chart(&wanted.plot)?;
        }
        let name = if wanted.plot.is_empty() { "metrics" } else { &wanted.plot };
        let headers = [
            (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
            (CONTENT_DISPOSITION, disposition("attachment", name, "csv")),
        ];
        Ok((headers, csv(&metrics, &wanted.plot)).into_response())
    };
    file.await.map_err(Failure::of::<Problem>(frame))
}

/// Returns all values as lines: RFC 4180, with a header.
fn csv(metrics: &Metrics, plot: &str) -> String {
    let mut text = "time,region,resource,plot,series,unit,value\r\n".to_owned();
    for section in &metrics.sections {
        let charts = section.charts.iter().filter(|chart| plot.is_empty() || chart.id == plot);
        for (chart, series) in charts.flat_map(|chart| chart.plot.series.iter().map(move |series| (chart, series))) {
            for (time, value) in series.points.iter().filter_map(|(time, value)| Some((time, (*value)?))) {
                let time = DateTime::from_timestamp_millis(*time).unwrap_or_default();
                let time = time.to_rfc3339_opts(SecondsFormat::Millis, true);
                let (label, question) = (section.label(), chart.question.name());
                let fields = [&time, &section.region, &label, question, &series.name, chart.plot.unit];
                text.extend(fields.map(|field| field_text(field) + ","));
                text.extend([value.to_string().as_str(), "\r\n"]);
            }
        }
    }
    text
}

/// Quotes a field. Spreadsheets execute fields that begin like formulas, so these get an apostrophe.
fn field_text(field: &str) -> String {
    let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let field = if formula { format!("'{field}") } else { field.to_owned() };
    if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
}

/// Returns the header that names a file.
fn disposition(kind: &str, name: &str, extension: &str) -> String {
    let safe = |character: char| if character.is_ascii_alphanumeric() || character == '.' { character } else { '-' };
    format!("{kind}; filename=\"{}.{extension}\"", name.chars().map(safe).take(100).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_never_formulas() {
        assert_eq!(field_text("web, \"the\" balancer"), "\"web, \"\"the\"\" balancer\"");
        assert_eq!(field_text("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(field_text("web-1"), "web-1");
    }

    #[test]
    fn file_names_have_safe_characters() {
        assert_eq!(disposition("inline", "a.b\"\r\nX: 1/..", "svg"), "inline; filename=\"a.b---X--1-...svg\"");
    }
}
