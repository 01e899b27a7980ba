//! Tables of the constraints of a service's requests, generated from AWS's models.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use serde::Deserialize;
use serde_json::Number;

use super::pattern::Pattern;

/// The generated tables, by the credential scope of their service.
const TEXTS: &[(&str, &str)] = &[
    ("acm", include_str!("../constraints/acm.json")),
    ("cloudtrail", include_str!("../constraints/cloudtrail.json")),
    ("autoscaling", include_str!("../constraints/autoscaling.json")),
    ("cloudcontrolapi", include_str!("../constraints/cloudcontrolapi.json")),
    ("ec2", include_str!("../constraints/ec2.json")),
    ("elasticloadbalancing", include_str!("../constraints/elasticloadbalancing.json")),
    ("iam", include_str!("../constraints/iam.json")),
    ("logs", include_str!("../constraints/logs.json")),
    ("monitoring", include_str!("../constraints/monitoring.json")),
    ("rds", include_str!("../constraints/rds.json")),
    ("ssm", include_str!("../constraints/ssm.json")),
    ("sts", include_str!("../constraints/sts.json")),
];

static TABLES: LazyLock<BTreeMap<&'static str, Result<Table, serde_json::Error>>> =
    LazyLock::new(|| TEXTS.iter().map(|(service, text)| (*service, serde_json::from_str(text))).collect());

/// The requests of a service. Shapes refer to each other by their position.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    /// The shape of each operation's request; `None` for requests without parameters.
    operations: BTreeMap<String, Option<usize>>,
    shapes: Vec<Shape>,
}

/// Type and constraints of a value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shape {
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    /// Minimum of a number, or of the length of a text, a list or a map.
    pub(super) min: Option<Number>,
    pub(super) max: Option<Number>,
    #[serde(default)]
    pub(super) values: Vec<String>,
    /// The pattern as AWS writes it.
    pub(super) pattern: Option<String>,
    /// The pattern for regex-lite, if it differs.
    regex: Option<String>,
    #[serde(default)]
    pub(super) sensitive: bool,
    #[serde(default)]
    pub(super) required: Vec<String>,
    #[serde(default)]
    members: BTreeMap<String, usize>,
    item: Option<usize>,
    key: Option<usize>,
    /// Name of the items of a list in forms, unless it is `member`.
    pub(super) element: Option<String>,
    #[serde(skip)]
    compiled: OnceLock<Pattern>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Structure,
    List,
    Map,
    String,
    Blob,
    Boolean,
    Timestamp,
    Integer,
    Long,
    Float,
    Double,
}

impl Kind {
    pub(super) fn is_number(self) -> bool {
        matches!(self, Kind::Integer | Kind::Long | Kind::Float | Kind::Double)
    }

    pub(super) fn is_scalar(self) -> bool {
        !matches!(self, Kind::Structure | Kind::List | Kind::Map)
    }
}

impl Table {
    /// Returns the table of a service.
    pub(super) fn of(service: &str) -> Option<&'static Result<Table, serde_json::Error>> {
        TABLES.get(service)
    }

    /// Returns whether the table has a row for an operation.
    #[cfg(test)]
    pub(super) fn has(&self, operation: &str) -> bool {
        self.operations.contains_key(operation)
    }

    /// Returns the shape of an operation's request.
    pub(super) fn request(&self, operation: &str) -> Option<&Shape> {
        self.shapes.get((*self.operations.get(operation)?)?)
    }

    pub(super) fn member(&self, shape: &Shape, name: &str) -> Option<&Shape> {
        self.shapes.get(*shape.members.get(name)?)
    }

    pub(super) fn members<'a>(&'a self, shape: &'a Shape) -> impl Iterator<Item = (&'a str, &'a Shape)> {
        shape.members.iter().filter_map(|(name, number)| Some((name.as_str(), self.shapes.get(*number)?)))
    }

    /// Returns the shape of the items of a list, or of the values of a map.
    pub(super) fn item(&self, shape: &Shape) -> Option<&Shape> {
        self.shapes.get(shape.item?)
    }

    /// Returns the shape of the keys of a map.
    pub(super) fn key(&self, shape: &Shape) -> Option<&Shape> {
        self.shapes.get(shape.key?)
    }

    #[cfg(test)]
    pub(super) fn operations(&self) -> impl Iterator<Item = &str> {
        self.operations.keys().map(String::as_str)
    }

    #[cfg(test)]
    pub(super) fn shapes(&self) -> &[Shape] {
        &self.shapes
    }
}

impl Shape {
    /// Returns whether a text matches the pattern.
    pub(super) fn matches(&self, text: &str) -> bool {
        let Some(pattern) = &self.pattern else { return true };
        let compiled = self.compiled.get_or_init(|| Pattern::new(self.regex.as_ref().unwrap_or(pattern)));
        compiled.matches(text)
    }

    #[cfg(test)]
    pub(super) fn is_compiled(&self) -> bool {
        self.matches("");
        self.compiled.get().is_some_and(Pattern::is_compiled)
    }
}

/// Returns the names of the services with a table.
#[cfg(test)]
pub(super) fn services() -> impl Iterator<Item = &'static str> {
    TEXTS.iter().map(|(service, _)| *service)
}
