//! `stack permissions --runtime`

use super::pretty;
use crate::{
    arguments::RecordedTypes,
    exit::Exit,
    failure::{Failure, Kind},
    render::{style, text},
    session::Session,
};
use infra_core::Urn;
use infra_local::daemon;
use infra_rehearsal::{Grant, Origin, RolePermissions};
use std::{collections::BTreeSet, fmt::Write as _, process::ExitCode};

/// Compares the roles of hosts with the actions that the hosts need. The exit code is 1 if an action is missing or denied.
pub(super) async fn run(
    session: &Session<'_>,
    config: &[(String, String)],
    schemas: &RecordedTypes,
) -> Result<ExitCode, Failure> {
    let deployment = session.deployment(config, schemas).await?;
    let running = if session.is_local() { daemon::find(&session.cloud_directory()).await } else { None };
    let recorded = match &running {
        Some(running) => running.calls_after(0).await?,
        None => Vec::new(),
    };
    let roles = infra_rehearsal::host_roles(&deployment, recorded).await;
    let roles = roles.map_err(|error| Failure { kind: Kind::Failed, diagnostics: error.diagnostics() })?;
    if session.json {
        print_line!("{}", pretty(&roles)?);
    } else {
        print_text!("{}", report(&roles));
        let source = if running.is_some() {
            "of the Machines, and of the requests that the local cloud has recorded since its start"
        } else {
            "of the Machines only: a local cloud that runs the stack records the requests of its services"
        };
        print_error!("{}", text::wrap(&format!("Actions {source}"), style::error_width()));
    }
    let is_sufficient = roles.iter().all(|role| role.missing.is_empty() && role.denied.is_empty());
    Ok(if is_sufficient { ExitCode::SUCCESS } else { Exit::Failed.into() })
}

fn report(roles: &[RolePermissions]) -> String {
    let mut report = String::new();
    if roles.is_empty() {
        report.push_str("No host of the program has a role.\n");
    }
    for role in roles {
        let hosts: Vec<String> = role.hosts.iter().map(|host| name(host)).collect();
        let _ = writeln!(report, "{} ({})", name(&role.role), hosts.join(", "));
        let others = [&role.missing, &role.denied, &role.conditional];
        let is_allowed = |grant: &Grant| !others.iter().any(|grants| grants.contains(grant));
        for need in role.needed.iter().filter(|need| is_allowed(&need.grant)) {
            let origin = if need.origin == Origin::Recorded { "  (recorded)" } else { "" };
            let _ = writeln!(report, "    {} {}{origin}", need.grant.action, need.grant.scope());
        }
        lines(&mut report, &role.missing, '+', "missing");
        lines(&mut report, &role.denied, 'x', "denied explicitly");
        lines(
            &mut report,
            &role.conditional,
            '?',
            "allowed only under conditions that depend on how a host sends its requests",
        );
        lines(&mut report, &role.superfluous, '-', "superfluous");
        for reason in &role.not_compared {
            let _ = writeln!(report, "  ! a policy of the role is not compared: {reason}");
        }
    }
    report
}

fn lines(report: &mut String, grants: &BTreeSet<Grant>, sign: char, label: &str) {
    for grant in grants {
        let _ = writeln!(report, "  {sign} {} {}  ({label})", grant.action, grant.scope());
    }
}

/// Returns the name of a declaration, or the text if it is no URN.
fn name(text: &str) -> String {
    text.parse::<Urn>().map_or_else(|_| text.to_owned(), |urn| urn.name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use infra_rehearsal::Need;
    use std::collections::BTreeMap;

    fn grant(action: &str, resource: &str) -> Grant {
        Grant { action: action.to_owned(), resource: resource.to_owned(), conditions: BTreeMap::default() }
    }

    #[test]
    fn report_shows_needed_missing_and_superfluous_actions() {
        let (read, send) = (grant("ssm:GetParameters", "arn:aws:ssm:*:*:parameter/p"), grant("sqs:SendMessage", "*"));
        let download = grant("s3:GetObject", "*");
        let role = RolePermissions {
            role: "urn:infra:dev::web::aws:iam:Role::host/role".to_owned(),
            hosts: ["urn:infra:dev::web::aws:ec2:Instance::host".to_owned()].into(),
            needed: vec![
                Need { grant: send.clone(), origin: Origin::Recorded },
                Need { grant: read, origin: Origin::Machine },
                Need { grant: download.clone(), origin: Origin::Machine },
            ],
            missing: [send].into(),
            denied: [download].into(),
            superfluous: [grant("ssm:GetParameter", "*")].into(),
            conditional: BTreeSet::new(),
            not_compared: Vec::new(),
        };
        insta::assert_snapshot!(report(&[role]), @r"
        host/role (host)
            ssm:GetParameters on arn:aws:ssm:*:*:parameter/p
          + sqs:SendMessage on *  (missing)
          x s3:GetObject on *  (denied explicitly)
          - ssm:GetParameter on *  (superfluous)
        ");
    }
}
