//! The roles of hosts: their policies, and the actions that the Machine documents of their hosts need.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Utc;
use serde_json::{Value, json};

use super::permissions::AuthorisedAction;
use crate::access::{self, Context, Identity, RequestedAction};
use crate::model::ec2::instance::{Instance, InstanceState, decoded_user_data};
use crate::model::iam::Role;
use crate::model::machine::{Artifact, MachineDatabase, MachineDocument, ParameterReference};
use crate::model::{ArnScope, Cloud, Region};
use crate::state::Shared;

/// Tag with the declaration of a resource.
const DECLARATION: &str = "infra:urn";

/// A role that instances or launch templates use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRole {
    /// Name of the role.
    pub name: String,
    /// The declaration in the role's tag `infra:urn`.
    pub declaration: Option<String>,
    /// The hosts: the declarations of instances and launch templates, or their ids if they have none.
    pub hosts: BTreeSet<String>,
    /// The documents of the role's inline and managed policies.
    pub policies: Vec<String>,
    /// The document of the role's permissions boundary, if it has one; empty if that policy does not exist.
    pub boundary: Option<String>,
    /// The statements of bucket policies that deny something to the role, a document for each policy.
    pub denials: Vec<String>,
    /// The actions of a host that reads the parameters and downloads the programs of its Machine document, with the condition
    /// keys of its requests.
    pub needed: BTreeSet<AuthorisedAction>,
}

/// Returns the roles of the instance profiles of all instances and of the latest versions of all launch templates.
pub(super) fn of(shared: &Shared) -> Vec<HostRole> {
    let bucket_policies: Vec<String> = {
        let buckets = shared.objects().lock();
        buckets.values().filter_map(|bucket| bucket.settings.policy()).map(str::to_owned).collect()
    };
    shared.read(|cloud| {
        let mut roles: BTreeMap<String, HostRole> = BTreeMap::new();
        for region in cloud.regions.values() {
            for host in instances(region).chain(templates(region)) {
                let role = host.role(cloud).and_then(|role| cloud.iam.roles.get(&role));
                let Some(role) = role else { continue };
                let known = roles.entry(role.name.clone()).or_insert_with(|| HostRole {
                    name: role.name.clone(),
                    declaration: role.tags.get(DECLARATION).cloned(),
                    hosts: BTreeSet::new(),
                    policies: access::role_documents(&cloud.iam, role),
                    boundary: access::role_boundary(&cloud.iam, role),
                    denials: bucket_policies.iter().filter_map(|text| denials(text, role, cloud)).collect(),
                    needed: BTreeSet::new(),
                });
                known.hosts.insert(host.name);
                let needed = host.machines.iter().flat_map(|machine| needed(machine, region.scope()));
                known.needed.extend(needed.map(|action| with_context(action, cloud, role, &region.name)));
            }
        }
        roles.into_values().collect()
    })
}

/// Returns the document with the statements of a resource policy that deny something to a role, if there are any.
fn denials(policy: &str, role: &Role, cloud: &Cloud) -> Option<String> {
    let positions =
        access::Document::parse(policy).ok()?.denying(&access::role_principal(role), cloud.account.as_str());
    let document: Value = serde_json::from_str(policy).ok()?;
    let statements = match &document["Statement"] {
        Value::Array(statements) => statements.clone(),
        single => vec![single.clone()],
    };
    let denying: Vec<&Value> = positions.iter().filter_map(|position| statements.get(*position)).collect();
    (!denying.is_empty()).then(|| json!({"Version": document["Version"], "Statement": denying}).to_string())
}

/// An instance or a launch template.
struct Host {
    name: String,
    /// Name or ARN of the instance profile.
    profile: Option<String>,
    machines: Vec<MachineDocument>,
}

impl Host {
    /// Returns the name of its role.
    fn role(&self, cloud: &Cloud) -> Option<String> {
        let profile = self.profile.as_ref()?;
        let mut profiles = cloud.iam.instance_profiles.values();
        profiles.find(|it| it.name == *profile || it.arn == *profile)?.role.clone()
    }
}

fn instances(region: &Region) -> impl Iterator<Item = Host> {
    let running = region.ec2.instances.values().filter(|instance| instance.state != InstanceState::Terminated);
    running.map(|instance: &Instance| Host {
        name: instance.tags.get(DECLARATION).unwrap_or(&instance.id).clone(),
        profile: instance.instance_profile.as_ref().map(|profile| profile.name.clone()),
        machines: MachineDocument::of(instance).ok().flatten().into_iter().collect(),
    })
}

/// Returns the launch templates as hosts. An instance of a template has the Machine of the template and that of its image.
fn templates(region: &Region) -> impl Iterator<Item = Host> {
    region.ec2.launch_templates.values().filter_map(move |template| {
        let data = &template.versions.get(&template.latest_version)?.data;
        let own = MachineDocument::from_user_data(&decoded_user_data(data.user_data.as_deref())).ok().flatten();
        let image = data.image_id.as_ref().and_then(|id| region.ec2.images.get(id));
        let of_image = image.and_then(|image| image.machine.clone());
        Some(Host {
            name: template.tags.get(DECLARATION).unwrap_or(&template.id).clone(),
            profile: data.profile_name.clone().or_else(|| data.profile_arn.clone()),
            machines: own.into_iter().chain(of_image).collect(),
        })
    })
}

/// Adds the condition keys of a request that a host with this role sends to this region.
fn with_context(action: AuthorisedAction, cloud: &Cloud, role: &Role, region: &str) -> AuthorisedAction {
    let identity = Identity::Session { access_key: String::new(), role: role.name.clone(), name: String::new() };
    let (now, context) = (Utc::now(), &Context::default());
    let requested = RequestedAction { action: &action.action, resources: &[], region, now, context };
    let context = access::context_of(cloud, &identity, &requested, &action.resource);
    let context = context.entries().map(|(key, values)| (key.to_owned(), values.to_vec())).collect();
    AuthorisedAction { context, ..action }
}

/// Returns the actions that a host of this region needs. Parameters that the key `aws/ssm` encrypts need no permission for
/// the key.
///
/// Source: AWS KMS, "How AWS Systems Manager Parameter Store uses AWS KMS".
fn needed(machine: &MachineDocument, scope: ArnScope<'_>) -> Vec<AuthorisedAction> {
    let programs = machine.services.iter().flat_map(|service| service.programs.values());
    let artifacts = machine.services.iter().map(|service| &service.artifact).chain(programs.map(|it| &it.artifact));
    let databases = machine.postgres.iter().chain(&machine.mariadb);
    let passwords = databases.flat_map(|database: &MachineDatabase| {
        let of_replication = database.replication.iter().map(|replication| &replication.password);
        std::iter::once(&database.password).chain(of_replication)
    });
    let secrets = machine.services.iter().flat_map(|service| service.secrets.values()).chain(passwords);
    let action = |action: &str, resource: String| AuthorisedAction {
        action: action.to_owned(),
        resource,
        context: BTreeMap::new(),
    };
    let download = |it: &Artifact| action("s3:GetObject", format!("arn:aws:s3:::{}/{}", it.bucket, it.key));
    let read = |ParameterReference { parameter, .. }: &ParameterReference| {
        let name = parameter.trim_start_matches('/');
        action("ssm:GetParameters", scope.arn("ssm", format_args!("parameter/{name}")))
    };
    artifacts.map(download).chain(secrets.map(read)).collect()
}
