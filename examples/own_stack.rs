//! A complete stack in a single file: `cargo run --example own_stack -- up`.

use infra_aws::{self as aws, Bucket, Parameter};
use infra_cli::program;
use infra_core::{Config, Result, Stack, random::Password};
use std::process::ExitCode;

/// Declares a bucket, and a password in a parameter that programs may read.
fn notes(stack: &Stack, config: &Config) -> Result {
    let region = aws::region(stack, &config.get_or("region", "us-east-1")?);
    let bucket = region.add("notes", Bucket { force_delete: true, ..Bucket::default() });
    let password = stack.add("password", Password::of_length(24));
    let parameter = region.add("password", Parameter::secure(password.value));
    stack.export("bucket", bucket.name);
    stack.export("parameter", parameter.name);
    Ok(())
}

fn main() -> ExitCode {
    infra_cli::run([program("notes", notes)])
}
