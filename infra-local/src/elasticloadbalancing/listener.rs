//! Listeners.

use std::net::{Ipv4Addr, TcpListener};

use super::{
    PAGES, TAGS, arn, listener, load_balancer, no_listener, not_honoured, number, page, parse_tags, port, required,
    target_group, validation,
};
use crate::cloud::Cloud;
use crate::model::Region;
use crate::model::balancing::{Listener, WeightedGroup};
use crate::model::ids::random_hex;
use crate::wire::{ApiError, Call, Node, Operation, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("CreateListener", create, &[&["LoadBalancerArn", "Protocol", "Port"], ACTIONS, TAGS]),
    Operation::reads("DescribeListeners", describe, &[&["LoadBalancerArn", "ListenerArns.N"], PAGES]),
    Operation::writes("ModifyListener", modify, &[&["ListenerArn", "Protocol", "Port"], ACTIONS]),
    Operation::writes("DeleteListener", delete, &[&["ListenerArn"]]),
];

const ACTIONS: &[&str] = &[
    "DefaultActions.N.Type",
    "DefaultActions.N.TargetGroupArn",
    "DefaultActions.N.Order",
    "DefaultActions.N.ForwardConfig.TargetGroups.N.TargetGroupArn",
    "DefaultActions.N.ForwardConfig.TargetGroups.N.Weight",
    "DefaultActions.N.ForwardConfig.TargetGroupStickinessConfig.Enabled",
];

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let balancer_arn = required(params, "LoadBalancerArn")?;
    check_protocol(params)?;
    required(params, "Protocol")?;
    let port = port(params, "Port")?.ok_or_else(|| validation("'Port' must be specified"))?;
    let tags = parse_tags(params)?;
    let region = cloud.region_mut(call.region)?;
    let balancer = load_balancer(region, balancer_arn)?;
    let forward = parse_actions(region, params)?.ok_or_else(|| validation("'DefaultActions' must be specified"))?;
    if region.balancing.listeners.values().any(|listener| listener.balancer == balancer_arn && listener.port == port) {
        return Err(duplicate(port));
    }
    check_free(balancer.address, port)?;
    let path = balancer_arn.split_once(":loadbalancer/").map_or(balancer_arn, |(_, path)| path);
    let created = Listener {
        arn: arn(call.region, &format!("listener/{path}/{}", random_hex(16))),
        balancer: balancer_arn.to_owned(),
        port,
        forward,
        tags,
    };
    let node = answer([&created]);
    region.balancing.listeners.insert(created.arn.clone(), created);
    Ok(node)
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let arns = params.texts("ListenerArns");
    let balancer = params.optional("LoadBalancerArn");
    if arns.is_empty() && balancer.is_none() {
        return Err(validation("You must specify either listener ARNs or a load balancer ARN"));
    }
    for arn in &arns {
        listener(region, arn)?;
    }
    if let Some(arn) = balancer {
        load_balancer(region, arn)?;
    }
    let wanted = region.balancing.listeners.values().filter(|listener| {
        (arns.is_empty() || arns.contains(&listener.arn)) && balancer.is_none_or(|arn| listener.balancer == arn)
    });
    let page = page(wanted.collect(), params, |listener| &listener.arn)?;
    Ok(answer(page.items).maybe("NextMarker", page.next))
}

fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let arn = required(params, "ListenerArn")?;
    check_protocol(params)?;
    let region = cloud.region_mut(call.region)?;
    let current = listener(region, arn)?.clone();
    let port = port(params, "Port")?.unwrap_or(current.port);
    if port != current.port {
        let mut others = region.balancing.listeners.values();
        if others.any(|other| other.balancer == current.balancer && other.port == port) {
            return Err(duplicate(port));
        }
        check_free(load_balancer(region, &current.balancer)?.address, port)?;
    }
    let forward = parse_actions(region, params)?.unwrap_or_else(|| current.forward.clone());
    let changed = Listener { port, forward, ..current };
    let node = answer([&changed]);
    region.balancing.listeners.insert(arn.to_owned(), changed);
    Ok(node)
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let arn = required(&call.input, "ListenerArn")?;
    let listeners = &mut cloud.region_mut(call.region)?.balancing.listeners;
    listeners.remove(arn).map(|_| Node::new()).ok_or_else(|| no_listener(arn))
}

