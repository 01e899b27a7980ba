//! Conditions on records.

use super::parse::{Level, Parsed, quick_level};
use crate::views::{
    Problem,
    parameters::{Parameters, invalid},
    text::contains,
};
use chrono::{DateTime, TimeDelta, Utc};

/// The choices of time ranges: value, name, minutes.
pub(crate) const RANGES: &[(&str, &str, i64)] =
    &[("5m", "last 5 minutes", 5), ("15m", "last 15 minutes", 15), ("1h", "last hour", 60), ("24h", "last day", 1440)];

/// Conditions that a record satisfies.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    /// The lowest level. Records without a level count as information.
    pub(super) level: Option<Level>,
    /// A text of the record, in lower case.
    pub(super) text: Option<String>,
    /// Names and values of fields.
    pub(super) fields: Vec<(String, String)>,
    /// Words, in lower case, that the lines of a record contain if it has the text and the fields.
    pub(super) words: Vec<String>,
    pub(super) from: Option<DateTime<Utc>>,
    /// Included.
    pub(super) to: Option<DateTime<Utc>>,
}

impl Filter {
    /// Reads the conditions from parameters.
    pub(super) fn parse(parameters: &Parameters, now: DateTime<Utc>) -> Result<Self, Problem> {
        let level = match parameters.text("level") {
            "" => None,
            name => Some(
                Level::ALL
                    .into_iter()
                    .find(|level| level.name() == name)
                    .ok_or_else(|| invalid("level", name, "use `trace`, `debug`, `info`, `warn` or `error`"))?,
            ),
        };
        let field = |text: &str| {
            let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty())?;
            Some((name.to_owned(), value.to_owned()))
        };
        let fields = parameters.text("field").split_whitespace().map(|text| {
            field(text).ok_or_else(|| invalid("field", text, "use `name=value`, several of them with spaces between"))
        });
        let range = match parameters.text("range") {
            "" | "all" => None,
            name => {
                let known = RANGES.iter().find(|(value, ..)| *value == name);
                let (_, _, minutes) =
                    known.ok_or_else(|| invalid("range", name, "use `5m`, `15m`, `1h`, `24h` or `all`"))?;
                Some(now - TimeDelta::minutes(*minutes))
            }
        };
        let text = parameters.text("q").to_lowercase();
        let fields: Vec<_> = fields.collect::<Result<_, _>>()?;
        let values = fields.iter().map(|(_, value): &(String, String)| value.to_lowercase());
        let words = values.chain([text.clone()]).map(|text| longest_word(&text).to_owned());
        Ok(Self {
            level,
            words: words.filter(|word| !word.is_empty()).collect(),
            text: (!text.is_empty()).then_some(text),
            fields,
            from: parameters.time("from")?.or(range),
            to: parameters.time("to")?,
        })
    }

    /// Returns whether a record with these lines can satisfy the filter. Avoids to parse most lines of a search.
    pub(super) fn may_match(&self, line: &str, rest: &[String]) -> bool {
        let is_too_low = |lowest: Level| quick_level(line).is_some_and(|level| level < lowest);
        if self.level.is_some_and(is_too_low) {
            return false;
        }
        let has = |word: &str| contains(line, word) || rest.iter().any(|line| contains(line, word));
        self.words.iter().all(|word| has(word))
    }

    /// Returns whether a record satisfies the conditions other than the time range.
    pub(super) fn matches(&self, record: &Parsed, raw: &str) -> bool {
        let level = || self.level.is_none_or(|lowest| record.level.unwrap_or(Level::Info) >= lowest);
        let has_field = |(name, value): &(String, String)| {
            let mut fields = record.fields.iter();
            fields.any(|field| field.value == *value && is_name(&field.name, name))
        };
        let has_text = |text: &String| {
            contains(raw, text)
                || contains(&record.message, text)
                || record.fields.iter().any(|field| contains(&format!("{}={}", field.name, field.value), text))
        };
        level() && self.fields.iter().all(has_field) && self.text.as_ref().is_none_or(has_text)
    }

    /// Returns whether a time is in the range.
    pub(super) fn includes(&self, time: DateTime<Utc>) -> bool {
        self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time <= to)
    }
}

