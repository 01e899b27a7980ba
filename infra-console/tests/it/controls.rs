//! Start, stop and restart on the page of a resource.

use crate::harness::{Answer, FakeCloud, Fixture};
use infra_core::state::State;
use serde_json::json;

const FORM: &str = "application/x-www-form-urlencoded";

const INSTANCE: &str = "urn:infra:dev::shop::aws:ec2:Instance::web";
const GROUP: &str = "urn:infra:dev::shop::aws:autoscaling:AutoScalingGroup::app/group";
const DATABASE: &str = "urn:infra:dev::shop::aws:cloudcontrol:Resource::orders";
const CLUSTER: &str = "urn:infra:dev::shop::aws:rds:DbCluster::books";
const NETWORK: &str = "urn:infra:dev::shop::aws:ec2:Vpc::net";

fn cloud() -> FakeCloud {
    FakeCloud::default().answer(
        "GET status",
        200,
        json!({ "regions": { "eu-west-3": {
            "instances": [{ "id": "i-1", "name": "web", "state": "running" }],
            "groups": [{ "name": "app" }],
            "databases": [{ "id": "orders", "state": "stopped" }],
        } } }),
    )
}

async fn console(cloud: &FakeCloud, target: &'static str, allow_changes: bool) -> Fixture {
    let fixture = Fixture::start(target, Some(cloud.clone()), allow_changes).await;
    let mut state = State::new("shop", "dev", "seed".into());
    let mut add = |urn: &str, id: &str, region: Option<&str>, inputs: serde_json::Value| {
        let current = json!({ "id": id, "region": region, "inputs": inputs, "outputs": {} });
        let recorded = serde_json::from_value(json!({ "current": current })).unwrap();
        state.resources.insert(urn.parse().unwrap(), recorded);
    };
    add(INSTANCE, "i-1", Some("eu-west-3"), json!({}));
    add(GROUP, "app", None, json!({}));
    add(DATABASE, "AWS::RDS::DBInstance|orders", None, json!({ "type_name": "AWS::RDS::DBInstance" }));
    add(CLUSTER, "books", Some("eu-west-3"), json!({}));
    add(NETWORK, "vpc-1", Some("eu-west-3"), json!({}));
    fixture.record(state).await;
    fixture
}

async fn request(fixture: &Fixture, urn: &str, control: &str) -> Answer {
    fixture.post("/controls", FORM, format!("csrf=&urn={urn}&control={control}")).await
}

