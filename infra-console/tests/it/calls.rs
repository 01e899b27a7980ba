//! The pages of the API calls.

use crate::harness::{FakeCloud, Fixture, text};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Returns a call in the recorded form.
fn call(number: usize) -> Value {
    let service = ["ec2", "rds", "s3"][number % 3];
    let operation = ["DescribeVpcs", "DescribeDBInstances", "PutObject"][number % 3];
    json!({
        "number": number, "at": format!("2026-11-30T09:{:02}:{:02}.250Z", 15 + number / 60, number % 60),
        "service": service, "operation": operation, "region": "us-east-1", "caller": "arn:aws:iam::000000000000:root",
        "request_id": format!("id-{number}"), "parameters": { "Number": number }, "status": 200, "error": null,
        "answer": "<Response/>", "microseconds": 1000 + number,
        "decisions": [{ "action": format!("{service}:{operation}"), "resource": "*", "allowed": true,
                        "reason": "root user", "policy": null, "statement": null }],
    })
}

/// Returns a call that a policy denied, with markup in all texts.
fn denied(number: usize) -> Value {
    let mut call = call(number);
    call["caller"] = json!("arn:aws:sts::000000000000:assumed-role/app/i-0000000000000aaa1");
    call["parameters"] = json!({ "Filter": ["</pre><script>alert(1)</script>"] });
    call["status"] = json!(403);
    call["error"] = json!({ "code": "AccessDenied", "message": "<b>no</b>" });
    call["answer"] = json!("{\"message\":\"<i>no</i>\"}");
    call["microseconds"] = json!(90_000);
    call["decisions"] = json!([
        { "action": "s3:PutObject", "resource": "arn:aws:s3:::books/a", "allowed": false,
          "reason": "denied explicitly by statement NoWrites of policy guard", "policy": "guard", "statement": "NoWrites" },
    ]);
    call
}

async fn start(cloud: FakeCloud) -> Fixture {
    Fixture::start("local", Some(cloud), false).await
}

/// Starts a console of a cloud that keeps the last `kept` of some calls.
async fn fixture(calls: Vec<Value>, kept: usize) -> Fixture {
    let respond = move |path: &str, query: &str| {
        let number = |name: &str| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(name));
            value.map(|value| value.parse::<usize>().unwrap())
        };
        let limit = number("limit=").unwrap_or(500);
        let dropped = calls.len().saturating_sub(kept);
        let begin = match number("after=") {
            Some(after) if after > calls.len() => dropped,
            Some(after) => after.max(dropped),
            None => calls.len().saturating_sub(limit).max(dropped),
        };
        let part: Vec<_> = calls.iter().skip(begin).take(limit).collect();
        (path == "calls").then(|| json!({ "next": begin + part.len(), "calls": part }))
    };
    start(FakeCloud::default().respond(respond)).await
}

/// Returns the calls of a document of the API in a short form.
fn numbers(document: &Value) -> String {
    let mut text = String::new();
    for call in document["calls"].as_array().unwrap() {
        write!(text, "{} ", call["number"]).unwrap();
    }
    format!("{text}examined={} older={}", document["examined"], document["older"])
}

