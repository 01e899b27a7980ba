//! Forms: sent and shown fields.

pub(super) use kit::form::Fields;

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
