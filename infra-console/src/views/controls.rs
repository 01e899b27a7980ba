//! Start, stop and restart of the programs behind a resource of the local cloud.

use super::{
    Context, Problem,
    events::only_local,
    inventory::{Inventory, Kind},
};
use crate::{
    audit::{self, Action},
    cloud::services::{Call, Service},
};
use infra_core::{diagnostic::Diagnostic, state::Generation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Type token of the resources that are managed through Cloud Control.
const CLOUD_CONTROL: &str = "aws:cloudcontrol:Resource";

/// A change of the programs of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Control {
    Start,
    Stop,
    /// An instance or a database is rebooted, and the instances of an Auto Scaling group are replaced one after the other.
    Restart,
}

/// The controls of a resource, and the state that the local cloud reports.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Controls {
    /// State of an instance or a database, such as `running`; `None` for other kinds, or if it is not known.
    pub(crate) state: Option<String>,
    pub(crate) choices: Vec<Choice>,
}

/// A control of a resource.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ControlChoice")]
pub(crate) struct Choice {
    pub(crate) control: Control,
    /// The API operation that is called.
    pub(crate) operation: &'static str,
    /// `false` if the state does not allow the operation.
    pub(crate) possible: bool,
}

/// A request to start, stop or restart.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ControlRequest {
    /// URN of the resource.
    pub(crate) urn: String,
    pub(crate) control: Control,
}

impl Control {
    /// Returns the word for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Control::Start => "start",
            Control::Stop => "stop",
            Control::Restart => "restart",
        }
    }

    /// Returns the word for people at the beginning of a sentence.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Control::Start => "Start",
            Control::Stop => "Stop",
            Control::Restart => "Restart",
        }
    }
}

/// Kind of a resource with controls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Instance,
    Database,
    DatabaseCluster,
    Group,
}

impl Subject {
    /// Returns the kind of a recorded resource; `None` if it runs nothing, or nothing that can be controlled.
    fn of(kind: &str, generation: &Generation) -> Option<Self> {
        let inputs = if kind == CLOUD_CONTROL { generation.inputs.masked() } else { serde_json::Value::Null };
        match inputs["type_name"].as_str().unwrap_or(kind) {
            "aws:ec2:Instance" | "AWS::EC2::Instance" => Some(Self::Instance),
            "aws:rds:DbInstance" | "AWS::RDS::DBInstance" => Some(Self::Database),
            "aws:rds:DbCluster" | "AWS::RDS::DBCluster" => Some(Self::DatabaseCluster),
            "aws:autoscaling:AutoScalingGroup" | "AWS::AutoScaling::AutoScalingGroup" => Some(Self::Group),
            _ => None,
        }
    }

    /// Returns the operations of the controls.
    fn operations(self) -> &'static [(Control, &'static str)] {
        match self {
            Self::Instance => &[
                (Control::Start, "StartInstances"),
                (Control::Stop, "StopInstances"),
                (Control::Restart, "RebootInstances"),
            ],
            Self::Database => &[
                (Control::Start, "StartDBInstance"),
                (Control::Stop, "StopDBInstance"),
                (Control::Restart, "RebootDBInstance"),
            ],
            Self::DatabaseCluster => &[(Control::Start, "StartDBCluster"), (Control::Stop, "StopDBCluster")],
            Self::Group => &[(Control::Restart, "StartInstanceRefresh")],
        }
    }

    /// Returns the service and the name of the parameter with the ID.
    fn service(self) -> (Service, &'static str) {
        match self {
            Self::Instance => (Service::Ec2, "InstanceId.1"),
            Self::Database => (Service::Rds, "DBInstanceIdentifier"),
            Self::DatabaseCluster => (Service::Rds, "DBClusterIdentifier"),
            Self::Group => (Service::AutoScaling, "AutoScalingGroupName"),
        }
    }

    /// Returns the kind in the cloud's status; `None` for clusters, which it does not list among the measured resources.
    fn measured(self) -> Option<Kind> {
        match self {
            Self::Instance => Some(Kind::Instance),
            Self::Database => Some(Kind::Database),
            Self::Group => Some(Kind::Group),
            Self::DatabaseCluster => None,
        }
    }
}

/// A recorded resource with controls.
struct Controlled {
    subject: Subject,
    /// ID at the service.
    id: String,
    region: Option<String>,
}

