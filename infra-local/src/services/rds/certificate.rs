//! Certificate authorities of databases.

use super::{FILTERS, PAGES, entries, filtered, not_found, page};
use crate::model::Cloud;
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] =
    &[Operation::reads("DescribeCertificates", describe, &[&["CertificateIdentifier"], PAGES, FILTERS]).on_any()];

/// An authority: its name, and the end of its validity.
struct Authority(&'static str, &'static str);

/// The authorities of
/// [Using SSL/TLS to encrypt a connection](https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html).
const ALL: &[Authority] = &[
    Authority("rds-ca-ecc384-g1", "2121-05-25T22:25:00.000Z"),
    Authority(DEFAULT, "2061-05-25T22:34:57.000Z"),
    Authority("rds-ca-rsa4096-g1", "2121-05-25T22:38:35.000Z"),
];

/// Authority of new databases.
pub(super) const DEFAULT: &str = "rds-ca-rsa2048-g1";

/// Checks that an authority exists.
pub(super) fn find(name: &str) -> Outcome<()> {
    match ALL.iter().find(|authority| authority.0 == name) {
        Some(_) => Ok(()),
        None => Err(not_found("CertificateNotFound", format!("Certificate not found: {name}"))),
    }
}

/// Returns the end of an authority's validity.
pub(super) fn valid_till(name: &str) -> Option<&'static str> {
    ALL.iter().find(|authority| authority.0 == name).map(|authority| authority.1)
}

fn describe(_: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let wanted = params.optional("CertificateIdentifier");
    if let Some(name) = wanted {
        find(name)?;
    }
    let all = ALL.iter().filter(|authority| wanted.is_none_or(|name| authority.0 == name));
    let page = page(filtered(all, params, &[])?, params, |authority| authority.0)?;
    let certificates = page.items.into_iter().map(|Authority(name, till)| {
        Node::new()
            .with("CertificateIdentifier", *name)
            .with("CertificateType", "CA")
            .with("ValidFrom", "2021-05-25T22:00:00.000Z")
            .with("ValidTill", *till)
            .with("CertificateArn", format!("arn:aws:rds:{}::cert:{name}", call.region))
            .with("CustomerOverride", false)
    });
    Ok(Node::new()
        .with("DefaultCertificateForNewLaunches", DEFAULT)
        .with("Certificates", entries("Certificate", certificates))
        .maybe("Marker", page.next))
}
