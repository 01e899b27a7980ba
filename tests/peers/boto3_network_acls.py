#!/usr/bin/env python3
"""Tests the network ACLs of a running local cloud with boto3, AWS's Python SDK.

Usage: boto3_network_acls.py ENDPOINT          (needs: pip install boto3)

All resources that it creates are deleted again, so it can run repeatedly and with a cloud that is in use (with quota for
two more VPCs in us-east-1).
"""

from common import SUFFIX, client, refused

EC2 = client("ec2")
UNKNOWN = "acl-00000000000000000"


def by(**filters):
    return [{"Name": name.replace("__", ".").replace("_", "-"), "Values": [value]} for name, value in filters.items()]


def find(acl):
    return EC2.describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"][0]


def default_of(vpc):
    return EC2.describe_network_acls(Filters=by(vpc_id=vpc, default="true"))["NetworkAcls"][0]


def entries(acl, egress):
    found = [entry for entry in find(acl)["Entries"] if entry["Egress"] == egress]
    assert [entry["RuleNumber"] for entry in found] == sorted(entry["RuleNumber"] for entry in found), found
    assert found[-1] == {"RuleNumber": 32767, "Protocol": "-1", "RuleAction": "deny", "Egress": egress, "CidrBlock": "0.0.0.0/0"}
    return found[:-1]


def acls(vpc, subnets):
    default = default_of(vpc)
    assert default["IsDefault"] and default["OwnerId"] and sorted(
        association["SubnetId"] for association in default["Associations"]) == sorted(subnets)
    for egress in (False, True):
        assert entries(default["NetworkAclId"], egress) == [
            {"RuleNumber": 100, "Protocol": "-1", "RuleAction": "allow", "Egress": egress, "CidrBlock": "0.0.0.0/0"}]
    with refused("InvalidParameterValue", f"cannot delete default network ACL {default['NetworkAclId']}"):
        EC2.delete_network_acl(NetworkAclId=default["NetworkAclId"])

    tags = [{"Key": "peer", "Value": SUFFIX}]
    made = EC2.create_network_acl(VpcId=vpc, ClientToken=SUFFIX, TagSpecifications=[
        {"ResourceType": "network-acl", "Tags": tags}])
    acl = made["NetworkAcl"]["NetworkAclId"]
    assert made["ClientToken"] == SUFFIX and made["NetworkAcl"]["VpcId"] == vpc and not made["NetworkAcl"]["IsDefault"]
    assert made["NetworkAcl"] == find(acl) and made["NetworkAcl"]["Tags"] == tags
    assert not made["NetworkAcl"]["Associations"] and not entries(acl, True) and not entries(acl, False)
    again = EC2.create_network_acl(VpcId=vpc, ClientToken=SUFFIX, TagSpecifications=[
        {"ResourceType": "network-acl", "Tags": tags}])
    assert again["NetworkAcl"]["NetworkAclId"] == acl
    with refused("IdempotentParameterMismatch"):
        EC2.create_network_acl(VpcId=vpc, ClientToken=SUFFIX)
    with refused("InvalidVpcID.NotFound"):
        EC2.create_network_acl(VpcId="vpc-00000000000000000")
    with refused("InvalidParameterValue", "subnet"):
        EC2.create_network_acl(VpcId=vpc, TagSpecifications=[{"ResourceType": "subnet", "Tags": tags}])
    with refused("DryRunOperation"):
        EC2.create_network_acl(VpcId=vpc, DryRun=True)
    for operation in (EC2.delete_network_acl, lambda **named: EC2.describe_network_acls(NetworkAclIds=list(named.values()))):
        with refused("InvalidNetworkAclID.NotFound", f"The networkAcl ID '{UNKNOWN}' does not exist"):
            operation(NetworkAclId=UNKNOWN)
        with refused("InvalidNetworkAclId.Malformed", "nonsense"):
            operation(NetworkAclId="nonsense")

    EC2.create_tags(Resources=[acl], Tags=[{"Key": "more", "Value": "1"}])
    EC2.delete_tags(Resources=[acl], Tags=[{"Key": "peer"}])
    assert find(acl)["Tags"] == [{"Key": "more", "Value": "1"}]
    shown = EC2.describe_tags(Filters=by(resource_id=acl))["Tags"]
    assert [(tag["ResourceType"], tag["Key"]) for tag in shown] == [("network-acl", "more")]

    associations(vpc, subnets, default["NetworkAclId"], acl)
    EC2.delete_network_acl(NetworkAclId=acl)
    with refused("InvalidNetworkAclID.NotFound"):
        find(acl)


