//! SSH connections with OpenSSH's client.

use super::{Forwarding, Login, Purpose, Remote, session_manager, shell_line};
use crate::{failure::Failure, files, session::Session};
use infra_core::diagnostic::Diagnostic;
use std::{
    fs::{self, DirBuilder},
    io::{self, IsTerminal},
    os::unix::{fs::DirBuilderExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::ExitCode,
};
use tokio::process::Command;

/// Exit code of `ssh` for an error of the connection.
const NO_CONNECTION: i32 = 255;

/// Exit code of a process that a signal has stopped, before the signal's number is added, as shells report it.
const SIGNALLED: i32 = 128;

/// A key file that exists until the end of the connection.
struct KeyFile(PathBuf);

impl Drop for KeyFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            print_error!("warning: {} contains a private key and could not be removed: {error}", self.0.display());
        }
    }
}

/// Runs `ssh` and returns its exit code, which is that of the command. Offers the command of Session Manager if the
/// connection fails.
pub(super) async fn run(
    session: &Session<'_>,
    remote: &Remote,
    login: &Login,
    purpose: &Purpose,
    manager: &str,
) -> Result<ExitCode, Failure> {
    let directory = session.directory.join("ssh");
    DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
    let generated = match (&login.key_file, remote.private_key()) {
        (None, Some(key)) => Some(write_key(&directory, key)?),
        _ => None,
    };
    let key = login.key_file.as_deref().or(generated.as_ref().map(|file| file.0.as_path()));
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let arguments = arguments(remote, login, purpose, &Files { key, directory: &directory }, is_terminal);
    if let Purpose::Forward(Forwarding { local, host, port }) = purpose {
        let id = &remote.instance.id;
        let target = host.as_deref().unwrap_or(id);
        if session.json {
            let address = format!("127.0.0.1:{local}");
            print_line!("{}", serde_json::json!({ "address": address, "target": target, "port": port }));
        } else {
            print_line!("127.0.0.1:{local} is forwarded to port {port} of {target} by SSH; Ctrl-C stops it");
        }
    }
    // Ctrl-C at a terminal is also the signal of the connection. This process waits for it, and removes the key.
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    let mut child = Command::new("ssh").args(&arguments).spawn().map_err(|error| {
        let missing = Diagnostic::error(format!("the program `ssh` cannot be started: {error}"));
        Failure::of(missing.hint("install OpenSSH's client (Debian: `apt install openssh-client`)"))
    })?;
    let mut is_interrupted = false;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            _ = interrupt.recv() => {
                is_interrupted = true;
                // A signal to this process alone does not reach the connection.
                if matches!(purpose, Purpose::Forward(_)) {
                    child.start_kill()?;
                }
            }
        }
    };
    if is_interrupted && matches!(purpose, Purpose::Forward(_)) {
        return Ok(ExitCode::SUCCESS);
    }
    let code = status.code().or_else(|| status.signal().map(|signal| SIGNALLED + signal)).unwrap_or(1);
    if code == NO_CONNECTION && !is_interrupted {
        let from = remote.instance.ssh_from.join(", ");
        let reason = format!("`ssh` exited with code 255. The security groups admit SSH from {from}");
        session_manager::print(session, manager, &reason)?;
    }
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

fn write_key(directory: &Path, key: &str) -> Result<KeyFile, Failure> {
    let path = directory.join(format!("key-{}", std::process::id()));
    // A process with the same number that was killed may have left its file.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    files::write_new(&path, key)?;
    Ok(KeyFile(path))
}

/// Files of a connection.
struct Files<'a> {
    key: Option<&'a Path>,
    /// Directory of `known_hosts`.
    directory: &'a Path,
}

