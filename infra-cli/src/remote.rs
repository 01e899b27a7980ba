//! Connections to the instances of a stack on AWS.
//!
//! Security groups that admit SSH allow a connection with the stack's key ([`ssh`]). All other instances are reached with
//! Session Manager, which needs no open port ([`session_manager`]).

mod session_manager;
mod ssh;

use crate::{Cli, failure::Failure, posix_shell::command_line, session::Session};
use infra_core::{diagnostic::Diagnostic, instances::Instance, state::State, value::Value};
use std::{collections::BTreeSet, path::PathBuf, process::ExitCode};

/// User name of Debian's images.
pub(crate) const USER: &str = "admin";

/// Options of the SSH connection.
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) key_file: Option<PathBuf>,
}

/// Purpose of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Shell,
    /// A command and its arguments, with the environment of a service if it is named.
    Command {
        words: Vec<String>,
        service: Option<String>,
    },
    Forward(Forwarding),
}

/// A port of this machine that is forwarded to a port of a host in the instance's network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forwarding {
    pub(crate) local: u16,
    /// Name or address; `None` for the instance itself.
    pub(crate) host: Option<String>,
    pub(crate) port: u16,
}

/// An instance on AWS, and the recorded state of its stack.
pub(crate) struct Remote {
    pub(crate) instance: Instance,
    state: State,
}

impl Remote {
    /// Finds a running instance of the stack by its id, name or address.
    pub(crate) async fn find(session: &Session<'_>, cli: &Cli, wanted: &str) -> Result<Self, Failure> {
        session.refuse_other_target().await?;
        let Some(list) = &cli.instances else {
            let none = Diagnostic::error("this binary cannot list the instances of the target");
            return Err(Failure::wrong_use(none.hint("add a source: `Cli::new(programs).instances(…)`")));
        };
        let state = session.offline().state().await?;
        let Some(state) = state.filter(|state| !state.resources.is_empty()) else {
            let nothing = Failure::failed(format!("the stack `{}` has no resources", session.stack));
            return Err(nothing.hint("run `up` first"));
        };
        let current = state.resources.values().filter_map(|resource| resource.current.as_ref());
        let regions: BTreeSet<&String> = current.filter_map(|generation| generation.region.as_ref()).collect();
        let mut all = Vec::new();
        for region in regions {
            let (program, stack) = (state.program.clone(), state.stack.clone());
            let found = list(session.target(None), region.clone(), program, stack).await;
            all.extend(found.map_err(Failure::of)?);
        }
        Ok(Self { instance: select(all, wanted)?, state })
    }

    /// Connects by SSH, or prints the command of Session Manager if that is not possible. Returns the exit code of the
    /// connection.
    pub(crate) async fn connect(
        &self,
        session: &Session<'_>,
        login: &Login,
        purpose: &Purpose,
    ) -> Result<ExitCode, Failure> {
        let endpoint = session.target(None).endpoint;
        let manager = session_manager::command(&self.instance, endpoint.as_deref(), purpose);
        match ssh_obstacle(&self.instance, login) {
            Some(reason) => {
                session_manager::print(session, &manager, &reason)?;
                Ok(ExitCode::FAILURE)
            }
            None => ssh::run(session, self, login, purpose, &manager).await,
        }
    }

