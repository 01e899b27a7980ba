//! Tests of imports and their validation.
#![allow(clippy::unwrap_used)]

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};

use super::*;
use crate::testing::ControlPlane;

struct World {
    plane: ControlPlane,
}

impl World {
    fn new() -> Self {
        let plane = ControlPlane::new();
        Self { plane }
    }

    /// Returns the response, or the error's code and message.
    fn call(&mut self, name: &str, input: Value) -> Result<Value, String> {
        self.plane.values(OPERATIONS, name, input)
    }

    fn import(&mut self, certificate: &str, key: &str, chain: Option<&str>) -> Result<String, String> {
        let mut input = json!({"Certificate": blob(certificate), "PrivateKey": blob(key)});
        if let Some(chain) = chain {
            input["CertificateChain"] = json!(blob(chain));
        }
        self.call("ImportCertificate", input).map(|answer| answer["CertificateArn"].as_str().unwrap().to_owned())
    }
}

fn blob(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Returns a self-signed certificate and its key.
fn self_signed_certificate(name: &str) -> (String, String) {
    let generated = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    (generated.cert.pem(), generated.signing_key.serialize_pem())
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

#[test]
fn an_imported_certificate_is_described_until_it_is_deleted() {
    let mut world = World::new();
    let (certificate, key) = self_signed_certificate("web.example.org");
    let arn = world.import(&certificate, &key, None).unwrap();
    let shown = world.call("DescribeCertificate", json!({"CertificateArn": arn})).unwrap()["Certificate"].clone();
    assert_eq!(shown["SubjectAlternativeNames"], json!(["web.example.org"]));
    assert_eq!((&shown["Type"], &shown["Status"]), (&json!("IMPORTED"), &json!("ISSUED")));
    assert_eq!(shown["KeyAlgorithm"], json!("EC_prime256v1"));
    assert_eq!(shown["SignatureAlgorithm"], json!("SHA256WITHECDSA"));
    let got = world.call("GetCertificate", json!({"CertificateArn": arn})).unwrap();
    assert_eq!(got, json!({"Certificate": certificate}));

    let listed = |world: &mut World, includes: Value| {
        let answer = world.call("ListCertificates", json!({"Includes": includes})).unwrap();
        answer["CertificateSummaryList"].as_array().unwrap().len()
    };
    assert_eq!(listed(&mut world, json!({})), 0, "by default, AWS lists only RSA keys of up to 2048 bits");
    assert_eq!(listed(&mut world, json!({"keyTypes": ["EC_prime256v1"]})), 1);
    assert_eq!(listed(&mut world, json!({"keyTypes": ["EC_prime256v1"], "keyUsage": ["CRL_SIGNING"]})), 0);

    world.call("DeleteCertificate", json!({"CertificateArn": arn})).unwrap();
    let missing = world.call("DescribeCertificate", json!({"CertificateArn": arn})).unwrap_err();
    assert!(missing.starts_with("ResourceNotFoundException"), "{missing}");
    let wrong = world.call("DescribeCertificate", json!({"CertificateArn": "web"})).unwrap_err();
    assert!(wrong.starts_with("InvalidArnException"), "{wrong}");
}

#[test]
fn a_certificate_must_match_its_key_and_its_chain() {
    let mut world = World::new();
    let (certificate, key) = self_signed_certificate("a.example.org");
    let (other, other_key) = self_signed_certificate("b.example.org");
    let refused = |answer: Result<String, String>, words: &str| {
        let error = answer.unwrap_err();
        assert!(error.starts_with("ValidationException") && error.contains(words), "{error}");
    };
    refused(world.import(&certificate, &other_key, None), "does not match");
    refused(world.import("nonsense", &key, None), "PEM");
    refused(world.import(&certificate, "nonsense", None), "PEM");
    refused(world.import(&format!("{certificate}{other}"), &key, None), "more than one certificate");

    let (root, stranger) = (authority("Root"), authority("Stranger"));
    let signing = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["c.example.org".to_owned()]).unwrap();
    let issued = params.signed_by(&signing, &root).unwrap().pem();
    let key = signing.serialize_pem();
    refused(world.import(&issued, &key, None), "not a valid self signed");
    refused(world.import(&issued, &key, Some(&stranger.pem())), "invalid certificate is: 0");
    refused(
        world.import(&issued, &key, Some(&format!("{}{}", root.pem(), stranger.pem()))),
        "invalid certificate is: 1",
    );
    let arn = world.import(&issued, &key, Some(&root.pem())).unwrap();
    let shown = world.call("DescribeCertificate", json!({"CertificateArn": arn})).unwrap();
    assert_eq!(shown["Certificate"]["Issuer"], json!("Root"));
}

#[test]
fn certificates_outside_of_their_validity_are_refused() {
    let mut world = World::new();
    let signing = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["old.example.org".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2001, 1, 1);
    params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let old = params.self_signed(&signing).unwrap().pem();
    assert!(world.import(&old, &signing.serialize_pem(), None).unwrap_err().contains("expired"));
    let mut params = CertificateParams::new(["new.example.org".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(4000, 1, 1);
    let early = params.self_signed(&signing).unwrap().pem();
    assert!(world.import(&early, &signing.serialize_pem(), None).unwrap_err().contains("not valid yet"));
}

#[test]
fn a_repeated_import_keeps_the_arn_and_tags_are_validated() {
    let mut world = World::new();
    let (certificate, key) = self_signed_certificate("a.example.org");
    let arn = world.import(&certificate, &key, None).unwrap();
    let tag = |key: &str, value: &str| json!({"CertificateArn": arn, "Tags": [{"Key": key, "Value": value}]});
    world.call("AddTagsToCertificate", tag("team", "blue")).unwrap();
    assert!(world.call("AddTagsToCertificate", tag("aws:x", "1")).unwrap_err().starts_with("InvalidTagException"));
    let (next, next_key) = self_signed_certificate("a.example.org");
    let again = json!({"CertificateArn": arn, "Certificate": blob(&next), "PrivateKey": blob(&next_key)});
    assert_eq!(world.call("ImportCertificate", again).unwrap()["CertificateArn"], json!(arn));
    let got = world.call("GetCertificate", json!({"CertificateArn": arn})).unwrap();
    assert_eq!(got["Certificate"], json!(next));
    world.call("RemoveTagsFromCertificate", tag("team", "red")).unwrap();
    let tags = |world: &mut World| world.call("ListTagsForCertificate", json!({"CertificateArn": arn})).unwrap();
    assert_eq!(tags(&mut world)["Tags"], json!([{"Key": "team", "Value": "blue"}]));
    world.call("RemoveTagsFromCertificate", tag("team", "blue")).unwrap();
    assert_eq!(tags(&mut world)["Tags"], json!([]));
}

#[test]
fn a_requested_certificate_is_issued_at_once() {
    let mut world = World::new();
    let request = json!({"DomainName": "shop.example.org", "SubjectAlternativeNames": ["*.shop.example.org"],
                         "ValidationMethod": "DNS", "IdempotencyToken": "t"});
    let arn = world.call("RequestCertificate", request.clone()).unwrap()["CertificateArn"].clone();
    assert_eq!(world.call("RequestCertificate", request).unwrap()["CertificateArn"], arn, "the same token");
    let shown = world.call("DescribeCertificate", json!({"CertificateArn": arn})).unwrap()["Certificate"].clone();
    assert_eq!((&shown["Type"], &shown["Status"]), (&json!("AMAZON_ISSUED"), &json!("ISSUED")));
    assert_eq!(shown["SubjectAlternativeNames"], json!(["shop.example.org", "*.shop.example.org"]));
    let [one, wildcard] = [0, 1].map(|index| shown["DomainValidationOptions"][index].clone());
    assert_eq!(one["ResourceRecord"], wildcard["ResourceRecord"], "a wildcard shares the record");
    assert!(one["ResourceRecord"]["Name"].as_str().unwrap().ends_with(".shop.example.org."), "{one}");
    assert_eq!(shown.get("ImportedAt"), None);

    let found = world.call("GetCertificate", json!({"CertificateArn": arn})).unwrap();
    let chain = |answer: &Value| answer["CertificateChain"].as_str().unwrap().to_owned();
    let other =
        world.call("RequestCertificate", json!({"DomainName": "b.example.org"})).unwrap()["CertificateArn"].clone();
    assert_eq!(chain(&found), chain(&world.call("GetCertificate", json!({"CertificateArn": other})).unwrap()));
    let by_email = world.call("DescribeCertificate", json!({"CertificateArn": other})).unwrap();
    let emails = &by_email["Certificate"]["DomainValidationOptions"][0]["ValidationEmails"];
    assert_eq!(emails[0], "admin@b.example.org");

    let resend = json!({"CertificateArn": other, "Domain": "b.example.org", "ValidationDomain": "example.org"});
    assert!(world.call("ResendValidationEmail", resend).unwrap_err().starts_with("InvalidStateException"));
    for (bad, expected) in [
        (json!({"DomainName": "nodots"}), "ValidationException"),
        (json!({"DomainName": "a.example.org", "KeyAlgorithm": "RSA_2048"}), "ValidationException"),
        (json!({"DomainName": "a.example.org", "ValidationMethod": "POST"}), "ValidationException"),
        (
            json!({"DomainName": "a.example.org",
                   "DomainValidationOptions": [{"DomainName": "a.example.org", "ValidationDomain": "example.com"}]}),
            "InvalidDomainValidationOptionsException",
        ),
    ] {
        assert!(world.call("RequestCertificate", bad.clone()).unwrap_err().starts_with(expected), "{bad}");
    }
}
