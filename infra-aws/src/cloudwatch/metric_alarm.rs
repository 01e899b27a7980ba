//! `aws:cloudwatch:MetricAlarm`: an alarm on a metric.

use crate::{autoscaling::scaling_policy::ScalingPolicy, prelude::*};
use aws_sdk_cloudwatch::{
    Client,
    types::{self, ComparisonOperator, Dimension, StandardUnit, Tag},
};

/// A CloudWatch alarm on one metric, which can execute scaling policies.
///
/// Its state is `ALARM` while the statistic breaches the threshold in enough of the evaluated periods.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let network = virginia.lookup(DefaultVpc);
/// # let template = virginia.add("template", LaunchTemplate::new("t3.micro"));
/// # let group = AutoScalingGroup { max: 4, ..AutoScalingGroup::from(template.version(), network.subnets) };
/// # let group = virginia.add("group", group);
/// let steps = [Step::between(0.0, 20.0, 1), Step::above(20.0, 2)];
/// let grow = virginia.add("grow", ScalingPolicy::steps(&group.name, steps));
/// virginia.add("busy", MetricAlarm {
///     evaluation_periods: 3,
///     alarm_actions: vec![grow.arn],
///     ..MetricAlarm::above(AlarmMetric::group_cpu(&group.name), 70.0)
/// });
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: those of a read if `name` is declared, because `PutMetricAlarm` would change an existing alarm;
///   `PutMetricAlarm`; those of a read
/// - Read: `DescribeAlarms`, `ListTagsForResource`
/// - Update: `PutMetricAlarm`, `TagResource`, `UntagResource`
/// - Delete: `DeleteAlarms`
///
/// # Replacement
/// A change of `name` replaces the alarm. The new alarm is created before the previous one is deleted.
/// With the same declared `name`, which `up --replace` requests, the previous alarm is deleted first.
///
/// # Import
/// The import takes the name of the alarm. An alarm on a metric math expression cannot be declared.
///
/// ```console
/// $ stack import aws:cloudwatch:MetricAlarm busy busy --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:cloudwatch:MetricAlarm")]
pub struct MetricAlarm {
    /// Name, unique in the account and region: 1 to 255 characters. When omitted, the declaration's name with a unique
    /// suffix. A change replaces the alarm.
    #[resource(replace, key)]
    pub name: Option<String>,
    /// Description; none when omitted.
    pub description: Option<String>,
    /// Metric that is evaluated.
    pub metric: AlarmMetric,
    /// Statistic over the values of a period; [`Statistic::Average`] by default.
    pub statistic: Statistic,
    /// Length of a period, in seconds: 10, 20, 30 or a multiple of 60; 60 by default.
    pub period: u32,
    /// Number of periods that are evaluated, together at most one day; 1 by default.
    pub evaluation_periods: u32,
    /// Number of breaching periods that change the state to `ALARM`, 1 to `evaluation_periods`; `evaluation_periods`
    /// when omitted.
    pub datapoints_to_alarm: Option<u32>,
    /// Comparison with the threshold that makes a period breaching.
    pub comparison: Comparison,
    /// Threshold of the comparison, in the unit of the metric.
    pub threshold: f64,
    /// Treatment of periods without values; [`MissingData::Missing`] when omitted.
    pub missing_data: Option<MissingData>,
    /// ARNs of the scaling policies that are executed when the state becomes `ALARM`, at most 5; none by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarm_actions: Vec<Input<Arn<ScalingPolicy>>>,
    /// ARNs of the scaling policies that are executed when the state becomes `OK`, at most 5; none by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ok_actions: Vec<Input<Arn<ScalingPolicy>>>,
    /// ARNs of the scaling policies that are executed when the state becomes `INSUFFICIENT_DATA`, at most 5; none by
    /// default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub insufficient_data_actions: Vec<Input<Arn<ScalingPolicy>>>,
    /// Indicates whether the actions are executed; true by default.
    pub actions_enabled: bool,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// A metric that an alarm evaluates.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AlarmMetric {
    /// Namespace: one of AWS, such as `AWS/EC2`, or a custom one.
    pub namespace: String,
    /// Name of the metric, such as `CPUUtilization`.
    pub name: String,
    /// Dimensions that identify the metric: name → value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<String, Input<String>>,
    /// Unit of the values by its CloudWatch name, such as `Percent`; any when omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// Statistic over the values of a period.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// Number of values.
    SampleCount,
    /// Average.
    Average,
    /// Sum.
    Sum,
    /// Minimum.
    Minimum,
    /// Maximum.
    Maximum,
    /// Percentile, 0 to 100.
    Percentile(f64),
}

