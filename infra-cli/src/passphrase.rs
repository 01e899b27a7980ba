//! Input of passphrases and secret values: from the environment, from a terminal without echo, or from a pipe.

use crate::failure::Failure;
use console::Term;
use infra_core::{
    diagnostic::Diagnostic,
    store::{KeyError, Passphrase, Unlock, WrapperFactory},
};
use std::{
    collections::BTreeMap,
    env,
    io::{self, IsTerminal, Read},
    path::PathBuf,
    sync::OnceLock,
};

/// Variables with passphrases. The background process of the local cloud does not inherit them.
pub(crate) const VARIABLES: [&str; 4] =
    ["INFRA_PASSPHRASE", "INFRA_PASSPHRASE_FILE", "INFRA_NEW_PASSPHRASE", "INFRA_NEW_PASSPHRASE_FILE"];

/// Returns the ways to unwrap the key of the secrets: key services by scheme, and a passphrase, which is asked for once
/// and only if it is needed.
pub(crate) fn unlock(wrappers: &BTreeMap<String, WrapperFactory>) -> Unlock {
    let known = OnceLock::new();
    let unlock = Unlock::default().ask(move || {
        if let Some(known) = known.get() {
            return Ok(Some(Passphrase::clone(known)));
        }
        let passphrase = match from_environment("INFRA_PASSPHRASE")? {
            None => from_terminal("Passphrase of the secrets: "),
            given => given,
        };
        Ok(passphrase.map(|passphrase| known.get_or_init(|| passphrase).clone()))
    });
    let wrappers = wrappers.iter();
    wrappers.fold(unlock, |unlock, (scheme, factory)| unlock.wrapper(scheme, factory.clone()))
}

/// Returns a new passphrase to wrap the key with. INFRA_PASSPHRASE may contain it if the current key needs none.
pub(crate) fn chosen(current_needs_one: bool) -> Result<Passphrase, Failure> {
    let given = match from_environment("INFRA_NEW_PASSPHRASE").map_err(failure)? {
        None if !current_needs_one => from_environment("INFRA_PASSPHRASE").map_err(failure)?,
        given => given,
    };
    if let Some(passphrase) = given {
        return Ok(passphrase);
    }
    let again = from_terminal("New passphrase: ").map(|first| (first, from_terminal("Once more: ")));
    match again {
        Some((first, Some(second))) if first.as_str() == second.as_str() => Ok(first),
        Some(_) => Err(wrong("the two passphrases are not the same", "nothing was changed; try again")),
        None => Err(wrong(
            "there is no new passphrase, and no terminal to ask for it on",
            "set INFRA_NEW_PASSPHRASE or INFRA_NEW_PASSPHRASE_FILE",
        )),
    }
}

/// Reads a secret value: from the terminal without echo, else all of standard input without a final line break.
pub(crate) fn value(key: &str) -> Result<String, Failure> {
    let mut text = String::new();
    if io::stdin().is_terminal() {
        let entered = from_terminal(&format!("Value of {key}: "));
        text.push_str(entered.as_ref().map_or("", Passphrase::as_str));
    } else {
        io::stdin().read_to_string(&mut text)?;
        let line = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text).len());
        text.truncate(line.unwrap_or(text.len()));
    }
    if text.is_empty() {
        return Err(wrong(format!("no value was entered for `{key}`"), "nothing was changed; type it, or pipe it in"));
    }
    Ok(text)
}

/// Returns the value of a variable, or the first line of the file that the variable with the suffix `_FILE` names.
fn from_environment(variable: &str) -> Result<Option<Passphrase>, KeyError> {
    if let Ok(text) = env::var(variable)
        && !text.is_empty()
    {
        return Ok(Some(text.into()));
    }
    let Some(path) = env::var_os(format!("{variable}_FILE")).filter(|path| !path.is_empty()).map(PathBuf::from) else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(&path).map_err(|error| KeyError::Io { path, error })?;
    Ok(Some(text.lines().next().unwrap_or_default().into()))
}

/// Asks on the terminal. Returns `None` without one.
fn from_terminal(prompt: &str) -> Option<Passphrase> {
    let terminal = Term::stderr();
    if !io::stdin().is_terminal() || !terminal.is_term() {
        return None;
    }
    terminal.write_str(prompt).ok()?;
    terminal.read_secure_line().ok().map(Passphrase::from)
}

fn failure(error: KeyError) -> Failure {
    infra_core::store::StoreError::from(error).into()
}

fn wrong(summary: impl Into<String>, hint: &str) -> Failure {
    Failure::wrong_use(Diagnostic::error(summary).hint(hint))
}