def associations(vpc, subnets, default, acl):
    def of(subnet):
        found = EC2.describe_network_acls(Filters=by(association__subnet_id=subnet))["NetworkAcls"]
        assert len(found) == 1, found
        association, = [it for it in found[0]["Associations"] if it["SubnetId"] == subnet]
        assert association["NetworkAclId"] == found[0]["NetworkAclId"]
        return association["NetworkAclAssociationId"], association["NetworkAclId"]
    before, held_by = of(subnets[0])
    assert held_by == default and before.startswith("aclassoc-")
    new = EC2.replace_network_acl_association(AssociationId=before, NetworkAclId=acl)["NewAssociationId"]
    assert new != before and of(subnets[0]) == (new, acl) and of(subnets[1])[1] == default
    with refused("InvalidAssociationID.NotFound", before):
        EC2.replace_network_acl_association(AssociationId=before, NetworkAclId=acl)
    with refused("InvalidNetworkAclID.NotFound"):
        EC2.replace_network_acl_association(AssociationId=new, NetworkAclId=UNKNOWN)
    other = EC2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    with refused("InvalidParameterValue", "different networks"):
        EC2.replace_network_acl_association(AssociationId=new, NetworkAclId=default_of(other)["NetworkAclId"])
    EC2.delete_vpc(VpcId=other)
    assert not EC2.describe_network_acls(Filters=by(vpc_id=other))["NetworkAcls"]
    assert EC2.describe_network_acls(Filters=by(association__association_id=new))["NetworkAcls"][0]["NetworkAclId"] == acl
    assert EC2.describe_network_acls(Filters=by(association__network_acl_id=acl, network_acl_id=acl))["NetworkAcls"]
    with refused("DependencyViolation", f"The networkAcl '{acl}' has dependencies and cannot be deleted."):
        EC2.delete_network_acl(NetworkAclId=acl)
    EC2.replace_network_acl_association(AssociationId=new, NetworkAclId=default)
    # The association is deleted with its subnet.
    subnet = EC2.create_subnet(VpcId=vpc, CidrBlock="10.0.9.0/24")["Subnet"]["SubnetId"]
    EC2.replace_network_acl_association(AssociationId=of(subnet)[0], NetworkAclId=acl)
    EC2.delete_subnet(SubnetId=subnet)
    assert not find(acl)["Associations"]


