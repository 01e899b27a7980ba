//! Damaged sources and schemas, which are errors with hints.

use infra_bindings::{BindingError, Catalog, Schema, generate};
use serde_json::{Value, json};
use std::{fs, io::Write, path::Path};
use zip::{ZipWriter, write::SimpleFileOptions};

fn schema(properties: Value, definitions: Value) -> Result<Schema, BindingError> {
    let document = json!({"typeName": "Shop::Store::Shelf", "properties": properties, "definitions": definitions});
    Schema::parse(&document.to_string(), "shelf.json")
}

fn message(result: Result<impl Sized, BindingError>) -> String {
    let Err(error) = result else { panic!("the input was accepted") };
    format!("{error}; {}", error.hint())
}

fn zip(path: &Path, files: &[(&str, &str)]) {
    let mut writer = ZipWriter::new(fs::File::create(path).unwrap());
    for (name, text) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap();
}

const SHELF: &str = r#"{"typeName": "Shop::Store::Shelf", "properties": {"Name": {"type": "string"}}}"#;

#[test]
fn zips_are_read_without_writing_their_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("schemas.zip");
    zip(&path, &[("../../evil.json", SHELF), ("/etc/other.json", "[]"), ("readme.txt", "text")]);
    let catalog = Catalog::read(&path).unwrap();
    assert_eq!(catalog.names().collect::<Vec<_>>(), ["Shop::Store::Shelf"]);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    assert!(!directory.path().join("../../evil.json").exists());
}

#[test]
fn damaged_sources_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("text.zip"), "not a zip").unwrap();
    zip(&at("cut.zip"), &[("a.json", SHELF)]);
    let whole = fs::read(at("cut.zip")).unwrap();
    fs::write(at("cut.zip"), &whole[..whole.len() / 2]).unwrap();
    for name in ["text.zip", "cut.zip"] {
        let error = message(Catalog::read(&at(name)));
        assert!(error.starts_with("the zip ") && error.contains(name), "{error}");
    }
    zip(&at("empty.zip"), &[("a.json", "{}")]);
    assert!(message(Catalog::read(&at("empty.zip"))).contains("contains no resource schema"));
    assert!(message(Catalog::read(&at("none"))).contains("cannot be read"));
    let huge = format!("{{\"typeName\": \"{}\"}}", "x".repeat(17 << 20));
    zip(&at("huge.zip"), &[("a.json", &huge)]);
    assert!(message(Catalog::read(&at("huge.zip"))).contains("exceeds the limit of 16 MiB per file"));
}

#[test]
fn unknown_types_are_refused_with_similar_names() {
    let mut catalog = Catalog::default();
    assert!(catalog.add("shelf.json", SHELF.to_owned()));
    assert!(!catalog.add("evil.json", SHELF.replace("Shop::Store::Shelf", "../../etc/passwd")));
    assert_eq!(
        message(catalog.schema("shop::Store::Shelve")),
        "there is no schema of `shop::Store::Shelve`; similar types: `Shop::Store::Shelf`"
    );
    assert_eq!(
        message(catalog.schema("../x")),
        "`../x` is no type name of CloudFormation; write it like `AWS::SQS::Queue`"
    );
}

#[test]
fn schemas_without_end_are_refused() {
    let of = |properties: Value, definitions: Value| {
        message(schema(properties, definitions).and_then(|schema| generate(&[schema])))
    };
    let property = json!({"Name": {"$ref": "#/definitions/A"}});
    let loops = of(property.clone(), json!({"A": {"$ref": "#/definitions/B"}, "B": {"$ref": "#/definitions/A"}}));
    assert!(loops.contains("refers to itself"), "{loops}");
    let list = of(property.clone(), json!({"A": {"type": "array", "items": {"$ref": "#/definitions/A"}}}));
    assert!(list.contains("contains itself without end"), "{list}");
    assert!(of(property.clone(), json!({})).contains("it has no part /definitions/A"));
    assert!(of(json!({"Name": {"$ref": "https://example.com"}}), json!({})).contains("refers to"));
    assert!(of(json!({}), json!({})).contains("it has no properties"));
    let deep = (0..110).fold(json!({"type": "string"}), |inner, _| json!({"items": inner}));
    assert!(message(schema(json!({"Name": deep}), json!({}))).contains("nested deeper"));
    assert!(message(Schema::parse("{", "a.json")).starts_with("the schema a.json is invalid"));
}
