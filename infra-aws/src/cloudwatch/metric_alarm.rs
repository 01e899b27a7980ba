//! `aws:cloudwatch:MetricAlarm`: what happens when a metric crosses a threshold.

use crate::{
    autoscaling::scaling_policy::ScalingPolicy,
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{AlarmName, Arn, AutoScalingGroupName},
    region::AwsResource,
    tags,
};
use aws_sdk_cloudwatch::{
    Client,
    types::{ComparisonOperator, Dimension, MetricAlarm as Described, StandardUnit, Statistic as Plain, Tag},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An alarm on one metric, which may carry out scaling policies.
///
/// Made and changed by `PutMetricAlarm`; tags by `TagResource` and `UntagResource`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MetricAlarm {
    /// Its name, unique in account and region; derived from the declaration's when none is given.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What is measured.
    pub metric: AlarmMetric,
    /// What counts of a period's values.
    pub statistic: Statistic,
    /// How many seconds a period has: 10, 20, 30 or a multiple of 60.
    pub period: u32,
    /// How many periods are looked at.
    pub evaluation_periods: u32,
    /// How many of them have to breach; all of them when not given.
    pub datapoints_to_alarm: Option<u32>,
    /// When a period breaches.
    pub comparison: Comparison,
    /// The value that it is compared with.
    pub threshold: f64,
    /// What a period without values counts as; AWS's default is [`MissingData::Missing`].
    pub missing_data: Option<MissingData>,
    /// The policies that are carried out for as long as the alarm lasts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarm_actions: Vec<Input<Arn<ScalingPolicy>>>,
    /// The policies that are carried out when it is over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ok_actions: Vec<Input<Arn<ScalingPolicy>>>,
    /// The policies that are carried out when nothing can be said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub insufficient_data_actions: Vec<Input<Arn<ScalingPolicy>>>,
    /// Whether actions are carried out.
    pub actions_enabled: bool,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// A metric of CloudWatch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AlarmMetric {
    /// Its namespace, such as `AWS/EC2` or one's own.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its dimensions by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<String, Input<String>>,
    /// Its unit; any when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// What counts of a period's values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// How many there were.
    SampleCount,
    /// Their average.
    Average,
    /// Their sum.
    Sum,
    /// The least.
    Minimum,
    /// The greatest.
    Maximum,
    /// The value that so many per cent of them do not exceed.
    Percentile(f64),
}

/// When a period breaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// Above the threshold.
    Above,
    /// At the threshold or above.
    AtLeast,
    /// Below the threshold.
    Below,
    /// At the threshold or below.
    AtMost,
}

/// What a period without values counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingData {
    /// As unknown.
    Missing,
    /// As nothing: the state stays.
    Ignore,
    /// As a breach.
    Breaching,
    /// As no breach.
    NotBreaching,
}

/// What a [`MetricAlarm`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MetricAlarmOutputs {
    /// Its name.
    pub name: Output<AlarmName>,
    /// Its Amazon Resource Name.
    pub arn: Output<Arn<MetricAlarm>>,
}

impl AlarmMetric {
    /// A metric without dimensions.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into(), dimensions: BTreeMap::new(), unit: None }
    }

    /// The CPU utilisation of a group's instances, in per cent.
    pub fn group_cpu(group: impl Into<Input<AutoScalingGroupName>>) -> Self {
        let group: Input<AutoScalingGroupName> = group.into();
        Self::new("AWS/EC2", "CPUUtilization").dimension("AutoScalingGroupName", group.cast::<String>())
    }

    /// Only the values with this dimension.
    pub fn dimension(mut self, name: impl Into<String>, value: impl Into<Input<String>>) -> Self {
        self.dimensions.insert(name.into(), value.into());
        self
    }

    fn known(&self) -> Result<Vec<Dimension>, ProviderError> {
        let dimension = |(name, value): (&String, &Input<String>)| {
            Ok(Dimension::builder().name(name).value(value.known()?).build())
        };
        self.dimensions.iter().map(dimension).collect()
    }
}

impl MetricAlarm {
    /// Rings when the average of a minute is above a threshold.
    pub fn above(metric: AlarmMetric, threshold: f64) -> Self {
        Self::on(metric, Comparison::Above, threshold)
    }

