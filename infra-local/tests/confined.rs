//! Confinement of a service: it can access its own files and nothing else.
//!
//! This executable is its own launcher, so it has no test harness. As root it runs everything a second time as an
//! unprivileged user.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../tests/skip.rs"]
mod skip;
mod support;

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use infra_local::{LocalCloud, Options};
use support::{eventually, instance, launch, running_service};

const NOBODY: u32 = 65534;

/// Set for the second run, as an unprivileged user.
const WITHOUT_ROOT: &str = "TEST_WITHOUT_ROOT";

fn main() {
    infra_local::enable_launcher();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut ran = 0;
    for (name, unconfined) in
        [("a_confined_service_reaches_its_own_files_alone", false), ("an_unconfined_one_reaches_all", true)]
    {
        runtime.block_on(check(unconfined));
        println!("test {name} ... ok");
        ran += 1;
    }
    if rustix::process::geteuid().is_root() {
        as_nobody();
        println!("test the_same_without_root ... ok");
        ran += 1;
    } else if std::env::var_os(WITHOUT_ROOT).is_none() {
        skip::skip("only root can run the tests a second time as an unprivileged user");
    }
    println!("\ntest result: ok. {ran} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
}

/// Runs this executable again as an unprivileged user, from a directory that the user can enter.
fn as_nobody() {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = place.path().join("confined");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let scratch = place.path().join("scratch");
    fs::create_dir(&scratch).unwrap();
    std::os::unix::fs::chown(&scratch, Some(NOBODY), Some(NOBODY)).unwrap();
    let mut command = Command::new(program);
    command.uid(NOBODY).gid(NOBODY).env("TMPDIR", &scratch).env("HOME", &scratch).current_dir(&scratch);
    command.env(WITHOUT_ROOT, "1");
    assert!(command.status().unwrap().success(), "it fails as user {NOBODY}");
}

/// Returns a script that reports the access of a service, with a line for each attempt.
fn script(outside: &Path, cloud: &Path, other: &Path, victim: u32) -> String {
    let (outside, cloud, other) = (outside.display(), cloud.display(), other.display());
    format!(
        r#"#!/bin/sh
try() {{ what=$1; shift; if "$@" >/dev/null 2>&1; then echo "$what"; fi >>report; }}
connect='use IO::Socket::UNIX; exit(IO::Socket::UNIX->new(Peer => $ARGV[0]) ? 0 : 1)'
try own-file sh -c 'echo x >own && cat own'
try temporary-file sh -c 'echo x >"$TMPDIR/x"'
try system-file cat /etc/passwd
try own-program test -x ../bin/service
try change-own-program sh -c 'echo x >>../bin/service'
try read-outside cat {outside}/secret
try write-outside sh -c 'echo x >{outside}/new'
try read-key cat {cloud}/credentials.json
try read-other-instance ls {other}
try own-log sh -c 'echo x >>../service.log'
try connect perl -e "$connect" {outside}/socket
try signal sh -c 'kill -0 {victim}'
try environment cat /proc/{victim}/environ
echo done >>report
exec sleep 600
"#
    )
}

async fn check(unconfined: bool) {
    let directory = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let _listening = UnixListener::bind(outside.path().join("socket")).unwrap();
    let cloud = LocalCloud::start(Options { unconfined, ..Options::new(directory.path()) }).await.unwrap();
    let other = launch(&cloud, "#!/bin/sh\nexec sleep 600\n").await;
    let victim = running_service(&cloud, &other, None).await.pid.unwrap();
    let root = directory.path().canonicalize().unwrap();
    let script = script(outside.path(), &root, &root.join("instances").join(&other), victim);
    let id = launch(&cloud, &script).await;
    let service = running_service(&cloud, &id, None).await;
    let report = service.log.parent().unwrap().join("root/report");
    let text = eventually(async || {
        let text = fs::read_to_string(&report).ok()?;
        text.ends_with("done\n").then_some(text)
    })
    .await;
    let reached: Vec<&str> = text.lines().collect();

    let status = cloud.status().await.confinement;
    let own = ["own-file", "temporary-file", "system-file", "own-program"];
    let others = [
        "change-own-program",
        "read-outside",
        "write-outside",
        "read-key",
        "read-other-instance",
        "own-log",
        "connect",
        "signal",
        "environment",
    ];
    if unconfined {
        assert_eq!(reached, [&own[..], &others, &["done"]].concat());
        assert!(!status.files && !status.sockets && status.reasons.len() == 1, "{status:?}");
    } else {
        // The status reports the restrictions that the kernel does not support.
        let granted = |attempt: &&str| match *attempt {
            "connect" => !status.sockets,
            "signal" => !status.signals,
            _ => !status.files && !status.sockets,
        };
        let mut expected = own.to_vec();
        expected.extend(others.iter().copied().filter(|attempt| granted(attempt)));
        assert_eq!(reached, [&expected[..], &["done"]].concat(), "{status:?}");
        let complete = status.files && status.signals && status.sockets && status.privileges;
        assert!(complete || !status.reasons.is_empty(), "{status:?}");
        if cfg!(target_os = "linux") && Path::new("/proc/self/ns/user").exists() {
            assert!(status.files && status.privileges, "this kernel has Landlock: {status:?}");
        }
        assert_eq!(limits(service.pid.unwrap()), "Max core file size 0 0 bytes");
    }
    assert_eq!(instance(&cloud, &id).await.state, "running");
    cloud.shutdown().await;
}

/// Returns the line about core files in a process's limits.
fn limits(pid: u32) -> String {
    let mut text = String::new();
    fs::File::open(format!("/proc/{pid}/limits")).unwrap().read_to_string(&mut text).unwrap();
    let line = text.lines().find(|line| line.starts_with("Max core")).unwrap();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
