//! The cases, and the run of each of them.

mod agreement;
mod behaviour;
mod cloud;
mod example;
mod faults;
mod refused;
mod replication;
mod resolver;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Instant;

use infra_local::fabric_testing;

use crate::skip::skip;

const NOBODY: u32 = 65534;

/// Set for the second run, as an unprivileged user.
const WITHOUT_ROOT: &str = "TEST_WITHOUT_ROOT";

/// Runs the cases whose names contain the first argument.
pub(crate) fn main() {
    let filter = std::env::args().nth(1).filter(|argument| !argument.starts_with('-')).unwrap_or_default();
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if std::env::var_os(refused::CHILD).is_some() {
        runtime().block_on(refused::report());
        return;
    }
    if let Some(reason) = fabric_testing::unavailable() {
        skip(&reason);
        return;
    }
    let runtime = runtime();
    let mut ran = 0;
    macro_rules! run {
        ($($module:ident::$case:ident),* $(,)?) => {$(
            if stringify!($case).contains(&filter) {
                let started = Instant::now();
                runtime.block_on($module::$case());
                println!("test {} ... ok ({} ms)", stringify!($case), started.elapsed().as_millis());
                ran += 1;
            }
        )*};
    }
    run![
        behaviour::connections_follow_security_groups_and_routes,
        behaviour::a_removed_rule_blocks_new_connections_and_keeps_open_ones,
        behaviour::the_router_answers_requests_for_metadata_and_names,
        behaviour::a_program_cannot_change_its_network,
        behaviour::a_stopped_cloud_finds_its_network_again,
        behaviour::a_killed_network_process_is_replaced,
        behaviour::the_network_process_stops_with_its_directory,
        faults::a_partition_stops_open_and_new_connections_until_it_is_cleared,
        faults::lost_packets_slow_a_transfer_down_and_keep_its_data,
        faults::delayed_packets_arrive_later_and_unchanged,
        replication::a_standby_streams_from_the_private_address_of_its_primary,
        resolver::programs_and_sockets_of_an_instance_resolve_names,
        refused::a_refusal_leads_to_loopback_or_to_an_error_with_the_remedies,
        behaviour::an_instance_forwards_packets_only_without_its_source_destination_check,
        behaviour::an_entry_of_a_network_acl_closes_connections_until_it_is_deleted,
        cloud::a_fault_of_a_zone_survives_the_cloud_and_affects_later_instances,
        agreement::packets_and_the_model_agree,
        behaviour::a_large_network_is_created_and_changed_quickly,
    ];
    if rustix::process::geteuid().is_root() {
        run![behaviour::packets_with_another_source_address_are_dropped];
        as_nobody(&filter);
        println!("test the_same_without_root ... ok");
        ran += 1;
    } else if std::env::var_os(WITHOUT_ROOT).is_none() {
        skip("only root can forge a source address, and run the tests a second time as an unprivileged user");
    }
    println!("\ntest result: ok. {ran} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
}

/// Runs this executable again as a user without rights, from a place that the user can reach.
fn as_nobody(filter: &str) {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = place.path().join("network");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let scratch = place.path().join("scratch");
    fs::create_dir(&scratch).unwrap();
    std::os::unix::fs::chown(&scratch, Some(NOBODY), Some(NOBODY)).unwrap();
    let mut command = Command::new(program);
    command.arg(filter);
    command.uid(NOBODY).gid(NOBODY).env("TMPDIR", &scratch).env("HOME", &scratch).current_dir(&scratch);
    command.env(WITHOUT_ROOT, "1");
    assert!(command.status().unwrap().success(), "it fails as user {NOBODY}");
}
