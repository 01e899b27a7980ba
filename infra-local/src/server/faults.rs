//! Fault injection: failures of hosts, zones, requests and the network.
//!
//! - [`network`]: faults between two places of the network

pub(crate) mod network;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Cloud;
use crate::model::ec2::instance::{HOST_FAILED, InstanceState};
use crate::model::faults::{RequestFault, Symptom};
use crate::model::process::ProcessIdentity;
use crate::model::{Region, Tags};
use crate::server::party::PartyError;
use crate::state::Shared;
use crate::wire::{ApiError, Protocol};

/// A fault to be injected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// The host of an instance fails: its processes are killed, and the instance is terminated.
    KillInstance {
        /// Id of the instance, or its tag `Name`.
        instance: String,
    },
    /// An availability zone fails: its instances and databases stop, and launches in it are refused.
    LoseZone {
        /// Name of the zone, such as `us-east-1a`.
        zone: String,
    },
    /// A failed zone works again; its instances and databases start.
    RestoreZone {
        /// Name of the zone, such as `us-east-1a`.
        zone: String,
    },
    /// Requests are refused with a throttling error.
    Throttle(Requests),
    /// Requests fail with an internal error and have no effect.
    Errors(Requests),
    /// Requests are carried out, and their connections are closed without a response.
    DropAnswers(Requests),
    /// Requests are delayed.
    Latency {
        /// Delay, in milliseconds.
        milliseconds: u64,
        /// Requests that the fault applies to.
        #[serde(flatten)]
        requests: Requests,
    },
    /// Reads of control planes return an earlier state (eventual consistency). S3 stays strongly consistent, as on AWS.
    Lag {
        /// Age of the state, in milliseconds; 0 ends the fault.
        milliseconds: u64,
    },
    /// Packets between two places are dropped. A place is a resource with a network interface (by id, name, tag `Name` or
    /// address), a zone, or `internet`.
    Partition {
        /// The places.
        between: [String; 2],
    },
    /// A part of the packets between two places is dropped.
    PacketLoss {
        /// The places, as of [`Fault::Partition`].
        between: [String; 2],
        /// Probability of a packet to be dropped, in percent.
        percent: u8,
    },
    /// Packets between two places are delayed, in each direction.
    NetworkLatency {
        /// The places, as of [`Fault::Partition`].
        between: [String; 2],
        /// Delay of each packet; 1 to 60 000.
        milliseconds: u64,
    },
    /// Ends one fault of requests or of the network.
    End {
        /// Number of the fault in the status of the cloud.
        number: u64,
    },
    /// Clears all faults and restores all zones. Terminated instances stay terminated.
    Clear,
}

/// An active fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActiveFault {
    /// Its description.
    pub text: String,
    /// The request that ends only this fault; `None` for a fault of an earlier version of the cloud.
    pub end: Option<Fault>,
}

/// The longest delay of packets, in milliseconds.
const LONGEST_DELAY: u16 = 60_000;

/// Requests that a fault applies to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Requests {
    /// Operations such as `ec2:RunInstances`, with `*` for any text; S3's operations are named by their method, as `s3:PUT`.
    #[serde(default = "all")]
    pub operation: String,
    /// Probability of a request to be affected, in percent.
    #[serde(default = "always")]
    pub percent: u8,
    /// Number of requests to affect; unlimited when omitted.
    #[serde(default)]
    pub count: Option<u32>,
}

impl Default for Requests {
    fn default() -> Self {
        Requests { operation: all(), percent: always(), count: None }
    }
}

fn all() -> String {
    "*".to_owned()
}

fn always() -> u8 {
    100
}

/// Reasons why a fault could not be injected.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// There is no such instance.
    #[error("there is no instance `{0}` that runs")]
    NoInstance(String),
    /// There is no such zone.
    #[error("there is no zone `{zone}`; there are {known}")]
    NoZone {
        /// Name of the missing zone.
        zone: String,
        /// Names of the existing zones.
        known: String,
    },
    /// There is no active fault with this number.
    #[error("there is no active fault {0}: `stack local status` lists the active ones with their numbers")]
    NoFault(u64),
    /// The percentage of requests is not between 1 and 100.
    #[error("the percentage of requests is {0}: it must be between 1 and 100")]
    Percent(u8),
    /// A place of a network fault does not exist.
    #[error(transparent)]
    Party(#[from] PartyError),
    /// Both places of a network fault are the same.
    #[error("`{one}` and `{other}` are the same: a fault is between two different sides")]
    SameSide {
        /// The first name.
        one: String,
        /// The second name.
        other: String,
    },
    /// The percentage of packets is not between 1 and 100.
    #[error("the percentage of packets is {0}: it must be between 1 and 100")]
    PacketPercent(u8),
    /// The delay of packets is zero or too long.
    #[error("the delay of packets is {0} ms: it must be between 1 and {LONGEST_DELAY} ms")]
    PacketDelay(u64),
    /// The cloud uses the loopback interface, on which network faults are impossible.
    #[error(
        "network faults need network namespaces, but {0}: stop the cloud, and start it with `stack local start --network \
         namespaces`"
    )]
    NoNamespaces(String),
    /// The kernel or the network process refused the fault.
    #[error("the fault could not be applied to the network, and is removed: {0}")]
    NotApplied(std::io::Error),
    /// The called function cannot wait for the effect of a network fault.
    #[error("a network fault takes effect with a delay: use `LocalCloud::inject_and_wait`")]
    NotAwaited,
    /// The state could not be written.
    #[error("the state of the cloud could not be written: {0}")]
    State(#[from] std::io::Error),
}