fn check_protocol(params: &Params) -> Outcome<()> {
    match params.optional("Protocol") {
        None | Some("HTTP") => Ok(()),
        Some(other) => Err(ApiError::new(
            "UnsupportedProtocol",
            format!("The local cloud has listeners with the protocol 'HTTP', not '{other}'"),
        )),
    }
}

/// Finds out at once what AWS never has to: whether another program of this machine sits there.
fn check_free(address: Ipv4Addr, port: u16) -> Outcome<()> {
    match TcpListener::bind((address, port)) {
        Ok(_) => Ok(()),
        Err(error) => Err(not_honoured(format!(
            "The local cloud cannot listen on {address}:{port}: {error}; stop what uses it, or choose another port"
        ))),
    }
}

/// What the request's actions forward to; `None` when it has none.
fn parse_actions(region: &Region, params: &Params) -> Outcome<Option<Vec<WeightedGroup>>> {
    let actions = params.structures("DefaultActions");
    let Some(action) = actions.first() else {
        return Ok(None);
    };
    if actions.len() > 1 {
        return Err(ApiError::new(
            "InvalidLoadBalancerAction",
            "A default action may only contain one 'forward' action",
        ));
    }
    let kind = required(action, "Type")?;
    if kind != "forward" {
        return Err(not_honoured(format!("The local cloud has actions of type 'forward', not '{kind}'")));
    }
    let config = action.structure("ForwardConfig");
    if config.as_ref().is_some_and(|config| {
        config.optional("TargetGroupStickinessConfig.Enabled").is_some_and(|value| value == "true")
    }) {
        return Err(not_honoured("The local cloud does not honour target group stickiness"));
    }
    let mut forward = Vec::new();
    for group in config.iter().flat_map(|config| config.structures("TargetGroups")) {
        forward.push(WeightedGroup {
            target_group: required(&group, "TargetGroupArn")?.to_owned(),
            weight: number(&group, "Weight", 0, 999)?.unwrap_or(1),
        });
    }
    match action.optional("TargetGroupArn") {
        Some(arn) if forward.is_empty() => {
            forward.push(WeightedGroup { target_group: arn.to_owned(), weight: 1 });
        }
        Some(arn) if forward.len() != 1 || forward[0].target_group != arn => {
            return Err(validation("You cannot specify both a target group ARN and other target groups in an action"));
        }
        _ => {}
    }
    if forward.is_empty() || forward.len() > 5 {
        return Err(validation("A 'forward' action must have one to five target groups"));
    }
    for group in &forward {
        target_group(region, &group.target_group)?;
    }
    Ok(Some(forward))
}

fn duplicate(port: u16) -> ApiError {
    ApiError::new("DuplicateListener", format!("A listener already exists on this port for this load balancer: {port}"))
}

fn answer<'a>(listeners: impl IntoIterator<Item = &'a Listener>) -> Node {
    Node::new().list("Listeners", listeners.into_iter().map(render))
}

fn render(listener: &Listener) -> Node {
    Node::new()
        .with("ListenerArn", &listener.arn)
        .with("LoadBalancerArn", &listener.balancer)
        .with("Port", listener.port)
        .with("Protocol", "HTTP")
        .with("DefaultActions", render_actions(&listener.forward))
}

pub(super) fn render_actions(forward: &[WeightedGroup]) -> Node {
    let groups = forward
        .iter()
        .map(|group| Node::new().with("TargetGroupArn", &group.target_group).with("Weight", group.weight));
    let only = match forward {
        [group] => Some(&group.target_group),
        _ => None,
    };
    let config = Node::new()
        .list("TargetGroups", groups)
        .with("TargetGroupStickinessConfig", Node::new().with("Enabled", false));
    Node::items([Node::new()
        .with("Type", "forward")
        .maybe("TargetGroupArn", only)
        .with("Order", 1)
        .with("ForwardConfig", config)])
}
