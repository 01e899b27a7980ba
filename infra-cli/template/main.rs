//! The infrastructure of this project. `cargo run -- preview` shows the changes that `cargo run -- up` would make.

use infra_aws::{self as aws, Bucket, Parameter, cloudtrail, instances, key, login, monitoring, objects, schemas};
use infra_cli::{Cli, program};
use infra_core::{Config, Result, Stack, random::Password};
use std::process::ExitCode;

/// Declares a bucket, and a parameter that holds a generated password.
fn infrastructure(stack: &Stack, config: &Config) -> Result {
    let region = aws::region(stack, &config.get_or("region", "us-east-1")?);
    let bucket =
        region.add("files", Bucket { force_delete: config.get_or("forceDelete", false)?, ..Bucket::default() });
    let password = stack.add("password", Password::of_length(config.get_or("passwordLength", 24_u32)?));
    let parameter = region.add("password", Parameter::secure(password.value));
    stack.export("bucket", bucket.name);
    stack.export("parameter", parameter.name);
    Ok(())
}

fn main() -> ExitCode {
    Cli::new([program(env!("CARGO_PKG_NAME"), infrastructure)])
        .wrapper(key::SCHEME, key::factory())
        .backend(objects::SCHEME, objects::open)
        .login(login::identity)
        .last_change(cloudtrail::last_change)
        .monitoring(monitoring::open)
        .instances(instances::of_stack)
        .schemas(schemas::describe)
        .run()
}
