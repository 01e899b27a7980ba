//! Forms: sent and shown fields.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// Fields of a sent form, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Parses `application/x-www-form-urlencoded`. Line breaks become `\n`, so that lengths match those of the browser.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        // Otherwise replacement characters would be stored.
        percent_decode(body).decode_utf8().ok()?;
        let fields = form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), unix(value)));
        Some(Self(fields.collect()))
    }

    /// Returns the value of a field, or `""` if it is missing.
    pub(super) fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// Returns whether a box is ticked.
    pub(super) fn ticked(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Returns all values of a field.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

fn unix(text: Cow<str>) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.into_owned() }
}

/// Field of a shown form.
#[derive(Debug, Default, Clone)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) kind: Kind,
    pub(super) value: String,
    /// Explanation below the field; `""` for none.
    pub(super) help: String,
    /// Faults of the sent value.
    pub(super) errors: Vec<String>,
    /// Maximum length in characters; 0 for no limit.
    pub(super) limit: usize,
    /// Value of HTML's `autocomplete`.
    pub(super) autocomplete: &'static str,
}

/// Input of a field.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
pub(super) enum Kind {
    #[default]
    Line,
    Lines,
    Moment,
    Password,
    /// Checkbox; the value is ignored.
    Box {
        ticked: bool,
    },
    /// Group of checkboxes; the value is ignored.
    Choices {
        /// Value and label.
        options: Vec<(String, String)>,
        /// Ticked values.
        chosen: Vec<String>,
    },
}

impl Field {
    /// Sets the sent value, so that a refused form can be corrected. Passwords are not returned.
    pub(super) fn refill(&mut self, sent: &Fields) {
        match &mut self.kind {
            Kind::Box { ticked } => *ticked = sent.ticked(self.name),
            Kind::Choices { chosen, .. } => *chosen = sent.all(self.name).map(str::to_owned).collect(),
            Kind::Password => self.value.clear(),
            Kind::Line | Kind::Lines | Kind::Moment => sent.text(self.name).clone_into(&mut self.value),
        }
    }

    /// Returns the value as text, for pages without a form and for the history.
    pub(super) fn shown(&self) -> String {
        match &self.kind {
            Kind::Box { ticked } => if *ticked { "yes" } else { "no" }.to_owned(),
            Kind::Choices { options, chosen } => {
                let labels =
                    options.iter().filter(|(value, _)| chosen.contains(value)).map(|(_, label)| label.as_str());
                labels.collect::<Vec<_>>().join(", ")
            }
            Kind::Moment => self.value.replace('T', " "),
            Kind::Password => String::new(),
            Kind::Line | Kind::Lines => self.value.clone(),
        }
    }

    /// Returns the attribute `aria-describedby`, with the IDs of the explanation and the faults.
    pub(super) fn described_by(&self) -> String {
        let help = (!self.help.is_empty()).then(|| format!("{}-help", self.name));
        let errors = (!self.errors.is_empty()).then(|| format!("{}-errors", self.name));
        [errors, help].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fields_are_parsed() {
        let fields = Fields::parse(b"a=1&b=x%0D%0Ay+%C3%A9&a=2&c").unwrap();
        assert_eq!((fields.text("a"), fields.text("b"), fields.text("none")), ("1", "x\ny é", ""));
        assert_eq!(fields.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert!(fields.ticked("c") && !fields.ticked("d"));
    }

    #[test]
    fn forms_that_are_not_utf8_are_refused() {
        assert!(Fields::parse(b"a=%FF").is_none());
        assert!(Fields::parse(b"a=\xff").is_none());
        assert_eq!(Fields::parse(b"a=%EF%BF%BD").unwrap().text("a"), "\u{fffd}");
    }
}
