//! `stack local fault`

use super::{answer, running};
use crate::{
    arguments::{FaultName, Faulty},
    failure::Failure,
    session::Session,
};
use infra_core::diagnostic::Diagnostic;
use infra_local::{Fault, Requests};
use std::path::Path;

pub(super) async fn run(session: &Session<'_>, directory: &Path, name: FaultName) -> Result<(), Failure> {
    let said = running(directory).await?.inject(&fault(name)).await;
    let said = said.map_err(|error| Failure::wrong_use(Diagnostic::error(error.to_string())))?;
    answer(session, &serde_json::json!({ "done": said }), || said.clone())
}

fn fault(name: FaultName) -> Fault {
    let requests =
        |faulty: Faulty| Requests { operation: faulty.operation, percent: faulty.percent, count: faulty.count };
    match name {
        FaultName::KillInstance { instance } => Fault::KillInstance { instance },
        FaultName::LoseZone { zone } => Fault::LoseZone { zone },
        FaultName::RestoreZone { zone } => Fault::RestoreZone { zone },
        FaultName::Throttle(faulty) => Fault::Throttle(requests(faulty)),
        FaultName::Latency { milliseconds, requests: faulty } => {
            Fault::Latency { milliseconds, requests: requests(faulty) }
        }
        FaultName::Errors(faulty) => Fault::Errors(requests(faulty)),
        FaultName::DropAnswers(faulty) => Fault::DropAnswers(requests(faulty)),
        FaultName::Lag { milliseconds } => Fault::Lag { milliseconds },
        FaultName::Clear => Fault::Clear,
    }
}
