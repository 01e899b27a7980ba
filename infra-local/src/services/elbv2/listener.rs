//! Listeners.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddrV4, TcpListener};

use super::action::{self, DEFAULT_ACTIONS};
use super::limits::{self, LISTENERS};
use super::listener_certificate::{self, CERTIFICATES};
use super::{
    PAGES, TAGS, arn, check_associations, listener, load_balancer, no_listener, not_all_found, not_honoured, page,
    parse_tags, port, required, resource, specified, ssl_policy, validation,
};
use crate::model::elbv2::{Listener, Tls};
use crate::model::ids::new_arn_suffix;
use crate::model::{Cloud, Region};
use crate::services::{Call, Operation, State};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::performs("CreateListener", create, &[&["LoadBalancerArn"], SPOKEN, CERTIFICATES, DEFAULT_ACTIONS, TAGS])
        .on(&[resource::LOAD_BALANCER]),
    Operation::reads("DescribeListeners", describe, &[&["LoadBalancerArn", "ListenerArns.N"], PAGES]).on_any(),
    Operation::performs("ModifyListener", modify, &[&["ListenerArn"], SPOKEN, CERTIFICATES, DEFAULT_ACTIONS])
        .on(&[resource::LISTENER]),
    Operation::writes("DeleteListener", delete, &[&["ListenerArn"]]).on(&[resource::LISTENER]),
];

const SPOKEN: &[&str] = &["Protocol", "Port", "SslPolicy", "MutualAuthentication.Mode"];

fn create(state: &State<'_>, call: &Call<'_, Params>) -> Outcome<Node> {
    let (_, listens) = state.dry_run(|cloud| add(cloud, call))?;
    check_free(listens)?;
    state.write(|cloud| add(cloud, call)).map(|(node, _)| node)
}

