//! The plots of a resource: one per question.

use super::{
    document::{Document, Point, Series as Samples},
    samples::{Points, Timeline},
};
use crate::{
    plot::{Colour, Plot, SERIES_COLOURS, Series, Shape},
    views::{
        events::{Event, EventKind},
        inventory::{Kind, Resource},
        range::Range,
    },
};
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;

/// The largest number of series of a plot.
pub(super) const SERIES: usize = SERIES_COLOURS as usize;

/// The largest number of marks of a plot.
const MARKS: usize = 60;

/// A plot that answers a question about a resource, or about all resources of a kind in a region.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Chart {
    /// Id within the page: kind, region, name and question.
    pub(crate) id: String,
    pub(crate) question: Question,
    pub(crate) title: Cow<'static, str>,
    /// Names of the metrics.
    pub(crate) metrics: Vec<Cow<'static, str>>,
    /// Explanation, if there are no values.
    pub(crate) empty: Option<&'static str>,
    /// Number of series that are omitted.
    pub(crate) omitted: usize,
    #[serde(flatten)]
    pub(crate) plot: Plot,
}

/// A question that a plot answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Question {
    Requests,
    Latency,
    Size,
    Cpu,
    Connections,
    Lag,
    /// The values of a metric that a program publishes.
    Metric,
}

/// Input of the plots.
pub(super) struct Data<'a> {
    pub(super) document: &'a Document,
    pub(super) events: &'a [Event],
    pub(super) range: &'a Range,
    /// The measurements of the region.
    pub(super) timeline: &'a Timeline,
}

impl Question {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Question::Requests => "requests",
            Question::Latency => "latency",
            Question::Size => "size",
            Question::Cpu => "cpu",
            Question::Connections => "connections",
            Question::Lag => "lag",
            Question::Metric => "metric",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Question::Requests => "Requests and errors",
            Question::Latency => "Latency",
            Question::Size => "Group size",
            Question::Cpu => "CPU",
            Question::Connections => "Database connections",
            Question::Lag => "Replication lag",
            Question::Metric => "Metric",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Question::Requests => "requests/s",
            Question::Latency | Question::Lag => "ms",
            Question::Size => "instances",
            Question::Cpu => "%",
            Question::Connections => "connections",
            Question::Metric => "",
        }
    }

    fn shape(self) -> Shape {
        match self {
            Question::Requests => Shape::Stacked,
            Question::Size | Question::Connections => Shape::Steps,
            Question::Latency | Question::Cpu | Question::Lag | Question::Metric => Shape::Lines,
        }
    }

    fn metrics(self) -> &'static [&'static str] {
        match self {
            Question::Requests => {
                &["RequestCount", "HTTPCode_Target_4XX_Count", "HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count"]
            }
            Question::Latency => &["TargetResponseTime"],
            Question::Size => &["GroupDesiredCapacity", "GroupInServiceInstances"],
            Question::Cpu => &["CPUUtilization"],
            Question::Connections => &["DatabaseConnections"],
            Question::Lag => &["ReplicaLag", "AuroraReplicaLag"],
            Question::Metric => &[],
        }
    }

    /// Returns the reason why there are no values.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Question::Requests | Question::Latency => {
                "no data yet: the load balancer received no request, or has not measured it yet"
            }
            Question::Size => "no data yet: groups are measured every 15 s",
            Question::Cpu => "no data yet: the processor time of running services is known after two measurements",
            Question::Connections => "no data yet: a database publishes its connections while it is available",
            Question::Lag => "no data yet: only replicas publish their lag, while they replicate",
            Question::Metric => "no data in this time range",
        }
    }
}