impl Controlled {
    fn of(kind: &str, generation: &Generation) -> Option<Self> {
        let subject = Subject::of(kind, generation)?;
        // The ID of a resource of Cloud Control is `TYPE|IDENTIFIER`.
        let id = generation.id.as_deref()?;
        let id = if kind == CLOUD_CONTROL { id.split_once('|').map_or(id, |(_, id)| id) } else { id };
        Some(Self { subject, id: id.to_owned(), region: generation.region.clone() })
    }

    /// Adds the region, and returns the state of the resource, if the cloud knows it.
    fn complete(&mut self, inventory: &Inventory) -> Option<String> {
        let kind = self.subject.measured()?;
        let found = inventory.of_kind(kind).find(|resource| resource.id == self.id)?;
        self.region.get_or_insert_with(|| found.region.clone());
        Some(found.state.clone()).filter(|state| !state.is_empty())
    }
}

impl Controls {
    /// Returns the controls of a recorded resource; `None` if it has none, or if the target is AWS.
    pub(crate) async fn of(context: &Context, kind: &str, generation: &Generation) -> Option<Self> {
        let mut controlled = Controlled::of(kind, generation).filter(|_| only_local(context).is_ok())?;
        let inventory = Inventory::load(context).await.ok()?;
        let state = controlled.complete(&inventory);
        let choices = controlled.subject.operations().iter().map(|(control, operation)| Choice {
            control: *control,
            operation,
            possible: is_possible(*control, state.as_deref()),
        });
        Some(Self { choices: choices.collect(), state })
    }
}

/// Returns whether a state allows a control. The service decides about all other states.
fn is_possible(control: Control, state: Option<&str>) -> bool {
    let excluding = match control {
        Control::Start => &["running", "available", "pending", "starting"][..],
        Control::Stop | Control::Restart => &["stopped", "stopping"],
    };
    let ending = &["terminated", "shutting-down", "deleting", "deleted"][..];
    state.is_none_or(|state| !excluding.contains(&state) && !ending.contains(&state))
}

impl ControlRequest {
    /// Starts, stops or restarts, once the request is recorded in the audit file. Returns a description of the effect.
    pub(crate) async fn execute(&self, context: &Context) -> Result<String, Problem> {
        only_local(context)?;
        if !context.allow_changes {
            return Err(Problem::read_only());
        }
        let (mut controlled, operation) = self.find(context).await?;
        let cloud = context.cloud()?;
        if controlled.region.is_none() {
            controlled.complete(&Inventory::load(context).await?);
        }
        let region = controlled.region.as_deref().ok_or_else(|| {
            let unknown = Diagnostic::error(format!("the region of `{}` is not known", controlled.id));
            Problem::invalid(unknown.hint("`stack refresh` reads the resource again"))
        })?;
        let source = &context.source;
        let action = Action::ControlRequested { urn: &self.urn, control: self.control.name(), operation };
        audit::record(source.directory(), source.program(), source.stack(), action)
            .map_err(|error| Problem::not_recorded("nothing was changed", &error))?;
        let (service, parameter) = controlled.subject.service();
        let parameters = [(parameter, controlled.id.as_str())];
        cloud.call(Call { service, region, operation, parameters: &parameters }).await?;
        Ok(format!("{operation} of {} in {region} was accepted", controlled.id))
    }

    async fn find(&self, context: &Context) -> Result<(Controlled, &'static str), Problem> {
        let state = context.source.state().await?;
        let resources = state.iter().flat_map(|state| &state.resources);
        let found = resources.filter_map(|(urn, resource)| Some((urn, resource.current.as_ref()?)));
        let found = found.into_iter().find(|(urn, _)| urn.as_str() == self.urn);
        let (urn, generation) = found.ok_or_else(|| {
            let missing = Diagnostic::error(format!("the stack has no deployed resource `{}`", self.urn));
            Problem::not_found(missing.hint("the page `Graph` lists the resources"))
        })?;
        let controlled = Controlled::of(urn.kind(), generation);
        let operation = controlled.and_then(|controlled| {
            let (_, operation) =
                controlled.subject.operations().iter().find(|(control, _)| *control == self.control)?;
            Some((controlled, *operation))
        });
        operation.ok_or_else(|| {
            let refused =
                Diagnostic::error(format!("there is no {} of a resource of `{}`", self.control.name(), urn.kind()));
            let hint = "instances and databases can be started, stopped and restarted, database clusters started and \
                        stopped, and Auto Scaling groups restarted";
            Problem::invalid(refused.hint(hint))
        })
    }
}
