//! Tests of components and types as single boxes.

use super::{SYSTEM, arbitrary, check, graph, image, urn};
use crate::{Arrow, Content, Drawing, Layout, Status, Theme};
use std::{collections::BTreeSet, fmt::Write};

fn set<'a>(ids: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    ids.into_iter().map(str::to_owned).collect()
}

/// Returns the names of the boxes, with the number of resources of groups.
fn names(drawing: &Drawing) -> Vec<String> {
    let name = |node: &crate::Node| match node.group() {
        None => node.name.clone(),
        Some(id) => format!("{} {} ({}) {id}", node.kind(), node.name, node.resources()),
    };
    drawing.boxes.iter().map(name).collect()
}

fn edges(drawing: &Drawing) -> Vec<(usize, usize, Arrow)> {
    drawing.edges.iter().map(|edge| (edge.upper, edge.lower, edge.arrow)).collect()
}

/// Returns a program of `components` components with `size` resources each; every resource uses the previous one.
fn components(components: usize, size: usize) -> String {
    let mut table = String::new();
    for component in 0..components {
        for resource in 0..size {
            let kind = ["Subnet", "Instance", "Volume"][resource % 3];
            let name = |resource: usize| format!("part-{component}/thing-{resource}");
            write!(table, "- {} {kind}", name(resource)).unwrap();
            match (component, resource) {
                (0, 0) => {}
                (_, 0) => write!(table, " part-{}/thing-{}", component - 1, size / 2).unwrap(),
                _ => write!(table, " {}", name(resource - 1)).unwrap(),
            }
            table.push('\n');
        }
    }
    table
}

/// Returns a program of `count` resources of ten types without components.
fn flat(count: usize) -> String {
    let mut table = String::new();
    for number in 0..count {
        write!(table, "- thing-{number} Kind{}", number % 10).unwrap();
        if number > 0 {
            write!(table, " thing-{}", (number * 7) / 8).unwrap();
        }
        table.push('\n');
    }
    table
}

#[test]
fn collapsed_component_is_one_box_with_its_edges() {
    let graph = graph("- a T\n- web/b T a\n- web/inner/c T web/b\n- web/inner/d T web/inner/c\n- e T web/inner/d\n");
    let drawing = Drawing::declared(&graph);
    assert_eq!(drawing.frames.iter().map(|frame| frame.id.as_str()).collect::<Vec<_>>(), ["", ":web", ":web/inner"]);
    assert_eq!(drawing.frames[2].urn, Some(urn("component:Component", "web/inner")));

    let inner = drawing.clone().collapsed(&set([":web/inner"]));
    assert_eq!(names(&inner), ["a", "b", "Component inner (2) :web/inner", "e"]);
    assert_eq!(edges(&inner), [(0, 1, Arrow::Down), (1, 2, Arrow::Down), (2, 3, Arrow::Down)]);
    assert_eq!(inner.frames.len(), 2);

    let outer = drawing.clone().collapsed(&set([":web", ":web/inner", ":unknown"]));
    assert_eq!(names(&outer), ["a", "Component web (3) :web", "e"]);
    assert_eq!(outer.boxes[1].urn(), Some(&urn("component:Component", "web")));
    assert_eq!(outer.frames.len(), 1);
    check(&outer, &Layout::new(&outer));
    assert!(image(&outer, &Layout::new(&outer), Theme::Auto).contains(">Component (3)</text>"));

    assert_eq!(names(&drawing.collapsed(&set([]))), ["a", "b", "c", "d", "e"]);
}

#[test]
fn group_has_the_most_severe_status_of_its_members() {
    let graph = graph("- web/a T\n- web/b T\n- web/c T\n- d T\n");
    let status = |urn: &infra_core::Urn| match urn.name() {
        "web/a" => Some(Status::Unchanged),
        "web/b" => Some(Status::Failed),
        "web/c" => Some(Status::Create),
        _ => None,
    };
    let drawing = Drawing::declared(&graph).coloured(status).collapsed(&set([":web"]));
    let shown: Vec<Status> = drawing.boxes.iter().map(|node| node.status).collect();
    assert_eq!(shown, [Status::Failed, Status::Declared]);
}

