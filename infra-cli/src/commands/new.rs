//! `stack new`

use crate::{exit::Exit, failure::Failure};
use clap::Args;
use infra_core::diagnostic::Diagnostic;
use serde_json::json;
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Crates that a project depends on.
const CRATES: [&str; 3] = ["infra-aws", "infra-cli", "infra-core"];

/// Main file of the project. This repository compiles it as an example, so that it always builds.
const MAIN: &str = include_str!("../../template/main.rs");

/// Keywords of Rust and names that Cargo reserves, which no package can have.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// Create a project with an example program
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// Directory to create; its last component is the name of the project
    #[arg(value_name = "NAME")]
    path: PathBuf,
    /// Checkout or Git URL of the infra crates [default: the checkout that this command was built from]
    #[arg(long, value_name = "PATH|URL")]
    infra: Option<String>,
}

pub(super) fn run(arguments: &NewArgs, json: bool) -> Result<ExitCode, Failure> {
    let directory = std::path::absolute(&arguments.path)?;
    let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    check_name(name)?;
    let source = Source::choose(arguments.infra.as_deref())?;
    let manifest = manifest(name, &source);
    ensure_empty(&directory)?;
    fs::create_dir_all(directory.join("src")).map_err(failed_at(&directory))?;
    let readme = include_str!("../../template/README.md").replace("{name}", name);
    let files = [
        ("Cargo.toml", manifest.as_str()),
        ("src/main.rs", MAIN),
        ("README.md", &readme),
        (".gitignore", include_str!("../../template/gitignore")),
    ];
    for (file, text) in files {
        write(&directory.join(file), text.as_bytes())?;
    }
    // With the lock file, the project uses the versions that the crates were tested with.
    if let Some(lock) = source.lock()? {
        write(&directory.join("Cargo.lock"), &lock)?;
    }
    if json {
        print_line!("{}", json!({"name": name, "path": directory}));
    } else {
        let path = arguments.path.display();
        print_line!("created the project `{name}`\n\n  cd {path}\n  cargo run -- preview\n  cargo run -- up");
    }
    Ok(Exit::Done.into())
}

/// Source of the infra crates.
enum Source {
    /// Path of a checkout of the repository.
    Path(PathBuf),
    /// URL of the repository.
    Git(String),
}

impl Source {
    fn choose(named: Option<&str>) -> Result<Self, Failure> {
        match named {
            Some(url) if url.contains("://") || url.starts_with("git@") => Ok(Self::Git(url.to_owned())),
            Some(path) => {
                let path = fs::canonicalize(path).map_err(failed_at(Path::new(path)))?;
                if is_checkout(&path) {
                    return Ok(Self::Path(path));
                }
                let missing = format!("it does not contain {}", CRATES.join(", "));
                let wrong = Diagnostic::error(missing).about(path.display());
                Err(Failure::wrong_use(wrong.hint("specify a checkout of the infra repository, or its Git URL")))
            }
            None => {
                let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).parent().filter(|path| is_checkout(path));
                built_from.map(|path| Self::Path(path.to_owned())).ok_or_else(|| {
                    let unknown = Diagnostic::error(
                        "the checkout that this command was built from does not exist on this machine",
                    );
                    Failure::wrong_use(unknown.hint("add `--infra` with a checkout of the repository, or its Git URL"))
                })
            }
        }
    }

    fn lock(&self) -> Result<Option<Vec<u8>>, Failure> {
        let Self::Path(path) = self else {
            return Ok(None);
        };
        let path = path.join("Cargo.lock");
        match fs::read(&path) {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed_at(&path)(error)),
        }
    }
}

/// Cargo deletes its own checkouts of Git dependencies when they are not used, so a project must not point to one.
fn is_checkout(path: &Path) -> bool {
    !path.join(".cargo-ok").exists() && CRATES.iter().all(|name| path.join(name).join("Cargo.toml").is_file())
}

fn manifest(name: &str, source: &Source) -> String {
    let dependencies = CRATES.map(|dependency| {
        // A JSON string is also a TOML string.
        let from = match source {
            Source::Path(path) => format!("path = {}", json!(path.join(dependency))),
            Source::Git(url) => format!("git = {}", json!(url)),
        };
        format!("{dependency} = {{ {from} }}\n")
    });
    format!(
        r#"[package]
name = "{name}"
version = "0.1.0"
edition = "2024"
rust-version = "{}"
publish = false

[dependencies]
{}
# Dependencies without debug information: they build faster and need less than half of the disk.
[profile.dev.package."*"]
debug = false

# A project of its own, also below the directory of another workspace.
[workspace]
"#,
        env!("CARGO_PKG_RUST_VERSION"),
        dependencies.concat(),
    )
}

fn check_name(name: &str) -> Result<(), Failure> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let well_formed =
        name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(allowed);
    if well_formed && !RESERVED.contains(&name) {
        return Ok(());
    }
    let reason = if well_formed { "it is a reserved word" } else { "it is not a package name" };
    let wrong = Diagnostic::error(format!("`{name}` is not a valid name of a project: {reason}"));
    Err(Failure::wrong_use(wrong.hint("write up to 64 letters, digits, `-` and `_`, beginning with a letter")))
}

/// Refuses a directory with files, so that none is overwritten.
fn ensure_empty(directory: &Path) -> Result<(), Failure> {
    let refused = |what: &str| {
        let wrong = Diagnostic::error(what).about(directory.display());
        Err(Failure::wrong_use(wrong.hint("choose a directory that does not exist yet")))
    };
    match fs::read_dir(directory) {
        Ok(mut entries) => match entries.next() {
            Some(_) => refused("the directory is not empty"),
            None => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => refused("it is a file, not a directory"),
        Err(error) => Err(failed_at(directory)(error)),
    }
}

fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let file = fs::OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(content)).map_err(failed_at(path))
}

fn failed_at(path: &Path) -> impl Fn(io::Error) -> Failure + use<> {
    let path = path.to_owned();
    move |error| Failure::of(Diagnostic::error(error.to_string()).about(path.display()))
}
