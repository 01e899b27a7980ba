//! Instances: filters, attributes, images and launch templates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::ec2::instance::InstanceState;
use crate::testing::{ControlPlane, element};

fn state(plane: &mut ControlPlane, instance: &str, state: InstanceState) {
    let region = plane.cloud.regions.get_mut("us-east-1").unwrap();
    region.ec2.instances.get_mut(instance).unwrap().state = state;
}

#[test]
fn filters_compare_elements_of_the_response() {
    let mut plane = ControlPlane::new();
    let [one, other] = plane.launch_two("app");
    let root = plane.cloud.regions["us-east-1"].ec2.instances[&one].volumes[0].clone();
    plane.ec2("ModifyInstanceMetadataOptions", &format!("InstanceId={one}&HttpTokens=required"));
    plane.ec2("MonitorInstances", &format!("InstanceId.1={one}"));
    for (name, value, expected) in [
        ("block-device-mapping.volume-id", root.as_str(), 1),
        ("block-device-mapping.status", "attached", 2),
        ("metadata-options.http-tokens", "required", 1),
        ("monitoring-state", "enabled", 1),
        ("network-interface.attachment.device-index", "0", 2),
        ("network-interface.addresses.primary", "true", 2),
        ("launch-index", "1", 1),
        ("root-device-name", "/dev/xv*", 2),
        ("instance-lifecycle", "spot", 0),
    ] {
        let found = plane.ec2("DescribeInstances", &format!("Filter.1.Name={name}&Filter.1.Value.1={value}"));
        assert_eq!(found.matches("<imageId>").count(), expected, "{name}={value}: {found}");
    }
    let unknown = plane.ec2_error("DescribeInstances", "Filter.1.Name=no-such&Filter.1.Value.1=x");
    assert_eq!(unknown, "InvalidParameterValue: The filter 'no-such' is invalid");
    state(&mut plane, &other, InstanceState::Running);
    let status =
        plane.ec2("DescribeInstanceStatus", "Filter.1.Name=instance-status.reachability&Filter.1.Value.1=passed");
    assert_eq!(element(&status, "instanceId"), other);
}

#[test]
fn attributes_change_one_at_a_time_and_some_only_while_stopped() {
    let mut plane = ControlPlane::new();
    let [one, _] = plane.launch_two("app");
    state(&mut plane, &one, InstanceState::Running);
    let modify = format!("InstanceId={one}&");
    let running = plane.ec2_error("ModifyInstanceAttribute", &format!("{modify}InstanceType.Value=t3.small"));
    assert_eq!(running, format!("IncorrectInstanceState: The instance '{one}' is not in the 'stopped' state."));
    let two = plane.ec2_error(
        "ModifyInstanceAttribute",
        &format!("{modify}DisableApiStop.Value=true&DisableApiTermination.Value=true"),
    );
    let message = "Fields for multiple attribute types specified: disableApiStop, disableApiTermination";
    assert_eq!(two, format!("InvalidParameterCombination: {message}"));
    plane.ec2("ModifyInstanceAttribute", &format!("{modify}DisableApiStop.Value=true"));
    let kept = plane.ec2_error("StopInstances", &format!("InstanceId.1={one}"));
    assert!(kept.starts_with("OperationNotPermitted: ") && kept.contains("'disableApiStop'"), "{kept}");
    plane.ec2("ModifyInstanceAttribute", &format!("{modify}Attribute=disableApiStop&Value=false"));
    plane.ec2("StopInstances", &format!("InstanceId.1={one}"));
    state(&mut plane, &one, InstanceState::Stopped);
    plane.ec2("ModifyInstanceAttribute", &format!("{modify}InstanceType.Value=m5.4xlarge"));
    let data = plane.ec2("GetLaunchTemplateData", &format!("InstanceId={one}"));
    assert_eq!((element(&data, "instanceType"), element(&data, "volumeType")), ("m5.4xlarge", "gp3"));
    plane.ec2("ModifyInstanceAttribute", &format!("{modify}SourceDestCheck.Value=false"));
    plane.ec2("ResetInstanceAttribute", &format!("{modify}Attribute=sourceDestCheck"));
    let check = plane.ec2("DescribeInstanceAttribute", &format!("{modify}Attribute=sourceDestCheck"));
    assert_eq!(element(&check, "value"), "true");
}

#[test]
fn the_hop_limit_is_recorded_and_between_1_and_64() {
    let mut plane = ControlPlane::new();
    let [one, _] = plane.launch_two("app");
    let modify = |limit: &str| format!("InstanceId={one}&HttpPutResponseHopLimit={limit}");
    plane.ec2("ModifyInstanceMetadataOptions", &modify("3"));
    let described = plane.ec2("DescribeInstances", &format!("InstanceId.1={one}"));
    assert_eq!(element(&described, "httpPutResponseHopLimit"), "3");
    for limit in ["0", "65"] {
        let error = plane.ec2_error("ModifyInstanceMetadataOptions", &modify(limit));
        assert!(error.starts_with("InvalidParameterValue: ") && error.contains(limit), "{error}");
    }
}

