//! Console output of instances.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::instance::find;
use super::{Ec2Operation, resource};
use crate::services::{Call, Operation, State};
use crate::state::console;
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] =
    &[Operation::performs("GetConsoleOutput", output, &[&["InstanceId", "Latest"]]).on(&[resource::INSTANCE])];

/// Returns the console output: the ends of the services' logs, and the cloud's messages about the instance.
fn output(state: &State<'_>, call: &Call<'_, Params>) -> Outcome<Node> {
    let wanted = call.input.required("InstanceId")?;
    let id = state.read(|cloud| Ok::<_, ApiError>(find(cloud.region(call.region)?, wanted)?.id.clone()))?;
    let output = console::read(call.directory, &id)?;
    Ok(Node::new().with("instanceId", &id).with("timestamp", call.now).with("output", STANDARD.encode(output)))
}
