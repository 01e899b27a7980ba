//! A user-defined provider (`provider.rs`) and the embedded engine, without the command line and without a cloud.
//!
//! `cargo run --example files -- DIRECTORY` creates a small tree of files, changes it, and prints the plans.

pub mod provider;

use infra_core::{Config, Engine, Result, Stack, output_format, random::Password, store::FileStore};
use provider::{Directory, File};
use std::path::{Path, PathBuf};

/// Returns a program that declares the files below `root`.
fn site(root: PathBuf, greeting: &'static str) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        stack.provide("files", || provider::provider(&root));
        let directory = stack.add("site", Directory::at("site"));
        let index = stack.add("index", File::new(&directory.path, "index.html", format!("<h1>{greeting}</h1>\n")));
        let token = stack.add("token", Password::of_length(24));
        let token = File { mode: 0o600, ..File::new(&directory.path, "token", token.value) };
        stack.add("token", token);
        stack.export("index", output_format!("{} has {} bytes", index.path, index.size_bytes));
        Ok(())
    }
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let root = std::env::args().nth(1).ok_or("the directory is missing: cargo run --example files -- DIRECTORY")?;
    let root = Path::new(&root);
    std::fs::create_dir_all(root)?;
    let engine = Engine::new("site", "dev", FileStore::new(root.join(".state")));
    for greeting in ["Hello", "Good evening"] {
        let program = site(root.to_owned(), greeting);
        print!("{}", engine.preview(&program).await?);
        let report = engine.up(&program).await?;
        if !report.is_success() {
            return Err(report.failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n").into());
        }
        for (name, value) in engine.outputs().await? {
            println!("{name}: {value}");
        }
    }
    println!("{} is kept; `Engine::destroy` would delete it", root.join("site").display());
    Ok(())
}
