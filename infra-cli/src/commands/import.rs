//! `stack import`

use crate::{
    exit::Exit,
    failure::Failure,
    render::{self, Detail, style},
    session::Session,
};
use clap::Args;
use infra_core::{diagnostic::Diagnostic, engine::ImportRequest};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Import existing resources and print the code that declares them
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Type token, such as `aws:ec2:SecurityGroup` [default: list the types]
    #[arg(value_name = "TYPE", requires = "name")]
    kind: Option<String>,
    /// Name in the program, including its components
    #[arg(requires = "id")]
    name: Option<String>,
    /// ID that the provider uses
    id: Option<String>,
    /// Region of the resource, for providers with regions
    #[arg(long, value_name = "REGION", requires = "kind")]
    region: Option<String>,
    /// Import all resources of a JSON list of objects with `type`, `name`, `id` and `region`
    #[arg(long, value_name = "PATH", conflicts_with_all = ["kind", "region"])]
    file: Option<PathBuf>,
}

pub(super) async fn run(session: &Session<'_>, arguments: &ImportArgs) -> Result<ExitCode, Failure> {
    let requests = match (&arguments.file, &arguments.kind, &arguments.name, &arguments.id) {
        (Some(path), ..) => from_file(path)?,
        (None, Some(kind), Some(name), Some(id)) => {
            let region = arguments.region.clone();
            vec![ImportRequest { kind: kind.clone(), name: name.clone(), id: id.clone(), region }]
        }
        _ => return list_types(session).await,
    };
    let renderer = render::to_terminal(session.json, Detail::Everything, false);
    let engine = session.engine(None, &renderer).await?;
    (session.record(&[]).await?)().await?;
    let run = session.configure(engine.import(&session.program.run, &requests), None, &renderer);
    let adopted = session.complete(run).await;
    renderer.finish();
    session.leave_cloud().await;
    let adopted = adopted?;
    if session.json {
        print_line!("{}", serde_json::to_string_pretty(&adopted).map_err(std::io::Error::from)?);
        return Ok(ExitCode::SUCCESS);
    }
    for adopted in &adopted {
        print_line!("// {} is {} now\n{}\n", adopted.id, adopted.urn.short(), adopted.declaration);
    }
    print_line!("Add this to the program. The imported resources are protected until then (`state unprotect`).");
    Ok(ExitCode::SUCCESS)
}

/// Prints the types that can be imported.
async fn list_types(session: &Session<'_>) -> Result<ExitCode, Failure> {
    let engine = session.declaring(session.config(&[]).await?);
    let mut kinds = engine.resource_kinds(&session.program.run);
    kinds.retain(|kind| kind.importable);
    if session.json {
        print_line!("{}", serde_json::to_string_pretty(&kinds).map_err(std::io::Error::from)?);
        return Ok(Exit::Done.into());
    }
    if kinds.is_empty() {
        let none =
            Failure::failed(format!("the program `{}` has no provider that lists its types", session.program.name));
        return Err(none.hint("declare a provider in the program, such as `aws::region(stack, \"us-east-1\")`"));
    }
    let needs = |regional: bool| if regional { "--region REGION" } else { "" }.to_owned();
    print_text!(
        "{}",
        style::table(["TYPE", "ALSO NEEDS"], kinds.iter().map(|kind| [kind.token.clone(), needs(kind.regional)]))
    );
    print_line!("\nimport one with `import TYPE NAME ID`");
    Ok(Exit::Done.into())
}

fn from_file(path: &Path) -> Result<Vec<ImportRequest>, Failure> {
    let wrong = |reason: String| {
        let hint = r#"write a JSON list such as [{"type": "aws:ec2:SecurityGroup", "name": "web", "id": "sg-1", "region": "us-east-1"}]"#;
        Failure::wrong_use(Diagnostic::error(reason).about(path.display()).hint(hint))
    };
    let text = fs::read(path).map_err(|error| wrong(format!("the list cannot be read: {error}")))?;
    let requests: Vec<ImportRequest> =
        serde_json::from_slice(&text).map_err(|error| wrong(format!("the list is invalid: {error}")))?;
    if requests.is_empty() { Err(wrong("the list is empty".into())) } else { Ok(requests) }
}
