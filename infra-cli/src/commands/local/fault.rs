//! `stack local fault`

use super::{answer, running};
use crate::{failure::Failure, session::Session};
use clap::{Args, Subcommand};
use infra_core::diagnostic::Diagnostic;
use infra_local::{Fault, Requests};
use std::path::Path;

/// Inject a fault into the local cloud
#[derive(Debug, Subcommand)]
pub(crate) enum FaultCommand {
    /// Kill the processes of an instance, as if its host had failed
    KillInstance {
        /// ID of the instance, or the name of its declaration
        instance: String,
    },
    /// Stop everything in a zone, and refuse launches there
    LoseZone {
        /// Name of the zone, such as us-east-1a
        zone: String,
    },
    /// Restore a lost zone
    RestoreZone {
        /// Name of the zone, such as us-east-1a
        zone: String,
    },
    /// Refuse requests with a throttling error
    Throttle(RequestArgs),
    /// Delay requests
    Latency {
        /// Delay, in milliseconds
        milliseconds: u64,
        #[command(flatten)]
        requests: RequestArgs,
    },
    /// Fail requests with an internal error, without any effect
    Errors(RequestArgs),
    /// Carry out requests and drop their responses
    DropAnswers(RequestArgs),
    /// Answer reads with an earlier state
    Lag {
        /// Age of the state, in milliseconds; 0 ends the lag
        milliseconds: u64,
    },
    /// Drop the packets between two resources or zones
    ///
    /// Packets of open connections are dropped, too, in both directions. Network faults need network namespaces
    /// (`stack local start --network namespaces`).
    Partition(Sides),
    /// Drop a part of the packets between two resources or zones
    ///
    /// Each packet is dropped with the given probability, in both directions. Network faults need network namespaces
    /// (`stack local start --network namespaces`).
    PacketLoss {
        #[command(flatten)]
        sides: Sides,
        /// Drop this percentage of the packets
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
        percent: u8,
    },
    /// Delay the packets between two resources or zones
    ///
    /// Each packet is delayed, in both directions, so a round trip takes twice the delay longer. Network faults need
    /// network namespaces (`stack local start --network namespaces`).
    NetworkLatency {
        #[command(flatten)]
        sides: Sides,
        /// Delay, in milliseconds
        #[arg(value_parser = clap::value_parser!(u64).range(1..=60_000))]
        milliseconds: u64,
    },
    /// End one fault of requests or of the network
    End {
        /// Number of the fault, which `stack local status` shows
        number: u64,
    },
    /// Clear all faults and restore all zones
    Clear,
}

#[derive(Debug, Args)]
pub(crate) struct Sides {
    /// Resource by ID, name, tag `Name` or address; zone such as us-east-1a; or `internet`
    #[arg(value_name = "A")]
    one: String,
    /// The other side, named likewise
    #[arg(value_name = "B")]
    other: String,
}

impl From<Sides> for [String; 2] {
    fn from(Sides { one, other }: Sides) -> Self {
        [one, other]
    }
}

#[derive(Debug, Args)]
pub(crate) struct RequestArgs {
    /// Affect only matching operations, such as `ec2:Run*`, or `s3:PUT` for a method of S3
    #[arg(long, value_name = "PATTERN", default_value = "*")]
    operation: String,
    /// Affect this percentage of the requests
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u8).range(1..=100))]
    percent: u8,
    /// Number of requests to affect [default: unlimited]
    #[arg(long, value_name = "N")]
    count: Option<u32>,
}

impl From<RequestArgs> for Requests {
    fn from(arguments: RequestArgs) -> Self {
        let RequestArgs { operation, percent, count } = arguments;
        Self { operation, percent, count }
    }
}

pub(super) async fn run(session: &Session<'_>, directory: &Path, command: FaultCommand) -> Result<(), Failure> {
    let done = running(directory).await?.inject(&fault(command)).await;
    let done = done.map_err(|error| Failure::wrong_use(Diagnostic::error(error.to_string())))?;
    answer(session, &serde_json::json!({ "done": done }), || done.clone())
}

fn fault(command: FaultCommand) -> Fault {
    match command {
        FaultCommand::KillInstance { instance } => Fault::KillInstance { instance },
        FaultCommand::LoseZone { zone } => Fault::LoseZone { zone },
        FaultCommand::RestoreZone { zone } => Fault::RestoreZone { zone },
        FaultCommand::Throttle(requests) => Fault::Throttle(requests.into()),
        FaultCommand::Latency { milliseconds, requests } => Fault::Latency { milliseconds, requests: requests.into() },
        FaultCommand::Errors(requests) => Fault::Errors(requests.into()),
        FaultCommand::DropAnswers(requests) => Fault::DropAnswers(requests.into()),
        FaultCommand::Lag { milliseconds } => Fault::Lag { milliseconds },
        FaultCommand::Partition(sides) => Fault::Partition { between: sides.into() },
        FaultCommand::PacketLoss { sides, percent } => Fault::PacketLoss { between: sides.into(), percent },
        FaultCommand::NetworkLatency { sides, milliseconds } => {
            Fault::NetworkLatency { between: sides.into(), milliseconds }
        }
        FaultCommand::End { number } => Fault::End { number },
        FaultCommand::Clear => Fault::Clear,
    }
}
