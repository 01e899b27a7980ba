//! The resources of the local cloud that pages offer for selection, from its status.

use super::{Context, text::clean};
use crate::cloud::CloudError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// The longest label, in characters.
const LABEL: usize = 200;

/// The resources of the local cloud.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) resources: Vec<Resource>,
    /// Availability zones with instances or databases.
    pub(crate) zones: BTreeSet<String>,
    /// Descriptions of the active faults.
    pub(crate) faults: Vec<String>,
    /// The active faults with the requests that end them; empty for a cloud of an earlier version.
    pub(crate) active_faults: Vec<ActiveFault>,
    pub(crate) network: Network,
}

/// A resource with metrics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[schemars(rename = "MeasuredResource")]
pub(crate) struct Resource {
    pub(crate) kind: Kind,
    pub(crate) region: String,
    /// The id of an instance, otherwise the name.
    pub(crate) id: String,
    /// The tag `Name` of an instance, otherwise the name.
    pub(crate) name: String,
    pub(crate) state: String,
}

/// Kind of a resource, in the order of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "MeasuredKind")]
pub(crate) enum Kind {
    Balancer,
    Group,
    Instance,
    Database,
    /// A namespace of CloudWatch that is not AWS's.
    Namespace,
}

/// The network of the local cloud.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Network {
    /// `true` if instances have network namespaces.
    pub(crate) namespaces: bool,
    /// Reason why they have none.
    pub(crate) reason: Option<String>,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Balancer => "balancer",
            Kind::Group => "group",
            Kind::Instance => "instance",
            Kind::Database => "database",
            Kind::Namespace => "namespace",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Kind::Balancer => "Load balancer",
            Kind::Group => "Auto Scaling group",
            Kind::Instance => "Instances",
            Kind::Database => "Databases",
            Kind::Namespace => "Metrics of programs",
        }
    }
}

impl Resource {
    /// Returns the name for people, with the id if it differs.
    pub(crate) fn label(&self) -> String {
        let label = if self.name == self.id { self.id.clone() } else { format!("{} ({})", self.name, self.id) };
        clean(&label, LABEL)
    }

    /// Returns whether a resource has this id or name.
    pub(crate) fn is_named(&self, text: &str) -> bool {
        self.id == text || self.name == text
    }
}

/// An active fault, as the local cloud describes it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ActiveFault {
    pub(crate) text: String,
    /// The request that ends only this fault.
    #[serde(default)]
    pub(crate) end: Option<Json>,
}

/// The parts of the status that are read. All are optional: clouds of other versions have other documents.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    regions: BTreeMap<String, Region>,
    faults: Vec<String>,
    active_faults: Vec<ActiveFault>,
    network: Network,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Region {
    instances: Vec<Entry>,
    balancers: Vec<Entry>,
    groups: Vec<Entry>,
    databases: Vec<Entry>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    id: Option<String>,
    name: Option<String>,
    state: String,
    zone: Option<String>,
}

impl Inventory {
    /// Reads the status of the local cloud.
    pub(crate) async fn load(context: &Context) -> Result<Self, CloudError> {
        Self::of(context.cloud()?.get("status").await?)
    }

    /// Reads a status document.
    pub(crate) fn of(status: Json) -> Result<Self, CloudError> {
        let unknown = |error| CloudError::NoResponse(format!("its status has an unknown form: {error}"));
        let Status { regions, faults, active_faults, network } = serde_json::from_value(status).map_err(unknown)?;
        let mut inventory = Self { faults, active_faults, network, ..Self::default() };
        for (region, entries) in regions {
            let Region { instances, balancers, groups, databases } = entries;
            let kinds = [
                (Kind::Balancer, balancers),
                (Kind::Group, groups),
                (Kind::Instance, instances),
                (Kind::Database, databases),
            ];
            for (kind, entry) in kinds.into_iter().flat_map(|(kind, list)| list.into_iter().map(move |one| (kind, one)))
            {
                inventory.add(kind, &region, entry);
            }
        }
        inventory.resources.sort();
        Ok(inventory)
    }

    fn add(&mut self, kind: Kind, region: &str, entry: Entry) {
        let Some(id) = entry.id.clone().or_else(|| entry.name.clone()) else { return };
        let name = entry.name.unwrap_or_else(|| id.clone());
        if entry.state != "terminated" {
            self.zones.extend(entry.zone);
        }
        self.resources.push(Resource { kind, region: region.to_owned(), id, name, state: entry.state });
    }

    /// Returns the resources of a kind.
    pub(crate) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Resource> {
        self.resources.iter().filter(move |resource| resource.kind == kind)
    }
}
