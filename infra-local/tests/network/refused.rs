//! Kernels that refuse namespaces or packet filters: the choice of the network, and the messages.
//!
//! Each refusal is produced in a child, in a user or mount namespace of its own.

use std::process::Command;

use infra_local::{LocalCloud, NetworkChoice, Options};
use serde_json::{Value, json};

/// Set for a child, which prints the networks that it gets.
pub(super) const CHILD: &str = "TEST_REFUSED";

/// Starts a cloud with each choice, and prints the network of `auto` and the error of `namespaces`: the child's part.
pub(super) async fn report() {
    let directory = tempfile::tempdir().unwrap();
    let options = |network| Options { network, ..Options::new(directory.path()) };
    let cloud = LocalCloud::start(options(NetworkChoice::Auto)).await.unwrap();
    let network = cloud.status().await.network;
    cloud.shutdown().await;
    let error = LocalCloud::start(options(NetworkChoice::Namespaces)).await.err().map(|error| error.to_string());
    println!("{}", json!({"auto": network, "namespaces": error}));
}

/// A namespace in which the kernel or the system refuses something.
struct Refusal {
    /// Options of `unshare`.
    namespace: &'static [&'static str],
    /// Commands of a shell in the namespace that cause the refusal.
    setup: &'static str,
    /// Parts of the reason, with what to do about it.
    reason: &'static [&'static str],
}

/// An unprivileged user, who still has the capabilities of the setup.
const USER: &[&str] = &["--user", "--map-user=1000", "--map-group=1000", "--keep-caps"];
const USER_AND_MOUNTS: &[&str] = &["--user", "--map-user=1000", "--map-group=1000", "--keep-caps", "--mount"];
const ROOT: &[&str] = &["--user", "--map-root-user"];
const ROOT_AND_MOUNTS: &[&str] = &["--user", "--map-root-user", "--mount"];

const REFUSALS: &[Refusal] = &[
    Refusal {
        namespace: USER,
        setup: "echo 0 > /proc/sys/user/max_user_namespaces",
        reason: &["forbids user namespaces", "`sudo sysctl -w user.max_user_namespaces=10000`", "as root"],
    },
    Refusal {
        namespace: ROOT,
        setup: "echo 0 > /proc/sys/user/max_net_namespaces",
        reason: &["forbids network namespaces", "`sudo sysctl -w user.max_net_namespaces=10000`"],
    },
    // AppArmor's setting, and a kernel that refuses user namespaces as it does.
    Refusal {
        namespace: USER_AND_MOUNTS,
        setup: "mount -t tmpfs none /proc/sys/kernel
            echo 1 > /proc/sys/kernel/apparmor_restrict_unprivileged_userns
            echo 0 > /proc/sys/user/max_user_namespaces",
        reason: &["AppArmor forbids", "kernel.apparmor_restrict_unprivileged_userns=0`", "`userns,`"],
    },
    Refusal {
        namespace: ROOT_AND_MOUNTS,
        setup: "for program in /usr/sbin/nft /usr/bin/nft /usr/local/sbin/nft; do
                [ -e $program ] && mount --bind /dev/null $program
            done
            PATH=/usr/bin:/bin",
        reason: &["the program `nft` was not found", "`sudo apt install nftables`"],
    },
    // The answer of `nft` on a kernel without its module.
    Refusal {
        namespace: ROOT_AND_MOUNTS,
        setup: r#"directory=$(mktemp -d)
            printf '#!/bin/sh\necho "Error: Could not process rule: Operation not supported" >&2; exit 1\n' > $directory/nft
            chmod +x $directory/nft
            PATH=$directory:$PATH"#,
        reason: &["packet filters cannot be set", "Operation not supported", "`sudo modprobe nf_tables"],
    },
];

pub(crate) async fn a_refusal_leads_to_loopback_or_to_an_error_with_the_remedies() {
    for refusal in REFUSALS {
        let Refusal { namespace, setup, reason } = refusal;
        let script = format!("set -e\n{setup}\nexec setpriv --ambient-caps=-all --inh-caps=-all \"$@\"");
        let script = if namespace.contains(&"--map-root-user") { format!("{setup}\nexec \"$@\"") } else { script };
        let mut command = Command::new("unshare");
        command.args(*namespace).args(["sh", "-c", &script, "sh"]).arg(std::env::current_exe().unwrap());
        let output = command.env(CHILD, "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let report: Value = serde_json::from_str(text.trim())
            .unwrap_or_else(|error| panic!("{setup}: {error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(report["auto"]["namespaces"], false, "{setup}: {report}");
        for part in *reason {
            for text in [&report["auto"]["reason"], &report["namespaces"]] {
                assert!(text.as_str().is_some_and(|text| text.contains(part)), "`{part}` is missing in {text}");
            }
        }
        let error = report["namespaces"].as_str().unwrap();
        assert!(error.contains("`--network auto` uses the loopback interface"), "{error}");
    }
}
