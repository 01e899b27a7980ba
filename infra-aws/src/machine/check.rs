//! What cannot work, said in the preview.

use super::{Architecture, File, Machine, Purpose, Service, cloud_init};
use infra_core::provider::Problem;
use std::collections::BTreeSet;

/// What is wrong with a machine on a host of this type; values that are not known yet pass.
pub(crate) fn problems(machine: &Machine, instance_type: &str) -> Vec<Problem> {
    let mut problems: Vec<Problem> = machine.refused.iter().map(|text| Problem::new("machine", text)).collect();
    let glibc = machine.release().and_then(glibc_of);
    if glibc.is_none() {
        let message = format!("`{}` is not supported", machine.image);
        problems.push(Problem::new("machine.image", message).hint("use `debian-12` or `debian-13`"));
    }
    problems.extend(machine.files.iter().flat_map(check_file));
    let architecture = architecture_of(instance_type);
    for service in &machine.services {
        problems.extend(check_service(service));
        problems.extend(check_program(service, instance_type, architecture, glibc.unwrap_or((0, 0))));
    }
    problems.extend(check_sharing(machine));
    // The longest region names have 14 characters.
    if let Ok(Some(text)) = machine.user_data("ap-southeast-99", Purpose::Run)
        && text.len() > cloud_init::LONGEST
    {
        let length = text.len();
        let message = format!("its user data has {length} bytes, and EC2 takes up to {}", cloud_init::LONGEST);
        problems.push(Problem::new("machine", message).hint("let a service fetch its larger files itself"));
    }
    problems
}

/// The GNU C library of a Debian release.
fn glibc_of(release: u32) -> Option<(u32, u32)> {
    match release {
        12 => Some((2, 36)),
        13 => Some((2, 41)),
        _ => None,
    }
}

fn check_file(File { path, content: _, mode }: &File) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !path.starts_with('/') {
        problems.push(Problem::new("machine.files", format!("`{path}` is no absolute path")));
    }
    let octal = (3..=4).contains(&mode.len()) && mode.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    if !octal {
        let message = format!("`{mode}` is no mode of a file");
        problems.push(Problem::new("machine.files", message).hint("write it in octal, such as `0644`"));
    }
    problems
}

fn check_service(service: &Service) -> Vec<Problem> {
    let Service { name, environment, secrets, listen, health, .. } = service;
    let mut problems = Vec::new();
    let mut problem = |message: String| problems.push(Problem::new(format!("machine.services.{name}"), message));
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !(1..=24).contains(&name.len())
        || !name.chars().all(valid)
        || !name.starts_with(|c: char| c.is_ascii_lowercase())
    {
        problem(format!("`{name}` cannot name a service: write up to 24 lower-case letters, digits and `-`"));
    }
    for variable in environment.keys().chain(secrets.keys()) {
        let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !variable.chars().all(valid) || !variable.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            problem(format!("`{variable}` cannot name an environment variable"));
        }
        if variable == "LISTEN" && listen.is_some() {
            problem("`LISTEN` is set by `listen`: leave one of them out".to_owned());
        }
    }
    match health.as_deref() {
        Some(path) if !path.starts_with('/') => problem(format!("the health path `{path}` must begin with `/`")),
        Some(_) if listen.is_none() => problem("a health path needs a port to ask: say where it listens".to_owned()),
        _ => {}
    }
    problems
}

/// The program itself: whether the host can run it.
fn check_program(
    service: &Service,
    instance_type: &str,
    architecture: Architecture,
    glibc: (u32, u32),
) -> Option<Problem> {
    let property = format!("machine.services.{}", service.name);
    let Some(artifact) = &service.artifact else {
        return Some(
            Problem::new(property, "nobody has said where its program is fetched from")
                .hint("declare the host through its region: `region.add(…)`"),
        );
    };
    let built_for = artifact.architecture.as_ref().and_then(|built_for| built_for.known().ok());
    if let Some(built_for) = built_for.filter(|built_for| *built_for != architecture) {
        let message = format!("it is built for {built_for}, and {instance_type} is {architecture}");
        let hint = "build it for the other architecture and pass it as INFRA_ARTIFACT_<NAME>=/path, or use another instance type";
        return Some(Problem::new(property, message).hint(hint));
    }
    let needs = artifact.glibc.as_ref().and_then(|needs| needs.known().ok()).and_then(|needs| version(&needs));
    needs.filter(|needs| *needs > glibc).map(|(major, minor)| {
        let message = format!("it needs glibc {major}.{minor}, and the image has {}.{}", glibc.0, glibc.1);
        Problem::new(property, message).hint(
            "build it on a system that is no newer than the image, or for the target x86_64-unknown-linux-musl, \
             and pass it as INFRA_ARTIFACT_<NAME>=/path; or use `Machine::debian_release(13)`",
        )
    })
}

