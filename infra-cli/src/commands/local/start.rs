//! `stack local start`

use super::answer;
use crate::{arguments::Start, failure::Failure, local_cloud, session::Session};
use infra_core::diagnostic::Diagnostic;
use infra_local::{Credentials, Options, daemon};
use std::path::Path;

pub(super) async fn run(session: &Session<'_>, directory: &Path, start: &Start) -> Result<(), Failure> {
    remember(directory, start).await?;
    if Options::remembered(directory)?.accept_any_key {
        complain!(
            "warning: the local cloud accepts any access key: every local process can run programs as this user\n  \
             hint: `stack local start --accept-any-key false` restores the check"
        );
    }
    // Before it runs: a command that ends at this moment would stop the empty cloud.
    local_cloud::prepare(directory)?;
    local_cloud::keep(directory)?;
    let running = local_cloud::enter(directory).await?.0;
    answer(session, &running, || format!("the local cloud answers at {} (process {})", running.endpoint, running.pid))
}

/// Keeps what was said about how the cloud is to run.
async fn remember(directory: &Path, start: &Start) -> Result<(), Failure> {
    let before = Options::remembered(directory)?;
    let mut access_keys = before.access_keys.clone();
    if let Some(id) = &start.access_key {
        access_keys.retain(|key| key.access_key_id != *id);
        access_keys.push(Credentials { access_key_id: id.clone(), secret_access_key: secret_key()? });
    }
    let options = Options {
        port: start.port.or(before.port),
        time_scale: start.time_scale.unwrap_or(before.time_scale),
        enforce_iam: start.enforce_iam.unwrap_or(before.enforce_iam),
        access_keys,
        accept_any_key: start.accept_any_key.unwrap_or(before.accept_any_key),
        unconfined: start.unconfined.unwrap_or(before.unconfined),
        directory: before.directory.clone(),
    };
    if options == before {
        return Ok(());
    }
    if daemon::find(directory).await.is_some() {
        let runs = Diagnostic::error("the local cloud runs already, and not in this way");
        return Err(Failure::wrong_use(runs.hint("`stack local stop` ends it; the next start runs everything again")));
    }
    local_cloud::prepare(directory)?;
    Ok(options.remember()?)
}

fn secret_key() -> Result<String, Failure> {
    std::env::var("AWS_SECRET_ACCESS_KEY").map_err(|_| {
        let missing = Diagnostic::error("the secret of the access key is not there");
        Failure::wrong_use(missing.hint("put it into the environment as AWS_SECRET_ACCESS_KEY"))
    })
}
