//! Page of the metrics, and its plots and values as files.

use super::{
    Failure, Frame, Page, Shared,
    figures::{Figures, link},
    render,
};
use crate::{
    plot::Caption,
    views::{
        Problem,
        events::{Event, Events},
        graph::encoded,
        inventory::{Kind, Resource},
        metrics::{Metrics, Query, Section, charts::Chart, charts::Question},
        range::{RANGES, Range},
    },
};
use askama::Template;
use axum::{
    extract::{Query as Parameters, State, rejection::QueryRejection},
    http::header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    response::IntoResponse,
};
use chrono::{DateTime, SecondsFormat, Utc};
use infra_core::diagnostic::Diagnostic;
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Template)]
#[template(path = "metrics.html")]
struct MetricsPage {
    frame: Frame,
    range: Range,
    of: String,
    region: String,
    regions: BTreeSet<String>,
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
        let kinds = [Kind::Balancer, Kind::Group, Kind::Instance, Kind::Database, Kind::Namespace];
        let of_kind =
            |kind: Kind| self.resources.iter().filter(move |resource| resource.kind == kind).collect::<Vec<_>>();
        kinds.into_iter().map(|kind| (kind.title(), of_kind(kind))).filter(|(_, list)| !list.is_empty()).collect()
    }

    fn values_link(&self) -> String {
        let all = link("/metrics/data.csv", &self.range, &self.of, "");
        if self.region.is_empty() { all } else { format!("{all}&region={}", encoded(&self.region)) }
    }
}

/// Parameters of the page and of its files, or the reason why they are invalid.
type Wanted<T> = Result<Parameters<T>, QueryRejection>;

pub(crate) fn parameters<T>(wanted: Wanted<T>) -> Result<T, Problem> {
    wanted
        .map(|Parameters(wanted)| wanted)
        .map_err(|error| Problem::invalid(Diagnostic::error("the parameters are invalid").because(error.body_text())))
}

pub(super) async fn page(State(shared): State<Shared>, frame: Frame, wanted: Wanted<Query>) -> Page {
    let loaded = async {
        let metrics = Metrics::load(&shared.context, &parameters(wanted)?).await?;
        let of = metrics.of.clone().unwrap_or_default();
        Ok((Figures::render(&metrics.sections, &metrics.range, &of)?, of, metrics))
    };
    match loaded.await {
        Ok((figures, of, metrics)) => {
            let Metrics { range, region, regions, resources, omitted, mut events, .. } = metrics;
            let region = region.unwrap_or_default();
            events.events.reverse();
            let topics = if range.is_custom() { "" } else { "clock cloud" };
            Ok(render(&MetricsPage { frame, range, of, region, regions, resources, figures, omitted, events, topics }))
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
        title: chart.title.to_string(),
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
                // A program's metric has no question, and its name as the title.
                let question = chart.question.name();
                let question = if chart.question == Question::Metric { chart.title.as_ref() } else { question };
                let label = section.label();
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
