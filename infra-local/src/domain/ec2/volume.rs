//! Rules for the settings of volumes, and the volumes of a launch.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::model::ec2::block_device::BlockDevice;
use crate::model::ec2::image::{Image, ROOT_DEVICE};
use crate::model::ec2::snapshot::Snapshot;
use crate::model::ec2::volume::{Settings, Volume, VolumeAttachment, managed_key};
use crate::model::{ArnScope, Region, Tags, new_id};
use crate::wire::{ApiError, Outcome};

/// Limits of a volume type.
struct Limits {
    kind: &'static str,
    size_gib: (u32, u32),
    /// IOPS that can be provisioned, and their maximum per GiB.
    iops: Option<(u32, u32, u32)>,
}

/// Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html>, and for the ratios
/// <https://docs.aws.amazon.com/ebs/latest/userguide/provisioned-iops.html>.
const LIMITS: &[Limits] = &[
    Limits { kind: "standard", size_gib: (1, 1024), iops: None },
    Limits { kind: "gp2", size_gib: (1, 16_384), iops: None },
    Limits { kind: "gp3", size_gib: (1, 65_536), iops: Some((3000, 80_000, 500)) },
    Limits { kind: "io1", size_gib: (4, 16_384), iops: Some((100, 64_000, 50)) },
    Limits { kind: "io2", size_gib: (4, 65_536), iops: Some((100, 256_000, 1000)) },
    Limits { kind: "st1", size_gib: (125, 16_384), iops: None },
    Limits { kind: "sc1", size_gib: (125, 16_384), iops: None },
];

/// Throughput in MiB/s that a `gp3` volume can have.
const THROUGHPUT: (u32, u32) = (125, 2000);

/// Checks the settings of a volume, and adds the performance that its type has by default.
pub(crate) fn check_settings(settings: Settings) -> Outcome<Settings> {
    let kind = settings.kind.as_str();
    let limits = LIMITS.iter().find(|limits| limits.kind == kind).ok_or_else(|| {
        let known: Vec<&str> = LIMITS.iter().map(|limits| limits.kind).collect();
        ApiError::invalid(format!("Invalid value '{kind}' for VolumeType. Allowed values are {}.", known.join(", ")))
    })?;
    check_range(kind, "size", "GiB", settings.size_gib, limits.size_gib)?;
    match (settings.iops, limits.iops) {
        (Some(_), None) => return Err(unsupported("iops", kind)),
        (None, Some(_)) if kind != "gp3" => return Err(ApiError::missing("iops")),
        (Some(iops), Some((least, most, ratio))) => {
            check_range(kind, "iops", "IOPS", iops, (least, most))?;
            let actual = f64::from(iops) / f64::from(settings.size_gib);
            // The baseline of 3,000 IOPS of a gp3 volume does not depend on its size.
            if actual > f64::from(ratio) && !(kind == "gp3" && iops == least) {
                return Err(ApiError::invalid(format!(
                    "Iops to volume size ratio of {actual:.6} is too high; maximum is {ratio}"
                )));
            }
        }
        _ => {}
    }
    if let Some(throughput) = settings.throughput {
        check_throughput(kind, throughput, settings.iops)?;
    }
    if settings.multi_attach && !["io1", "io2"].contains(&kind) {
        return Err(unsupported("multiAttachEnabled", kind));
    }
    Ok(settings.with_defaults())
}

fn check_throughput(kind: &str, throughput: u32, iops: Option<u32>) -> Outcome<()> {
    if kind != "gp3" {
        return Err(unsupported("throughput", kind));
    }
    check_range(kind, "throughput", "MiB/s", throughput, THROUGHPUT)?;
    let ratio = f64::from(throughput) / f64::from(iops.unwrap_or(3000));
    if ratio > 0.25 {
        return Err(ApiError::invalid(format!(
            "Throughput (MiBps) to iops ratio of {ratio:.6} is too high; maximum is 0.250000 MiBps per iops"
        )));
    }
    Ok(())
}

fn unsupported(parameter: &str, kind: &str) -> ApiError {
    let message = format!("The parameter {parameter} is not supported for {kind} volumes.");
    ApiError::new("InvalidParameterCombination", message)
}

