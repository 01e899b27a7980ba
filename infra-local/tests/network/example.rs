//! A network of two peered VPCs, which the cases change.

use infra_local::fabric_testing::Declared;
use serde_json::{Value, json};

/// Two public subnets and a private one, which reaches the internet through a NAT gateway, and a peered VPC.
///
/// | interface | subnet | address | public | groups |
/// |---|---|---|---|---|
/// | `eni-web` | `subnet-a` | 10.0.1.5 | 127.77.0.5 | `sg-web`: TCP 80 from everywhere |
/// | `eni-app` | `subnet-b` | 10.0.2.5 | | `sg-app`: TCP 8080 from `sg-web`, TCP 22 from the peer |
/// | `eni-nat` | `subnet-a` | 10.0.1.9 | 127.77.0.9 | |
/// | `eni-peer` | `subnet-p` | 10.1.0.5 | | `sg-peer`: TCP 9000 from 10.0.2.0/24 |
/// | `eni-other` | `subnet-a` | 10.0.1.6 | 127.77.0.6 | `sg-other`: TCP 80 from 127.77.0.5/32 |
pub(crate) fn network() -> Value {
    let everything = json!([{"traffic": "all", "peer": {"range": "0.0.0.0/0"}}]);
    let group = |members: Value, ingress: Value| json!({"members": members, "ingress": ingress, "egress": everything});
    let tcp = |port: u16, peer: Value| json!([{"traffic": {"tcp": [port, port]}, "peer": peer}]);
    let acl = json!({
        "ingress": {"100": {"allow": true, "traffic": "all", "range": "0.0.0.0/0"}},
        "egress": {"100": {"allow": true, "traffic": "all", "range": "0.0.0.0/0"}},
    });
    let subnet = |range: &str, routes: Value| json!({"range": range, "zone": "us-east-1a", "route_table": "rtb-1", "routes": routes, "acl": "acl-1"});
    let interface = |subnet: &str, address: &str, public: Value, groups: Value| {
        let translates = groups.is_null();
        json!({"owner": "i-1", "subnet": subnet, "address": address, "public": public, "groups": groups,
            "translates": translates})
    };
    let mut app = tcp(8080, json!({"group": "sg-web"}));
    app.as_array_mut().unwrap().extend(tcp(22, json!({"range": "10.1.0.0/16"})).as_array().unwrap().clone());
    json!({
        "vpcs": {
            "vpc-1": {
                "range": "10.0.0.0/16",
                "domain": "ec2.internal",
                "has_resolver": true,
                "internet_gateway": "igw-1",
                "subnets": {
                    "subnet-a": subnet("10.0.1.0/24", json!({"0.0.0.0/0": "internet"})),
                    "subnet-b": subnet(
                        "10.0.2.0/24",
                        json!({"0.0.0.0/0": {"nat": "eni-nat"}, "10.1.0.0/16": {"peering": "pcx-1"}}),
                    ),
                },
                "interfaces": {
                    "eni-web": interface("subnet-a", "10.0.1.5", json!("127.77.0.5"), json!(["sg-web"])),
                    "eni-other": interface("subnet-a", "10.0.1.6", json!("127.77.0.6"), json!(["sg-other"])),
                    "eni-nat": interface("subnet-a", "10.0.1.9", json!("127.77.0.9"), json!(null)),
                    "eni-app": interface("subnet-b", "10.0.2.5", json!(null), json!(["sg-app"])),
                },
                "groups": {
                    "sg-web": group(json!(["10.0.1.5"]), tcp(80, json!({"range": "0.0.0.0/0"}))),
                    "sg-other": group(json!(["10.0.1.6"]), tcp(80, json!({"range": "127.77.0.5/32"}))),
                    "sg-app": group(json!(["10.0.2.5"]), app),
                },
                "acls": {"acl-1": acl},
            },
            "vpc-2": {
                "range": "10.1.0.0/16",
                "domain": "ec2.internal",
                "has_resolver": true,
                "internet_gateway": null,
                "subnets": {"subnet-p": subnet("10.1.0.0/24", json!({"10.0.0.0/16": {"peering": "pcx-1"}}))},
                "interfaces": {"eni-peer": interface("subnet-p", "10.1.0.5", json!(null), json!(["sg-peer"]))},
                "groups": {"sg-peer": group(json!(["10.1.0.5"]), tcp(9000, json!({"range": "10.0.2.0/24"})))},
                "acls": {"acl-1": acl},
            },
        },
        "peerings": {"pcx-1": ["vpc-1", "vpc-2"]},
    })
}

pub(crate) fn declared(network: Value) -> Declared {
    Declared::from_json(network).unwrap()
}

/// A VPC with this many interfaces in a group whose only rule permits TCP to a port from the group itself.
pub(crate) fn large(count: u32, port: u16) -> Value {
    let address = |number: u32| std::net::Ipv4Addr::from_bits(0x0a00_0010 + number).to_string();
    let mut network = network();
    let vpc = &mut network["vpcs"]["vpc-1"];
    vpc["subnets"]["subnet-l"] =
        json!({"range": "10.0.0.0/24", "zone": "", "route_table": "rtb-1", "routes": {}, "acl": "acl-1"});
    let members: Vec<String> = (0..count).map(address).collect();
    vpc["groups"]["sg-large"] = json!({
        "members": members,
        "ingress": [{"traffic": {"tcp": [port, port]}, "peer": {"group": "sg-large"}}],
        "egress": [{"traffic": "all", "peer": {"range": "0.0.0.0/0"}}],
    });
    for (number, address) in members.iter().enumerate() {
        vpc["interfaces"][format!("eni-{number}")] = json!({"owner": "i-1", "subnet": "subnet-l", "address": address,
            "public": null, "groups": ["sg-large"], "translates": false});
    }
    network
}
