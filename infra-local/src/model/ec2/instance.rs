//! Instances: launch parameters and observed processes.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::block_device::BlockDevice;
use super::launch_template::{LaunchData, TemplateReference};
use crate::model::Tags;
use crate::model::machine::MachineDocument;
use crate::model::process::ProcessIdentity;

/// An instance. `state` is what EC2 reports; `runtime` belongs to the data plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
// Names and flags are those of AWS's API.
#[allow(clippy::struct_field_names, clippy::struct_excessive_bools)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) reservation_id: String,
    pub(crate) state: InstanceState,
    /// Reason of its state: `Client.UserInitiatedShutdown`, `Server.InternalError`…
    pub(crate) reason: Option<StateReason>,
    pub(crate) image_id: String,
    /// Machine document of the image, which the user data overrides.
    #[serde(default)]
    pub(crate) image_machine: Option<MachineDocument>,
    pub(crate) instance_type: String,
    pub(crate) key_name: Option<String>,
    pub(crate) vpc_id: String,
    pub(crate) subnet_id: String,
    /// The zone's full name.
    pub(crate) zone: String,
    /// Its loopback address.
    pub(crate) address: Ipv4Addr,
    /// True when the instance has a public address.
    #[serde(default = "was_public")]
    pub(crate) public_ip: bool,
    pub(crate) security_groups: Vec<String>,
    /// The user data as it was sent, in base64.
    pub(crate) user_data: Option<String>,
    /// Name of the instance profile.
    pub(crate) instance_profile: Option<ProfileReference>,
    pub(crate) metadata_options: MetadataOptions,
    /// Ids of the attached volumes, whose attachments are parts of the volumes.
    #[serde(default)]
    pub(crate) volumes: Vec<String>,
    /// Name of its placement group.
    #[serde(default)]
    pub(crate) placement_group: Option<String>,
    /// Volumes, in states of earlier versions only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) block_devices: Vec<BlockDevice>,
    pub(crate) disable_api_termination: bool,
    #[serde(default)]
    pub(crate) disable_api_stop: bool,
    pub(crate) shutdown_terminates: bool,
    pub(crate) monitoring: bool,
    pub(crate) ebs_optimized: bool,
    /// `standard` or `unlimited`; by default that of the instance type. Recorded and described only: instances never
    /// run out of credits.
    #[serde(default)]
    pub(crate) cpu_credits: Option<String>,
    pub(crate) client_token: Option<String>,
    pub(crate) launch_index: u32,
    pub(crate) launch_time: DateTime<Utc>,
    pub(crate) terminated_at: Option<DateTime<Utc>>,
    pub(crate) tags: Tags,
    /// Tags of the volumes, in states of earlier versions only.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(crate) volume_tags: Tags,
    pub(crate) network_interface_id: String,
    pub(crate) runtime: Runtime,
}

/// Returns the content of user data, which requests contain in base64.
pub(crate) fn decoded_user_data(user_data: Option<&str>) -> Vec<u8> {
    let compact: String = user_data.unwrap_or_default().split_ascii_whitespace().collect();
    STANDARD.decode(compact).unwrap_or_default()
}

/// Message of the state's reason when the host of an instance fails.
pub(crate) const HOST_FAILED: &str = "Server.InternalError: Internal error: the host failed";

/// EC2's states of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum InstanceState {
    Pending,
    Running,
    ShuttingDown,
    Terminated,
    Stopping,
    Stopped,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateReason {
    pub(crate) code: String,
    pub(crate) message: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProfileReference {
    pub(crate) arn: String,
    pub(crate) id: String,
    pub(crate) name: String,
}

/// Options of the instance metadata service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MetadataOptions {
    pub(crate) http_tokens: String,
    pub(crate) http_endpoint: String,
    pub(crate) hop_limit: i32,
    pub(crate) instance_metadata_tags: String,
}

impl Default for MetadataOptions {
    fn default() -> Self {
        MetadataOptions {
            http_tokens: "optional".to_owned(),
            http_endpoint: "enabled".to_owned(),
            hop_limit: 1,
            instance_metadata_tags: "disabled".to_owned(),
        }
    }
}

/// The runtime's part of an instance, kept over restarts of the cloud.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Runtime {
    /// Processes by name.
    pub(crate) services: BTreeMap<String, Service>,
    /// True when the first boot, in which the instance configures itself, has finished.
    pub(crate) configured: bool,
    /// Number of requested reboots; the runtime restarts all processes when it increases.
    pub(crate) reboots: u32,
    /// True when the machine has failed: no process runs, regardless of the instance's state.
    pub(crate) impaired: bool,
}

/// A process of an instance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Service {
    pub(crate) state: ServiceState,
    pub(crate) process: Option<ProcessIdentity>,
    pub(crate) port: Option<u16>,
    pub(crate) log: PathBuf,
    /// Number of restarts.
    pub(crate) restarts: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ServiceState {
    #[default]
    Starting,
    Running,
    Restarting,
    Failed,
    Stopped,
}

/// A finished RunInstances call, so that a retry with the same token returns the same instances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LaunchRecord {
    pub(crate) request: LaunchData,
    pub(crate) template: Option<TemplateReference>,
    pub(crate) count: u32,
    pub(crate) instances: Vec<String>,
}

/// Default for states of an older version, in which all instances were public.
fn was_public() -> bool {
    true
}

impl InstanceState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            InstanceState::Pending => "pending",
            InstanceState::Running => "running",
            InstanceState::ShuttingDown => "shutting-down",
            InstanceState::Terminated => "terminated",
            InstanceState::Stopping => "stopping",
            InstanceState::Stopped => "stopped",
        }
    }

    pub(crate) fn code(self) -> u16 {
        match self {
            InstanceState::Pending => 0,
            InstanceState::Running => 16,
            InstanceState::ShuttingDown => 32,
            InstanceState::Terminated => 48,
            InstanceState::Stopping => 64,
            InstanceState::Stopped => 80,
        }
    }

    /// Returns whether the instance is being terminated, or is terminated.
    pub(crate) fn is_ending(self) -> bool {
        matches!(self, InstanceState::ShuttingDown | InstanceState::Terminated)
    }
}

impl ServiceState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            ServiceState::Starting => "starting",
            ServiceState::Running => "running",
            ServiceState::Restarting => "restarting",
            ServiceState::Failed => "failed",
            ServiceState::Stopped => "stopped",
        }
    }
}

impl Instance {
    /// Returns the credit option of a burstable instance; `None` for other types.
    pub(crate) fn credits(&self) -> Option<&str> {
        let own = match self.instance_type.split('.').next()? {
            "t2" => "standard",
            "t3" | "t3a" | "t4g" => "unlimited",
            _ => return None,
        };
        Some(self.cpu_credits.as_deref().unwrap_or(own))
    }

    /// Returns the id of its association with an instance profile.
    pub(crate) fn profile_association_id(&self) -> String {
        self.id.replacen("i-", "iip-assoc-", 1)
    }

    /// Returns the decoded user data, as the host receives it.
    pub(crate) fn decoded_user_data(&self) -> Vec<u8> {
        decoded_user_data(self.user_data.as_deref())
    }

    /// Requests the termination by the data plane. Has no effect on an instance that is being terminated.
    pub(crate) fn terminate(&mut self, code: &str, message: &str) {
        if !self.state.is_ending() {
            self.state = InstanceState::ShuttingDown;
            self.reason = Some(StateReason { code: code.to_owned(), message: message.to_owned() });
        }
    }
}
