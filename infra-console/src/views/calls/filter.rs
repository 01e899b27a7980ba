//! Conditions on calls.

use super::{Call, footprint::Footprint};
use crate::views::{Problem, parameters::Parameters, text::contains};

/// Conditions that a call satisfies.
#[derive(Debug, Default)]
pub(super) struct Filter {
    service: String,
    operation: String,
    /// ARN of the caller, or a part of it, in lower case.
    caller: String,
    errors: bool,
    denied: bool,
    /// A text of the call, in lower case.
    text: String,
    /// The resource that calls were made for.
    footprint: Option<Footprint>,
}

impl Filter {
    pub(super) fn parse(parameters: &Parameters) -> Result<Self, Problem> {
        Ok(Self {
            service: parameters.text("service").to_owned(),
            operation: parameters.text("operation").to_owned(),
            caller: parameters.text("caller").to_lowercase(),
            errors: parameters.flag("errors")?,
            denied: parameters.flag("denied")?,
            text: parameters.text("q").to_lowercase(),
            footprint: None,
        })
    }

    /// Restricts the filter to the calls of a resource.
    pub(super) fn of(self, footprint: Footprint) -> Self {
        Self { footprint: Some(footprint), ..self }
    }

    pub(super) fn footprint(&self) -> Option<&Footprint> {
        self.footprint.as_ref()
    }

    /// Returns whether a call satisfies the conditions other than its relation to a resource.
    pub(super) fn matches(&self, call: &Call) -> bool {
        let is = |wanted: &str, value: &str| wanted.is_empty() || value.eq_ignore_ascii_case(wanted);
        is(&self.service, &call.service)
            && is(&self.operation, &call.operation)
            && contains(call.caller.as_deref().unwrap_or_default(), &self.caller)
            && (!self.errors || call.is_error())
            && (!self.denied || call.is_denied())
            && (self.text.is_empty() || self.has_text(call))
    }

    fn has_text(&self, call: &Call) -> bool {
        let error = call.error.iter().flat_map(|error| [&error.code, &error.message]);
        let decisions =
            call.decisions.iter().flat_map(|decision| [&decision.action, &decision.resource, &decision.reason]);
        let names = [&call.operation, &call.service, &call.request_id, &call.answer];
        let mut texts = names.into_iter().chain(&call.caller).chain(error).chain(decisions);
        texts.any(|text| contains(text, &self.text)) || contains(&call.parameters.to_string(), &self.text)
    }
}
