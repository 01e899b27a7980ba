//! The `stack` command: `cargo run --bin stack -- up`.

use infra_aws::{cloudtrail, instances, key, login, monitoring, objects, schemas};
use infra_cli::{Cli, program};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let programs = [
        program("multicloud-orm", stacks::multicloud_orm::multicloud_orm)
            .about("a scaled application, with its database in another region"),
        program("selfieless-acts", stacks::selfieless_acts::selfieless_acts)
            .about("two services behind one load balancer, and an orchestrator of processes"),
        program("bookstore", stacks::bookstore::bookstore)
            .about("an application on a database cluster in three availability zones"),
        program("db-patterns", stacks::db_patterns::db_patterns)
            .about("a gatekeeper, a trusted host and a proxy in front of a replicated database")
            .demo(stacks::db_patterns::send_requests),
    ];
    Cli::new(programs)
        .wrapper(key::SCHEME, key::factory())
        .backend(objects::SCHEME, objects::open)
        .login(login::identity)
        .last_change(cloudtrail::last_change)
        .schemas(schemas::describe)
        .monitoring(monitoring::open)
        .instances(instances::of_stack)
        .run()
}
