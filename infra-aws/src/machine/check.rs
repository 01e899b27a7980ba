//! Validation of machines in the preview.

use super::{Architecture, Artifact, Database, File, Machine, Purpose, Service, cloud_init, replication::REPLICATOR};
use infra_core::provider::Problem;
use std::{collections::BTreeSet, net::Ipv4Addr};

/// Returns the problems of a machine on an instance of this type. Values that are not known yet are accepted.
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
        let property = format!("machine.services.{}", service.name);
        let own = std::iter::once((property.clone(), service.artifact.as_ref()));
        let started = service.programs.values();
        let started =
            started.map(|program| (format!("{property}.programs.{}", program.name), program.artifact.as_ref()));
        for (property, artifact) in own.chain(started) {
            problems.extend(check_program(property, artifact, instance_type, architecture, glibc.unwrap_or((0, 0))));
        }
    }
    problems.extend(machine.databases().flat_map(|(engine, database)| check_database(engine, database)));
    problems.extend(check_duplicates(machine));
    // The longest region names have 14 characters.
    if let Ok(Some(text)) = machine.user_data("ap-southeast-99", Purpose::Run)
        && text.len() > cloud_init::MAX_BYTES
    {
        let length = text.len();
        let message = format!("its user data has {length} bytes; EC2 accepts at most {}", cloud_init::MAX_BYTES);
        problems.push(Problem::new("machine", message).hint("let a service download its larger files itself"));
    }
    problems
}

/// Returns the version of the GNU C library in a Debian release.
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
        problems.push(Problem::new("machine.files", format!("`{path}` is not an absolute path")));
    }
    let octal = (3..=4).contains(&mode.len()) && mode.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    if !octal {
        let message = format!("`{mode}` is not a file mode");
        problems.push(Problem::new("machine.files", message).hint("write the mode in octal, such as `0644`"));
    }
    problems
}

fn check_service(service: &Service) -> Vec<Problem> {
    let Service { name, environment, secrets, listen, health, ports, programs, .. } = service;
    let mut problems = Vec::new();
    let mut problem = |message: String| problems.push(Problem::new(format!("machine.services.{name}"), message));
    if !is_name(name) {
        problem(format!("`{name}` is not a valid name of a service: {NAMES}"));
    }
    let mut names = BTreeSet::new();
    for (variable, program) in programs {
        let name = &program.name;
        if !is_name(name) {
            problem(format!("`{name}` is not a valid name of a program: {NAMES}"));
        }
        if !names.insert(name) {
            problem(format!("two programs are named `{name}`"));
        }
        if environment.contains_key(variable) || secrets.contains_key(variable) {
            problem(format!("`{variable}` is both the path of a program and another value: rename one of them"));
        }
    }
    for variable in ports.keys() {
        if environment.contains_key(variable) || secrets.contains_key(variable) || programs.contains_key(variable) {
            problem(format!("`{variable}` is both the address of a port and another value: rename one of them"));
        }
    }
    let variables = environment.keys().chain(secrets.keys()).chain(programs.keys()).chain(ports.keys());
    for variable in variables {
        let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !variable.chars().all(valid) || !variable.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            problem(format!("`{variable}` is not a valid name of an environment variable"));
        }
        if variable == "LISTEN" && listen.is_some() {
            problem("`LISTEN` is set both by `listen` and as an environment variable: remove one of them".to_owned());
        }
    }
    match health.as_deref() {
        Some(path) if !path.starts_with('/') => problem(format!("the health path `{path}` must begin with `/`")),
        Some(_) if listen.is_none() => problem("a health path needs a port: set it with `listen`".to_owned()),
        _ => {}
    }
    problems
}

/// The rule of [`is_name`], for error messages.
const NAMES: &str = "use up to 24 lower-case letters, digits and `-`, starting with a letter";

fn is_name(name: &str) -> bool {
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=24).contains(&name.len()) && name.chars().all(valid) && name.starts_with(|c: char| c.is_ascii_lowercase())
}

