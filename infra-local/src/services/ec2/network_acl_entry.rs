//! Entries of network ACLs.

use super::network_acl::{LAST_RULE, find_mut};
use super::{Ec2Operation, resource, vpc};
use crate::model::Cloud;
use crate::model::ec2::network_acl::AclEntry;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes("CreateNetworkAclEntry", create, ENTRY).on(&[resource::NETWORK_ACL]),
    Operation::writes("ReplaceNetworkAclEntry", replace, ENTRY).on(&[resource::NETWORK_ACL]),
    Operation::writes("DeleteNetworkAclEntry", delete, &[PLACE]).on(&[resource::NETWORK_ACL]),
];

/// Parameters that name an entry.
const PLACE: &[&str] = &["NetworkAclId", "RuleNumber", "Egress"];

/// Parameters of an entry.
const ENTRY: &[&[&str]] = &[
    PLACE,
    &[
        "Protocol",
        "RuleAction",
        "CidrBlock",
        "Ipv6CidrBlock",
        "PortRange.From",
        "PortRange.To",
        "Icmp.Type",
        "Icmp.Code",
    ],
];

/// AWS's default quota of entries in each direction, which counts the last one.
const LIMIT: usize = 20;

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let acl = find_mut(cloud.region_mut(call.region)?, params.required("NetworkAclId")?)?;
    let (number, egress) = place(params)?;
    let entry = parse(params)?;
    let entries = acl.entries_mut(egress);
    if entries.contains_key(&number) {
        return Err(ApiError::new(
            "NetworkAclEntryAlreadyExists",
            format!("The network acl entry identified by {number} already exists."),
        ));
    }
    if entries.len() + 1 >= LIMIT {
        return Err(ApiError::new(
            "NetworkAclEntryLimitExceeded",
            format!("The maximum number of network acl entries has been reached for network acl '{}'.", acl.id),
        ));
    }
    entries.insert(number, entry);
    Ok(Node::success())
}

fn replace(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let acl = find_mut(cloud.region_mut(call.region)?, params.required("NetworkAclId")?)?;
    let (number, egress) = place(params)?;
    let entry = parse(params)?;
    *acl.entries_mut(egress).get_mut(&number).ok_or_else(|| not_found(number))? = entry;
    Ok(Node::success())
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let acl = find_mut(cloud.region_mut(call.region)?, params.required("NetworkAclId")?)?;
    let (number, egress) = place(params)?;
    acl.entries_mut(egress).remove(&number).ok_or_else(|| not_found(number))?;
    Ok(Node::success())
}

fn not_found(number: u16) -> ApiError {
    ApiError::new(
        "InvalidNetworkAclEntry.NotFound",
        format!("The network acl entry identified by {number} does not exist"),
    )
}

/// The rule number and the direction of a request.
fn place(params: &Params) -> Outcome<(u16, bool)> {
    let number: i64 = params.parsed("RuleNumber")?.ok_or_else(|| ApiError::missing("ruleNumber"))?;
    let allowed = u16::try_from(number).ok().filter(|number| (1..LAST_RULE).contains(number));
    let number = allowed.ok_or_else(|| {
        ApiError::invalid(format!(
            "Value ({number}) for parameter ruleNumber is invalid. Rule numbers are 1 to 32766; the entry {LAST_RULE} (*) \
             cannot be changed."
        ))
    })?;
    let egress = params.parsed("Egress")?.ok_or_else(|| ApiError::missing("egress"))?;
    Ok((number, egress))
}

fn parse(params: &Params) -> Outcome<AclEntry> {
    let protocol = protocol(params.required("Protocol")?)?;
    let allow = match params.required("RuleAction")? {
        "allow" => true,
        "deny" => false,
        other => {
            return Err(ApiError::invalid(format!(
                "Value ({other}) for parameter ruleAction is invalid. Valid values are allow and deny."
            )));
        }
    };
    let cidr = match (params.optional("CidrBlock"), params.optional("Ipv6CidrBlock")) {
        // Packets of the local cloud have IPv4 addresses, so the entry matches none.
        (None, Some(range)) => super::ranges::ipv6_cidr(range)?,
        (_, None) => vpc::parse_cidr(params, "CidrBlock")?.to_string(),
        (Some(_), Some(_)) => {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                "The request must contain exactly one of cidrBlock, ipv6CidrBlock",
            ));
        }
    };
    let ports = if matches!(protocol, Some(6 | 17)) { Some(ports(params)?) } else { None };
    let icmp = if matches!(protocol, Some(1 | 58)) { Some(icmp(params)?) } else { None };
    Ok(AclEntry { allow, protocol, cidr, ports, icmp })
}

fn protocol(text: &str) -> Outcome<Option<u8>> {
    match text.to_ascii_lowercase().as_str() {
        "-1" | "all" => Ok(None),
        "icmp" => Ok(Some(1)),
        "tcp" => Ok(Some(6)),
        "udp" => Ok(Some(17)),
        "icmpv6" => Ok(Some(58)),
        number => number
            .parse()
            .map(Some)
            .map_err(|_| ApiError::invalid(format!("Invalid value '{text}' for IP protocol. Unknown protocol."))),
    }
}

fn ports(params: &Params) -> Outcome<(u16, u16)> {
    let port =
        |name: &str, shown: &str| -> Outcome<i64> { params.parsed(name)?.ok_or_else(|| ApiError::missing(shown)) };
    let (first, last) = (port("PortRange.From", "portRange.from")?, port("PortRange.To", "portRange.to")?);
    match (u16::try_from(first), u16::try_from(last)) {
        (Ok(low), Ok(high)) if low <= high => Ok((low, high)),
        _ => Err(ApiError::invalid(format!(
            "Invalid TCP/UDP port range ({first}:{last}): both ends lie in 0 to 65535 and the first is not above the second"
        ))),
    }
}