#[test]
fn components_that_use_each_other_are_connected_in_both_directions() {
    let graph = graph("- one/a T\n- two/b T one/a\n- one/c T two/b\n- two/d T\n- three/e T two/d\n- one/f T three/e\n");
    let drawing = Drawing::declared(&graph).collapsed(&set([":one", ":two", ":three"]));
    let titles: Vec<&str> = drawing.boxes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(titles, ["one", "two", "three"]);
    assert_eq!(edges(&drawing), [(0, 1, Arrow::Both), (0, 2, Arrow::Up), (1, 2, Arrow::Down)]);
    check(&drawing, &Layout::new(&drawing));
    let picture = image(&drawing, &Layout::new(&drawing), Theme::Light);
    // Four arrows of edges, and two of the legend.
    assert_eq!(picture.matches("class=\"head\"").count(), 6);
    let dot = crate::dot(&drawing, "shop");
    assert!(
        dot.contains("\":one\" -> \":two\" [dir=both];") && dot.contains("\":one\" -> \":three\" [dir=back];"),
        "{dot}"
    );
}

#[test]
fn overview_groups_only_large_drawings() {
    let drawing = Drawing::declared(&graph(SYSTEM));
    let count = drawing.boxes.len();
    assert_eq!(drawing.clone().overview(count, &set([])).boxes.len(), count);
    let overview = drawing.clone().overview(30, &set([]));
    assert!(overview.boxes.iter().all(|node| !matches!(node.content, Content::Kind { .. })));
    assert!(overview.boxes.len() <= 30 && overview.boxes.iter().map(crate::Node::resources).sum::<usize>() == count);
    check(&overview, &Layout::new(&overview));

    let expanded = drawing.overview(30, &set(["us-east-1:network"]));
    let inside = expanded.boxes.iter().filter(|node| expanded.frames[node.frame].id == "us-east-1:network");
    assert_eq!(inside.count(), 6);
}

#[test]
fn overview_groups_the_resources_of_a_type() {
    let drawing = Drawing::declared(&graph(&flat(60)));
    let overview = drawing.clone().overview(20, &set([]));
    assert_eq!(overview.boxes.len(), 10);
    assert!(names(&overview).contains(&"Kind0 6 resources (6) #aws:ec2:Kind0".to_owned()), "{:?}", names(&overview));
    check(&overview, &Layout::new(&overview));
    let expanded = drawing.overview(20, &set(["#aws:ec2:Kind0"]));
    assert_eq!(expanded.boxes.len(), 15);
}

#[test]
fn arbitrary_graphs_are_grouped_without_overlaps() {
    for seed in 1..12 {
        let drawing = Drawing::declared(&graph(&arbitrary(seed, 80)));
        let overview = drawing.clone().overview(10, &set([]));
        assert_eq!(overview.boxes.iter().map(crate::Node::resources).sum::<usize>(), 80);
        check(&overview, &Layout::new(&overview));
        let some = drawing.collapsed(&set(["north:web", "south:web/inner", ":data"]));
        check(&some, &Layout::new(&some));
    }
}

#[test]
fn overview_groups_more_than_a_thousand_components() {
    let overview = Drawing::declared(&graph(&components(1100, 1))).overview(100, &set([]));
    assert_eq!(names(&overview), ["Component 1100 resources (1100) #component:Component"]);
    let expanded = Drawing::declared(&graph(&components(900, 2))).overview(100, &set([]));
    assert_eq!(expanded.boxes.len(), 900);
}

#[test]
fn thousands_of_resources_have_a_readable_overview() {
    for table in [components(100, 100), flat(10_000)] {
        let drawing = Drawing::declared(&graph(&table));
        let overview = drawing.overview(200, &set([]));
        assert!((10..=100).contains(&overview.boxes.len()), "{} boxes", overview.boxes.len());
        assert_eq!(overview.boxes.iter().map(crate::Node::resources).sum::<usize>(), 10_000);
        check(&overview, &Layout::new(&overview));
    }
}