/// Adds a listener. Returns the response, and the address on which it listens.
fn add(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<(Node, SocketAddrV4)> {
    let params = &call.input;
    let balancer_arn = required(params, "LoadBalancerArn")?;
    specified(params, "Protocol", "A listener protocol")?;
    let port = port(params, "Port")?.ok_or_else(|| validation("A listener port must be specified"))?;
    let tags = parse_tags(params)?;
    let region = cloud.region_mut(call.region)?;
    let balancer = load_balancer(region, balancer_arn)?;
    let default_action = action::parse(region, params, "DefaultActions")?
        .ok_or_else(|| validation("'DefaultActions' must be specified"))?;
    let of_balancer = region.elbv2.listeners.values().filter(|listener| listener.balancer == balancer_arn);
    if of_balancer.clone().any(|listener| listener.port == port) {
        return Err(duplicate(balancer_arn));
    }
    limits::check(LISTENERS, of_balancer.count() + 1, "TooManyListeners")?;
    let tls = parse_tls(region, params, None)?;
    let listens = SocketAddrV4::new(balancer.address, port);
    let path = balancer_arn.split_once(":loadbalancer/").map_or(balancer_arn, |(_, path)| path);
    let created = Listener {
        arn: arn(call.scope(), &format!("listener/{path}/{}", new_arn_suffix())),
        balancer: balancer_arn.to_owned(),
        port,
        tls,
        default_action,
        rules: BTreeMap::new(),
        attributes: BTreeMap::new(),
        tags,
    };
    check_associations(region, &created, &created.default_action)?;
    let node = answer([&created]);
    region.elbv2.listeners.insert(created.arn.clone(), created);
    Ok((node, listens))
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let arns = params.texts("ListenerArns");
    let balancer = params.optional("LoadBalancerArn");
    if arns.is_empty() && balancer.is_none() {
        return Err(validation("You must specify either listener ARNs or a load balancer ARN"));
    }
    if arns.iter().any(|arn| listener(region, arn).is_err()) {
        return Err(not_all_found("ListenerNotFound", "listeners"));
    }
    if let Some(arn) = balancer {
        load_balancer(region, arn)?;
    }
    let wanted = region.elbv2.listeners.values().filter(|listener| {
        (arns.is_empty() || arns.contains(&listener.arn)) && balancer.is_none_or(|arn| listener.balancer == arn)
    });
    let page = page(wanted.collect(), params, |listener| &listener.arn)?;
    Ok(answer(page.items).maybe("NextMarker", page.next))
}

fn modify(state: &State<'_>, call: &Call<'_, Params>) -> Outcome<Node> {
    if let (_, Some(listens)) = state.dry_run(|cloud| change(cloud, call))? {
        check_free(listens)?;
    }
    state.write(|cloud| change(cloud, call)).map(|(node, _)| node)
}

/// Changes a listener. Returns the response, and the new address if the port changed.
fn change(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<(Node, Option<SocketAddrV4>)> {
    let params = &call.input;
    let arn = required(params, "ListenerArn")?;
    let region = cloud.region_mut(call.region)?;
    let current = listener(region, arn)?.clone();
    let port = port(params, "Port")?.unwrap_or(current.port);
    let mut listens = None;
    if port != current.port {
        let mut others = region.elbv2.listeners.values();
        if others.any(|other| other.balancer == current.balancer && other.port == port) {
            return Err(duplicate(&current.balancer));
        }
        listens = Some(SocketAddrV4::new(load_balancer(region, &current.balancer)?.address, port));
    }
    let default_action =
        action::parse(region, params, "DefaultActions")?.unwrap_or_else(|| current.default_action.clone());
    let tls = parse_tls(region, params, Some(&current))?;
    let changed = Listener { port, tls, default_action, ..current };
    // The protocol may have changed, on which the actions of the rules depend.
    for action in changed.rules.values().map(|rule| &rule.action).chain([&changed.default_action]) {
        check_associations(region, &changed, action)?;
    }
    let node = answer([&changed]);
    region.elbv2.listeners.insert(arn.to_owned(), changed);
    Ok((node, listens))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let arn = required(&call.input, "ListenerArn")?;
    let listeners = &mut cloud.region_mut(call.region)?.elbv2.listeners;
    listeners.remove(arn).map(|_| Node::new()).ok_or_else(|| no_listener(arn))
}

/// Returns the TLS settings of the listener after the request; `None` for plain HTTP.
fn parse_tls(region: &Region, params: &Params, current: Option<&Listener>) -> Outcome<Option<Tls>> {
    if let Some(mode) = params.optional("MutualAuthentication.Mode").filter(|mode| *mode != "off") {
        return Err(not_honoured(format!(
            "The local cloud does not authenticate clients by certificates: use the mode 'off' instead of '{mode}'"
        )));
    }
    let policy = params.optional("SslPolicy");
    let certificates = listener_certificate::parse(region, params)?;
    let before = current.and_then(|listener| listener.tls.clone());
    match params.optional("Protocol").unwrap_or_else(|| current.map_or("HTTP", Listener::protocol)) {
        "HTTP" => {
            if policy.is_some_and(|policy| !policy.is_empty()) || !certificates.is_empty() {
                return Err(validation("An HTTP listener can have neither certificates nor an SSL policy"));
            }
            Ok(None)
        }
        "HTTPS" => {
            let certificate = match certificates.as_slice() {
                [] => before
                    .as_ref()
                    .map(|tls| tls.certificate.clone())
                    .ok_or_else(|| validation("A certificate must be specified for HTTPS listeners"))?,
                [only] => only.clone(),
                _ => {
                    return Err(validation(
                        "You can specify exactly one certificate, the default one; add others with AddListenerCertificates",
                    ));
                }
            };
            let policy = match policy.filter(|policy| !policy.is_empty()) {
                Some(policy) => ssl_policy::check(policy)?.to_owned(),
                None => before.as_ref().map_or_else(|| ssl_policy::DEFAULT.to_owned(), |tls| tls.policy.clone()),
            };
            let mut others: BTreeSet<String> = before.map(|tls| tls.others).unwrap_or_default();
            others.remove(&certificate);
            Ok(Some(Tls { policy, certificate, others }))
        }
        other => Err(validation(format!("Listener protocol '{other}' must be one of 'HTTP, HTTPS'"))),
    }
}

/// Refuses an address on which another program of this machine listens.
fn check_free(address: SocketAddrV4) -> Outcome<()> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) => Err(not_honoured(format!(
            "The local cloud cannot listen on {address}: {error}; stop what uses it, or choose another port"
        ))),
    }
}

fn duplicate(balancer: &str) -> ApiError {
    ApiError::new(
        "DuplicateListener",
        format!("A listener already exists on this port for this load balancer '{balancer}'"),
    )
}

fn answer<'a>(listeners: impl IntoIterator<Item = &'a Listener>) -> Node {
    Node::new().list("Listeners", listeners.into_iter().map(render))
}

fn render(listener: &Listener) -> Node {
    let shown = Node::new()
        .with("ListenerArn", &listener.arn)
        .with("LoadBalancerArn", &listener.balancer)
        .with("Port", listener.port)
        .with("Protocol", listener.protocol());
    let shown = match &listener.tls {
        Some(tls) => shown
            .list("Certificates", [Node::new().with("CertificateArn", &tls.certificate)])
            .with("SslPolicy", &tls.policy)
            .with("MutualAuthentication", Node::new().with("Mode", "off")),
        None => shown,
    };
    shown.with("DefaultActions", action::render(&listener.default_action))
}