fn check_range(kind: &str, name: &str, unit: &str, value: u32, (least, most): (u32, u32)) -> Outcome<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "Volume {name} of {value} {unit} is invalid for volumes of type {kind}; it must be between {least} and {most} {unit}."
    )))
}

/// Returns the size of a volume that is created from a snapshot: at least the snapshot's.
pub(crate) fn size_from(snapshot: &Snapshot, wanted: Option<u32>) -> Outcome<u32> {
    match wanted {
        Some(size) if size < snapshot.size_gib => Err(ApiError::new(
            "InvalidBlockDeviceMapping",
            format!(
                "Volume of size {size}GB is smaller than snapshot '{}', expect size >= {}GB",
                snapshot.id, snapshot.size_gib
            ),
        )),
        Some(size) => Ok(size),
        None => Ok(snapshot.size_gib),
    }
}

/// Returns the ARN of the key of an encrypted volume or snapshot. Keys of KMS are recorded by their ARN and encrypt
/// nothing.
pub(crate) fn key_of(scope: ArnScope<'_>, wanted: Option<&str>) -> Outcome<String> {
    match wanted {
        None | Some("alias/aws/ebs") => Ok(managed_key(scope)),
        Some(arn) if arn.starts_with("arn:aws:kms:") && arn.contains(":key/") => Ok(arn.to_owned()),
        Some(alias) if alias.contains("alias/") => Err(ApiError::new(
            "UnsupportedOperation",
            format!("The local cloud has no KMS and cannot resolve the alias '{alias}'; use the ARN of a key"),
        )),
        Some(id) => Ok(scope.arn("kms", format_args!("key/{id}"))),
    }
}

/// Returns AWS's error for a snapshot that does not exist.
pub(crate) fn unknown_snapshot(id: &str) -> ApiError {
    ApiError::new("InvalidSnapshot.NotFound", format!("The snapshot '{id}' does not exist."))
}

/// The volumes of each instance of a launch, as prototypes.
pub(super) struct LaunchVolumes(Vec<(Volume, VolumeAttachment)>);

impl LaunchVolumes {
    /// Combines the devices of the image with those of the request.
    pub(super) fn new(region: &Region, image: &Image, devices: &[BlockDevice], tags: &Tags) -> Outcome<Self> {
        let mut names = BTreeSet::new();
        if let Some(twice) = devices.iter().find(|device| !names.insert(&device.device_name)) {
            let message = format!("The device '{}' is used in more than one block-device mapping", twice.device_name);
            return Err(ApiError::new("InvalidBlockDeviceMapping", message));
        }
        let own_root = devices.iter().find(|device| device.device_name == ROOT_DEVICE).cloned().unwrap_or_default();
        if own_root.no_device {
            let message =
                format!("The device '{ROOT_DEVICE}' is the root device of the image and cannot be suppressed");
            return Err(ApiError::new("InvalidBlockDeviceMapping", message));
        }
        let root = BlockDevice {
            device_name: ROOT_DEVICE.to_owned(),
            snapshot_id: own_root.snapshot_id.or_else(|| Some(image.snapshot_id.clone())),
            size_gib: own_root.size_gib,
            volume_type: own_root.volume_type.or_else(|| Some("gp3".to_owned())),
            ..own_root
        };
        let own = region.ec2.snapshots.get(&image.snapshot_id).cloned().unwrap_or_default();
        let image_snapshot = Snapshot { id: image.snapshot_id.clone(), size_gib: image.size_gib, ..own };
        let of_image = image.devices.iter().filter(|device| !names.contains(&device.device_name));
        let others = devices.iter().filter(|device| device.device_name != ROOT_DEVICE && !device.no_device);
        let others = of_image.chain(others);
        let all = std::iter::once(&root).chain(others).map(|device| {
            let snapshot = match &device.snapshot_id {
                Some(id) if *id == image_snapshot.id => Some(&image_snapshot),
                Some(id) => Some(region.ec2.snapshots.get(id).ok_or_else(|| unknown_snapshot(id))?),
                None => None,
            };
            volume_of(region, device, snapshot, tags)
        });
        Ok(LaunchVolumes(all.collect::<Outcome<_>>()?))
    }