    /// Rings when the average of a minute is below a threshold.
    pub fn below(metric: AlarmMetric, threshold: f64) -> Self {
        Self::on(metric, Comparison::Below, threshold)
    }

    fn on(metric: AlarmMetric, comparison: Comparison, threshold: f64) -> Self {
        Self {
            name: None,
            description: None,
            metric,
            statistic: Statistic::Average,
            period: 60,
            evaluation_periods: 1,
            datapoints_to_alarm: None,
            comparison,
            threshold,
            missing_data: None,
            alarm_actions: Vec::new(),
            ok_actions: Vec::new(),
            insufficient_data_actions: Vec::new(),
            actions_enabled: true,
            tags: BTreeMap::new(),
        }
    }

    fn alarm_name(&self, cx: &Context<'_, Aws>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(255))
    }
}

impl Statistic {
    /// As a plain statistic, or else as a percentile.
    fn words(self) -> (Option<Plain>, Option<String>) {
        let plain = match self {
            Self::SampleCount => Plain::SampleCount,
            Self::Average => Plain::Average,
            Self::Sum => Plain::Sum,
            Self::Minimum => Plain::Minimum,
            Self::Maximum => Plain::Maximum,
            Self::Percentile(percent) => return (None, Some(format!("p{percent}"))),
        };
        (Some(plain), None)
    }

    fn of(alarm: &Described) -> Self {
        let percentile = alarm.extended_statistic().and_then(|word| word.strip_prefix('p')?.parse().ok());
        match (alarm.statistic(), percentile) {
            (_, Some(percent)) => Self::Percentile(percent),
            (Some(Plain::SampleCount), _) => Self::SampleCount,
            (Some(Plain::Sum), _) => Self::Sum,
            (Some(Plain::Minimum), _) => Self::Minimum,
            (Some(Plain::Maximum), _) => Self::Maximum,
            _ => Self::Average,
        }
    }
}

impl Comparison {
    fn operator(self) -> ComparisonOperator {
        match self {
            Self::Above => ComparisonOperator::GreaterThanThreshold,
            Self::AtLeast => ComparisonOperator::GreaterThanOrEqualToThreshold,
            Self::Below => ComparisonOperator::LessThanThreshold,
            Self::AtMost => ComparisonOperator::LessThanOrEqualToThreshold,
        }
    }

    fn of(operator: Option<&ComparisonOperator>) -> Self {
        let all = [Self::Above, Self::AtLeast, Self::Below, Self::AtMost];
        all.into_iter().find(|comparison| Some(&comparison.operator()) == operator).unwrap_or(Self::Above)
    }
}

impl MissingData {
    const ALL: [Self; 4] = [Self::Missing, Self::Ignore, Self::Breaching, Self::NotBreaching];

    fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Ignore => "ignore",
            Self::Breaching => "breaching",
            Self::NotBreaching => "notBreaching",
        }
    }
}

impl Resource for MetricAlarm {
    const TYPE: &'static str = "aws:cloudwatch:MetricAlarm";
    type Outputs = MetricAlarmOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["name"]).regional(["name", "arn"])
    }
}

impl AwsResource for MetricAlarm {}

