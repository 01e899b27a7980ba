//! Masks secrets in texts of other components.

use super::value::Value;
use crate::diagnostic::Diagnostic;

/// The replacement of a secret.
const MASKED: &str = "[secret]";

/// Secrets that are shorter are masked only as a separate word: `1` is not masked in `127.0.0.1:8080`.
const SHORT: usize = 4;

/// Masks known secrets in texts that the engine did not write itself, such as the errors of a provider.
#[derive(Default)]
pub struct Mask(Vec<String>);

impl Mask {
    /// Creates a mask for every secret in these values.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut texts = Vec::new();
        values.into_iter().for_each(|value| collect(value, false, &mut texts));
        let escaped = texts.iter().flat_map(|text| {
            let quoted = [format!("{text:?}"), serde_json::Value::from(text.as_str()).to_string()];
            quoted.map(|text| text[1..text.len() - 1].to_owned())
        });
        let escaped: Vec<String> = escaped.collect();
        texts.extend(escaped);
        // A secret that contains another one is replaced before it.
        texts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        texts.dedup();
        texts.retain(|text| !text.trim().is_empty());
        Self(texts)
    }

    /// Ignores secrets with fewer characters.
    pub fn at_least(mut self, characters: usize) -> Self {
        self.0.retain(|text| text.chars().count() >= characters);
        self
    }

    /// Returns the text with masked secrets.
    pub fn text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            if secret.chars().count() < SHORT { without_word(&text, secret) } else { text.replace(secret, MASKED) }
        })
    }

    /// Returns the message with masked secrets.
    pub fn diagnostic(&self, diagnostic: Diagnostic) -> Diagnostic {
        Diagnostic {
            severity: diagnostic.severity,
            subject: diagnostic.subject,
            summary: self.text(&diagnostic.summary),
            detail: diagnostic.detail.map(|text| self.text(&text)),
            hint: diagnostic.hint.map(|text| self.text(&text)),
        }
    }
}

fn collect(value: &Value, secret: bool, texts: &mut Vec<String>) {
    match value {
        Value::Secret(inner) => collect(inner, true, texts),
        Value::List(items) => items.iter().for_each(|item| collect(item, secret, texts)),
        Value::Map(map) => map.values().for_each(|item| collect(item, secret, texts)),
        Value::String(text) if secret => {
            texts.push(text.as_ref().to_owned());
            // A provider that reads line by line may repeat a single line.
            texts.extend(text.lines().filter(|line| line.len() >= 16).map(str::to_owned));
        }
        Value::Number(number) if secret => texts.push(number.to_string()),
        _ => {}
    }
}

fn without_word(text: &str, word: &str) -> String {
    let mut out = String::new();
    let mut from = 0;
    for (at, _) in text.match_indices(word) {
        let end = at + word.len();
        let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | ':' | '-' | '_'));
        if !joins(text[..at].chars().next_back()) && !joins(text[end..].chars().next().filter(|c| !".:".contains(*c))) {
            out.push_str(&text[from..at]);
            out.push_str(MASKED);
            from = end;
        }
    }
    out + &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_masked_in_every_form() {
        let secrets = Value::from_json(json!({
            "password": "hunter2", "longer": "hunter2000", "pin": 42, "key": "-----BEGIN-----\n\"quoted\" and more of it\n",
            "blank": " ", "none": "",
        }))
        .into_secret();
        let mask = Mask::of([&secrets, &"plain".into()]);
        let text = "user plain may not use hunter2000 or 'hunter2' or 42: see 10.42.0.1:42, 420 and \
                    -----BEGIN-----\\n\\\"quoted\\\" and more of it\\n; bad line \"quoted\" and more of it!";
        insta::assert_snapshot!(mask.text(text), @"user plain may not use [secret] or '[secret]' or [secret]: see 10.42.0.1:42, 420 and [secret]; bad line [secret]!");
        let diagnostic = Diagnostic::error("hunter2").about("here").because("hunter2").hint("not hunter2");
        insta::assert_snapshot!(mask.diagnostic(diagnostic), @"
        error: [secret]
          at: here
          why: [secret]
          hint: not [secret]
        ");
    }
}
