//! Volumes, which are resources of their own: they can outlive their instance.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::image::ROOT_SIZE_GIB;
use crate::model::ids::derived_id;
use crate::model::{ArnScope, Region, Tags};

/// A volume. It is recorded and described, and has no blocks: the files of an instance are in its directory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Volume {
    pub(crate) id: String,
    /// The zone's full name.
    pub(crate) zone: String,
    pub(crate) settings: Settings,
    pub(crate) encrypted: bool,
    /// ARN of the key of an encrypted volume.
    pub(crate) kms_key: Option<String>,
    /// Snapshot that the volume is created from.
    pub(crate) snapshot_id: Option<String>,
    /// I/O is enabled automatically after a possible inconsistency; recorded and described only.
    pub(crate) auto_enable_io: bool,
    pub(crate) created: DateTime<Utc>,
    pub(crate) attachments: Vec<VolumeAttachment>,
    /// The latest modification.
    pub(crate) modification: Option<Modification>,
    pub(crate) tags: Tags,
}

/// Properties that `ModifyVolume` changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    /// `gp3`, `io2`…
    pub(crate) kind: String,
    pub(crate) size_gib: u32,
    pub(crate) iops: Option<u32>,
    /// Throughput in MiB/s of a `gp3` volume.
    pub(crate) throughput: Option<u32>,
    pub(crate) multi_attach: bool,
}

/// The attachment of a volume to an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VolumeAttachment {
    pub(crate) instance_id: String,
    pub(crate) device: String,
    pub(crate) attached: DateTime<Utc>,
    pub(crate) delete_on_termination: bool,
}

/// A modification of a volume, which is completed at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Modification {
    pub(crate) original: Settings,
    pub(crate) target: Settings,
    pub(crate) started: DateTime<Utc>,
}

impl Volume {
    /// Returns EC2's state of the volume.
    pub(crate) fn state(&self) -> &'static str {
        if self.attachments.is_empty() { "available" } else { "in-use" }
    }

    /// Returns the attachment to an instance.
    pub(crate) fn attachment_to(&self, instance: &str) -> Option<&VolumeAttachment> {
        self.attachments.iter().find(|attachment| attachment.instance_id == instance)
    }
}

/// Returns the ARN of the key that AWS manages for EBS, `alias/aws/ebs`.
pub(crate) fn managed_key(scope: ArnScope<'_>) -> String {
    let digits = derived_id("", &format!("alias/aws/ebs in {}", scope.region)).replace('-', "");
    let (start, end) = (&digits[..8], &digits[5..17]);
    let id = format!("{start}-{}-4{}-8{}-{end}", &start[..4], &start[1..4], &start[2..5]);
    scope.arn("kms", format_args!("key/{id}"))
}

impl Region {
    /// Returns the attached volumes of an instance with their attachments, in the order of their attachment.
    pub(crate) fn volumes_of(&self, instance: &str) -> Vec<(&Volume, &VolumeAttachment)> {
        let ids = self.ec2.instances.get(instance).map(|instance| instance.volumes.as_slice()).unwrap_or_default();
        let volumes = ids.iter().filter_map(|id| self.ec2.volumes.get(id));
        volumes.filter_map(|volume| Some((volume, volume.attachment_to(instance)?))).collect()
    }

    /// Removes the attachments of a terminated instance. Volumes that declare it are deleted; the others are `available`
    /// afterwards.
    pub(crate) fn release_volumes_of(&mut self, instance: &str) {
        let released = self.ec2.instances.get_mut(instance).map(|instance| std::mem::take(&mut instance.volumes));
        for id in released.unwrap_or_default() {
            let Some(volume) = self.ec2.volumes.get_mut(&id) else { continue };
            let deletes = volume.attachment_to(instance).is_some_and(|attachment| attachment.delete_on_termination);
            volume.attachments.retain(|attachment| attachment.instance_id != instance);
            if deletes && volume.attachments.is_empty() {
                self.ec2.remove_volume(&id);
            }
        }
    }
}

