//! Addresses in the site, and links between the pages of a list.

use form_urlencoded::Serializer;

use super::page::Section;

/// A link to a page. The current page and gaps have no address.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PageLink {
    pub(super) label: String,
    pub(super) address: String,
}

/// Returns the address of a list with a query.
pub(super) fn address(section: Section, state: &str) -> String {
    let path = section.path;
    if state.is_empty() { format!("/admin/{path}/") } else { format!("/admin/{path}/?{state}") }
}

/// Returns the address of a row's page, which links back to the list with its query.
pub(super) fn row_address(section: Section, id: i64, state: &str) -> String {
    with_state(&format!("/admin/{}/{id}", section.path), state)
}

/// Returns the address of a row's history.
pub(super) fn history_address(section: Section, id: i64, state: &str) -> String {
    with_state(&format!("/admin/{}/{id}/history", section.path), state)
}

/// Returns the address of a list's export, as CSV or JSON.
pub(super) fn export_address(section: Section, format: &str, state: &str) -> String {
    let path = section.path;
    let query = if state.is_empty() { String::new() } else { format!("?{state}") };
    format!("/admin/{path}/export.{format}{query}")
}

/// Returns the address of the page that changes a user's password.
pub(super) fn password_address(id: i64, state: &str) -> String {
    with_state(&format!("/admin/users/{id}/password"), state)
}

/// Returns the address of the page that confirms the deletion of a row.
pub(super) fn delete_address(section: Section, id: i64, state: &str) -> String {
    let list = (!state.is_empty()).then_some(("list", state));
    with_query(&format!("/admin/{}/delete", section.path), [("id", &*id.to_string())].into_iter().chain(list))
}

/// Returns an address with a query.
pub(super) fn with_query<'a>(path: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let query = Serializer::new(String::new()).extend_pairs(pairs).finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// Returns links to the first and the last page, and to the pages around this one.
pub(super) fn links(page: u64, pages: u64, address: impl Fn(u64) -> String) -> Vec<PageLink> {
    if pages < 2 {
        return Vec::new();
    }
    let mut links = Vec::new();
    let mut previous = 0;
    for other in [1, page.saturating_sub(1), page, page + 1, pages] {
        if other <= previous || other > pages {
            continue;
        }
        if other > previous + 1 {
            links.push(PageLink { label: "…".into(), address: String::new() });
        }
        let address = if other == page { String::new() } else { address(other) };
        links.push(PageLink { label: other.to_string(), address });
        previous = other;
    }
    links
}

fn with_state(path: &str, state: &str) -> String {
    with_query(path, (!state.is_empty()).then_some(("list", state)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(page: u64, pages: u64) -> String {
        let links = links(page, pages, |page| page.to_string());
        let shown = links.into_iter().map(|PageLink { label, address }| {
            let is_here = address.is_empty() && label != "…";
            if is_here { format!("[{label}]") } else { label }
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_number_of_links_is_limited() {
        assert_eq!(shown(1, 0), "");
        assert_eq!(shown(1, 1), "");
        assert_eq!(shown(1, 2), "[1] 2");
        assert_eq!(shown(2, 3), "1 [2] 3");
        assert_eq!(shown(1, 9), "[1] 2 … 9");
        assert_eq!(shown(5, 9), "1 … 4 [5] 6 … 9");
        assert_eq!(shown(9, 9), "1 … 8 [9]");
        assert_eq!(shown(4000, 4000), "1 … 3999 [4000]");
    }
}
