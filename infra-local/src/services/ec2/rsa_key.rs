//! Generation of RSA keys, and their encodings.
//!
//! The workspace has no library with RSA keys: the crate `rsa` has an open advisory (RUSTSEC-2023-0071), and `ring` cannot
//! generate them. These keys belong to clients; the local cloud neither signs nor decrypts with them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use num_bigint::BigUint;

/// Bits of each of the two primes of a 2048-bit key.
const PRIME_BITS: usize = 1024;

const EXPONENT: u32 = 65_537;

/// Rounds of the Miller-Rabin test. For random candidates of 1024 bits, FIPS 186-5 (table B.1) demands 5 rounds for an error
/// of at most 2^-112.
const ROUNDS: usize = 5;

/// Limit of the primes by which candidates are divided before the expensive test.
const TRIAL_LIMIT: u32 = 4000;

/// An RSA key with the values of PKCS #1.
pub(super) struct RsaKey {
    modulus: BigUint,
    private_exponent: BigUint,
    primes: [BigUint; 2],
}

impl RsaKey {
    /// Generates a key of 2048 bits.
    pub(super) fn generate() -> Result<RsaKey, getrandom::Error> {
        let small = small_primes();
        loop {
            let primes = [prime(&small)?, prime(&small)?];
            let [one, other] = &primes;
            let phi = (one - 1u32) * (other - 1u32);
            if let (true, Some(private_exponent)) = (one != other, BigUint::from(EXPONENT).modinv(&phi)) {
                return Ok(RsaKey { modulus: one * other, private_exponent, primes });
            }
        }
    }

    /// Returns the public key in OpenSSH's binary form.
    pub(super) fn public_blob(&self) -> Vec<u8> {
        let fields = [b"ssh-rsa".to_vec(), signed(&BigUint::from(EXPONENT)), signed(&self.modulus)];
        fields.iter().flat_map(|field| [&(field.len() as u32).to_be_bytes()[..], field.as_slice()].concat()).collect()
    }

    /// Returns the private key as PEM in the form of PKCS #1.
    pub(super) fn pem(&self) -> String {
        let encoded = STANDARD.encode(self.pkcs1());
        let lines: Vec<_> = encoded.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----", lines.join("\n"))
    }

    /// Returns the private key in the form of PKCS #8, in DER.
    pub(super) fn pkcs8(&self) -> Vec<u8> {
        let parts = [integer(&[0]), algorithm(), tagged(OCTET_STRING, &self.pkcs1())];
        tagged(SEQUENCE, &parts.concat())
    }

    fn pkcs1(&self) -> Vec<u8> {
        let [one, other] = &self.primes;
        let private = &self.private_exponent;
        // The inverse exists, because the primes differ.
        let coefficient = other.modinv(one).unwrap_or_default();
        let values = [
            BigUint::ZERO,
            self.modulus.clone(),
            BigUint::from(EXPONENT),
            private.clone(),
            one.clone(),
            other.clone(),
            private % (one - 1u32),
            private % (other - 1u32),
            coefficient,
        ];
        tagged(SEQUENCE, &values.iter().flat_map(|value| integer(&signed(value))).collect::<Vec<_>>())
    }
}

/// Returns a public key as SubjectPublicKeyInfo in DER, from the signed big-endian forms of modulus and exponent.
pub(super) fn public_key_info(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = tagged(SEQUENCE, &[integer(modulus), integer(exponent)].concat());
    // No bit of the last byte is unused.
    let bits = [&[0], key.as_slice()].concat();
    tagged(SEQUENCE, &[algorithm(), tagged(BIT_STRING, &bits)].concat())
}

