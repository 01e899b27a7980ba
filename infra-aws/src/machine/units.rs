//! The systemd unit of a service and its environment file.

use super::document::{DocumentProgram, DocumentService};
use std::fmt::Write;

/// Directory of the environment files that are written at every start. It is lost when the host powers off.
const RUN: &str = "/run/infra";

pub(super) fn unit_name(service: &DocumentService) -> String {
    format!("infra-{}.service", service.name)
}

/// Returns the path of the service's executable.
pub(super) fn program(service: &DocumentService) -> String {
    format!("/opt/infra/{}", service.name)
}

/// Returns the path of a program that the service starts. Names of services contain no colon.
pub(super) fn started_program(service: &DocumentService, program: &DocumentProgram) -> String {
    format!("/opt/infra/{}:{}", service.name, program.name)
}

/// Returns the path of the environment file that the Machine declares.
pub(super) fn environment_file(service: &DocumentService) -> String {
    format!("/etc/infra/{}.env", service.name)
}

/// Returns the path of the environment file that is written at each start: the address and the secrets.
pub(super) fn run_file(service: &DocumentService) -> String {
    format!("{RUN}/{}.env", service.name)
}

/// Returns the content of the environment file that the Machine declares.
pub(super) fn environment(service: &DocumentService) -> String {
    let mut text = String::new();
    let programs = service.programs.iter().map(|(variable, program)| (variable, started_program(service, program)));
    let values = service.environment.iter().map(|(name, value)| (name, value.clone()));
    for (name, value) in values.chain(programs) {
        let _ = writeln!(text, "{name}=\"{}\"", escape(&value, &['\\', '"', '$', '`']));
    }
    text
}

/// Returns the content of the service's unit file.
///
/// The service cannot start before `infra.service` has written its environment. When `infra.service` fails, systemd
/// cancels the start jobs that wait for it; `infra.service` wants its services, so each of its attempts queues their start
/// again.
pub(super) fn unit(service: &DocumentService) -> String {
    let command = std::iter::once(program(service)).chain(service.arguments.iter().map(|argument| {
        // In unit files, `%` and `$` are special unless doubled.
        let plain = escape(argument, &['\\', '"']).replace('%', "%%").replace('$', "$$").replace('\n', "\\n");
        format!("\"{plain}\"")
    }));
    let command = command.collect::<Vec<_>>().join(" ");
    let name = &service.name;
    let (environment, run) = (environment_file(service), run_file(service));
    let is_privileged = service.listen.iter().chain(service.ports.values()).any(|port| *port < 1024);
    let privilege = if is_privileged { "AmbientCapabilities=CAP_NET_BIND_SERVICE\n" } else { "" };
    format!(
        "[Unit]\n\
         Description={name}\n\
         Requires=infra.service\n\
         After=infra.service\n\
         StartLimitIntervalSec=0\n\
         \n\
         [Service]\n\
         ExecStart={command}\n\
         EnvironmentFile={environment}\n\
         EnvironmentFile={run}\n\
         DynamicUser=yes\n\
         User=infra-{name}\n\
         {privilege}\
         StateDirectory=infra-{name}\n\
         WorkingDirectory=%S/infra-{name}\n\
         Restart=always\n\
         RestartSec=1\n\
         \n\
         [Install]\n\
         WantedBy=infra.service\n"
    )
}

fn escape(text: &str, special: &[char]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(&c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
