//! Responses as a tree, which EC2 and the Query services render as XML.

use std::fmt::{Display, Write as _};

use chrono::{DateTime, SecondsFormat, Utc};
use quick_xml::escape::escape;

/// A node of a response. The root is always `Fields`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Text(String),
    Fields(Vec<(&'static str, Node)>),
    /// A list; the protocol decides whether its entries are called `item` or `member`.
    Items(Vec<Node>),
}

impl Node {
    /// Returns an element without children.
    pub(crate) fn new() -> Node {
        Node::Fields(Vec::new())
    }

    /// Returns EC2's response without content.
    pub(crate) fn success() -> Node {
        Node::new().with("return", true)
    }

    /// Returns an element with a text, written with `Display`.
    pub(crate) fn text(value: impl Display) -> Node {
        Node::Text(value.to_string())
    }

    pub(crate) fn items<N: Into<Node>>(nodes: impl IntoIterator<Item = N>) -> Node {
        Node::Items(nodes.into_iter().map(Into::into).collect())
    }

    /// Adds a child element.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Node>) -> Node {
        if let Node::Fields(fields) = &mut self {
            fields.push((name, value.into()));
        }
        self
    }

    /// Adds a child element if there is a value.
    pub(crate) fn maybe<N: Into<Node>>(self, name: &'static str, value: Option<N>) -> Node {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds a list.
    pub(crate) fn list<N: Into<Node>>(self, name: &'static str, nodes: impl IntoIterator<Item = N>) -> Node {
        self.with(name, Node::items(nodes))
    }

    /// Returns the text at the end of a path of names.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&str> {
        match (self, path) {
            (Node::Text(text), []) => Some(text),
            (Node::Fields(fields), [name, rest @ ..]) => {
                fields.iter().find(|(field, _)| field == name).and_then(|(_, node)| node.at(rest))
            }
            _ => None,
        }
    }

    /// Returns the texts at a path of names in all entries of lists: `networkInterfaceSet.attachment.status`.
    pub(crate) fn texts(&self, path: &str) -> Vec<String> {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        match self {
            Node::Text(_) => Vec::new(),
            Node::Items(items) => items.iter().flat_map(|item| item.texts(path)).collect(),
            Node::Fields(fields) => {
                let named = fields.iter().filter(|(field, _)| *field == name);
                let texts = named.flat_map(|(_, node)| match rest {
                    Some(rest) => node.texts(rest),
                    None => node.leaves(),
                });
                texts.collect()
            }
        }
    }

    /// Returns the text, or the texts of a list.
    fn leaves(&self) -> Vec<String> {
        match self {
            Node::Text(text) => vec![text.clone()],
            Node::Items(items) => items.iter().flat_map(Node::leaves).collect(),
            Node::Fields(_) => Vec::new(),
        }
    }
}

macro_rules! leaf {
    ($($type:ty),*) => { $(impl From<$type> for Node { fn from(value: $type) -> Node { Node::text(value) } })* };
}
leaf!(&str, &String, String, bool, i32, i64, u16, u32, u64, usize, f64, std::net::Ipv4Addr);

impl From<DateTime<Utc>> for Node {
    fn from(value: DateTime<Utc>) -> Node {
        Node::text(value.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

/// Renders EC2's envelope: `<XResponse><requestId/>…</XResponse>`.
pub(crate) fn ec2_answer(operation: &str, request_id: &str, fields: &Node) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = write!(
        out,
        "<{operation}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>{request_id}</requestId>"
    );
    write_content(&mut out, fields, "item");
    let _ = write!(out, "</{operation}Response>");
    out
}

/// Renders the Query services' envelope: `<XResponse><XResult>…</XResult><ResponseMetadata/></XResponse>`.
pub(crate) fn query_answer(namespace: &str, operation: &str, request_id: &str, fields: &Node) -> String {
    let mut out = String::new();
    write_content(&mut out, fields, "member");
    query_envelope(namespace, operation, request_id, &out)
}

/// Returns the envelope around content that is already XML.
pub(crate) fn query_envelope(namespace: &str, operation: &str, request_id: &str, content: &str) -> String {
    format!(
        "<{operation}Response xmlns=\"{namespace}\"><{operation}Result>{content}</{operation}Result><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    )
}

/// Renders EC2's error envelope.
pub(crate) fn ec2_error(code: &str, message: &str, request_id: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{}</Code><Message>{}</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>",
        escape(code),
        escape(message)
    )
}

/// Renders the Query services' error envelope, which unsigned requests get, too.
pub(crate) fn query_error(namespace: &str, kind: &str, code: &str, message: &str, request_id: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{kind}</Type><Code>{}</Code><Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
        escape(code),
        escape(message)
    )
}

fn write_content(out: &mut String, node: &Node, entry: &str) {
    match node {
        Node::Text(text) => out.push_str(&escape(text.as_str())),
        Node::Fields(fields) => {
            for (name, child) in fields {
                write_element(out, name, child, entry);
            }
        }
        Node::Items(items) => {
            for item in items {
                write_element(out, entry, item, entry);
            }
        }
    }
}

fn write_element(out: &mut String, name: &str, node: &Node, entry: &str) {
    let _ = write!(out, "<{name}>");
    write_content(out, node, entry);
    let _ = write!(out, "</{name}>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_in_all_entries_of_lists() {
        let item = |name: &str| Node::new().with("at", Node::new().with("name", name));
        let node = Node::new().list("set", [item("a"), item("b")]).list("plain", ["x", "y"]);
        assert_eq!(node.texts("set.at.name"), ["a", "b"]);
        assert_eq!(node.texts("plain"), ["x", "y"]);
        assert!(node.texts("set.at").is_empty() && node.texts("none.name").is_empty());
    }

    #[test]
    fn lists_are_items_in_ec2_and_members_elsewhere() {
        let fields = Node::new().with("name", "a<b").list("tags", ["x", "y"]).maybe("absent", None::<&str>);
        assert_eq!(
            ec2_answer("Do", "r", &fields),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DoResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId><name>a&lt;b</name><tags><item>x</item><item>y</item></tags></DoResponse>"
        );
        assert_eq!(
            query_answer("urn:n", "Do", "r", &fields),
            "<DoResponse xmlns=\"urn:n\"><DoResult><name>a&lt;b</name><tags><member>x</member><member>y</member></tags></DoResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></DoResponse>"
        );
    }
}