/// Returns the longest word of a text. A word is the same in JSON as in the parsed record; other characters may be escaped
/// there.
pub(super) fn longest_word(text: &str) -> &str {
    let is_word = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    text.split(|character| !is_word(character)).max_by_key(|word| word.len()).unwrap_or_default()
}

/// Returns whether a name is the path of a field, or its last name.
fn is_name(path: &str, name: &str) -> bool {
    path == name || path.strip_suffix(name).is_some_and(|before| before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::parse::parse;
    use super::*;

    const LINE: &str = r#"{"timestamp":"2026-11-30T09:15:22Z","level":"WARN","message":"Slow \"Überweisung\"","status":500,"span":{"request_id":"a-1"}}"#;

    fn matches(query: &str, line: &str) -> bool {
        let known = ["q", "level", "field", "range", "from", "to"];
        let parameters = Parameters::parse(query, &known).unwrap();
        let filter = Filter::parse(&parameters, Utc::now()).unwrap();
        let matches = filter.matches(&parse(line), line);
        assert!(!matches || filter.may_match(line, &[]), "the quick check agrees: {query}");
        matches
    }

    #[test]
    fn texts_are_found_in_messages_and_fields_in_any_case() {
        for query in
            ["q=SLOW", "q=%22überweisung%22", "q=Ü", "q=a-1", "q=status%3D500", "q=request_id%3DA-1", "q=span.request"]
        {
            assert!(matches(query, LINE), "{query}");
        }
        for query in ["q=slower", "q=status%3D501", "q=uberweisung"] {
            assert!(!matches(query, LINE), "{query}");
        }
    }

    #[test]
    fn fields_and_levels_restrict_each_other() {
        assert!(matches("field=status%3D500+request_id%3Da-1&level=warn", LINE));
        assert!(matches("field=span.request_id%3Da-1", LINE));
        assert!(!matches("field=id%3Da-1", LINE), "it is only the end of a name");
        assert!(!matches("field=status%3D500&level=error", LINE));
        assert!(matches("level=info", "a text without a level"));
        assert!(!matches("level=warn", "a text without a level"));
    }

    #[test]
    fn most_lines_are_refused_without_parsing_them() {
        let may_match = |query: &str| {
            let parameters = Parameters::parse(query, &["q", "level", "field"]).unwrap();
            Filter::parse(&parameters, Utc::now()).unwrap().may_match(LINE, &["at line 3".to_owned()])
        };
        assert!(may_match("q=at+line") && may_match("level=warn") && may_match("q=%22%C3%9C"));
        assert!(!may_match("q=at+column") && !may_match("level=error") && !may_match("field=status%3D404"));
    }

    #[test]
    fn ranges_include_their_borders() {
        let parameters = Parameters::parse("from=2026-11-30T09:00&to=2026-11-30T10:00", &["from", "to"]).unwrap();
        let filter = Filter::parse(&parameters, Utc::now()).unwrap();
        let included = |time: &str| filter.includes(time.parse().unwrap());
        assert!(included("2026-11-30T09:00:00Z") && included("2026-11-30T10:00:00Z"));
        assert!(!included("2026-11-30T08:59:59.999Z") && !included("2026-11-30T10:00:00.001Z"));
        let now = "2026-11-30T09:15:00Z".parse().unwrap();
        let filter = Filter::parse(&Parameters::parse("range=5m", &["range"]).unwrap(), now).unwrap();
        assert_eq!((filter.from, filter.to), ("2026-11-30T09:10:00Z".parse().ok(), None));
    }

    #[test]
    fn wrong_conditions_are_refused() {
        let known = ["level", "field", "range"];
        let problem = |query: &str| {
            let parameters = Parameters::parse(query, &known).unwrap();
            Filter::parse(&parameters, Utc::now()).unwrap_err().diagnostic.to_string()
        };
        insta::assert_snapshot!(problem("level=loud"), @"
        error: the parameter `level` cannot be `loud`
          hint: use `trace`, `debug`, `info`, `warn` or `error`
        ");
        insta::assert_snapshot!(problem("field=a%3D1+b"), @"
        error: the parameter `field` cannot be `b`
          hint: use `name=value`, several of them with spaces between
        ");
        insta::assert_snapshot!(problem("range=2h"), @"
        error: the parameter `range` cannot be `2h`
          hint: use `5m`, `15m`, `1h`, `24h` or `all`
        ");
    }
}
