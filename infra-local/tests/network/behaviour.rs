//! Behaviour of the fabric and of the network process.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use infra_local::fabric_testing::{At, Declared, Fabric, Model};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::example::{declared, large, network};

/// Limit for a connection. Denied packets are dropped silently.
const PATIENCE: Duration = Duration::from_millis(400);

/// AWS's endpoints on the internet of the cloud.
const ENDPOINTS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

pub(super) fn interface(id: &str) -> At {
    At::Interface(id.to_owned())
}

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A new fabric with a network. The network process stops with the directory.
pub(super) async fn fabric(network: &Declared) -> (TempDir, Fabric) {
    let directory = tempfile::tempdir().unwrap();
    let fabric = Fabric::start(directory.path()).await.unwrap();
    fabric.reconcile(network).await.unwrap();
    (directory, fabric)
}

/// Accepts connections and sends each the address of its client.
pub(super) fn echo(listener: TcpListener) {
    tokio::spawn(async move {
        while let Ok((mut stream, client)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.write_all(format!("{}\n", client.ip()).as_bytes()).await;
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
}

pub(super) async fn open(fabric: &Fabric, from: &At, to: SocketAddr) -> Option<TcpStream> {
    tokio::time::timeout(PATIENCE, fabric.connect(from, to)).await.ok()?.ok()
}

/// Returns the client's address as the listener sees it. `None` if the connection is blocked.
pub(super) async fn client_seen(fabric: &Fabric, from: &At, to: &str) -> Option<String> {
    let mut stream = open(fabric, from, address(to)).await?;
    let mut text = [0; 32];
    let length = stream.read(&mut text).await.unwrap();
    Some(String::from_utf8_lossy(&text[..length]).trim().to_owned())
}

pub(crate) async fn connections_follow_security_groups_and_routes() {
    let host = host_network();
    let network = declared(network());
    let (_directory, fabric) = fabric(&network).await;
    for (id, ports) in [("web", &[80][..]), ("app", &[8080, 22]), ("peer", &[9000]), ("other", &[80])] {
        for port in ports {
            echo(fabric.listen(&interface(&format!("eni-{id}")), ([0; 4], *port).into()).await.unwrap());
        }
    }
    echo(fabric.listen(&At::Internet, address("192.0.2.2:443")).await.unwrap());
    let cases = [
        // Within the VPC and from outside.
        (interface("eni-app"), "10.0.1.5:80", Some("10.0.2.5")),
        (interface("eni-web"), "10.0.2.5:8080", Some("10.0.1.5")),
        (interface("eni-other"), "10.0.2.5:8080", None),
        (interface("eni-web"), "10.0.2.5:22", None),
        (At::Internet, "127.77.0.5:80", Some("192.0.2.1")),
        (At::Internet, "127.77.0.6:80", None),
        (At::Internet, "127.77.0.9:80", None),
        (At::Internet, "127.77.0.99:80", None),
        // Through the internet gateway and back, and through the NAT gateway.
        (interface("eni-web"), "127.77.0.6:80", Some("127.77.0.5")),
        (interface("eni-web"), "127.77.0.5:80", Some("127.77.0.5")),
        (interface("eni-other"), "127.77.0.6:80", None),
        (interface("eni-app"), "127.77.0.5:80", Some("127.77.0.9")),
        (interface("eni-web"), "192.0.2.2:443", Some("127.77.0.5")),
        (interface("eni-app"), "192.0.2.2:443", Some("127.77.0.9")),
        (interface("eni-peer"), "192.0.2.2:443", None),
        // Over the peering connection.
        (interface("eni-app"), "10.1.0.5:9000", Some("10.0.2.5")),
        (interface("eni-peer"), "10.0.2.5:22", Some("10.1.0.5")),
        (interface("eni-web"), "10.1.0.5:9000", None),
        (interface("eni-peer"), "10.0.1.5:80", None),
    ];
    for (from, to, expected) in cases {
        let seen = client_seen(&fabric, &from, to).await;
        assert_eq!(seen.as_deref(), expected, "{from:?} to {to}");
        let SocketAddr::V4(to) = address(to) else { unreachable!() };
        let id = if let At::Interface(id) = &from { Some(id.as_str()) } else { None };
        let blocked = network.blocked(id, *to.ip(), to.port(), 40_000);
        assert_eq!(blocked.is_none(), expected.is_some(), "{from:?} to {to}: {blocked:?}");
    }
    assert_eq!(host_network(), host, "the network of this machine is unchanged");
}

/// Addresses, routes, rules and packet filters of this machine, as far as this user may see them.
fn host_network() -> Vec<String> {
    let commands: [&[&str]; 4] = [
        &["ip", "-o", "address"],
        &["ip", "route", "show", "table", "all"],
        &["ip", "rule"],
        &["nft", "list", "ruleset"],
    ];
    let output = |command: &&[&str]| {
        let output = Command::new(command[0]).args(&command[1..]).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    };
    commands.iter().map(output).collect()
}

pub(crate) async fn a_removed_rule_blocks_new_connections_and_keeps_open_ones() {
    let mut network = network();
    let (_directory, fabric) = fabric(&declared(network.clone())).await;
    echo(fabric.listen(&interface("eni-web"), address("0.0.0.0:80")).await.unwrap());
    let app = interface("eni-app");
    let mut open_before = open(&fabric, &app, address("10.0.1.5:80")).await.unwrap();
    network["vpcs"]["vpc-1"]["groups"]["sg-web"]["ingress"] = json!([]);
    fabric.reconcile(&declared(network.clone())).await.unwrap();
    assert!(open(&fabric, &app, address("10.0.1.5:80")).await.is_none());
    open_before.write_all(b"still\n").await.unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"still\n") {
        let mut more = [0; 64];
        let length = tokio::time::timeout(PATIENCE * 5, open_before.read(&mut more)).await.unwrap().unwrap();
        text.extend_from_slice(&more[..length]);
    }
    // A network ACL judges every packet, those of open connections too.
    network["vpcs"]["vpc-1"]["acls"]["acl-1"]["ingress"] = json!({});
    fabric.reconcile(&declared(network)).await.unwrap();
    open_before.write_all(b"no more\n").await.unwrap();
    assert!(tokio::time::timeout(PATIENCE, open_before.read(&mut [0; 64])).await.is_err());
}

/// The text of the first element of this name.
fn element(xml: &str, name: &str) -> String {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {xml}"));
    rest.split_once('<').unwrap().0.to_owned()
}

/// A model with a VPC whose subnets `10.0.1.0/24` and `10.0.2.0/24` have an instance each. Security groups permit
/// everything. Returns the ids of the VPC and the second subnet, and the interface and address of both instances.
fn two_instances(model: &mut Model) -> (String, String, [(String, Ipv4Addr); 2]) {
    let mut ec2 = |action: &str, parameters: &[(&str, &str)]| model.ec2(action, parameters).unwrap();
    let vpc = element(&ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]), "vpcId");
    let group = [("GroupName", "open"), ("GroupDescription", "open"), ("VpcId", &vpc)];
    let group = element(&ec2("CreateSecurityGroup", &group), "groupId");
    let everything = [
        ("GroupId", &*group),
        ("IpPermissions.1.IpProtocol", "-1"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
    ];
    ec2("AuthorizeSecurityGroupIngress", &everything);
    let image = element(&ec2("DescribeImages", &[]), "imageId");
    let mut launch = |range: &str| {
        let subnet = element(&ec2("CreateSubnet", &[("VpcId", &vpc), ("CidrBlock", range)]), "subnetId");
        ec2("ModifySubnetAttribute", &[("SubnetId", &subnet), ("MapPublicIpOnLaunch.Value", "true")]);
        let launched = ec2(
            "RunInstances",
            &[
                ("ImageId", &image),
                ("InstanceType", "t3.micro"),
                ("MinCount", "1"),
                ("MaxCount", "1"),
                ("SubnetId", &subnet),
                ("SecurityGroupId.1", &group),
            ],
        );
        let address = element(&launched, "privateIpAddress").parse().unwrap();
        (subnet, (element(&launched, "networkInterfaceId"), address))
    };
    let ((_, one), (subnet, other)) = (launch("10.0.1.0/24"), launch("10.0.2.0/24"));
    (vpc, subnet, [one, other])
}

/// Returns whether a connection from this source port opens. The model must say the same.
async fn opens(model: &Model, fabric: &Fabric, from: &str, source: u16, to: Ipv4Addr) -> bool {
    let network = model.network();
    fabric.reconcile(&network).await.unwrap();
    let blocked = network.blocked(Some(from), to, 80, source);
    let socket = fabric.socket(&interface(from)).await.unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(([0; 4], source).into()).unwrap();
    let opened = tokio::time::timeout(PATIENCE, socket.connect((to, 80).into())).await;
    let opened = opened.is_ok_and(|result| result.is_ok());
    assert_eq!(blocked.is_none(), opened, "from port {source}: {blocked:?}");
    opened
}

pub(crate) async fn an_entry_of_a_network_acl_closes_connections_until_it_is_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let mut model = Model::new(directory.path()).unwrap();
    let (vpc, subnet, [(client, _), (server, to)]) = two_instances(&mut model);
    let (_fabric_directory, fabric) = fabric(&model.network()).await;
    echo(fabric.listen(&interface(&server), address("0.0.0.0:80")).await.unwrap());
    assert!(opens(&model, &fabric, &client, 40_000, to).await);

    let acl = element(&model.ec2("CreateNetworkAcl", &[("VpcId", &vpc)]).unwrap(), "networkAclId");
    let described =
        model.ec2("DescribeNetworkAcls", &[("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", &vpc)]).unwrap();
    let (before, _) = described.split_once(&format!("<subnetId>{subnet}")).unwrap();
    let (_, association) = before.rsplit_once("<networkAclAssociationId>").unwrap();
    let association = association.split('<').next().unwrap().to_owned();
    let replaced = [("AssociationId", &*association), ("NetworkAclId", &acl)];
    model.ec2("ReplaceNetworkAclAssociation", &replaced).unwrap();
    assert!(!opens(&model, &fabric, &client, 40_001, to).await, "a new ACL allows nothing");

    let change = |model: &mut Model, action: &str, number: &str, egress: &str, rest: &[(&str, &str)]| {
        let place = [("NetworkAclId", &*acl), ("RuleNumber", number), ("Egress", egress)];
        model.ec2(action, &[&place, rest].concat()).unwrap();
    };
    let allow = [("RuleAction", "allow"), ("Protocol", "-1"), ("CidrBlock", "0.0.0.0/0")];
    change(&mut model, "CreateNetworkAclEntry", "100", "false", &allow);
    assert!(!opens(&model, &fabric, &client, 40_002, to).await, "no entry allows the replies");
    change(&mut model, "CreateNetworkAclEntry", "100", "true", &allow);
    assert!(opens(&model, &fabric, &client, 40_003, to).await);

    let deny = |from, to| {
        [
            ("RuleAction", "deny"),
            ("Protocol", "tcp"),
            ("CidrBlock", "10.0.1.0/24"),
            ("PortRange.From", from),
            ("PortRange.To", to),
        ]
    };
    change(&mut model, "CreateNetworkAclEntry", "90", "false", &deny("80", "80"));
    assert!(!opens(&model, &fabric, &client, 40_004, to).await);
    change(&mut model, "ReplaceNetworkAclEntry", "90", "false", &deny("81", "81"));
    assert!(opens(&model, &fabric, &client, 40_005, to).await);
    change(&mut model, "ReplaceNetworkAclEntry", "90", "false", &deny("80", "80"));
    assert!(!opens(&model, &fabric, &client, 40_006, to).await);
    change(&mut model, "DeleteNetworkAclEntry", "90", "false", &[]);
    assert!(opens(&model, &fabric, &client, 40_007, to).await);

    // Replies go to the client's ephemeral port.
    change(&mut model, "CreateNetworkAclEntry", "90", "true", &deny("40000", "49999"));
    assert!(!opens(&model, &fabric, &client, 40_008, to).await);
    assert!(opens(&model, &fabric, &client, 50_000, to).await);
    change(&mut model, "DeleteNetworkAclEntry", "90", "true", &[]);
    assert!(opens(&model, &fabric, &client, 40_009, to).await);
    let refused = model.ec2("DeleteNetworkAcl", &[("NetworkAclId", &acl)]).unwrap_err();
    assert!(refused.starts_with("DependencyViolation"), "{refused}");
}

