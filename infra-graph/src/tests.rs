//! Tests of drawings, layouts and images.

#![allow(clippy::unwrap_used)]

mod groups;
mod pages;

use super::{Drawing, Edge, Layout, Markup, Rect, Status, SvgOptions, Theme, layout::BOX, svg, text};
use infra_core::{
    Options, Schema, Urn,
    diff::Action,
    graph::{Node, NodeKind, ResourceGraph},
    options::Dependency,
    plan::{Plan, Step},
    state::{Entry, Generation, Marks, State},
    value::{Expression, Value},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::Arc,
};

/// The shape of the default program: region, name, type and used names of each declaration; `?` marks lookups. Everything
/// in a region waits for the routes of its network.
const SYSTEM: &str = "
us-east-1 zones-1                              ?AvailabilityZones
us-east-2 zones-2                              ?AvailabilityZones
us-east-1 network/vpc                           Vpc
us-east-1 network/gateway                       InternetGateway  network/vpc
us-east-1 network/subnet-0                      Subnet           network/vpc zones-1
us-east-1 network/subnet-1                      Subnet           network/vpc zones-1
us-east-2 database-network/vpc                  Vpc
us-east-2 database-network/gateway              InternetGateway  database-network/vpc
us-east-2 database-network/subnet-0             Subnet           database-network/vpc zones-2
us-east-1 network/peering-us-east-2-database-network VpcPeering  network/vpc database-network/vpc
us-east-1 network/routes                        RouteTable       network/vpc network/gateway network/subnet-0 network/subnet-1 network/peering-us-east-2-database-network
us-east-2 database-network/routes               RouteTable       database-network/vpc database-network/gateway database-network/subnet-0 network/peering-us-east-2-database-network
us-east-2 database-key                          KeyPair          database-network/routes
-         database-password                     Password
us-east-2 debian                               ?Image            database-network/routes
us-east-2 database/access                       SecurityGroup    database-network/vpc database-network/routes
us-east-2 database/database-password            Parameter        database-password database-network/routes
us-east-2 database/role                         Role             database/database-password database-network/routes
us-east-2 database/profile                      InstanceProfile  database/role database-network/routes
us-east-2 database/instance                     Instance         database/access database/profile database-key debian database-network/subnet-0 database-network/routes
us-east-1 application-key                       KeyPair          network/routes
us-east-1 balancer-access                       SecurityGroup    network/vpc network/routes
us-east-1 application-access                    SecurityGroup    network/vpc balancer-access network/routes
-         admin-password                        Password
-         cargo-bin-tasks                      ?CargoBin
us-east-1 artifacts-us-east-1                   Bucket
us-east-1 artifact-tasks-us-east-1              BucketObject     artifacts-us-east-1 cargo-bin-tasks
us-east-1 application-image/tasks-database-url  Parameter        database/instance database-password network/routes
us-east-1 application-image/tasks-admin-password Parameter       admin-password network/routes
us-east-1 application-image/role                Role             application-image/tasks-database-url application-image/tasks-admin-password artifacts-us-east-1 network/routes
us-east-1 application-image/profile             InstanceProfile  application-image/role network/routes
us-east-1 debian                               ?Image            network/routes
us-east-1 application-image                     BakedImage       application-image/profile artifact-tasks-us-east-1 network/subnet-0 debian network/routes
us-east-1 application                           LaunchTemplate   application-image application-key application-access network/routes
us-east-1 balancer                              LoadBalancer     balancer-access network/subnet-0 network/subnet-1 network/routes
us-east-1 targets                               TargetGroup      network/vpc network/routes
us-east-1 listener                              Listener         balancer targets network/routes
us-east-1 group                                 AutoScalingGroup application targets network/subnet-0 network/subnet-1 network/routes
us-east-1 scale-on-cpu                          ScalingPolicy    group network/routes
";

struct Uses(Vec<Urn>);

impl Dependency for Uses {
    fn urns(&self) -> Vec<Urn> {
        self.0.clone()
    }
}

fn urn(kind: &str, name: &str) -> Urn {
    Urn::new("dev", "shop", kind, name).unwrap()
}