/// Returns the outcome that the page shows after a control.
async fn outcome(fixture: &Fixture, urn: &str, control: &str) -> String {
    let answer = request(fixture, urn, control).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let page = fixture.page(answer.header("location")).await;
    page.lines().find(|line| line.contains("class=\"outcome ")).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn controls_call_the_operations_of_the_services_once_they_are_recorded() {
    let cloud = cloud();
    let fixture = console(&cloud, "local", true).await;
    let done = outcome(&fixture, INSTANCE, "stop").await;
    assert!(done.contains("StopInstances of i-1 in eu-west-3 was accepted"), "{done}");
    for (urn, control) in
        [(INSTANCE, "restart"), (DATABASE, "start"), (CLUSTER, "stop"), (CLUSTER, "start"), (GROUP, "restart")]
    {
        let done = outcome(&fixture, urn, control).await;
        assert!(done.contains("succeeded"), "{urn} {control}: {done}");
    }
    insta::assert_snapshot!(cloud.requests("POST").join("\n"), @"
    POST ec2 Action=StopInstances&Version=2016-11-15&InstanceId.1=i-1
    POST ec2 Action=RebootInstances&Version=2016-11-15&InstanceId.1=i-1
    POST rds Action=StartDBInstance&Version=2014-10-31&DBInstanceIdentifier=orders
    POST rds Action=StopDBCluster&Version=2014-10-31&DBClusterIdentifier=books
    POST rds Action=StartDBCluster&Version=2014-10-31&DBClusterIdentifier=books
    POST autoscaling Action=StartInstanceRefresh&Version=2011-01-01&AutoScalingGroupName=app
    ");
    let audit = fixture.audit();
    assert_eq!(audit.len(), 6);
    let first = &audit[0];
    let fields = ["action", "urn", "control", "operation"].map(|name| first[name].as_str().unwrap());
    assert_eq!(fields, ["control_requested", INSTANCE, "stop", "StopInstances"]);
}

#[tokio::test]
async fn a_page_has_the_controls_that_the_state_allows() {
    let fixture = console(&cloud(), "local", true).await;
    let document = fixture.json(&format!("/api/resources/{INSTANCE}")).await;
    insta::assert_snapshot!(document["controls"], @r#"{"choices":[{"control":"start","operation":"StartInstances","possible":false},{"control":"stop","operation":"StopInstances","possible":true},{"control":"restart","operation":"RebootInstances","possible":true}],"state":"running"}"#);
    let document = fixture.json(&format!("/api/resources/{DATABASE}")).await;
    insta::assert_snapshot!(document["controls"], @r#"{"choices":[{"control":"start","operation":"StartDBInstance","possible":true},{"control":"stop","operation":"StopDBInstance","possible":false},{"control":"restart","operation":"RebootDBInstance","possible":false}],"state":"stopped"}"#);
    assert!(fixture.json(&format!("/api/resources/{NETWORK}")).await["controls"].is_null());
    let page = fixture.page(&format!("/resources/{INSTANCE}")).await;
    assert!(page.contains("title=\"StopInstances\" >Stop</button>"), "{page}");
    assert!(page.contains("title=\"StartInstances\" disabled>Start</button>"), "{page}");
    let reading = console(&cloud(), "local", false).await.page(&format!("/resources/{INSTANCE}")).await;
    assert!(reading.contains("title=\"StopInstances\" disabled>Stop</button>"), "{reading}");
    assert!(reading.contains("stack console --allow-changes"), "{reading}");
}

#[tokio::test]
async fn refusals_of_services_are_shown() {
    let refusal = "<Response><Errors><Error><Code>IncorrectInstanceState</Code><Message>The instance &apos;i-1&apos; is \
                   not in a state from which it can be started.</Message></Error></Errors></Response>";
    let cloud = cloud().answer("POST ec2", 400, json!(refusal));
    let fixture = console(&cloud, "local", true).await;
    let shown = outcome(&fixture, INSTANCE, "start").await;
    assert!(shown.contains("outcome failed") && shown.contains("IncorrectInstanceState: The instance"), "{shown}");
    let unknown = outcome(&fixture, NETWORK, "stop").await;
    assert!(unknown.contains("there is no stop of a resource of `aws:ec2:Vpc`"), "{unknown}");
    assert_eq!(fixture.audit().len(), 1, "only the requested operation is recorded");
}

#[tokio::test]
async fn nothing_is_changed_without_permission() {
    let cloud = cloud();
    let reading = console(&cloud, "local", false).await;
    let refused = request(&reading, INSTANCE, "stop").await;
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("--allow-changes"), "{}", refused.text);
    let document = json!({ "urn": INSTANCE, "control": "stop" }).to_string();
    assert_eq!(reading.post("/api/controls", "application/json", document.clone()).await.status, 403);
    assert!(
        console(&cloud, "aws", true).await.post("/api/controls", "application/json", document.clone()).await.status
            >= 400
    );

    let fixture = console(&cloud, "local", true).await;
    let sign_in = fixture.url.split_once(&fixture.address.to_string()).unwrap().1;
    let cookie = fixture.send(axum::http::Method::GET, sign_in, &[], String::new()).await;
    let cookie = cookie.header("set-cookie").split(';').next().unwrap().to_owned();
    let origin = format!("http://{}", fixture.address);
    let headers = [("cookie", cookie.as_str()), ("origin", origin.as_str()), ("content-type", FORM)];
    let form = format!("csrf=forged&urn={INSTANCE}&control=stop");
    let forged = fixture.send(axum::http::Method::POST, "/controls", &headers, form).await;
    assert_eq!(forged.status, 403, "{}", forged.text);
    let missing = fixture.post("/controls", FORM, "csrf=&urn=urn:infra:dev::shop::x:y:Z::none&control=stop").await;
    assert_eq!(missing.status, 404, "{}", missing.text);
    assert_eq!(cloud.requests("POST"), [""; 0]);
    assert_eq!(fixture.audit(), [json!(null); 0]);

    let accepted = fixture.post("/api/controls", "application/json", document).await.json();
    assert_eq!(accepted["done"], "StopInstances of i-1 in eu-west-3 was accepted");
}
