//! The process that confines itself and then becomes the program.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, exit};

use rustix::thread::{CapabilitySet, capability_is_in_bounding_set, remove_capability_from_bounding_set};

use super::{Confinement, ConfinementStatus, Instructions, Network, mounts, restrictions};
use crate::runtime::executable::MARK;
use crate::runtime::network::{NameFiles, namespaces};

/// Exit code of shells for a command that cannot be executed.
const NOT_EXECUTED: i32 = 126;
/// Exit code of shells for a command that does not exist.
const NOT_FOUND: i32 = 127;

/// Capabilities by which a program of root could change its network.
const OVER_NETWORK: &[CapabilitySet] = &[
    CapabilitySet::NET_ADMIN,
    CapabilitySet::NET_RAW,
    CapabilitySet::SYS_ADMIN,
    CapabilitySet::SYS_MODULE,
    CapabilitySet::SYS_PTRACE,
    CapabilitySet::BPF,
];

/// Becomes the program: the arguments are the instructions as JSON, the program and its arguments.
pub(super) fn run(arguments: impl Iterator<Item = OsString>) -> ! {
    match become_program(arguments) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("the program cannot be started: {error}");
            exit(NOT_EXECUTED)
        }
    }
}

/// Prints what a program would be confined by, as JSON.
pub(super) fn probe() -> ! {
    let status = confine(&Confinement::default(), None);
    let printed = serde_json::to_string(&status).map(|text| println!("{text}"));
    exit(i32::from(printed.is_err()))
}

fn become_program(mut arguments: impl Iterator<Item = OsString>) -> io::Result<Infallible> {
    let missing = || io::Error::other("a launcher is started by the local cloud alone");
    let instructions = arguments.next().ok_or_else(missing)?;
    let instructions: Instructions = serde_json::from_slice(instructions.as_encoded_bytes())?;
    let program = arguments.next().ok_or_else(missing)?;
    if let Some(network) = &instructions.network {
        let context =
            |error: io::Error| io::Error::new(error.kind(), format!("its network cannot be entered: {error}"));
        enter_network(network).map_err(context)?;
    }
    if instructions.is_confined {
        confine(&instructions.confinement, instructions.network.and_then(|network| network.names).as_ref());
    }
    let mut command = Command::new(&program);
    command.args(arguments).env_remove(MARK);
    if let Some(user) = instructions.confinement.user {
        command.uid(user.uid).gid(user.gid);
    }
    let error = command.exec();
    eprintln!("the program {} cannot be started: {error}", program.display());
    exit(if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTED })
}

/// Enters a network namespace.
///
/// The user namespace that is entered with it grants capabilities to this process. A program of a user other than root
/// loses them when it is executed, and gains none from files that are not in the bounding set.
fn enter_network(network: &Network) -> io::Result<()> {
    match &network.file {
        Some(file) => namespaces::enter(File::open(file)?, network.owner)?,
        None => {
            namespaces::enter(io::stdin(), network.owner)?;
            rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        }
    }
    for capability in OVER_NETWORK {
        if capability_is_in_bounding_set(*capability)? {
            remove_capability_from_bounding_set(*capability)?;
        }
    }
    Ok(())
}

/// Applies everything that the kernel offers, in the order that the parts depend on: a Landlock domain forbids mounts.
fn confine(confinement: &Confinement, names: Option<&NameFiles>) -> ConfinementStatus {
    restrictions::limit_resources();
    let mounted = mounts::enter(confinement, names);
    drop_capabilities();
    let read = mounted.as_deref().unwrap_or_default();
    let mut status = restrictions::restrict(confinement, mounted.is_ok(), read);
    match mounted {
        Ok(_) => status.sockets = true,
        Err(error) => status.reasons.push(format!("there is no mount namespace: {error}")),
    }
    status
}

/// A program of root keeps the right to low ports and no other.
fn drop_capabilities() {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if capability != CapabilitySet::NET_BIND_SERVICE && capability_is_in_bounding_set(capability) == Ok(true) {
            // Without CAP_SETPCAP the process has no capabilities to drop.
            let _ = remove_capability_from_bounding_set(capability);
        }
    }
}