impl Handler for MetricAlarm {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |wrong: bool, property: &str, message: &str| {
            if wrong {
                problems.push(Problem::new(property, message));
            }
        };
        let bad_name = self.name.as_deref().is_some_and(|name| name.is_empty() || name.chars().count() > 255);
        refuse(bad_name, "name", "a name has 1 to 255 characters");
        let namespace = &self.metric.namespace;
        refuse(namespace.is_empty() || namespace.starts_with(':'), "metric.namespace", "it must not begin with `:`");
        refuse(self.metric.name.is_empty(), "metric.name", "a metric has a name");
        let period = [10, 20, 30].contains(&self.period) || self.period > 0 && self.period.is_multiple_of(60);
        refuse(!period, "period", "a period has 10, 20, 30 or a multiple of 60 seconds");
        let periods = self.evaluation_periods;
        refuse(periods == 0, "evaluation_periods", "at least one period is looked at");
        let day = u64::from(self.period) * u64::from(periods) > 86_400;
        refuse(day, "evaluation_periods", "an alarm looks at no more than a day");
        let enough = self.datapoints_to_alarm.is_none_or(|points| (1..=periods).contains(&points));
        refuse(!enough, "datapoints_to_alarm", "it lies between 1 and `evaluation_periods`");
        refuse(!self.threshold.is_finite(), "threshold", "a threshold is a finite number");
        let percentile = matches!(self.statistic, Statistic::Percentile(percent) if !(0.0..=100.0).contains(&percent));
        refuse(percentile, "statistic", "a percentile lies between 0 and 100");
        for (property, actions) in [
            ("alarm_actions", &self.alarm_actions),
            ("ok_actions", &self.ok_actions),
            ("insufficient_data_actions", &self.insufficient_data_actions),
        ] {
            refuse(actions.len() > 5, property, "a state has at most 5 actions");
        }
        problems
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let client = cx.client().cloudwatch(cx.region()?).await;
        let name = inputs.alarm_name(cx);
        // PutMetricAlarm would change somebody else's alarm.
        if inputs.name.is_some()
            && let Some(alarm) = describe(&client, &name).await?
            && !is_ours(cx, &client, &alarm).await?
        {
            let text = format!("there is an alarm {name} already");
            let error = ProviderError::of(ErrorKind::AlreadyExists, text);
            return Err(error.hint("choose another name, import the alarm, or delete it"));
        }
        put(&client, &name, inputs, Some(tags::cloudwatch(cx, &inputs.tags))).await?;
        let alarm = describe(&client, &name)
            .await?
            .ok_or_else(|| ProviderError::of(ErrorKind::Unsure, format!("the new alarm {name} is not to be seen")))?;
        Ok(Created { inputs: None, ..live(&alarm, inputs, BTreeMap::new()) })
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let client = cx.client().cloudwatch(cx.region()?).await;
        Ok(look(&client, &prior.id, &prior.inputs).await?)
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let client = cx.client().cloudwatch(cx.region()?).await;
        put(&client, &prior.id, inputs, None).await?;
        retag(&client, prior, inputs).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let client = cx.client().cloudwatch(cx.region()?).await;
        client.delete_alarms().alarm_names(&prior.id).send().await.context("DeleteAlarms")?;
        Ok(())
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let client = cx.client().cloudwatch(cx.region()?).await;
        let recorded = Self { name: Some(String::new()), ..Self::above(AlarmMetric::new("", ""), 0.0) };
        Ok(look(&client, id, &recorded).await?)
    }

    fn recovery() -> Recovery<Self> {
        Recovery::name(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let client = cx.client().cloudwatch(cx.region()?).await;
                let name = inputs.alarm_name(cx);
                match describe(&client, &name).await? {
                    Some(alarm) if is_ours(cx, &client, &alarm).await? => {
                        Ok(Found::from(look(&client, &name, inputs).await?))
                    }
                    _ => Ok(Found::Absent),
                }
            })
        })
    }
}

async fn put(client: &Client, name: &str, inputs: &MetricAlarm, tags: Option<Vec<Tag>>) -> Result<(), ProviderError> {
    let (statistic, extended) = inputs.statistic.words();
    client
        .put_metric_alarm()
        .alarm_name(name)
        .set_alarm_description(inputs.description.clone())
        .namespace(&inputs.metric.namespace)
        .metric_name(&inputs.metric.name)
        .set_dimensions(Some(inputs.metric.known()?))
        .set_unit(inputs.metric.unit.as_deref().map(StandardUnit::from))
        .set_statistic(statistic)
        .set_extended_statistic(extended)
        .period(inputs.period.cast_signed())
        .evaluation_periods(inputs.evaluation_periods.cast_signed())
        .set_datapoints_to_alarm(inputs.datapoints_to_alarm.map(u32::cast_signed))
        .comparison_operator(inputs.comparison.operator())
        .threshold(inputs.threshold)
        .set_treat_missing_data(inputs.missing_data.map(|missing| missing.word().to_owned()))
        .set_alarm_actions(Some(arns(&inputs.alarm_actions)?))
        .set_ok_actions(Some(arns(&inputs.ok_actions)?))
        .set_insufficient_data_actions(Some(arns(&inputs.insufficient_data_actions)?))
        .actions_enabled(inputs.actions_enabled)
        .set_tags(tags)
        .send()
        .await
        .context("PutMetricAlarm")?;
    Ok(())
}

