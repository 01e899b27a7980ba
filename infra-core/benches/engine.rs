//! The engine's inner loops: `cargo bench -p infra-core --bench engine`.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to report")]

use criterion::{Criterion, criterion_group, criterion_main};
use infra_core::{
    Schema, Urn,
    diff::Diff,
    event::Events,
    graph::{Node, NodeKind, ResourceGraph},
    plan::{self, PlanOptions},
    provider::Providers,
    state::{Entry, Generation, Marks, State},
    store::{FileStore, StateStore},
    value::{Expression, Map, Reference, Value},
};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, hint::black_box, sync::Arc};

fn urn(at: usize) -> Urn {
    Urn::new("dev", "bench", "bench:compute:Server", &format!("server-{at:06}")).unwrap()
}

fn outputs(at: usize) -> Value {
    Value::from_json(json!({"id": format!("i-{at}"), "address": format!("i-{at}.bench.invalid")}))
}

/// Returns a declaration that uses the previous one, and its resolved inputs: about 1 KiB.
fn inputs(at: usize) -> (Expression, Value) {
    let literal = json!({
        "script": format!("#!/bin/sh\n# server {at}\n{}", "install --quiet package\n".repeat(30)),
        "ports": [{"from": 80, "to": 90}, {"from": 443, "to": 453}],
        "tags": {"team": "storage", "environment": "production"},
    });
    let mut expressions: Map<Expression> = Value::from_json(literal)
        .entries()
        .map(|(name, value)| (name.clone(), Expression::Literal(value.clone())))
        .collect();
    if let Some(before) = at.checked_sub(1) {
        let reference = Reference { urn: urn(before), property: "id".into(), secret: false, region: None };
        expressions.insert("uses", Expression::reference(reference));
    }
    let expression = Expression::Map(expressions);
    let known = outputs(at.saturating_sub(1));
    let value = expression.evaluate(&|_| Some(&known)).unwrap();
    (expression, value)
}

fn generation(at: usize) -> Generation {
    Generation {
        id: Some(format!("i-{at}")),
        region: None,
        inputs: inputs(at).1,
        outputs: outputs(at),
        dependencies: at.checked_sub(1).map(urn).into_iter().collect(),
        generation: 0,
        operation: None,
        uncertain: false,
        marks: Marks::default(),
        origin: None,
    }
}

fn unchanged(criterion: &mut Criterion) {
    let mut state = State::new("bench", "dev", "seed".into());
    let nodes = (0..1_000).map(|at| {
        state.resources.entry(urn(at)).or_default().current = Some(generation(at));
        Node {
            urn: urn(at),
            kind: NodeKind::Resource,
            region: None,
            inputs: inputs(at).0,
            schema: Arc::new(Schema::new()),
            parent: None,
            options: Arc::default(),
            set: None,
            pinned: None,
        }
    });
    let graph = ResourceGraph::new(nodes.collect(), BTreeMap::new()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // Without a provider, because unchanged resources need none.
    let (providers, options, events) = (Providers::default(), PlanOptions::default(), Events::ignored());
    criterion.bench_function("plan of 1,000 unchanged", |bencher| {
        bencher.iter(|| {
            let plan = runtime.block_on(plan::plan(&graph, &state, &providers, &options, &events)).unwrap();
            assert!(!plan.has_changes());
            plan
        });
    });
}

/// Three ways to determine that a resource is unchanged.
fn one(criterion: &mut Criterion) {
    let (expression, recorded) = inputs(7);
    let known = outputs(6);
    let outputs = |_: &Urn| Some(&known);
    let schema = Schema::new();
    criterion.bench_function("one unchanged: evaluate, then diff", |bencher| {
        bencher.iter(|| Diff::between(&schema, &recorded, &black_box(&expression).evaluate(&outputs).unwrap()));
    });
    criterion.bench_function("one unchanged: compare in place", |bencher| {
        bencher.iter(|| assert!(black_box(&expression).yields(&recorded, &outputs)));
    });
    let digest = |value: &Value| Sha256::digest(serde_json::to_vec(value).unwrap());
    let kept = digest(&recorded);
    criterion.bench_function("one unchanged: evaluate, then compare SHA-256", |bencher| {
        bencher.iter(|| assert_eq!(digest(&black_box(&expression).evaluate(&outputs).unwrap()), kept));
    });
    let text = serde_json::to_string(&recorded).unwrap();
    criterion.bench_function("one recorded: read its inputs", |bencher| {
        bencher.iter(|| serde_json::from_str::<Value>(black_box(&text)).unwrap());
    });
}

/// 64 entries that are appended together and durable at the end: the cost of one sync in a full run.
fn journal(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let session = runtime.block_on(FileStore::new(directory.path()).open("bench", "dev")).unwrap();
    let entry = Entry::Imported { urn: urn(1), generation: generation(1) };
    criterion.bench_function("journal: 64 entries made durable", |bencher| {
        bencher.iter(|| {
            let appended = (0..64).map(|_| session.journal.append(entry.clone()));
            let written = runtime.block_on(futures::future::join_all(appended));
            assert!(written.iter().all(Result::is_ok));
        });
    });
}

criterion_group!(benches, unchanged, one, journal);
criterion_main!(benches);
