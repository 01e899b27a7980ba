//! The metrics of the local cloud, or of a stack's resources on AWS, as plots.
//!
//! - [`cloudwatch`]: the metrics of resources on AWS
//! - [`document`]: the metrics document of the local cloud
//! - [`samples`]: conversion of samples to points
//! - [`charts`]: the plots of a resource
//! - [`others`]: the plots of namespaces other than AWS's

pub(crate) mod charts;
mod cloudwatch;
mod document;
mod others;
mod samples;

use super::{
    Context, LOCAL, Problem,
    events::Events,
    inventory::{Inventory, Kind, Resource},
    range::{Range, RangeQuery},
};
use charts::{Chart, Data};
use chrono::Utc;
use document::Document;
use infra_core::diagnostic::{Diagnostic, did_you_mean};
use samples::Timeline;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The largest number of sections.
const SECTIONS: usize = 24;

/// Parameters of the view.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Query {
    #[serde(flatten)]
    pub(crate) range: RangeQuery,
    /// Name or ID of the only resource to show, or a namespace of CloudWatch such as `Shop`. All resources if empty.
    pub(crate) of: String,
    /// The only region to show. All regions if empty.
    pub(crate) region: String,
}

/// The metrics of the local cloud.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Metrics {
    pub(crate) range: Range,
    /// The selected resource.
    pub(crate) of: Option<String>,
    /// The selected region.
    pub(crate) region: Option<String>,
    /// Regions with resources or values.
    pub(crate) regions: BTreeSet<String>,
    /// All resources of the selected region that can be selected.
    pub(crate) resources: Vec<Resource>,
    pub(crate) sections: Vec<Section>,
    /// Number of resources whose sections are omitted.
    pub(crate) omitted: usize,
    pub(crate) events: Events,
}

/// The plots of one balancer or group, or of the instances or databases of a region.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Section {
    pub(crate) kind: Kind,
    pub(crate) region: String,
    /// Name of the balancer or group.
    pub(crate) name: Option<String>,
    pub(crate) charts: Vec<Chart>,
}

impl super::Query for Query {
    type View = Metrics;

    async fn load(self, context: &Context) -> Result<Metrics, Problem> {
        Metrics::load(context, &self).await
    }
}

impl Metrics {
    /// Reads the metrics.
    pub(crate) async fn load(context: &Context, query: &Query) -> Result<Self, Problem> {
        let range = query.range.range(Utc::now())?;
        let of = Some(query.of.trim()).filter(|of| !of.is_empty());
        let region = Some(query.region.trim()).filter(|region| !region.is_empty());
        if context.source.target() != LOCAL {
            let (inventory, document) = cloudwatch::load(context, &range).await?;
            return Self::of(inventory, &document, &Events::default(), range, (of, region));
        }
        let (inventory, document, events) =
            tokio::join!(Inventory::load(context), Document::load(context, range.from), Events::load(context));
        Self::of(inventory?, &document?, &events?, range, (of, region))
    }

    fn of(
        inventory: Inventory,
        document: &Document,
        events: &Events,
        range: Range,
        (of, region): (Option<&str>, Option<&str>),
    ) -> Result<Self, Problem> {
        let events = events.within(&range);
        let mut resources: BTreeSet<Resource> = inventory.resources.into_iter().collect();
        add_measured(document, &range, &mut resources);
        // Terminated instances are of interest only while they have values.
        resources.retain(|resource| resource.state != "terminated" || is_measured(document, &range, resource));
        let regions: BTreeSet<String> = resources.iter().map(|resource| resource.region.clone()).collect();
        if let Some(region) = region.filter(|region| !regions.contains(*region)) {
            return Err(unknown_region(region, &regions));
        }
        resources.retain(|resource| region.is_none_or(|region| resource.region == region));
        let resources: Vec<Resource> = resources.into_iter().collect();
        let selected: Vec<&Resource> =
            resources.iter().filter(|resource| of.is_none_or(|of| resource.is_named(of))).collect();
        if let (Some(of), true) = (of, selected.is_empty()) {
            return Err(unknown(of, &resources));
        }
        let mut sections = sections(&selected, document, &events, &range);
        let omitted = sections.len().saturating_sub(SECTIONS);
        sections.truncate(SECTIONS);
        let [of, region] = [of, region].map(|name| name.map(str::to_owned));
        Ok(Self { range, of, region, regions, resources, sections, omitted, events })
    }

    /// Returns a plot with its section.
    pub(crate) fn chart(&self, id: &str) -> Result<(&Section, &Chart), Problem> {
        let all = self.sections.iter().flat_map(|section| section.charts.iter().map(move |chart| (section, chart)));
        let missing = || {
            let missing = Diagnostic::error(format!("there is no plot `{id}`"));
            Problem::not_found(missing.hint("the page `Metrics` has links to its plots"))
        };
        all.into_iter().find(|(_, chart)| chart.id == id).ok_or_else(missing)
    }
}

