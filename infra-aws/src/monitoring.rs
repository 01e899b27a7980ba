//! CloudWatch as the [`Monitoring`] of a target: metrics, and the events of log groups.

use crate::{
    client::Aws,
    error::{AwsError, SdkContext},
};
use async_trait::async_trait;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy};
use aws_smithy_types::DateTime;
use infra_core::{
    Target,
    diagnostic::Diagnostic,
    monitoring::{LogEvent, LogEvents, LogQuery, MetricQuery, Monitoring, Period, Sample},
};
use std::{collections::VecDeque, sync::Arc};

/// Maximum number of queries of a request
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>).
const QUERIES: usize = 500;

/// Maximum number of pages of a search in logs. A page has at most 10,000 events or 1 MiB
/// (<https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html>).
const PAGES: usize = 20;

/// Returns the monitoring services of a target. `infra_cli::Cli::new(programs).monitoring(monitoring::open)` lets the console
/// show the metrics and logs of stacks on AWS.
pub fn open(target: &Target) -> Arc<dyn Monitoring> {
    Arc::new(CloudWatch(Aws::new(target)))
}

struct CloudWatch(Aws);

#[async_trait]
impl Monitoring for CloudWatch {
    async fn metrics(
        &self,
        region: &str,
        queries: &[MetricQuery],
        period: Period,
    ) -> Result<Vec<Vec<Sample>>, Diagnostic> {
        let mut series = Vec::with_capacity(queries.len());
        for queries in queries.chunks(QUERIES) {
            let found = self.metric_data(region, queries, period).await;
            series.extend(found.map_err(|error| refused("the metrics", "cloudwatch:GetMetricData", &error))?);
        }
        Ok(series)
    }

    async fn log_events(&self, region: &str, query: &LogQuery) -> Result<Option<LogEvents>, Diagnostic> {
        match self.filter(region, query).await {
            Ok(events) => Ok(Some(events)),
            Err(error) if error.code.as_deref() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(refused(&format!("the log group `{}`", query.group), "logs:FilterLogEvents", &error)),
        }
    }
}

impl CloudWatch {
    async fn metric_data(
        &self,
        region: &str,
        queries: &[MetricQuery],
        period: Period,
    ) -> Result<Vec<Vec<Sample>>, AwsError> {
        let wanted: Vec<MetricDataQuery> =
            queries.iter().enumerate().map(|(index, query)| data_query(index, query, period)).collect();
        let mut series = vec![Vec::new(); queries.len()];
        let client = self.0.cloudwatch(region).await;
        let mut token = None;
        loop {
            let request = client
                .get_metric_data()
                .start_time(DateTime::from_millis(period.from))
                .end_time(DateTime::from_millis(period.to))
                .scan_by(ScanBy::TimestampAscending)
                .set_metric_data_queries(Some(wanted.clone()))
                .set_next_token(token);
            let page = request.send().await.context("GetMetricData")?;
            for result in page.metric_data_results() {
                let index = result.id().and_then(|id| id.strip_prefix(ID)?.parse::<usize>().ok());
                let Some(samples) = index.and_then(|index| series.get_mut(index)) else { continue };
                let values = result.timestamps().iter().zip(result.values());
                samples.extend(values.map(|(at, value)| Sample { at: milliseconds(at), value: *value }));
            }
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(series);
            }
        }
    }

    /// Returns the last events. The service returns the oldest ones first, and cannot reverse the order.
    async fn filter(&self, region: &str, query: &LogQuery) -> Result<LogEvents, AwsError> {
        let client = self.0.logs(region).await;
        let (mut last, mut found) = (VecDeque::with_capacity(query.limit), LogEvents::default());
        let mut token = None;
        for page in 1.. {
            let request = client
                .filter_log_events()
                .log_group_name(&query.group)
                .start_time(query.from)
                .end_time(query.to)
                .set_filter_pattern((!query.text.is_empty()).then(|| pattern(&query.text)))
                .set_next_token(token);
            let answer = request.send().await.context("FilterLogEvents")?;
            for event in answer.events() {
                if last.len() == query.limit {
                    last.pop_front();
                    found.has_older = true;
                }
                last.push_back(LogEvent {
                    stream: event.log_stream_name().unwrap_or_default().to_owned(),
                    at: event.timestamp().unwrap_or_default(),
                    message: event.message().unwrap_or_default().to_owned(),
                });
            }
            token = answer.next_token().map(str::to_owned);
            found.is_cut = token.is_some() && page == PAGES;
            if token.is_none() || found.is_cut {
                break;
            }
        }
        found.events = last.into();
        Ok(found)
    }
}

/// Beginning of the ids of queries, which must begin with a lower-case letter.
const ID: &str = "q";

fn data_query(index: usize, query: &MetricQuery, period: Period) -> MetricDataQuery {
    let dimensions = query.dimensions.iter().map(|(name, value)| Dimension::builder().name(name).value(value).build());
    let metric = Metric::builder()
        .namespace(&query.namespace)
        .metric_name(&query.metric)
        .set_dimensions(Some(dimensions.collect()))
        .build();
    let seconds = i32::try_from(period.seconds).unwrap_or(i32::MAX);
    let statistic = MetricStat::builder().metric(metric).period(seconds).stat(&query.statistic).build();
    MetricDataQuery::builder().id(format!("{ID}{index}")).metric_stat(statistic).build()
}

/// Returns the filter pattern of events that contain a text
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html>).
fn pattern(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn milliseconds(time: &DateTime) -> i64 {
    time.to_millis().unwrap_or_default()
}

fn refused(what: &str, action: &str, error: &AwsError) -> Diagnostic {
    let hint = format!("the identity needs `{action}`; `stack login-check` shows it");
    Diagnostic::error(format!("{what} cannot be read")).because(error.to_string()).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_quoted_in_a_pattern() {
        assert_eq!(pattern(r#"say "\n""#), r#""say \"\\n\"""#);
    }

    #[test]
    fn a_query_names_its_metric_and_its_position() {
        let query = MetricQuery {
            namespace: "AWS/EC2".into(),
            metric: "CPUUtilization".into(),
            dimensions: [("InstanceId".to_owned(), "i-1".to_owned())].into(),
            statistic: "Average".into(),
        };
        let built = data_query(7, &query, Period { from: 0, to: 1, seconds: 60 });
        let statistic = built.metric_stat();
        assert_eq!(built.id(), Some("q7"));
        assert_eq!(statistic.and_then(MetricStat::stat), Some("Average"));
        assert_eq!(statistic.and_then(MetricStat::period), Some(60));
    }
}