pub(crate) async fn the_router_answers_requests_for_metadata_and_names() {
    let (_directory, fabric) = fabric(&declared(network())).await;
    let router = At::Router("vpc-1".to_owned());
    echo(fabric.listen(&router, (METADATA, 80).into()).await.unwrap());
    echo(fabric.listen(&router, (METADATA, 81).into()).await.unwrap());
    let app = interface("eni-app");
    assert_eq!(client_seen(&fabric, &app, "169.254.169.254:80").await.as_deref(), Some("10.0.2.5"));
    assert_eq!(client_seen(&fabric, &app, "169.254.169.254:81").await, None);
    let resolver = fabric.bind_udp(&router, address("10.0.0.2:53")).await.unwrap();
    let client = fabric.bind_udp(&app, address("10.0.2.5:0")).await.unwrap();
    client.send_to(b"name?", "10.0.0.2:53").await.unwrap();
    let mut text = [0; 16];
    let (length, from) = tokio::time::timeout(PATIENCE, resolver.recv_from(&mut text)).await.unwrap().unwrap();
    assert_eq!((&text[..length], from.ip().to_string().as_str()), (&b"name?"[..], "10.0.2.5"));
    resolver.send_to(b"address", from).await.unwrap();
    let (length, _) = tokio::time::timeout(PATIENCE, client.recv_from(&mut text)).await.unwrap().unwrap();
    assert_eq!(&text[..length], b"address");
}

