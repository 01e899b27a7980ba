//! Forms: what a browser sends, and what it is shown.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// The fields of a form that was sent, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded`. Line ends become those of Unix, as lengths are counted.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        // Else replacement characters would be stored.
        percent_decode(body).decode_utf8().ok()?;
        let fields = form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), unix(value)));
        Some(Self(fields.collect()))
    }

    /// The value of a field; `""` when it is missing.
    pub(super) fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// Whether a box is ticked.
    pub(super) fn ticked(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// All values of a field.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

fn unix(text: Cow<str>) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.into_owned() }
}

/// One field of a form that is shown.
#[derive(Debug, Default, Clone)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) kind: Kind,
    pub(super) value: String,
    /// A sentence or two under the field; `""` for none.
    pub(super) help: String,
    /// What is wrong with what was sent.
    pub(super) errors: Vec<String>,
    /// Most characters; 0 for any number.
    pub(super) limit: usize,
    /// What browsers may fill in, as HTML's `autocomplete` names it.
    pub(super) autocomplete: &'static str,
}

/// How a field is entered.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
pub(super) enum Kind {
    #[default]
    Line,
    Lines,
    Moment,
    Password,
    /// Ticked or not; the value is ignored.
    Box {
        ticked: bool,
    },
    /// Any number of these; the value is ignored.
    Choices {
        /// Value and label.
        options: Vec<(String, String)>,
        /// The values that are ticked.
        chosen: Vec<String>,
    },
}

impl Field {
    /// Fills in what was sent, so that a refused form can be corrected. Passwords are not sent back.
    pub(super) fn refill(&mut self, sent: &Fields) {
        match &mut self.kind {
            Kind::Box { ticked } => *ticked = sent.ticked(self.name),
            Kind::Choices { chosen, .. } => *chosen = sent.all(self.name).map(str::to_owned).collect(),
            Kind::Password => self.value.clear(),
            Kind::Line | Kind::Lines | Kind::Moment => sent.text(self.name).clone_into(&mut self.value),
        }
    }

    /// The value as text, for pages without a form and for the history.
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

    /// The attribute that ties the help and the errors to the field, for those who do not see them.
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
    fn fields() {
        let fields = Fields::parse(b"a=1&b=x%0D%0Ay+%C3%A9&a=2&c").unwrap();
        assert_eq!((fields.text("a"), fields.text("b"), fields.text("none")), ("1", "x\ny é", ""));
        assert_eq!(fields.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert!(fields.ticked("c") && !fields.ticked("d"));
    }

    #[test]
    fn what_is_not_utf8_is_refused() {
        assert!(Fields::parse(b"a=%FF").is_none());
        assert!(Fields::parse(b"a=\xff").is_none());
        assert_eq!(Fields::parse(b"a=%EF%BF%BD").unwrap().text("a"), "\u{fffd}");
    }
}