#[test]
fn user_data_is_limited_to_16_kilobytes() {
    let mut plane = ControlPlane::new();
    let images = plane.ec2("DescribeImages", "");
    let run = |bytes: usize| {
        let data = STANDARD.encode(vec![b'#'; bytes]).replace('+', "%2B");
        let image = element(&images, "imageId");
        format!("ImageId={image}&InstanceType=t3.micro&MinCount=1&MaxCount=1&UserData={data}")
    };
    let launched = plane.ec2("RunInstances", &run(16 * 1024));
    let error = plane.ec2_error("RunInstances", &run(16 * 1024 + 1));
    assert_eq!(error, "InvalidParameterValue: User data is limited to 16384 bytes");
    let one = element(&launched, "instanceId").to_owned();
    state(&mut plane, &one, InstanceState::Running);
    let change = format!("InstanceId={one}&UserData.Value={}", STANDARD.encode("#!/bin/sh"));
    let error = plane.ec2_error("ModifyInstanceAttribute", &change);
    assert!(error.starts_with("IncorrectInstanceState: "), "{error}");
    state(&mut plane, &one, InstanceState::Stopped);
    plane.ec2("ModifyInstanceAttribute", &change);
}

#[test]
fn image_contains_the_data_volumes_of_its_instance() {
    let mut plane = ControlPlane::new();
    let [one, _] = plane.launch_two("app");
    state(&mut plane, &one, InstanceState::Stopped);
    let zone = plane.cloud.regions["us-east-1"].ec2.instances[&one].zone.clone();
    let volume = plane.ec2("CreateVolume", &format!("AvailabilityZone={zone}&Size=3"));
    let attach = format!("VolumeId={}&InstanceId={one}&Device=/dev/sdf", element(&volume, "volumeId"));
    plane.ec2("AttachVolume", &attach);
    let image = plane.ec2("CreateImage", &format!("InstanceId={one}&Name=with-data"));
    let image = element(&image, "imageId").to_owned();
    let described = plane.ec2("DescribeImages", &format!("ImageId.1={image}"));
    assert!(described.contains("<deviceName>/dev/sdf</deviceName>"), "{described}");
    let snapshots = plane.ec2("DescribeSnapshots", "");
    assert_eq!(snapshots.matches("<snapshotId>").count(), 2);
    assert_eq!(element(&snapshots, "status"), "pending", "the snapshots are complete with the image");
    let region = plane.cloud.regions.get_mut("us-east-1").unwrap();
    region.ec2.images.get_mut(&image).unwrap().state = crate::model::ec2::image::ImageState::Available;
    let run = format!("ImageId={image}&InstanceType=t3.micro&MinCount=1&MaxCount=1");
    let launched = plane.ec2("RunInstances", &run);
    assert!(launched.contains("<deviceName>/dev/sdf</deviceName>"), "{launched}");
    let without = plane
        .ec2("RunInstances", &format!("{run}&BlockDeviceMapping.1.DeviceName=/dev/sdf&BlockDeviceMapping.1.NoDevice="));
    assert!(!without.contains("/dev/sdf"), "{without}");
    let used = plane.ec2_error("DeleteSnapshot", &format!("SnapshotId={}", element(&snapshots, "snapshotId")));
    assert!(used.starts_with("InvalidSnapshot.InUse: "), "{used}");
    plane.ec2("DeregisterImage", &format!("ImageId={image}"));
    assert_eq!(plane.ec2("DescribeSnapshots", "").matches("<snapshotId>").count(), 2, "snapshots remain");
}

#[test]
fn instance_types_are_filtered_and_offered_in_all_zones() {
    let mut plane = ControlPlane::new();
    let types = plane.ec2(
        "DescribeInstanceTypes",
        "Filter.1.Name=vcpu-info.default-vcpus&Filter.1.Value.1=16&Filter.2.Name=instance-type&Filter.2.Value.1=m5.*",
    );
    assert_eq!((element(&types, "instanceType"), types.matches("<instanceType>").count()), ("m5.4xlarge", 1));
    let offered = plane.ec2(
        "DescribeInstanceTypeOfferings",
        "LocationType=availability-zone&Filter.1.Name=instance-type&Filter.1.Value.1=t3.micro",
    );
    assert_eq!(offered.matches("<location>").count(), 3);
}

#[test]
fn rule_descriptions_are_updated_by_the_ids_of_rules() {
    let mut plane = ControlPlane::new();
    let group = element(&plane.ec2("DescribeSecurityGroups", "GroupName.1=default"), "groupId").to_owned();
    let rule = format!("GroupId={group}&IpProtocol=tcp&FromPort=80&ToPort=80&CidrIp=10.0.0.0/8");
    let added = plane.ec2("AuthorizeSecurityGroupIngress", &rule);
    let id = element(&added, "securityGroupRuleId").to_owned();
    let update = format!(
        "GroupId={group}&SecurityGroupRuleDescription.1.SecurityGroupRuleId={id}&SecurityGroupRuleDescription.1.Description=web"
    );
    plane.ec2("UpdateSecurityGroupRuleDescriptionsIngress", &update);
    let rules = plane.ec2("DescribeSecurityGroupRules", &format!("SecurityGroupRuleId.1={id}"));
    assert_eq!(element(&rules, "description"), "web");
    let egress = plane.ec2_error("UpdateSecurityGroupRuleDescriptionsEgress", &update);
    assert!(egress.starts_with("InvalidSecurityGroupRuleId.NotFound: "), "{egress}");
}
