//! The OpenAPI document describes all routes, and the page that shows it is self-contained.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use actix_web::{
    App, HttpResponse,
    introspection::IntrospectionTree,
    rt::System,
    test::{TestRequest, call_and_read_body_json, init_service},
    web::{self, Data},
};
use kit::{
    Context, application,
    metrics::Metrics,
    migrate,
    reader::Reader,
    testing::{connect, sqlite_url},
};
use serde_json::Value;
use tasks::{Migrations, Tasks, auth::Mode, openapi};

use crate::{serve, settings_of, sign_in};

/// Routes without a description in the document: pages for browsers, and the route that lists the routes.
fn is_page(path: &str) -> bool {
    matches!(path, "/" | "/docs" | "/docs/{file}" | "/admin" | "/routes") || path.starts_with("/admin/")
}

/// Returns the methods of every route of the service, by path.
fn routes() -> BTreeMap<String, BTreeSet<String>> {
    let report = async |tree: Data<IntrospectionTree>| {
        HttpResponse::Ok().content_type("application/json").body(tree.report_as_json())
    };
    let report: Value = System::new().block_on(async {
        let (database, metrics) = (connect("sqlite::memory:").await, Arc::new(Metrics::default()));
        migrate::up::<Migrations>(&database).await.unwrap();
        let context = Context { reader: Reader::new(database.clone(), None, &metrics), database, metrics };
        let service = Tasks::start(settings_of(&[]), &context).await.unwrap();
        let app = App::new().configure(|app| application::configure(app, &service));
        let app = init_service(app.route("/routes", web::get().to(report))).await;
        call_and_read_body_json(&app, TestRequest::get().uri("/routes").to_request()).await
    });
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let methods = |route: &Value| route["methods"].as_array().unwrap().iter().map(text).collect();
    report.as_array().unwrap().iter().map(|route| (text(&route["full_path"]), methods(route))).collect()
}

/// Returns the documented methods, by path. Routes for GET also serve HEAD.
fn documented(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let methods = |path: &Value| {
        let mut methods: BTreeSet<String> = path.as_object().unwrap().keys().map(|name| name.to_uppercase()).collect();
        if methods.contains("GET") {
            methods.insert("HEAD".into());
        }
        methods
    };
    document["paths"].as_object().unwrap().iter().map(|(path, value)| (path.clone(), methods(value))).collect()
}

#[test]
fn every_route_is_documented_and_every_documented_path_is_a_route() {
    let mut routes = routes();
    for page in ["/", "/docs", "/docs/{file}", "/admin", "/admin/tasks/{id}"] {
        assert!(routes.contains_key(page), "{page}: {routes:?}");
    }
    routes.retain(|path, _| !is_page(path));
    assert_eq!(documented(&openapi::document(Mode::Writes)), routes);
}

#[test]
fn a_documented_path_refuses_other_methods_and_lists_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve(&sqlite_url(&directory));
    let (ana, _) = sign_in(&service, "ana");
    let answer = service.send("GET /openapi.json", "");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let document: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(document, openapi::document(Mode::Off));
    for (path, methods) in documented(&document) {
        let request = format!("BREW {}", path.replace("{id}", "1"));
        let answer = service.send_with(&request, &[("Authorization", &ana)], "");
        assert_eq!(answer.status, 405, "{path}");
        let allowed: BTreeSet<String> = answer.header("allow").unwrap().split(", ").map(str::to_owned).collect();
        assert_eq!(methods, allowed, "{path}");
    }
}

/// Calls a function with every value of a key, at any depth.
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
fn references_are_valid_and_ids_are_unique() {
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
fn operations_that_need_a_user_are_marked() {
    let open =
        |mode, path: &str, method| openapi::document(mode)["paths"][path][method]["security"] == Value::Array(vec![]);
    assert!(open(Mode::Off, "/tasks/", "get") && open(Mode::Off, "/tasks/", "post"));
    assert!(open(Mode::Writes, "/tasks/", "get") && !open(Mode::Writes, "/tasks/post", "post"));
    assert!(!open(Mode::All, "/tasks/get_all", "get") && !open(Mode::Off, "/activity/", "get"));
    assert!(open(Mode::All, "/auth/token", "post") && open(Mode::All, "/healthz", "get"));
}

#[test]
fn the_page_is_self_contained() {
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
