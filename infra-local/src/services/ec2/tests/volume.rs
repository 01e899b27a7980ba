//! Volumes and snapshots.

use insta::assert_snapshot;

use crate::model::ec2::instance::InstanceState;
use crate::testing::{ControlPlane, element, outline};

/// Lets the data plane finish the change of an instance's state.
fn settle(plane: &mut ControlPlane, instance: &str, state: InstanceState) {
    let region = plane.cloud.regions.get_mut("us-east-1").unwrap();
    region.ec2.instances.get_mut(instance).unwrap().state = state;
    if state == InstanceState::Terminated {
        region.release_volumes_of(instance);
    }
}

fn zone_of(plane: &ControlPlane, instance: &str) -> String {
    plane.cloud.regions["us-east-1"].ec2.instances[instance].zone.clone()
}

fn create(plane: &mut ControlPlane, form: &str) -> String {
    element(&plane.ec2("CreateVolume", form), "volumeId").to_owned()
}

#[test]
fn volume_is_created_attached_detached_and_deleted() {
    let mut plane = ControlPlane::new();
    let [instance, other] = plane.launch_two("app");
    settle(&mut plane, &instance, InstanceState::Running);
    settle(&mut plane, &other, InstanceState::Running);
    let zone = zone_of(&plane, &instance);
    let created = plane.ec2(
        "CreateVolume",
        &format!(
            "AvailabilityZone={zone}&Size=10&VolumeType=gp3&Encrypted=true&TagSpecification.1.ResourceType=volume\
             &TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=data"
        ),
    );
    let volume = element(&created, "volumeId").to_owned();
    assert_eq!(element(&created, "status"), "creating");
    let attach = format!("VolumeId={volume}&InstanceId={instance}&Device=/dev/sdf");
    assert_eq!(element(&plane.ec2("AttachVolume", &attach), "status"), "attaching");
    assert_eq!(
        plane.ec2_error("AttachVolume", &attach),
        format!("VolumeInUse: {volume} is already attached to an instance")
    );
    let found = plane.ec2(
        "DescribeVolumes",
        &format!("Filter.1.Name=attachment.instance-id&Filter.1.Value.1={instance}&Filter.2.Name=tag:Name&Filter.2.Value.1=d*"),
    );
    let found = outline(&found).replace(&volume[4..], "[volume]").replace(&instance[2..], "[instance]");
    assert_snapshot!(regex_lite::Regex::new("key/.*").unwrap().replace(&found, "key/[key]"), @r"
    DescribeVolumesResponse
      DescribeVolumesResult
        volumeSet
          member
            volumeId: vol-[volume]
            size: 10
            snapshotId
            availabilityZone: [zone]
            availabilityZoneId: use1-az1
            status: in-use
            createTime: [time]
            attachmentSet
              member
                volumeId: vol-[volume]
                instanceId: i-[instance]
                device: /dev/sdf
                status: attached
                attachTime: [time]
                deleteOnTermination: false
            tagSet
              member
                key: Name
                value: data
            volumeType: gp3
            iops: 3000
            throughput: 125
            encrypted: true
            kmsKeyId: arn:aws:kms:us-east-1:000000000000:key/[key]
            multiAttachEnabled: false
            volumeArn: arn:aws:ec2:us-east-1:000000000000:volume/vol-[volume]
            operator
              managed: false
      ResponseMetadata
        RequestId: r
    ");
    let described = plane.ec2("DescribeInstances", &format!("InstanceId.1={instance}"));
    assert!(described.contains("<deviceName>/dev/sdf</deviceName>"), "{described}");
    let in_use = plane.ec2_error("DeleteVolume", &format!("VolumeId={volume}"));
    assert_eq!(in_use, format!("VolumeInUse: Volume {volume} is currently attached to {instance}"));
    let elsewhere = plane.ec2_error("DetachVolume", &format!("VolumeId={volume}&InstanceId={other}"));
    assert!(elsewhere.starts_with("InvalidAttachment.NotFound: "), "{elsewhere}");
    assert_eq!(element(&plane.ec2("DetachVolume", &format!("VolumeId={volume}")), "status"), "detaching");
    let detached = plane.ec2_error("DetachVolume", &format!("VolumeId={volume}"));
    assert_eq!(detached, format!("IncorrectState: Volume '{volume}' is in the 'available' state."));
    plane.ec2("DeleteVolume", &format!("VolumeId={volume}"));
    let gone = plane.ec2_error("DescribeVolumes", &format!("VolumeId.1={volume}"));
    assert_eq!(gone, format!("InvalidVolume.NotFound: The volume '{volume}' does not exist."));
}

#[test]
fn volume_without_delete_on_termination_remains() {
    let mut plane = ControlPlane::new();
    let [instance, other] = plane.launch_two("app");
    let root = plane.cloud.regions["us-east-1"].ec2.instances[&instance].volumes[0].clone();
    plane.ec2(
        "ModifyInstanceAttribute",
        &format!(
            "InstanceId={instance}&BlockDeviceMapping.1.DeviceName=/dev/xvda\
             &BlockDeviceMapping.1.Ebs.DeleteOnTermination=false"
        ),
    );
    for id in [&instance, &other] {
        plane.ec2("TerminateInstances", &format!("InstanceId.1={id}"));
        settle(&mut plane, id, InstanceState::Terminated);
    }
    let left = plane.ec2("DescribeVolumes", "");
    assert_eq!(element(&left, "volumeId"), root);
    assert_eq!(element(&left, "status"), "available");
    assert_eq!(left.matches("<volumeId>").count(), 1, "the other volume is deleted: {left}");
    let unmapped = plane
        .ec2_error("ModifyInstanceAttribute", &format!("InstanceId={other}&BlockDeviceMapping.1.DeviceName=/dev/sdz"));
    assert_eq!(unmapped, format!("IncorrectInstanceState: The instance '{other}' is terminated"));
}

#[test]
fn root_volume_is_detached_from_a_stopped_instance_only() {
    let mut plane = ControlPlane::new();
    let [instance, _] = plane.launch_two("app");
    let root = plane.cloud.regions["us-east-1"].ec2.instances[&instance].volumes[0].clone();
    settle(&mut plane, &instance, InstanceState::Running);
    let refused = plane.ec2_error("DetachVolume", &format!("VolumeId={root}"));
    assert_eq!(
        refused,
        format!("OperationNotPermitted: Unable to detach root volume '{root}' from instance '{instance}'")
    );
    settle(&mut plane, &instance, InstanceState::Stopped);
    plane.ec2("DetachVolume", &format!("VolumeId={root}"));
    let rootless = plane.ec2_error("StartInstances", &format!("InstanceId.1={instance}"));
    assert!(rootless.contains("does not have a volume attached at root (/dev/xvda)"), "{rootless}");
    plane.ec2("AttachVolume", &format!("VolumeId={root}&InstanceId={instance}&Device=/dev/xvda"));
    plane.ec2("StartInstances", &format!("InstanceId.1={instance}"));
}

#[test]
fn creation_of_a_volume_is_checked() {
    let mut plane = ControlPlane::new();
    let cases = [
        ("Size=1", "MissingParameter: The request must contain the parameter availabilityZone"),
        ("AvailabilityZone=us-east-1a", "MissingParameter: The request must contain the parameter size/snapshotId"),
        ("AvailabilityZone=us-east-1x&Size=1", "InvalidZone.NotFound: The zone 'us-east-1x' does not exist."),
        (
            "AvailabilityZone=us-east-1a&Size=1&KmsKeyId=k",
            "InvalidParameterDependency: The parameter KmsKeyId requires the parameter Encrypted to be set.",
        ),
        (
            "AvailabilityZone=us-east-1a&SnapshotId=snap-00000000",
            "InvalidSnapshot.NotFound: The snapshot 'snap-00000000' does not exist.",
        ),
    ];
    for (form, error) in cases {
        assert_eq!(plane.ec2_error("CreateVolume", form), error, "{form}");
    }
    let token = "AvailabilityZone=us-east-1a&Size=1&ClientToken=t";
    assert_eq!(create(&mut plane, token), create(&mut plane, token));
    let mismatch = plane.ec2_error("CreateVolume", &format!("{token}&VolumeType=gp3"));
    assert!(mismatch.starts_with("IdempotentParameterMismatch: "), "{mismatch}");
}

#[test]
fn modification_is_described_after_it_is_completed() {
    let mut plane = ControlPlane::new();
    let volume = create(&mut plane, "AvailabilityZone=us-east-1a&Size=10");
    let unmodified = plane.ec2_error("DescribeVolumesModifications", &format!("VolumeId.1={volume}"));
    assert!(unmodified.starts_with("InvalidVolumeModification.NotFound: "), "{unmodified}");
    let smaller = plane.ec2_error("ModifyVolume", &format!("VolumeId={volume}&Size=5"));
    assert_eq!(smaller, "InvalidParameterValue: New size cannot be smaller than existing size");
    let modified = plane.ec2("ModifyVolume", &format!("VolumeId={volume}&Size=20&VolumeType=gp3&Iops=4000"));
    assert_eq!(element(&modified, "modificationState"), "modifying");
    let described = plane.ec2("DescribeVolumesModifications", "Filter.1.Name=target-volume-type&Filter.1.Value.1=gp3");
    for (name, value) in [
        ("modificationState", "completed"),
        ("originalVolumeType", "gp2"),
        ("originalSize", "10"),
        ("targetSize", "20"),
        ("targetIops", "4000"),
    ] {
        assert_eq!(element(&described, name), value, "{name}");
    }
    assert_eq!(element(&plane.ec2("DescribeVolumes", ""), "size"), "20");
    let status = plane.ec2("DescribeVolumeStatus", "");
    assert!(status.contains("<name>io-enabled</name><status>passed</status>"), "{status}");
    plane.ec2("ModifyVolumeAttribute", &format!("VolumeId={volume}&AutoEnableIO.Value=true"));
    let attribute = plane.ec2("DescribeVolumeAttribute", &format!("VolumeId={volume}&Attribute=autoEnableIO"));
    assert_eq!(element(&attribute, "value"), "true");
}

#[test]
fn snapshot_outlives_its_volume_and_creates_another() {
    let mut plane = ControlPlane::new();
    let volume = create(&mut plane, "AvailabilityZone=us-east-1a&Size=10&Encrypted=true");
    let created = plane.ec2("CreateSnapshot", &format!("VolumeId={volume}&Description=nightly"));
    let snapshot = element(&created, "snapshotId").to_owned();
    assert_eq!((element(&created, "status"), element(&created, "encrypted")), ("pending", "true"));
    plane.ec2("DeleteVolume", &format!("VolumeId={volume}"));
    let found = plane.ec2("DescribeSnapshots", "Filter.1.Name=description&Filter.1.Value.1=night*&Owner.1=self");
    assert_eq!((element(&found, "status"), element(&found, "progress")), ("completed", "100%"));
    let small = format!("AvailabilityZone=us-east-1b&SnapshotId={snapshot}&Size=5");
    assert_eq!(
        plane.ec2_error("CreateVolume", &small),
        format!(
            "InvalidBlockDeviceMapping: Volume of size 5GB is smaller than snapshot '{snapshot}', expect size >= 10GB"
        )
    );
    let restored = plane.ec2("CreateVolume", &format!("AvailabilityZone=us-east-1b&SnapshotId={snapshot}"));
    assert_eq!((element(&restored, "size"), element(&restored, "encrypted")), ("10", "true"));
    let copy = plane.ec2("CopySnapshot", &format!("SourceRegion=us-east-1&SourceSnapshotId={snapshot}"));
    assert_ne!(element(&copy, "snapshotId"), snapshot);
    plane.ec2("DeleteSnapshot", &format!("SnapshotId={snapshot}"));
    let gone = plane.ec2_error("DeleteSnapshot", &format!("SnapshotId={snapshot}"));
    assert_eq!(gone, format!("InvalidSnapshot.NotFound: The snapshot '{snapshot}' does not exist."));
}

#[test]
fn snapshots_of_an_instance_exclude_volumes() {
    let mut plane = ControlPlane::new();
    let [instance, _] = plane.launch_two("app");
    settle(&mut plane, &instance, InstanceState::Running);
    let zone = zone_of(&plane, &instance);
    let data = create(&mut plane, &format!("AvailabilityZone={zone}&Size=3"));
    plane.ec2("CreateTags", &format!("ResourceId.1={data}&Tag.1.Key=Name&Tag.1.Value=data"));
    plane.ec2("AttachVolume", &format!("VolumeId={data}&InstanceId={instance}&Device=/dev/sdf"));
    let form = format!("InstanceSpecification.InstanceId={instance}&CopyTagsFromSource=volume");
    let both = plane.ec2("CreateSnapshots", &form);
    assert_eq!(both.matches("<snapshotId>").count(), 2, "{both}");
    let one = plane.ec2("CreateSnapshots", &format!("{form}&InstanceSpecification.ExcludeBootVolume=true"));
    assert_eq!((element(&one, "volumeId"), element(&one, "value")), (data.as_str(), "data"));
    assert_eq!(one.matches("<snapshotId>").count(), 1, "{one}");
}

#[test]
fn snapshot_is_shared_and_reset() {
    let mut plane = ControlPlane::new();
    let volume = create(&mut plane, "AvailabilityZone=us-east-1a&Size=1");
    let created = plane.ec2("CreateSnapshot", &format!("VolumeId={volume}"));
    let of = format!("SnapshotId={}&Attribute=createVolumePermission", element(&created, "snapshotId"));
    plane
        .ec2("ModifySnapshotAttribute", &format!("{of}&OperationType=add&UserId.1=111111111111&UserId.2=222222222222"));
    plane.ec2("ModifySnapshotAttribute", &format!("{of}&CreateVolumePermission.Remove.1.UserId=111111111111"));
    let described = plane.ec2("DescribeSnapshotAttribute", &of);
    assert_eq!(element(&described, "userId"), "222222222222");
    assert_eq!(described.matches("<userId>").count(), 1);
    plane.ec2("ResetSnapshotAttribute", &of);
    assert!(!plane.ec2("DescribeSnapshotAttribute", &of).contains("userId"));
}
