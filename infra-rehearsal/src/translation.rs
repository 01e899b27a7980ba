//! Values of the scratch cloud in place of recorded ones.

use aho_corasick::{AhoCorasick, MatchKind};
use infra_core::value::{Map, Value};
use std::collections::BTreeMap;

/// Texts shorter than this, such as `a` or `80`, are not translated: they occur by chance.
const SHORTEST: usize = 5;

/// A mapping of recorded texts, such as the DNS name of a load balancer, to the texts of the same outputs in the scratch
/// cloud.
#[derive(Debug, Default)]
pub(crate) struct Translation {
    texts: BTreeMap<String, String>,
    /// Searches all recorded texts; `None` until it is needed after a change.
    searcher: Option<AhoCorasick>,
}

impl Translation {
    /// Adds the texts of two values of the same output.
    pub(crate) fn learn(&mut self, recorded: &Value, scratch: &Value) {
        match (recorded, scratch) {
            (Value::Secret(recorded), Value::Secret(scratch)) => self.learn(recorded, scratch),
            (Value::String(recorded), Value::String(scratch)) => self.learn_text(recorded, scratch),
            (Value::List(recorded), Value::List(scratch)) if recorded.len() == scratch.len() => {
                recorded.iter().zip(scratch).for_each(|(recorded, scratch)| self.learn(recorded, scratch));
            }
            (Value::Map(recorded), Value::Map(scratch)) => {
                for (name, recorded) in recorded {
                    if let Some(scratch) = scratch.get(name) {
                        self.learn(recorded, scratch);
                    }
                }
            }
            _ => {}
        }
    }

    /// Adds a recorded text and its text in the scratch cloud. The first meaning of a text is kept.
    pub(crate) fn learn_text(&mut self, recorded: &str, scratch: &str) {
        if recorded == scratch || recorded.len() < SHORTEST || self.texts.contains_key(recorded) {
            return;
        }
        self.texts.insert(recorded.to_owned(), scratch.to_owned());
        self.searcher = None;
    }

    /// Returns the value with all recorded texts replaced, also those inside of longer texts.
    pub(crate) fn of(&mut self, value: &Value) -> Value {
        if self.texts.is_empty() {
            return value.clone();
        }
        if self.searcher.is_none() {
            let builder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(self.texts.keys());
            self.searcher = builder.ok();
        }
        let Some(searcher) = &self.searcher else { return value.clone() };
        let replacements: Vec<&str> = self.texts.values().map(String::as_str).collect();
        translate(value, &|text| replace(text, searcher, &replacements))
    }
}

/// Replaces each recorded text that is a word of its own.
fn replace(text: &str, searcher: &AhoCorasick, replacements: &[&str]) -> Option<String> {
    let is_part = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let mut result = String::new();
    let mut copied = 0;
    for found in searcher.find_iter(text) {
        let before = found.start().checked_sub(1).and_then(|index| text.as_bytes().get(index));
        if is_part(before) || is_part(text.as_bytes().get(found.end())) {
            continue;
        }
        result.push_str(&text[copied..found.start()]);
        result.push_str(replacements[found.pattern().as_usize()]);
        copied = found.end();
    }
    if copied == 0 {
        return None;
    }
    result.push_str(&text[copied..]);
    Some(result)
}

fn translate(value: &Value, of_text: &dyn Fn(&str) -> Option<String>) -> Value {
    match value {
        Value::String(text) => of_text(text).map_or_else(|| value.clone(), Value::from),
        Value::Secret(inner) => translate(inner, of_text).into_secret(),
        Value::List(items) => Value::List(items.iter().map(|item| translate(item, of_text)).collect()),
        Value::Map(members) => {
            let mut translated = Map::new();
            for (name, member) in members {
                translated.insert(name, translate(member, of_text));
            }
            Value::Map(translated)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Unknown => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn recorded_texts_are_replaced_as_words_in_all_values() {
        let mut translation = Translation::default();
        let recorded =
            Value::from_json(json!({"dns": "web-1.elb.amazonaws.com", "ips": ["10.0.0.11", "10.0.0.1"], "n": "80"}));
        let scratch =
            Value::from_json(json!({"dns": "web-2.elb.localhost", "ips": ["10.0.0.4", "10.0.0.5"], "n": "81"}));
        translation.learn(&recorded, &scratch);
        let value = json!({
            "url": "http://web-1.elb.amazonaws.com:80/",
            "list": ["10.0.0.1", "10.0.0.11/32", "110.0.0.1", "10.0.0.1.nip.io"],
            "other": 5,
        });
        let expected = json!({
            "url": "http://web-2.elb.localhost:80/",
            "list": ["10.0.0.5", "10.0.0.4/32", "110.0.0.1", "10.0.0.5.nip.io"],
            "other": 5,
        });
        assert_eq!(translation.of(&Value::from_json(value)), Value::from_json(expected));
    }

    #[test]
    fn secrets_stay_secret() {
        let mut translation = Translation::default();
        translation.learn_text("db-1.example", "db-2.example");
        let url = Value::from("postgres://u:p@db-1.example/x").into_secret();
        let translated = translation.of(&url);
        assert!(matches!(translated, Value::Secret(_)));
        assert_eq!(translated.revealed(), Value::from("postgres://u:p@db-2.example/x"));
    }
}