fn arns(actions: &[Input<Arn<ScalingPolicy>>]) -> Result<Vec<String>, ProviderError> {
    actions.iter().map(|action| Ok(action.known()?.into())).collect()
}

async fn retag(client: &Client, prior: &Prior<MetricAlarm>, inputs: &MetricAlarm) -> Result<(), ProviderError> {
    let arn = prior.outputs.arn.known()?;
    let removed: Vec<String> =
        prior.inputs.tags.keys().filter(|key| !inputs.tags.contains_key(*key)).cloned().collect();
    if prior.inputs.tags != inputs.tags && !inputs.tags.is_empty() {
        let tags = inputs.tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
        let call = client.tag_resource().resource_arn(arn.as_str()).set_tags(Some(tags.collect()));
        call.send().await.context("TagResource")?;
    }
    if !removed.is_empty() {
        let call = client.untag_resource().resource_arn(arn.as_str()).set_tag_keys(Some(removed));
        call.send().await.context("UntagResource")?;
    }
    Ok(())
}

async fn look(client: &Client, name: &str, recorded: &MetricAlarm) -> Result<Option<Created<MetricAlarm>>, AwsError> {
    let Some(alarm) = describe(client, name).await? else { return Ok(None) };
    let Some(tags) = tags_of(client, &alarm).await? else { return Ok(None) };
    let own = tags.into_iter().filter(|(key, _)| recorded.tags.contains_key(key)).collect();
    Ok(Some(live(&alarm, recorded, own)))
}

async fn describe(client: &Client, name: &str) -> Result<Option<Described>, AwsError> {
    let answer = client.describe_alarms().alarm_names(name).send().await.context("DescribeAlarms")?;
    Ok(answer.metric_alarms.unwrap_or_default().pop())
}

async fn tags_of(client: &Client, alarm: &Described) -> Result<Option<BTreeMap<String, String>>, AwsError> {
    let call = client.list_tags_for_resource().resource_arn(alarm.alarm_arn().unwrap_or_default());
    let answer = found(call.send().await.context("ListTagsForResource"))?;
    let pair = |tag: &Tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned()));
    Ok(answer.map(|answer| answer.tags().iter().filter_map(pair).collect()))
}

/// Whether this very operation made the alarm.
async fn is_ours(cx: &Context<'_, Aws>, client: &Client, alarm: &Described) -> Result<bool, AwsError> {
    let tags = tags_of(client, alarm).await?.unwrap_or_default();
    Ok(tags::are_ours(cx, tags.iter().map(|(key, value)| (Some(key.as_str()), Some(value.as_str())))))
}

