//! The OpenAPI documents.

use std::collections::BTreeSet;

use patterns::{
    openapi::document,
    operation::Operation,
    tier::{Gatekeeper, Proxy, Tier, TrustedHost},
};
use serde_json::Value;

use crate::start_gatekeeper;

fn documents() -> [Value; 3] {
    [document_of::<Gatekeeper>(), document_of::<TrustedHost>(), document_of::<Proxy>()]
}

fn document_of<T: Tier>() -> Value {
    document(T::NAME, T::IS_SIGNED)
}

#[test]
fn every_path_of_a_document_is_served() {
    let gatekeeper = start_gatekeeper(&[("TRUSTED_HOST_URL", "http://127.0.0.1:1")]);
    let served: Value = serde_json::from_str(&gatekeeper.send("GET /openapi.json", "").body).unwrap();
    let [document, ..] = documents();
    assert_eq!(served, document);
    let paths = document["paths"].as_object().unwrap();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            let answer = gatekeeper.send(&format!("{} {path}", method.to_uppercase()), r#"{"sql":"SELECT"}"#);
            let described = operation["responses"].as_object().unwrap();
            assert!(described.contains_key(&answer.status.to_string()), "{path} answered {answer:?}");
            let kind = answer.header("content-type").unwrap().split(';').next().unwrap().to_owned();
            let content = &described[&answer.status.to_string()]["content"];
            assert!(content.as_object().unwrap().contains_key(&kind), "{path} answered {answer:?}");
        }
    }
    let operations: BTreeSet<_> = Operation::ALL.map(Operation::path).into_iter().collect();
    let others = BTreeSet::from(["/health_check", "/healthz", "/openapi.json"]);
    assert_eq!(paths.keys().map(String::as_str).collect::<BTreeSet<_>>(), &operations | &others);
}

#[test]
fn every_reference_of_a_document_exists() {
    for document in documents() {
        let text = document.to_string();
        let references = text.split(r##""$ref":"#/components/schemas/"##).skip(1);
        let names: BTreeSet<_> = references.map(|rest| rest.split('"').next().unwrap()).collect();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        assert_eq!(names, schemas.keys().map(String::as_str).collect());
    }
}

#[test]
fn only_the_proxy_needs_a_signature() {
    let is_signed = |document: &Value| document["paths"]["/fetch_random"]["post"]["responses"]["401"].is_object();
    assert_eq!(documents().each_ref().map(is_signed), [false, false, true]);
}
