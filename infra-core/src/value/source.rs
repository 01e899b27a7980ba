//! Typed structs as Rust expressions, for `import`.

use super::marker::LowerError;
use serde::{Serialize, ser};
use serde_json::Value as Json;
use std::{cell::Cell, fmt};

thread_local! {
    static WRITING: Cell<bool> = const { Cell::new(false) };
}

/// Name of the newtype that marks an output, which needs a conversion.
pub(super) const OUTPUT: &str = "\0output";

/// Value of an output with the full name of its type, such as `infra_aws::ids::VpcId`. A text of such a type needs the type in
/// the written expression.
pub(super) struct Typed {
    pub(super) type_name: &'static str,
    pub(super) value: Json,
}

impl Serialize for Typed {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_foreign =
            ["alloc::", "core::", "std::", "serde_json::"].iter().any(|path| self.type_name.starts_with(path));
        match (&self.value, self.type_name.contains("::") && !is_foreign) {
            (Json::String(_) | Json::Object(_), true) => {
                serializer.serialize_newtype_struct(self.type_name, &self.value)
            }
            (value, _) => value.serialize(serializer),
        }
    }
}

/// Returns the name of a type without its path and its parameters.
fn short_name(type_name: &str) -> &str {
    let path = type_name.split('<').next().unwrap_or(type_name);
    path.rsplit("::").next().unwrap_or(path)
}

/// Returns `true` while outputs are written as source. They serialise as a newtype of this name then.
pub(super) fn is_writing() -> bool {
    WRITING.get()
}

/// Returns the Rust expression of this value. Fields that serde skips are written as their default.
pub fn source<T: Serialize + ?Sized>(value: &T) -> Result<String, LowerError> {
    let outer = WRITING.replace(true);
    let text = value.serialize(Source { indent: 0 });
    WRITING.set(outer);
    text.map_err(|Refused(reason)| LowerError::new(reason))
}

#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

#[derive(Clone, Copy)]
struct Source {
    indent: usize,
}

impl Source {
    fn deeper(self) -> Self {
        Self { indent: self.indent + 1 }
    }

    fn fields(self, open: &str, lines: &[String], close: &str) -> String {
        if lines.is_empty() {
            return format!("{open}{close}");
        }
        let (inner, outer) = ("    ".repeat(self.indent + 1), "    ".repeat(self.indent));
        let lines: Vec<String> = lines.iter().map(|line| format!("{inner}{line},")).collect();
        format!("{open}\n{}\n{outer}{close}", lines.join("\n"))
    }

    /// Writes JSON in the form that `json!` accepts.
    fn json(self, value: &Json) -> String {
        let inner = self.deeper();
        match value {
            Json::Object(members) => {
                let lines: Vec<String> =
                    members.iter().map(|(name, value)| format!("{name:?}: {}", inner.json(value))).collect();
                self.fields("{", &lines, "}")
            }
            Json::Array(items) => {
                let lines: Vec<String> = items.iter().map(|item| inner.json(item)).collect();
                self.fields("[", &lines, "]")
            }
            Json::String(text) => format!("{text:?}"),
            other => other.to_string(),
        }
    }

    fn list(self, items: &[String]) -> String {
        let short = items.iter().map(String::len).sum::<usize>() < 60 && !items.iter().any(|item| item.contains('\n'));
        if short { format!("vec![{}]", items.join(", ")) } else { self.fields("vec![", items, "]") }
    }
}

/// Returns the name of the variant that serialises as `to_port` with `rename_all = "kebab-case"` or `"lowercase"`, or as
/// `TO_PORT` with an upper-case one: `ToPort`.
fn variant_name(text: &str) -> String {
    let is_upper_case = text.len() > 1 && !text.contains(char::is_lowercase);
    if text.starts_with(char::is_uppercase) && !is_upper_case {
        return text.to_owned();
    }
    let words = text.split(['-', '_']).map(|word| {
        let word = if is_upper_case { word.to_lowercase() } else { word.to_owned() };
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    });
    words.collect()
}

