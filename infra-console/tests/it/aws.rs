//! Metrics and logs of a stack on AWS.

use crate::harness::{Serving, subject, text};
use async_trait::async_trait;
use infra_console::{EngineSource, Settings};
use infra_core::{
    Config, Result as Declared, Stack,
    diagnostic::Diagnostic,
    monitoring::{LogEvent, LogEvents, LogQuery, MetricQuery, Monitoring, Period, Sample},
    state::State,
    store::MemoryStore,
};
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
};

/// CloudWatch with a value per minute of some metrics, and a log group.
#[derive(Default)]
struct FakeMonitoring {
    /// Regions and queries of all requests.
    requests: Mutex<Vec<String>>,
    refuses: bool,
}

#[async_trait]
impl Monitoring for FakeMonitoring {
    async fn metrics(
        &self,
        region: &str,
        queries: &[MetricQuery],
        period: Period,
    ) -> Result<Vec<Vec<Sample>>, Diagnostic> {
        if self.refuses {
            return Err(Diagnostic::error("the metrics cannot be read").hint("renew the key"));
        }
        let mut requests = self.requests.lock().unwrap();
        let values = |query: &MetricQuery| {
            let MetricQuery { namespace, metric, dimensions, statistic } = query;
            let of: Vec<&str> = dimensions.values().map(String::as_str).collect();
            requests.push(format!("{region} {namespace} {metric} {} {statistic}", of.concat()));
            let value = match (metric.as_str(), statistic.as_str()) {
                ("RequestCount", _) => 120.0,
                ("TargetResponseTime", "p95") => 0.25,
                ("CPUUtilization", _) => 40.0,
                _ => return Vec::new(),
            };
            let step = i64::from(period.seconds) * 1000;
            let minutes = (period.from / step + 1..period.to / step).map(|minute| minute * step);
            minutes.map(|at| Sample { at, value }).collect()
        };
        Ok(queries.iter().map(values).collect())
    }