/// Names and ports that two would claim.
fn check_sharing(machine: &Machine) -> Vec<Problem> {
    let mut problems = Vec::new();
    let (mut names, mut ports) = (BTreeSet::new(), BTreeSet::new());
    ports.extend(machine.postgres.as_ref().map(|postgres| postgres.port));
    for service in &machine.services {
        if !names.insert(&service.name) {
            problems.push(Problem::new("machine.services", format!("two services are named `{}`", service.name)));
        }
        if service.listen.is_some_and(|port| !ports.insert(port)) {
            let message = format!("`{}` listens on a port that is taken on this host", service.name);
            problems.push(Problem::new("machine.services", message));
        }
    }
    problems
}

/// What an instance type runs.
pub(super) fn architecture_of(instance_type: &str) -> Architecture {
    if arm_instance_type(instance_type) { Architecture::Arm64 } else { Architecture::X86_64 }
}

/// Whether an instance type is one of AWS's ARM processors: those have a `g` behind the generation (`t4g`, `c7gn`),
/// or are the very first (`a1`).
fn arm_instance_type(instance_type: &str) -> bool {
    let family = instance_type.split('.').next().unwrap_or_default();
    let attributes =
        family.trim_start_matches(|c: char| !c.is_ascii_digit()).trim_start_matches(|c: char| c.is_ascii_digit());
    family == "a1" || attributes.contains('g')
}

/// `2.36` as numbers, to be compared.
fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{super::Artifact, *};

    fn service(architecture: Architecture, glibc: &str) -> Service {
        let artifact = Artifact {
            bucket: "b".into(),
            key: "k".into(),
            sha256: "00".into(),
            architecture: Some(architecture.into()),
            glibc: Some(glibc.into()),
        };
        Service { artifact: Some(artifact), ..Service::cargo_bin("tasks") }
    }

    fn messages(machine: &Machine, instance_type: &str) -> Vec<String> {
        problems(machine, instance_type).into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn instance_types_tell_their_architecture() {
        for arm in ["t4g.micro", "m6gd.large", "c7gn.xlarge", "a1.medium", "im4gn.large", "g5g.xlarge", "x2gd.medium"] {
            assert!(arm_instance_type(arm), "{arm}");
        }
        for intel in ["t3.micro", "m5.large", "g5.xlarge", "g4dn.xlarge", "c6a.large", "i3en.large"] {
            assert!(!arm_instance_type(intel), "{intel}");
        }
    }

    #[test]
    fn programs_have_to_fit_the_host() {
        let machine = |service| Machine::debian().service(service);
        assert!(messages(&machine(service(Architecture::X86_64, "2.36")), "t3.micro").is_empty());
        assert!(messages(&machine(service(Architecture::X86_64, "")), "t3.micro").is_empty());
        let wrong = messages(&machine(service(Architecture::X86_64, "2.34")), "t4g.micro");
        assert_eq!(wrong, ["it is built for x86_64, and t4g.micro is arm64"]);
        let newer = messages(&machine(service(Architecture::X86_64, "2.39")), "t3.micro");
        assert_eq!(newer, ["it needs glibc 2.39, and the image has 2.36"]);
        let trixie = Machine::debian_release(13).service(service(Architecture::X86_64, "2.39"));
        assert!(messages(&trixie, "t3.micro").is_empty());
        let alone = messages(&machine(Service::cargo_bin("tasks")), "t3.micro");
        assert_eq!(alone, ["nobody has said where its program is fetched from"]);
    }

    #[test]
    fn nonsense_is_named() {
        let web = service(Architecture::X86_64, "");
        let machine = Machine::debian_release(11)
            .file("etc/x", "", "rw")
            .service(web.clone().listen(80).health("healthz").env("LISTEN", "x").env("A-B", "x"))
            .service(web.listen(80));
        assert_eq!(
            messages(&machine, "t3.micro"),
            [
                "`debian-11` is not supported",
                "`etc/x` is no absolute path",
                "`rw` is no mode of a file",
                "`A-B` cannot name an environment variable",
                "`LISTEN` is set by `listen`: leave one of them out",
                "the health path `healthz` must begin with `/`",
                "two services are named `tasks`",
                "`tasks` listens on a port that is taken on this host",
            ]
        );
        let long = messages(&Machine::debian().file("/x", "y".repeat(17_000), "0644"), "t3.micro");
        assert!(long[0].contains("EC2 takes up to 16384"), "{long:?}");
    }
}
