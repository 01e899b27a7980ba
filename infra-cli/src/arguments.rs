//! Argument groups that several commands share. The arguments of one command are in the file of that command.
//!
//! The groups have no documentation comments: clap would show them in place of the command's description.

use clap::{Args, ValueEnum};
use infra_core::{plan::Selection, urn::Pattern};
use std::path::PathBuf;

/// Headings of the groups in the help.
mod heading {
    pub(super) const TARGET: &str = "Stack and target";
    pub(super) const STORAGE: &str = "Storage";
    pub(super) const OUTPUT: &str = "Execution and output";
    pub(super) const PLANNING: &str = "Planning";
    pub(super) const SELECTION: &str = "Selection";
}

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Program to run [default: the first of `programs`]
    #[arg(help_heading = heading::TARGET, long, short, global = true, value_name = "NAME")]
    #[arg(env = "INFRA_PROGRAM", hide_env_values = true)]
    pub(crate) program: Option<String>,
    /// Deployment of the program
    #[arg(help_heading = heading::TARGET, long, short, global = true, value_name = "NAME", default_value = "dev")]
    #[arg(env = "INFRA_STACK", hide_env_values = true)]
    pub(crate) stack: String,
    /// Cloud to deploy to: `local` (on this machine) or `aws`
    #[arg(help_heading = heading::TARGET, long, short, global = true, value_enum, default_value = "local")]
    #[arg(env = "INFRA_TARGET", hide_env_values = true, hide_possible_values = true)]
    pub(crate) target: TargetName,
    /// Server that implements the AWS APIs; needs `--target aws`
    #[arg(help_heading = heading::TARGET, long, global = true, value_name = "URL")]
    #[arg(env = "INFRA_ENDPOINT", hide_env_values = true)]
    pub(crate) endpoint: Option<String>,
    /// State to wait for: `full` (resources are healthy) or `control-plane` (the API has accepted the requests)
    #[arg(help_heading = heading::TARGET, long, global = true, value_enum, default_value = "full")]
    #[arg(value_name = "STATE", env = "INFRA_READINESS", hide_env_values = true, hide_possible_values = true)]
    pub(crate) readiness: ReadinessName,
    /// Store of the states: a directory, or a URL such as `s3://BUCKET/PREFIX?region=eu-west-1` [default:
    /// DIRECTORY/state]
    #[arg(help_heading = heading::STORAGE, long, global = true, value_name = "URL")]
    #[arg(env = "INFRA_BACKEND", hide_env_values = true)]
    pub(crate) backend: Option<String>,
    /// Directory of the states and the local cloud [default: the nearest `.infra` at or above the current directory]
    #[arg(help_heading = heading::STORAGE, long, global = true, value_name = "PATH")]
    #[arg(env = "INFRA_DIRECTORY", hide_env_values = true)]
    pub(crate) directory: Option<PathBuf>,
    /// Print JSON: one event per line, or the result as one document
    #[arg(help_heading = heading::OUTPUT, long, global = true)]
    pub(crate) json: bool,
    /// Maximum number of concurrent operations
    #[arg(help_heading = heading::OUTPUT, long, global = true, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = parallel)]
    pub(crate) parallel: usize,
}

fn parallel(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=1024) => Ok(number),
        _ => Err("write a number from 1 to 1024".into()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TargetName {
    /// Local cloud on this machine, started when a command needs it
    Local,
    /// AWS, with the credentials that the AWS SDK finds
    Aws,
}

impl TargetName {
    /// Returns the name on the command line and in documents.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Aws => "aws",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReadinessName {
    /// Instances run and targets are healthy
    Full,
    /// The control plane has accepted the request
    ControlPlane,
}

#[derive(Debug, Args)]
pub(crate) struct Selecting {
    /// Select a resource and its dependencies, by URN, name or component; `*` matches any characters
    #[arg(help_heading = heading::SELECTION, long, value_name = "PATTERN")]
    pub(crate) target_urn: Vec<Pattern>,
    /// Exclude a resource
    #[arg(help_heading = heading::SELECTION, long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<Pattern>,
    /// Select the dependents of `--target-urn` as well, and exclude those of `--exclude`
    #[arg(help_heading = heading::SELECTION, long)]
    pub(crate) dependents: bool,
}

impl Selecting {
    pub(crate) fn selection(&self, replace: &[Pattern]) -> Selection {
        Selection {
            targets: self.target_urn.clone(),
            exclude: self.exclude.clone(),
            replace: replace.to_vec(),
            dependents: self.dependents,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Planning {
    /// Set a configuration value, which `up` stores for this stack
    #[arg(help_heading = heading::PLANNING, long, short, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) config: Vec<(String, String)>,
    /// Refresh all resources and lookups before planning
    #[arg(help_heading = heading::PLANNING, long)]
    pub(crate) refresh: bool,
    /// Show all properties, including those of new resources
    #[arg(help_heading = heading::PLANNING, long)]
    pub(crate) diff: bool,
    /// Replace a resource, or one that the program declares relaunchable, even if it is unchanged
    #[arg(help_heading = heading::SELECTION, long, value_name = "PATTERN")]
    pub(crate) replace: Vec<Pattern>,
    #[command(flatten)]
    pub(crate) selecting: Selecting,
}

#[derive(Debug, Default, Args)]
pub(crate) struct RecordedTypes {
    /// Record resources of the types whose CloudFormation schemas are in this directory or zip [default: those that the
    /// directory's local cloud records]
    #[arg(long, value_name = "PATH")]
    pub(crate) schemas: Option<PathBuf>,
}

pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}
