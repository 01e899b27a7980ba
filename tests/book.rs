//! README.md and the chapters of the book, whose Rust code is compiled as doctests.

macro_rules! chapters {
    ($($module:ident: $path:literal)+) => {
        $(
            #[doc = include_str!($path)]
            mod $module {}
        )+
    };
}

chapters! {
    readme: "../README.md"
    introduction: "../docs/src/introduction.md"
    getting_started: "../docs/src/getting-started.md"
    writing_a_program: "../docs/src/writing-a-program.md"
    components: "../docs/src/components.md"
    cloudformation_types: "../docs/src/cloudformation-types.md"
    secrets_and_configuration: "../docs/src/secrets-and-configuration.md"
    state: "../docs/src/state.md"
    local_cloud: "../docs/src/local-cloud.md"
    console: "../docs/src/console.md"
    rehearsal: "../docs/src/rehearsal.md"
    testing: "../docs/src/testing.md"
    running_on_aws: "../docs/src/running-on-aws.md"
    system_tasks: "../docs/src/system-tasks.md"
    system_selfieless_acts: "../docs/src/system-selfieless-acts.md"
    system_bookstore: "../docs/src/system-bookstore.md"
    system_db_patterns: "../docs/src/system-db-patterns.md"
    embedding: "../docs/src/embedding.md"
    writing_a_provider: "../docs/src/writing-a-provider.md"
    coming_from_terraform: "../docs/src/coming-from-terraform.md"
    coming_from_pulumi: "../docs/src/coming-from-pulumi.md"
    commands: "../docs/src/commands.md"
    exit_codes: "../docs/src/exit-codes.md"
    troubleshooting: "../docs/src/troubleshooting.md"
    glossary: "../docs/src/glossary.md"
    fidelity: "../docs/src/fidelity.md"
    data_plane: "../docs/src/data-plane.md"
    guarantees: "../docs/src/guarantees.md"
    benchmarks: "../docs/src/benchmarks.md"
}
