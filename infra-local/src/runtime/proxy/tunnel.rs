//! Upgraded connections, such as WebSockets.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

use super::target::InFlight;
use super::target::lock;

/// Size of the buffer of each direction.
const BUFFER_BYTES: usize = 16 * 1024;

/// Copies bytes in both directions until both sides have closed, one fails, or nothing is transferred for `limit`.
pub(super) async fn carry(client: OnUpgrade, target: OnUpgrade, limit: Duration, _in_flight: InFlight) {
    let (Ok(client), Ok(target)) = tokio::join!(client, target) else {
        return;
    };
    let (from_client, to_client) = tokio::io::split(TokioIo::new(client));
    let (from_target, to_target) = tokio::io::split(TokioIo::new(target));
    let moved = Mutex::new(Instant::now());
    let carried = tokio::try_join!(
        one_way(from_client, to_target, &moved, limit),
        one_way(from_target, to_client, &moved, limit)
    );
    if let Err(error) = carried {
        tracing::debug!(%error, "an upgraded connection broke");
    }
}

async fn one_way<R, W>(mut from: R, mut to: W, moved: &Mutex<Instant>, limit: Duration) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let due = *lock(moved) + limit;
        let read = match tokio::time::timeout_at(due, from.read(&mut buffer)).await {
            Ok(read) => read?,
            // The other direction may have transferred data meanwhile.
            Err(_) if *lock(moved) + limit > Instant::now() => continue,
            Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "nothing was transferred for too long")),
        };
        *lock(moved) = Instant::now();
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
        to.flush().await?;
    }
}
