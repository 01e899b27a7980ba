//! Load balancers with rules and certificates, end to end: program, engine, AWS SDK, local cloud.

use infra_aws::{
    self as aws, Action, Certificate, Condition, DefaultVpc, Forward, Listener, ListenerRule, LoadBalancer, Rule,
    SecurityGroup, Share, TargetGroup, TargetGroupAttachment, TargetType, policies,
};
use infra_core::{Config, Engine, Result, Stack, engine::ImportRequest, policy::Enforcement, store::MemoryStore};
use infra_local::{LocalCloud, Options};
use insta::assert_snapshot;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
};
use tempfile::TempDir;
use tests::{http, stable, until};

/// Starts a server that answers every request with its name until the test process exits.
fn server(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(std::io::Result::ok) {
            std::thread::spawn(move || answer(stream, name));
        }
    });
    address
}

fn answer(mut stream: TcpStream, name: &str) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    while let Some(Ok(line)) = lines.next() {
        if line.is_empty() {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len()).ok()?;
        }
    }
    None
}

/// The differences between two versions of the program.
#[derive(Clone, Copy)]
struct Version {
    priority: u32,
    text: &'static str,
    team: &'static str,
}

const FIRST: Version = Version { priority: 10, text: "closed", team: "blue" };

fn web(blue: SocketAddr, green: SocketAddr, version: Version) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        stack.policy(policies::encryption_required(Enforcement::Mandatory));
        let virginia = aws::region(stack, "us-east-1");
        let network = virginia.lookup(DefaultVpc);
        let tags = BTreeMap::from([("team".to_owned(), version.team.to_owned())]);
        let access = virginia.add(
            "access",
            SecurityGroup {
                ingress: vec![Rule::tcp(8080..=8443).from_anywhere()],
                ..SecurityGroup::in_vpc(network.vpc_id.clone())
            },
        );
        let balancer = virginia.add(
            "balancer",
            LoadBalancer {
                attributes: [("routing.http.xff_client_port.enabled".into(), "true".into())].into(),
                tags: tags.clone(),
                ..LoadBalancer::application(network.subnets.clone(), [access.id])
            },
        );
        let group = |name: &str, address: SocketAddr| {
            let targets = virginia.add(
                name,
                TargetGroup {
                    target_type: TargetType::Ip,
                    tags: tags.clone(),
                    ..TargetGroup::http(80, network.vpc_id.clone()).slow_start(30).deregistration_delay(0)
                },
            );
            let attachment = TargetGroupAttachment::new(targets.arn.clone(), address.ip().to_string());
            virginia.add(&format!("{name}-server"), TargetGroupAttachment { port: Some(address.port()), ..attachment });
            targets.arn
        };
        let (blue, green) = (group("blue", blue), group("green", green));
        let certificate = virginia.add("certificate", Certificate::self_signed(["shop.example.org"]));
        let secure =
            Listener::https(8443, balancer.arn.clone(), certificate.arn.clone()).action(Action::Forward(Forward {
                shares: vec![Share { targets: blue, weight: 1 }, Share { targets: green.clone(), weight: 0 }],
                sticky_seconds: Some(60),
            }));
        let secure = virginia.add("secure", Listener { tags: tags.clone(), ..secure });
        virginia.add("plain", Listener::redirect_to_https(8080, balancer.arn.clone()));
        let closed = ListenerRule::new(
            secure.arn.clone(),
            version.priority,
            [Condition::path(["/admin/*"]), Condition::method(["GET", "POST"])],
            Action::fixed_response(403, version.text),
        );
        let closed = virginia.add("closed", ListenerRule { tags, ..closed });
        virginia.add(
            "canary",
            ListenerRule::new(secure.arn.clone(), 20, [Condition::header("x-canary", ["yes"])], Action::forward(green)),
        );
        stack.export("address", balancer.dns_name);
        stack.export("balancer", balancer.arn);
        stack.export("secure", secure.arn);
        stack.export("closed", closed.arn);
        stack.export("certificate", certificate.arn);
        stack.export("pem", certificate.pem);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn balancer_with_rules_and_a_certificate_is_created_updated_imported_and_deleted() {
    let directory = TempDir::new().unwrap();
    let options = Options { time_scale: 30.0, ..Options::new(directory.path()) };
    let cloud = LocalCloud::start(options).await.unwrap();
    let engine = Engine::new("program", "dev", MemoryStore::new()).target(tests::target(&cloud));
    let (blue, green) = (server("blue"), server("green"));
    let program = |version| web(blue, green, version);
    let up = async |version| {
        let report = engine.up(&program(version)).await.unwrap();
        assert!(report.is_success(), "{:?}", report.failures);
        let plan = engine.preview(&program(version)).await.unwrap();
        assert!(!plan.has_changes(), "{plan}");
    };
    up(FIRST).await;
    let refreshed = engine.refresh(&program(FIRST)).await.unwrap();
    assert!(refreshed.is_success(), "{:?}", refreshed.failures);
    let plan = engine.preview(&program(FIRST)).await.unwrap();
    assert!(!plan.has_changes(), "a refresh reports no drift: {plan}");

    let outputs = engine.outputs().await.unwrap();
    assert!(outputs["pem"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    let plain = format!("http://{}:8080/a?b=c", outputs["address"].as_str().unwrap());
    let redirected = tokio::task::spawn_blocking(move || until("the balancer answers", || location(&plain)));
    let address = outputs["address"].as_str().unwrap();
    assert_eq!(redirected.await.unwrap(), format!("https://{address}:443/a?b=c"));

    let changed = Version { priority: 5, text: "locked", team: "green" };
    let plan = stable(&engine.preview(&program(changed)).await.unwrap().to_string());
    let (changes, _outputs) = plan.split_once("\naddress = ").unwrap();
    assert_snapshot!(changes, @r#"
    ~ update LoadBalancer balancer [us-east-1]
        ~ tags.team: "blue" => "green"
    ~ update TargetGroup blue [us-east-1]
        ~ tags.team: "blue" => "green"
    ~ update TargetGroup green [us-east-1]
        ~ tags.team: "blue" => "green"
    ~ update Listener secure [us-east-1]
        ~ tags.team: "blue" => "green"
    ~ update ListenerRule closed [us-east-1]
        ~ action.fixed_response.body: "closed" => "locked"
        ~ priority: 10 => 5
        ~ tags.team: "blue" => "green"
    6 same, 5 update
    "#);
    up(changed).await;

    import_all(&cloud, &outputs).await;

    let destroyed = engine.destroy(&program(changed)).await.unwrap();
    assert!(destroyed.is_success(), "{:?}", destroyed.failures);
    let counts = &cloud.status().await.regions["us-east-1"].counts;
    assert_eq!(counts["security_groups"], 0, "only the default group is left: {counts:?}");
    cloud.shutdown().await;
}

/// Returns the location of a redirect.
fn location(url: &str) -> Option<String> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into();
    let answer = agent.get(url).call().ok()?;
    (answer.status() == 301).then(|| answer.headers()["location"].to_str().unwrap().to_owned())
}

/// Imports the balancer, its listener and its rule, and checks the printed code.
async fn import_all(cloud: &LocalCloud, outputs: &BTreeMap<String, infra_core::value::Value>) {
    let importer = Engine::new("importer", "dev", MemoryStore::new()).target(tests::target(cloud));
    let region = |stack: &Stack, _: &Config| -> Result {
        aws::region(stack, "us-east-1");
        Ok(())
    };
    let request = |kind: &str, output: &str| ImportRequest {
        kind: kind.into(),
        name: output.into(),
        id: outputs[output].as_str().unwrap().into(),
        region: Some("us-east-1".into()),
    };
    let requests = [
        request("aws:elb:LoadBalancer", "balancer"),
        request("aws:elb:Listener", "secure"),
        request("aws:elb:ListenerRule", "closed"),
    ];
    let adopted = importer.import(&region, &requests).await.unwrap();
    let declarations: Vec<&str> = adopted.iter().map(|adopted| adopted.declaration.as_str()).collect();
    let declarations = declarations.join("\n").replace(outputs["certificate"].as_str().unwrap(), "<certificate>");
    assert_snapshot!(stable(&declarations), @r#"
    aws::region(stack, "us-east-1").add("balancer", LoadBalancer {
        name: Some("balancer-<suffix>".into()),
        scheme: Scheme::InternetFacing,
        subnets: vec![
            "subnet-<id>".into(),
            "subnet-<id>".into(),
            "subnet-<id>".into(),
        ].into(),
        security_groups: vec![SecurityGroupId::from("sg-<id>").into()],
        idle_timeout: None,
        attributes: [
            ("routing.http.xff_client_port.enabled".into(), "true".into()),
        ].into(),
        tags: [
            ("team".into(), "green".into()),
        ].into(),
    });
    aws::region(stack, "us-east-1").add("secure", Listener {
        balancer: Arn::from("arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/balancer-<suffix>/<id>").into(),
        port: 8443,
        certificate: Some(Arn::from("<certificate>").into()),
        other_certificates: Default::default(),
        ssl_policy: Default::default(),
        forward: Default::default(),
        action: Some(Action::Forward(Forward {
            shares: vec![
                Share {
                    targets: Arn::from("arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/blue-<suffix>/<id>").into(),
                    weight: 1,
                },
                Share {
                    targets: Arn::from("arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/green-<suffix>/<id>").into(),
                    weight: 0,
                },
            ],
            sticky_seconds: Some(60),
        })),
        tags: [
            ("team".into(), "green".into()),
        ].into(),
    });
    aws::region(stack, "us-east-1").add("closed", ListenerRule {
        listener: Arn::from("arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/app/balancer-<suffix>/<id>/<id>").into(),
        priority: 5,
        conditions: vec![
            Condition::Path(vec!["/admin/*".into()]),
            Condition::Method(vec!["GET".into(), "POST".into()]),
        ],
        action: Action::FixedResponse(FixedResponse {
            status: 403,
            content_type: Some("text/plain".into()),
            body: Some("locked".into()),
        }),
        tags: [
            ("team".into(), "green".into()),
        ].into(),
    });
    "#);
}

#[test]
fn rules_select_the_target_group() {
    // Plain HTTP, because the client does not support TLS.
    let directory = TempDir::new().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = Options { time_scale: 30.0, ..Options::new(directory.path()) };
    let cloud = runtime.block_on(LocalCloud::start(options)).unwrap();
    let engine = Engine::new("program", "dev", MemoryStore::new()).target(tests::target(&cloud));
    let (blue, green) = (server("blue"), server("green"));
    let program = move |stack: &Stack, _: &Config| -> Result {
        let virginia = aws::region(stack, "us-east-1");
        let network = virginia.lookup(DefaultVpc);
        let ingress = vec![Rule::tcp(8080).from_anywhere()];
        let access = virginia.add("access", SecurityGroup { ingress, ..SecurityGroup::in_vpc(network.vpc_id.clone()) });
        let balancer = virginia.add("balancer", LoadBalancer::application(network.subnets.clone(), [access.id]));
        let groups = [("blue", blue), ("green", green)].map(|(name, address)| {
            let kind = TargetType::Ip;
            let group = TargetGroup { target_type: kind, ..TargetGroup::http(address.port(), network.vpc_id.clone()) };
            let targets = virginia.add(name, group.deregistration_delay(0));
            let target = TargetGroupAttachment::new(targets.arn.clone(), "127.0.0.1".to_owned());
            virginia.add(&format!("{name}-server"), target);
            targets.arn
        });
        let [blue, green] = groups;
        let listener = virginia.add("listener", Listener::http(8080, balancer.arn).forward(blue));
        let rule = ListenerRule::new(listener.arn, 1, [Condition::path(["/green/*"])], Action::forward(green));
        virginia.add("rule", rule);
        stack.export("url", infra_core::output_format!("http://{}:8080", balancer.dns_name));
        Ok(())
    };
    let report = runtime.block_on(engine.up(&program).into_future()).unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    let url = runtime.block_on(engine.outputs()).unwrap()["url"].as_str().unwrap().to_owned();
    let get = |path: &str| {
        let url = format!("{url}{path}");
        until("the balancer answers", || http("GET", &url, None).filter(|(status, _)| *status == 200)).1
    };
    assert_eq!((get("/").as_str(), get("/green/x").as_str()), ("blue", "green"));
    let destroyed = runtime.block_on(engine.destroy(&program).into_future()).unwrap();
    assert!(destroyed.is_success(), "{:?}", destroyed.failures);
    runtime.block_on(cloud.shutdown());
}
