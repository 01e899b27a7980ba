//! The certificates of HTTPS listeners.

use super::limits::{self, CERTIFICATES as MOST};
use super::{PAGES, listener, no_listener, page, required, resource, validation};
use crate::model::Cloud;
use crate::model::Region;
use crate::model::elbv2::Tls;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("AddListenerCertificates", add, &[ARN, CERTIFICATES]).on(&[resource::LISTENER]),
    Operation::writes("RemoveListenerCertificates", remove, &[ARN, CERTIFICATES]).on(&[resource::LISTENER]),
    Operation::reads("DescribeListenerCertificates", describe, &[ARN, PAGES]).on_any(),
];

const ARN: &[&str] = &["ListenerArn"];
pub(super) const CERTIFICATES: &[&str] = &["Certificates.N.CertificateArn", "Certificates.N.IsDefault"];

/// Returns the ARNs of a request's certificates, all of which exist.
pub(super) fn parse(region: &Region, params: &Params) -> Outcome<Vec<String>> {
    let mut arns = Vec::new();
    for entry in params.structures("Certificates") {
        let arn = required(&entry, "CertificateArn")?;
        if entry.optional("IsDefault").is_some() {
            return Err(validation(
                "You cannot set 'IsDefault': the certificate of the listener itself is the default one",
            ));
        }
        if !region.acm.certificates.contains_key(arn) {
            return Err(ApiError::new("CertificateNotFound", format!("Certificate '{arn}' not found")));
        }
        arns.push(arn.to_owned());
    }
    Ok(arns)
}

fn add(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let arns = some(parse(region, &call.input)?)?;
    let tls = tls(region, &call.input)?;
    // The default certificate may also be in the list, and is not added to the additional ones.
    tls.others.extend(arns.iter().filter(|arn| **arn != tls.certificate).cloned());
    limits::check(MOST, tls.others.len(), "TooManyCertificates")?;
    let added = arns.iter().map(|arn| render(arn, *arn == tls.certificate));
    Ok(Node::new().list("Certificates", added))
}

fn remove(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let entries = call.input.structures("Certificates");
    let arns: Vec<String> =
        entries.iter().map(|entry| required(entry, "CertificateArn").map(str::to_owned)).collect::<Outcome<_>>()?;
    let arns = some(arns)?;
    let tls = tls(region, &call.input)?;
    if arns.contains(&tls.certificate) {
        return Err(ApiError::new(
            "OperationNotPermitted",
            "The default certificate of a listener cannot be removed; give the listener another one with ModifyListener",
        ));
    }
    tls.others.retain(|arn| !arns.contains(arn));
    Ok(Node::new())
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let listener = listener(cloud.region(call.region)?, required(&call.input, "ListenerArn")?)?;
    let default = listener.tls.as_ref().map(|tls| tls.certificate.as_str());
    let page = page(listener.certificates().collect(), &call.input, |arn| arn.as_str())?;
    let shown = page.items.into_iter().map(|arn| render(arn, default == Some(arn)));
    Ok(Node::new().list("Certificates", shown).maybe("NextMarker", page.next))
}

fn some(arns: Vec<String>) -> Outcome<Vec<String>> {
    if arns.is_empty() { Err(validation("At least one certificate must be specified")) } else { Ok(arns) }
}

fn tls<'a>(region: &'a mut Region, params: &Params) -> Outcome<&'a mut Tls> {
    let arn = required(params, "ListenerArn")?;
    let listener = region.elbv2.listeners.get_mut(arn).ok_or_else(|| no_listener(arn))?;
    listener.tls.as_mut().ok_or_else(|| validation("Only HTTPS listeners have certificates"))
}

fn render(arn: &str, default: bool) -> Node {
    Node::new().with("CertificateArn", arn).with("IsDefault", default)
}
