//! Tests of images for HTML pages.

use super::graph;
use crate::{Drawing, Layout, Markup, Node, SvgOptions, Theme, style_sheet, svg};

#[test]
fn page_has_links_and_urns_and_no_style_sheet() {
    let drawing = Drawing::declared(&graph("- web/a T\n- b T web/a\n"));
    let link = |node: &Node| node.urn().filter(|urn| urn.name() == "b").map(|urn| format!("/resource?a=1&urn={urn}"));
    let options = SvgOptions { heading: "a \"stack\"", markup: Markup::Page { link: Some(&link) } };
    let page = svg(&drawing, &Layout::new(&drawing), options);
    for expected in [
        "aria-label=\"a &quot;stack&quot;\"",
        "data-frame=\":web\" data-urn=\"urn:infra:dev::shop::component:Component::web\"",
        "class=\"edge\" data-upper=\"0\" data-lower=\"1\"",
        "<a href=\"/resource?a=1&amp;urn=urn:infra:dev::shop::aws:ec2:T::b\">\
         <g class=\"box plain\" data-box=\"1\" data-urn=\"urn:infra:dev::shop::aws:ec2:T::b\">",
        "\n<g class=\"box plain\" data-box=\"0\" data-urn=\"urn:infra:dev::shop::aws:ec2:T::web/a\">",
    ] {
        assert!(page.contains(expected), "{expected}\n{page}");
    }
    assert_eq!(page.matches("<a ").count(), 1);
    assert!(!page.contains("<style"));
    let file = svg(&drawing, &Layout::new(&drawing), SvgOptions { heading: "", markup: Markup::File(Theme::Auto) });
    assert!(file.contains("<style>") && !file.contains("data-"));
}

#[test]
fn edges_across_regions_are_distinguished() {
    let drawing = Drawing::declared(&graph("north a T\nsouth b T a\nsouth c T b\n"));
    let page = svg(&drawing, &Layout::new(&drawing), SvgOptions { heading: "", markup: Markup::Page { link: None } });
    let data = |class: &str, upper: usize| format!("<g class=\"{class}\" data-upper=\"{upper}\"");
    assert!(page.contains(&data("edge far", 0)) && page.contains(&data("edge", 1)), "{page}");
}

#[test]
fn style_sheet_has_the_colours_of_runs_and_groups() {
    let style = style_sheet(Theme::Dark);
    for selector in [".running .box", ".failed .box", ".inset", ".create .box", "text { stroke: none }"] {
        assert!(style.contains(selector), "{selector}");
    }
    assert!(!style.contains("prefers-color-scheme"));
}
