//! `stack programs`

use crate::{Program, failure::Failure, session::Session};
use std::process::ExitCode;

pub(super) fn run(session: &Session<'_>, programs: &[Program]) -> Result<ExitCode, Failure> {
    let names: Vec<&str> = programs.iter().map(|program| program.name.as_str()).collect();
    if session.json {
        print_line!("{}", serde_json::to_string(&names).map_err(std::io::Error::from)?);
    } else {
        for (at, name) in names.iter().enumerate() {
            print_line!("{name}{}", if at == 0 { "  (default)" } else { "" });
        }
    }
    Ok(ExitCode::SUCCESS)
}
