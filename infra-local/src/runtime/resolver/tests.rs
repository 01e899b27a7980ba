//! Tests of messages: well-formed queries, and any bytes.
#![allow(clippy::unwrap_used)]

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use proptest::prelude::*;

use super::message::{Transport, respond};
use crate::domain::dns::Zone;
use crate::model::Cloud;

/// The zone of a VPC without instances.
fn zone() -> Zone {
    let mut cloud = Cloud::default();
    cloud.complete();
    let vpc = cloud.regions["us-east-1"].ec2.vpcs.values().next().unwrap().id.clone();
    Zone::of(&cloud, &vpc)
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn asked(query: &Message) -> Message {
    Message::from_vec(&respond(&query.to_vec().unwrap(), &zone(), Transport::Udp).unwrap()).unwrap()
}

/// The response code and the answers, a line for each.
fn shown(query: &Message) -> String {
    let response = asked(query);
    assert_eq!((response.metadata.id, response.metadata.message_type), (7, MessageType::Response));
    assert!(response.metadata.recursion_available && response.metadata.recursion_desired);
    assert_eq!(response.queries, query.queries);
    let answers = response.answers.iter().map(|record| format!("{} {}\n", record.name, record.data));
    format!("{}\n{}", response.metadata.response_code, answers.collect::<String>())
}

#[test]
fn names_resolve_whatever_their_case() {
    insta::assert_snapshot!(shown(&query("LocalHost.", RecordType::A)), @r"
    No Error
    LocalHost. 127.0.0.1
    ");
    insta::assert_snapshot!(shown(&query("254.169.254.169.in-addr.arpa.", RecordType::PTR)), @r"
    No Error
    254.169.254.169.in-addr.arpa. instance-data.ec2.internal.
    ");
    insta::assert_snapshot!(shown(&query("ec2.us-east-1.amazonaws.com.", RecordType::ANY)), @r"
    No Error
    ec2.us-east-1.amazonaws.com. 192.0.2.2
    ");
}

#[test]
fn a_missing_record_and_a_missing_name_differ() {
    insta::assert_snapshot!(shown(&query("localhost.", RecordType::AAAA)), @"No Error");
    insta::assert_snapshot!(shown(&query("example.com.", RecordType::A)), @"Non-Existent Domain");
}

#[test]
fn unusual_queries_are_refused_with_their_code() {
    let code = |message: &Message| asked(message).metadata.response_code;
    let mut status = query("localhost.", RecordType::A);
    status.metadata.op_code = OpCode::Status;
    assert_eq!(code(&status), ResponseCode::NotImp);
    let mut chaos = query("version.bind.", RecordType::TXT);
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(code(&chaos), ResponseCode::Refused);
    let mut newer = query("localhost.", RecordType::A);
    newer.edns = Some(Edns::new());
    assert_eq!(code(&newer), ResponseCode::NoError);
    assert_eq!(asked(&newer).edns.unwrap().max_payload(), 1232);
    newer.edns.as_mut().unwrap().set_version(1);
    // BADVERS, which has the same number as BADSIG.
    assert_eq!(u16::from(code(&newer)), 16);
    let empty = Message::new(7, MessageType::Query, OpCode::Query);
    assert_eq!(code(&empty), ResponseCode::FormErr);
    let mut two = query("localhost.", RecordType::A);
    two.add_query(Query::query(Name::root(), RecordType::A));
    assert_eq!(code(&two), ResponseCode::FormErr);
}

#[test]
fn responses_and_fragments_of_headers_are_ignored() {
    let response = Message::new(7, MessageType::Response, OpCode::Query).to_vec().unwrap();
    assert_eq!(respond(&response, &zone(), Transport::Udp), None);
    assert_eq!(respond(&response[..11], &zone(), Transport::Udp), None);
}

/// Any bytes, and well-formed queries with some bytes replaced.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![Just("localhost."), Just("1.0.0.127.in-addr.arpa."), Just("x.s3.amazonaws.com.")];
    let changed =
        (name, prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)).prop_map(|(name, changes)| {
            let mut message = query(name, RecordType::A);
            message.edns = Some(Edns::new());
            let mut bytes = message.to_vec().unwrap();
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            bytes
        });
    prop_oneof![prop::collection::vec(any::<u8>(), 0..600), changed]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_get_a_response_of_limited_size_or_none(bytes in bytes()) {
        let zone = Zone::default();
        for (transport, limit) in [(Transport::Udp, 1232), (Transport::Tcp, 65_535)] {
            if let Some(response) = respond(&bytes, &zone, transport) {
                prop_assert!(response.len() <= limit);
                let parsed = Message::from_vec(&response).unwrap();
                prop_assert_eq!(parsed.metadata.message_type, MessageType::Response);
                prop_assert_eq!(&response[..2], &bytes[..2]);
            }
        }
    }
}