pub(crate) async fn a_program_cannot_change_its_network() {
    let (_directory, fabric) = fabric(&declared(network())).await;
    echo(fabric.listen(&interface("eni-web"), address("0.0.0.0:80")).await.unwrap());
    let script = "try() { what=$1; shift; if \"$@\" >>output 2>&1; then echo $what; fi >>report; }
        try own-address sh -c 'ip -o -4 address show dev eth0 | grep -q 10.0.2.5/24'
        try listen perl -MIO::Socket::INET -e 'IO::Socket::INET->new(LocalPort => 25, Listen => 1) or exit 1'
        try connect perl -MIO::Socket::INET -e 'IO::Socket::INET->new(PeerAddr => \"10.0.1.5:80\", Timeout => 2) or exit 1'
        try add-address ip address add 10.0.2.77/32 dev eth0
        try add-route ip route add 10.9.0.0/16 dev eth0
        try change-filter nft add table ip mine
        try setting sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
        try raw-socket perl -MSocket -e 'socket(my $s, PF_INET, SOCK_RAW, 1) or exit 1'
        try other-namespace nsenter -t 1 -n true
        try owner nsenter -t NETWORK -U -n true
        try unshare unshare -Un true && unshare -U nsenter -t $$ -n ip address add 10.0.2.77/32 dev eth0
        echo done >>report";
    let is_root = rustix::process::geteuid().is_root();
    // A database server of root's cloud is started as another user.
    let users = if is_root { vec![None, Some(65534)] } else { vec![None] };
    for (is_confined, user) in
        [true, false].into_iter().flat_map(|confined| users.iter().map(move |user| (confined, *user)))
    {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(directory.path(), user, user).unwrap();
        let script = script.replace("NETWORK", &fabric.process().unwrap().to_string());
        fabric.run("eni-app", is_confined, user, &script, directory.path()).await.unwrap();
        let report = directory.path().join("report");
        let text = until("the report is complete", || {
            fs::read_to_string(&report).ok().filter(|text| text.ends_with("done\n"))
        });
        let text = text.await;
        // It may have a user namespace of its own, which has no rights over the network.
        let reached: Vec<&str> = text.lines().filter(|line| *line != "unshare").collect();
        let output = fs::read_to_string(directory.path().join("output")).unwrap();
        let expected = ["own-address", "listen", "connect", "done"];
        assert_eq!(reached, expected, "confined: {is_confined}, user: {user:?}\n{output}");
    }
}

