//! Form parameters of the EC2 and Query protocols: `Filter.1.Name`, `Tags.member.1.Key`.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::error::{ApiError, Outcome};

/// The parameters of a request, or of an entry of a list or structure inside it.
///
/// Names are relative: an entry of `Filter` has `Name`, not `Filter.1.Name`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params {
    values: BTreeMap<String, String>,
    /// Path of these parameters in the request, for messages.
    prefix: String,
}

impl Params {
    /// Parses an `application/x-www-form-urlencoded` body or query string.
    pub(crate) fn parse(form: &[u8]) -> Params {
        let values = form_urlencoded::parse(form).into_owned().collect();
        Params { values, prefix: String::new() }
    }

    /// Returns the names in the request, for the check against an operation's table.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Returns the values, with their names as operation tables write them.
    pub(crate) fn patterns(&self) -> Vec<(String, String)> {
        self.values.iter().map(|(name, value)| (pattern_of(name), value.clone())).collect()
    }

    /// Returns the request in a canonical form, for comparing two requests.
    pub(crate) fn canonical(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.values).finish()
    }

    /// Returns an optional value; an empty string counts as given.
    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub(crate) fn required(&self, name: &str) -> Outcome<&str> {
        match self.optional(name) {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(ApiError::missing(&self.full(name))),
        }
    }

    /// Parses an optional value of another type than text.
    pub(crate) fn parsed<T: FromStr>(&self, name: &str) -> Outcome<Option<T>> {
        self.optional(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    ApiError::invalid(format!("Value ({text}) for parameter {} is invalid.", self.full(name)))
                })
            })
            .transpose()
    }

    pub(crate) fn flag(&self, name: &str) -> Outcome<bool> {
        Ok(self.parsed(name)?.unwrap_or(false))
    }

    /// Returns the texts of `name.1`, `name.2`… or `name.member.1`…, in the order of their numbers.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        self.entries(name).into_iter().filter_map(|mut entry| entry.values.remove("")).collect()
    }

    /// Returns whether a list was sent, empty or not: Query clients send an empty list as `name=`.
    pub(crate) fn has_list(&self, name: &str) -> bool {
        self.values.keys().any(|key| key == name || key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
    }

    /// Returns the structures of `name.1.…`, `name.2.…` or `name.member.1.…`, in the order of their numbers.
    pub(crate) fn structures(&self, name: &str) -> Vec<Params> {
        self.entries(name)
    }

    /// Returns the structure `name.…`; `None` when the request contains no part of it.
    pub(crate) fn structure(&self, name: &str) -> Option<Params> {
        let dotted = format!("{name}.");
        let values: BTreeMap<_, _> = self
            .values
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(&dotted)?.to_owned(), value.clone())))
            .collect();
        (!values.is_empty()).then(|| Params { values, prefix: self.full(name) })
    }

    fn entries(&self, name: &str) -> Vec<Params> {
        let mut entries: BTreeMap<u32, Params> = BTreeMap::new();
        let dotted = format!("{name}.");
        for (key, value) in &self.values {
            let Some(rest) = key.strip_prefix(&dotted) else { continue };
            let (rest, style) = match rest.strip_prefix("member.") {
                Some(rest) => (rest, "member."),
                None => (rest, ""),
            };
            let (number, field) = rest.split_once('.').unwrap_or((rest, ""));
            let Ok(number) = number.parse() else { continue };
            let entry = entries.entry(number).or_insert_with(|| Params {
                values: BTreeMap::new(),
                prefix: self.full(&format!("{name}.{style}{number}")),
            });
            entry.values.insert(field.to_owned(), value.clone());
        }
        entries.into_values().collect()
    }

    fn full(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }
}

/// Returns a parameter's name in the form of operation tables: every number becomes `N`, and `member.` is removed.
pub(crate) fn pattern_of(name: &str) -> String {
    let parts: Vec<&str> = name
        .split('.')
        .filter(|part| *part != "member")
        .map(|part| if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) { "N" } else { part })
        .collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_in_the_order_of_their_numbers() {
        let params = Params::parse(b"GroupId.2=b&GroupId.10=c&GroupId.1=a&Names.member.1=x");
        assert_eq!(params.texts("GroupId"), ["a", "b", "c"]);
        assert_eq!(params.texts("Names"), ["x"]);
        assert!(params.texts("Other").is_empty());
    }

    #[test]
    fn structures_nest_and_messages_name_the_whole_path() {
        let params = Params::parse(b"TagSpecification.1.ResourceType=vpc&TagSpecification.1.Tag.1.Key=k&Meta.Port=x");
        let specification = &params.structures("TagSpecification")[0];
        let tag = &specification.structures("Tag")[0];
        assert_eq!(tag.required("Key"), Ok("k"));
        assert_eq!(
            tag.required("Value").map_err(|error| error.message),
            Err("The request must contain the parameter TagSpecification.1.Tag.1.Value".to_owned())
        );
        assert!(params.structure("Meta").is_some_and(|meta| meta.parsed::<u16>("Port").is_err()));
    }

    #[test]
    fn patterns_replace_numbers() {
        assert_eq!(pattern_of("Filter.1.Value.22"), "Filter.N.Value.N");
        assert_eq!(pattern_of("Tags.member.3.Key"), "Tags.N.Key");
    }
}
