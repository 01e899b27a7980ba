//! Lists of certificates.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::certificate::{kind, moment, status};
use super::{AcmOperation, in_use_by, input, validation};
use crate::model::Cloud;
use crate::model::Region;
use crate::model::acm::Certificate;
use crate::services::{Call, typed};
use crate::wire::{Outcome, Page};

pub(super) const OPERATIONS: &[AcmOperation] = &[typed!(Reads, "ListCertificates", list).on_any()];

/// Limit of the names in a summary.
const SHOWN: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct List {
    #[serde(default)]
    certificate_statuses: Vec<String>,
    #[serde(default)]
    includes: Includes,
    max_items: Option<usize>,
    next_token: Option<String>,
    sort_by: Option<SortBy>,
    sort_order: Option<SortOrder>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Includes {
    #[serde(default)]
    extended_key_usage: Vec<String>,
    #[serde(default)]
    key_usage: Vec<String>,
    #[serde(default)]
    key_types: Vec<String>,
}

#[derive(Deserialize)]
enum SortBy {
    #[serde(rename = "CREATED_AT")]
    CreatedAt,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum SortOrder {
    Ascending,
    Descending,
}

fn list(cloud: &Cloud, call: &Call<'_, Value>, request: List) -> Outcome<Value> {
    if request.max_items.is_some_and(|most| !(1..=1000).contains(&most)) {
        return Err(validation("MaxItems must be from 1 to 1000"));
    }
    if request.sort_by.is_some() != request.sort_order.is_some() {
        return Err(validation("SortBy and SortOrder must be specified together"));
    }
    let region = cloud.region(call.region)?;
    let wanted = region.acm.certificates.values().filter(|certificate| request.admits(certificate, call.now));
    let mut sorted: Vec<&Certificate> = wanted.collect();
    if let (Some(SortBy::CreatedAt), Some(order)) = (&request.sort_by, request.sort_order) {
        sorted.sort_by_key(|certificate| certificate.imported);
        if order == SortOrder::Descending {
            sorted.reverse();
        }
    }
    let placed: Vec<(String, &Certificate)> =
        sorted.into_iter().enumerate().map(|(place, certificate)| (format!("{place:05}"), certificate)).collect();
    let page = Page::cut(placed, request.max_items, request.next_token.as_deref(), |(place, _)| place)
        .map_err(|_| validation("The NextToken is not one that this operation gave"))?;
    let shown: Vec<Value> =
        page.items.into_iter().map(|(_, certificate)| summary(certificate, region, call.now)).collect();
    let mut answer = json!({"CertificateSummaryList": shown});
    if let Some(next) = page.next {
        answer["NextToken"] = json!(next);
    }
    Ok(answer)
}

impl List {
    fn admits(&self, certificate: &Certificate, now: DateTime<Utc>) -> bool {
        let facts = &certificate.facts;
        let Includes { extended_key_usage, key_usage, key_types } = &self.includes;
        let extended: Vec<String> = facts.extended_key_usages.iter().map(|(name, _)| name.clone()).collect();
        let any = |wanted: &[String], has: &[String]| wanted.is_empty() || has.iter().any(|name| wanted.contains(name));
        let key = if key_types.is_empty() {
            // AWS's default filter excludes certificates with other key algorithms.
            ["RSA_1024", "RSA_2048"].contains(&facts.key_algorithm.as_str())
        } else {
            key_types.contains(&facts.key_algorithm)
        };
        let statuses = &self.certificate_statuses;
        key && (statuses.is_empty() || statuses.iter().any(|wanted| wanted == status(certificate, now)))
            && any(key_usage, &facts.key_usages)
            && any(extended_key_usage, &extended)
    }
}

fn summary(certificate: &Certificate, region: &Region, now: DateTime<Utc>) -> Value {
    let facts = &certificate.facts;
    let extended: Vec<&String> = facts.extended_key_usages.iter().map(|(name, _)| name).collect();
    let time = if certificate.requested.is_some() { "IssuedAt" } else { "ImportedAt" };
    json!({
        "CertificateArn": certificate.arn,
        "DomainName": facts.domain,
        "SubjectAlternativeNameSummaries": facts.names.iter().take(SHOWN).collect::<Vec<_>>(),
        "HasAdditionalSubjectAlternativeNames": facts.names.len() > SHOWN,
        "Status": status(certificate, now),
        "Type": kind(certificate),
        "KeyAlgorithm": facts.key_algorithm,
        "KeyUsages": facts.key_usages,
        "ExtendedKeyUsages": extended,
        "InUse": !in_use_by(region, &certificate.arn).is_empty(),
        "RenewalEligibility": "INELIGIBLE",
        "NotBefore": moment(facts.not_before),
        "NotAfter": moment(facts.not_after),
        "CreatedAt": moment(certificate.imported),
        time: moment(certificate.imported),
    })
}
