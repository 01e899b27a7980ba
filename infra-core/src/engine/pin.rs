//! Pins: a stack that was rolled back can be held at that serial, so that the next `up` does not undo the rollback.

use super::{Engine, EngineError, document};
use crate::diagnostic::Diagnostic;
use serde::{Deserialize, Serialize};
use std::fmt;

const DOCUMENT: &str = "pin.json";

/// The serial that a stack is pinned to. While there is a pin, `up` is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The serial that the stack was rolled back to.
    pub serial: u64,
    /// The user and host that set the pin.
    pub by: String,
    /// Time of the rollback, RFC 3339.
    pub at: String,
}

/// The effect of a run on the pin of its stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pinning {
    /// Ignores the pin.
    Ignore,
    /// Is refused while there is a pin.
    Refuse,
    /// Pins the stack to this serial once the plan is approved.
    Set(u64),
    /// Removes the pin once the plan is approved.
    Remove,
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pinned to serial {} by {} on {}", self.serial, self.by, self.at)
    }
}

impl Engine {
    /// Returns the pin of the stack, if there is one.
    pub async fn pinned(&self) -> Result<Option<Pin>, EngineError> {
        let text = self.store.document(&self.program, &self.stack, DOCUMENT).await?;
        text.map(|text| serde_json::from_slice(&text).map_err(|error| document::broken(DOCUMENT, &error))).transpose()
    }

    /// Removes the pin of the stack and returns it.
    pub async fn remove_pin(&self) -> Result<Option<Pin>, EngineError> {
        let pin = self.pinned().await?;
        if pin.is_some() {
            self.store.remove_document(&self.program, &self.stack, DOCUMENT).await?;
        }
        Ok(pin)
    }

    /// Refuses a run of a pinned stack.
    pub(super) async fn check_pin(&self, pinning: Pinning) -> Result<(), EngineError> {
        if pinning != Pinning::Refuse {
            return Ok(());
        }
        match self.pinned().await? {
            Some(pin) => Err(EngineError::WrongUse(vec![refusal(&self.stack, &pin)])),
            None => Ok(()),
        }
    }

    pub(super) async fn change_pin(&self, pinning: Pinning) -> Result<(), EngineError> {
        match pinning {
            Pinning::Ignore | Pinning::Refuse => {}
            Pinning::Remove => drop(self.remove_pin().await?),
            Pinning::Set(serial) => {
                let pin = Pin { serial, by: document::author(), at: document::now() };
                let text = serde_json::to_vec_pretty(&pin).map_err(|error| document::broken(DOCUMENT, &error))?;
                self.store.put_document(&self.program, &self.stack, DOCUMENT, &text).await?;
            }
        }
        Ok(())
    }

    /// Returns what a rollback to `serial` does with the pin.
    pub(super) async fn pinning_of_rollback(&self, serial: u64, pin: bool) -> Result<Pinning, EngineError> {
        let pins = pin || self.pinned().await?.is_some();
        Ok(if pins { Pinning::Set(serial) } else { Pinning::Ignore })
    }
}

/// Returns the note for a preview of `up` on a pinned stack.
pub(super) fn notice(stack: &str, pin: &Pin) -> Diagnostic {
    Diagnostic::note(format!("the stack `{stack}` is pinned, so `up` is refused")).because(pin.to_string()).hint(HINT)
}

fn refusal(stack: &str, pin: &Pin) -> Diagnostic {
    Diagnostic::error(format!("the stack `{stack}` is pinned, and `up` would undo the rollback"))
        .because(pin.to_string())
        .hint(HINT)
}

const HINT: &str = "`up --unpin` applies the program again; `rollback --unpin` only removes the pin";

/// Returns the note for a rollback that did not pin the stack.
pub(super) fn not_pinned(serial: u64) -> Diagnostic {
    Diagnostic::note("the next `up` applies the current program, which undoes this rollback")
        .hint(format!("`rollback {serial} --pin` makes `up` refuse this; or change the program"))
}