impl Data<'_> {
    /// Returns the plots of a balancer. `label` is its name in CloudWatch: `app/name/id`.
    pub(super) fn balancer(&self, balancer: &Resource, label: Option<&str>) -> Vec<Chart> {
        let series = |metric: &str| self.document.of(&balancer.region, metric, ("LoadBalancer", label?));
        let requests = self.requests(balancer, label.unwrap_or_default(), &series);
        let latency = series("TargetResponseTime").map(|samples| self.latency(samples)).unwrap_or_default();
        vec![self.chart(Question::Requests, balancer, requests), self.chart(Question::Latency, balancer, latency)]
    }

    fn requests<'d>(
        &self,
        balancer: &Resource,
        label: &str,
        series: &dyn Fn(&str) -> Option<&'d Samples>,
    ) -> Vec<Series> {
        let has_label = |samples: &&Samples| samples.dimensions.get("LoadBalancer").is_some_and(|it| it == label);
        let own = self.document.of_region(&balancer.region).filter(has_label);
        let Some(since) = own.filter_map(|samples| Some(samples.points.first()?.0)).min() else { return Vec::new() };
        let rate = |metric: &str| self.timeline.rate(series(metric), since, self.range);
        let [refused, failed, unanswered] = [
            ("4xx", Colour::Warn, "HTTPCode_Target_4XX_Count"),
            ("5xx", Colour::Bad, "HTTPCode_Target_5XX_Count"),
            ("5xx of the balancer", Colour::Busy, "HTTPCode_ELB_5XX_Count"),
        ]
        .map(|(name, colour, metric)| Series { name: name.to_owned(), colour, points: rate(metric) });
        // Requests without a target are not part of `RequestCount`.
        let mut successful = rate("RequestCount");
        for (index, (_, value)) in successful.iter_mut().enumerate() {
            let errors = [&refused, &failed].map(|series| series.points[index].1.unwrap_or(0.0));
            *value = value.map(|value| (value - errors[0] - errors[1]).max(0.0));
        }
        let successful = Series { name: "2xx and 3xx".to_owned(), colour: Colour::Series(0), points: successful };
        vec![successful, refused, failed, unanswered]
    }

    fn latency(&self, samples: &Samples) -> Vec<Series> {
        let factor = samples.milliseconds();
        let series = |name: &str, colour, points: Points| Series { name: name.to_owned(), colour, points };
        let average = || series("average", Colour::Series(7), self.timeline.average(samples, factor, self.range));
        let colours = [("p50", Colour::Series(0)), ("p95", Colour::Series(1)), ("p99", Colour::Series(3))];
        let named =
            colours.into_iter().filter_map(|(name, colour)| Some((name, colour, samples.percentiles.get(name)?)));
        let mut all: Vec<Series> = named
            .map(|(name, colour, values)| {
                series(name, colour, self.timeline.largest(values.iter().copied(), factor, self.range))
            })
            .collect();
        if all.is_empty() {
            let maxima = samples.points.iter().map(|point| (point.0, point.4));
            let maxima = self.timeline.largest(maxima, factor, self.range);
            return vec![average(), series("maximum", Colour::Series(3), maxima)];
        }
        // The local cloud merges old values, which then have no percentiles.
        let earliest = samples.percentiles.values().filter_map(|values| Some(values.first()?.0)).min();
        let is_older = |point: &Point| self.range.contains(point.0) && earliest.is_none_or(|first| point.0 < first);
        if samples.points.iter().any(is_older) {
            all.insert(0, average());
        }
        all
    }

    /// Returns the plots of a group.
    pub(super) fn group(&self, group: &Resource) -> Vec<Chart> {
        let series = |metric| self.document.of(&group.region, metric, ("AutoScalingGroupName", &group.id));
        let sizes = [
            ("in service", Colour::Series(0), "GroupInServiceInstances"),
            ("desired", Colour::Series(1), "GroupDesiredCapacity"),
        ];
        let sizes = sizes.into_iter().filter_map(|(name, colour, metric)| {
            let points = self.timeline.count(series(metric)?, self.range);
            Some(Series { name: name.to_owned(), colour, points })
        });
        let used = series("CPUUtilization").map(|samples| Series {
            name: "average of the group".to_owned(),
            colour: Colour::Series(0),
            points: self.timeline.average(samples, 1.0, self.range),
        });
        vec![
            self.chart(Question::Size, group, sizes.collect()),
            self.chart(Question::Cpu, group, used.into_iter().collect()),
        ]
    }

    /// Returns the plot of instances.
    pub(super) fn instances(&self, place: &Resource, instances: &[Resource]) -> Vec<Chart> {
        let used = |instance: &Resource| {
            let samples = self.document.of(&instance.region, "CPUUtilization", ("InstanceId", &instance.id))?;
            Some(self.timeline.average(samples, 1.0, self.range))
        };
        vec![self.compared(Question::Cpu, place, instances, &used)]
    }

    /// Returns the plots of databases.
    pub(super) fn databases(&self, place: &Resource, databases: &[Resource]) -> Vec<Chart> {
        let series = |database: &Resource, metric| {
            self.document.of(&database.region, metric, ("DBInstanceIdentifier", &database.id))
        };
        let connections = |database: &Resource| {
            let samples = series(database, "DatabaseConnections")?;
            Some(self.timeline.count(samples, self.range))
        };
        // RDS measures in seconds, Aurora in milliseconds.
        let lag = |database: &Resource| {
            let of_rds = series(database, "ReplicaLag").map(|samples| (samples, samples.milliseconds()));
            let of_aurora = || series(database, "AuroraReplicaLag").map(|samples| (samples, 1.0));
            let (samples, factor) = of_rds.or_else(of_aurora)?;
            Some(self.timeline.average(samples, factor, self.range))
        };
        vec![
            self.compared(Question::Connections, place, databases, &connections),
            self.compared(Question::Lag, place, databases, &lag),
        ]
    }

    /// Returns a plot with a series for each resource; if there are too many, those with the largest values.
    fn compared(
        &self,
        question: Question,
        place: &Resource,
        resources: &[Resource],
        points: &dyn Fn(&Resource) -> Option<Points>,
    ) -> Chart {
        let peak = |points: &Points| points.iter().filter_map(|point| point.1).fold(0.0, f64::max);
        let all = resources.iter().filter_map(|resource| Some((resource, points(resource)?)));
        let mut all: Vec<_> = all.filter(|(_, points)| !points.is_empty()).collect();
        let omitted = all.len().saturating_sub(SERIES);
        all.sort_by(|(_, one), (_, other)| peak(other).total_cmp(&peak(one)));
        all.truncate(SERIES);
        all.sort_by_key(|(resource, _)| *resource);
        let series = (0..).zip(all).map(|(index, (resource, points))| Series {
            name: resource.label(),
            colour: Colour::Series(index),
            points,
        });
        Chart { omitted, ..self.chart(question, place, series.collect()) }
    }

    fn chart(&self, question: Question, resource: &Resource, series: Vec<Series>) -> Chart {
        let is_near = |event: &&Event| event.region.as_ref().is_none_or(|region| *region == resource.region);
        let concerned = self.events.iter().filter(is_near);
        let mut marks: Vec<_> =
            concerned.filter(|event| matters(resource.kind, &resource.id, event)).map(Event::mark).collect();
        marks.drain(..marks.len().saturating_sub(MARKS));
        let (from, to) = (self.range.from, self.range.to);
        let plot = Plot { unit: question.unit(), shape: question.shape(), from, to, series, marks };
        let parts = [resource.kind.name(), &resource.region, &resource.id, question.name()];
        Chart {
            id: parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("."),
            question,
            title: Cow::Borrowed(question.title()),
            metrics: question.metrics().iter().copied().map(Cow::Borrowed).collect(),
            empty: plot.is_empty().then(|| question.reason()),
            omitted: 0,
            plot,
        }
    }
}

/// Returns whether an event can explain the values of a resource of this kind and name. Other resources of the
/// region can influence it, except for the instances and groups that do not belong to it.
fn matters(kind: Kind, name: &str, event: &Event) -> bool {
    let is_own = event.subject.as_deref() == Some(name);
    match event.kind {
        EventKind::Fault => true,
        EventKind::Scaling => kind != Kind::Database && (kind != Kind::Group || is_own),
        EventKind::Alarm => kind != Kind::Database,
        EventKind::Failover => matches!(kind, Kind::Database | Kind::Balancer),
        EventKind::Instance => kind == Kind::Instance,
        EventKind::Other => false,
    }
}
