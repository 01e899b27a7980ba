//! `stack state`

use crate::{arguments, failure::Failure, render::style, session::Session};
use infra_core::{
    state::{Generation, State},
    urn::Urn,
};
use serde_json::json;
use std::process::ExitCode;

pub(super) async fn run(session: &Session<'_>, command: &arguments::State) -> Result<ExitCode, Failure> {
    let arguments::State::List = command;
    let state = session.offline().state().await?;
    let things: Vec<(&Urn, &Generation)> = state.iter().flat_map(State::generations).collect();
    if session.json {
        let lines: Vec<_> = things
            .iter()
            .map(|(urn, thing)| json!({"urn": urn, "id": thing.id, "region": thing.region, "dependencies": thing.dependencies}))
            .collect();
        println!("{}", serde_json::to_string_pretty(&lines).map_err(std::io::Error::from)?);
        return Ok(ExitCode::SUCCESS);
    }
    if things.is_empty() {
        println!("the stack `{}` of `{}` has nothing", session.stack, session.program.name);
    }
    let rows = things.iter().map(|(urn, thing)| {
        let (kind, name) = (urn.kind().to_owned(), urn.name().to_owned());
        [kind, name, thing.region.clone().unwrap_or_default(), thing.id.clone().unwrap_or_default()]
    });
    print!("{}", style::table(["TYPE", "NAME", "REGION", "ID"], rows));
    Ok(ExitCode::SUCCESS)
}
