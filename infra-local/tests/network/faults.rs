//! Injected faults between two sides of the network.

use std::time::{Duration, Instant};

use futures::future::{join, join_all};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::behaviour::{address, client_seen, echo, fabric, interface, open};
use super::example::{declared, network};
use infra_local::fabric_testing::{At, Fabric};

/// Limit for packets that should not arrive.
const SHORT: Duration = Duration::from_millis(400);
/// Limit for packets that should: lost ones are sent again after growing pauses.
const LONG: Duration = Duration::from_secs(30);

/// A fault between interfaces; no interface is the internet.
fn fault(symptom: Value, one: &[&str], other: &[&str]) -> Value {
    let side = |ids: &[&str]| {
        let outside: &[&str] = if ids.is_empty() { &["192.0.2.1", "192.0.2.2"] } else { &[] };
        json!({"name": "side", "interfaces": ids, "outside": outside})
    };
    json!({"symptom": symptom, "sides": [side(one), side(other)]})
}

async fn inject(fabric: &Fabric, faults: &[Value]) {
    let mut network = network();
    network["faults"] = json!(faults);
    fabric.reconcile(&declared(network)).await.unwrap();
}

/// Sends a line over a connection to an echo. Returns whether it comes back in time.
async fn returns(stream: &mut TcpStream, line: &[u8], limit: Duration) -> bool {
    stream.write_all(line).await.unwrap();
    let mut text = Vec::new();
    let reading = async {
        while !text.ends_with(line) {
            let mut more = [0; 256];
            let length = stream.read(&mut more).await.unwrap();
            assert!(length > 0, "the connection is closed");
            text.extend_from_slice(&more[..length]);
        }
    };
    tokio::time::timeout(limit, reading).await.is_ok()
}

pub(crate) async fn a_partition_stops_open_and_new_connections_until_it_is_cleared() {
    let (_directory, fabric) = fabric(&declared(network())).await;
    for (id, port) in [("web", 80), ("app", 8080), ("peer", 9000), ("other", 80)] {
        echo(fabric.listen(&interface(&format!("eni-{id}")), ([0; 4], port).into()).await.unwrap());
    }
    echo(fabric.listen(&At::Internet, address("192.0.2.2:443")).await.unwrap());
    // The two sides of a partition, connections that it stops, and connections that it does not.
    let (app, web) = (interface("eni-app"), interface("eni-web"));
    let cases: [(&[&str], &[&str], &[_], &[_]); 6] = [
        // In one VPC: by private addresses, and through the NAT gateway and the internet gateway.
        (
            &["eni-app"],
            &["eni-web"],
            &[(&app, "10.0.1.5:80"), (&web, "10.0.2.5:8080"), (&app, "127.77.0.5:80")],
            &[(&app, "10.1.0.5:9000"), (&At::Internet, "127.77.0.5:80"), (&app, "192.0.2.2:443")],
        ),
        // Over the peering connection.
        (&["eni-peer"], &["eni-app", "eni-web"], &[(&app, "10.1.0.5:9000")], &[(&app, "10.0.1.5:80")]),
        // By public addresses alone.
        (&["eni-other"], &["eni-web"], &[(&web, "127.77.0.6:80")], &[(&At::Internet, "127.77.0.5:80")]),
        // A NAT gateway and those behind it.
        (
            &["eni-nat"],
            &["eni-app"],
            &[(&app, "192.0.2.2:443"), (&app, "127.77.0.5:80")],
            &[(&app, "10.0.1.5:80"), (&web, "192.0.2.2:443")],
        ),
        // A NAT gateway and those beyond it.
        (&["eni-web"], &["eni-nat"], &[(&app, "127.77.0.5:80")], &[(&app, "192.0.2.2:443"), (&app, "10.0.1.5:80")]),
        (
            &[],
            &["eni-app", "eni-web"],
            &[(&At::Internet, "127.77.0.5:80"), (&app, "192.0.2.2:443"), (&web, "192.0.2.2:443")],
            &[(&app, "10.0.1.5:80"), (&app, "127.77.0.5:80")],
        ),
    ];
    for (one, other, stopped, unaffected) in cases {
        let mut connections = Vec::new();
        for (from, to) in stopped.iter().chain(unaffected) {
            let stream = open(&fabric, from, address(to)).await;
            connections.push(stream.unwrap_or_else(|| panic!("{from:?} to {to} without a fault")));
        }
        inject(&fabric, &[fault(json!("partition"), one, other)]).await;
        let ways = stopped.iter().map(|way| (way, SHORT)).chain(unaffected.iter().map(|way| (way, LONG)));
        let attempts = ways.zip(&mut connections).map(async |(((from, to), limit), connection)| {
            let of = |which: &str| format!("{from:?} to {to} in the partition of {one:?} and {other:?}: {which}");
            let (returned, opened) =
                join(returns(connection, b"during\n", limit), client_seen(&fabric, from, to)).await;
            assert_eq!(returned, limit == LONG, "{}", of("the open connection"));
            assert_eq!(opened.is_some(), limit == LONG, "{}", of("a new connection"));
        });
        join_all(attempts).await;
        inject(&fabric, &[]).await;
        join_all(stopped.iter().zip(&mut connections).map(async |((from, to), connection)| {
            assert!(returns(connection, b"after\n", LONG).await, "{from:?} to {to} after the partition");
            assert!(client_seen(&fabric, from, to).await.is_some(), "{from:?} to {to} after the partition");
        }))
        .await;
    }
}

