//! Output of runs at several widths.
#![allow(clippy::unwrap_used)]

use super::*;
use infra_core::{execution::ExecutionGraph, value::Value};
use std::io::{self, Write};

/// Written output.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the text of these events, and fails if a line is too wide.
#[track_caller]
fn rendered(width: Option<usize>, detail: Detail, diff: bool, events: &[Event]) -> String {
    let paper = Paper::default();
    let human = Human::new(detail, diff, Screen::of(paper.clone(), width));
    events.iter().for_each(|event| human.show(event));
    human.finish();
    let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
    let text = console::strip_ansi_codes(&text).into_owned();
    let too_wide = text.lines().find(|line| width.is_some_and(|width| text::width(line) > width));
    assert_eq!(too_wide, None);
    text
}

fn urn(kind: &str, name: &str) -> Urn {
    Urn::new("dev", "web", &format!("aws:ec2:{kind}"), name).unwrap()
}

fn started(command: &str) -> Event {
    let (program, stack) = ("web".to_owned(), "dev".to_owned());
    Event::RunStarted { version: 1, command: command.to_owned(), program, stack }
}

fn planned(action: Action, kind: &str, name: &str, region: &str, diff: &[(&str, Value, Value, bool)]) -> Event {
    let properties = diff.iter().map(|(path, old, new, replaces)| infra_core::diff::PropertyDiff {
        path: (*path).to_owned(),
        old: old.clone(),
        new: new.clone(),
        replaces: *replaces,
    });
    Event::StepPlanned {
        urn: urn(kind, name),
        action,
        region: (!region.is_empty()).then(|| region.to_owned()),
        diff: Diff { properties: properties.collect() },
        renamed_from: None,
        note: None,
    }
}

fn counted(counts: &[(Action, usize)]) -> Event {
    Event::Planned { counts: counts.iter().copied().collect(), sets: Vec::new(), execution: ExecutionGraph::default() }
}

fn done(action: Action, kind: &str, name: &str, id: &str, elapsed_ms: u64) -> Event {
    let id = (!id.is_empty()).then(|| id.to_owned());
    Event::StepFinished { urn: urn(kind, name), action, id, elapsed_ms }
}

fn finished(counts: &[(Action, usize)], outputs: &[(&str, &str)]) -> Event {
    Event::RunFinished {
        success: true,
        interrupted: false,
        counts: counts.iter().copied().collect(),
        failures: Vec::new(),
        skipped: 0,
        outputs: outputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect(),
        elapsed_ms: 3_300,
    }
}

/// Names as long as those of the default program.
const DECLARED: [(&str, &str, &str); 14] = [
    ("Vpc", "network/vpc", "us-east-1"),
    ("InternetGateway", "network/gateway", "us-east-1"),
    ("Subnet", "network/subnet-0", "us-east-1"),
    ("Subnet", "network/subnet-1", "us-east-1"),
    ("Vpc", "database-network/vpc", "us-east-2"),
    ("VpcPeering", "network/peering-us-east-2-database-network", "us-east-1"),
    ("KeyPair", "database-key", "us-east-2"),
    ("Password", "database-password", ""),
    ("SecurityGroup", "database/access", "us-east-2"),
    ("Parameter", "database/instance/postgres-password", "us-east-2"),
    ("Role", "database/instance/role", "us-east-2"),
    ("Instance", "database/instance", "us-east-2"),
    ("KeyPair", "application-key", "us-east-1"),
    ("LoadBalancer", "balancer", "us-east-1"),
];

fn creations() -> Vec<Event> {
    let mut events: Vec<Event> =
        DECLARED.iter().map(|(kind, name, region)| planned(Action::Create, kind, name, region, &[])).collect();
    events.push(planned(Action::Read, "Ami", "ami-debian", "us-east-1", &[]));
    events.push(counted(&[(Action::Read, 1), (Action::Create, 14)]));
    events
}

