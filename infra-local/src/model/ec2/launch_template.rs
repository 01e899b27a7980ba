//! Launch templates and launch parameters.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};

use crate::model::Tags;
use crate::model::ec2::block_device::BlockDevice;
use crate::model::ec2::secondary_addresses::SecondaryAddresses;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LaunchTemplate {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created: DateTime<Utc>,
    pub(crate) default_version: u64,
    pub(crate) latest_version: u64,
    pub(crate) versions: BTreeMap<u64, TemplateVersion>,
    pub(crate) tags: Tags,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TemplateVersion {
    pub(crate) description: Option<String>,
    pub(crate) created: DateTime<Utc>,
    pub(crate) data: LaunchData,
}

/// Parameters of a launch: those of a template version, or of a RunInstances request. `None` means not declared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LaunchData {
    pub(crate) image_id: Option<String>,
    pub(crate) instance_type: Option<String>,
    pub(crate) key_name: Option<String>,
    pub(crate) security_group_ids: Vec<String>,
    pub(crate) subnet_id: Option<String>,
    /// The primary private address.
    pub(crate) private_address: Option<Ipv4Addr>,
    pub(crate) zone: Option<String>,
    /// Name of the placement group.
    pub(crate) placement_group: Option<String>,
    pub(crate) user_data: Option<String>,
    pub(crate) profile_arn: Option<String>,
    pub(crate) profile_name: Option<String>,
    pub(crate) http_tokens: Option<String>,
    pub(crate) http_endpoint: Option<String>,
    pub(crate) hop_limit: Option<i32>,
    pub(crate) instance_metadata_tags: Option<String>,
    pub(crate) block_devices: Vec<BlockDevice>,
    pub(crate) disable_api_termination: Option<bool>,
    pub(crate) disable_api_stop: Option<bool>,
    pub(crate) shutdown_behavior: Option<String>,
    pub(crate) monitoring: Option<bool>,
    pub(crate) ebs_optimized: Option<bool>,
    /// `standard` or `unlimited`; recorded and described only.
    pub(crate) cpu_credits: Option<String>,
    /// The parameters of each `NetworkInterface`, kept in this form because templates return them. No two have the same
    /// device index.
    #[serde(alias = "network_interface", deserialize_with = "one_or_many")]
    pub(crate) network_interfaces: Vec<NetworkInterface>,
    pub(crate) instance_tags: Tags,
    pub(crate) volume_tags: Tags,
    pub(crate) interface_tags: Tags,
}

/// A network interface that a launch describes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct NetworkInterface {
    /// 0 for the primary interface.
    pub(crate) device_index: u32,
    /// Id of an existing interface, which has its own subnet, address and groups.
    pub(crate) id: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) associate_public_ip: Option<bool>,
    pub(crate) delete_on_termination: Option<bool>,
    pub(crate) security_group_ids: Vec<String>,
    pub(crate) subnet_id: Option<String>,
    pub(crate) private_address: Option<Ipv4Addr>,
    pub(crate) secondary: SecondaryAddresses,
}

/// Reference to a version of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TemplateReference {
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    /// A number, `$Latest` or `$Default`; `None` means the default.
    pub(crate) version: Option<String>,
}

impl LaunchData {
    /// Returns the interface with device index 0.
    pub(crate) fn primary_interface(&self) -> Option<&NetworkInterface> {
        self.network_interfaces.iter().find(|interface| interface.device_index == 0)
    }