/// Returns the graph of a table such as [`SYSTEM`].
fn graph(table: &str) -> ResourceGraph {
    let mut nodes: Vec<Node> = Vec::new();
    let mut declared: BTreeMap<(String, String), Urn> = BTreeMap::new();
    let node = |urn: Urn, kind: NodeKind, region: &str, parent: Option<Urn>, uses: Vec<Urn>| Node {
        urn,
        kind,
        region: (region != "-").then(|| region.to_owned()),
        inputs: Expression::Literal(Value::empty()),
        schema: Arc::new(Schema::new()),
        parent,
        options: Arc::new(Options::new().depends_on(&Uses(uses))),
        set: None,
        pinned: None,
    };
    for line in table.lines().filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [region, name, kind, uses @ ..] = &words[..] else { panic!("{line}") };
        let mut parent = None;
        for (end, _) in name.match_indices('/') {
            let component = urn("component:Component", &name[..end]);
            if !nodes.iter().any(|node| node.urn == component) {
                nodes.push(node(component.clone(), NodeKind::Component, region, parent.take(), Vec::new()));
            }
            parent = Some(component);
        }
        let place = if kind.starts_with('?') { NodeKind::Lookup } else { NodeKind::Resource };
        // A name that exists in two regions has two types, or is a lookup.
        let kind = kind.trim_start_matches('?');
        let token = if place == NodeKind::Lookup { format!("aws:{region}:{kind}") } else { format!("aws:ec2:{kind}") };
        let here = urn(&token, name);
        let find = |used: &&str| {
            let near = declared.get(&((*region).to_owned(), (**used).to_owned()));
            let anywhere = || declared.iter().find(|((_, name), _)| name == used).map(|(_, urn)| urn);
            near.or_else(anywhere).unwrap_or_else(|| panic!("{used}")).clone()
        };
        nodes.push(node(here.clone(), place, region, parent, uses.iter().map(find).collect()));
        declared.insert(((*region).to_owned(), (*name).to_owned()), here);
    }
    ResourceGraph::new(nodes, BTreeMap::new()).unwrap()
}

/// Returns declarations that use a few earlier ones, from a fixed sequence of numbers.
fn arbitrary(seed: u64, count: usize) -> String {
    let mut state = seed;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as usize) % below
    };
    let mut table = String::new();
    for number in 0..count {
        let region = ["-", "north", "south", "west"][next(4)];
        let component = ["", "", "web/", "web/inner/", "data/"][next(5)];
        let name = |number: usize| format!("thing-{number}");
        let mut uses = BTreeSet::new();
        for _ in 0..next(4).min(number) {
            uses.insert(next(number));
        }
        write!(table, "{region} {component}{} Thing", name(number)).unwrap();
        uses.iter().for_each(|&used| {
            let line = table.lines().nth(used).unwrap().split_whitespace().nth(1).unwrap().to_owned();
            write!(table, " {line}").unwrap();
        });
        table.push('\n');
    }
    table
}

fn image(drawing: &Drawing, layout: &Layout, theme: Theme) -> String {
    svg(drawing, layout, SvgOptions { heading: "shop, stack dev", markup: Markup::File(theme) })
}

fn contains(outer: Rect, inner: Rect) -> bool {
    inner.x >= outer.x
        && inner.y >= outer.y
        && inner.x + inner.width <= outer.x + outer.width + 0.01
        && inner.y + inner.height <= outer.y + outer.height + 0.01
}

fn apart(one: Rect, other: Rect) -> bool {
    one.x + one.width <= other.x
        || other.x + other.width <= one.x
        || one.y + one.height <= other.y
        || other.y + other.height <= one.y
}

/// Returns whether a horizontal or vertical line touches the inside of a rectangle.
fn crosses(from: (f64, f64), to: (f64, f64), area: Rect) -> bool {
    let line =
        Rect { x: from.0.min(to.0), y: from.1.min(to.1), width: (from.0 - to.0).abs(), height: (from.1 - to.1).abs() };
    line.x < area.x + area.width
        && line.x + line.width > area.x
        && line.y < area.y + area.height
        && line.y + line.height > area.y
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() < 0.01
}