/// Faults of one request.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    latency: Duration,
    pub(crate) drop_answer: bool,
    symptom: Option<Symptom>,
}

impl Trouble {
    /// Waits for the injected latency. Returns at once without one: even a zero timer waits for the next millisecond.
    pub(crate) async fn delay(&self) {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
    }

    /// Returns the injected error of a request.
    pub(crate) fn error(&self, protocol: Protocol) -> Option<ApiError> {
        let error = |code, message: &str, status| Some(ApiError::new(code, message).with_status(status));
        match (self.symptom?, protocol) {
            (Symptom::Throttle, Protocol::Ec2) => error("RequestLimitExceeded", "Request limit exceeded.", 503),
            (Symptom::Throttle, Protocol::RestXml) => error("SlowDown", "Please reduce your request rate.", 503),
            (Symptom::Throttle, Protocol::Query { .. }) => error("Throttling", "Rate exceeded", 400),
            (Symptom::Throttle, _) => error("ThrottlingException", "Rate exceeded", 400),
            (Symptom::Error, Protocol::Ec2 | Protocol::RestXml) => {
                error("InternalError", "An internal error has occurred (an injected fault)", 500)
            }
            (Symptom::Error, _) => error("InternalFailure", "An internal error has occurred (an injected fault)", 500),
            (Symptom::DropAnswer | Symptom::Latency { .. }, _) => None,
        }
    }
}

impl Shared {
    /// Injects a fault other than one of the network, and returns a description of its effect.
    pub(crate) fn inject(&self, fault: &Fault) -> Result<String, FaultError> {
        match fault {
            Fault::KillInstance { instance } => self.kill_instance(instance),
            Fault::LoseZone { zone } => self.lose_zone(zone),
            Fault::RestoreZone { zone } => {
                self.change_zone(zone, |lost| lost.remove(zone))?;
                Ok(format!("the zone {zone} is restored"))
            }
            Fault::Throttle(requests) => self.add(Symptom::Throttle, requests),
            Fault::Errors(requests) => self.add(Symptom::Error, requests),
            Fault::DropAnswers(requests) => self.add(Symptom::DropAnswer, requests),
            Fault::Latency { milliseconds, requests } => {
                self.add(Symptom::Latency { milliseconds: *milliseconds }, requests)
            }
            Fault::Partition { .. } | Fault::PacketLoss { .. } | Fault::NetworkLatency { .. } => {
                Err(FaultError::NotAwaited)
            }
            Fault::Lag { milliseconds } => {
                self.write(|cloud| {
                    cloud.faults.lag_milliseconds = *milliseconds;
                    Ok::<_, FaultError>(())
                })?;
                Ok(format!("reads return the state of {milliseconds} ms ago"))
            }
            Fault::End { number } => {
                let ended = self.write(|cloud| cloud.faults.end(*number).ok_or(FaultError::NoFault(*number)))?;
                Ok(format!("the fault {number} ends: {ended}"))
            }
            Fault::Clear => {
                self.write(|cloud| {
                    cloud.faults.clear();
                    cloud.regions.values_mut().for_each(|region| region.lost_zones.clear());
                    Ok::<_, FaultError>(())
                })?;
                Ok("all faults are cleared".to_owned())
            }
        }
    }

    /// Returns the faults of a request of this operation, and uses up counted ones.
    pub(crate) fn trouble(&self, operation: &str) -> Trouble {
        if self.read(|cloud| cloud.faults.requests.is_empty()) {
            return Trouble::default();
        }
        let mut trouble = Trouble::default();
        let strikes: Vec<bool> = self.read(|cloud| {
            cloud.faults.requests.iter().map(|fault| fault.concerns(operation) && chance(fault.percent)).collect()
        });
        let mut counted = false;
        self.read(|cloud| {
            for (fault, _) in cloud.faults.requests.iter().zip(&strikes).filter(|(_, strikes)| **strikes) {
                counted |= fault.remaining.is_some();
                match fault.symptom {
                    Symptom::Latency { milliseconds } => trouble.latency += Duration::from_millis(milliseconds),
                    Symptom::DropAnswer => trouble.drop_answer = true,
                    symptom => trouble.symptom = Some(symptom),
                }
            }
        });
        if counted {
            self.update(|cloud| cloud.faults.use_up(&strikes));
        }
        trouble
    }

