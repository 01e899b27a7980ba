//! DNS messages: the response to a query.
//!
//! Source: RFC 1035, section 4; RFC 6891 (EDNS); RFC 8482 (queries for all types).

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::domain::dns::{Answer, Question, Zone};

/// Time for which clients may keep an answer, in seconds. AWS uses the same for the names of hosts.
const TTL: u32 = 60;

/// Length of a message's header.
const HEADER: usize = 12;

/// Longest response over UDP, also to clients that accept more. It fits into one packet.
const LONGEST_DATAGRAM: u16 = 1232;

/// Number of additional records of a query: EDNS and a signature.
const ADDITIONAL_RECORDS: u16 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

/// Returns the response to a query. `None` if the message cannot be answered, because it is no query.
pub(super) fn respond(query: &[u8], zone: &Zone, transport: Transport) -> Option<Vec<u8>> {
    let header = query.first_chunk::<HEADER>()?;
    let id = u16::from_be_bytes([header[0], header[1]]);
    if header[2] & 0x80 != 0 {
        return None;
    }
    let (response, limit) = match parse(query, header) {
        Some(query) => {
            let limit = match transport {
                Transport::Udp => query.max_payload().min(LONGEST_DATAGRAM),
                Transport::Tcp => u16::MAX,
            };
            (response(&query, zone), limit)
        }
        None => (Message::error_msg(id, OpCode::Query, ResponseCode::FormErr), u16::MAX),
    };
    let encoded = response.to_vec().ok()?;
    if encoded.len() <= usize::from(limit) { Some(encoded) } else { response.truncate().to_vec().ok() }
}

/// Parses a query. The numbers of its records are checked first, because the parser allocates memory for them.
fn parse(query: &[u8], header: &[u8; HEADER]) -> Option<Message> {
    let count = |position: usize| u16::from_be_bytes([header[position], header[position + 1]]);
    let is_plausible = count(4) <= 1 && count(6) == 0 && count(8) == 0 && count(10) <= ADDITIONAL_RECORDS;
    if is_plausible { Message::from_vec(query).ok() } else { None }
}

fn response(query: &Message, zone: &Zone) -> Message {
    let mut response = Message::new(query.metadata.id, MessageType::Response, query.metadata.op_code);
    response.metadata = Metadata::response_from_request(&query.metadata);
    response.metadata.recursion_available = true;
    response.add_queries(query.queries.iter().cloned());
    if query.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(LONGEST_DATAGRAM);
        response.set_edns(edns);
    }
    let (code, answers) = answer(query, zone);
    response.metadata.response_code = code;
    response.add_answers(answers);
    response
}

fn answer(query: &Message, zone: &Zone) -> (ResponseCode, Vec<Record>) {
    let refused = |code| (code, Vec::new());
    if query.metadata.op_code != OpCode::Query {
        return refused(ResponseCode::NotImp);
    }
    if query.version() > 0 {
        return refused(ResponseCode::BADVERS);
    }
    let [asked] = query.queries.as_slice() else { return refused(ResponseCode::FormErr) };
    if asked.query_class() != DNSClass::IN {
        return refused(ResponseCode::Refused);
    }
    let question = match asked.query_type() {
        RecordType::A | RecordType::ANY => Question::Addresses,
        RecordType::PTR => Question::Name,
        _ => Question::Other,
    };
    let record = |data: RData| Record::from_rdata(asked.name().clone(), TTL, data);
    match zone.answer(&asked.name().to_ascii(), question) {
        Answer::Addresses(mut addresses) => {
            // Clients use the first address, so its place rotates.
            let first = usize::from(query.metadata.id).checked_rem(addresses.len()).unwrap_or_default();
            addresses.rotate_left(first);
            (ResponseCode::NoError, addresses.into_iter().map(|address| record(RData::A(A(address)))).collect())
        }
        Answer::Name(name) => match Name::from_ascii(format!("{name}.")) {
            Ok(name) => (ResponseCode::NoError, vec![record(RData::PTR(PTR(name)))]),
            Err(_) => refused(ResponseCode::ServFail),
        },
        Answer::NoRecord => refused(ResponseCode::NoError),
        Answer::NoName => refused(ResponseCode::NXDomain),
    }
}
