//! The page of the metrics, its files and its JSON.

use crate::harness::{FakeCloud, Fixture};
use insta::assert_snapshot;
use serde_json::{Value as Json, json};

/// A time range with explicit limits, which do not depend on the time of the test.
const RANGE: &str = "range=custom&from=2026-11-30T09:00&to=2026-11-30T09:05";

/// 2026-11-30T09:00:00Z in milliseconds.
const START: i64 = 1_796_029_200_000;

fn series(namespace: &str, metric: &str, dimensions: Json, values: &[(i64, f64, f64)]) -> Json {
    let points = values.iter().map(|(second, samples, sum)| json!([START + second * 1000, samples, sum, 0, sum]));
    json!({
        "region": "us-east-1", "namespace": namespace, "metric": metric, "dimensions": dimensions, "unit": null,
        "points": points.collect::<Vec<_>>(),
    })
}

fn metrics() -> Json {
    let balancer = || json!({ "LoadBalancer": "app/web/50dc6c495c0c9188" });
    let mut latency = series("AWS/ApplicationELB", "TargetResponseTime", balancer(), &[(10, 100.0, 2.0)]);
    latency["percentiles"] = json!({
        "p50": [[START + 10_000, 0.012]], "p95": [[START + 10_000, 0.05]], "p99": [[START + 10_000, 1.5]],
    });
    let instance = |id: &str| json!({ "InstanceId": id });
    let database = |id: &str| json!({ "DBInstanceIdentifier": id });
    let group = || json!({ "AutoScalingGroupName": "web" });
    let elb = "AWS/ApplicationELB";
    json!({ "now": START + 300_000, "series": [
        series(elb, "ActiveConnectionCount", balancer(), &[(0, 1.0, 2.0), (10, 1.0, 2.0), (20, 1.0, 2.0), (30, 1.0, 2.0)]),
        series(elb, "RequestCount", balancer(), &[(10, 100.0, 100.0), (20, 50.0, 50.0)]),
        series(elb, "HTTPCode_Target_4XX_Count", balancer(), &[(10, 20.0, 20.0)]),
        series(elb, "HTTPCode_Target_5XX_Count", balancer(), &[(20, 50.0, 50.0)]),
        latency,
        // Series of a target group are not those of the balancer.
        series(elb, "RequestCount", json!({ "LoadBalancer": "app/web/50dc6c495c0c9188", "TargetGroup": "t" }), &[(10, 9.0, 9.0)]),
        series("AWS/AutoScaling", "GroupDesiredCapacity", group(), &[(0, 1.0, 2.0), (20, 1.0, 3.0)]),
        series("AWS/AutoScaling", "GroupInServiceInstances", group(), &[(0, 1.0, 2.0), (20, 1.0, 2.0)]),
        series("AWS/EC2", "CPUUtilization", instance("i-1"), &[(10, 1.0, 25.0), (20, 1.0, 75.0)]),
        series("AWS/EC2", "CPUUtilization", instance("i-gone"), &[(10, 1.0, 5.0)]),
        series("AWS/RDS", "DatabaseConnections", database("orders"), &[(10, 1.0, 7.0)]),
        series("AWS/RDS", "ReplicaLag", database("replica"), &[(10, 1.0, 0.25), (20, 1.0, -1.0)]),
        series("Shop", "Orders", json!({}), &[(10, 1.0, 1.0)]),
    ] })
}

fn event(number: u64, second: i64, kind: &str, subject: &str, text: &str) -> Json {
    let at = format!("2026-11-30T09:{:02}:{:02}.000Z", second / 60, second % 60);
    json!({ "number": number, "at": at, "region": "us-east-1", "kind": kind, "subject": subject, "text": text })
}

fn events() -> Json {
    json!({ "next": 6, "events": [
        event(1, 15, "fault", "us-east-1a", "the zone us-east-1a fails"),
        event(2, 18, "scaling", "web", "<script>alert(1)</script> & \"quotes\""),
        event(3, 20, "scaling", "other", "another group grows"),
        event(4, 25, "failover", "orders", "orders fails over"),
        event(5, 26, "of-a-later-version", "x", "unknown"),
        event(6, 3000, "fault", "us-east-1a", "outside of the range"),
    ] })
}

fn cloud() -> FakeCloud {
    let instance =
        |id: &str, name: &str, state: &str| json!({ "id": id, "name": name, "state": state, "zone": "us-east-1a" });
    let status = json!({ "regions": { "us-east-1": {
        "balancers": [{ "name": "web", "state": "active" }, { "name": "idle", "state": "active" }],
        "groups": [{ "name": "web", "desired": 3 }],
        "instances": [instance("i-1", "<b>\"app\"</b>", "running"), instance("i-old", "app", "terminated")],
        "databases": [{ "id": "orders", "state": "available" }, { "id": "replica", "state": "available" }],
    } } });
    FakeCloud::default().answer("GET status", 200, status).answer("GET metrics", 200, metrics()).answer(
        "GET events",
        200,
        events(),
    )
}

