//! The documentation pages of the kinds of infra-aws: their sections, and agreement with the handlers.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use syn::{Attribute, Expr, Field, Item, ItemStruct, Lit, Meta};

/// Sections of the page of a resource kind, in their order.
const RESOURCE_SECTIONS: &[&str] = &["Example", "API operations", "Replacement", "Import"];

/// Sections of the page of a lookup, in their order.
const LOOKUP_SECTIONS: &[&str] = &["Example", "API operations"];

/// The struct of a kind, and the source file that contains it.
struct Kind {
    file: PathBuf,
    source: String,
    item: ItemStruct,
}

impl Kind {
    fn name(&self) -> String {
        format!("{} in {}", self.item.ident, self.file.display())
    }

    fn derives(&self, name: &str) -> bool {
        arguments(&self.item.attrs, "derive").split(',').any(|derived| derived.trim() == name)
    }

    /// Returns the type token, and true if a resource is deleted before its replacement is created.
    fn declaration(&self) -> (String, bool) {
        let arguments = arguments(&self.item.attrs, "resource");
        let token = arguments.split('"').nth(1).unwrap_or_default().to_owned();
        (token, arguments.contains("delete_before_replace"))
    }

    /// Returns the text of a section.
    fn section(&self, heading: &str) -> String {
        let page = page(&self.item.attrs);
        let section = page.into_iter().find(|(name, _)| name == heading);
        section.map(|(_, text)| text).unwrap_or_default()
    }

    fn fields(&self) -> impl Iterator<Item = (String, &Field)> {
        self.item.fields.iter().filter_map(|field| Some((field.ident.as_ref()?.to_string(), field)))
    }
}

/// Returns the kinds of infra-aws.
fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for file in sources(&tests::workspace().join("infra-aws/src")) {
        let source = fs::read_to_string(&file).unwrap();
        let parsed = syn::parse_file(&source).unwrap();
        let structs = parsed.items.into_iter().filter_map(|item| match item {
            Item::Struct(item) => Some(Kind { file: file.clone(), source: source.clone(), item }),
            _ => None,
        });
        kinds.extend(structs.filter(|kind| kind.derives("Resource") || kind.derives("Lookup")));
    }
    assert!(kinds.len() > 40, "{} kinds", kinds.len());
    kinds
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Returns the arguments of all attributes with this name, as text.
fn arguments(attributes: &[Attribute], name: &str) -> String {
    let lists =
        attributes.iter().filter(|attribute| attribute.path().is_ident(name)).filter_map(|attribute| match &attribute
            .meta
        {
            Meta::List(list) => Some(list.tokens.to_string()),
            _ => None,
        });
    lists.collect::<Vec<_>>().join(", ")
}

/// Returns the lines of a doc comment.
fn doc(attributes: &[Attribute]) -> Vec<String> {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value().trim_start().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    lines.collect()
}

/// Returns the sections of a doc comment: headings with their texts. The heading of the first one is empty.
fn page(attributes: &[Attribute]) -> Vec<(String, String)> {
    let mut sections = vec![(String::new(), String::new())];
    let mut in_code = false;
    for line in doc(attributes) {
        in_code ^= line.starts_with("```");
        match line.strip_prefix("# ") {
            Some(heading) if !in_code => sections.push((heading.to_owned(), String::new())),
            _ => {
                let (_, text) = sections.last_mut().unwrap();
                text.push_str(&line);
                text.push('\n');
            }
        }
    }
    sections
}

/// Returns a text without its line breaks.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the API operations that a text names.
fn operations(text: &str) -> BTreeSet<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_operation = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_uppercase()) && word.chars().all(|c| c.is_ascii_alphanumeric())
    };
    quoted.filter(is_operation).collect()
}

/// Returns the API operations that a source file names in the contexts of its errors.
fn called(source: &str) -> BTreeSet<&str> {
    source.split(".context(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn page_of_each_kind_has_its_sections_in_order() {
    for kind in kinds() {
        let expected = if kind.derives("Resource") { RESOURCE_SECTIONS } else { LOOKUP_SECTIONS };
        let page = page(&kind.item.attrs);
        let headings: Vec<&str> = page.iter().skip(1).map(|(heading, _)| heading.as_str()).collect();
        assert_eq!(headings, expected, "{}", kind.name());
        let mut paragraphs = page[0].1.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty());
        let summary = paragraphs.next().unwrap_or_default();
        assert!(summary.trim().lines().count() == 1, "{}: the summary has one line", kind.name());
        assert!(paragraphs.next().is_some(), "{}: a description follows the summary", kind.name());
        assert!(kind.section("Example").contains("```"), "{}: the example is code", kind.name());
    }
}

#[test]
fn page_of_each_kind_names_the_api_operations_of_its_handler() {
    let sources = sources(&tests::workspace().join("infra-aws/src"));
    let sources: Vec<String> = sources.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    for kind in kinds() {
        let section = kind.section("API operations");
        let documented = operations(&section);
        let missing: Vec<_> = called(&kind.source).difference(&documented).copied().collect();
        assert!(missing.is_empty(), "{} calls {missing:?}", kind.name());
        // Helpers in other files pass the names of their operations as string literals too.
        let is_called = |operation: &str| sources.iter().any(|source| source.contains(&format!("\"{operation}\"")));
        let unknown: Vec<_> = documented.into_iter().filter(|operation| !is_called(operation)).collect();
        assert!(unknown.is_empty(), "{} does not call {unknown:?}", kind.name());
    }
}

#[test]
fn page_of_each_resource_kind_names_the_inputs_that_replace_it() {
    for kind in kinds().into_iter().filter(|kind| kind.derives("Resource")) {
        let section = in_one_line(&kind.section("Replacement"));
        let (_, mut deletes_first) = kind.declaration();
        let names_all = section.contains("any input except") || section.starts_with("Every change");
        for (name, field) in kind.fields() {
            let marks = arguments(&field.attrs, "resource");
            let has = |expected: &str| marks.split(',').any(|mark| mark.trim() == expected);
            let replaces = has("replace");
            deletes_first |= has("key");
            let named = names_all || section.contains(&format!("`{name}`"));
            assert!(!replaces || named, "{}: `{name}` is missing in the section", kind.name());
            let text = doc(&field.attrs).join(" ");
            let documented = text.contains("A change replaces the ");
            assert_eq!(documented, replaces, "{}: `{name}`: {text}", kind.name());
        }
        assert_eq!(section.contains("is deleted first"), deletes_first, "{}", kind.name());
    }
}

#[test]
fn page_of_each_resource_kind_shows_its_import() {
    for kind in kinds().into_iter().filter(|kind| kind.derives("Resource")) {
        let (section, (token, _)) = (kind.section("Import"), kind.declaration());
        let shown = section.contains(&format!("\n$ stack import {token} "))
            && section.lines().any(|line| line.ends_with(" --region us-east-1"));
        assert!(shown || in_one_line(&section).contains("cannot be imported"), "{}", kind.name());
    }
}