/// The alarm as it lives, in the words of the recorded inputs where they say the same.
fn live(alarm: &Described, recorded: &MetricAlarm, own: BTreeMap<String, String>) -> Created<MetricAlarm> {
    let name = alarm.alarm_name().unwrap_or_default();
    let number = |value: Option<i32>, recorded| value.map_or(recorded, i32::cast_unsigned);
    let actions = |living: &[String], recorded: &[Input<Arn<ScalingPolicy>>]| {
        if arns(recorded).is_ok_and(|arns| arns == living) {
            return recorded.to_vec();
        }
        living.iter().map(|arn| Arn::from(arn.as_str()).into()).collect()
    };
    let same = |dimension: &Dimension| {
        let recorded = recorded.metric.dimensions.get(dimension.name().unwrap_or_default());
        recorded.filter(|value| value.known().is_ok_and(|value| Some(value.as_str()) == dimension.value())).cloned()
    };
    let dimension = |dimension: &Dimension| {
        let value = same(dimension).unwrap_or_else(|| dimension.value().unwrap_or_default().to_owned().into());
        (dimension.name().unwrap_or_default().to_owned(), value)
    };
    let missing = alarm.treat_missing_data();
    let inputs = MetricAlarm {
        name: recorded.name.as_ref().map(|_| name.to_owned()),
        description: alarm.alarm_description().map(str::to_owned),
        metric: AlarmMetric {
            namespace: alarm.namespace().unwrap_or_default().to_owned(),
            name: alarm.metric_name().unwrap_or_default().to_owned(),
            dimensions: alarm.dimensions().iter().map(dimension).collect(),
            unit: alarm.unit().map(|unit| unit.as_str().to_owned()),
        },
        statistic: Statistic::of(alarm),
        period: number(alarm.period(), recorded.period),
        evaluation_periods: number(alarm.evaluation_periods(), recorded.evaluation_periods),
        datapoints_to_alarm: alarm.datapoints_to_alarm().map(i32::cast_unsigned),
        comparison: Comparison::of(alarm.comparison_operator()),
        threshold: alarm.threshold().unwrap_or_default(),
        missing_data: MissingData::ALL
            .into_iter()
            .find(|known| Some(known.word()) == missing)
            // AWS may tell its default.
            .filter(|known| recorded.missing_data.is_some() || *known != MissingData::Missing),
        alarm_actions: actions(alarm.alarm_actions(), &recorded.alarm_actions),
        ok_actions: actions(alarm.ok_actions(), &recorded.ok_actions),
        insufficient_data_actions: actions(alarm.insufficient_data_actions(), &recorded.insufficient_data_actions),
        actions_enabled: alarm.actions_enabled().unwrap_or(true),
        tags: own,
    };
    Created {
        id: name.to_owned(),
        inputs: Some(inputs),
        outputs: MetricAlarmOutputs {
            name: AlarmName::from(name).into(),
            arn: Arn::from(alarm.alarm_arn().unwrap_or_default()).into(),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn alarm() -> MetricAlarm {
        let metric = AlarmMetric::group_cpu(AutoScalingGroupName::from("web"));
        MetricAlarm {
            statistic: Statistic::Percentile(99.9),
            alarm_actions: vec![Arn::from("arn:policy").into()],
            ..MetricAlarm::above(metric, 80.0)
        }
    }

    #[test]
    fn bounds_are_awss() {
        let problems =
            |alarm: MetricAlarm| -> Vec<String> { alarm.check().into_iter().map(|problem| problem.property).collect() };
        assert!(problems(alarm()).is_empty());
        assert_eq!(problems(MetricAlarm { period: 61, ..alarm() }), ["period"]);
        assert_eq!(problems(MetricAlarm { datapoints_to_alarm: Some(2), ..alarm() }), ["datapoints_to_alarm"]);
        assert_eq!(problems(MetricAlarm { period: 3600, evaluation_periods: 25, ..alarm() }), ["evaluation_periods"]);
        assert_eq!(problems(MetricAlarm { threshold: f64::NAN, ..alarm() }), ["threshold"]);
        assert_eq!(problems(MetricAlarm { statistic: Statistic::Percentile(101.0), ..alarm() }), ["statistic"]);
    }

    #[test]
    fn what_lives_as_declared_shows_no_drift() {
        let recorded = alarm();
        let (statistic, extended) = recorded.statistic.words();
        let lives = Described::builder()
            .alarm_name("busy-abc")
            .alarm_arn("arn:alarm")
            .namespace("AWS/EC2")
            .metric_name("CPUUtilization")
            .set_dimensions(Some(recorded.metric.known().unwrap()))
            .set_statistic(statistic)
            .set_extended_statistic(extended)
            .period(60)
            .evaluation_periods(1)
            .threshold(80.0)
            .comparison_operator(ComparisonOperator::GreaterThanThreshold)
            .treat_missing_data("missing")
            .alarm_actions("arn:policy")
            .actions_enabled(true)
            .build();
        let read = live(&lives, &recorded, BTreeMap::new()).inputs.unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::to_value(&recorded).unwrap());
        let other = MetricAlarm { threshold: 90.0, ..recorded };
        let read = live(&lives, &other, BTreeMap::new()).inputs.unwrap();
        assert_ne!(serde_json::to_value(read).unwrap(), serde_json::to_value(other).unwrap());
    }
}