/// For root only: another user cannot add an address to a namespace that the network process owns.
pub(crate) async fn packets_with_another_source_address_are_dropped() {
    let mut network = network();
    network["vpcs"]["vpc-1"]["groups"]["sg-web"]["ingress"] =
        json!([{"traffic": "all", "peer": {"range": "0.0.0.0/0"}}]);
    let (_directory, fabric) = fabric(&declared(network)).await;
    let (file, _) = fabric.namespace("eni-other").await.unwrap();
    let namespace = format!("--net=/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    let added =
        Command::new("nsenter").args([&namespace, "ip", "address", "add", "10.0.1.66/32", "dev", "eth0"]).status();
    assert!(added.unwrap().success());
    let receiver = fabric.bind_udp(&interface("eni-web"), address("10.0.1.5:7000")).await.unwrap();
    for (source, arrives) in [("10.0.1.6:0", true), ("10.0.1.66:0", false)] {
        let sender = fabric.bind_udp(&interface("eni-other"), address(source)).await.unwrap();
        sender.send_to(b"packet", "10.0.1.5:7000").await.unwrap();
        let received = tokio::time::timeout(PATIENCE, receiver.recv_from(&mut [0; 16])).await;
        assert_eq!(received.is_ok(), arrives, "from {source}");
    }
}

/// The default route of a private subnet leads to the interface of an instance in a public subnet.
pub(crate) async fn an_instance_forwards_packets_only_without_its_source_destination_check() {
    let directory = tempfile::tempdir().unwrap();
    let mut model = Model::new(directory.path()).unwrap();
    let (vpc, subnet, [(router, router_address), (client, client_address)]) = two_instances(&mut model);
    let mut ec2 = |action: &str, parameters: &[(&str, &str)]| model.ec2(action, parameters).unwrap();
    let gateway = element(&ec2("CreateInternetGateway", &[]), "internetGatewayId");
    ec2("AttachInternetGateway", &[("InternetGatewayId", &gateway), ("VpcId", &vpc)]);
    let tables = ec2("DescribeRouteTables", &[("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", &vpc)]);
    let main = element(&tables, "routeTableId");
    let everywhere = ("DestinationCidrBlock", "0.0.0.0/0");
    ec2("CreateRoute", &[("RouteTableId", &main), everywhere, ("GatewayId", &gateway)]);
    let public = element(&ec2("DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", &router)]), "publicIp");
    let table = element(&ec2("CreateRouteTable", &[("VpcId", &vpc)]), "routeTableId");
    ec2("AssociateRouteTable", &[("RouteTableId", &table), ("SubnetId", &subnet)]);
    ec2("CreateRoute", &[("RouteTableId", &table), everywhere, ("NetworkInterfaceId", &router)]);
    let described = ec2("DescribeRouteTables", &[("RouteTableId.1", &table)]);
    assert!(element(&described, "instanceId").starts_with("i-"), "{described}");
    assert_eq!(element(&described, "networkInterfaceId"), router);

    let (_fabric_directory, fabric) = fabric(&model.network()).await;
    echo(fabric.listen(&At::Internet, (ENDPOINTS, 80).into()).await.unwrap());
    assert!(!opens(&model, &fabric, &client, 41_000, ENDPOINTS).await, "the check drops the packets");

    let check = |model: &mut Model, value: &str| {
        let parameters = [("NetworkInterfaceId", &*router), ("SourceDestCheck.Value", value)];
        model.ec2("ModifyNetworkInterfaceAttribute", &parameters).unwrap();
    };
    check(&mut model, "false");
    assert!(opens(&model, &fabric, &client, 41_001, ENDPOINTS).await);
    let seen = client_seen(&fabric, &interface(&client), &format!("{ENDPOINTS}:80")).await;
    assert_eq!(seen, Some(public), "it forwards under its own address, which the internet gateway translates");
    echo(fabric.listen(&interface(&client), address("0.0.0.0:80")).await.unwrap());
    let seen = client_seen(&fabric, &interface(&router), &format!("{client_address}:80")).await;
    assert_eq!(seen, Some(router_address.to_string()), "its own connections are unchanged");

    check(&mut model, "true");
    assert!(!opens(&model, &fabric, &client, 41_002, ENDPOINTS).await, "the check is on again");
    check(&mut model, "false");
    assert!(opens(&model, &fabric, &client, 41_003, ENDPOINTS).await);
}

