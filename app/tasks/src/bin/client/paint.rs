//! Colours of messages.

use std::env;

pub(crate) const GREEN: &str = "\x1b[32m";
pub(crate) const RED: &str = "\x1b[31m";

/// Colours a message for a terminal. `NO_COLOR` disables colours, `CLICOLOR_FORCE` enables them for other outputs.
pub(crate) fn paint(colour: &str, message: &str, terminal: bool) -> String {
    let forbidden = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let demanded = env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
    if !forbidden && (terminal || demanded) { format!("{colour}{message}\x1b[0m") } else { message.to_owned() }
}
