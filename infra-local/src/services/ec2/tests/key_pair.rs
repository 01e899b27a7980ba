//! Key pairs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ssh_key::PrivateKey;

use crate::testing::{ControlPlane, element};

/// The start of an RSA public key.
const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCs";

#[test]
fn generated_ed25519_key_matches_its_public_key() {
    let mut plane = ControlPlane::new();
    let created = plane.ec2("CreateKeyPair", "KeyName=k&KeyType=ed25519");
    let private = PrivateKey::from_openssh(element(&created, "keyMaterial")).unwrap();
    let described = plane.ec2("DescribeKeyPairs", "KeyName.1=k&IncludePublicKey=true");
    assert_eq!(element(&described, "publicKey"), private.public_key().to_openssh().unwrap());
    let fingerprint = private.fingerprint(ssh_key::HashAlg::Sha256);
    assert_eq!(element(&created, "keyFingerprint"), STANDARD.encode(fingerprint.as_bytes()));
    let again = plane.ec2_error("CreateKeyPair", "KeyName=k");
    assert_eq!(again, "InvalidKeyPair.Duplicate: The keypair 'k' already exists.");
}

#[test]
fn generated_rsa_key_can_be_imported() {
    let mut plane = ControlPlane::new();
    let created = plane.ec2("CreateKeyPair", "KeyName=k");
    assert!(element(&created, "keyMaterial").starts_with("-----BEGIN RSA PRIVATE KEY-----\nMII"), "{created}");
    // SHA-1 of the private key; an imported key has the MD5 of the public one.
    assert_eq!(element(&created, "keyFingerprint").len(), 20 * 3 - 1);
    let described = plane.ec2("DescribeKeyPairs", "IncludePublicKey=true");
    let public = STANDARD.encode(element(&described, "publicKey"));
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("KeyName", "imported")
        .append_pair("PublicKeyMaterial", &public)
        .finish();
    let imported = plane.ec2("ImportKeyPair", &form);
    assert_eq!(element(&imported, "keyFingerprint").len(), 16 * 3 - 1);
    let types = plane.ec2("DescribeKeyPairs", "Filter.1.Name=key-name&Filter.1.Value.1=import*");
    assert_eq!(element(&types, "keyType"), "rsa");
}

#[test]
fn damaged_public_keys_are_refused() {
    let mut plane = ControlPlane::new();
    for material in [RSA, "ssh-ed25519 AAAA", "nonsense"] {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("KeyName", "k")
            .append_pair("PublicKeyMaterial", &STANDARD.encode(material))
            .finish();
        let refused = plane.ec2_error("ImportKeyPair", &form);
        assert_eq!(refused, "InvalidKey.Format: Key is not in valid OpenSSH public key format", "{material}");
    }
}
