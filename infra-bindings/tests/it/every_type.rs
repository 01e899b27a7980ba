//! The modules of all types of a source.

use infra_bindings::{Catalog, generate};
use std::{collections::BTreeSet, path::PathBuf};

/// Variable with a directory or zip of schemas. Without it, the test reads those beside it.
const SOURCE: &str = "INFRA_BINDINGS_SCHEMAS";

#[test]
fn every_type_parses_as_rust() {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/schemas");
    let source = std::env::var_os(SOURCE).map_or(own, PathBuf::from);
    let catalog = Catalog::read(&source).unwrap();
    let names: Vec<String> = catalog.names().map(str::to_owned).collect();
    assert!(!names.is_empty());
    let (mut failed, mut types, mut untyped, mut fields) = (Vec::new(), 0, 0, 0);
    for name in &names {
        let module = catalog.schema(name).and_then(|schema| generate(&[schema]));
        match module.map_err(|error| error.to_string()) {
            Ok(module) => match syn::parse_file(&module.text) {
                Ok(file) => {
                    types += module.types;
                    untyped += module.untyped.len();
                    fields += module.text.matches("#[serde(rename = ").count();
                    assert_eq!(duplicates(&file.items), BTreeSet::new(), "{name}");
                }
                Err(error) => failed.push(format!("{name}: {error}")),
            },
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), names.len(), failed.join("\n"));
    println!(
        "{} types with {types} structs and enums and {fields} properties and variants parse as Rust; {untyped} properties are JSON",
        names.len()
    );
}

/// Returns the names that occur twice: of the items of a module, the fields of a struct, or the variants of an enum.
fn duplicates(items: &[syn::Item]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut keep = |names: Vec<String>| {
        let mut seen = BTreeSet::new();
        found.extend(names.into_iter().filter(|name| !seen.insert(name.clone())));
    };
    let name = |item: &syn::Item| match item {
        syn::Item::Struct(it) => Some(it.ident.to_string()),
        syn::Item::Enum(it) => Some(it.ident.to_string()),
        syn::Item::Mod(it) => Some(it.ident.to_string()),
        _ => None,
    };
    keep(items.iter().filter_map(name).collect());
    for item in items {
        match item {
            syn::Item::Struct(it) => {
                keep(it.fields.iter().filter_map(|field| field.ident.as_ref()).map(ToString::to_string).collect())
            }
            syn::Item::Enum(it) => keep(it.variants.iter().map(|variant| variant.ident.to_string()).collect()),
            _ => {}
        }
    }
    for item in items {
        if let syn::Item::Mod(syn::ItemMod { content: Some((_, inner)), .. }) = item {
            found.extend(duplicates(inner));
        }
    }
    found
}