/// Type and code; -1 stands for all.
fn icmp(params: &Params) -> Outcome<(Option<u8>, Option<u8>)> {
    let part = |name: &str, shown: &str| -> Outcome<Option<u8>> {
        let number: i64 = params.parsed(name)?.ok_or_else(|| ApiError::missing(shown))?;
        match u8::try_from(number) {
            Ok(number) => Ok(Some(number)),
            Err(_) if number == -1 => Ok(None),
            Err(_) => Err(ApiError::invalid(format!(
                "Value ({number}) for parameter {shown} is invalid. Valid values are -1, for all, and 0 to 255."
            ))),
        }
    };
    match (part("Icmp.Type", "icmpTypeCode.type")?, part("Icmp.Code", "icmpTypeCode.code")?) {
        (None, Some(code)) => Err(ApiError::invalid(format!(
            "Value ({code}) for parameter icmpTypeCode.code is invalid. With all ICMP types (-1), the code is -1 as well."
        ))),
        icmp => Ok(icmp),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::services::ec2::OPERATIONS;
    use crate::testing::ControlPlane;

    /// Asks EC2; the answer, or the error's code.
    fn ask(plane: &mut ControlPlane, name: &str, form: &str) -> Result<String, String> {
        plane
            .query(OPERATIONS, name, form)
            .map_err(|error| error.split([':', ' ']).next().unwrap_or_default().to_owned())
    }

    fn element(xml: &str, name: &str) -> String {
        let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    }

    #[test]
    fn the_parameters_of_an_entry_are_checked_as_on_aws() {
        let mut plane = ControlPlane::new();
        let vpc = element(&ask(&mut plane, "DescribeVpcs", "").unwrap(), "vpcId");
        let acl = element(&ask(&mut plane, "CreateNetworkAcl", &format!("VpcId={vpc}")).unwrap(), "networkAclId");
        let mut number = 0;
        let mut create = |rest: &str| {
            number += 1;
            let form = format!("NetworkAclId={acl}&RuleNumber={number}&Egress=true&RuleAction=allow&{rest}");
            ask(&mut plane, "CreateNetworkAclEntry", &form).err().unwrap_or_default()
        };
        for (rest, code) in [
            ("Protocol=tcp&CidrBlock=10.0.0.0/8&PortRange.From=80&PortRange.To=90", ""),
            ("Protocol=17&CidrBlock=10.0.0.0/8&PortRange.From=0&PortRange.To=65535", ""),
            ("Protocol=icmp&CidrBlock=10.0.0.0/8&Icmp.Type=8&Icmp.Code=-1", ""),
            ("Protocol=-1&CidrBlock=10.0.0.0/8&PortRange.From=0&PortRange.To=0", ""),
            ("Protocol=47&CidrBlock=10.0.0.0/8", ""),
            ("Protocol=tcp&CidrBlock=10.0.0.0/8", "MissingParameter"),
            ("Protocol=tcp&CidrBlock=10.0.0.0/8&PortRange.From=90&PortRange.To=80", "InvalidParameterValue"),
            ("Protocol=tcp&CidrBlock=10.0.0.0/8&PortRange.From=90&PortRange.To=65536", "InvalidParameterValue"),
            ("Protocol=icmp&CidrBlock=10.0.0.0/8", "MissingParameter"),
            ("Protocol=icmp&CidrBlock=10.0.0.0/8&Icmp.Type=-1&Icmp.Code=3", "InvalidParameterValue"),
            ("Protocol=256&CidrBlock=10.0.0.0/8", "InvalidParameterValue"),
            ("Protocol=sctp&CidrBlock=10.0.0.0/8", "InvalidParameterValue"),
            ("Protocol=-1&CidrBlock=10.0.0.0", "InvalidParameterValue"),
            ("Protocol=-1", "MissingParameter"),
            ("Protocol=-1&Ipv6CidrBlock=::/0", ""),
            ("Protocol=-1&Ipv6CidrBlock=::/0&CidrBlock=0.0.0.0/0", "InvalidParameterCombination"),
        ] {
            assert_eq!(create(rest), code, "{rest}");
        }
        let shown = ask(&mut plane, "DescribeNetworkAcls", &format!("NetworkAclId.1={acl}")).unwrap();
        assert_eq!(shown.matches("<ruleNumber>").count(), 6 + 2, "{shown}");
    }

    #[test]
    fn a_direction_has_room_for_nineteen_entries() {
        let mut plane = ControlPlane::new();
        let vpc = element(&ask(&mut plane, "DescribeVpcs", "").unwrap(), "vpcId");
        let acl = element(&ask(&mut plane, "CreateNetworkAcl", &format!("VpcId={vpc}")).unwrap(), "networkAclId");
        let mut create = |number: u32, egress: bool| {
            let form = format!(
                "NetworkAclId={acl}&RuleNumber={number}&Egress={egress}&RuleAction=deny&Protocol=-1&CidrBlock=0.0.0.0/0"
            );
            ask(&mut plane, "CreateNetworkAclEntry", &form).err().unwrap_or_default()
        };
        for number in 1..=19 {
            assert_eq!(create(number, false), "");
        }
        assert_eq!(create(7, false), "NetworkAclEntryAlreadyExists");
        assert_eq!(create(20, false), "NetworkAclEntryLimitExceeded");
        assert_eq!(create(32766, true), "");
        for number in [0, 32767, 70000] {
            assert_eq!(create(number, true), "InvalidParameterValue", "{number}");
        }
    }
}