/// Checks the invariants of a layout.
fn check(drawing: &Drawing, layout: &Layout) {
    let page = Rect { x: 0.0, y: 0.0, width: layout.width, height: layout.height };
    let around = |frame: usize| drawing.around(frame).collect::<Vec<_>>();
    for (at, area) in layout.boxes.iter().enumerate() {
        assert!(contains(page, *area), "a box is outside of the page");
        let name = &drawing.boxes[at].name;
        layout.boxes[..at].iter().for_each(|other| assert!(apart(*area, *other), "{name} covers another box"));
        let own = around(drawing.boxes[at].frame);
        for frame in 1..drawing.frames.len() {
            let frame_area = layout.frames[frame];
            let title = Rect { height: 20.0, ..frame_area };
            assert!(apart(title, *area), "{name} covers the title of {}", drawing.frames[frame].title);
            if own.contains(&frame) {
                assert!(contains(frame_area, *area), "{name} sticks out of its frame")
            } else {
                assert!(apart(frame_area, *area), "{name} is in the frame of another")
            }
        }
    }
    for one in 1..drawing.frames.len() {
        for other in 1..one {
            let nested = around(one).contains(&other) || around(other).contains(&one);
            assert!(nested || apart(layout.frames[one], layout.frames[other]), "two frames overlap");
        }
    }
    for (&Edge { upper: used, lower: user, .. }, line) in drawing.edges.iter().zip(&layout.edges) {
        let (first, last) = (line.first().unwrap(), line.last().unwrap());
        let touches = |at: usize, point: &(f64, f64), y: f64| {
            let area = layout.boxes[at];
            point.0 > area.x && point.0 < area.x + area.width && (point.1 - y).abs() < 0.01
        };
        assert!(touches(used, first, layout.boxes[used].y + BOX.1), "an edge begins elsewhere");
        assert!(touches(user, last, layout.boxes[user].y), "an edge ends elsewhere");
        for segment in line.windows(2) {
            let straight = near(segment[0].0, segment[1].0) || near(segment[0].1, segment[1].1);
            assert!(straight, "an edge is slanted: {segment:?}");
            assert!(contains(page, Rect { x: segment[0].0, y: segment[0].1, width: 0.0, height: 0.0 }));
            for (at, area) in layout.boxes.iter().enumerate() {
                let crossed = crosses(segment[0], segment[1], *area);
                assert!(!crossed, "the edge to {} crosses {}", drawing.boxes[user].name, drawing.boxes[at].name);
            }
        }
    }
}

/// Returns the number of lines of different boxes that cover each other for some pixels.
fn covered(drawing: &Drawing, layout: &Layout) -> usize {
    let mut segments = Vec::new();
    for (&Edge { upper: used, .. }, line) in drawing.edges.iter().zip(&layout.edges) {
        segments.extend(line.windows(2).map(|pair| (used, pair[0], pair[1])));
    }
    let overlap = |a: (f64, f64), b: (f64, f64)| a.1.min(b.1) - a.0.max(b.0);
    let range = |one: f64, other: f64| (one.min(other), one.max(other));
    let mut covered = 0;
    for (at, one) in segments.iter().enumerate() {
        for other in segments[..at].iter().filter(|other| other.0 != one.0) {
            let ((x, y), (x2, y2)) = (
                (range(one.1.0, one.2.0), range(one.1.1, one.2.1)),
                (range(other.1.0, other.2.0), range(other.1.1, other.2.1)),
            );
            let vertical = near(x.0, x.1) && near(x2.0, x2.1) && (x.0 - x2.0).abs() < 1.0 && overlap(y, y2) > 2.0;
            let horizontal = near(y.0, y.1) && near(y2.0, y2.1) && (y.0 - y2.0).abs() < 1.0 && overlap(x, x2) > 2.0;
            covered += usize::from(vertical || horizontal);
        }
    }
    covered
}

#[test]
fn the_default_program_fits_a_slide() {
    let drawing = Drawing::declared(&graph(SYSTEM));
    let layout = Layout::new(&drawing);
    let picture = image(&drawing, &layout, Theme::Auto);
    if let Some(path) = std::env::var_os("INFRA_TEST_PICTURE") {
        std::fs::write(path, &picture).unwrap();
    }
    check(&drawing, &layout);
    assert_eq!(covered(&drawing, &layout), 0);
    assert!(layout.width <= 2000.0, "{} px wide", layout.width);
    let ratio = layout.width / layout.height;
    assert!((1.2..2.4).contains(&ratio), "{} × {}", layout.width, layout.height);
    for size in picture.split("font-size=\"").skip(1) {
        let size: f64 = size.split('"').next().unwrap().parse().unwrap();
        assert!(size >= 12.0, "a text of {size} px");
    }
}

#[test]
fn arbitrary_graphs_are_drawn_without_overlaps() {
    for (seed, count) in [(1, 1), (2, 2), (3, 12), (4, 30), (5, 60), (6, 90), (7, 150)] {
        let drawing = Drawing::declared(&graph(&arbitrary(seed, count)));
        check(&drawing, &Layout::new(&drawing));
    }
    let nothing = Drawing::declared(&ResourceGraph::default());
    assert!(image(&nothing, &Layout::new(&nothing), Theme::Auto).ends_with("</svg>\n"));
}

