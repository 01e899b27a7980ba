//! The command line.

use crate::exit::Exit;
use clap::{Args, Parser, Subcommand, ValueEnum};
use infra_core::urn::Pattern;
use std::path::PathBuf;

/// Declares infrastructure in Rust, and runs it on AWS or on this machine.
#[derive(Debug, Parser)]
#[command(name = "stack", version, propagate_version = true, disable_help_subcommand = true, after_help = Exit::help())]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The program to run; `programs` lists them [default: the first one].
    #[arg(help_heading = "Stack and target", long, short, global = true, value_name = "NAME", env = "INFRA_PROGRAM")]
    pub(crate) program: Option<String>,
    /// The stack: one deployment of the program.
    #[arg(
        help_heading = "Stack and target",
        long,
        short,
        global = true,
        value_name = "NAME",
        default_value = "dev",
        env = "INFRA_STACK"
    )]
    pub(crate) stack: String,
    /// Where to deploy to.
    #[arg(
        help_heading = "Stack and target",
        long,
        short,
        global = true,
        value_enum,
        default_value = "local",
        env = "INFRA_TARGET"
    )]
    pub(crate) target: TargetName,
    /// Where AWS's APIs are, when that is not AWS: a server that speaks its protocols. Only with `--target aws`.
    #[arg(help_heading = "Stack and target", long, global = true, value_name = "URL", env = "INFRA_ENDPOINT")]
    pub(crate) endpoint: Option<String>,
    /// What counts as ready; `control-plane` is for servers behind which nothing lives.
    #[arg(
        help_heading = "Stack and target",
        long,
        global = true,
        value_enum,
        default_value = "full",
        env = "INFRA_READINESS"
    )]
    pub(crate) readiness: ReadinessName,
    /// Where states are kept: a directory, a `file://` URL, or a URL such as `s3://BUCKET/PREFIX?region=eu-west-1`
    /// [default: DIRECTORY/state].
    #[arg(help_heading = "Storage", long, global = true, value_name = "URL", env = "INFRA_BACKEND")]
    pub(crate) backend: Option<String>,
    /// Where everything on this machine is kept [default: the nearest `.infra` at or above the current directory].
    #[arg(help_heading = "Storage", long, global = true, value_name = "PATH", env = "INFRA_DIRECTORY")]
    pub(crate) directory: Option<PathBuf>,
    /// Print JSON: one event per line, or the answer as one document.
    #[arg(help_heading = "Execution and output", long, global = true)]
    pub(crate) json: bool,
    /// How many operations run at once.
    #[arg(help_heading = "Execution and output", long, global = true, value_name = "N", default_value_t = 16, value_parser = parallel)]
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
    /// This machine: the local cloud, started when it is needed.
    Local,
    /// The real AWS, with the credentials the AWS SDK finds.
    Aws,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReadinessName {
    /// Instances run, targets are healthy.
    Full,
    /// The control plane has accepted it.
    ControlPlane,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows what `up` would do, and changes nothing.
    Preview(Preview),
    /// Makes everything be as the program says.
    Up(Up),
    /// Deletes everything that the stack has.
    Destroy(Destroy),
    /// Reads what lives into the recorded state, and says what differs.
    Refresh(Refresh),
    /// Takes over what exists already, and prints the Rust that declares it.
    Import(Import),
    /// Shows what the program exports.
    Output(Output),
    /// Shows what was done to the stack, by whom and when.
    History {
        /// How many entries, the newest last.
        #[arg(long, short = 'n', default_value_t = 20)]
        lines: usize,
    },
    /// Apply the declaration of an earlier entry of the history. The next `up` undoes it, unless it is pinned.
    Rollback(Rollback),
    /// Draw the resources, grouped by region and component, and their dependencies.
    Graph(Graph),
    /// Looks at the recorded state, and changes it without touching what lives.
    #[command(subcommand)]
    State(State),
    /// The values that the program reads; each stack has its own.
    #[command(subcommand)]
    Config(Config),
    /// The key that encrypts the secrets of all stacks in the backend.
    #[command(subcommand)]
    Secrets(Secrets),
    /// Takes the stack away from a run that holds it and cannot end.
    Unlock {
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
    /// Says as whom the target would be asked, and where.
    LoginCheck,
    /// Lists the programs.
    Programs,
    /// List the stacks of all programs in the backend.
    Ls,
    /// Create a project with a program that builds.
    New(New),
    /// The local cloud of this directory.
    #[command(subcommand)]
    Local(Local),
    /// Prints the completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Selecting {
    /// Only this and what it needs: a URN, a name, or a component; `*` stands for any characters.
    #[arg(help_heading = "Selection", long, value_name = "PATTERN")]
    pub(crate) target_urn: Vec<Pattern>,
    /// Not this.
    #[arg(help_heading = "Selection", long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<Pattern>,
    /// Also what uses a `--target-urn`; neither what uses an `--exclude`.
    #[arg(help_heading = "Selection", long)]
    pub(crate) dependents: bool,
}

impl Selecting {
    pub(crate) fn selection(&self, replace: &[Pattern]) -> infra_core::plan::Selection {
        infra_core::plan::Selection {
            targets: self.target_urn.clone(),
            exclude: self.exclude.clone(),
            replace: replace.to_vec(),
            dependents: self.dependents,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Planning {
    /// Sets a configuration value; `up` remembers it for this stack.
    #[arg(help_heading = "Planning", long, short, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) config: Vec<(String, String)>,
    /// Read everything that exists first, and ask every lookup again.
    #[arg(help_heading = "Planning", long)]
    pub(crate) refresh: bool,
    /// Show every property, also of what is created.
    #[arg(help_heading = "Planning", long)]
    pub(crate) diff: bool,
    /// Replace this, whatever differs; what the program calls relaunchable goes by that name.
    #[arg(help_heading = "Selection", long, value_name = "PATTERN")]
    pub(crate) replace: Vec<Pattern>,
    #[command(flatten)]
    pub(crate) selecting: Selecting,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not KEY=VALUE")),
    }
}

#[derive(Debug, Args)]
pub(crate) struct Preview {
    #[command(flatten)]
    pub(crate) planning: Planning,
    /// End with exit code 3 when there is something to change.
    #[arg(long)]
    pub(crate) expect_no_changes: bool,
    /// Show the order of execution: levels of tasks that can run at the same time, and the critical path.
    #[arg(long, conflicts_with = "json")]
    pub(crate) timeline: bool,
    /// Keep the plan in a new file, for `up --plan`. Secrets in it are encrypted.
    #[arg(long, value_name = "FILE")]
    pub(crate) save_plan: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) planning: Planning,
    /// Do what this plan says, and nothing else. Give the same selection as for its preview.
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: Option<PathBuf>,
    /// Ask nothing: neither whether to make the changes, nor what to relaunch.
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// After a failure, go on with what does not depend on it.
    #[arg(long)]
    pub(crate) continue_on_error: bool,
    /// Remove the pin that `rollback --pin` has set, and apply the program.
    #[arg(long)]
    pub(crate) unpin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Refresh {
    /// End with exit code 3 when something differs.
    #[arg(long)]
    pub(crate) expect_no_changes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The type token, such as `aws:ec2:SecurityGroup` [default: list the types].
    #[arg(value_name = "TYPE", requires = "name")]
    pub(crate) kind: Option<String>,
    /// The name it gets in the program, with the components it lies in.
    #[arg(requires = "id")]
    pub(crate) name: Option<String>,
    /// The provider's id.
    pub(crate) id: Option<String>,
    /// The region that the resource belongs to, for providers with regions.
    #[arg(long, value_name = "REGION", requires = "kind")]
    pub(crate) region: Option<String>,
    /// Many at once: a JSON list of objects with `type`, `name`, `id` and `region`.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["kind", "region"])]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct New {
    /// The directory to create; its last component is the name of the project.
    #[arg(value_name = "NAME")]
    pub(crate) path: PathBuf,
    /// The infra crates: a checkout of their repository, or its Git URL [default: the checkout this command was built from].
    #[arg(long, value_name = "PATH|URL")]
    pub(crate) infra: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// The serial that the history shows.
    #[arg(required_unless_present = "unpin")]
    pub(crate) serial: Option<u64>,
    /// Only show what would be done, and what cannot be undone.
    #[arg(long)]
    pub(crate) preview: bool,
    #[command(flatten)]
    pub(crate) pinning: Pinning,
    /// Ask nothing.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Pinning {
    /// Hold the stack there: `up` is refused until the pin is removed.
    #[arg(long)]
    pub(crate) pin: bool,
    /// Only remove the pin of the stack.
    #[arg(long, conflicts_with_all = ["serial", "preview", "pin"])]
    pub(crate) unpin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Graph {
    /// The output format.
    #[arg(long, value_enum, default_value = "svg")]
    pub(crate) format: GraphFormat,
    /// Colour the resources by the changes that `up` would make.
    #[arg(long, conflicts_with = "state")]
    pub(crate) plan: bool,
    /// Colour the resources by the recorded state.
    #[arg(long)]
    pub(crate) state: bool,
    /// The colours of the picture.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) theme: Theme,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// A picture.
    Svg,
    /// The language of Graphviz.
    Dot,
    /// The nodes with their dependencies.
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Theme {
    /// Light or dark, as the viewer prefers.
    Auto,
    /// Dark on light, as for paper and most slides.
    Light,
    /// Light on dark.
    Dark,
}

#[derive(Debug, Args)]
pub(crate) struct Destroy {
    #[command(flatten)]
    pub(crate) selecting: Selecting,
    /// Only show what would be deleted, and what would be lost with it.
    #[arg(long)]
    pub(crate) preview: bool,
    /// Ask nothing.
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// After a failure, go on with what does not depend on it.
    #[arg(long)]
    pub(crate) continue_on_error: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Only this one, and nothing around it.
    pub(crate) name: Option<String>,
    /// Show secrets in the clear.
    #[arg(long)]
    pub(crate) show_secrets: bool,
    /// Write the value to a new file that only its owner may read.
    #[arg(long, value_name = "PATH", requires = "name")]
    pub(crate) key_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Lists all values; secrets are masked.
    List,
    /// List the keys that the program reads, with their types and defaults.
    Keys,
    /// Shows one value.
    Get {
        /// Its name.
        key: String,
        /// Show it even when it is secret.
        #[arg(long)]
        show_secrets: bool,
    },
    /// Sets a value.
    Set {
        /// Its name.
        key: String,
        /// The value; a secret that is left out is asked for, or read from standard input.
        #[arg(required_unless_present = "secret", allow_hyphen_values = true)]
        value: Option<String>,
        /// Keep it encrypted, and mask it everywhere.
        #[arg(long)]
        secret: bool,
        /// Set the value even if the program does not read it, or cannot read it as the type it needs.
        #[arg(long)]
        force: bool,
    },
    /// Removes a value.
    Unset {
        /// Its name.
        key: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Secrets {
    /// Shows what wraps the key, and whether a rotation is under way.
    Status,
    /// Makes a new key and encrypts every secret anew; one that was killed is brought to its end.
    Rotate,
    /// Wraps the key differently; nothing is encrypted anew.
    Rewrap(Rewrap),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Rewrap {
    /// By a passphrase: INFRA_NEW_PASSPHRASE or INFRA_NEW_PASSPHRASE_FILE, else it is asked for.
    #[arg(long)]
    pub(crate) passphrase: bool,
    /// By a key of a key service: the ARN of a KMS key.
    #[arg(long, value_name = "KEY_ARN")]
    pub(crate) kms: Option<String>,
    /// By nothing: whoever reads the file has the key.
    #[arg(long)]
    pub(crate) plain: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum State {
    /// Lists everything that the stack has.
    List,
    /// Shows all that is recorded of one resource.
    Show {
        /// Its URN or name.
        resource: Pattern,
    },
    /// Forgets resources; they live on.
    Rm {
        /// URNs, names or components; `*` stands for any characters.
        #[arg(required = true)]
        resources: Vec<Pattern>,
    },
    /// Records a resource under another name.
    Mv {
        /// Its URN or name.
        from: Pattern,
        /// The name it gets, with the components it lies in.
        to: String,
    },
    /// Refuses to delete or replace resources from now on.
    Protect {
        /// URNs, names or components; `*` stands for any characters.
        #[arg(required = true)]
        resources: Vec<Pattern>,
    },
    /// Lets resources be deleted and replaced again.
    Unprotect {
        /// URNs, names or components; `*` stands for any characters.
        #[arg(required = true)]
        resources: Vec<Pattern>,
    },
    /// Check that the recorded state is sound.
    Verify,
    /// Restore a damaged or missing state from the files of the generation before.
    Restore {
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Local {
    /// Starts it, unless it runs. What is said here holds for later starts as well, until it is said differently.
    Start(Start),
    /// Show everything that exists in it, and the health of what runs.
    Status {
        /// Show it again every second until Ctrl-C, on a terminal.
        #[arg(long, short)]
        watch: bool,
    },
    /// Print the variables with which the AWS CLI, boto3 and Terraform use it: `eval "$(stack local env)"`.
    Env {
        /// The region.
        #[arg(long, value_name = "REGION", default_value = "us-east-1")]
        region: String,
    },
    /// Show the log of the cloud or of an instance, or follow the logs of all services.
    Logs {
        /// The instance: its id, or the name of its declaration.
        instance: Option<String>,
        /// How many lines of each log.
        #[arg(long, short = 'n', default_value_t = 50)]
        lines: usize,
        /// Print the logs of all services, or of the instance's, as they grow, until Ctrl-C or the end of the cloud.
        #[arg(long, short)]
        follow: bool,
    },
    /// Stops it and everything in it; the next start runs it again.
    Stop,
    /// Stops it and throws away everything that was in it.
    Reset {
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
    /// Makes something go wrong, to see what becomes of the system.
    #[command(subcommand)]
    Fault(FaultName),
    /// What the background process runs.
    #[command(hide = true)]
    Serve,
}

#[derive(Debug, Args)]
pub(crate) struct Start {
    /// The port of its endpoint [default: the one it had, else a free one].
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// How many times faster AWS's waiting periods pass: health intervals, deregistration delays, cooldowns.
    #[arg(long, value_name = "FACTOR", value_parser = time_scale)]
    pub(crate) time_scale: Option<f64>,
    /// Let the policies of users and roles decide what their keys may do; `false` takes it back.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) enforce_iam: Option<bool>,
    /// Add a root access key, with its secret from AWS_SECRET_ACCESS_KEY, beside the generated one.
    #[arg(long, value_name = "ID")]
    pub(crate) access_key: Option<String>,
    /// Accept every access key without checking signatures (unsafe); `false` restores the check.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) accept_any_key: Option<bool>,
    /// Start services with all your rights instead of confining them to their instances (unsafe); `false` takes it back.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) unconfined: Option<bool>,
}

fn time_scale(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(scale) if (1.0..=1000.0).contains(&scale) => Ok(scale),
        _ => Err("write a number from 1 to 1000".into()),
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum FaultName {
    /// The machine under an instance breaks.
    KillInstance {
        /// Its id, or the name of its declaration.
        instance: String,
    },
    /// Everything in a zone stops, and nothing is launched there.
    LoseZone {
        /// Such as us-east-1a.
        zone: String,
    },
    /// The zone is back.
    RestoreZone {
        /// Such as us-east-1a.
        zone: String,
    },
    /// Requests are refused because there were too many.
    Throttle(Faulty),
    /// Requests wait.
    Latency {
        /// For how long.
        milliseconds: u64,
        #[command(flatten)]
        requests: Faulty,
    },
    /// Requests fail with an internal error, and nothing is done.
    Errors(Faulty),
    /// Requests are carried out, and their answers are lost.
    DropAnswers(Faulty),
    /// Control planes show what was so a while ago.
    Lag {
        /// How long ago; 0 ends it.
        milliseconds: u64,
    },
    /// Ends all faults; zones are back.
    Clear,
}

#[derive(Debug, Args)]
pub(crate) struct Faulty {
    /// Only operations such as `ec2:Run*`; S3's are told apart by method, as `s3:PUT`.
    #[arg(long, value_name = "PATTERN", default_value = "*")]
    pub(crate) operation: String,
    /// How many of a hundred requests.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) percent: u8,
    /// For how many requests [default: without end].
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