#[tokio::test]
async fn the_newest_calls_are_first_with_their_statistics() {
    let fixture = fixture((1..=5).map(call).chain([denied(6)]).collect(), 100).await;
    let document = fixture.json("/api/calls").await;
    assert_eq!(numbers(&document), "6 5 4 3 2 1 examined=6 older=null");
    insta::assert_snapshot!(document["statistics"], @r#"{"calls":6,"calls_per_second":1.0,"denied":1,"errors":1,"seconds":5.0,"slowest":{"milliseconds":90.0,"number":6,"operation":"DescribeVpcs","service":"ec2"}}"#);
    insta::assert_snapshot!(document["calls"][5], @r#"{"answer":"<Response/>","at":"2026-11-30T09:15:01.250Z","caller":"arn:aws:iam::000000000000:root","decisions":[{"action":"rds:DescribeDBInstances","allowed":true,"policy":null,"reason":"root user","resource":"*","statement":null}],"error":null,"microseconds":1001,"number":1,"operation":"DescribeDBInstances","parameters":{"Number":1},"region":"us-east-1","request_id":"id-1","service":"rds","status":200}"#);
    let page = fixture.page("/calls").await;
    let (_, list) = page.split_once("class=\"muted statistics\">").unwrap();
    let list = text(list.split_once("</main>").unwrap().0);
    insta::assert_snapshot!(list, @"
    6 of 6 calls · 1.0 per second · 1 error · 1 denied · slowest: ec2 DescribeVpcs, 90.0 ms
    Time (UTC) Call Access Status Duration Caller Number
    09:15:06.250 ec2 DescribeVpcs AccessDenied denied 403 90.0 ms assumed-role/app/i-0000000000000aaa1 6
    09:15:05.250 s3 PutObject allowed 200 1.0 ms root 5
    09:15:04.250 rds DescribeDBInstances allowed 200 1.0 ms root 4
    09:15:03.250 ec2 DescribeVpcs allowed 200 1.0 ms root 3
    09:15:02.250 s3 PutObject allowed 200 1.0 ms root 2
    09:15:01.250 rds DescribeDBInstances allowed 200 1.0 ms root 1
    ");
}

#[tokio::test]
async fn filters_select_calls() {
    let fixture = fixture((1..=5).map(call).chain([denied(6)]).collect(), 100).await;
    let found = async |query: &str| numbers(&fixture.json(&format!("/api/calls?{query}")).await);
    assert_eq!(found("service=rds").await, "4 1 examined=6 older=null");
    assert_eq!(found("operation=describevpcs").await, "6 3 examined=6 older=null");
    assert_eq!(found("caller=assumed-role/APP").await, "6 examined=6 older=null");
    assert_eq!(found("errors=on").await, "6 examined=6 older=null");
    assert_eq!(found("denied=on&service=ec2").await, "6 examined=6 older=null");
    assert_eq!(found("q=nowrites").await, "6 examined=6 older=null");
    assert_eq!(found("q=ID-3").await, "3 examined=6 older=null");
    assert_eq!(found("q=%22Number%22:2").await, "2 examined=6 older=null");
    assert_eq!(found("q=nothing").await, "examined=6 older=null");
    let page = fixture.page("/calls?q=nothing").await;
    assert!(text(&page).contains("None of the last 6 calls matches."), "{page}");
}

#[tokio::test]
async fn older_calls_are_found_beyond_the_first_part() {
    let calls: Vec<Value> = (1..=1234).map(|number| if number == 40 { denied(number) } else { call(number) }).collect();
    let fixture = fixture(calls, 1200).await;
    let found = async |query: &str| numbers(&fixture.json(&format!("/api/calls?{query}")).await);
    assert_eq!(found("limit=2").await, "1234 1233 examined=2 older=1233");
    assert_eq!(found("limit=2&before=1233").await, "1232 1231 examined=2 older=1231");
    // The cloud has dropped the calls until 34.
    assert_eq!(found("limit=5&before=37").await, "36 35 examined=2 older=null");
    assert_eq!(found("denied=on").await, "40 examined=1200 older=null");
    let page = fixture.page("/calls?limit=2&service=s3").await;
    assert!(page.contains("href=\"/calls?limit=2&#38;service=s3&#38;before=1229\">Older calls"), "{page}");
}

#[tokio::test]
async fn a_call_has_a_page_with_the_deciding_statement() {
    let fixture = fixture(vec![call(1), denied(2)], 100).await;
    let page = fixture.page("/calls/2").await;
    let (_, main) = page.split_once("<main id=\"main\">").unwrap();
    let (main, _) = main.split_once("</main>").unwrap();
    insta::assert_snapshot!(text(main), @"
    PutObject 403
    Calls of this operation Calls of this caller Logs at this time Logs with its ID
    Previous Next
    Number 2
    Time 2026-11-30T09:15:02.250Z
    Duration 90.0 ms
    Service s3 in us-east-1
    Caller arn:aws:sts::000000000000:assumed-role/app/i-0000000000000aaa1
    Request ID id-2
    AccessDenied &#60;b&#62;no&#60;/b&#62;
    Access
    Decision Action Resource Reason Policy Statement
    denied s3:PutObject arn:aws:s3:::books/a denied explicitly by statement NoWrites of policy guard guard NoWrites
    Parameters {
    &#34;Filter&#34;: [
    &#34;&#60;/pre&#62;&#60;script&#62;alert(1)&#60;/script&#62;&#34;
    ]
    }
    Answer {
    &#34;message&#34;: &#34;&#60;i&#62;no&#60;/i&#62;&#34;
    }
    ");
    assert!(!page.contains("<script>") && !page.contains("<b>") && !page.contains("<i>"), "{page}");
    assert!(page.contains("href=\"/logs?q=id-2\""), "{page}");
    let meanwhile = "/logs?from=2026-11-30T09%3A15%3A01.250Z&#38;to=2026-11-30T09%3A15%3A03.340Z";
    assert!(page.contains(&format!("href=\"{meanwhile}\"")), "{page}");
    assert_eq!(fixture.json("/api/calls/2").await["decisions"][0]["statement"], "NoWrites");
}

#[tokio::test]
async fn problems_are_pages_with_a_hint() {
    let present = fixture(vec![call(1)], 100).await;
    insta::assert_snapshot!(present.problem("/calls/7").await, @"
    404
    the local cloud has no record of a call `7`
    it keeps the last calls since its start; the page `API calls` lists them
    ");
    insta::assert_snapshot!(present.problem("/calls/x").await, @"
    404
    the local cloud has no record of a call `x`
    it keeps the last calls since its start; the page `API calls` lists them
    ");
    insta::assert_snapshot!(present.problem("/calls?errors=yes").await, @"
    400
    the parameter `errors` cannot be `yes`
    use `on` or `off`
    ");
    let earlier = start(FakeCloud::default()).await;
    insta::assert_snapshot!(earlier.problem("/calls").await, @"
    503
    the local cloud has no `calls`: it is of an earlier version than this console
    restart it with `stack local stop` and `stack local start`, which keep its resources
    ");
    let other = start(FakeCloud::default().answer("GET calls", 200, json!({ "calls": [{ "number": "one" }] }))).await;
    insta::assert_snapshot!(other.problem("/calls").await, @"
    503
    the local cloud&#39;s list of calls has an unknown form
    invalid type: string &#34;one&#34;, expected u64
    restart the local cloud and the console with the same version of the program
    ");
    insta::assert_snapshot!(Fixture::start("local", None, false).await.problem("/calls").await, @"
    503
    the local cloud is not running
    start it with `stack local start` or `stack up`
    ");
    insta::assert_snapshot!(Fixture::start("aws", None, false).await.problem("/calls").await, @"
    503
    the console shows calls to the local cloud only, and the target is AWS
    `aws cloudtrail lookup-events` lists the calls on AWS
    ");
}

#[tokio::test]
async fn a_cloud_without_calls_says_so() {
    let page = fixture(Vec::new(), 100).await.page("/calls").await;
    assert!(text(&page).contains("The local cloud has received no calls yet."), "{page}");
}