/// Comparison of a statistic with a threshold.
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

/// Treatment of periods without values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingData {
    /// As missing: without any values, the state is `INSUFFICIENT_DATA`.
    Missing,
    /// The state does not change.
    Ignore,
    /// As breaching.
    Breaching,
    /// As not breaching.
    NotBreaching,
}

/// Outputs of a [`MetricAlarm`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct MetricAlarmOutputs {
    /// Name of the alarm.
    #[output(regional)]
    pub name: Output<AlarmName>,
    /// Amazon Resource Name of the alarm.
    #[output(regional)]
    pub arn: Output<Arn<MetricAlarm>>,
}

impl AlarmMetric {
    /// Returns a metric without dimensions.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into(), dimensions: BTreeMap::new(), unit: None }
    }

    /// Returns the CPU utilization of the instances of a group, in per cent.
    pub fn group_cpu(group: impl Into<Input<AutoScalingGroupName>>) -> Self {
        let group: Input<AutoScalingGroupName> = group.into();
        Self::new("AWS/EC2", "CPUUtilization").dimension("AutoScalingGroupName", group.cast::<String>())
    }

    /// Adds a dimension.
    pub fn dimension(mut self, name: impl Into<String>, value: impl Into<Input<String>>) -> Self {
        self.dimensions.insert(name.into(), value.into());
        self
    }

    fn known(&self) -> Result<Vec<Dimension>> {
        let dimension = |(name, value): (&String, &Input<String>)| {
            Ok(Dimension::builder().name(name).value(value.known()?).build())
        };
        self.dimensions.iter().map(dimension).collect()
    }
}

impl MetricAlarm {
    /// Returns an alarm for averages of a minute above a threshold.
    pub fn above(metric: AlarmMetric, threshold: f64) -> Self {
        Self::on(metric, Comparison::Above, threshold)
    }

    /// Returns an alarm for averages of a minute below a threshold.
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

    fn alarm_name(&self, cx: &Context<'_>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(255))
    }
}

impl AwsResource for MetricAlarm {}

impl Described for MetricAlarm {
    type Client = Aws;
    type Api = Client;
    type Description = (types::MetricAlarm, Vec<Tag>);

