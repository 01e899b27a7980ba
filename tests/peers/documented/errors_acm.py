"""Errors of Certificate Manager."""

import functools
import subprocess
import tempfile
from pathlib import Path

from errors import Case, unknown

REASONS = {
    "TagPolicyException": "tag policies of organizations",
    "LimitExceededException": "a quota of 2,500 certificates",
    "AccessDeniedException": "permissions have tests of their own",
    "ValidationException": "violated constraints: counted by the generated tests of all operations",
    "InvalidParameterException": "tags that the constraints refuse before",
    ("ListCertificates", "InvalidArgsException"): "the constraints refuse invalid arguments before",
    ("RequestCertificate", "InvalidArnException"): "authorities of AWS Private CA",
    "RequestInProgressException": "imported and requested certificates are issued at once",
}


def cases(world, model, operations):
    acm = world.client("acm")
    arn = acm.request_certificate(DomainName=f"errors-{world.number()}.example.com", ValidationMethod="DNS")[
        "CertificateArn"
    ]
    tag = [{"Key": "k", "Value": "v"}]
    samples = {
        "CertificateArn": arn,
        "ResourceArn": arn,
        "Tags": tag,
        "TagKeys": ["k"],
        "Certificate": b"c",
        "PrivateKey": b"k",
        "DomainName": "example.com",
        "Domain": "example.com",
        "ValidationDomain": "example.com",
        "Options": {"CertificateTransparencyLoggingPreference": "ENABLED"},
        "DaysBeforeExpiry": 45,
        "IdempotencyToken": "t",
        "Passphrase": b"p",
    }
    none = arn.rsplit("/", 1)[0] + "/00000000-0000-0000-0000-000000000000"
    table = {
        "CertificateArn": ("ResourceNotFoundException", none, f"Could not find certificate {none}"),
        "ResourceArn": ("ResourceNotFoundException", none),
    }
    yield from unknown(
        model,
        operations,
        samples,
        table,
        {
            ("ImportCertificate", "CertificateArn"),
            ("ListTagsForResource", "ResourceArn"),
            ("TagResource", "ResourceArn"),
            ("UntagResource", "ResourceArn"),
        },
    )
    malformed = {"CertificateArn": ("InvalidArnException", "arn:aws:acm:us-east-1:123456789012:other/x")}
    yield from unknown(model, [name for name in operations if name != "ImportCertificate"], samples, malformed)
    wrong_tag = [{"Key": "aws:k", "Value": "v"}]
    for operation, given in {
        "AddTagsToCertificate": {"CertificateArn": arn},
        "RequestCertificate": {"DomainName": "a.example.com"},
        "RemoveTagsFromCertificate": {"CertificateArn": arn},
    }.items():
        yield Case(operation, "InvalidTagException", {**given, "Tags": wrong_tag})
    many = [{"Key": f"k{number}", "Value": "v"} for number in range(51)]
    acm.add_tags_to_certificate(CertificateArn=arn, Tags=many[:50])
    yield Case("AddTagsToCertificate", "TooManyTagsException", {"CertificateArn": arn, "Tags": many[50:]})
    wrong = [{"DomainName": "a.example.com", "ValidationDomain": "other.com"}]
    yield Case(
        "RequestCertificate",
        "InvalidDomainValidationOptionsException",
        {"DomainName": "a.example.com", "ValidationMethod": "EMAIL", "DomainValidationOptions": wrong},
    )
    domain = acm.describe_certificate(CertificateArn=arn)["Certificate"]["DomainName"]
    email = {"CertificateArn": arn, "Domain": domain, "ValidationDomain": domain}
    yield Case("ResendValidationEmail", "InvalidStateException", email)
    yield Case(
        "ResendValidationEmail", "InvalidDomainValidationOptionsException", {**email, "ValidationDomain": "other.com"}
    )
    elbv2 = world.client("elbv2")
    balancer = elbv2.create_load_balancer(Name=f"errors-{world.number()}", Subnets=world.default_subnets()[:2])[
        "LoadBalancers"
    ][0]
    elbv2.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Port=443,
        Protocol="HTTPS",
        Certificates=[{"CertificateArn": arn}],
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}],
    )
    yield Case(
        "DeleteCertificate",
        "ResourceInUseException",
        {"CertificateArn": arn},
        f"Certificate {arn} in account {world.account} is in use.",
    )
    yield Case(
        "ImportCertificate",
        "ResourceNotFoundException",
        {"CertificateArn": none, **material()},
        "Could not find certificate",
    )
    for operation, given in {
        "ImportCertificate": material(),
        "RequestCertificate": {"DomainName": "a.example.com"},
    }.items():
        yield Case(operation, "TooManyTagsException", {**given, "Tags": many})
    yield Case("ImportCertificate", "InvalidTagException", {**material(), "Tags": wrong_tag})
    yield Case(
        "ImportCertificate",
        "InvalidArnException",
        {**material(), "CertificateArn": "arn:aws:acm:us-east-1:123456789012:other/x"},
    )


@functools.cache
def material():
    """Creates a certificate with OpenSSL."""
    with tempfile.TemporaryDirectory() as directory:
        key, certificate = Path(directory, "key"), Path(directory, "certificate")
        subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-keyout",
                key,
                "-out",
                certificate,
                "-days",
                "9",
                "-subj",
                "/CN=errors.example.com",
                "-addext",
                "subjectAltName=DNS:errors.example.com",
            ],
            check=True,
            capture_output=True,
        )
        return {"Certificate": certificate.read_bytes(), "PrivateKey": key.read_bytes()}
