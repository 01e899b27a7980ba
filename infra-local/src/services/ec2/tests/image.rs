//! Images: launch permissions and copies, and encryption by default.

use crate::testing::{ControlPlane, element};

/// Copies a stock image, and returns the id of the copy.
fn copy(plane: &mut ControlPlane, name: &str, more: &str) -> String {
    let source = element(&plane.ec2("DescribeImages", "Owner.1=136693071363"), "imageId").to_owned();
    let form = format!("SourceImageId={source}&SourceRegion=us-east-1&Name={name}{more}");
    element(&plane.ec2("CopyImage", &form), "imageId").to_owned()
}

#[test]
fn launch_permissions_are_added_and_removed() {
    let mut plane = ControlPlane::new();
    let id = copy(&mut plane, "shared", "");
    let modify = format!("ImageId={id}&LaunchPermission.Add.1.UserId=123456789012&LaunchPermission.Add.2.Group=all");
    plane.ec2("ModifyImageAttribute", &modify);
    let describe = format!("ImageId={id}&Attribute=launchPermission");
    let shown = plane.ec2("DescribeImageAttribute", &describe);
    assert_eq!((element(&shown, "group"), element(&shown, "userId")), ("all", "123456789012"));
    assert_eq!(element(&plane.ec2("DescribeImages", &format!("ImageId.1={id}")), "isPublic"), "true");
    let other = plane.ec2("DescribeImages", "ExecutableBy.1=123456789012");
    assert_eq!(element(&other, "imageId"), id);
    let remove = format!("ImageId={id}&Attribute=launchPermission&OperationType=remove&UserGroup.1=all");
    plane.ec2("ModifyImageAttribute", &remove);
    assert!(!plane.ec2("DescribeImageAttribute", &describe).contains("<group>"));
    plane.ec2("ResetImageAttribute", &describe);
    assert!(!plane.ec2("DescribeImageAttribute", &describe).contains("<userId>"));
    let account = plane.ec2_error("ModifyImageAttribute", &format!("ImageId={id}&LaunchPermission.Add.1.UserId=12"));
    assert!(account.starts_with("InvalidAMIAttributeItemValue: "), "{account}");
    let several = plane.ec2_error("ModifyImageAttribute", &format!("{modify}&Description.Value=x"));
    assert!(several.starts_with("InvalidParameterCombination: "), "{several}");
}

#[test]
fn copy_names_its_source_and_has_snapshots_of_its_own() {
    let mut plane = ControlPlane::new();
    let id = copy(
        &mut plane,
        "copied",
        "&Encrypted=true&TagSpecification.1.ResourceType=image\
        &TagSpecification.1.Tag.1.Key=team&TagSpecification.1.Tag.1.Value=blue",
    );
    let shown = plane.ec2("DescribeImages", &format!("ImageId.1={id}"));
    assert!(shown.contains("<sourceImageRegion>us-east-1</sourceImageRegion>"), "{shown}");
    assert_eq!((element(&shown, "imageState"), element(&shown, "encrypted")), ("pending", "true"));
    assert_eq!(element(&shown, "key"), "team");
    let snapshot = element(&shown, "snapshotId").to_owned();
    let snapshots = plane.ec2("DescribeSnapshots", &format!("SnapshotId.1={snapshot}"));
    assert_eq!(element(&snapshots, "encrypted"), "true");
    let source = element(&plane.ec2("DescribeImages", "Owner.1=136693071363"), "imageId").to_owned();
    let again = plane.ec2_error("CopyImage", &format!("SourceImageId={source}&SourceRegion=us-east-1&Name=copied"));
    assert!(again.starts_with("InvalidAMIName.Duplicate: "), "{again}");
    let public = plane.ec2_error("ModifyImageAttribute", &format!("ImageId={id}&LaunchPermission.Add.1.Group=all"));
    assert!(public.starts_with("OperationNotPermitted: "), "{public}");
    let token = "&ClientToken=once";
    assert_eq!(copy(&mut plane, "once", token), copy(&mut plane, "once", token));
}

#[test]
fn new_volumes_are_encrypted_by_default_when_it_is_enabled() {
    let mut plane = ControlPlane::new();
    assert_eq!(element(&plane.ec2("GetEbsEncryptionByDefault", ""), "ebsEncryptionByDefault"), "false");
    plane.ec2("EnableEbsEncryptionByDefault", "");
    assert_eq!(element(&plane.ec2("GetEbsEncryptionByDefault", ""), "sseType"), "sse-kms");
    let form = "AvailabilityZone=us-east-1a&Size=1&Encrypted=false";
    let created = plane.ec2("CreateVolume", form);
    assert_eq!(element(&created, "encrypted"), "true");
    assert_eq!(element(&created, "kmsKeyId"), element(&plane.ec2("GetEbsDefaultKmsKeyId", ""), "kmsKeyId"));
    plane.ec2("DisableEbsEncryptionByDefault", "");
    assert_eq!(element(&plane.ec2("CreateVolume", form), "encrypted"), "false");
}
