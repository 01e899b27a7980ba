//! The DNS resolver of a VPC, in a running cloud.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use infra_local::fabric_testing::{At, Fabric};
use infra_local::{LocalCloud, NetworkChoice, Options};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::skip::skip;
use crate::support::{ec2, element, eventually, launch, running_service};

/// Limit for an answer. Denied packets are dropped silently.
const PATIENCE: Duration = Duration::from_millis(500);

/// Resolves names as programs do, by the files that they see.
const SCRIPT: &str = "#!/bin/sh
{
    cat /etc/resolv.conf /etc/hosts
    for name in localhost instance-data instance-data.ec2.internal iam.amazonaws.com \"$(sed -n '2s/^[^ ]* [^ ]* //p' /etc/hosts)\"
    do getent ahostsv4 \"$name\" | sed -n '1s/ .*//p'
    done
    getent ahostsv4 example.com || echo unknown
    echo done
} >report 2>&1
exec sleep 600
";

/// An instance's interface, and the fabric that it is connected to.
struct Client {
    fabric: Fabric,
    at: At,
    address: Ipv4Addr,
}

impl Client {
    /// Asks for the address of a name. `None` without a response.
    async fn resolve(&self, is_tcp: bool, server: &str, name: &str) -> Option<Vec<Ipv4Addr>> {
        let mut query = Message::new(7, MessageType::Query, OpCode::Query);
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
        let query = query.to_vec().unwrap();
        let server: SocketAddr = format!("{server}:53").parse().unwrap();
        let asked =
            async { if is_tcp { self.over_tcp(server, &query).await } else { self.over_udp(server, &query).await } };
        let response = tokio::time::timeout(PATIENCE, asked).await.ok()??;
        let response = Message::from_vec(&response).unwrap();
        let addresses = response.answers.iter().filter_map(|record| match &record.data {
            RData::A(address) => Some(address.0),
            _ => None,
        });
        Some(addresses.collect())
    }

    async fn over_udp(&self, server: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
        let socket = self.fabric.bind_udp(&self.at, (self.address, 0).into()).await.unwrap();
        socket.connect(server).await.unwrap();
        socket.send(query).await.unwrap();
        let mut response = vec![0; 4096];
        let length = socket.recv(&mut response).await.ok()?;
        response.truncate(length);
        Some(response)
    }

    async fn over_tcp(&self, server: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
        let mut stream = self.fabric.connect(&self.at, server).await.ok()?;
        stream.write_u16(u16::try_from(query.len()).unwrap()).await.ok()?;
        stream.write_all(query).await.ok()?;
        let mut response = vec![0; usize::from(stream.read_u16().await.ok()?)];
        stream.read_exact(&mut response).await.ok()?;
        Some(response)
    }

    /// Asks at both addresses over both protocols.
    async fn resolve_everywhere(&self, name: &str) -> Vec<Option<Vec<Ipv4Addr>>> {
        let mut answers = Vec::new();
        for server in ["172.31.0.2", "169.254.169.253"] {
            for is_tcp in [false, true] {
                answers.push(self.resolve(is_tcp, server, name).await);
            }
        }
        answers
    }

    async fn connects(&self, to: SocketAddr) -> bool {
        matches!(tokio::time::timeout(PATIENCE, self.fabric.connect(&self.at, to)).await, Ok(Ok(_)))
    }
}

async fn asked(cloud: &LocalCloud, form: &[(&str, &str)]) -> String {
    let (status, answer) = ec2(cloud, form).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

pub(crate) async fn programs_and_sockets_of_an_instance_resolve_names() {
    let machine = ["/etc/resolv.conf", "/etc/hosts"].map(|path| fs::read_to_string(path).ok());
    let directory = tempfile::tempdir().unwrap();
    let network = NetworkChoice::Namespaces;
    let cloud = LocalCloud::start(Options { network, ..Options::new(directory.path()) }).await.unwrap();
    let id = launch(&cloud, SCRIPT).await;
    let service = running_service(&cloud, &id, None).await;
    let shown = asked(&cloud, &[("Action", "DescribeInstances"), ("InstanceId.1", &id)]).await;
    let name = element(&shown, "privateDnsName");
    let address: Ipv4Addr = element(&shown, "privateIpAddress").parse().unwrap();
    assert_eq!(name, format!("ip-{}.ec2.internal", address.to_string().replace('.', "-")));

    // A program finds the resolver by its files.
    let report = service.log.parent().unwrap().join("root/report");
    let report = eventually(async || fs::read_to_string(&report).ok().filter(|text| text.ends_with("done\n"))).await;
    if cloud.status().await.confinement.sockets {
        let label = name.strip_suffix(".ec2.internal").unwrap();
        let expected = format!(
            "nameserver 169.254.169.253\nsearch ec2.internal\n127.0.0.1 localhost\n{address} {name} {label}\n127.0.0.1\n\
             169.254.169.254\n169.254.169.254\n192.0.2.2\n{address}\nunknown\ndone\n"
        );
        assert_eq!(report, expected);
    } else {
        skip("this machine has no mount namespaces, so programs see its own /etc/resolv.conf");
    }
    let unchanged = ["/etc/resolv.conf", "/etc/hosts"].map(|path| fs::read_to_string(path).ok());
    assert_eq!(unchanged, machine, "the files of this machine are unchanged");

    // Security groups do not judge queries.
    let fabric = Fabric::start(directory.path()).await.unwrap();
    let client = Client { fabric, at: At::Interface(element(&shown, "networkInterfaceId")), address };
    let port = cloud.endpoint().rsplit_once(':').unwrap().1.parse().unwrap();
    let endpoint = SocketAddr::from(([192, 0, 2, 2], port));
    eventually(async || client.connects(endpoint).await.then_some(())).await;
    let everywhere = vec![Some(vec![address]); 4];
    eventually(async || (client.resolve_everywhere(&format!("{name}.")).await == everywhere).then_some(())).await;
    let group = element(&shown, "groupId");
    let revoke = [
        ("Action", "RevokeSecurityGroupEgress"),
        ("GroupId", &group),
        ("IpPermissions.1.IpProtocol", "-1"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
    ];
    asked(&cloud, &revoke).await;
    eventually(async || (!client.connects(endpoint).await).then_some(())).await;
    assert_eq!(client.resolve_everywhere(&format!("{name}.")).await, everywhere);
    assert_eq!(client.resolve_everywhere("example.com.").await, vec![Some(Vec::new()); 4]);

    // The VPC's attribute turns the resolver off and on.
    let vpc = element(&shown, "vpcId");
    for (value, answers) in [("false", vec![None; 4]), ("true", everywhere)] {
        let modify = [("Action", "ModifyVpcAttribute"), ("VpcId", vpc.as_str()), ("EnableDnsSupport.Value", value)];
        asked(&cloud, &modify).await;
        eventually(async || (client.resolve_everywhere(&format!("{name}.")).await == answers).then_some(())).await;
    }
    drop(client);
    cloud.shutdown().await;
}
