//! Pages with one form.

use actix_web::http::StatusCode;
use askama::Template;

use super::{
    error::Answer,
    frame::{self, Frame},
    visit::Visit,
};
use crate::input::{Faults, Given};

/// Input of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Email,
    Password,
    /// Integer with a minimum.
    Integer(i32),
    Amount,
    Lines,
    /// Values and labels.
    Choice(Vec<(String, String)>),
}

/// Field of a form.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) kind: Kind,
    pub(super) value: String,
    /// Maximum length in characters; 0 for no limit.
    pub(super) limit: usize,
    /// Value of HTML's `autocomplete`.
    pub(super) autocomplete: &'static str,
    /// Faults of the sent value.
    pub(super) errors: Vec<String>,
}

impl Field {
    pub(super) fn new(name: &'static str, label: &'static str, kind: Kind) -> Self {
        Self { name, label, kind, value: String::new(), limit: 0, autocomplete: "off", errors: Vec::new() }
    }

    pub(super) fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    pub(super) fn autocomplete(self, autocomplete: &'static str) -> Self {
        Self { autocomplete, ..self }
    }

    pub(super) fn value(self, value: impl Into<String>) -> Self {
        Self { value: value.into(), ..self }
    }
}

/// A page with a form.
#[derive(Template)]
#[template(path = "form.html")]
pub(super) struct FormPage {
    frame: Frame,
    form_token: String,
    pub(super) fields: Vec<Field>,
    /// Hidden values.
    pub(super) hidden: Vec<(&'static str, String)>,
    /// Names and values above the form.
    pub(super) facts: Vec<(&'static str, String)>,
    /// Reason for which the form was refused.
    pub(super) error: Option<String>,
    pub(super) submit: &'static str,
    /// Label and address of another page.
    pub(super) link: Option<(&'static str, &'static str)>,
}

impl FormPage {
    pub(super) fn new(visit: &Visit, section: &'static str, title: &str, submit: &'static str) -> Self {
        Self {
            frame: visit.frame(section, title),
            form_token: visit.form_token(),
            fields: Vec::new(),
            hidden: Vec::new(),
            facts: Vec::new(),
            error: None,
            submit,
            link: None,
        }
    }

    /// Sets the sent values and their faults, so that a refused form can be corrected. Passwords are not returned.
    pub(super) fn refuse(&mut self, given: &Given, faults: &Faults) {
        self.refill(given);
        for field in &mut self.fields {
            field.errors = faults.of(field.name).into_iter().map(str::to_owned).collect();
        }
        self.error = Some("Nothing was saved. Correct the fields below.".to_owned());
    }

    /// Sets the sent values.
    pub(super) fn refill(&mut self, given: &Given) {
        for field in self.fields.iter_mut().filter(|field| field.kind != Kind::Password) {
            given.text(field.name).clone_into(&mut field.value);
        }
    }

    /// Responds with the page, and with a session for a browser without one.
    pub(super) fn show(&self, visit: &Visit, status: StatusCode) -> Answer {
        visit.with_session(frame::html(status, self)?)
    }
}
