//! Metadata of an instance, as a tree of text values.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{Duration, SecondsFormat, Utc};
use serde_json::json;

use crate::access;
use crate::model::ec2::instance::Instance;
use crate::model::iam::{Session, SessionHolder};
use crate::model::{Cloud, zone_id};
use crate::state::Shared;

/// Lifetime of the credentials of an instance's role, and the time before their expiry at which new ones are created.
const CREDENTIALS: Duration = Duration::hours(6);
const RENEWAL: Duration = Duration::minutes(15);

/// Returns the value at a path, or the entries of a folder.
pub(super) fn read(shared: &Shared, region: &str, instance: &Instance, path: &str) -> Option<String> {
    let path = path.strip_prefix("/latest").or_else(|| (path == "/").then_some(""))?.trim_matches('/');
    if path == "user-data" {
        let compact: String = instance.user_data.as_deref()?.split_ascii_whitespace().collect();
        return String::from_utf8(STANDARD.decode(compact).ok()?).ok();
    }
    if let Some(role) = path.strip_prefix("meta-data/iam/security-credentials/") {
        return credentials(shared, instance, role);
    }
    let leaves = shared.read(|cloud| leaves(cloud, region, instance));
    if let Some(text) = leaves.get(path) {
        return Some(text.clone());
    }
    let folder = if path.is_empty() { String::new() } else { format!("{path}/") };
    let mut names: Vec<String> = leaves
        .keys()
        .filter_map(|leaf| leaf.strip_prefix(&folder))
        .map(|rest| rest.split_once('/').map_or(rest.to_owned(), |(name, _)| format!("{name}/")))
        .collect();
    names.dedup();
    (!names.is_empty()).then(|| names.join("\n"))
}

fn leaves(cloud: &Cloud, region: &str, instance: &Instance) -> BTreeMap<String, String> {
    let home = cloud.regions.get(region);
    let private = home.map_or(instance.address, |home| home.private_address(instance.address));
    let address = private.to_string();
    let name = home.map_or_else(|| address.clone(), |home| home.private_name(private));
    let public = home.and_then(|home| home.public_address_of(instance));
    let public_name = home.and_then(|home| home.public_name(&instance.vpc_id, public?));
    let mut leaves: BTreeMap<String, String> = [
        ("ami-id", instance.image_id.clone()),
        ("ami-launch-index", instance.launch_index.to_string()),
        ("hostname", name.clone()),
        ("instance-action", "none".to_owned()),
        ("instance-id", instance.id.clone()),
        ("instance-life-cycle", "on-demand".to_owned()),
        ("instance-type", instance.instance_type.clone()),
        ("local-hostname", name),
        ("local-ipv4", address.clone()),
        ("placement/availability-zone", instance.zone.clone()),
        ("placement/availability-zone-id", zone_id(&instance.zone)),
        ("placement/region", region.to_owned()),
        ("profile", "default-hvm".to_owned()),
        ("reservation-id", instance.reservation_id.clone()),
        ("security-groups", group_names(cloud, region, instance)),
        ("services/domain", "amazonaws.com".to_owned()),
        ("services/partition", "aws".to_owned()),
    ]
    .into_iter()
    .chain(public.map(|address| ("public-ipv4", address.to_string())))
    .chain(public_name.map(|name| ("public-hostname", name)))
    .map(|(name, text)| (format!("meta-data/{name}"), text))
    .collect();
    if let Some(profile) = &instance.instance_profile {
        let info = json!({
            "Code": "Success", "LastUpdated": time(Utc::now()), "InstanceProfileArn": profile.arn,
            "InstanceProfileId": profile.id,
        });
        leaves.insert("meta-data/iam/info".to_owned(), info.to_string());
        if let Some(role) = role(cloud, instance) {
            leaves.insert("meta-data/iam/security-credentials".to_owned(), role);
        }
    }
    let key = instance.key_name.as_ref().and_then(|name| {
        let pairs = &cloud.regions.get(region)?.ec2.key_pairs;
        pairs.values().find(|pair| pair.name == *name)
    });
    if let Some(pair) = key {
        leaves.insert("meta-data/public-keys/0/openssh-key".to_owned(), pair.public_key.clone());
    }
    if instance.metadata_options.instance_metadata_tags == "enabled" {
        let tags = instance.tags.iter().filter(|(key, _)| !key.contains('/'));
        leaves.extend(tags.map(|(key, value)| (format!("meta-data/tags/instance/{key}"), value.clone())));
    }
    let identity = json!({
        "accountId": cloud.account, "architecture": "x86_64", "availabilityZone": instance.zone, "imageId": instance.image_id,
        "instanceId": instance.id, "instanceType": instance.instance_type, "pendingTime": time(instance.launch_time),
        "privateIp": address, "region": region, "version": "2017-09-30",
    });
    leaves.insert("dynamic/instance-identity/document".to_owned(), format!("{identity:#}"));
    leaves
}

fn group_names(cloud: &Cloud, region: &str, instance: &Instance) -> String {
    let groups = cloud.regions.get(region).map(|region| &region.ec2.security_groups);
    let names = instance.security_groups.iter().filter_map(|id| Some(groups?.get(id)?.name.as_str()));
    names.collect::<Vec<_>>().join("\n")
}

/// Returns the role of an instance's profile, if EC2 may assume it.
fn role(cloud: &Cloud, instance: &Instance) -> Option<String> {
    let profile = cloud.iam.instance_profiles.get(&instance.instance_profile.as_ref()?.name)?;
    let role = cloud.iam.roles.get(profile.role.as_ref()?)?;
    access::trusts_service(cloud.account, role, "ec2.amazonaws.com").then(|| role.name.clone())
}

/// Returns temporary credentials of the instance's role. They stay the same until they are about to expire.
fn credentials(shared: &Shared, instance: &Instance, wanted: &str) -> Option<String> {
    let role = shared.read(|cloud| role(cloud, instance)).filter(|role| role == wanted)?;
    let now = Utc::now();
    let belongs_to_instance = |session: &Session| {
        session.role() == Some(&role) && session.name == instance.id && session.expires - now > RENEWAL
    };
    let existing = |cloud: &Cloud| {
        let mut sessions = cloud.iam.sessions.iter();
        sessions.find(|(_, session)| belongs_to_instance(session)).map(|(key, session)| (key.clone(), session.clone()))
    };
    let (key, session) = shared.read(existing).unwrap_or_else(|| {
        let session = Session::new(SessionHolder::Role { role: role.clone() }, &instance.id, now, CREDENTIALS);
        (shared.update(|cloud| cloud.iam.issue(session.clone(), now)), session)
    });
    let document = json!({
        "Code": "Success", "LastUpdated": time(session.expires - CREDENTIALS), "Type": "AWS-HMAC", "AccessKeyId": key,
        "SecretAccessKey": session.secret, "Token": session.token, "Expiration": time(session.expires),
    });
    Some(format!("{document:#}"))
}

fn time(time: chrono::DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
