//! Declaration of the resources that a host depends on, so that the plan shows them.

use super::image::Image;
use crate::{
    artifact::CargoBin,
    iam::{
        instance_profile::InstanceProfile,
        role::{Role, RoleOutputs},
    },
    ids::{ImageId, InstanceProfileName},
    machine::{Artifact, Machine, ParameterReference, Service, Source, architecture_of},
    region::Region,
    s3::{
        bucket::{Bucket, BucketOutputs},
        object::BucketObject,
    },
    ssm::parameter::Parameter,
};
use infra_core::{Input, Output, output_format};

/// The inputs of a host that depend on its machine.
pub(crate) struct Host {
    pub(crate) image: Option<Input<ImageId>>,
    pub(crate) instance_profile: Option<Input<InstanceProfileName>>,
    pub(crate) machine: Machine,
}

/// Declares the dependencies of the host `name`: the Debian image, unless the host has an image; the programs in the
/// region's artifact bucket; a parameter for every secret; and a role that may read exactly these, unless the host has an
/// instance profile.
pub(crate) fn prepare(region: &Region, name: &str, instance_type: &str, host: Host) -> Host {
    let Host { image, instance_profile, mut machine } = host;
    let image = image.or_else(|| {
        let stock = Image::debian(machine.release()?).on(architecture_of(instance_type));
        Some(region.outermost().lookup(stock).id)
    });
    let mut dependencies = Dependencies { region, name, parts: None, bucket: None, parameters: Vec::new() };
    for service in &mut machine.services {
        if let Some(source) = service.source.take() {
            service.artifact = Some(dependencies.artifact(&service.name, source));
        }
        for program in service.programs.values_mut() {
            if let Some(source) = program.source.take() {
                program.artifact = Some(dependencies.artifact(&program.name, source));
            }
        }
        dependencies.secrets(service);
    }
    for (engine, database) in machine.databases_mut() {
        if let Some(password) = database.secret.take() {
            database.password = Some(dependencies.parameter(&format!("{engine}-password"), password));
        }
        if let Some(replication) = &mut database.replication
            && let Some(password) = replication.secret.take()
        {
            let name = format!("{engine}-replication-password");
            replication.password = Some(dependencies.parameter(&name, password));
        }
    }
    for file in machine.files.iter().filter(|file| file.content.expression().is_secret()) {
        machine.refused.push(format!(
            "the file {} contains a secret, which would become part of the user data: pass it to a service by `env` instead",
            file.path
        ));
    }
    let instance_profile = instance_profile.or_else(|| dependencies.profile());
    Host { image, instance_profile, machine }
}

/// The dependencies of a host that have been declared so far.
struct Dependencies<'a> {
    region: &'a Region,
    name: &'a str,
    /// Component with the host's own dependencies.
    parts: Option<Region>,
    bucket: Option<BucketOutputs>,
    /// ARNs of the parameters.
    parameters: Vec<Output<String>>,
}

