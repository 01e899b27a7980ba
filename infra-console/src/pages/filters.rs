//! The form that filters a list, and the links of the list.

use crate::views::{Problem, parameters::Parameters};

/// Parameters of a list that shows the newest entries first or last, and follows them.
pub(super) struct Filters {
    /// Path of the page.
    path: &'static str,
    pub(super) parameters: Parameters,
    /// `false` if the user has paused the list.
    pub(super) follows: bool,
    /// The parameter that selects older entries. A list of older entries does not change.
    older: &'static str,
}

impl Filters {
    /// Reads the parameters of a request. `older` is the parameter that selects older entries.
    pub(super) fn parse(
        path: &'static str,
        query: Option<&str>,
        known: &[&'static str],
        older: &'static str,
    ) -> Result<Self, Problem> {
        let parameters = Parameters::parse(query.unwrap_or_default(), known)?;
        let follows = parameters.text("follow").is_empty() || parameters.flag("follow")?;
        Ok(Self { path, parameters, follows, older })
    }

    /// Returns whether the page shows new entries as they are added.
    pub(super) fn is_live(&self) -> bool {
        self.follows && self.given(self.older).is_empty()
    }

    /// Returns the topics of a live page.
    pub(super) fn topics(&self, topic: &'static str) -> &'static str {
        if self.is_live() { topic } else { "" }
    }

    /// Returns a value, or the empty text.
    pub(super) fn given(&self, name: &str) -> &str {
        self.parameters.text(name)
    }

    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.given(name) == value
    }

    /// Returns the URL of the page with another value of a parameter.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        self.parameters.link(self.path, &[(name, value)])
    }

    /// Returns the URL of the page that follows the newest entries.
    pub(super) fn newest(&self) -> String {
        self.parameters.link(self.path, &[(self.older, ""), ("follow", "")])
    }

    /// Returns the URL of the page with older entries.
    pub(super) fn older(&self, end: &str) -> String {
        self.with(self.older, end)
    }
}