/// Waits until a condition holds.
async fn until<T>(what: &str, condition: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn is_running(pid: u32) -> Option<()> {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    (!status.contains(") Z ")).then_some(())
}

fn is_gone(pid: u32) -> Option<()> {
    if is_running(pid).is_none() { Some(()) } else { None }
}

pub(crate) async fn a_stopped_cloud_finds_its_network_again() {
    // A directory whose path is longer than the address of a socket can be.
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("a".repeat(100)).join("b".repeat(100));
    fs::create_dir_all(&directory).unwrap();
    let network = declared(network());
    let fabric = Fabric::start(&directory).await.unwrap();
    fabric.reconcile(&network).await.unwrap();
    let (process, generation) = (fabric.process().unwrap(), *fabric.generation().borrow());
    assert_ne!(generation, 0);
    let program = fabric.run("eni-app", true, None, "sleep 60", parent.path()).await.unwrap();
    echo(fabric.listen(&interface("eni-web"), address("0.0.0.0:80")).await.unwrap());
    let mut connection = open(&fabric, &interface("eni-app"), address("10.0.1.5:80")).await.unwrap();
    drop(fabric);
    let fabric = Fabric::start(&directory).await.unwrap();
    assert_eq!((fabric.process(), *fabric.generation().borrow()), (Some(process), generation));
    fabric.reconcile(&network).await.unwrap();
    assert!(client_seen(&fabric, &interface("eni-app"), "10.0.1.5:80").await.is_some());
    assert!(connection.read(&mut [0; 16]).await.unwrap() > 0);
    connection.write_all(b"again").await.unwrap();
    assert!(connection.read(&mut [0; 16]).await.unwrap() > 0);
    assert!(is_running(program).is_some());
    fabric.shutdown().await.unwrap();
    until("the process has stopped", || is_gone(process)).await;
    assert!(!directory.join("network.json").exists());
    kill(program);
}

/// Kills a process that this test has started.
fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

pub(crate) async fn a_killed_network_process_is_replaced() {
    let network = declared(network());
    let (_directory, fabric) = fabric(&network).await;
    let mut generation = fabric.generation();
    let (process, before) = (fabric.process().unwrap(), *generation.borrow_and_update());
    let namespaces = namespaces_of(process);
    assert!(namespaces >= 8, "{namespaces} namespaces");
    kill(process);
    tokio::time::timeout(Duration::from_secs(5), generation.wait_for(|current| *current == 0)).await.unwrap().unwrap();
    assert!(fabric.listen(&interface("eni-web"), address("0.0.0.0:80")).await.is_err());
    fabric.reconcile(&network).await.unwrap();
    assert_ne!(fabric.process(), Some(process));
    assert!(*generation.borrow() != 0 && *generation.borrow() != before);
    echo(fabric.listen(&interface("eni-web"), address("0.0.0.0:80")).await.unwrap());
    assert!(client_seen(&fabric, &interface("eni-app"), "10.0.1.5:80").await.is_some());
}

/// Number of namespaces that a process has files of.
fn namespaces_of(pid: u32) -> usize {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let is_namespace = |file: fs::DirEntry| fs::read_link(file.path()).is_ok_and(|target| is_namespace(&target));
    files.flatten().map(is_namespace).filter(|is| *is).count()
}

fn is_namespace(target: &Path) -> bool {
    target.to_string_lossy().starts_with("net:[")
}

pub(crate) async fn the_network_process_stops_with_its_directory() {
    let (directory, fabric) = fabric(&declared(network())).await;
    let process = fabric.process().unwrap();
    drop(directory);
    until("the process has stopped", || is_gone(process)).await;
}

pub(crate) async fn a_large_network_is_created_and_changed_quickly() {
    let directory = tempfile::tempdir().unwrap();
    let fabric = Fabric::start(directory.path()).await.unwrap();
    fabric.reconcile(&declared(network())).await.unwrap();
    let created = Instant::now();
    fabric.reconcile(&declared(large(100, 80))).await.unwrap();
    let created = created.elapsed();
    let unchanged = Instant::now();
    fabric.reconcile(&declared(large(100, 80))).await.unwrap();
    let unchanged = unchanged.elapsed();
    let changed = Instant::now();
    fabric.reconcile(&declared(large(100, 81))).await.unwrap();
    let changed = changed.elapsed();
    let opened = Instant::now();
    for _ in 0..100 {
        fabric.socket(&interface("eni-7")).await.unwrap();
    }
    let opened = opened.elapsed() / 100;
    let listener = fabric.listen(&interface("eni-99"), address("0.0.0.0:81")).await.unwrap();
    echo(listener);
    assert!(client_seen(&fabric, &interface("eni-7"), "10.0.0.115:81").await.is_some());
    assert!(client_seen(&fabric, &interface("eni-web"), "10.0.0.115:81").await.is_none());
    let deleted = Instant::now();
    fabric.reconcile(&declared(network())).await.unwrap();
    let deleted = deleted.elapsed();
    println!(
        "100 interfaces: created in {created:?}, unchanged {unchanged:?}, rule changed in {changed:?}, deleted in \
         {deleted:?}; a socket in {opened:?}"
    );
    assert!(created < Duration::from_secs(5), "100 interfaces took {created:?}");
    assert!(changed < Duration::from_secs(1), "a changed rule took {changed:?}");
}