    fn add(&self, symptom: Symptom, requests: &Requests) -> Result<String, FaultError> {
        if !(1..=100).contains(&requests.percent) {
            return Err(FaultError::Percent(requests.percent));
        }
        self.write(|cloud| {
            let fault = RequestFault {
                number: cloud.faults.next_number(),
                symptom,
                operation: requests.operation.clone(),
                percent: requests.percent,
                remaining: requests.count,
            };
            let text = fault.describe();
            cloud.faults.requests.push(fault);
            Ok(text)
        })
    }

    fn kill_instance(&self, wanted: &str) -> Result<String, FaultError> {
        let processes = self.write(|cloud| {
            let found = cloud.running_instance(wanted);
            let found = found.and_then(|(region, id)| cloud.regions.get_mut(&region)?.ec2.instances.get_mut(&id));
            let instance = found.ok_or_else(|| FaultError::NoInstance(wanted.to_owned()))?;
            instance.terminate("Server.InternalError", HOST_FAILED);
            let services = instance.runtime.services.values();
            Ok::<_, FaultError>((
                instance.id.clone(),
                services.filter_map(|service| service.process).collect::<Vec<_>>(),
            ))
        });
        let (id, processes) = processes?;
        processes.iter().for_each(ProcessIdentity::kill);
        Ok(format!("the host of {id} fails, with {} processes", processes.len()))
    }

    fn lose_zone(&self, zone: &str) -> Result<String, FaultError> {
        self.change_zone(zone, |lost| lost.insert(zone.to_owned()))?;
        let (running, databases) = self.read(|cloud| (cloud.running_in(zone), cloud.databases_in(zone)));
        Ok(format!("the zone {zone} fails, with {running} instances and {databases} databases"))
    }

    /// Opens the region of a zone. Does nothing if no region has a zone of this name.
    fn open_region_of(&self, zone: &str) {
        if let Some(region) = zone.get(..zone.len().saturating_sub(1)) {
            let _ = self.open_region(region);
        }
    }

    fn change_zone(&self, zone: &str, change: impl FnOnce(&mut BTreeSet<String>) -> bool) -> Result<(), FaultError> {
        self.open_region_of(zone);
        self.write(|cloud| {
            let known: Vec<String> = cloud.regions.values().flat_map(Region::zone_names).collect();
            let region = cloud.regions.values_mut().find(|region| region.zone_names().any(|name| name == zone));
            let region = region.ok_or_else(|| FaultError::NoZone { zone: zone.to_owned(), known: known.join(", ") })?;
            change(&mut region.lost_zones);
            // From this moment on, databases there neither serve clients nor take over from a writer.
            let lost = &region.lost_zones;
            let instances = region.rds.instances.values_mut();
            instances.filter(|one| lost.contains(&one.zone)).for_each(|one| one.runtime.ready = false);
            Ok(())
        })
    }
}

impl Cloud {
    /// Returns the active faults. `loopback` is the reason why faults of the network have no effect.
    pub(crate) fn active_faults(&self, loopback: Option<&str>) -> Vec<ActiveFault> {
        let lost = self.regions.values().flat_map(|region| &region.lost_zones).map(|zone| ActiveFault {
            text: format!("the zone {zone} is lost"),
            end: Some(Fault::RestoreZone { zone: zone.clone() }),
        });
        let end = |number: u64| (number > 0).then_some(Fault::End { number });
        let requests = self.faults.requests.iter();
        let requests = requests.map(|fault| ActiveFault { text: fault.describe(), end: end(fault.number) });
        let lag = self.faults.describe_lag();
        let lag = lag.map(|text| ActiveFault { text, end: Some(Fault::Lag { milliseconds: 0 }) });
        let suffix = loopback.map(|reason| format!(" (without effect: {reason})")).unwrap_or_default();
        let network = self
            .faults
            .network
            .iter()
            .map(|fault| ActiveFault { text: format!("{}{suffix}", fault.describe()), end: end(fault.number) });
        lost.chain(requests).chain(lag).chain(network).collect()
    }

    /// Region and id of the instance with this id or name.
    fn running_instance(&self, wanted: &str) -> Option<(String, String)> {
        let all = self.regions.values().flat_map(|region| region.ec2.instances.values().map(move |it| (region, it)));
        let mut running = all.filter(|(_, instance)| !instance.state.is_ending());
        let named = |tags: &Tags| tags.get("Name").is_some_and(|name| name == wanted);
        let (region, instance) = running.find(|(_, instance)| instance.id == wanted || named(&instance.tags))?;
        Some((region.name.clone(), instance.id.clone()))
    }

    fn databases_in(&self, zone: &str) -> usize {
        let databases = self.regions.values().flat_map(|region| region.rds.instances.values());
        databases.filter(|instance| instance.zone == zone).count()
    }

    fn running_in(&self, zone: &str) -> usize {
        let instances = self.regions.values().flat_map(|region| region.ec2.instances.values());
        instances.filter(|instance| instance.zone == zone && instance.state == InstanceState::Running).count()
    }
}

fn chance(percent: u8) -> bool {
    percent >= 100 || uuid::Uuid::new_v4().as_u128() % 100 < u128::from(percent)
}