    const FOUND_BY: FoundBy = FoundBy::Name;

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
        refuse(
            namespace.is_empty() || namespace.starts_with(':'),
            "metric.namespace",
            "a namespace is not empty and does not begin with `:`",
        );
        refuse(self.metric.name.is_empty(), "metric.name", "the name is empty");
        let period = [10, 20, 30].contains(&self.period) || self.period > 0 && self.period.is_multiple_of(60);
        refuse(!period, "period", "a period is 10, 20, 30 or a multiple of 60 seconds");
        let periods = self.evaluation_periods;
        refuse(periods == 0, "evaluation_periods", "an alarm evaluates at least one period");
        let day = u64::from(self.period) * u64::from(periods) > 86_400;
        refuse(day, "evaluation_periods", "an alarm evaluates at most one day");
        let enough = self.datapoints_to_alarm.is_none_or(|points| (1..=periods).contains(&points));
        refuse(!enough, "datapoints_to_alarm", "the number is 1 to `evaluation_periods`");
        refuse(!self.threshold.is_finite(), "threshold", "a threshold is a finite number");
        let percentile = matches!(self.statistic, Statistic::Percentile(percent) if !(0.0..=100.0).contains(&percent));
        refuse(percentile, "statistic", "a percentile is 0 to 100");
        for (property, actions) in [
            ("alarm_actions", &self.alarm_actions),
            ("ok_actions", &self.ok_actions),
            ("insufficient_data_actions", &self.insufficient_data_actions),
        ] {
            refuse(actions.len() > 5, property, "a state has at most 5 actions");
        }
        problems
    }

    async fn create(cx: &Context<'_>, cloudwatch: &Client, inputs: &Self) -> Result<Self::Description> {
        let name = inputs.alarm_name(cx);
        // PutMetricAlarm would change an existing alarm. Derived names are unique.
        if inputs.name.is_some() && Self::describe(cx, cloudwatch, &name).await?.is_some() {
            return Err(ProviderError::of(ErrorKind::AlreadyExists, format!("an alarm `{name}` exists already")));
        }
        put(cloudwatch, &name, inputs, Some(tags::for_create(cx, &inputs.tags))).await?;
        wait::created::<Self>(cx, cloudwatch, &name).await
    }

    async fn apply(_: &Context<'_>, cloudwatch: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let Some(old) = update.old else { return Ok(update.outputs.clone()) };
        put(cloudwatch, update.id, update.new, None).await?;
        let arn = update.outputs.arn.known()?;
        let (set, removed) = tags::retag(Some(&old.tags), &update.new.tags);
        if set.is_some() {
            let call = cloudwatch.tag_resource().resource_arn(arn.as_str()).set_tags(set);
            call.send().await.context("TagResource")?;
        }
        if removed.is_some() {
            let call = cloudwatch.untag_resource().resource_arn(arn.as_str()).set_tag_keys(removed);
            call.send().await.context("UntagResource")?;
        }
        Ok(update.outputs.clone())
    }

    async fn delete(_: &Context<'_>, cloudwatch: &Client, prior: &Prior<Self>) -> Result<()> {
        cloudwatch.delete_alarms().alarm_names(&prior.id).send().await.context("DeleteAlarms")?;
        Ok(())
    }

    async fn describe(_: &Context<'_>, cloudwatch: &Client, name: &str) -> Result<Option<Self::Description>> {
        let response = cloudwatch.describe_alarms().alarm_names(name).send().await.context("DescribeAlarms")?;
        let Some(alarm) = response.metric_alarms.and_then(|mut alarms| alarms.pop()) else { return Ok(None) };
        let call = cloudwatch.list_tags_for_resource().resource_arn(alarm.alarm_arn().unwrap_or_default());
        let response = found(call.send().await.context("ListTagsForResource"))?;
        Ok(response.map(|response| (alarm, response.tags.unwrap_or_default())))
    }

    async fn find_created(cx: &Context<'_>, cloudwatch: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        let existing = Self::describe(cx, cloudwatch, &inputs.alarm_name(cx)).await?;
        Ok(existing.filter(|(_, tags)| tags::are_of_operation(cx, tags)))
    }

    fn normalize((alarm, tags): &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let blank = Self::above(AlarmMetric::new("", ""), 0.0);
        let old = recorded.unwrap_or(&blank);
        let name = alarm.alarm_name().unwrap_or_default();
        let number = |value: Option<i32>, recorded| value.map_or(recorded, i32::cast_unsigned);
        let missing_data = MissingData::ALL.into_iter().find(|known| Some(known.word()) == alarm.treat_missing_data());
        Created {
            id: name.to_owned(),
            inputs: Some(Self {
                name: recorded.is_none_or(|recorded| recorded.name.is_some()).then(|| name.to_owned()),
                description: alarm.alarm_description().map(str::to_owned),
                metric: AlarmMetric {
                    namespace: alarm.namespace().unwrap_or_default().to_owned(),
                    name: alarm.metric_name().unwrap_or_default().to_owned(),
                    dimensions: dimensions(alarm, old),
                    unit: alarm.unit().map(|unit| unit.as_str().to_owned()),
                },
                statistic: Statistic::of(alarm),
                period: number(alarm.period(), old.period),
                evaluation_periods: number(alarm.evaluation_periods(), old.evaluation_periods),
                datapoints_to_alarm: alarm.datapoints_to_alarm().map(i32::cast_unsigned),
                comparison: Comparison::of(alarm.comparison_operator()),
                threshold: alarm.threshold().unwrap_or_default(),
                // The description may contain the default.
                missing_data: missing_data
                    .filter(|existing| old.missing_data.is_some() || *existing != MissingData::Missing),
                alarm_actions: actions(alarm.alarm_actions(), &old.alarm_actions),
                ok_actions: actions(alarm.ok_actions(), &old.ok_actions),
                insufficient_data_actions: actions(alarm.insufficient_data_actions(), &old.insufficient_data_actions),
                actions_enabled: alarm.actions_enabled().unwrap_or(true),
                tags: tags::declared(tags, recorded.map(|recorded| &recorded.tags)),
            }),
            outputs: MetricAlarmOutputs {
                name: AlarmName::from(name).into(),
                arn: Arn::from(alarm.alarm_arn().unwrap_or_default()).into(),
            },
        }
    }
}