/// Sends megabytes to an echo, and compares what comes back.
async fn transfer(stream: TcpStream, megabytes: usize) {
    let sent: Vec<u8> = (0..megabytes << 20).map(|position: usize| (position * 31 + position / 251) as u8).collect();
    let (mut read, mut write) = stream.into_split();
    let copy = sent.clone();
    let writing = tokio::spawn(async move {
        write.write_all(&copy).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut received = Vec::new();
    tokio::time::timeout(LONG * 2, read.read_to_end(&mut received)).await.expect("the transfer is too slow").unwrap();
    writing.await.unwrap();
    // The echo precedes the data with the address of its client.
    let address = received.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    assert!(received[address..] == sent, "the data is changed");
}

pub(crate) async fn lost_packets_slow_a_transfer_down_and_keep_its_data() {
    let (_directory, fabric) = fabric(&declared(network())).await;
    echo(fabric.listen(&interface("eni-web"), address("0.0.0.0:80")).await.unwrap());
    let receiver = fabric.bind_udp(&interface("eni-app"), address("10.0.2.5:8080")).await.unwrap();
    let sender = fabric.bind_udp(&interface("eni-web"), address("10.0.1.5:0")).await.unwrap();
    let app = interface("eni-app");
    let stream = open(&fabric, &app, address("10.0.1.5:80")).await.unwrap();
    let loss = |percent: u8| fault(json!({"packet_loss": percent}), &["eni-web"], &["eni-app"]);
    inject(&fabric, &[loss(3)]).await;
    transfer(stream, 1).await;
    // Datagrams, which nothing sends again.
    let mut network = network();
    network["vpcs"]["vpc-1"]["groups"]["sg-app"]["ingress"] =
        json!([{"traffic": {"udp": [8080, 8080]}, "peer": {"range": "0.0.0.0/0"}}]);
    for (percent, some, all) in [(0, true, true), (50, true, false), (100, false, false)] {
        network["faults"] = if percent == 0 { json!([]) } else { json!([loss(percent)]) };
        fabric.reconcile(&declared(network.clone())).await.unwrap();
        for _ in 0..200 {
            sender.send_to(b"datagram", "10.0.2.5:8080").await.unwrap();
        }
        let mut received = 0;
        while tokio::time::timeout(SHORT, receiver.recv_from(&mut [0; 16])).await.is_ok() {
            received += 1;
        }
        assert_eq!((received > 0, received == 200), (some, all), "{received} of 200 arrive with a loss of {percent}%");
    }
}

pub(crate) async fn delayed_packets_arrive_later_and_unchanged() {
    let (_directory, fabric) = fabric(&declared(network())).await;
    for (id, port) in [("web", 80), ("peer", 9000)] {
        echo(fabric.listen(&interface(&format!("eni-{id}")), ([0; 4], port).into()).await.unwrap());
    }
    echo(fabric.listen(&At::Internet, address("192.0.2.2:443")).await.unwrap());
    let app = interface("eni-app");
    let delay = Duration::from_millis(150);
    let latency = |other: &[&str]| fault(json!({"latency": 150}), &["eni-app"], other);
    // By private and public addresses, over the peering connection, and through the NAT gateway.
    let ways: [(&[&str], &str, &str); 5] = [
        (&["eni-web"], "10.0.1.5:80", "10.0.2.5"),
        (&["eni-web"], "127.77.0.5:80", "127.77.0.9"),
        (&["eni-peer"], "10.1.0.5:9000", "10.0.2.5"),
        (&["eni-nat"], "192.0.2.2:443", "127.77.0.9"),
        (&[], "192.0.2.2:443", "127.77.0.9"),
    ];
    for (other, to, client) in ways {
        inject(&fabric, &[]).await;
        let mut open_before = open(&fabric, &app, address(to)).await.unwrap();
        inject(&fabric, &[latency(other)]).await;
        let sent = Instant::now();
        assert!(returns(&mut open_before, b"delayed\n", LONG).await, "{to}");
        assert!(sent.elapsed() >= delay * 2, "{to}: a round trip took {:?}", sent.elapsed());
        let opened = Instant::now();
        let mut stream = tokio::time::timeout(LONG, fabric.connect(&app, address(to))).await.unwrap().unwrap();
        assert!(opened.elapsed() >= delay * 2, "{to}: a connection took {:?}", opened.elapsed());
        let greeting = format!("{client}\n");
        let mut text = vec![0; greeting.len()];
        stream.read_exact(&mut text).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&text), greeting, "{to}");
    }
    // Connections of others are not delayed, and those that rules deny are denied.
    inject(&fabric, &[latency(&["eni-web", "eni-peer"])]).await;
    assert!(client_seen(&fabric, &At::Internet, "127.77.0.5:80").await.is_some());
    echo(fabric.listen(&interface("eni-web"), address("0.0.0.0:81")).await.unwrap());
    let denied = tokio::time::timeout(delay * 4, fabric.connect(&app, address("10.0.1.5:81"))).await;
    assert!(denied.is_err(), "a denied connection opens");
    // Large packets are cut, and all arrive with their checksums.
    inject(&fabric, &[fault(json!({"latency": 20}), &["eni-app"], &["eni-web"])]).await;
    let stream = tokio::time::timeout(LONG, fabric.connect(&app, address("10.0.1.5:80"))).await.unwrap().unwrap();
    transfer(stream, 4).await;
    // The delay ends with the fault, for open connections too.
    inject(&fabric, &[]).await;
    let stream = open(&fabric, &app, address("10.0.1.5:80")).await;
    transfer(stream.unwrap(), 4).await;
}