    /// Returns the host name of a resource of the stack, such as a database or a load balancer, by its name; another
    /// name is that of the host itself.
    pub(crate) fn host(&self, name: &str) -> String {
        let named = self.state.resources.iter().filter(|(urn, _)| urn.name() == name);
        let outputs = named.filter_map(|(_, resource)| Some(&resource.current.as_ref()?.outputs));
        let text = |outputs: &Value, field: &str| {
            outputs.field(field)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let mut hosts = outputs.filter_map(|outputs| HOST_OUTPUTS.iter().find_map(|field| text(outputs, field)));
        hosts.next().unwrap_or_else(|| name.to_owned())
    }

    /// Returns the private half of the key pair that the instance was launched with, if the stack has generated it.
    fn private_key(&self) -> Option<&str> {
        let wanted = self.instance.key_name.as_deref()?;
        let outputs = self.state.resources.values().filter_map(|resource| Some(&resource.current.as_ref()?.outputs));
        let mut keys = outputs.filter(|outputs| {
            outputs.field("name").and_then(Value::as_str) == Some(wanted) && outputs.field("private_key").is_some()
        });
        keys.next()?.field("private_key")?.as_str().filter(|key| !key.is_empty())
    }
}

/// Outputs that contain the host name of a resource.
const HOST_OUTPUTS: [&str; 4] = ["address", "dns_name", "writer_endpoint", "private_ip"];

/// Selects an instance by its id, name or address.
fn select(all: Vec<Instance>, wanted: &str) -> Result<Instance, Failure> {
    let names = |instance: &Instance| {
        let addresses = [&instance.name, &instance.private_address, &instance.public_address];
        instance.id == wanted || addresses.into_iter().any(|name| name.as_deref() == Some(wanted))
    };
    let describe = |instances: &[Instance]| {
        let described = instances.iter().map(|instance| match &instance.name {
            Some(name) => format!("{} ({name})", instance.id),
            None => instance.id.clone(),
        });
        described.collect::<Vec<_>>().join(", ")
    };
    let existing = describe(&all);
    let mut found: Vec<Instance> = all.into_iter().filter(names).collect();
    match (found.pop(), found.is_empty()) {
        (Some(one), true) if one.state == "running" => Ok(one),
        (Some(one), true) => {
            let idle = Failure::failed(format!("the instance {} is {}, and not running", one.id, one.state));
            Err(idle
                .hint(format!("start it: `aws ec2 start-instances --region {} --instance-ids {}`", one.region, one.id)))
        }
        (Some(one), false) => {
            found.push(one);
            let several = Diagnostic::error(format!("`{wanted}` matches several instances"));
            Err(Failure::wrong_use(several.hint(format!("name one of {}", describe(&found)))))
        }
        (None, _) => {
            let unknown = Diagnostic::error(format!("the stack has no instance `{wanted}`"));
            let hint = if existing.is_empty() { "it has none".to_owned() } else { format!("it has {existing}") };
            Err(Failure::wrong_use(unknown.hint(hint)))
        }
    }
}

/// Returns the reason why no SSH connection to an instance is possible, as far as its description shows.
fn ssh_obstacle(instance: &Instance, login: &Login) -> Option<String> {
    let id = &instance.id;
    if instance.public_address.is_none() {
        Some(format!("{id} has no public address"))
    } else if instance.ssh_from.is_empty() {
        let groups = instance.security_groups.join(", ");
        Some(format!("no security group of {id} ({groups}) admits SSH from an address range, as `sshFrom` declares"))
    } else if instance.key_name.is_none() && login.key_file.is_none() {
        Some(format!("{id} was launched without a key pair"))
    } else {
        None
    }
}

/// Returns the line for the shell of an instance that runs a command. The environment of a service is in two files that
/// only root reads.
fn shell_line(words: &[String], service: Option<&str>) -> String {
    let command = command_line(words);
    let Some(service) = service else { return command };
    let files = [format!("/etc/infra/{service}.env"), format!("/run/infra/{service}.env")];
    let read = files.map(|file| format!(". {}", command_line([&file]))).join(" && ");
    let script = format!("set -a && {read} && set +a && exec {command}");
    command_line(&["sudo", "sh", "-c", &script].map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance() -> Instance {
        Instance {
            id: "i-1".into(),
            region: "us-east-1".into(),
            state: "running".into(),
            name: Some("web".into()),
            private_address: Some("10.0.1.4".into()),
            public_address: Some("203.0.113.9".into()),
            key_name: Some("key-1".into()),
            security_groups: vec!["sg-1".into()],
            ssh_from: vec!["198.51.100.0/24".into()],
        }
    }

    fn login(key_file: Option<&str>) -> Login {
        Login { user: USER.into(), key_file: key_file.map(PathBuf::from) }
    }

    #[test]
    fn obstacles_of_ssh_are_missing_addresses_rules_and_keys() {
        let reason = |instance: Instance| ssh_obstacle(&instance, &login(None)).unwrap_or_default();
        assert_eq!(reason(instance()), "");
        assert_eq!(reason(Instance { public_address: None, ..instance() }), "i-1 has no public address");
        assert!(reason(Instance { ssh_from: Vec::new(), ..instance() }).contains("no security group of i-1 (sg-1)"));
        let without_key = Instance { key_name: None, ..instance() };
        assert_eq!(ssh_obstacle(&without_key, &login(Some("key.pem"))), None);
        assert_eq!(reason(without_key), "i-1 was launched without a key pair");
    }

    #[test]
    fn instances_are_selected_by_id_name_or_address() {
        let all = || vec![instance(), Instance { id: "i-2".into(), name: Some("db".into()), ..Instance::default() }];
        for name in ["i-1", "web", "10.0.1.4", "203.0.113.9"] {
            assert!(select(all(), name).is_ok_and(|found| found.id == "i-1"), "{name}");
        }
        let refusal = |all: Vec<Instance>, name: &str| {
            let failure = select(all, name).map(|found| found.id).err();
            failure.map(|failure| failure.diagnostics[0].to_string()).unwrap_or_default()
        };
        assert!(refusal(all(), "other").contains("it has i-1 (web), i-2 (db)"));
        assert!(refusal(vec![instance(), instance()], "web").contains("matches several instances"));
        assert!(refusal(vec![Instance { state: "stopped".into(), ..instance() }], "web").contains("is stopped"));
    }

    #[test]
    fn command_lines_keep_their_words() {
        let words = ["sh", "-c", "echo \"$HOME\" it's", ""].map(str::to_owned);
        assert_eq!(command_line(&words), r#"sh -c 'echo "$HOME" it'\''s' ''"#);
        insta::assert_snapshot!(shell_line(&["env".into()], Some("tasks")), @"sudo sh -c 'set -a && . /etc/infra/tasks.env && . /run/infra/tasks.env && set +a && exec env'");
    }
}