/// Returns a random prime whose two highest bits are set, so that the product of two has 2048 bits.
fn prime(small: &[u32]) -> Result<BigUint, getrandom::Error> {
    loop {
        let mut bytes = [0; PRIME_BITS / 8];
        getrandom::fill(&mut bytes)?;
        bytes[0] |= 0b1100_0000;
        bytes[PRIME_BITS / 8 - 1] |= 1;
        let candidate = BigUint::from_bytes_be(&bytes);
        let is_possible = small.iter().all(|prime| &candidate % *prime != BigUint::ZERO)
            && &candidate % EXPONENT != BigUint::from(1u32);
        if is_possible && is_probably_prime(&candidate)? {
            return Ok(candidate);
        }
    }
}

/// Returns the odd primes below the limit.
fn small_primes() -> Vec<u32> {
    let mut primes: Vec<u32> = Vec::new();
    for number in (3..TRIAL_LIMIT).step_by(2) {
        if primes.iter().all(|prime| number % prime != 0) {
            primes.push(number);
        }
    }
    primes
}

/// The Miller-Rabin test with random bases, for odd candidates.
fn is_probably_prime(candidate: &BigUint) -> Result<bool, getrandom::Error> {
    let one = BigUint::from(1u32);
    let last = candidate - 1u32;
    let twos = last.trailing_zeros().unwrap_or(0);
    let odd = &last >> twos;
    for _ in 0..ROUNDS {
        let mut bytes = [0; PRIME_BITS / 8];
        getrandom::fill(&mut bytes)?;
        let base = BigUint::from_bytes_be(&bytes) % (candidate - 3u32) + 2u32;
        let mut power = base.modpow(&odd, candidate);
        let mut is_witness = power != one && power != last;
        for _ in 1..twos {
            if !is_witness {
                break;
            }
            power = &power * &power % candidate;
            is_witness = power != last;
        }
        if is_witness {
            return Ok(false);
        }
    }
    Ok(true)
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

/// `rsaEncryption`, without parameters, in DER.
fn algorithm() -> Vec<u8> {
    let identifier = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    let no_parameters = [0x05, 0x00];
    tagged(SEQUENCE, &[identifier.as_slice(), &no_parameters].concat())
}

/// Returns the big-endian form with a leading zero where the first bit is set, which marks negative numbers.
fn signed(value: &BigUint) -> Vec<u8> {
    let bytes = value.to_bytes_be();
    if bytes[0] & 0x80 == 0 { bytes } else { [&[0], bytes.as_slice()].concat() }
}

fn integer(signed: &[u8]) -> Vec<u8> {
    tagged(INTEGER, signed)
}

/// Encodes a value in DER: its tag, its length, its content.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut encoded = vec![tag];
    if length < 0x80 {
        encoded.push(length as u8);
    } else {
        let bytes = length.to_be_bytes();
        let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
        encoded.push(0x80 | bytes.len() as u8);
        encoded.extend(bytes);
    }
    encoded.extend(content);
    encoded
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_generated_key_decrypts_with_its_private_exponent() {
        let key = RsaKey::generate().unwrap();
        assert_eq!(key.modulus.bits(), 2048);
        let message = BigUint::from(0x0123_4567_89ab_cdef_u64);
        let encrypted = message.modpow(&BigUint::from(EXPONENT), &key.modulus);
        assert_eq!(encrypted.modpow(&key.private_exponent, &key.modulus), message);
    }

    #[test]
    fn composites_are_found() {
        // 561 and 8911 are Carmichael numbers, which pass Fermat's test with most bases.
        for (number, is_prime) in [(561u32, false), (8911, false), (7919, true), (65_537, true), (65_539, true)] {
            assert_eq!(is_probably_prime(&BigUint::from(number)).unwrap(), is_prime, "{number}");
        }
    }

    #[test]
    fn lengths_are_encoded_as_in_der() {
        assert_eq!(tagged(OCTET_STRING, &[7; 3])[..2], [0x04, 3]);
        assert_eq!(tagged(OCTET_STRING, &[7; 200])[..3], [0x04, 0x81, 200]);
        assert_eq!(tagged(OCTET_STRING, &[7; 300])[..4], [0x04, 0x82, 1, 44]);
    }
}
