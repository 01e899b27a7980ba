//! The declared resources and their provider.

use infra_core::{
    Input, Output, Resource, Schema, Stack,
    provider::{Context, Created, Handler, Prior, ProviderError, Recovery, Registry},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// A resource like a server, with about 1 KiB of state including its outputs.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Server {
    size: String,
    script: String,
    delay_ms: u64,
    ports: Vec<Port>,
    tags: BTreeMap<String, String>,
    uses: Vec<Input<String>>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Port {
    from: u16,
    to: u16,
    protocol: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ServerOutputs {
    id: Output<String>,
    arn: Output<String>,
    address: Output<String>,
}

impl Resource for Server {
    const TYPE: &'static str = "bench:compute:Server";
    type Outputs = ServerOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["size"]).regional(["id"])
    }
}

impl Server {
    fn new(at: usize, delay: Duration, uses: Vec<Input<String>>) -> Self {
        let port = |from| Port { from, to: from + 10, protocol: "tcp".into() };
        let tags = [("team", "storage"), ("environment", "production"), ("cost-centre", "4711")];
        Self {
            size: "m7g.large".into(),
            script: format!("#!/bin/sh\n# server {at}\n{}", "install --quiet package\n".repeat(12)),
            delay_ms: delay.as_millis() as u64,
            ports: [80, 443, 9100].map(port).into(),
            tags: tags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            uses,
        }
    }
}

impl Handler for Server {
    type Client = ();

    async fn create(cx: &Context<'_, ()>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        if inputs.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(inputs.delay_ms)).await;
        }
        let id = format!("i-{}", cx.urn().name());
        let outputs = ServerOutputs {
            arn: format!("arn:bench:compute:nowhere:000000000000:server/{id}").into(),
            address: format!("{id}.bench.invalid").into(),
            id: id.clone().into(),
        };
        Ok(Created::new(id, outputs))
    }

    async fn read(_: &Context<'_, ()>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        Ok(Some(Created::new(prior.id.clone(), prior.outputs.clone())))
    }

    async fn update(_: &Context<'_, ()>, prior: &Prior<Self>, _: &Self) -> Result<ServerOutputs, ProviderError> {
        Ok(prior.outputs.clone())
    }

    async fn delete(_: &Context<'_, ()>, _: &Prior<Self>) -> Result<(), ProviderError> {
        Ok(())
    }

    fn recovery() -> Recovery<Self> {
        Recovery::idempotent()
    }
}

/// Declares `count` servers in layers of `width`. Each uses one or two of the previous layer.
pub(crate) fn layers(stack: &Stack, count: usize, width: usize) {
    provide(stack);
    let mut before: Vec<Output<String>> = Vec::new();
    let mut layer: Vec<Output<String>> = Vec::new();
    for at in 0..count {
        if at % width == 0 {
            before = std::mem::take(&mut layer);
        }
        let uses = match (before.len(), at % 2) {
            (0, _) => Vec::new(),
            (_, 0) => vec![before[at % width].clone()],
            _ => vec![before[at % width].clone(), before[(at * 7 + 3) % width].clone()],
        };
        layer.push(stack.add(&format!("server-{at:06}"), Server::new(at, Duration::ZERO, uses)).id);
    }
}

/// Declares `count` servers that take 5 to 200 ms each and use up to three earlier ones. The result is always the same.
pub(crate) fn latencies(stack: &Stack, count: usize) {
    provide(stack);
    let mut ids: Vec<Output<String>> = Vec::new();
    for (at, (delay, uses)) in random_graph(count).into_iter().enumerate() {
        let uses = uses.into_iter().map(|used| ids[used].clone()).collect();
        ids.push(stack.add(&format!("server-{at:06}"), Server::new(at, delay, uses)).id);
    }
}

/// Returns the duration of the critical path of [`latencies`].
pub(crate) fn critical_path(count: usize) -> Duration {
    let mut ends: Vec<Duration> = Vec::new();
    for (delay, uses) in random_graph(count) {
        ends.push(delay + uses.into_iter().map(|used| ends[used]).max().unwrap_or_default());
    }
    ends.into_iter().max().unwrap_or_default()
}

/// Returns the duration and the dependencies of each resource.
fn random_graph(count: usize) -> Vec<(Duration, Vec<usize>)> {
    // A linear congruential generator with Knuth's parameters for MMIX, of which the upper half is used: the same graph
    // on every machine.
    let mut seed = 42_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    (0..count)
        .map(|at| {
            let delay = Duration::from_millis(5 + random(196) as u64);
            let uses = (0..random(4)).filter(|_| at > 0).map(|_| random(at.max(1)));
            (delay, uses.collect())
        })
        .collect()
}

fn provide(stack: &Stack) {
    stack.provide("bench", || Arc::new(Registry::new(()).resource::<Server>()));
}