/// Returns the plots of a document in short form: id, series with seconds and values, numbers of marks.
fn plots(document: &Json) -> String {
    let charts =
        document["sections"].as_array().unwrap().iter().flat_map(|section| section["charts"].as_array().unwrap());
    let mut lines = Vec::new();
    for chart in charts {
        let marks = chart["marks"].as_array().unwrap().iter().map(|mark| mark["number"].to_string());
        let marks: Vec<String> = marks.collect();
        lines.push(format!("{} in {}, marks {}", chart["id"], chart["unit"], marks.join(" ")));
        lines.extend(chart["empty"].as_str().map(|reason| format!("  {reason}")));
        for series in chart["series"].as_array().unwrap() {
            let points = series["points"].as_array().unwrap().iter();
            let points = points.map(|point| format!("{}s {}", (point[0].as_i64().unwrap() - START) / 1000, point[1]));
            lines.push(format!("  {}: {}", series["name"], points.collect::<Vec<_>>().join(", ")));
        }
    }
    lines.join("\n")
}

#[tokio::test]
async fn the_json_has_a_plot_for_each_question() {
    let fixture = Fixture::start("local", Some(cloud()), false).await;
    let answer = fixture.get(&format!("/api/metrics?{RANGE}")).await;
    assert_eq!(answer.status, 200);
    let document = answer.json();
    assert_snapshot!(plots(&document), @r#"
    "balancer.us-east-1.idle.requests" in "requests/s", marks 1 2 3 4
      no data yet: the load balancer received no request, or has not measured it yet
    "balancer.us-east-1.idle.latency" in "ms", marks 1 2 3 4
      no data yet: the load balancer received no request, or has not measured it yet
    "balancer.us-east-1.web.requests" in "requests/s", marks 1 2 3 4
      "2xx and 3xx": 0s 0.0, 10s 8.0, 20s 0.0, 30s 0.0
      "4xx": 0s 0.0, 10s 2.0, 20s 0.0, 30s 0.0
      "5xx": 0s 0.0, 10s 0.0, 20s 5.0, 30s 0.0
      "5xx of the balancer": 0s 0.0, 10s 0.0, 20s 0.0, 30s 0.0
    "balancer.us-east-1.web.latency" in "ms", marks 1 2 3 4
      "p50": 10s 12.0
      "p95": 10s 50.0
      "p99": 10s 1500.0
    "group.us-east-1.web.size" in "instances", marks 1 2
      "in service": 0s 2.0, 20s 2.0
      "desired": 0s 2.0, 20s 3.0
    "group.us-east-1.web.cpu" in "%", marks 1 2
      no data yet: the processor time of running services is known after two measurements
    "instance.us-east-1.cpu" in "%", marks 1 2 3
      "<b>\"app\"</b> (i-1)": 10s 25.0, 20s 75.0
      "i-gone": 10s 5.0
    "database.us-east-1.connections" in "connections", marks 1 4
      "orders": 10s 7.0
    "database.us-east-1.lag" in "ms", marks 1 4
      "replica": 10s 250.0
    "namespace.us-east-1.Shop.Orders" in "", marks 
      "Orders": 10s 1.0
    "#);
    let events: Vec<&Json> = document["events"]["events"].as_array().unwrap().iter().collect();
    assert_eq!(events.len(), 5, "events outside of the range are omitted");
    assert_eq!(events[4]["kind"], "other");
}

#[tokio::test]
async fn a_resource_is_selected_by_name_or_id() {
    let fixture = Fixture::start("local", Some(cloud()), false).await;
    let ids = async |of: &str| {
        let document = fixture.get(&format!("/api/metrics?{RANGE}&of={of}")).await.json();
        let sections = document["sections"].as_array().unwrap().clone();
        let charts = sections.iter().flat_map(|section| section["charts"].as_array().unwrap().clone());
        charts.map(|chart| chart["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_snapshot!(ids("web").await, @"balancer.us-east-1.web.requests balancer.us-east-1.web.latency group.us-east-1.web.size group.us-east-1.web.cpu");
    assert_snapshot!(ids("i-1").await, @"instance.us-east-1.i-1.cpu");
    assert_snapshot!(ids("replica").await, @"database.us-east-1.replica.connections database.us-east-1.replica.lag");
    let missing = fixture.get(&format!("/metrics?{RANGE}&of=wep")).await;
    assert_eq!(missing.status, 404);
    assert!(missing.text.contains("there is no resource `wep` with metrics"), "{}", missing.text);
    assert!(missing.text.contains("`web`"), "{}", missing.text);
}

#[tokio::test]
async fn the_page_shows_plots_with_marks_and_escapes_texts() {
    let fixture = Fixture::start("local", Some(cloud()), false).await;
    let page = fixture.get(&format!("/metrics?{RANGE}")).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.text.matches("<svg class=\"plot\"").count(), 10);
    assert_eq!(page.text.matches("<figure ").count(), 10);
    assert!(page.text.contains("&#60;script&#62;alert(1)&#60;/script&#62;"), "{}", page.text);
    assert!(!page.text.contains("<script>alert") && !page.text.contains("<b>\"app\""), "{}", page.text);
    assert!(!page.text.contains("style="), "the content policy forbids styles in attributes");
    assert!(page.text.contains("no data yet: the load balancer received no request, or has not measured it yet"));
    assert!(page.text.contains("data-topics=\"\""), "a custom range is not live");
    let live = fixture.get("/metrics").await;
    assert!(live.text.contains("data-topics=\"clock cloud\""));
}

#[tokio::test]
async fn a_plot_is_a_file_with_title_units_and_events() {
    let fixture = Fixture::start("local", Some(cloud()), false).await;
    let file = fixture.get(&format!("/metrics/plot.svg?{RANGE}&plot=balancer.us-east-1.web.requests")).await;
    assert_eq!((file.status, file.header("content-type")), (200, "image/svg+xml"));
    assert_eq!(file.header("content-disposition"), "inline; filename=\"balancer.us-east-1.web.requests.svg\"");
    let texts = file.text.lines().filter(|line| !line.starts_with('<') && !line.ends_with(" UTC"));
    assert_snapshot!(texts.collect::<Vec<_>>().join("\n"), @r"
    Requests and errors
    requests/s
    time (UTC)
    0
    2.5
    5
    7.5
    10
    09:00
    09:01
    09:02
    09:03
    09:04
    09:05
    1–4
    2xx and 3xx
    4xx
    5xx
    5xx of the balancer
    1 · 09:00:15 · fault: the zone us-east-1a fails
    2 · 09:00:18 · scaling: &lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;quotes&quot;
    3 · 09:00:20 · scaling: another group grows
    4 · 09:00:25 · failover: orders fails over
    Metrics: RequestCount, HTTPCode_Target_4XX_Count, HTTPCode_Target_5XX_Count, HTTPCode_ELB_5XX_Count
    ");
    let missing = fixture.get(&format!("/metrics/plot.svg?{RANGE}&plot=balancer.x")).await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn latencies_without_percentiles_have_averages() {
    let balancer = || json!({ "LoadBalancer": "app/web/1" });
    let latency = |percentiles: Json| {
        let values = [(10, 100.0, 2.0), (20, 10.0, 1.0)];
        let mut latency = series("AWS/ApplicationELB", "TargetResponseTime", balancer(), &values);
        latency["percentiles"] = percentiles;
        json!({ "series": [latency] })
    };
    let plot = async |document: Json| {
        let fixture = Fixture::start("local", Some(cloud().answer("GET metrics", 200, document)), false).await;
        let document = fixture.get(&format!("/api/metrics?{RANGE}&of=web")).await.json();
        let lines = plots(&document);
        let of_latency = |line: &&str| ["\"average\"", "\"maximum\"", "\"p50\""].iter().any(|name| line.contains(name));
        lines.lines().filter(of_latency).collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(plot(latency(json!({}))).await, @r#"
    "average": 10s 20.0, 20s 100.0
    "maximum": 10s 2000.0, 20s 1000.0
    "#);
    assert_snapshot!(plot(latency(json!({ "p50": [[START + 20_000, 0.09]] }))).await, @r#"
    "average": 10s 20.0, 20s 100.0
    "p50": 20s 90.0
    "#);
}

#[tokio::test]
async fn the_values_are_a_csv_file() {
    let fixture = Fixture::start("local", Some(cloud()), false).await;
    let file = fixture.get(&format!("/metrics/data.csv?{RANGE}&plot=instance.us-east-1.cpu")).await;
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    assert_snapshot!(file.text.replace("\r\n", "\n"), @r#"
    time,region,resource,plot,series,unit,value
    2026-11-30T09:00:10.000Z,us-east-1,Instances,cpu,"<b>""app""</b> (i-1)",%,25
    2026-11-30T09:00:20.000Z,us-east-1,Instances,cpu,"<b>""app""</b> (i-1)",%,75
    2026-11-30T09:00:10.000Z,us-east-1,Instances,cpu,i-gone,%,5
    "#);
    let all = fixture.get(&format!("/metrics/data.csv?{RANGE}")).await;
    assert_eq!(all.text.lines().count(), 1 + 4 * 4 + 3 + 4 + 3 + 1 + 1 + 1);
}

#[tokio::test]
async fn problems_say_what_to_do() {
    let stopped = Fixture::start("local", None, false).await.get("/metrics").await;
    assert_eq!(stopped.status, 503);
    assert!(stopped.text.contains("start it with `stack local start`"), "{}", stopped.text);

    let earlier = FakeCloud::default().answer("GET status", 200, json!({ "regions": {} }));
    let earlier = Fixture::start("local", Some(earlier), false).await;
    let page = earlier.get("/metrics").await;
    assert_eq!(page.status, 503);
    assert!(
        page.text.contains("the local cloud has no `metrics`: it is of an earlier version than this console"),
        "{}",
        page.text
    );
    assert!(page.text.contains("class=\"hint\""), "{}", page.text);

    let odd = cloud().answer("GET metrics", 200, json!({ "series": [{ "points": "none" }] }));
    let odd = Fixture::start("local", Some(odd), false).await;
    assert!(odd.get("/metrics").await.text.contains("the local cloud returned metrics of an unknown form"));

    let fixture = Fixture::start("local", Some(cloud()), false).await;
    for parameters in ["range=9h", "from=x", "range=custom&from=2026-11-30T10:00&to=2026-11-30T09:00", "of=a&of=b"] {
        let page = fixture.get(&format!("/metrics?{parameters}")).await;
        assert_eq!(page.status, 400, "{parameters}: {}", page.text);
    }
}

#[tokio::test]
async fn namespaces_of_programs_and_regions_are_selected() {
    let mut document = metrics();
    let list = document["series"].as_array_mut().unwrap();
    list.push(series("Shop", "Delay", json!({ "Shop": "b", "Kind": "x" }), &[(10, 2.0, 8.0)]));
    list.push(series("Shop", "Delay", json!({ "Shop": "c" }), &[(10, 1.0, 9.0)]));
    let mut elsewhere = series("Shop", "Orders", json!({}), &[(20, 1.0, 5.0)]);
    elsewhere["region"] = json!("eu-west-3");
    elsewhere["unit"] = json!("Milliseconds");
    list.push(elsewhere);
    let fixture = Fixture::start("local", Some(cloud().answer("GET metrics", 200, document)), false).await;
    let range = "from=2026-11-30T09:00&to=2026-11-30T09:05";
    let found = async |query: &str| fixture.json(&format!("/api/metrics?{range}&{query}")).await;
    assert_snapshot!(plots(&found("of=Shop&region=us-east-1").await), @r#"
    "namespace.us-east-1.Shop.Delay" in "", marks 
      "Kind=x, Shop=b": 10s 4.0
      "Shop=c": 10s 9.0
    "namespace.us-east-1.Shop.Orders" in "", marks 
      "Orders": 10s 1.0
    "#);
    let other = found("region=eu-west-3").await;
    assert_snapshot!(plots(&other), @r#"
    "namespace.eu-west-3.Shop.Orders" in "ms", marks 
      "Orders": 20s 5.0
    "#);
    assert_eq!(other["regions"], json!(["eu-west-3", "us-east-1"]));
    assert_eq!(other["sections"][0]["charts"][0]["title"], "Orders (average)");
    let page = fixture.page(&format!("/metrics?{range}&region=eu-west-3")).await;
    assert!(page.contains("selected>eu-west-3</option>") && page.contains("Orders (average)"), "{page}");
    let missing = fixture.get(&format!("/api/metrics?{range}&region=eu-west-9")).await;
    assert_eq!((missing.status, missing.json()["hint"].as_str()), (404, Some("did you mean `eu-west-3`?")));
    let csv = fixture.page(&format!("/metrics/data.csv?{range}&region=eu-west-3")).await;
    assert!(csv.contains(",eu-west-3,Metrics of programs Shop,Orders (average),Orders,ms,5\r\n"), "{csv}");
}

#[tokio::test]
async fn a_cloud_without_resources_has_a_page() {
    let empty = FakeCloud::default()
        .answer("GET status", 200, json!({ "regions": {} }))
        .answer("GET metrics", 200, json!({ "now": 0, "series": [] }))
        .answer("GET events", 200, json!({ "next": 0, "events": [] }));
    let fixture = Fixture::start("local", Some(empty), false).await;
    let page = fixture.get("/metrics").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("so it has no metrics"), "{}", page.text);
}

#[tokio::test]
async fn events_are_json() {
    let fixture = Fixture::start("local", Some(cloud()), false).await;
    let document = fixture.get("/api/events?from=2026-11-30T09:00:16&to=2026-11-30T09:00:19").await.json();
    assert_snapshot!(serde_json::to_string_pretty(&document).unwrap(), @r#"
    {
      "events": [
        {
          "at": "2026-11-30T09:00:18Z",
          "kind": "scaling",
          "number": 2,
          "region": "us-east-1",
          "subject": "web",
          "text": "<script>alert(1)</script> & \"quotes\""
        }
      ],
      "omitted": 0
    }
    "#);
}