/// Converts the volumes of earlier versions, which were parts of instances.
pub(crate) fn complete_volumes(region: &mut Region) {
    let earlier = region.ec2.instances.values().filter(|instance| !instance.block_devices.is_empty());
    let earlier: Vec<String> = earlier.map(|instance| instance.id.clone()).collect();
    for id in earlier {
        let Some(instance) = region.ec2.instances.get_mut(&id) else { continue };
        let devices = std::mem::take(&mut instance.block_devices);
        let tags = std::mem::take(&mut instance.volume_tags);
        if instance.terminated_at.is_some() {
            continue;
        }
        let (zone, created) = (instance.zone.clone(), instance.launch_time);
        instance.volumes = devices.iter().map(|device| device.volume_id.clone()).collect();
        for device in devices {
            let settings = Settings {
                kind: device.volume_type.unwrap_or_else(|| "gp3".to_owned()),
                size_gib: device.size_gib.unwrap_or(ROOT_SIZE_GIB),
                iops: device.iops,
                throughput: device.throughput,
                multi_attach: false,
            };
            let attachment = VolumeAttachment {
                instance_id: id.clone(),
                device: device.device_name,
                attached: created,
                delete_on_termination: device.delete_on_termination.unwrap_or(true),
            };
            let encrypted = device.encrypted.unwrap_or(false);
            let volume = Volume {
                id: device.volume_id,
                zone: zone.clone(),
                settings: settings.with_defaults(),
                encrypted,
                kms_key: encrypted.then(|| managed_key(region.scope())),
                created,
                attachments: vec![attachment],
                tags: tags.clone(),
                ..Volume::default()
            };
            region.ec2.volumes.insert(volume.id.clone(), volume);
        }
    }
}

impl Settings {
    /// Adds the performance that a type has by default.
    /// <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html>
    pub(crate) fn with_defaults(mut self) -> Settings {
        match self.kind.as_str() {
            "gp3" => {
                self.iops = self.iops.or(Some(3000));
                self.throughput = self.throughput.or(Some(125));
            }
            "gp2" => self.iops = Some((self.size_gib * 3).clamp(100, 16_000)),
            _ => {}
        }
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use crate::model::Cloud;
    use crate::testing::ControlPlane;

    #[test]
    fn volumes_of_earlier_states_become_resources() {
        let mut plane = ControlPlane::new();
        let [one, other] = plane.launch_two("app");
        let mut state = serde_json::to_value(&plane.cloud).unwrap();
        let ec2 = &mut state["regions"]["us-east-1"]["ec2"];
        ec2.as_object_mut().unwrap().remove("volumes");
        for (id, volume, terminated) in [(&one, "vol-0a", false), (&other, "vol-0b", true)] {
            let instance = ec2["instances"][id].as_object_mut().unwrap();
            instance.remove("volumes");
            let device = json!({
                "device_name": "/dev/xvda", "volume_id": volume, "size_gib": 20, "volume_type": null, "iops": null,
                "throughput": null, "encrypted": true, "delete_on_termination": false
            });
            instance.insert("block_devices".to_owned(), json!([device]));
            instance.insert("volume_tags".to_owned(), json!({"Name": "data"}));
            if terminated {
                instance.insert("terminated_at".to_owned(), json!("2026-01-01T00:00:00Z"));
            }
        }
        let mut cloud: Cloud = serde_json::from_value(state).unwrap();
        cloud.complete();
        let region = cloud.region("us-east-1").unwrap();
        assert_eq!(region.ec2.volumes.keys().collect::<Vec<_>>(), ["vol-0a"], "a terminated instance has no volume");
        let (volume, attachment) = region.volumes_of(&one)[0];
        assert_eq!((volume.settings.size_gib, volume.settings.iops, volume.state()), (20, Some(3000), "in-use"));
        assert!(volume.encrypted && volume.kms_key.is_some() && !attachment.delete_on_termination);
        assert_eq!(volume.tags["Name"], "data");
        let completed = cloud.clone();
        cloud.complete();
        assert_eq!(cloud, completed);
    }
}