fn unknown(of: &str, resources: &[Resource]) -> Problem {
    let missing = Diagnostic::error(format!("there is no resource `{of}` with metrics"));
    let names = resources.iter().flat_map(|resource| [resource.id.as_str(), resource.name.as_str()]);
    let near = did_you_mean(of, names);
    Problem::not_found(missing.hint(near.unwrap_or_else(|| "the page `Metrics` lists the resources".to_owned())))
}

fn unknown_region(region: &str, regions: &BTreeSet<String>) -> Problem {
    let missing = Diagnostic::error(format!("there is no resource with metrics in `{region}`"));
    let known = regions.iter().map(String::as_str);
    let near = did_you_mean(region, known.clone());
    let hint = || format!("the regions with metrics are {}", known.collect::<Vec<_>>().join(", "));
    Problem::not_found(missing.hint(near.unwrap_or_else(hint)))
}

/// The dimensions of the kinds.
const DIMENSIONS: [(&str, Kind); 4] = [
    ("LoadBalancer", Kind::Balancer),
    ("AutoScalingGroupName", Kind::Group),
    ("InstanceId", Kind::Instance),
    ("DBInstanceIdentifier", Kind::Database),
];

/// Adds the resources that have values in the range and do not exist any more.
fn add_measured(document: &Document, range: &Range, resources: &mut BTreeSet<Resource>) {
    for series in document.series.iter().filter(|series| series.points.iter().any(|point| range.contains(point.0))) {
        if !series.namespace.starts_with("AWS/") {
            let (region, name, state) = (series.region.clone(), series.namespace.clone(), String::new());
            resources.insert(Resource { kind: Kind::Namespace, region, id: name.clone(), name, state });
            continue;
        }
        let measured = DIMENSIONS.iter().find_map(|(name, kind)| Some((*kind, series.only_dimension(name)?)));
        let Some((kind, value)) = measured else { continue };
        let name = if kind == Kind::Balancer { balancer_name(value) } else { value };
        let is_same = |known: &Resource| known.kind == kind && known.region == series.region && known.id == name;
        if !resources.iter().any(is_same) {
            let (region, state) = (series.region.clone(), "deleted".to_owned());
            resources.insert(Resource { kind, region, id: name.to_owned(), name: name.to_owned(), state });
        }
    }
}

fn is_measured(document: &Document, range: &Range, resource: &Resource) -> bool {
    let of_region = document.of_region(&resource.region);
    let mut own = of_region.filter(|series| series.only_dimension("InstanceId") == Some(&resource.id));
    own.any(|series| series.points.iter().any(|point| range.contains(point.0)))
}

/// Returns the name in `app/name/id`.
fn balancer_name(label: &str) -> &str {
    label.split('/').nth(1).unwrap_or(label)
}

/// Returns the name of a balancer in CloudWatch. If the balancer was replaced, the latest one has the latest values.
fn label<'d>(document: &'d Document, balancer: &'d Resource) -> Option<&'d str> {
    let labelled = document.of_region(&balancer.region).filter_map(|series| {
        let label = series.dimensions.get("LoadBalancer").filter(|label| balancer_name(label) == balancer.id)?;
        Some((series.points.last()?.0, label.as_str()))
    });
    Some(labelled.max()?.1)
}

fn sections(selected: &[&Resource], document: &Document, events: &Events, range: &Range) -> Vec<Section> {
    let mut sections = Vec::new();
    let regions: BTreeSet<&str> = selected.iter().map(|resource| resource.region.as_str()).collect();
    for region in regions {
        let timeline = Timeline::of(document.of_region(region));
        let data = Data { document, events: &events.events, range, timeline: &timeline };
        let of_kind = |kind| selected.iter().copied().filter(move |one| one.kind == kind && one.region == region);
        let mut add = |kind, name: Option<&str>, charts| {
            let (region, name) = (region.to_owned(), name.map(str::to_owned));
            sections.push(Section { kind, region, name, charts });
        };
        for balancer in of_kind(Kind::Balancer) {
            add(Kind::Balancer, Some(&balancer.name), data.balancer(balancer, label(document, balancer)));
        }
        for group in of_kind(Kind::Group) {
            add(Kind::Group, Some(&group.name), data.group(group));
        }
        for kind in [Kind::Instance, Kind::Database] {
            let members: Vec<Resource> = of_kind(kind).cloned().collect();
            if members.is_empty() {
                continue;
            }
            let place = place(kind, region, &members);
            let charts = match kind {
                Kind::Instance => data.instances(&place, &members),
                _ => data.databases(&place, &members),
            };
            add(kind, None, charts);
        }
        for namespace in of_kind(Kind::Namespace) {
            add(Kind::Namespace, Some(&namespace.name), others::charts(document, namespace, range));
        }
    }
    sections
}

/// Returns the resource that stands for all members of a section.
fn place(kind: Kind, region: &str, members: &[Resource]) -> Resource {
    match members {
        [only] => only.clone(),
        _ => Resource { kind, region: region.to_owned(), id: String::new(), name: String::new(), state: String::new() },
    }
}