fn arguments(remote: &Remote, login: &Login, purpose: &Purpose, files: &Files<'_>, is_terminal: bool) -> Vec<String> {
    let instance = &remote.instance;
    let known_hosts = files.directory.join("known_hosts");
    let mut words: Vec<String> = Vec::new();
    let mut option = |text: String| words.extend(["-o".to_owned(), text]);
    option("ConnectTimeout=10".to_owned());
    // Another instance may have had the address before. Ids are never used again.
    option(format!("HostKeyAlias={}", instance.id));
    option("StrictHostKeyChecking=accept-new".to_owned());
    option(format!("UserKnownHostsFile=\"{}\"", known_hosts.display()));
    if let Some(key) = files.key {
        option("IdentitiesOnly=yes".to_owned());
        words.extend(["-i".to_owned(), key.display().to_string()]);
    }
    let mut command = None;
    match purpose {
        Purpose::Shell => words.push("-t".to_owned()),
        Purpose::Command { words: program, service } => {
            words.push(if is_terminal { "-t" } else { "-T" }.to_owned());
            command = Some(shell_line(program, service.as_deref()));
        }
        Purpose::Forward(Forwarding { local, host, port }) => {
            // Services listen on the private address, and not all of them on the loopback address.
            let own = instance.private_address.as_deref().unwrap_or("127.0.0.1");
            let host = host.as_deref().unwrap_or(own);
            words.extend(["-N", "-o", "ExitOnForwardFailure=yes", "-L"].map(str::to_owned));
            words.push(format!("127.0.0.1:{local}:{host}:{port}"));
        }
    }
    let address = instance.public_address.as_deref().unwrap_or_default();
    words.extend(["-l".to_owned(), login.user.clone(), "--".to_owned(), address.to_owned()]);
    words.extend(command);
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use infra_core::{instances::Instance, state::State};

    #[test]
    fn the_command_line_names_the_key_the_host_and_the_purpose() {
        let instance = Instance {
            id: "i-1".into(),
            private_address: Some("10.0.1.4".into()),
            public_address: Some("203.0.113.9".into()),
            ..Instance::default()
        };
        let remote = Remote { instance, state: State::new("program", "dev", "seed".into()) };
        let login = Login { user: "admin".into(), key_file: None };
        let files = Files { key: Some(Path::new("/i/ssh/key")), directory: Path::new("/i/ssh") };
        let line = |purpose: &Purpose| arguments(&remote, &login, purpose, &files, false).join(" ");
        let words = ["sh", "-c", "exit 7"].map(str::to_owned).to_vec();
        let host = Some("db.internal".to_owned());
        let lines = [
            Purpose::Shell,
            Purpose::Command { words, service: None },
            Purpose::Forward(Forwarding { local: 6000, host: None, port: 5432 }),
            Purpose::Forward(Forwarding { local: 6000, host, port: 5432 }),
        ];
        insta::assert_snapshot!(lines.map(|purpose| line(&purpose)).join("\n"), @r#"
        -o ConnectTimeout=10 -o HostKeyAlias=i-1 -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile="/i/ssh/known_hosts" -o IdentitiesOnly=yes -i /i/ssh/key -t -l admin -- 203.0.113.9
        -o ConnectTimeout=10 -o HostKeyAlias=i-1 -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile="/i/ssh/known_hosts" -o IdentitiesOnly=yes -i /i/ssh/key -T -l admin -- 203.0.113.9 sh -c 'exit 7'
        -o ConnectTimeout=10 -o HostKeyAlias=i-1 -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile="/i/ssh/known_hosts" -o IdentitiesOnly=yes -i /i/ssh/key -N -o ExitOnForwardFailure=yes -L 127.0.0.1:6000:10.0.1.4:5432 -l admin -- 203.0.113.9
        -o ConnectTimeout=10 -o HostKeyAlias=i-1 -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile="/i/ssh/known_hosts" -o IdentitiesOnly=yes -i /i/ssh/key -N -o ExitOnForwardFailure=yes -L 127.0.0.1:6000:db.internal:5432 -l admin -- 203.0.113.9
        "#);
    }
}