impl Dependencies<'_> {
    fn parts(&mut self) -> &Region {
        self.parts.get_or_insert_with(|| self.region.component(self.name))
    }

    /// Declares the build and the upload of a program. Hosts of a region share the bucket and equal programs.
    fn artifact(&mut self, name: &str, source: Source) -> Artifact {
        let (name, program) = match source {
            Source::Cargo(bin) => (bin.clone(), CargoBin::of_workspace(bin)),
            Source::Prebuilt(path) => (name.to_owned(), CargoBin::prebuilt(name, path)),
        };
        let region = self.region.name();
        let bucket = self.region.shared(&format!("artifacts-{region}"), Bucket::default);
        let distinct = program.distinct_name();
        let built = self.region.anywhere().lookup(program);
        let object = self.region.shared(&format!("artifact-{distinct}-{region}"), || BucketObject {
            bucket: bucket.name.clone(),
            key: output_format!("artifacts/{}/{}", &built.sha256, &name),
            source: built.path.clone(),
            sha256: built.sha256.clone(),
        });
        // Instances of the local cloud run on the machine that built the program.
        let (architecture, glibc) =
            if self.region.target().is_local() { (None, None) } else { (Some(built.architecture), Some(built.glibc)) };
        // The checksum is the build's, so that a preview shows it before the object exists.
        let sha256 = built.sha256;
        self.bucket = Some(bucket);
        Artifact { bucket: object.bucket, key: object.key, sha256, architecture, glibc }
    }

    /// Moves the secret values of the service's environment into parameters.
    fn secrets(&mut self, service: &mut Service) {
        let environment = std::mem::take(&mut service.environment);
        for (variable, value) in environment {
            if value.expression().is_secret() {
                let name = format!("{}-{}", service.name, variable.to_ascii_lowercase().replace('_', "-"));
                service.secrets.insert(variable, self.parameter(&name, value));
            } else {
                service.environment.insert(variable, value);
            }
        }
    }

    fn parameter(&mut self, name: &str, value: Input<String>) -> ParameterReference {
        let parameter = self.parts().add(name, Parameter::secure(value));
        self.parameters.push(parameter.arn);
        ParameterReference { parameter: parameter.name, version: parameter.version }
    }

    /// Declares an instance profile with a role that may read the programs and parameters; `None` without any.
    fn profile(&mut self) -> Option<Output<InstanceProfileName>> {
        let mut statements = Vec::new();
        if let Some(bucket) = &self.bucket {
            statements.push(statement(&["s3:GetObject"], &output_format!("\"{}/artifacts/*\"", &bucket.arn)));
        }
        if !self.parameters.is_empty() {
            let quoted = self.parameters.iter().map(|arn| output_format!("\"{}\"", arn));
            // Hosts read with GetParameters. Images baked by earlier versions call GetParameter.
            let actions = ["ssm:GetParameters", "ssm:GetParameter"];
            statements.push(statement(&actions, &Output::list(quoted).join(",")));
        }
        if statements.is_empty() {
            return None;
        }
        let policy =
            output_format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, Output::list(statements).join(","));
        let parts = self.parts();
        let RoleOutputs { name, .. } =
            parts.add("role", Role::for_service("ec2.amazonaws.com").policy("read-own-parts", policy));
        Some(parts.add("profile", InstanceProfile::for_role(name)).name)
    }
}

