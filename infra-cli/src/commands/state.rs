//! `stack state`

use super::question::{Change, is_at_terminal};
use crate::{failure::Failure, render::style, session::Session};
use clap::{Args, Subcommand};
use infra_core::{
    diagnostic::Diagnostic,
    state::{Generation, ResourceState, State},
    store::{Restored, Salvage},
    urn::{Pattern, Urn},
};
use serde_json::json;
use std::process::ExitCode;

/// Show or change the recorded state, without changing resources
#[derive(Debug, Subcommand)]
pub(crate) enum StateCommand {
    /// List the resources
    List,
    /// Show the recorded inputs, outputs and dependencies of a resource
    Show {
        /// URN or name
        resource: Pattern,
    },
    /// Remove resources from the state without deleting them
    Rm(Resources),
    /// Rename a resource
    Mv {
        /// URN or name of the resource
        from: Pattern,
        /// New name, including its components
        to: String,
    },
    /// Protect resources from deletion and replacement
    Protect(Resources),
    /// Remove the protection of resources
    Unprotect(Resources),
    /// Check the integrity of the state
    Verify,
    /// Restore a damaged or missing state from its previous generation
    Restore {
        /// Skip the confirmation
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Resources {
    /// URNs, names or components; `*` matches any characters
    #[arg(required = true)]
    resources: Vec<Pattern>,
}

pub(super) async fn run(session: &Session<'_>, command: &StateCommand) -> Result<ExitCode, Failure> {
    use StateCommand as Command;
    let engine = session.offline();
    match command {
        Command::List => list(session).await?,
        Command::Show { resource } => show(session, resource).await?,
        Command::Verify => verify(session).await?,
        Command::Restore { yes } => restore(session, *yes).await?,
        Command::Rm(Resources { resources }) => {
            report(session, "removed from the state; the resource still exists", &engine.forget(resources).await?);
        }
        Command::Mv { from, to } => {
            let (from, to) = engine.rename(from, to).await?;
            report(session, &format!("was {}", from.short()), &[to]);
        }
        Command::Protect(Resources { resources }) => {
            report(session, "protected", &engine.protect(resources, true).await?);
        }
        Command::Unprotect(Resources { resources }) => {
            report(session, "no longer protected", &engine.protect(resources, false).await?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn report(session: &Session<'_>, what: &str, urns: &[Urn]) {
    if session.json {
        print_line!("{}", json!(urns));
        return;
    }
    if urns.is_empty() {
        print_line!("nothing to do");
    }
    for urn in urns {
        print_line!("{}  {what}", urn.short());
    }
}

async fn show(session: &Session<'_>, pattern: &Pattern) -> Result<(), Failure> {
    let state = session.offline().state().await?;
    let found: Vec<(&Urn, &ResourceState)> =
        state.iter().flat_map(|state| &state.resources).filter(|(urn, _)| pattern.matches(urn)).collect();
    if found.is_empty() {
        let nothing = Diagnostic::error(format!("the stack has no resource `{pattern}`"));
        return Err(Failure::wrong_use(nothing.hint("`state list` shows the resources")));
    }
    let described = |thing: &Generation| {
        json!({
            "id": thing.id, "region": thing.region, "generation": thing.generation,
            "inputs": thing.inputs.masked(), "outputs": thing.outputs.masked(),
            "dependencies": thing.dependencies, "protect": thing.marks.protect,
            "retain_on_delete": thing.marks.retain_on_delete, "deleted_with": thing.marks.deleted_with,
            "uncertain": thing.uncertain,
        })
    };
    let documents = found.into_iter().map(|(urn, resource)| {
        let deposed: Vec<_> = resource.deposed.iter().map(described).collect();
        json!({"urn": urn, "current": resource.current.as_ref().map(described), "deposed": deposed})
    });
    for document in documents {
        print_line!("{document:#}");
    }
    Ok(())
}

async fn verify(session: &Session<'_>) -> Result<(), Failure> {
    // Reading the state checks all its files.
    let state = session.offline().state().await?;
    let (resources, open) = state.map_or((0, 0), |state| (state.live_count(), state.open.len()));
    if session.json {
        print_line!("{}", json!({"sound": true, "resources": resources, "open_operations": open}));
    } else {
        print_line!("valid: {resources} resources, {open} open operations");
    }
    Ok(())
}

async fn restore(session: &Session<'_>, yes: bool) -> Result<(), Failure> {
    let (store, program, stack) = (session.store(), session.program.name(), session.stack.as_str());
    let Some(salvage) = store.salvage(program, stack).await? else {
        if session.json {
            print_line!("{}", json!({"restored": false}));
        } else {
            print_line!("the files of the stack are undamaged: there is nothing to restore");
        }
        return Ok(());
    };
    let Salvage { state, sources, damage, unused_lines, is_older } = &salvage;
    let (resources, open) = (state.live_count(), state.open.len());
    let found = format!(
        "{damage}\nserial {1} can be restored from {0}: {resources} resources, {open} open operations",
        sources.join(" + "),
        state.serial
    );
    let lost = match unused_lines {
        0 => String::new(),
        lines => format!(
            "\n{lines} lines of the journal cannot be used: their changes are missing in this state; look for \
             existing resources that are not recorded"
        ),
    };
    let older = if *is_older {
        "\nthe last changes before the damage are missing in this state; look for existing resources that are not \
         recorded"
    } else {
        ""
    };
    let lost = lost + older;
    if !session.json && (yes || is_at_terminal(session)) {
        print_line!("{found}{lost}");
    }
    let change = Change {
        subject: "restoring",
        question: &format!("Record this as the state of the stack `{stack}`?"),
        consequence: &format!("{found}{lost}"),
        hint: "add `--yes`",
    };
    change.ensure_confirmed(session, yes)?;
    let Restored { serial, kept } = store.restore(program, stack, &salvage).await?;
    if session.json {
        let sources = json!(sources);
        print_line!(
            "{}",
            json!({
                "restored": true, "serial": serial, "resources": resources, "open_operations": open,
                "sources": sources, "unused_lines": unused_lines, "is_older": is_older, "kept": kept,
            })
        );
        return Ok(());
    }
    print_line!("restored as serial {serial}; `refresh` compares it with the existing resources");
    if !kept.is_empty() {
        print_line!("the replaced files are kept as {}", kept.join(", "));
    }
    Ok(())
}

async fn list(session: &Session<'_>) -> Result<(), Failure> {
    let state = session.offline().state().await?;
    let things: Vec<(&Urn, &Generation)> = state.iter().flat_map(State::generations).collect();
    if session.json {
        let lines: Vec<_> = things
            .iter()
            .map(|(urn, thing)| json!({"urn": urn, "id": thing.id, "region": thing.region, "dependencies": thing.dependencies}))
            .collect();
        print_line!("{}", serde_json::to_string_pretty(&lines).map_err(std::io::Error::from)?);
        return Ok(());
    }
    if things.is_empty() {
        print_line!("the stack `{}` of `{}` has no resources", session.stack, session.program.name);
    }
    let rows = things.iter().map(|(urn, thing)| {
        let (kind, name) = (urn.kind().to_owned(), urn.name().to_owned());
        [kind, name, thing.region.clone().unwrap_or_default(), thing.id.clone().unwrap_or_default()]
    });
    print_text!("{}", style::table(["TYPE", "NAME", "REGION", "ID"], rows));
    Ok(())
}
