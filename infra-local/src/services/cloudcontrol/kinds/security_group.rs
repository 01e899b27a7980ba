//! `AWS::EC2::SecurityGroup`.

use serde_json::{Value, json};

use super::{EC2, Form, generated_name, items, known, only, retag_ec2, tag_list, tags, text};
use crate::model::Cloud;
use crate::model::ec2::vpc::{Peer, Rule, SecurityGroup};
use crate::services::cloudcontrol::caller::Caller;
use crate::services::cloudcontrol::invalid;
use crate::services::cloudcontrol::kind::Kind;
use crate::wire::{ApiError, Outcome};

pub(super) const KIND: Kind = Kind {
    name: "AWS::EC2::SecurityGroup",
    identifier: "Id",
    properties: &["SecurityGroupIngress", "SecurityGroupEgress", "Tags"],
    create_only: &["GroupDescription", "GroupName", "VpcId"],
    read_only: &["GroupId", "Id"],
    only_on_aws: &[],
    required: &["GroupDescription"],
    reading: &["ec2:DescribeSecurityGroups", "ec2:DescribeSecurityGroupRules"],
    create,
    update,
    delete,
    read,
    list,
};

fn create(cloud: &mut Cloud, caller: &Caller<'_>, wanted: &Value) -> Outcome<String> {
    let mut form = Form::new()
        .with("GroupName", text(wanted, "GroupName")?.unwrap_or_else(|| generated_name("SecurityGroup")))
        .maybe("GroupDescription", text(wanted, "GroupDescription")?)
        .maybe("VpcId", text(wanted, "VpcId")?);
    let tags = tags(wanted)?;
    if !tags.is_empty() {
        form = form.with("TagSpecification.1.ResourceType", "security-group").tags("TagSpecification.1.Tag", &tags);
    }
    let answer = caller.query(cloud, &EC2, "CreateSecurityGroup", &form.0)?;
    let id = answer
        .at(&["groupId"])
        .ok_or_else(|| ApiError::internal("the response of CreateSecurityGroup contains no id"))?
        .to_owned();
    let current = read(cloud, caller.region, &id)?.unwrap_or_default();
    rules(cloud, caller, &id, &current, wanted)?;
    Ok(id)
}

fn update(cloud: &mut Cloud, caller: &Caller<'_>, id: &str, current: &Value, wanted: &Value) -> Outcome<()> {
    rules(cloud, caller, id, current, wanted)?;
    retag_ec2(cloud, caller, id, current, wanted)
}

/// Reconciles the rules. Without egress rules in the properties, AWS's default rule is kept.
fn rules(cloud: &mut Cloud, caller: &Caller<'_>, id: &str, current: &Value, wanted: &Value) -> Outcome<()> {
    for (property, direction) in [("SecurityGroupIngress", "Ingress"), ("SecurityGroupEgress", "Egress")] {
        if direction == "Egress" && wanted.get(property).is_none() {
            continue;
        }
        let old =
            items(current, property)?.iter().map(|rule| permission(rule, property)).collect::<Outcome<Vec<_>>>()?;
        let new =
            items(wanted, property)?.iter().map(|rule| permission(rule, property)).collect::<Outcome<Vec<_>>>()?;
        let surplus = old.iter().filter(|rule| !new.contains(rule)).map(|rule| ("Revoke", rule));
        let missing = new.iter().filter(|rule| !old.contains(rule)).map(|rule| ("Authorize", rule));
        for (verb, rule) in surplus.chain(missing) {
            let form = [&[("GroupId".to_owned(), id.to_owned())], rule.as_slice()].concat();
            caller.query(cloud, &EC2, &format!("{verb}SecurityGroup{direction}"), &form)?;
        }
    }
    Ok(())
}

/// Converts a rule to the parameters of the operations.
fn permission(rule: &Value, list: &str) -> Outcome<Vec<(String, String)>> {
    const PEERS: [(&str, &str); 4] = [
        ("CidrIp", "IpRanges.1.CidrIp"),
        ("CidrIpv6", "Ipv6Ranges.1.CidrIpv6"),
        ("SourceSecurityGroupId", "Groups.1.GroupId"),
        ("DestinationSecurityGroupId", "Groups.1.GroupId"),
    ];
    only(
        rule,
        list,
        &["IpProtocol", "FromPort", "ToPort", "Description", PEERS[0].0, PEERS[1].0, PEERS[2].0, PEERS[3].0],
    )?;
    let mut form = Form::new().maybe("IpPermissions.1.IpProtocol", text(rule, "IpProtocol")?);
    if rule.get("IpProtocol").is_some_and(|protocol| *protocol != "-1") {
        form = form
            .maybe("IpPermissions.1.FromPort", text(rule, "FromPort")?)
            .maybe("IpPermissions.1.ToPort", text(rule, "ToPort")?);
    }
    let mut peers = PEERS.iter().filter(|(name, _)| rule.get(*name).is_some());
    let (Some((name, parameter)), None) = (peers.next(), peers.next()) else {
        return Err(invalid(format!("A rule in {list} has exactly one of CidrIp, CidrIpv6 and a security group.")));
    };
    form = form.maybe(&format!("IpPermissions.1.{parameter}"), text(rule, name)?);
    if let Some(description) = text(rule, "Description")? {
        let entry = parameter.rsplit_once('.').map_or("", |(entry, _)| entry);
        form = form.with(format!("IpPermissions.1.{entry}.Description"), description);
    }
    Ok(form.0)
}

fn delete(cloud: &mut Cloud, caller: &Caller<'_>, id: &str) -> Outcome<()> {
    caller.query(cloud, &EC2, "DeleteSecurityGroup", &Form::new().with("GroupId", id).0).map(drop)
}

fn read(cloud: &Cloud, region: &str, id: &str) -> Outcome<Option<Value>> {
    Ok(cloud.region(region)?.ec2.security_groups.get(id).map(|group| {
        known(json!({
            "Id": group.id,
            "GroupId": group.id,
            "GroupName": group.name,
            "GroupDescription": group.description,
            "VpcId": group.vpc_id,
            "SecurityGroupIngress": render(group, false),
            "SecurityGroupEgress": render(group, true),
            "Tags": tag_list(&group.tags),
        }))
    }))
}

fn render(group: &SecurityGroup, egress: bool) -> Vec<Value> {
    let mut rules: Vec<&Rule> = group.rules.values().filter(|rule| rule.egress == egress).collect();
    rules.sort_by(|a, b| (&a.protocol, a.ports, &a.peer).cmp(&(&b.protocol, b.ports, &b.peer)));
    let render = |rule: &Rule| {
        let mut node = json!({
            "IpProtocol": rule.protocol,
            "FromPort": rule.ports.map(|ports| ports.0),
            "ToPort": rule.ports.map(|ports| ports.1),
            "Description": rule.description,
        });
        let peer = match &rule.peer {
            Peer::Ipv4(_) => "CidrIp",
            Peer::Ipv6(_) => "CidrIpv6",
            Peer::PrefixList(_) if egress => "DestinationPrefixListId",
            Peer::PrefixList(_) => "SourcePrefixListId",
            Peer::Group(_) if egress => "DestinationSecurityGroupId",
            Peer::Group(_) => "SourceSecurityGroupId",
        };
        node[peer] = json!(rule.peer.text());
        known(node)
    };
    rules.into_iter().map(render).collect()
}

fn list(cloud: &Cloud, region: &str) -> Outcome<Vec<String>> {
    Ok(cloud.region(region)?.ec2.security_groups.keys().cloned().collect())
}
