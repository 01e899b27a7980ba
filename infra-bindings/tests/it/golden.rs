//! The module of the schemas beside this test, which the end-to-end test compiles and deploys.

use infra_bindings::{Catalog, generate};
use std::{fs, path::Path};

/// Variable with which the test writes the file.
const WRITE: &str = "INFRA_BINDINGS_WRITE";

#[test]
fn module_for_the_end_to_end_test_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let catalog = Catalog::read(&root.join("tests/schemas")).unwrap();
    let schemas: Vec<_> = catalog.names().map(|name| catalog.schema(name).unwrap()).collect();
    let module = generate(&schemas).unwrap();
    let path = root.join("../tests/it/bindings/generated.rs");
    if std::env::var_os(WRITE).is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &module.text).unwrap();
    }
    let present = fs::read_to_string(&path).unwrap_or_default();
    assert!(present == module.text, "run this test with {WRITE}=1, and review the differences");
    let untyped: Vec<String> = module.untyped.iter().map(|(name, property)| format!("{name} {property}")).collect();
    assert_eq!(untyped, ["AWS::SQS::Queue RedrivePolicy", "Shop::Store::Shelf Extra", "Shop::Store::Shelf Policy"]);
}
