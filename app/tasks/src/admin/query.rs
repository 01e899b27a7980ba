//! The query of a list's address: search, filters, sorting and page.

use form_urlencoded::Serializer;

/// Valid parameters of a model's list.
pub(super) struct Grammar {
    /// Sortable columns.
    pub(super) sortable: Vec<&'static str>,
    /// Default order.
    pub(super) sort: Sort,
    /// Names of the filters.
    pub(super) filters: Vec<&'static str>,
}

/// Column and direction of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) column: &'static str,
    pub(super) descending: bool,
}

/// Parsed query of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListQuery {
    /// Words that must all occur; `""` for no search.
    pub(super) search: String,
    pub(super) sort: Sort,
    /// Number of the page, from 1.
    pub(super) page: u64,
    /// Rows per page, one of [`SIZES`].
    pub(super) size: u64,
    /// Set filters, in the order of the grammar.
    pub(super) filters: Vec<(&'static str, String)>,
    /// Initially ticked rows.
    pub(super) ticked: Ticked,
}

/// Initially ticked rows of a list. Links tick rows, since there are no scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ticked {
    Nothing,
    /// Rows of the page.
    Page,
    /// Rows of all pages.
    Every,
}

/// Numbers of rows per page. The first one is the default.
pub(super) const SIZES: [u64; 3] = [25, 50, 100];

/// Maximum length of a search, in characters.
pub(super) const SEARCH_CHARACTERS: usize = 200;

impl ListQuery {
    /// Parses a query, without unknown parameters: an address may be of a newer or older version.
    pub(super) fn parse(text: &str, grammar: &Grammar) -> Self {
        let mut query = Self {
            search: String::new(),
            sort: grammar.sort,
            page: 1,
            size: SIZES[0],
            filters: vec![],
            ticked: Ticked::Nothing,
        };
        let mut filters = vec![None; grammar.filters.len()];
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match &*name {
                "q" => query.search = value.trim().chars().take(SEARCH_CHARACTERS).collect(),
                "sort" => query.sort = parse_sort(&value, grammar).unwrap_or(grammar.sort),
                "page" => query.page = value.parse().ok().filter(|page| *page > 0).unwrap_or(1),
                "size" => query.size = value.parse().ok().filter(|size| SIZES.contains(size)).unwrap_or(SIZES[0]),
                "ticked" => {
                    query.ticked = match &*value {
                        "all" => Ticked::Page,
                        "every" => Ticked::Every,
                        _ => Ticked::Nothing,
                    }
                }
                name => {
                    if let Some(index) = grammar.filters.iter().position(|filter| *filter == name) {
                        filters[index] = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
                    }
                }
            }
        }
        let set = grammar.filters.iter().zip(filters);
        query.filters = set.filter_map(|(name, value)| Some((*name, value?))).collect();
        query
    }

    /// Writes the parameters that differ from the defaults.
    pub(super) fn write(&self, grammar: &Grammar) -> String {
        let mut text = Serializer::new(String::new());
        if !self.search.is_empty() {
            text.append_pair("q", &self.search);
        }
        text.extend_pairs(&self.filters);
        if self.sort != grammar.sort {
            text.append_pair("sort", &self.sort.write());
        }
        if self.size != SIZES[0] {
            text.append_pair("size", &self.size.to_string());
        }
        if self.page != 1 {
            text.append_pair("page", &self.page.to_string());
        }
        match self.ticked {
            Ticked::Nothing => (),
            Ticked::Page => drop(text.append_pair("ticked", "all")),
            Ticked::Every => drop(text.append_pair("ticked", "every")),
        }
        text.finish()
    }

    /// Returns the value of a filter, if it is set.
    pub(super) fn filter(&self, name: &str) -> Option<&str> {
        self.filters.iter().find(|(filter, _)| *filter == name).map(|(_, value)| value.as_str())
    }

    /// Returns the words that must occur. Quotation marks enclose phrases.
    pub(super) fn words(&self) -> Vec<String> {
        // Text in PostgreSQL has no null characters.
        let search = self.search.replace('\0', " ");
        let parts = search.split('"').enumerate();
        let words = parts.flat_map(|(index, part)| {
            let quoted = index % 2 == 1;
            if quoted { vec![part] } else { part.split_whitespace().collect() }
        });
        words.filter(|word| !word.trim().is_empty()).map(str::to_owned).collect()
    }
}

impl Sort {
    /// Returns `title`, or `-title` for the descending order.
    pub(super) fn write(self) -> String {
        format!("{}{}", if self.descending { "-" } else { "" }, self.column)
    }
}

fn parse_sort(text: &str, grammar: &Grammar) -> Option<Sort> {
    let (descending, name) = match text.strip_prefix('-') {
        Some(name) => (true, name),
        None => (false, text),
    };
    let column = grammar.sortable.iter().find(|column| **column == name)?;
    Some(Sort { column, descending })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grammar() -> Grammar {
        let sort = Sort { column: "id", descending: true };
        Grammar { sortable: vec!["id", "title"], sort, filters: vec!["user", "since"] }
    }

    fn rewritten(text: &str) -> String {
        ListQuery::parse(text, &grammar()).write(&grammar())
    }

    #[test]
    fn valid_parameters_are_written_again() {
        for text in [
            "",
            "q=milk+%26+honey",
            "sort=title&page=3",
            "sort=-title&size=100&ticked=every",
            "q=a&user=eva&since=2026-01-02&sort=id&size=50&page=2&ticked=all",
        ] {
            assert_eq!(rewritten(text), text);
        }
    }

    #[test]
    fn invalid_parameters_are_omitted() {
        for text in [
            "sort=-id&size=25&page=1",
            "sort=password&size=1000000&page=-1",
            "page=0&user=&user=+&ticked=some",
            "page=99999999999999999999&size=x&sort=&q=+&nonsense=1&%ff=%ff",
        ] {
            assert_eq!(rewritten(text), "", "{text}");
        }
        let long = ListQuery::parse(&format!("q={}", "x".repeat(10_000)), &grammar());
        assert_eq!(long.search.len(), SEARCH_CHARACTERS);
    }

    #[test]
    fn words_and_phrases_are_split() {
        let words = |search: &str| ListQuery { search: search.into(), ..ListQuery::parse("", &grammar()) }.words();
        assert_eq!(words(" buy  milk "), ["buy", "milk"]);
        assert_eq!(words(r#"say "two bottles" now"#), ["say", "two bottles", "now"]);
        assert_eq!(words(r#"an "open end"#), ["an", "open end"]);
        assert_eq!(words("a\0b \"\" \" \""), ["a", "b"]);
    }
}
