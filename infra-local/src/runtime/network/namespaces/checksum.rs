//! Checksums of IPv4 packets.

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Offset of an IPv4 packet in an Ethernet frame.
const ETHERNET: usize = 14;

/// Computes the TCP or UDP checksum of a frame.
///
/// The kernel leaves it to the network card, which a virtual link does not have: a packet socket receives frames with part
/// of the sum. It is complete in fragments, and a datagram without a checksum needs none.
pub(super) fn complete(frame: &mut [u8]) {
    let _ = try_complete(frame);
}

/// `None` if the frame contains no whole TCP segment or UDP datagram over IPv4.
fn try_complete(frame: &mut [u8]) -> Option<()> {
    if frame.get(12..ETHERNET)? != [0x08, 0x00] {
        return None;
    }
    let packet = &mut frame[ETHERNET..];
    let length = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
    let packet = packet.get_mut(..length)?;
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let fragment = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x3fff;
    let protocol = *packet.get(9)?;
    let addresses: [u8; 8] = packet.get(12..20)?.try_into().ok()?;
    let segment = packet.get_mut(header.max(20)..)?;
    let (position, least) = match protocol {
        TCP => (16, 20),
        UDP => (6, 8),
        _ => return None,
    };
    if fragment != 0 || segment.len() < least {
        return None;
    }
    if protocol == UDP && segment[position..position + 2] == [0, 0] {
        return None;
    }
    segment[position..position + 2].fill(0);
    let pseudo_header = sum(&addresses) + u64::from(protocol) + segment.len() as u64;
    let checksum = match !fold(pseudo_header + sum(segment)) {
        0 if protocol == UDP => u16::MAX,
        checksum => checksum,
    };
    segment[position..position + 2].copy_from_slice(&checksum.to_be_bytes());
    Some(())
}

/// The sum of big-endian words. An odd byte is followed by a zero.
fn sum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks(2).map(|word| u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or_default()]));
    words.map(u64::from).sum()
}

/// The sum in ones' complement.
fn fold(mut sum: u64) -> u16 {
    while sum > u64::from(u16::MAX) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame with a packet from 192.168.0.31 to 192.168.0.30.
    fn frame(protocol: u8, fragment: [u8; 2], segment: &[u8]) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend([0x08, 0x00, 0x45, 0, 0, (20 + segment.len()) as u8, 0, 1]);
        frame.extend(fragment);
        frame.extend([64, protocol, 0, 0, 192, 168, 0, 31, 192, 168, 0, 30]);
        frame.extend(segment);
        frame
    }

    fn completed(protocol: u8, fragment: [u8; 2], segment: &[u8]) -> Vec<u8> {
        let mut frame = frame(protocol, fragment, segment);
        complete(&mut frame);
        frame.split_off(ETHERNET + 20)
    }

    #[test]
    fn sums_include_the_addresses_and_an_odd_byte() {
        // The datagram "Hi" from port 20 to port 10: its sum is known from literature on the algorithm.
        let datagram = completed(UDP, [0, 0], &[0, 20, 0, 10, 0, 10, 1, 1, b'H', b'i']);
        assert_eq!(datagram[6..8], [0x35, 0xc5]);
        let odd = completed(UDP, [0, 0], &[0, 20, 0, 10, 0, 11, 1, 1, b'H', b'i', 1]);
        assert_eq!(odd[6..8], [0x34, 0xc3]);
    }

    #[test]
    fn a_receiver_accepts_a_completed_segment() {
        let mut segment = vec![7; 33];
        segment[12] = 5 << 4;
        let segment = completed(TCP, [0x40, 0], &segment);
        let pseudo_header = sum(&[192, 168, 0, 31, 192, 168, 0, 30]) + u64::from(TCP) + segment.len() as u64;
        assert_eq!(fold(pseudo_header + sum(&segment)), u16::MAX);
    }

    #[test]
    fn other_packets_are_unchanged() {
        let datagram = [0, 20, 0, 10, 0, 10, 1, 1, b'H', b'i'];
        assert_eq!(completed(UDP, [0x20, 0], &datagram), datagram, "a first fragment");
        assert_eq!(completed(UDP, [0, 9], &datagram), datagram, "a later fragment");
        assert_eq!(completed(1, [0, 0], &datagram), datagram, "ICMP");
        let without = [0, 20, 0, 10, 0, 10, 0, 0, b'H', b'i'];
        assert_eq!(completed(UDP, [0, 0], &without), without, "no checksum");
        let whole = frame(UDP, [0, 0], &datagram);
        for length in 0..whole.len() {
            let mut truncated = whole[..length].to_vec();
            complete(&mut truncated);
            assert_eq!(truncated, whole[..length]);
        }
    }
}