fn first_up() -> Vec<Event> {
    let balancer = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/balancer/8bb740cac588a25e";
    let mut events = vec![started("up")];
    events.extend(creations());
    events.extend([
        Event::StepStatus { urn: urn("Instance", "database/instance"), message: "waiting until it runs".into() },
        done(Action::Create, "Password", "database-password", "password", 3),
        done(Action::Create, "Vpc", "network/vpc", "vpc-0975cb3a3f38bdf08", 45),
        done(Action::Create, "VpcPeering", "network/peering-us-east-2-database-network", "pcx-0a52446b8bc21315b", 28),
        done(Action::Read, "Ami", "ami-debian", "", 5),
        done(Action::Create, "Parameter", "database/instance/postgres-password", "/web/dev/postgres-password", 1_260),
        done(Action::Create, "LoadBalancer", "balancer", balancer, 65_000),
        finished(
            &[(Action::Read, 1), (Action::Create, 14)],
            &[
                ("client", "cargo run --quiet --bin client -- GET --url http://127.80.6.4:8080"),
                ("url", "http://127.80.6.4:8080"),
            ],
        ),
    ]);
    events
}

#[test]
fn a_first_up_summarises_creations() {
    insta::assert_snapshot!(rendered(Some(80), Detail::Changes, false, &first_up()), @r"
    up web stack dev
      + network           5  Vpc, InternetGateway, 2 Subnet, VpcPeering
      + database-network  1  Vpc
      + database          1  SecurityGroup
        + instance        3  Instance, Parameter, Role
      + (top level)       4  2 KeyPair, Password, LoadBalancer

    14 to create, 1 to read
        Instance database/instance: waiting until it runs
      + created  1/14   3 ms  Password database-password              password
      + created  2/14  45 ms  Vpc network/vpc                         vpc-097…8bdf08
      + created  3/14  28 ms  VpcPeering network/peering-us-east-2-database-network
      + created  4/14  1.2 s  Parameter database/instance/postgres-password
      + created  5/14  1m05s  LoadBalancer balancer                   loadbal…88a25e

    Outputs
      client  cargo run --quiet --bin client -- GET --url http://127.80.6.4:8080
      url     http://127.80.6.4:8080

    14 created, 1 read in 3.3 s
    ");
}

#[test]
fn lines_in_a_file_are_not_shortened() {
    insta::assert_snapshot!(rendered(None, Detail::Changes, false, &first_up()), @r"
    up web stack dev
      + network           5  Vpc, InternetGateway, 2 Subnet, VpcPeering
      + database-network  1  Vpc
      + database          1  SecurityGroup
        + instance        3  Instance, Parameter, Role
      + (top level)       4  2 KeyPair, Password, LoadBalancer

    14 to create, 1 to read
        Instance database/instance: waiting until it runs
      + created  1/14   3 ms  Password database-password                                        password
      + created  2/14  45 ms  Vpc network/vpc                                        us-east-1  vpc-0975cb3a3f38bdf08
      + created  3/14  28 ms  VpcPeering network/peering-us-east-2-database-network  us-east-1  pcx-0a52446b8bc21315b
      + created  4/14  1.2 s  Parameter database/instance/postgres-password          us-east-2  /web/dev/postgres-password
      + created  5/14  1m05s  LoadBalancer balancer                                  us-east-1  arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/balancer/8bb740cac588a25e

    Outputs
      client  cargo run --quiet --bin client -- GET --url http://127.80.6.4:8080
      url     http://127.80.6.4:8080

    14 created, 1 read in 3.3 s
    ");
}

#[test]
fn a_wide_terminal_shows_regions_and_ids() {
    let text = rendered(Some(120), Detail::Changes, false, &first_up());
    let rows: Vec<&str> = text.lines().filter(|line| line.contains("created ")).collect();
    insta::assert_snapshot!(rows.join("\n"), @r"
    + created  1/14   3 ms  Password database-password                                        password
    + created  2/14  45 ms  Vpc network/vpc                                        us-east-1  vpc-0975cb3a3f38bdf08
    + created  3/14  28 ms  VpcPeering network/peering-us-east-2-database-network  us-east-1  pcx-0a52446b8bc21315b
    + created  4/14  1.2 s  Parameter database/instance/postgres-password          us-east-2  /web/dev/postgres-password
    + created  5/14  1m05s  LoadBalancer balancer                                  us-east-1  loadbalancer/a…740cac588a25e
    ");
}

#[test]
fn a_preview_shows_components_as_a_tree() {
    insta::assert_snapshot!(rendered(Some(80), Detail::Everything, false, &creations()), @r"
      network
        + Vpc vpc                                        us-east-1
        + InternetGateway gateway                        us-east-1
        + Subnet subnet-0                                us-east-1
        + Subnet subnet-1                                us-east-1
        + VpcPeering peering-us-east-2-database-network  us-east-1
      database-network
        + Vpc vpc                                        us-east-2
      + KeyPair database-key                             us-east-2
      + Password database-password
      database
        + SecurityGroup access                           us-east-2
        + Instance instance                              us-east-2
          + Parameter postgres-password                  us-east-2
          + Role role                                    us-east-2
      + KeyPair application-key                          us-east-1
      + LoadBalancer balancer                            us-east-1

    14 to create, 1 to read
    ");
    // Names are not shortened, even if no region fits.
    let text = rendered(Some(56), Detail::Everything, false, &creations());
    assert!(text.contains("    + VpcPeering peering-us-east-2-database-network\n"), "{text}");
}

#[test]
fn a_few_creations_are_listed() {
    let events = [
        planned(
            Action::Create,
            "Vpc",
            "network/vpc",
            "us-east-1",
            &[("cidr", Value::Null, "10.0.0.0/16".into(), false)],
        ),
        counted(&[(Action::Create, 1)]),
    ];
    insta::assert_snapshot!(rendered(Some(80), Detail::Changes, false, &events), @r"
      network
        + Vpc vpc  us-east-1

    1 to create
    ");
    insta::assert_snapshot!(rendered(Some(80), Detail::Changes, true, &events), @r#"
      network
        + Vpc vpc  us-east-1
            cidr: "10.0.0.0/16"

    1 to create
    "#);
}

fn changes() -> Vec<Event> {
    let arn = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/targets-x7sd8f/6d0ecf831eec9f09";
    let unknown = Value::from("(known after apply)");
    let diff = |path, old: &str, new: &Value, replaces| (path, Value::from(old), new.clone(), replaces);
    let listen = diff("machine.services[0].listen", "8080", &"8081".into(), true);
    let image = diff("image", "ami-081b983ed25be3bc4", &unknown, false);
    vec![
        planned(Action::Replace, "BakedImage", "application-image", "us-east-1", &[listen]),
        planned(Action::Update, "LaunchTemplate", "application", "us-east-1", &[image]),
        planned(
            Action::Update,
            "Listener",
            "web/listener",
            "us-east-1",
            &[diff("forward", arn, &arn.replace("6d0ecf831eec9f09", "0cbae7f2a4c93b11").as_str().into(), false)],
        ),
        planned(Action::Delete, "Bucket", "web/old", "us-east-1", &[]),
        Event::Message(Diagnostic::warning("deleting it loses the objects in it").about("Bucket web/old")),
        counted(&[(Action::Same, 30), (Action::Update, 2), (Action::Replace, 1), (Action::Delete, 1)]),
    ]
}

#[test]
fn values_are_shortened_to_the_width() {
    insta::assert_snapshot!(rendered(Some(80), Detail::Changes, false, &changes()), @r#"
      ± BakedImage application-image  us-east-1
          ~ machine.services[0].listen: "8080" => "8081"  (forces replacement)
      ~ LaunchTemplate application    us-east-1
          ~ image: "ami-081b983ed25be3bc4" => (known after apply)
      web
        ~ Listener listener           us-east-1
            ~ forward: "arn:aws:elast…cf831eec9f09" => "arn:aws:elast…e7f2a4c93b11"
        - Bucket old                  us-east-1

    warning: deleting it loses the objects in it
      at: Bucket web/old

    30 unchanged, 2 to update, 1 to replace, 1 to delete
    "#);
    insta::assert_snapshot!(rendered(None, Detail::Changes, false, &changes()), @r#"
      ± BakedImage application-image  us-east-1
          ~ machine.services[0].listen: "8080" => "8081"  (forces replacement)
      ~ LaunchTemplate application    us-east-1
          ~ image: "ami-081b983ed25be3bc4" => (known after apply)
      web
        ~ Listener listener           us-east-1
            ~ forward: "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/targets-x7sd8f/6d0ecf831eec9f09" => "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/targets-x7sd8f/0cbae7f2a4c93b11"
        - Bucket old                  us-east-1

    warning: deleting it loses the objects in it
      at: Bucket web/old

    30 unchanged, 2 to update, 1 to replace, 1 to delete
    "#);
}

#[test]
fn columns_align_for_all_actions() {
    let mut events = changes();
    events.extend([
        done(Action::Replace, "BakedImage", "application-image", "ami-08d844edf3e27b8c4", 88),
        done(Action::Update, "LaunchTemplate", "application", "lt-0a18415c07b034f27", 31),
        done(Action::Same, "Listener", "web/listener", "", 0),
        done(Action::Delete, "Bucket", "web/old", "", 953),
        done(Action::Delete, "BakedImage", "application-image", "", 29),
        finished(&[(Action::Same, 31), (Action::Update, 1), (Action::Replace, 1), (Action::Delete, 2)], &[]),
    ]);
    let text = rendered(Some(80), Detail::Changes, false, &events);
    insta::assert_snapshot!(text.split_once("to delete\n").unwrap().1, @r"
      ± replaced  1/4  88 ms  BakedImage application-image  ami-08d844edf3e27b8c4
      ~ updated   2/4  31 ms  LaunchTemplate application    lt-0a18415c07b034f27
        unchanged 3/4   0 ms  Listener web/listener
      - deleted   4/4 953 ms  Bucket web/old
      - deleted        29 ms  BakedImage application-image

    31 unchanged, 1 updated, 1 replaced, 2 deleted in 3.3 s
    ");
}

#[test]
fn failures_are_shown_last() {
    let problem = Diagnostic::error("the group did not become healthy: 0 of 2 targets answer on port 8080 after 300 s")
        .about(urn("AutoScalingGroup", "group"))
        .hint("look at the log of the instance");
    let events = [
        planned(Action::Create, "Vpc", "vpc", "", &[]),
        planned(Action::Create, "AutoScalingGroup", "group", "", &[]),
        planned(Action::Create, "ScalingPolicy", "scale-on-cpu", "", &[]),
        counted(&[(Action::Create, 3)]),
        done(Action::Create, "Vpc", "vpc", "vpc-1", 9),
        Event::StepStarted { urn: urn("AutoScalingGroup", "group"), action: Action::Create },
        Event::StepFailed {
            urn: urn("AutoScalingGroup", "group"),
            action: Action::Create,
            diagnostic: problem.clone(),
            elapsed_ms: 300_000,
        },
        Event::StepSkipped { urn: urn("ScalingPolicy", "scale-on-cpu"), action: Action::Create },
        Event::RunFinished {
            success: false,
            interrupted: false,
            counts: [(Action::Create, 1)].into(),
            failures: vec![problem],
            skipped: 1,
            outputs: [("url".to_owned(), "http://x".into())].into(),
            elapsed_ms: 300_100,
        },
    ];
    insta::assert_snapshot!(rendered(Some(80), Detail::Changes, false, &events), @r"
      + Vpc vpc
      + AutoScalingGroup group
      + ScalingPolicy scale-on-cpu

    3 to create
      + created 1/3   9 ms  Vpc vpc                     vpc-1
      ✗ failed  2/3  5m00s  AutoScalingGroup group
          creating it: the group did not become healthy: 0 of 2 targets answer on
          port 8080 after 300 s
        not started: ScalingPolicy scale-on-cpu
    error: the group did not become healthy: 0 of 2 targets answer on port 8080
           after 300 s
      at: urn:infra:dev::web::aws:ec2:AutoScalingGroup::group
      hint: look at the log of the instance

    failed: 1 created, 1 failed, 1 not started in 5m00s
    ");
}

#[test]
fn an_interrupted_run_names_the_steps_that_were_not_started() {
    let end = |interrupted, counts: &[(Action, usize)], skipped| Event::RunFinished {
        success: false,
        interrupted,
        counts: counts.iter().copied().collect(),
        failures: Vec::new(),
        skipped,
        outputs: BTreeMap::new(),
        elapsed_ms: 900,
    };
    let skipped =
        |number: usize| Event::StepSkipped { urn: urn("Thing", &format!("t{number}")), action: Action::Create };
    let mut events: Vec<Event> = (0..23).map(skipped).collect();
    events.push(end(true, &[(Action::Create, 26)], 23));
    insta::assert_snapshot!(rendered(Some(80), Detail::Changes, false, &events), @r"
        not started: Thing t0, Thing t1, Thing t2, Thing t3, Thing t4, Thing t5,
        Thing t6, Thing t7, Thing t8, Thing t9, Thing t10, Thing t11, Thing t12,
        Thing t13, Thing t14, Thing t15, Thing t16, Thing t17, Thing t18, Thing t19,
        and 3 more

    interrupted: 26 created, 23 not started in 900 ms
    ");
    insta::assert_snapshot!(rendered(Some(80), Detail::Changes, false, &[end(true, &[], 0)]), @r"
    nothing was changed
    ");
}
