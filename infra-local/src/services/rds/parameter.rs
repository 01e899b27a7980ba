//! Values of parameters, validated as the server does.

use std::path::Path;
use std::process::Command;

use crate::domain::postgres;
use crate::domain::postgres::Known;
use crate::domain::rds::catalog;
use crate::domain::rds::catalog::OF_SERVICE;
use crate::domain::rds::formula;
use crate::wire::{ApiError, Outcome};

/// Validates a value by running `postgres` with it.
pub(super) fn check(name: &str, value: &str, directory: &Path) -> Outcome<&'static Known> {
    let known = catalog::known()
        .get(&name.to_lowercase())
        .ok_or_else(|| ApiError::invalid(format!("Could not find parameter with name: {name}")))?;
    if !known.modifiable {
        return Err(ApiError::invalid(format!("The parameter {name} cannot be modified.")));
    }
    let refused = |allowed: &str| {
        Err(ApiError::invalid(format!("Invalid parameter value: {value} for: {name} allowed values are: {allowed}")))
    };
    // Formulas are checked for a small instance: a value that fits there fits any instance.
    let Some(plain) = formula::evaluate(value, 1 << 30) else {
        return refused("a number, or a formula of DBInstanceClassMemory with LEAST, GREATEST and SUM");
    };
    let allowed = known.allowed.as_deref().unwrap_or_default();
    let fits = match known.kind {
        "boolean" => ["0", "1", "on", "off", "true", "false"].contains(&plain.as_str()),
        "integer" => plain.parse::<i64>().is_ok(),
        "float" => plain.parse::<f64>().is_ok(),
        _ => !formula::is_formula(value) && !plain.chars().any(char::is_control),
    };
    if !fits {
        return refused(allowed);
    }
    if known.name.starts_with(OF_SERVICE) {
        return Ok(known);
    }
    match error_message(&known.name, &plain, directory) {
        Some(error_message) => refused(&format!("{allowed} ({error_message})")),
        None => Ok(known),
    }
}

/// Returns the error message of `postgres` about a value.
fn error_message(name: &str, value: &str, directory: &Path) -> Option<String> {
    let output = Command::new(&postgres::installed().ok()?.program)
        .args(["-C", name, "--config-file=/dev/null", "-c", &format!("{name}={value}"), "-D"])
        .arg(directory)
        .output()
        .ok()?;
    if output.status.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line_after = |mark: &str| text.lines().find_map(|line| Some(line.split_once(mark)?.1.trim().to_owned()));
    line_after("HINT:").or_else(|| line_after("FATAL:")).or(Some(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_server_validates_values() {
        crate::runtime::postgres::discover();
        let directory = tempfile::tempdir().unwrap();
        let check = |name, value| check(name, value, directory.path()).map_err(|error| error.message);
        assert!(check("max_connections", "42").unwrap().is_static);
        assert!(!check("log_statement", "ddl").unwrap().is_static);
        assert!(check("max_connections", "LEAST({DBInstanceClassMemory/9531392},5000)").is_ok());
        assert!(check("log_statement", "some").unwrap_err().contains("none, ddl, mod, all"));
        assert!(check("max_connections", "0").unwrap_err().contains("outside the valid range"));
        assert!(check("work_mem", "64MB").unwrap_err().contains("64-2147483647"));
        assert!(check("fsync", "0").unwrap_err().contains("cannot be modified"));
        assert!(check("no_such", "0").unwrap_err().contains("no_such"));
    }
}
