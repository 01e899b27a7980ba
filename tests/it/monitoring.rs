//! Metrics and logs through the monitoring services of AWS, which the local cloud plays.

use aws_sdk_cloudwatch::types::{Dimension, MetricDatum};
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use infra_aws::{Aws, monitoring};
use infra_core::monitoring::{LogQuery, MetricQuery, Period, Sample};
use infra_local::{LocalCloud, Options};
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

const REGION: &str = "eu-west-3";
const MINUTE: i64 = 60_000;

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

#[tokio::test]
async fn statistics_are_aggregated_over_the_period() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let target = tests::target(&cloud);
    let client = Aws::new(&target).cloudwatch(REGION).await;
    let minute = now() / MINUTE * MINUTE - 3 * MINUTE;
    for (offset, value) in [(0, 4.0), (30_000, 8.0), (MINUTE, 1.0)] {
        let datum = MetricDatum::builder()
            .metric_name("Orders")
            .dimensions(Dimension::builder().name("Shop").value("paris").build())
            .timestamp(aws_smithy_types::DateTime::from_millis(minute + offset))
            .value(value)
            .build();
        client.put_metric_data().namespace("Shop").metric_data(datum).send().await.unwrap();
    }
    let query = |metric: &str, statistic: &str| MetricQuery {
        namespace: "Shop".into(),
        metric: metric.into(),
        dimensions: [("Shop".to_owned(), "paris".to_owned())].into(),
        statistic: statistic.into(),
    };
    let queries = [query("Orders", "Sum"), query("Orders", "Average"), query("Refunds", "Sum")];
    let period = Period { from: minute - MINUTE, to: minute + 2 * MINUTE, seconds: 60 };
    let series = monitoring::open(&target).metrics(REGION, &queries, period).await.unwrap();
    let samples = |values: [f64; 2]| {
        let [first, second] = values.map(|value| Sample { at: minute, value });
        vec![first, Sample { at: minute + MINUTE, ..second }]
    };
    assert_eq!(series, [samples([12.0, 1.0]), samples([6.0, 1.0]), Vec::new()]);
}

#[tokio::test]
async fn last_events_of_a_log_group_are_found() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let target = tests::target(&cloud);
    let client = Aws::new(&target).logs(REGION).await;
    client.create_log_group().log_group_name("/web").send().await.unwrap();
    client.create_log_stream().log_group_name("/web").log_stream_name("one").send().await.unwrap();
    let start = now() - MINUTE;
    let events = (0..30).map(|number| {
        let message = format!("request \"{number}\" {}", if number % 2 == 0 { "failed" } else { "done" });
        InputLogEvent::builder().timestamp(start + number).message(message).build().unwrap()
    });
    let put = client.put_log_events().log_group_name("/web").log_stream_name("one");
    put.set_log_events(Some(events.collect())).send().await.unwrap();

    let monitoring = monitoring::open(&target);
    let search = async |group: &str, text: &str| {
        let query = LogQuery { group: group.into(), from: start, to: start + MINUTE, text: text.into(), limit: 2 };
        monitoring.log_events(REGION, &query).await.unwrap()
    };
    let found = search("/web", "failed").await.unwrap();
    let messages: Vec<&str> = found.events.iter().map(|event| event.message.as_str()).collect();
    assert_eq!(messages, ["request \"26\" failed", "request \"28\" failed"]);
    assert_eq!((found.events[1].at, found.events[1].stream.as_str()), (start + 28, "one"));
    assert!(found.has_older && !found.is_cut);
    let all = search("/web", "").await.unwrap();
    assert_eq!((all.events[1].message.as_str(), all.has_older), ("request \"29\" done", true));
    assert_eq!(search("/web", "lost").await.unwrap().events, []);
    assert!(search("/missing", "").await.is_none());
}