macro_rules! plain {
    ($($method:ident: $kind:ty),+) => {$(
        fn $method(self, value: $kind) -> Result<String, Refused> {
            Ok(format!("{value:?}"))
        }
    )+};
}

impl ser::Serializer for Source {
    type Ok = String;
    type Error = Refused;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Entries;
    type SerializeStruct = Fields;
    type SerializeStructVariant = Fields;

    plain!(
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_f32: f32, serialize_f64: f64, serialize_char: char
    );

    fn serialize_str(self, text: &str) -> Result<String, Refused> {
        Ok(format!("{text:?}.into()"))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<String, Refused> {
        Ok(format!("{bytes:?}.into()"))
    }

    fn serialize_none(self) -> Result<String, Refused> {
        Ok("None".into())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<String, Refused> {
        Ok(format!("Some({})", value.serialize(self)?))
    }

    fn serialize_unit(self) -> Result<String, Refused> {
        Ok("()".into())
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<String, Refused> {
        Ok(name.into())
    }

    fn serialize_unit_variant(self, name: &'static str, _: u32, variant: &'static str) -> Result<String, Refused> {
        Ok(format!("{name}::{}", variant_name(variant)))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<String, Refused> {
        // Names of serde contain no path, so this is the type of an output.
        let is_typed = name.contains("::");
        if (is_typed || name == OUTPUT)
            && let Ok(document @ Json::Object(_)) = serde_json::to_value(value)
        {
            let expression = format!("infra_core::output_json!({})", self.json(&document));
            let inner = value.serialize(self)?;
            return Ok(match name {
                // The type needs a conversion from JSON.
                OUTPUT if inner.ends_with(".cast()") => inner,
                OUTPUT => expression,
                _ => format!("{expression}.cast()"),
            });
        }
        let inner = value.serialize(self)?;
        Ok(match name {
            OUTPUT if inner.ends_with(".into()") => inner,
            OUTPUT => format!("{inner}.into()"),
            name if is_typed => format!("{}::from({})", short_name(name), inner.trim_end_matches(".into()")),
            name => format!("{name}({inner})"),
        })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<String, Refused> {
        Ok(format!("{name}::{}({})", variant_name(variant), value.serialize(self)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items, Refused> {
        Ok(Items { source: self, name: None, written: Vec::new() })
    }

    fn serialize_tuple(self, _: usize) -> Result<Items, Refused> {
        Ok(Items { source: self, name: Some(String::new()), written: Vec::new() })
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Items, Refused> {
        Ok(Items { source: self, name: Some(name.into()), written: Vec::new() })
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items, Refused> {
        Ok(Items { source: self, name: Some(format!("{name}::{}", variant_name(variant))), written: Vec::new() })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries, Refused> {
        Ok(Entries { source: self, key: String::new(), items: Vec::new() })
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Fields, Refused> {
        Ok(Fields { source: self, name: name.into(), lines: Vec::new() })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Fields, Refused> {
        Ok(Fields { source: self, name: format!("{name}::{}", variant_name(variant)), lines: Vec::new() })
    }
}

/// A list, or a tuple if it has a name, which may be empty.
struct Items {
    source: Source,
    name: Option<String>,
    written: Vec<String>,
}

impl Items {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.written.push(value.serialize(self.source.deeper())?);
        Ok(())
    }

    fn text(self) -> String {
        match self.name {
            None => self.source.list(&self.written),
            Some(name) => format!("{name}({})", self.written.join(", ")),
        }
    }
}

macro_rules! items {
    ($($kind:ident $method:ident),+) => {$(
        impl ser::$kind for Items {
            type Ok = String;
            type Error = Refused;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
                self.push(value)
            }

            fn end(self) -> Result<String, Refused> {
                Ok(self.text())
            }
        }
    )+};
}
items!(SerializeSeq serialize_element, SerializeTuple serialize_element, SerializeTupleStruct serialize_field, SerializeTupleVariant serialize_field);

struct Entries {
    source: Source,
    key: String,
    items: Vec<String>,
}

impl ser::SerializeMap for Entries {
    type Ok = String;
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        self.key = key.serialize(self.source.deeper())?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let value = value.serialize(self.source.deeper())?;
        self.items.push(format!("({}, {value})", self.key));
        Ok(())
    }

    fn end(self) -> Result<String, Refused> {
        Ok(self.source.fields("[", &self.items, "].into()"))
    }
}

struct Fields {
    source: Source,
    name: String,
    lines: Vec<String>,
}

macro_rules! fields {
    ($($kind:ident),+) => {$(
        impl ser::$kind for Fields {
            type Ok = String;
            type Error = Refused;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Refused> {
                let value = value.serialize(self.source.deeper())?;
                self.lines.push(format!("{name}: {value}"));
                Ok(())
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), Refused> {
                self.lines.push(format!("{name}: Default::default()"));
                Ok(())
            }

            fn end(self) -> Result<String, Refused> {
                Ok(self.source.fields(&format!("{} {{", self.name), &self.lines, "}"))
            }
        }
    )+};
}
fields!(SerializeStruct, SerializeStructVariant);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::value::Output;
    use std::collections::BTreeMap;

    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    enum Protocol {
        TcpOnly,
        Port(u16),
    }

    #[derive(Serialize)]
    struct Rule {
        protocol: Protocol,
        range: (u16, u16),
        source: Option<Output<String>>,
    }

    #[derive(Serialize)]
    #[serde(transparent)]
    struct NetworkId(String);

    #[derive(Serialize)]
    struct Version {
        number: u32,
    }

    #[test]
    fn variants_are_named_as_in_rust() {
        for (text, name) in [
            ("to-port", "ToPort"),
            ("tcp", "Tcp"),
            ("HTTP", "Http"),
            ("TO_PORT", "ToPort"),
            ("toPort", "ToPort"),
            ("Udp", "Udp"),
        ] {
            assert_eq!(variant_name(text), name);
        }
    }

    #[derive(Serialize)]
    struct Group {
        description: String,
        size: Output<u32>,
        rules: Vec<Rule>,
        names: Output<Vec<String>>,
        network: Output<NetworkId>,
        version: Output<Version>,
        tags: BTreeMap<String, String>,
        properties: Output<Json>,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    }

    #[test]
    fn source_is_valid_rust() {
        let group = Group {
            description: "the \"web\"".into(),
            size: 3.into(),
            rules: vec![
                Rule { protocol: Protocol::TcpOnly, range: (80, 81), source: Some("any".into()) },
                Rule { protocol: Protocol::Port(1), range: (0, 0), source: None },
            ],
            names: vec!["a".to_owned(), "b".to_owned()].into(),
            network: NetworkId("net-1".to_owned()).into(),
            version: Version { number: 2 }.into(),
            tags: [("team".to_owned(), "x".to_owned())].into(),
            properties: serde_json::json!({"Name": "a\u{1}", "Days": 7, "Tags": [{"Key": "k"}], "None": []}).into(),
            note: None,
        };
        insta::assert_snapshot!(source(&group).unwrap(), @r#"
        Group {
            description: "the \"web\"".into(),
            size: 3.into(),
            rules: vec![
                Rule {
                    protocol: Protocol::TcpOnly,
                    range: (80, 81),
                    source: Some("any".into()),
                },
                Rule {
                    protocol: Protocol::Port(1),
                    range: (0, 0),
                    source: None,
                },
            ],
            names: vec!["a".into(), "b".into()].into(),
            network: NetworkId::from("net-1").into(),
            version: infra_core::output_json!({
                "number": 2,
            }).cast(),
            tags: [
                ("team".into(), "x".into()),
            ].into(),
            properties: infra_core::output_json!({
                "Days": 7,
                "Name": "a\u{1}",
                "None": [],
                "Tags": [
                    {
                        "Key": "k",
                    },
                ],
            }),
            note: Default::default(),
        }
        "#);
    }
}
