//! Executes Cloud Control's requests after their responses, one step at a time.

use chrono::Utc;

use crate::runtime::background::PhaseWatch;
use crate::services::cloudcontrol::{OperationContext, carry_out, is_waiting, waiting_types};
use crate::state::{Shared, schemas};

/// Runs until the cloud stops. With `enforce_iam`, the policies of the requests' identities apply.
pub(crate) async fn run(shared: Shared, enforce_iam: bool, mut phase: PhaseWatch) {
    let mut changes = shared.changes();
    loop {
        changes.borrow_and_update();
        if shared.read(is_waiting) {
            let (addresses, directory) = (shared.addresses(), shared.directory());
            for name in shared.read(waiting_types) {
                schemas::prepare(directory, &name);
            }
            let context = OperationContext { addresses, directory, enforce_iam, now: Utc::now() };
            shared.update(|cloud| carry_out(cloud, context));
        }
        tokio::select! {
            _ = changes.changed() => {}
            _ = phase.ended() => return,
        }
    }
}
