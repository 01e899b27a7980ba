//! `AWS::EC2::VPC`.

use serde_json::{Value, json};

use super::{EC2, Form, known, retag_ec2, tag_list, tags, text};
use crate::model::Cloud;
use crate::services::cloudcontrol::caller::Caller;
use crate::services::cloudcontrol::kind::Kind;
use crate::wire::{ApiError, Outcome};

pub(super) const KIND: Kind = Kind {
    name: "AWS::EC2::VPC",
    identifier: "VpcId",
    properties: &["EnableDnsHostnames", "EnableDnsSupport", "InstanceTenancy", "Tags"],
    create_only: &["CidrBlock"],
    read_only: &["VpcId", "CidrBlockAssociations", "DefaultNetworkAcl", "DefaultSecurityGroup", "Ipv6CidrBlocks"],
    only_on_aws: &["Ipv4IpamPoolId", "Ipv4NetmaskLength", "VpcEncryptionControl"],
    required: &["CidrBlock"],
    reading: &["ec2:DescribeVpcs", "ec2:DescribeVpcAttribute", "ec2:DescribeSecurityGroups"],
    create,
    update,
    delete,
    read,
    list,
};

/// Boolean attributes with their defaults.
const SWITCHES: [(&str, &str); 2] = [("EnableDnsSupport", "true"), ("EnableDnsHostnames", "false")];

fn create(cloud: &mut Cloud, caller: &Caller<'_>, wanted: &Value) -> Outcome<String> {
    let mut form = Form::new()
        .maybe("CidrBlock", text(wanted, "CidrBlock")?)
        .maybe("InstanceTenancy", text(wanted, "InstanceTenancy")?);
    let tags = tags(wanted)?;
    if !tags.is_empty() {
        form = form.with("TagSpecification.1.ResourceType", "vpc").tags("TagSpecification.1.Tag", &tags);
    }
    let answer = caller.query(cloud, &EC2, "CreateVpc", &form.0)?;
    let id = answer
        .at(&["vpc", "vpcId"])
        .ok_or_else(|| ApiError::internal("the response of CreateVpc contains no id"))?
        .to_owned();
    switch(cloud, caller, &id, wanted)?;
    Ok(id)
}

fn update(cloud: &mut Cloud, caller: &Caller<'_>, id: &str, current: &Value, wanted: &Value) -> Outcome<()> {
    if wanted.get("InstanceTenancy").is_some_and(|tenancy| *tenancy != current["InstanceTenancy"]) {
        return Err(super::invalid("The local cloud has VPCs of the tenancy 'default' alone."));
    }
    switch(cloud, caller, id, wanted)?;
    retag_ec2(cloud, caller, id, current, wanted)
}

fn switch(cloud: &mut Cloud, caller: &Caller<'_>, id: &str, wanted: &Value) -> Outcome<()> {
    for (name, default) in SWITCHES {
        let value = text(wanted, name)?.unwrap_or_else(|| default.to_owned());
        let form = Form::new().with("VpcId", id).with(format!("{name}.Value"), value);
        caller.query(cloud, &EC2, "ModifyVpcAttribute", &form.0)?;
    }
    Ok(())
}

fn delete(cloud: &mut Cloud, caller: &Caller<'_>, id: &str) -> Outcome<()> {
    caller.query(cloud, &EC2, "DeleteVpc", &Form::new().with("VpcId", id).0).map(drop)
}

fn read(cloud: &Cloud, region: &str, id: &str) -> Outcome<Option<Value>> {
    let region = cloud.region(region)?;
    let Some(vpc) = region.ec2.vpcs.get(id) else { return Ok(None) };
    let mut groups = region.ec2.security_groups.values();
    let default = groups.find(|group| group.vpc_id == id && group.name == "default").map(|group| &group.id);
    Ok(Some(known(json!({
        "VpcId": vpc.id,
        "CidrBlock": vpc.cidr,
        "CidrBlockAssociations": [vpc.id.replacen("vpc-", "vpc-cidr-assoc-", 1)],
        "DefaultNetworkAcl": vpc.network_acl_id(),
        "DefaultSecurityGroup": default,
        "EnableDnsHostnames": vpc.dns_hostnames,
        "EnableDnsSupport": vpc.dns_support,
        "InstanceTenancy": "default",
        "Tags": tag_list(&vpc.tags),
    }))))
}

fn list(cloud: &Cloud, region: &str) -> Outcome<Vec<String>> {
    Ok(cloud.region(region)?.ec2.vpcs.keys().cloned().collect())
}
