//! The process that confines itself and then becomes the program.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, exit};

use rustix::thread::{CapabilitySet, capability_is_in_bounding_set, remove_capability_from_bounding_set};

use super::{Confinement, ConfinementStatus, MARK, mounts, restrictions};

/// Exit code of shells for a command that cannot be executed.
const NOT_EXECUTED: i32 = 126;

/// Becomes the program: the arguments are the confinement as JSON, the program and its arguments.
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
    let status = confine(&Confinement::default());
    let printed = serde_json::to_string(&status).map(|text| println!("{text}"));
    exit(i32::from(printed.is_err()))
}

fn become_program(mut arguments: impl Iterator<Item = OsString>) -> io::Result<Infallible> {
    let missing = || io::Error::other("a launcher is started by the local cloud alone");
    let confinement = arguments.next().ok_or_else(missing)?;
    let confinement: Confinement = serde_json::from_slice(confinement.as_encoded_bytes())?;
    let program = arguments.next().ok_or_else(missing)?;
    confine(&confinement);
    let mut command = Command::new(&program);
    command.args(arguments).env_remove(MARK);
    if let Some(user) = confinement.user {
        command.uid(user.uid).gid(user.gid);
    }
    Err(command.exec())
}

/// Applies everything that the kernel offers, in the order that the parts depend on: a Landlock domain forbids mounts.
fn confine(confinement: &Confinement) -> ConfinementStatus {
    restrictions::limit_resources();
    let mounted = mounts::enter(confinement);
    drop_capabilities();
    let mut status = restrictions::restrict(confinement, mounted.is_ok());
    match mounted {
        Ok(()) => status.sockets = true,
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