/// Checks that the host can run an executable.
fn check_program(
    property: String,
    artifact: Option<&Artifact>,
    instance_type: &str,
    architecture: Architecture,
    glibc: (u32, u32),
) -> Option<Problem> {
    let Some(artifact) = artifact else {
        return Some(
            Problem::new(property, "the object with its executable is missing")
                .hint("declare the host through its region, which adds the object: `region.add(…)`"),
        );
    };
    let built_for = artifact.architecture.as_ref().and_then(|built_for| built_for.known().ok());
    if let Some(built_for) = built_for.filter(|built_for| *built_for != architecture) {
        let message = format!("its executable is built for {built_for}, but {instance_type} is {architecture}");
        let hint = "build it for the other architecture and pass it as INFRA_ARTIFACT_<NAME>=/path, or use another instance type";
        return Some(Problem::new(property, message).hint(hint));
    }
    let needs = artifact.glibc.as_ref().and_then(|needs| needs.known().ok()).and_then(|needs| version(&needs));
    needs.filter(|needs| *needs > glibc).map(|(major, minor)| {
        let message = format!("its executable needs glibc {major}.{minor}, but the image has {}.{}", glibc.0, glibc.1);
        Problem::new(property, message).hint(
            "build it on a system that is no newer than the image, or for the target x86_64-unknown-linux-musl, \
             and pass it as INFRA_ARTIFACT_<NAME>=/path; or use `Machine::debian_release(13)`",
        )
    })
}

fn check_database(engine: &str, database: &Database) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Some(replication) = &database.replication else { return problems };
    if database.user == REPLICATOR {
        let message = format!("the user `{REPLICATOR}` is the role by which standbys log in");
        let problem = Problem::new(format!("machine.{engine}.user"), message);
        problems.push(problem.hint("choose another name for the owner of the database"));
    }
    let primary = replication.primary.as_ref().and_then(|primary| primary.known().ok());
    if let Some(primary) = primary.filter(|primary| primary.parse::<Ipv4Addr>().is_err()) {
        let message = format!("`{primary}` is not the IPv4 address of a primary");
        let problem = Problem::new(format!("machine.{engine}.replication.primary"), message);
        problems.push(problem.hint("use the output `private_ip` of the primary's instance"));
    }
    problems
}

/// Checks that no two services have the same name or port.
fn check_duplicates(machine: &Machine) -> Vec<Problem> {
    let mut problems = Vec::new();
    let (mut names, mut ports) = (BTreeSet::new(), BTreeSet::new());
    for (engine, database) in machine.databases() {
        if !ports.insert(database.port) {
            let message = format!("port {} is that of another server of the host", database.port);
            problems.push(Problem::new(format!("machine.{engine}.port"), message));
        }
    }
    for service in &machine.services {
        if !names.insert(&service.name) {
            problems.push(Problem::new("machine.services", format!("two services are named `{}`", service.name)));
        }
        // All ports are inserted, also after a duplicate.
        let duplicates = service.listen.iter().chain(service.ports.values()).filter(|port| !ports.insert(**port));
        if duplicates.count() > 0 {
            let message = format!("`{}` listens on a port that another server of the host uses", service.name);
            problems.push(Problem::new("machine.services", message));
        }
    }
    problems
}

/// Returns the architecture of an instance type.
pub(crate) fn architecture_of(instance_type: &str) -> Architecture {
    if arm_instance_type(instance_type) { Architecture::Arm64 } else { Architecture::X86_64 }
}

/// Returns true for instance types with Graviton processors: those with a `g` after the generation (`t4g`, `c7gn`), and
/// the first one, `a1`.
fn arm_instance_type(instance_type: &str) -> bool {
    let family = instance_type.split('.').next().unwrap_or_default();
    let attributes =
        family.trim_start_matches(|c: char| !c.is_ascii_digit()).trim_start_matches(|c: char| c.is_ascii_digit());
    family == "a1" || attributes.contains('g')
}