#[test]
fn hundreds_of_resources_are_drawn() {
    let drawing = Drawing::declared(&graph(&arbitrary(8, 600)));
    let layout = Layout::new(&drawing);
    assert!(layout.boxes.len() == 600 && layout.width / layout.height < 6.0, "{} × {}", layout.width, layout.height);
}

#[test]
fn texts_fit_their_boxes() {
    for kind in ["Vpc", "AutoScalingGroupWithAVeryLongTypeNameIndeed", "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWW"] {
        let table = format!("- network/peering-us-east-2-database-network-{kind} {kind}\n");
        let drawing = Drawing::declared(&graph(&table));
        let picture = image(&drawing, &Layout::new(&drawing), Theme::Light);
        for (class, size, bold) in [("kind", 12.0, false), ("name", 13.0, true)] {
            let start = picture.find(&format!("<text class=\"{class}\"")).unwrap();
            let shown = picture[start..].split(['>', '<']).nth(2).unwrap();
            assert!(text::width(shown, size, bold) <= BOX.0 - 16.0, "{shown}");
        }
    }
}

#[test]
fn redundant_edges_are_omitted() {
    let drawing = Drawing::declared(&graph("- a T\n- b T a\n- c T a b\n- d T a b c\n- e T a\n"));
    let name = |at: usize| drawing.boxes[at].name.as_str();
    let edges: Vec<String> =
        drawing.edges.iter().map(|edge| format!("{}{}", name(edge.upper), name(edge.lower))).collect();
    assert_eq!(edges, ["ab", "ae", "bc", "cd"]);
}

#[test]
fn frames_represent_regions_and_components() {
    let drawing = Drawing::declared(&graph("- p T\nnorth web/a T p\nnorth web/inner/b T\nsouth web/c T\n"));
    let path = |frame: usize| {
        let mut titles: Vec<&str> = drawing.around(frame).map(|frame| drawing.frames[frame].title.as_str()).collect();
        titles.reverse();
        titles.join("/")
    };
    let boxes: Vec<String> = drawing.boxes.iter().map(|node| format!("{}:{}", path(node.frame), node.name)).collect();
    assert_eq!(boxes, ["/no region:p", "/north/web:a", "/north/web/inner:b", "/south/web:c"]);
    // Without regions, there is no frame for them.
    assert_eq!(Drawing::declared(&graph("- p T\n")).frames.len(), 1);
}

#[test]
fn colours_show_the_plan_or_the_recorded_state() {
    let graph = graph("- a T\n- b T a\n- c T b\n");
    let generation = Generation {
        id: Some("id".into()),
        region: None,
        inputs: Value::empty(),
        outputs: Value::empty(),
        dependencies: vec![urn("aws:ec2:T", "a")],
        generation: 0,
        operation: None,
        uncertain: false,
        marks: Marks::default(),
        origin: None,
    };
    let mut state = State::new("shop", "dev", "seed".into());
    for (name, uncertain) in [("a", false), ("b", true), ("web/old", false)] {
        let generation = Generation { uncertain, ..generation.clone() };
        state.apply(Entry::Imported { urn: urn("aws:ec2:T", name), generation });
    }
    let shown = |drawing: &Drawing| -> Vec<String> {
        drawing.boxes.iter().map(|node| format!("{} {}", node.urn().unwrap().name(), node.status.label())).collect()
    };
    let drawing = Drawing::of_state(&graph, Some(&state));
    assert_eq!(shown(&drawing), ["a recorded", "b uncertain", "c not created", "web/old no longer declared"]);
    assert!(drawing.edges.iter().any(|edge| (edge.upper, edge.lower) == (0, 3)));

    let step = |name: &str, action: Action| Step::new(urn("aws:ec2:T", name), action);
    let steps = vec![
        step("a", Action::Replace),
        step("a", Action::Delete),
        step("b", Action::Update),
        step("c", Action::Create),
        step("web/old", Action::Delete),
    ];
    let drawing = Drawing::of_plan(&graph, Some(&state), &Plan { steps, ..Plan::default() });
    assert_eq!(shown(&drawing), ["a replace", "b update", "c create", "web/old delete"]);
    let picture = image(&drawing, &Layout::new(&drawing), Theme::Auto);
    for words in ["class=\"replace\"", "± replace (1)", "+ create (1)", "prefers-color-scheme: dark"] {
        assert!(picture.contains(words), "{words}");
    }
    assert!(!image(&drawing, &Layout::new(&drawing), Theme::Dark).contains("prefers-color-scheme"));
    assert_eq!(drawing.boxes.iter().filter(|node| node.status == Status::Delete).count(), 1);
}
