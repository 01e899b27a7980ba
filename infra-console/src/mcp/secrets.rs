//! A second mask of all secrets.
//!
//! Views mask the values that the engine knows to be secret. A log line, an output of the cloud or an error may contain
//! the same text in a place where the engine does not expect it, and a model must not receive it.

use infra_core::{
    diagnostic::Diagnostic,
    state::{Generation, State},
    value::Mask,
};
use serde_json::Value as Json;

/// Minimum length of a secret in the progress of an operation. Its milestones are secret as a whole, with short names.
const KEY_MATERIAL: usize = 16;

/// The recorded secrets.
pub(super) struct Masks {
    values: Mask,
    progress: Mask,
}

/// Returns the masks of all secrets in a state.
pub(super) fn masks(state: Option<&State>) -> Masks {
    let resources = || state.iter().flat_map(|state| state.resources.values());
    let generations = resources().flat_map(|resource| resource.current.iter().chain(&resource.deposed));
    let recorded = generations.flat_map(|Generation { inputs, outputs, .. }| [inputs, outputs]);
    let exports = state.iter().flat_map(|state| state.outputs.values());
    let open = || state.iter().flat_map(|state| &state.open);
    let requested = open().flat_map(|open| {
        let replaced = open.request.replaces.iter().flat_map(|live| live.inputs.iter().chain([&live.outputs]));
        replaced.chain([&open.request.inputs])
    });
    Masks {
        values: Mask::of(recorded.chain(exports).chain(requested)),
        progress: Mask::of(open().flat_map(|open| &open.progress)).at_least(KEY_MATERIAL),
    }
}

impl Masks {
    /// Masks the secrets in all texts of a document.
    pub(super) fn hide(&self, document: &mut Json) {
        match document {
            Json::String(text) => *text = self.progress.text(&self.values.text(text)),
            Json::Array(items) => items.iter_mut().for_each(|item| self.hide(item)),
            Json::Object(fields) => fields.values_mut().for_each(|field| self.hide(field)),
            _ => {}
        }
    }

    /// Masks the secrets in a message.
    pub(super) fn diagnostic(&self, diagnostic: Diagnostic) -> Diagnostic {
        self.progress.diagnostic(self.values.diagnostic(diagnostic))
    }
}