/// Parses a version such as `2.36` into comparable numbers.
fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Artifact, MariaDb, Postgres, Replication},
        *,
    };

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
    fn architecture_follows_from_the_instance_type() {
        for arm in ["t4g.micro", "m6gd.large", "c7gn.xlarge", "a1.medium", "im4gn.large", "g5g.xlarge", "x2gd.medium"] {
            assert!(arm_instance_type(arm), "{arm}");
        }
        for intel in ["t3.micro", "m5.large", "g5.xlarge", "g4dn.xlarge", "c6a.large", "i3en.large"] {
            assert!(!arm_instance_type(intel), "{intel}");
        }
    }

    #[test]
    fn executable_must_match_architecture_and_glibc_of_the_host() {
        let machine = |service| Machine::debian().service(service);
        assert!(messages(&machine(service(Architecture::X86_64, "2.36")), "t3.micro").is_empty());
        assert!(messages(&machine(service(Architecture::X86_64, "")), "t3.micro").is_empty());
        let wrong = messages(&machine(service(Architecture::X86_64, "2.34")), "t4g.micro");
        assert_eq!(wrong, ["its executable is built for x86_64, but t4g.micro is arm64"]);
        let newer = messages(&machine(service(Architecture::X86_64, "2.39")), "t3.micro");
        assert_eq!(newer, ["its executable needs glibc 2.39, but the image has 2.36"]);
        let trixie = Machine::debian_release(13).service(service(Architecture::X86_64, "2.39"));
        assert!(messages(&trixie, "t3.micro").is_empty());
        let unprepared = messages(&machine(Service::cargo_bin("tasks")), "t3.micro");
        assert_eq!(unprepared, ["the object with its executable is missing"]);
    }

    #[test]
    fn replication_needs_the_address_of_a_primary_and_a_role_of_its_own() {
        let postgres = |user: &str, replication| Postgres::new("tasks", user, "secret").replication(replication);
        let of = |postgres| messages(&Machine::debian().postgres(postgres), "t3.micro");
        assert!(of(postgres("cloud", Replication::standby_of("10.0.0.7", "secret"))).is_empty());
        for primary in ["", "database.example.com", "10.0.0.7:5432", "10.0.0.7 sslmode=disable"] {
            let expected = format!("`{primary}` is not the IPv4 address of a primary");
            assert_eq!(of(postgres("cloud", Replication::standby_of(primary, "secret"))), [expected]);
        }
        let reserved = of(postgres("replicator", Replication::primary("secret")));
        assert_eq!(reserved, ["the user `replicator` is the role by which standbys log in"]);
    }

    #[test]
    fn databases_of_a_host_need_separate_ports() {
        let (postgres, mariadb) = (Postgres::new("a", "b", "secret"), MariaDb::new("a", "b", "secret"));
        let machine = Machine::debian().postgres(postgres).mariadb(mariadb.clone());
        assert!(messages(&machine, "t3.micro").is_empty());
        let machine = machine.mariadb(mariadb.port(5432));
        assert_eq!(messages(&machine, "t3.micro"), ["port 5432 is that of another server of the host"]);
    }

    #[test]
    fn invalid_values_are_reported() {
        let web = service(Architecture::X86_64, "");
        let machine = Machine::debian_release(11)
            .file("etc/x", "", "rw")
            .service(web.clone().listen(80).health("healthz").env("LISTEN", "x").env("A-B", "x"))
            .service(web.listen(80));
        assert_eq!(
            messages(&machine, "t3.micro"),
            [
                "`debian-11` is not supported",
                "`etc/x` is not an absolute path",
                "`rw` is not a file mode",
                "`A-B` is not a valid name of an environment variable",
                "`LISTEN` is set both by `listen` and as an environment variable: remove one of them",
                "the health path `healthz` must begin with `/`",
                "two services are named `tasks`",
                "`tasks` listens on a port that another server of the host uses",
            ]
        );
        let long = messages(&Machine::debian().file("/x", "y".repeat(17_000), "0644"), "t3.micro");
        assert!(long[0].contains("EC2 accepts at most 16384"), "{long:?}");
    }
}