    /// Overrides the fields of `base` with those of `self`. Tags are merged, and network interfaces by their device index.
    pub(crate) fn over(self, base: &LaunchData) -> LaunchData {
        let lists = |own: Vec<String>, base: &Vec<String>| if own.is_empty() { base.clone() } else { own };
        let tags = |own: Tags, base: &Tags| {
            let mut all = base.clone();
            all.extend(own);
            all
        };
        LaunchData {
            image_id: self.image_id.or_else(|| base.image_id.clone()),
            instance_type: self.instance_type.or_else(|| base.instance_type.clone()),
            key_name: self.key_name.or_else(|| base.key_name.clone()),
            security_group_ids: lists(self.security_group_ids, &base.security_group_ids),
            subnet_id: self.subnet_id.or_else(|| base.subnet_id.clone()),
            private_address: self.private_address.or(base.private_address),
            zone: self.zone.or_else(|| base.zone.clone()),
            placement_group: self.placement_group.or_else(|| base.placement_group.clone()),
            user_data: self.user_data.or_else(|| base.user_data.clone()),
            profile_arn: if self.profile_name.is_some() {
                self.profile_arn
            } else {
                self.profile_arn.or_else(|| base.profile_arn.clone())
            },
            profile_name: self.profile_name.or_else(|| base.profile_name.clone()),
            http_tokens: self.http_tokens.or_else(|| base.http_tokens.clone()),
            http_endpoint: self.http_endpoint.or_else(|| base.http_endpoint.clone()),
            hop_limit: self.hop_limit.or(base.hop_limit),
            instance_metadata_tags: self.instance_metadata_tags.or_else(|| base.instance_metadata_tags.clone()),
            block_devices: if self.block_devices.is_empty() { base.block_devices.clone() } else { self.block_devices },
            disable_api_termination: self.disable_api_termination.or(base.disable_api_termination),
            disable_api_stop: self.disable_api_stop.or(base.disable_api_stop),
            shutdown_behavior: self.shutdown_behavior.or_else(|| base.shutdown_behavior.clone()),
            monitoring: self.monitoring.or(base.monitoring),
            ebs_optimized: self.ebs_optimized.or(base.ebs_optimized),
            cpu_credits: self.cpu_credits.or_else(|| base.cpu_credits.clone()),
            network_interfaces: by_device(self.network_interfaces, &base.network_interfaces),
            instance_tags: tags(self.instance_tags, &base.instance_tags),
            volume_tags: tags(self.volume_tags, &base.volume_tags),
            interface_tags: tags(self.interface_tags, &base.interface_tags),
        }
    }
}

/// Adds the interfaces of a template to those of a request, which override the ones with the same device index.
fn by_device(mut own: Vec<NetworkInterface>, base: &[NetworkInterface]) -> Vec<NetworkInterface> {
    let is_free = |index: u32| !own.iter().any(|interface| interface.device_index == index);
    let others: Vec<_> = base.iter().filter(|interface| is_free(interface.device_index)).cloned().collect();
    own.extend(others);
    own.sort_by_key(|interface| interface.device_index);
    own
}

/// Reads the interfaces of a launch. States of earlier versions have at most one.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<NetworkInterface>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Known {
        Many(Vec<NetworkInterface>),
        One(Option<Box<NetworkInterface>>),
    }
    Ok(match Known::deserialize(deserializer)? {
        Known::Many(interfaces) => interfaces,
        Known::One(interface) => interface.into_iter().map(|interface| *interface).collect(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn states_of_earlier_versions_have_one_interface() {
        let earlier = json!({"network_interface": {"subnet_id": "subnet-1"}});
        let data: LaunchData = from_value(earlier).unwrap();
        let expected = NetworkInterface { subnet_id: Some("subnet-1".to_owned()), ..NetworkInterface::default() };
        assert_eq!(data.network_interfaces, [expected]);
        assert_eq!(from_value::<LaunchData>(serde_json::to_value(&data).unwrap()).unwrap(), data);
        let none: LaunchData = from_value(json!({"network_interface": null})).unwrap();
        assert_eq!(none, LaunchData::default());
    }

    #[test]
    fn interfaces_of_a_request_override_those_of_its_template_by_device_index() {
        let interface = |device_index, description: &str| NetworkInterface {
            device_index,
            description: Some(description.to_owned()),
            ..NetworkInterface::default()
        };
        let data = |interfaces: &[NetworkInterface]| LaunchData {
            network_interfaces: interfaces.to_vec(),
            ..LaunchData::default()
        };
        let template = data(&[interface(0, "of the template"), interface(1, "of the template")]);
        let merged = data(&[interface(2, "own"), interface(0, "own")]).over(&template);
        let expected = [interface(0, "own"), interface(1, "of the template"), interface(2, "own")];
        assert_eq!(merged.network_interfaces, expected);
    }
}