    async fn log_events(&self, region: &str, query: &LogQuery) -> Result<Option<LogEvents>, Diagnostic> {
        self.requests.lock().unwrap().push(format!("{region} {} `{}` {}", query.group, query.text, query.limit));
        if query.group == "/deleted" {
            return Ok(None);
        }
        let event = |at, message: &str| LogEvent { stream: "i-1".into(), at, message: message.into() };
        let all = [
            event(1_796_030_122_000, r#"{"level":"INFO","message":"listening"}"#),
            event(1_796_030_123_000, r#"{"level":"ERROR","message":"no answer","request_id":"req-00000001"}"#),
        ];
        let events = all.into_iter().filter(|event| event.message.contains(&query.text)).collect();
        Ok(Some(LogEvents { events, has_older: true, is_cut: false }))
    }
}

const RESOURCES: &[(&str, &str)] = &[
    (
        "aws:elb:LoadBalancer::front",
        "arn:aws:elasticloadbalancing:eu-west-3:123456789012:loadbalancer/app/front/50dc6c49",
    ),
    ("aws:autoscaling:AutoScalingGroup::web", "web-1a2b"),
    ("aws:ec2:Instance::bastion", "i-0000000000000aaa1"),
    ("aws:logs:LogGroup::logs", "/web"),
    ("aws:logs:LogGroup::old", "/deleted"),
    ("aws:ec2:Vpc::net", "vpc-1"),
];

/// Starts the console of a stack with these resources.
async fn console(resources: &[(&str, &str)], monitoring: Option<Arc<FakeMonitoring>>) -> (Serving, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut state = State::new("shop", "dev", "seed".into());
    for (urn, id) in resources {
        let current = json!({ "id": id, "region": "eu-west-3", "inputs": {}, "outputs": {} });
        let recorded = serde_json::from_value(json!({ "current": current })).unwrap();
        state.resources.insert(format!("urn:infra:dev::shop::{urn}").parse().unwrap(), recorded);
    }
    let store = Arc::new(MemoryStore::containing([&state]).unwrap());
    let nothing = |_: &Stack, _: &Config| -> Declared { Ok(()) };
    let source = EngineSource::new(subject(directory.path(), "shop", "aws"), store, nothing);
    let source = match monitoring {
        Some(monitoring) => source.with_monitoring(monitoring),
        None => source,
    };
    (Serving::start(Arc::new(source), Settings { port: Some(0), allow_changes: false }).await, directory)
}

#[tokio::test]
async fn metrics_of_recorded_resources_are_plotted() {
    let monitoring = Arc::new(FakeMonitoring::default());
    let (console, _directory) = console(RESOURCES, Some(monitoring.clone())).await;
    let document = console.json("/api/metrics?range=15m").await;
    let mut plots = String::new();
    for chart in document["sections"].as_array().unwrap().iter().flat_map(|one| one["charts"].as_array().unwrap()) {
        let series = chart["series"].as_array().unwrap().iter().filter(|one| one["points"] != json!([]));
        let last = |one: &Value| one["points"].as_array().unwrap().last().unwrap()[1].as_f64().unwrap();
        let series: Vec<String> =
            series.map(|one| format!("{}: {:.1}", one["name"].as_str().unwrap(), last(one))).collect();
        writeln!(plots, "{} | {}", chart["id"].as_str().unwrap(), series.join(", ")).unwrap();
    }
    insta::assert_snapshot!(plots, @"
    balancer.eu-west-3.front.requests | 2xx and 3xx: 2.0, 4xx: 0.0, 5xx: 0.0, 5xx of the balancer: 0.0
    balancer.eu-west-3.front.latency | p95: 250.0
    group.eu-west-3.web-1a2b.size | 
    group.eu-west-3.web-1a2b.cpu | average of the group: 40.0
    instance.eu-west-3.i-0000000000000aaa1.cpu | bastion (i-0000000000000aaa1): 40.0
    ");
    insta::assert_snapshot!(monitoring.requests.lock().unwrap().join("\n"), @"
    eu-west-3 AWS/ApplicationELB RequestCount app/front/50dc6c49 Sum
    eu-west-3 AWS/ApplicationELB HTTPCode_Target_4XX_Count app/front/50dc6c49 Sum
    eu-west-3 AWS/ApplicationELB HTTPCode_Target_5XX_Count app/front/50dc6c49 Sum
    eu-west-3 AWS/ApplicationELB HTTPCode_ELB_5XX_Count app/front/50dc6c49 Sum
    eu-west-3 AWS/ApplicationELB TargetResponseTime app/front/50dc6c49 Average
    eu-west-3 AWS/ApplicationELB TargetResponseTime app/front/50dc6c49 p50
    eu-west-3 AWS/ApplicationELB TargetResponseTime app/front/50dc6c49 p95
    eu-west-3 AWS/ApplicationELB TargetResponseTime app/front/50dc6c49 p99
    eu-west-3 AWS/AutoScaling GroupDesiredCapacity web-1a2b Average
    eu-west-3 AWS/AutoScaling GroupInServiceInstances web-1a2b Average
    eu-west-3 AWS/EC2 CPUUtilization web-1a2b Average
    eu-west-3 AWS/EC2 CPUUtilization i-0000000000000aaa1 Average
    ");
    assert!(console.page("/metrics").await.contains("<svg"));
}

#[tokio::test]
async fn events_of_log_groups_are_searched() {
    let monitoring = Arc::new(FakeMonitoring::default());
    let (console, _directory) = console(RESOURCES, Some(monitoring.clone())).await;
    let document = console.json("/api/logs?q=req-00000001&limit=50").await;
    let line = &document["lines"][0];
    assert_eq!(
        (&line["label"], &line["message"], &line["level"]),
        (&json!("/web"), &json!("no answer"), &json!("error"))
    );
    assert_eq!((&line["at"], &line["request_id"]), (&json!("2026-11-30T09:15:23.000000Z"), &json!("req-00000001")));
    assert!(line["fields"].to_string().contains(r#"{"name":"stream","value":"i-1"}"#), "{line}");
    let notices = document["notices"].to_string();
    assert!(
        notices.contains("/deleted does not exist any more") && notices.contains("upper and lower case"),
        "{notices}"
    );
    let requests = ["eu-west-3 /deleted `req-00000001` 50", "eu-west-3 /web `req-00000001` 50"];
    let mut sent = monitoring.requests.lock().unwrap().clone();
    sent.sort_unstable();
    assert_eq!(sent, requests);

    let document = console.json("/api/logs?of=/web").await;
    assert_eq!(document["lines"].as_array().unwrap().len(), 2);
    assert!(document["older"].is_string(), "{document}");
    let warnings = console.json("/api/logs?of=/web&level=warn").await;
    assert_eq!(warnings["lines"].as_array().unwrap().len(), 1);
    let page = console.page("/logs").await;
    assert!(page.contains("<optgroup label=\"Log groups\">") && page.contains("listening"), "{page}");
    assert_eq!(console.get("/logs?of=/other").await.status, 404);
}

#[tokio::test]
async fn reasons_for_missing_values_are_shown() {
    let (console_of_none, _directory) = console(&[], Some(Arc::default())).await;
    insta::assert_snapshot!(console_of_none.problem("/metrics").await, @"
    404
    the stack has no resource with metrics on AWS
    load balancers, Auto Scaling groups, instances and databases have metrics; deploy them with `stack --target aws up`
    ");
    insta::assert_snapshot!(console_of_none.problem("/logs").await, @"
    404
    the stack has no log group on AWS
    declare one (`aws:logs:LogGroup`) and deploy it with `stack --target aws up`; `aws logs tail GROUP --follow` shows others
    ");
    let (without, _directory) = console(RESOURCES, None).await;
    insta::assert_snapshot!(without.problem("/metrics").await, @"
    503
    this program cannot read metrics and logs of AWS
    add it to the command: `Cli::new(programs).monitoring(infra_aws::monitoring::open)`
    ");
    let refusing = FakeMonitoring { refuses: true, ..FakeMonitoring::default() };
    let (refused, _directory) = console(RESOURCES, Some(Arc::new(refusing))).await;
    assert!(refused.problem("/metrics").await.contains("the metrics cannot be read\nrenew the key"));
    assert!(text(&refused.page("/logs").await).contains("listening"));
}
