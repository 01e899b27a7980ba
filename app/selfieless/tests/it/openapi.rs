//! The OpenAPI documents describe the routes.

use kit::testing::send;
use serde_json::Value;

use crate::{Services, with_sqlite};

#[test]
fn every_described_operation_exists_and_no_other_method() {
    with_sqlite(|url| {
        let services = Services::start(url);
        let documents = [
            (services.users.address, "/api/v1/users/openapi.json", 7),
            (services.acts.address, "/api/v1/openapi.json", 13),
        ];
        for (address, path, expected) in documents {
            let shown = send(address, &format!("GET {path}"), &[], "");
            assert_eq!(shown.status, 200);
            let document: Value = serde_json::from_str(&shown.body).unwrap();
            let mut operations = 0;
            for (path, methods) in document["paths"].as_object().unwrap() {
                let path = path.replace("{name}", "x").replace("{actId}", "7");
                for method in ["get", "post", "put", "delete", "patch"] {
                    let status = send(address, &format!("{} {path}", method.to_uppercase()), &[], "").status;
                    let is_described = methods.get(method).is_some();
                    operations += usize::from(is_described);
                    assert_eq!(status == 405, !is_described, "{method} {path}: {status}");
                    let described = &methods[method]["responses"];
                    assert!(!is_described || described.get(status.to_string()).is_some(), "{method} {path}: {status}");
                }
            }
            assert_eq!(operations, expected, "{path}");
        }
    });
}

#[test]
fn every_reference_is_resolved() {
    with_sqlite(|url| {
        let services = Services::start(url);
        for (address, path) in
            [(services.users.address, "/api/v1/users/openapi.json"), (services.acts.address, "/api/v1/openapi.json")]
        {
            let document: Value = serde_json::from_str(&send(address, &format!("GET {path}"), &[], "").body).unwrap();
            let text = document.to_string();
            let references: Vec<_> = text.split("#/components/schemas/").skip(1).collect();
            assert!(!references.is_empty());
            for reference in references {
                let name = reference.split('"').next().unwrap();
                assert!(document["components"]["schemas"][name].is_object(), "{name}");
            }
        }
    });
}
