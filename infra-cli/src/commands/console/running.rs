//! The file that describes the running console of a directory: `console.json`, which only the user can read.

use crate::failure::Failure;
use infra_console::Console;
use infra_core::diagnostic::Diagnostic;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const FILE: &str = "console.json";

/// A console that runs.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunningConsole {
    pub(super) pid: u32,
    address: SocketAddr,
    /// Token of programs.
    token: String,
}

impl RunningConsole {
    /// Describes the console of this process.
    pub(super) fn this(console: &Console) -> Self {
        Self { pid: std::process::id(), address: console.address(), token: console.token().to_owned() }
    }

    /// Reads the description of the console of a directory.
    pub(super) fn find(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(directory.join(FILE)).ok()?).ok()
    }

    pub(super) fn write(&self, directory: &Path) -> io::Result<()> {
        let (path, new) = (directory.join(FILE), directory.join(format!("{FILE}.{}", self.pid)));
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        fs::rename(new, path)
    }

    /// Removes the description, unless another console has replaced it.
    pub(super) fn remove(&self, directory: &Path) {
        if Self::find(directory).is_some_and(|found| found == *self) {
            let _ = fs::remove_file(directory.join(FILE));
        }
    }

    /// Requests a sign-in URL for another browser.
    pub(super) async fn invite(&self) -> Result<String, Failure> {
        let response = self.post("/api/sign-in").await.map_err(|error| self.silent(&error.to_string()))?;
        let body = response.rsplit_once("\r\n\r\n").map_or("", |(_, body)| body);
        let document: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        let url = document["url"].as_str().ok_or_else(|| self.silent("its response contains no URL"))?;
        Ok(url.to_owned())
    }

    fn silent(&self, reason: &str) -> Failure {
        let silent = Diagnostic::error(format!("the console at {} does not respond", self.address)).because(reason);
        let hint = format!("stop process {}, or choose another port with `--port`", self.pid);
        Failure::of(silent.hint(hint))
    }

    async fn post(&self, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.address).await?;
        let request = format!(
            "POST {path} HTTP/1.0\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-length: 0\r\n\r\n",
            self.address, self.token
        );
        stream.write_all(request.as_bytes()).await?;
        let mut response = String::new();
        stream.take(64 * 1024).read_to_string(&mut response).await?;
        Ok(response)
    }
}