fn statement(actions: &[&str], resources: &Output<String>) -> Output<String> {
    let actions = actions.iter().map(|action| format!("\"{action}\"")).collect::<Vec<_>>().join(",");
    output_format!(r#"{{"Effect":"Allow","Action":[{}],"Resource":[{}]}}"#, actions, resources)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::{Instance, LaunchTemplate, Machine, Postgres, Service, region};
    use infra_core::{
        Config, Result, Stack, Target,
        graph::ResourceGraph,
        provider::Providers,
        random::Password,
        stack::{DeclareError, declare},
    };

    fn graph(target: Target, run: impl Fn(&Stack) -> Result) -> Result<ResourceGraph, Vec<DeclareError>> {
        declare("web", "dev", target, &Config::default(), Providers::default(), &|stack, _| run(stack)).graph
    }

    /// Renders every declaration with its inputs, in the order of creation.
    fn render(graph: &ResourceGraph) -> String {
        let nodes = graph.in_order().filter(|node| !node.urn.kind().starts_with("random"));
        let lines = nodes.map(|node| format!("{}: {}", node.urn.short(), node.inputs));
        // Literals and expressions are rendered with different spaces between their parts.
        lines.collect::<Vec<_>>().join("\n").replace("\": ", "\":").replace(", \"", ",\"")
    }

    fn tasks() -> Machine {
        Machine::debian().service(Service::cargo_bin("tasks").listen(8080).health("/healthz"))
    }

    #[test]
    fn host_declares_its_dependencies() {
        let graph = graph(Target::aws(), |stack| {
            let password = stack.add("password", Password::of_length(20)).value;
            let virginia = region(stack, "us-east-1");
            let service = Service::cargo_bin("tasks").env("DATABASE_URL", password).env("RUST_LOG", "info");
            let machine = Machine::debian().service(service.listen(8080).health("/healthz"));
            virginia.add("application", LaunchTemplate { machine, ..LaunchTemplate::new("t4g.micro") });
            Ok(())
        });
        insta::assert_snapshot!(render(&graph.unwrap()), @r#"
        Image image-us-east-1-debian-12-arm64: {"architecture":"arm64","name":"debian-12-{arch}-*","owner":"136693071363"}
        Bucket artifacts-us-east-1: {"force_delete":false}
        CargoBin cargo-bin-tasks: {"name":"tasks"}
        BucketObject artifact-tasks-us-east-1: {"bucket":${artifacts-us-east-1.name},"key":artifacts/${cargo-bin-tasks.sha256}/tasks,"sha256":${cargo-bin-tasks.sha256},"source":${cargo-bin-tasks.path}}
        Component application: {}
        Parameter application/tasks-database-url: {"secure":true,"value":[secret]}
        Role application/role: {"policies":{"read-own-parts":{"Version":"2012-10-17","Statement":[join(",", [{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["${artifacts-us-east-1.arn}/artifacts/*"]}, {"Effect":"Allow","Action":["ssm:GetParameters","ssm:GetParameter"],"Resource":[join(",", ["${application/tasks-database-url.arn}"])]}])]}},"trusted_service":"ec2.amazonaws.com"}
        InstanceProfile application/profile: {"role":${application/role.name}}
        LaunchTemplate application: {"image":${image-us-east-1-debian-12-arm64.id},"instance_profile":${application/profile.name},"instance_type":"t4g.micro","machine":{"files":[],"image":"debian-12","packages":[],"services":[{"arguments":[],"artifact":{"architecture":${cargo-bin-tasks.architecture},"bucket":${artifact-tasks-us-east-1.bucket},"glibc":${cargo-bin-tasks.glibc},"key":${artifact-tasks-us-east-1.key},"sha256":${cargo-bin-tasks.sha256}},"environment":{"RUST_LOG":"info"},"health":"/healthz","listen":8080,"name":"tasks","secrets":{"DATABASE_URL":{"parameter":${application/tasks-database-url.name},"version":${application/tasks-database-url.version}}}}]},"security_groups":[]}
        "#);
    }

    #[test]
    fn hosts_of_a_region_share_programs() {
        let graph = graph(
            Target::local("http://127.0.0.1:1", infra_core::target::Credentials::new("key", "secret")),
            |stack| {
                for name in ["one", "two"] {
                    region(stack, "us-east-1").add(name, Instance { machine: tasks(), ..Instance::new("t3.micro") });
                }
                region(stack, "us-east-2").add("three", Instance { machine: tasks(), ..Instance::new("t3.micro") });
                Ok(())
            },
        );
        let graph = graph.unwrap();
        let mut names: Vec<_> = graph.in_order().map(|node| node.urn.short()).collect();
        names.sort();
        names.retain(|name| name.starts_with("Bucket") || name.starts_with("CargoBin"));
        insta::assert_snapshot!(names.join("\n"), @r"
        Bucket artifacts-us-east-1
        Bucket artifacts-us-east-2
        BucketObject artifact-tasks-us-east-1
        BucketObject artifact-tasks-us-east-2
        CargoBin cargo-bin-tasks
        ");
    }

    #[test]
    fn user_data_contains_no_secrets() {
        let graph = graph(Target::aws(), |stack| {
            let password = stack.add("password", Password::of_length(20)).value;
            let machine = Machine::debian().postgres(Postgres::new("tasks", "cloud", password.clone())).file(
                "/etc/password",
                password,
                "0600",
            );
            region(stack, "us-east-1").add("database", Instance { machine, ..Instance::new("t3.micro") });
            Ok(())
        });
        let text = render(&graph.unwrap());
        assert!(text.contains("the file /etc/password contains a secret"), "{text}");
        assert!(text.contains("${database/postgres-password.version}"), "{text}");
    }
}
