//! OpenSSH's server on a free port of the loopback interface, with keys and a configuration of its own.

use crate::skip::skip;
use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

/// Path of Debian's server, which has to be started by an absolute path.
const SSHD: &str = "/usr/sbin/sshd";

/// Runs a command line in a mount namespace whose `/run` is empty except for the directory that the server needs as root.
/// Debian's service unit creates that directory.
const WITH_RUN_DIRECTORY: &str = "mount -t tmpfs -o mode=755 tmpfs /run && mkdir -m 755 /run/sshd && exec \"$@\"";

/// A running server, which stops when it is dropped.
pub(crate) struct Sshd {
    process: Child,
    directory: PathBuf,
    port: u16,
}

impl Sshd {
    /// Starts a server in this directory with a new host key. It admits the user of the tests with this public key. Skips
    /// the test and returns `None` if the server is not installed.
    pub(crate) fn start(directory: &Path, public_key: &str) -> Option<Self> {
        if !Path::new(SSHD).exists() {
            skip("OpenSSH's server is not installed");
            return None;
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join("authorized_keys"), public_key).unwrap();
        Some(Self { process: serve(directory, port), directory: directory.to_owned(), port })
    }

    /// Starts the server again with a new host key, as if another host had its address.
    pub(crate) fn change_host_key(&mut self) {
        self.stop();
        self.process = serve(&self.directory, self.port);
    }

    /// Returns a configuration of `ssh` that leads every connection to this server.
    pub(crate) fn client_configuration(&self) -> String {
        format!("Host *\n    HostName 127.0.0.1\n    Port {}\n", self.port)
    }

    fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns the user of the tests, whose logins the server admits.
pub(crate) fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Starts the server with a new host key, and waits until it listens.
fn serve(directory: &Path, port: u16) -> Child {
    let path = |name: &str| directory.join(name).display().to_string();
    // `ssh-keygen` asks before it overwrites a key.
    let _ = fs::remove_file(path("host_key"));
    let generated =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path("host_key")]).status();
    assert!(generated.unwrap().success());
    let configuration = [
        format!("Port {port}"),
        "ListenAddress 127.0.0.1".to_owned(),
        format!("HostKey {}", path("host_key")),
        format!("AuthorizedKeysFile {}", path("authorized_keys")),
        "PidFile none".to_owned(),
        // The directory of a test is below one that everybody can write to.
        "StrictModes no".to_owned(),
        "UsePAM no".to_owned(),
        "PasswordAuthentication no".to_owned(),
        "KbdInteractiveAuthentication no".to_owned(),
        "PermitRootLogin prohibit-password".to_owned(),
    ];
    fs::write(path("sshd_config"), configuration.join("\n") + "\n").unwrap();
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", WITH_RUN_DIRECTORY, "sh", SSHD]);
        command
    } else {
        Command::new(SSHD)
    };
    command.args(["-D", "-e", "-f", &path("sshd_config")]).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap());
    let mut read = String::new();
    while !read.contains("Server listening on 127.0.0.1") {
        assert!(log.read_line(&mut read).unwrap() > 0, "the server does not start: {read}");
    }
    // The server stops if it cannot write its log.
    thread::spawn(move || log.lines().for_each(drop));
    process
}