    /// Creates the volumes of an instance, and returns their ids.
    pub(super) fn create(&self, region: &mut Region, instance: &str, zone: &str, now: DateTime<Utc>) -> Vec<String> {
        let volumes = self.0.iter().map(|(volume, attachment)| Volume {
            id: new_id("vol"),
            zone: zone.to_owned(),
            created: now,
            attachments: vec![VolumeAttachment {
                instance_id: instance.to_owned(),
                attached: now,
                ..attachment.clone()
            }],
            ..volume.clone()
        });
        let mut ids = Vec::new();
        for volume in volumes {
            ids.push(volume.id.clone());
            region.ec2.volumes.insert(volume.id.clone(), volume);
        }
        ids
    }
}

fn volume_of(
    region: &Region,
    device: &BlockDevice,
    snapshot: Option<&Snapshot>,
    tags: &Tags,
) -> Outcome<(Volume, VolumeAttachment)> {
    let size_gib = match (snapshot, device.size_gib) {
        (Some(snapshot), size) => size_from(snapshot, size)?,
        (None, Some(size)) => size,
        (None, None) => {
            let message = format!("The device '{}' needs a size or a snapshot", device.device_name);
            return Err(ApiError::new("MissingParameter", message));
        }
    };
    let settings = check_settings(Settings {
        kind: device.volume_type.clone().unwrap_or_else(|| "gp2".to_owned()),
        size_gib,
        iops: device.iops,
        throughput: device.throughput,
        multi_attach: false,
    })?;
    let encrypted = device.encrypted.unwrap_or(false)
        || region.ec2.ebs_encryption_by_default
        || snapshot.is_some_and(|snapshot| snapshot.encrypted);
    if device.kms_key.is_some() && !encrypted {
        return Err(key_without_encryption());
    }
    let inherited = snapshot.and_then(|snapshot| snapshot.kms_key.as_deref());
    let volume = Volume {
        settings,
        encrypted,
        kms_key: encrypted.then(|| key_of(region.scope(), device.kms_key.as_deref().or(inherited))).transpose()?,
        snapshot_id: snapshot.map(|snapshot| snapshot.id.clone()),
        tags: tags.clone(),
        ..Volume::default()
    };
    let attachment = VolumeAttachment {
        instance_id: String::new(),
        device: device.device_name.clone(),
        attached: DateTime::default(),
        delete_on_termination: device.delete_on_termination.unwrap_or(true),
    };
    Ok((volume, attachment))
}

/// Returns AWS's error for a key of a volume that is not encrypted.
pub(crate) fn key_without_encryption() -> ApiError {
    ApiError::new("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(kind: &str, size_gib: u32, iops: Option<u32>, throughput: Option<u32>) -> Result<Settings, String> {
        let settings = Settings { kind: kind.to_owned(), size_gib, iops, throughput, multi_attach: false };
        check_settings(settings).map_err(|error| error.to_string())
    }

    #[test]
    fn performance_is_checked_by_type() {
        let default = checked("gp3", 10, None, None).map(|settings| (settings.iops, settings.throughput));
        assert_eq!(default, Ok((Some(3000), Some(125))));
        assert_eq!(checked("gp2", 100, None, None).map(|settings| settings.iops), Ok(Some(300)));
        assert_eq!(checked("gp3", 1, Some(3000), None).map(|settings| settings.iops), Ok(Some(3000)));
        let refusals = [
            (checked("gp2", 10, Some(300), None), "The parameter iops is not supported for gp2 volumes."),
            (checked("io1", 10, None, None), "The request must contain the parameter iops"),
            (
                checked("gp3", 20, Some(15_000), None),
                "Iops to volume size ratio of 750.000000 is too high; maximum is 500",
            ),
            (checked("gp2", 10, None, Some(125)), "The parameter throughput is not supported for gp2 volumes."),
            (checked("gp3", 10, None, Some(1000)), "Throughput (MiBps) to iops ratio of 0.333333 is too high"),
            (checked("st1", 10, None, None), "it must be between 125 and 16384 GiB"),
            (checked("gp9", 10, None, None), "Invalid value 'gp9' for VolumeType"),
        ];
        for (answer, message) in refusals {
            assert!(answer.as_ref().is_err_and(|error| error.contains(message)), "{answer:?} has not: {message}");
        }
    }
}
