//! Restrictions of the calling thread and everything it starts: Landlock, privileges, resource limits.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, Compatible as _, Ruleset, RulesetAttr as _, RulesetCreated,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Confinement, ConfinementStatus};

/// Directories that every program may read, where they exist.
pub(super) const SYSTEM: &[&str] =
    &["/usr", "/etc", "/opt", "/nix", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/sys", "/dev"];

/// Files and directories outside of them that programs may need to read.
pub(super) const RUNTIME: &[&str] = &["/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager/resolv.conf"];

/// Devices that may be written to.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/shm"];

/// Directories that are private to the program once it has a mount namespace of its own.
const PRIVATE: &[&str] = &["/tmp", "/var/tmp"];

/// The newest interface whose rights are used.
const INTERFACE: ABI = ABI::V6;

const OPEN_FILES: u64 = 65_536;
const PROCESSES: u64 = 8192;
const FILE_BYTES: u64 = 64 << 30;

/// Restricts this thread, as far as the kernel can. `has_own_root` is true in a mount namespace of its own. The files in
/// `read` may be read as well.
pub(super) fn restrict(confinement: &Confinement, has_own_root: bool, read: &[PathBuf]) -> ConfinementStatus {
    let mut status = ConfinementStatus::default();
    match rustix::thread::set_no_new_privs(true) {
        Ok(()) => status.privileges = true,
        Err(error) => status.reasons.push(format!("privileges cannot be given up: {error}")),
    }
    match landlock(confinement, has_own_root, read) {
        Ok(RulesetStatus::FullyEnforced) => (status.files, status.signals) = (true, true),
        Ok(RulesetStatus::PartiallyEnforced) => {
            status.files = true;
            status.reasons.push("this kernel's Landlock is older than 6.12: signals are not restricted".to_owned());
        }
        Ok(RulesetStatus::NotEnforced) => status.reasons.push("this kernel has no Landlock".to_owned()),
        Err(error) => status.reasons.push(format!("Landlock does not work: {error}")),
    }
    status
}

fn landlock(confinement: &Confinement, has_own_root: bool, files: &[PathBuf]) -> Result<RulesetStatus, RulesetError> {
    let all = AccessFs::from_all(INTERFACE);
    let read = AccessFs::from_read(INTERFACE);
    let written = all & !(AccessFs::MakeChar | AccessFs::MakeBlock);
    let rules = Ruleset::default()
        .set_compatibility(landlock::CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(INTERFACE))?
        .create()?;
    let rules = allow(rules, SYSTEM.iter().chain(RUNTIME), read)?;
    let rules = allow(rules, DEVICES, read | AccessFs::from_write(INTERFACE) & written)?;
    let rules = allow(rules, private(confinement, has_own_root), written)?;
    let rules = allow(rules, confinement.readable.iter().chain(files), read)?;
    let rules = allow(rules, &confinement.writable, written)?;
    Ok(rules.restrict_self()?.ruleset)
}

/// The private directories. A right holds for everything below, so those above the program's own are left out.
fn private(confinement: &Confinement, has_own_root: bool) -> impl Iterator<Item = &'static Path> {
    let own: Vec<&PathBuf> = confinement.readable.iter().chain(&confinement.writable).collect();
    let is_above = |private: &Path| own.iter().any(|path| path.starts_with(private));
    let private: Vec<&Path> = PRIVATE.iter().map(Path::new).filter(|path| has_own_root && !is_above(path)).collect();
    private.into_iter()
}

/// Paths that do not exist are left out.
fn allow<P: AsRef<Path>>(
    rules: RulesetCreated,
    paths: impl IntoIterator<Item = P>,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    rules.add_rules(path_beneath_rules(paths, access))
}

/// Lowers this process's limits: no core files, and an end to runaway processes, files and logs.
pub(super) fn limit_resources() {
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Nofile, OPEN_FILES),
        (Resource::Nproc, PROCESSES),
        (Resource::Fsize, FILE_BYTES),
    ] {
        let limit = getrlimit(resource);
        let lower = |limit: Option<u64>| Some(limit.map_or(most, |limit| limit.min(most)));
        let limit = Rlimit { current: lower(limit.current), maximum: lower(limit.maximum) };
        // Lowering a limit needs no permission; where it fails all the same, the limit stays.
        let _ = setrlimit(resource, limit);
    }
}