def rules(vpc):
    acl = EC2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]

    def make(number, protocol, egress=False, action="allow", cidr="10.0.0.0/8", operation=EC2.create_network_acl_entry, **more):
        operation(NetworkAclId=acl, RuleNumber=number, Protocol=protocol, Egress=egress, RuleAction=action, CidrBlock=cidr, **more)
    make(110, "tcp", cidr="100.68.0.18/18", PortRange={"From": 80, "To": 443})
    make(100, "17", PortRange={"From": 53, "To": 53})
    make(120, "icmp", action="deny", IcmpTypeCode={"Type": 8, "Code": -1})
    make(130, "-1", PortRange={"From": 0, "To": 0})
    make(32766, "47", egress=True)
    assert entries(acl, False) == [
        {"RuleNumber": 100, "Protocol": "17", "RuleAction": "allow", "Egress": False, "CidrBlock": "10.0.0.0/8",
         "PortRange": {"From": 53, "To": 53}},
        {"RuleNumber": 110, "Protocol": "6", "RuleAction": "allow", "Egress": False, "CidrBlock": "100.68.0.0/18",
         "PortRange": {"From": 80, "To": 443}},
        {"RuleNumber": 120, "Protocol": "1", "RuleAction": "deny", "Egress": False, "CidrBlock": "10.0.0.0/8",
         "IcmpTypeCode": {"Type": 8, "Code": -1}},
        {"RuleNumber": 130, "Protocol": "-1", "RuleAction": "allow", "Egress": False, "CidrBlock": "10.0.0.0/8"}]
    assert [entry["Protocol"] for entry in entries(acl, True)] == ["47"]
    for filters in (by(entry__cidr="100.68.0.0/18"), by(entry__protocol="tcp"), by(entry__protocol="6"),
                    by(entry__port_range__from="80", entry__port_range__to="443"), by(entry__icmp__type="8"),
                    by(entry__icmp__code="-1", entry__rule_action="deny"), by(entry__rule_number="32766"),
                    by(entry__egress="true")):
        found = EC2.describe_network_acls(Filters=filters + by(vpc_id=vpc, default="false"))["NetworkAcls"]
        assert [it["NetworkAclId"] for it in found] == [acl], filters
    assert not EC2.describe_network_acls(Filters=by(vpc_id=vpc, entry__ipv6_cidr="::/0"))["NetworkAcls"]

    with refused("NetworkAclEntryAlreadyExists", "110"):
        make(110, "-1")
    make(110, "-1", egress=True)
    make(110, "udp", operation=EC2.replace_network_acl_entry, PortRange={"From": 1, "To": 2})
    assert entries(acl, False)[1]["Protocol"] == "17" and entries(acl, False)[1]["PortRange"] == {"From": 1, "To": 2}
    with refused("InvalidNetworkAclEntry.NotFound", "111"):
        make(111, "-1", operation=EC2.replace_network_acl_entry)
    for number in (0, 32767, -5, 100000):
        with refused("InvalidParameterValue", str(number)):
            make(number, "-1")
        with refused("InvalidParameterValue", str(number)):
            EC2.delete_network_acl_entry(NetworkAclId=acl, RuleNumber=number, Egress=True)
    with refused("MissingParameter", "portRange.from"):
        make(200, "tcp")
    with refused("MissingParameter", "icmpTypeCode.type"):
        make(200, "1", PortRange={"From": 0, "To": 0})
    for protocol, more in (("tcp", {"PortRange": {"From": 9, "To": 8}}), ("tcp", {"PortRange": {"From": -1, "To": 70000}}),
                           ("icmp", {"IcmpTypeCode": {"Type": 256, "Code": 0}}), ("256", {}), ("gopher", {})):
        with refused("InvalidParameterValue"):
            make(200, protocol, **more)
    with refused("InvalidParameterValue", "ruleAction"):
        make(200, "-1", action="perhaps")
    with refused("InvalidParameterValue", "CidrBlock"):
        make(200, "-1", cidr="10.0.0.0")
    EC2.create_network_acl_entry(
        NetworkAclId=acl, RuleNumber=200, Protocol="-1", Egress=False, RuleAction="allow", Ipv6CidrBlock="::/0")
    EC2.delete_network_acl_entry(NetworkAclId=acl, RuleNumber=200, Egress=False)
    with refused("InvalidNetworkAclID.NotFound"):
        EC2.delete_network_acl_entry(NetworkAclId=UNKNOWN, RuleNumber=100, Egress=False)
    EC2.delete_network_acl_entry(NetworkAclId=acl, RuleNumber=110, Egress=False)
    with refused("InvalidNetworkAclEntry.NotFound", "110"):
        EC2.delete_network_acl_entry(NetworkAclId=acl, RuleNumber=110, Egress=False)
    assert [entry["RuleNumber"] for entry in entries(acl, True)] == [110, 32766], "the other direction is unchanged"
    for number in range(1, 17):
        make(number, "-1", action="deny")
    with refused("NetworkAclEntryLimitExceeded"):
        make(17, "-1")

    # The entries of a default ACL can be changed.
    default = default_of(vpc)["NetworkAclId"]
    EC2.delete_network_acl_entry(NetworkAclId=default, RuleNumber=100, Egress=True)
    assert not entries(default, True) and entries(default, False)

    # A VPC needs its own ACLs, which are not the default one.
    seen, token = [], {}
    while True:
        page = EC2.describe_network_acls(Filters=by(vpc_id=vpc), MaxResults=5, **token)
        seen += [it["NetworkAclId"] for it in page["NetworkAcls"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert sorted(seen) == sorted([acl, default])
    return acl


def main():
    vpc = EC2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [EC2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{part}.0/24")["Subnet"]["SubnetId"] for part in (1, 2)]
    acls(vpc, subnets)
    acl = rules(vpc)
    for subnet in subnets:
        EC2.delete_subnet(SubnetId=subnet)
    with refused("DependencyViolation", vpc):
        EC2.delete_vpc(VpcId=vpc)
    EC2.delete_network_acl(NetworkAclId=acl)
    EC2.delete_vpc(VpcId=vpc)
    assert not EC2.describe_network_acls(Filters=by(vpc_id=vpc))["NetworkAcls"]
    print("ok  network ACLs, their entries and associations")


if __name__ == "__main__":
    main()