/// Returns the existing dimensions, with the recorded inputs of equal values.
fn dimensions(alarm: &types::MetricAlarm, recorded: &MetricAlarm) -> BTreeMap<String, Input<String>> {
    let same = |name: &str, value: &str| {
        let recorded = recorded.metric.dimensions.get(name);
        recorded.filter(|recorded| recorded.known().is_ok_and(|recorded| recorded == value)).cloned()
    };
    let dimension = |dimension: &Dimension| {
        let (name, value) = (dimension.name().unwrap_or_default(), dimension.value().unwrap_or_default());
        (name.to_owned(), same(name, value).unwrap_or_else(|| value.to_owned().into()))
    };
    alarm.dimensions().iter().map(dimension).collect()
}

/// Returns the existing actions, as recorded if they are the same.
fn actions(existing: &[String], recorded: &[Input<Arn<ScalingPolicy>>]) -> Vec<Input<Arn<ScalingPolicy>>> {
    if arns(recorded).is_ok_and(|arns| arns == existing) {
        return recorded.to_vec();
    }
    existing.iter().map(|arn| Arn::from(arn.as_str()).into()).collect()
}

async fn put(client: &Client, name: &str, inputs: &MetricAlarm, tags: Option<Vec<Tag>>) -> Result<()> {
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

fn arns(actions: &[Input<Arn<ScalingPolicy>>]) -> Result<Vec<String>> {
    actions.iter().map(|action| Ok(action.known()?.into())).collect()
}

impl Statistic {
    /// Returns the statistic or the percentile for a request.
    fn words(self) -> (Option<types::Statistic>, Option<String>) {
        let plain = match self {
            Self::SampleCount => types::Statistic::SampleCount,
            Self::Average => types::Statistic::Average,
            Self::Sum => types::Statistic::Sum,
            Self::Minimum => types::Statistic::Minimum,
            Self::Maximum => types::Statistic::Maximum,
            Self::Percentile(percent) => return (None, Some(format!("p{percent}"))),
        };
        (Some(plain), None)
    }

    fn of(alarm: &types::MetricAlarm) -> Self {
        let percentile = alarm.extended_statistic().and_then(|word| word.strip_prefix('p')?.parse().ok());
        match (alarm.statistic(), percentile) {
            (_, Some(percent)) => Self::Percentile(percent),
            (Some(types::Statistic::SampleCount), _) => Self::SampleCount,
            (Some(types::Statistic::Sum), _) => Self::Sum,
            (Some(types::Statistic::Minimum), _) => Self::Minimum,
            (Some(types::Statistic::Maximum), _) => Self::Maximum,
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
    fn check_names_the_properties() {
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
    fn existing_alarm_as_declared_shows_no_drift() {
        let recorded = alarm();
        let (statistic, extended) = recorded.statistic.words();
        let existing = types::MetricAlarm::builder()
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
        let existing = (existing, Vec::new());
        let json = |inputs: &MetricAlarm| serde_json::to_value(inputs).unwrap();
        let read = |recorded| json(&MetricAlarm::normalize(&existing, Some(recorded)).inputs.unwrap());
        assert_eq!(read(&recorded), json(&recorded));
        let other = MetricAlarm { threshold: 90.0, ..recorded.clone() };
        assert_ne!(read(&other), json(&other));
    }
}
