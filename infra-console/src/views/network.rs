//! The network of the local cloud: VPCs, subnets, interfaces, and the connections that are permitted.

use super::{Context, Problem, Query};
use infra_core::diagnostic::Diagnostic;
use infra_graph::{Content, Drawing, Frame, Layout, Markup, Node, Status, SvgOptions, svg};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Name of the clients outside of the cloud.
const INTERNET: &str = "internet";

/// Number of interfaces above which there is no picture.
const MOST: usize = 300;

/// The network, as the local cloud describes it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Network {
    pub(crate) vpcs: Vec<Vpc>,
    /// Pairs of VPCs with an active peering connection.
    pub(crate) peerings: Vec<[String; 2]>,
    /// Permitted connections; `None` if the network is too large to evaluate all of them.
    pub(crate) connections: Option<Vec<Connection>>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Vpc {
    pub(crate) id: String,
    pub(crate) region: String,
    pub(crate) range: String,
    /// `true` if an internet gateway is attached.
    pub(crate) internet: bool,
    pub(crate) subnets: Vec<Subnet>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Subnet {
    pub(crate) id: String,
    pub(crate) zone: String,
    pub(crate) range: String,
    /// `true` if it has a route to an internet gateway.
    pub(crate) public: bool,
    pub(crate) interfaces: Vec<Interface>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Interface {
    pub(crate) id: String,
    /// ID or name of the resource that the interface belongs to.
    pub(crate) owner: String,
    pub(crate) name: Option<String>,
    pub(crate) kind: String,
    pub(crate) address: String,
    pub(crate) public: Option<String>,
}

/// Connections from one resource to another one that the network permits.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Connection {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) ports: BTreeSet<u16>,
}

/// The parameters of the network: none.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkQuery {}

impl Query for NetworkQuery {
    type View = Network;

    async fn load(self, context: &Context) -> Result<Network, Problem> {
        Network::load(context).await
    }
}

impl Network {
    /// Reads the network.
    pub(crate) async fn load(context: &Context) -> Result<Self, Problem> {
        let document = context.cloud()?.get("network").await?;
        serde_json::from_value(document).map_err(|error| {
            let odd =
                Diagnostic::error("the local cloud describes its network in a form that this console does not know");
            let hint = "stop the local cloud with `stack local stop`; the next start uses this version";
            Problem::from(odd.because(error.to_string()).hint(hint))
        })
    }

    /// Returns the name of a resource with interfaces.
    pub(crate) fn name<'n>(&'n self, owner: &'n str) -> &'n str {
        self.interfaces().find(|interface| interface.owner == owner).map_or(owner, Interface::title)
    }

    fn interfaces(&self) -> impl Iterator<Item = &Interface> {
        self.vpcs.iter().flat_map(|vpc| &vpc.subnets).flat_map(|subnet| &subnet.interfaces)
    }

    /// Draws the network; `None` if it is too large.
    pub(crate) fn svg(&self) -> Option<String> {
        if self.interfaces().count() > MOST {
            return None;
        }
        let mut plan = Plan::new(self);
        self.vpcs.iter().for_each(|vpc| plan.add_vpc(vpc));
        let drawing = plan.drawing(self.connections.as_deref().unwrap_or_default());
        let options = SvgOptions { heading: "Network", markup: Markup::Page { link: None } };
        Some(svg(&drawing, &Layout::new(&drawing), options))
    }
}

impl Interface {
    fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.owner)
    }
}

/// The frames and boxes of the picture.
struct Plan<'n> {
    frames: Vec<Frame>,
    boxes: Vec<Node>,
    /// Index of the box of each owner.
    owners: BTreeMap<&'n str, usize>,
    /// Number of subnets of each owner.
    subnets: BTreeMap<&'n str, usize>,
}

impl<'n> Plan<'n> {
    fn new(network: &'n Network) -> Self {
        let mut subnets = BTreeMap::new();
        network.interfaces().for_each(|interface| *subnets.entry(interface.owner.as_str()).or_default() += 1);
        let mut plan = Self { frames: Vec::new(), boxes: Vec::new(), owners: BTreeMap::new(), subnets };
        plan.frame("", String::new(), None, false);
        plan.add(INTERNET, "Clients", "internet".to_owned(), 0);
        plan
    }

    fn frame(&mut self, id: &str, title: String, parent: Option<usize>, region: bool) -> usize {
        self.frames.push(Frame { id: id.to_owned(), urn: None, title, parent, region });
        self.frames.len() - 1
    }

    fn add(&mut self, owner: &'n str, kind: &str, name: String, frame: usize) {
        self.owners.insert(owner, self.boxes.len());
        let content = Content::Other { id: owner.to_owned(), kind: kind.to_owned() };
        self.boxes.push(Node { content, name, status: Status::Recorded, frame });
    }

    /// An owner with interfaces in several subnets is beside them, in the frame of the VPC.
    fn add_vpc(&mut self, vpc: &'n Vpc) {
        let frame = self.frame(&vpc.id, format!("{} {}", vpc.region, vpc.range), Some(0), true);
        for subnet in &vpc.subnets {
            let access = if subnet.public { "public" } else { "private" };
            let alone = subnet.interfaces.iter().any(|interface| self.subnets[interface.owner.as_str()] == 1);
            let inner = alone.then(|| self.frame(&subnet.id, format!("{} {access}", subnet.zone), Some(frame), false));
            for interface in &subnet.interfaces {
                if self.owners.contains_key(interface.owner.as_str()) {
                    continue;
                }
                let one = self.subnets[interface.owner.as_str()] == 1;
                let kind = format!("{} {}", interface.kind, interface.address);
                let place = inner.filter(|_| one).unwrap_or(frame);
                self.add(&interface.owner, &kind, interface.title().to_owned(), place);
            }
        }
    }

    fn drawing(self, connections: &[Connection]) -> Drawing {
        let index = |owner: &str| self.owners.get(owner).copied();
        let arrows = connections.iter().filter_map(|each| Some((index(&each.from)?, index(&each.to)?)));
        Drawing::new(self.frames, self.boxes, &arrows.collect())
    }
}
