//! `stack programs`

use crate::{Program, failure::Failure, session::Session};
use serde_json::json;
use std::process::ExitCode;

pub(super) fn run(session: &Session<'_>, programs: &[Program]) -> Result<ExitCode, Failure> {
    if session.json {
        let programs = programs
            .iter()
            .enumerate()
            .map(|(index, program)| json!({ "name": program.name, "about": program.about, "default": index == 0 }));
        print_line!("{}", programs.collect::<serde_json::Value>());
        return Ok(ExitCode::SUCCESS);
    }
    let width = programs.iter().map(|program| program.name.len()).max().unwrap_or(0);
    for (index, Program { name, about, .. }) in programs.iter().enumerate() {
        let default = (index == 0).then(|| "(default)".to_owned());
        let words: Vec<String> = about.clone().into_iter().chain(default).collect();
        print_line!("{}", format!("{name:width$}  {}", words.join(" ")).trim_end());
    }
    Ok(ExitCode::SUCCESS)
}
