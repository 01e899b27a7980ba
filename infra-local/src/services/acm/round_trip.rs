//! Parameters of Certificate Manager that are read back.

use super::OPERATIONS;
use crate::testing::round_trip::{self, Trip, Variables, WriteOnly, check_values};

const READS: &[(&str, &str)] = &[
    ("DescribeCertificate", r#"{"CertificateArn": "{arn}"}"#),
    ("ListTagsForCertificate", r#"{"CertificateArn": "{arn}"}"#),
];

const TRIPS: &[Trip] = &[
    Trip {
        operation: "RequestCertificate",
        request: r#"{"DomainName": "shop.example.org", "SubjectAlternativeNames": ["*.shop.example.org"],
                     "ValidationMethod": "DNS", "KeyAlgorithm": "EC_secp384r1", "ManagedBy": "CLOUDFRONT",
                     "DomainValidationOptions":
                         [{"DomainName": "shop.example.org", "ValidationDomain": "example.org"}],
                     "Options": {"CertificateTransparencyLoggingPreference": "DISABLED", "Export": "ENABLED"},
                     "Tags": [{"Key": "team", "Value": "blue"}]}"#,
        keep: &[("arn", "CertificateArn")],
        reads: READS,
        ..Trip::EMPTY
    },
    Trip {
        operation: "UpdateCertificateOptions",
        request: r#"{"CertificateArn": "{arn}",
                     "Options": {"CertificateTransparencyLoggingPreference": "ENABLED", "Export": "DISABLED"}}"#,
        reads: READS,
        ..Trip::EMPTY
    },
    Trip {
        operation: "AddTagsToCertificate",
        request: r#"{"CertificateArn": "{arn}", "Tags": [{"Key": "stage", "Value": "canary"}]}"#,
        reads: READS,
        ..Trip::EMPTY
    },
];

const WRITE_ONLY: &[WriteOnly] = &[
    WriteOnly("RequestCertificate", &["IdempotencyToken"], "identifies a repeated request; tested in tests.rs"),
    WriteOnly("ImportCertificate", &["*"], "needs generated keys; read back in tests.rs"),
    WriteOnly("DeleteCertificate", &["*"], "identifies the certificate to delete"),
    WriteOnly("RemoveTagsFromCertificate", &["*"], "identifies the tags to remove"),
];

#[test]
fn parameters_are_read_back() {
    check_values(&mut round_trip::plane(), OPERATIONS, TRIPS, WRITE_ONLY, Variables::new());
}
