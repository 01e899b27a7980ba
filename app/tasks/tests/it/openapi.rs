//! The OpenAPI document says what there is, and the page that shows it needs nobody else.

use std::collections::BTreeSet;

use kit::testing::sqlite_url;
use serde_json::Value;
use tasks::{auth::Mode, openapi};

use crate::{serve, sign_in};

#[test]
fn every_path_has_the_methods_that_are_documented() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve(&sqlite_url(&directory));
    let (ana, _) = sign_in(&service, "ana");
    let answer = service.send("GET /openapi.json", "");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let document: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(document, openapi::document(Mode::Off));
    for (path, methods) in document["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap().keys().map(|method| method.to_uppercase());
        let mut documented: BTreeSet<String> = methods.collect();
        if documented.contains("GET") {
            documented.insert("HEAD".into());
        }
        let request = format!("BREW {}", path.replace("{id}", "1"));
        let answer = service.send_with(&request, &[("Authorization", &ana)], "");
        assert_eq!(answer.status, 405, "{path}");
        let allowed = answer.header("allow").unwrap().split(", ").map(str::to_owned).collect();
        assert_eq!(documented, allowed, "{path}");
    }
}

/// Calls a function with every value of a key, wherever it is.
fn each<'a>(document: &'a Value, key: &str, found: &mut dyn FnMut(&'a Value)) {
    match document {
        Value::Object(members) => {
            for (name, value) in members {
                if name == key {
                    found(value);
                }
                each(value, key, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| each(item, key, found)),
        _ => (),
    }
}

#[test]
fn references_lead_somewhere_and_ids_are_unique() {
    for mode in [Mode::Off, Mode::Writes, Mode::All] {
        let document = openapi::document(mode);
        let mut references = 0;
        each(&document, "$ref", &mut |reference| {
            let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
            references += 1;
        });
        assert!(references > 50, "{references}");
        let (mut ids, mut operations) = (BTreeSet::new(), 0);
        each(&document, "operationId", &mut |id| {
            ids.insert(id.as_str().unwrap().to_owned());
            operations += 1;
        });
        assert_eq!((ids.len(), operations), (18, 18));
    }
}

#[test]
fn it_says_what_needs_a_user() {
    let open =
        |mode, path: &str, method| openapi::document(mode)["paths"][path][method]["security"] == Value::Array(vec![]);
    assert!(open(Mode::Off, "/tasks/", "get") && open(Mode::Off, "/tasks/", "post"));
    assert!(open(Mode::Writes, "/tasks/", "get") && !open(Mode::Writes, "/tasks/post", "post"));
    assert!(!open(Mode::All, "/tasks/get_all", "get") && !open(Mode::Off, "/activity/", "get"));
    assert!(open(Mode::All, "/auth/token", "post") && open(Mode::All, "/healthz", "get"));
}

#[test]
fn the_page_needs_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve(&sqlite_url(&directory));
    let page = service.send("GET /docs", "");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'self'; "));
    assert!(!page.body.contains("//"), "{}", page.body);
    let links: Vec<&str> = page.body.split(['"']).filter(|text| text.starts_with('/')).collect();
    assert_eq!(
        links,
        [
            "/docs/favicon-32x32.png",
            "/docs/swagger-ui.css",
            "/openapi.json",
            "/docs/swagger-ui-bundle.js",
            "/docs/start.js"
        ]
    );
    for link in links.iter().filter(|link| !link.contains("favicon")) {
        let file = service.send(&format!("GET {link}"), "");
        assert_eq!(file.status, 200, "{link}");
        assert!(file.body.len() > 100, "{link}");
    }
    assert_eq!(service.send("HEAD /docs/favicon-32x32.png", "").header("content-type"), Some("image/png"));
    assert!(service.send("GET /docs/LICENSE", "").body.contains("Apache License"));
    for none in ["/docs/", "/docs/page.rs", "/docs/..%2Fmod.rs", "/docs/%00"] {
        assert_eq!(service.send(&format!("GET {none}"), "").status, 404, "{none}");
    }
}
