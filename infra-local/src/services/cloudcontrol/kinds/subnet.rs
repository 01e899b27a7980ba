//! `AWS::EC2::Subnet`.

use serde_json::{Value, json};

use super::{EC2, Form, known, retag_ec2, tag_list, tags, text};
use crate::model::Cloud;
use crate::services::cloudcontrol::caller::Caller;
use crate::services::cloudcontrol::kind::Kind;
use crate::wire::{ApiError, Outcome};

pub(super) const KIND: Kind = Kind {
    name: "AWS::EC2::Subnet",
    identifier: "SubnetId",
    properties: &["MapPublicIpOnLaunch", "Tags"],
    create_only: &["AvailabilityZone", "CidrBlock", "VpcId"],
    read_only: &["SubnetId"],
    only_on_aws: &[
        "AssignIpv6AddressOnCreation",
        "AvailabilityZoneId",
        "EnableDns64",
        "EnableLniAtDeviceIndex",
        "Ipv4IpamPoolId",
        "Ipv4NetmaskLength",
        "Ipv6CidrBlock",
        "Ipv6IpamPoolId",
        "Ipv6Native",
        "Ipv6NetmaskLength",
        "OutpostArn",
        "PrivateDnsNameOptionsOnLaunch",
    ],
    required: &["CidrBlock", "VpcId"],
    reading: &["ec2:DescribeSubnets"],
    create,
    update,
    delete,
    read,
    list,
};

fn create(cloud: &mut Cloud, caller: &Caller<'_>, wanted: &Value) -> Outcome<String> {
    let mut form = Form::new()
        .maybe("VpcId", text(wanted, "VpcId")?)
        .maybe("CidrBlock", text(wanted, "CidrBlock")?)
        .maybe("AvailabilityZone", text(wanted, "AvailabilityZone")?);
    let tags = tags(wanted)?;
    if !tags.is_empty() {
        form = form.with("TagSpecification.1.ResourceType", "subnet").tags("TagSpecification.1.Tag", &tags);
    }
    let answer = caller.query(cloud, &EC2, "CreateSubnet", &form.0)?;
    let id = answer.at(&["subnet", "subnetId"]);
    let id = id.ok_or_else(|| ApiError::internal("the response of CreateSubnet contains no id"))?.to_owned();
    map_addresses(cloud, caller, &id, wanted)?;
    Ok(id)
}

fn update(cloud: &mut Cloud, caller: &Caller<'_>, id: &str, current: &Value, wanted: &Value) -> Outcome<()> {
    map_addresses(cloud, caller, id, wanted)?;
    retag_ec2(cloud, caller, id, current, wanted)
}

fn map_addresses(cloud: &mut Cloud, caller: &Caller<'_>, id: &str, wanted: &Value) -> Outcome<()> {
    let mapped = text(wanted, "MapPublicIpOnLaunch")?.unwrap_or_else(|| "false".to_owned());
    let form = Form::new().with("SubnetId", id).with("MapPublicIpOnLaunch.Value", mapped);
    caller.query(cloud, &EC2, "ModifySubnetAttribute", &form.0).map(drop)
}

fn delete(cloud: &mut Cloud, caller: &Caller<'_>, id: &str) -> Outcome<()> {
    caller.query(cloud, &EC2, "DeleteSubnet", &Form::new().with("SubnetId", id).0).map(drop)
}

fn read(cloud: &Cloud, region: &str, id: &str) -> Outcome<Option<Value>> {
    let subnet = cloud.region(region)?.ec2.subnets.get(id);
    Ok(subnet.map(|subnet| {
        known(json!({
            "SubnetId": subnet.id,
            "VpcId": subnet.vpc_id,
            "CidrBlock": subnet.cidr,
            "AvailabilityZone": subnet.zone,
            "MapPublicIpOnLaunch": subnet.map_public_ip,
            "Tags": tag_list(&subnet.tags),
        }))
    }))
}

fn list(cloud: &Cloud, region: &str) -> Outcome<Vec<String>> {
    Ok(cloud.region(region)?.ec2.subnets.keys().cloned().collect())
}
