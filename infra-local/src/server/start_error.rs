//! Reasons why a local cloud does not start.

use std::path::PathBuf;

use crate::model::Account;

/// Reasons why a local cloud did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The directory cannot be used.
    #[error("the local cloud cannot use {}: {source}", path.display())]
    Directory {
        /// The directory or a file in it.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The state belongs to another account.
    #[error(
        "the local cloud in {} is the account {existing}, not {requested}: use another directory, or `stack local reset` to delete everything in it first", path.display()
    )]
    Account {
        /// The directory.
        path: PathBuf,
        /// The account of the state.
        existing: Account,
        /// The account that the start asks for.
        requested: Account,
    },
    /// Another process runs the cloud of this directory.
    #[error("a local cloud already runs in {}: stop it first, or use another directory", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The process was started as a launcher, but its `main` does not begin with
    /// [`enable_launcher`](crate::enable_launcher).
    #[error("this process was started to become a program of an instance: call enable_launcher first in its main")]
    Launcher,
    /// No range of loopback addresses is available.
    #[error("the local cloud cannot get addresses for its instances: {message}")]
    Addresses {
        /// The reason, and what to do.
        message: String,
    },
    /// The requested network is not available on this machine.
    #[error(
        "the local cloud cannot connect instances by network namespaces: {message}; `--network auto` uses the loopback interface instead"
    )]
    Network {
        /// The reason, and what to do.
        message: String,
    },
    /// The URL of the emulator for other services cannot be used.
    #[error("the local cloud cannot delegate to {url}: write the URL of an emulator, such as http://127.0.0.1:5000")]
    Delegate {
        /// The URL.
        url: String,
    },
    /// The endpoint cannot listen on the port.
    #[error("the local cloud cannot listen on 127.0.0.1 port {}: {source}; choose another port, or none for a free one", port.unwrap_or(0))]
    Listen {
        /// The requested port.
        port: Option<u16>,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
}
