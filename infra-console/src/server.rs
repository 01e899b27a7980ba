//! Addresses and routes.

use crate::{
    access::{self, Access},
    api,
    live::{self, Changes},
    pages::{self, Shared},
    source::Source,
    views::Context,
};
use axum::{Router, extract::DefaultBodyLimit, middleware, routing::get};
use sha2::{Digest, Sha256};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};
use tokio::net::TcpListener;

/// Port of the console, unless another one is chosen.
const PORT: u16 = 7171;

/// The largest request.
const LIMIT_BYTES: usize = 256 * 1024;

/// Settings of a console.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Port; 7171 if omitted, and a free one if it is 0.
    pub port: Option<u16>,
    /// `true` if the console may change something: approve plans, inject faults, start and stop resources.
    pub allow_changes: bool,
}

/// A console that listens.
pub struct Console {
    listener: TcpListener,
    address: SocketAddr,
    shared: Shared,
}

impl Console {
    /// Listens at an address in 127.8.0.0/16 that is derived from the directory of the stack, or at 127.0.0.1 where only
    /// this address exists. Cookies ignore ports, so the console shares its address with no other program.
    pub async fn bind(source: Arc<dyn Source>, settings: Settings) -> io::Result<Self> {
        let port = settings.port.unwrap_or(PORT);
        let own = SocketAddr::from((own_address(source.directory()), port));
        let listener = match TcpListener::bind(own).await {
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?
            }
            listening => listening?,
        };
        let address = listener.local_addr()?;
        let access = Access::new(address)?;
        let context = Arc::new(Context { source, allow_changes: settings.allow_changes });
        let shared = Shared { context, plans: Arc::default(), access: Arc::new(access), outcomes: Arc::default() };
        Ok(Self { listener, address, shared })
    }

    /// Returns a URL with which one browser signs in.
    pub fn url(&self) -> io::Result<String> {
        self.shared.access.invite()
    }

    /// Returns the address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the token with which programs send requests: `Authorization: Bearer TOKEN`.
    pub fn token(&self) -> &str {
        self.shared.access.token().as_str()
    }

    /// Responds to requests until the future is dropped.
    pub async fn serve(self) -> io::Result<()> {
        let Self { listener, shared, .. } = self;
        let access = shared.access.clone();
        let changes = Changes::watch(shared.context.clone());
        let live = Router::new().route("/live", get(live::stream)).with_state(changes);
        let routes = Router::new()
            .merge(pages::routes())
            .merge(api::routes())
            .fallback(pages::unknown)
            .with_state(shared)
            .merge(live)
            .layer(middleware::from_fn_with_state(access, access::check))
            .layer(DefaultBodyLimit::max(LIMIT_BYTES));
        axum::serve(listener, routes).await
    }
}

/// Returns the address of the console of a directory.
fn own_address(directory: &Path) -> Ipv4Addr {
    let digest = Sha256::digest(directory.as_os_str().as_encoded_bytes());
    let [third, fourth] = [digest[0], digest[1]].map(|byte| 1 + byte % 254);
    Ipv4Addr::new(127, 8, third, fourth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_have_addresses_of_their_own() {
        let one = own_address(Path::new("/a/.infra"));
        assert_eq!(one, own_address(Path::new("/a/.infra")));
        assert_ne!(one, own_address(Path::new("/b/.infra")));
        assert_eq!(one.octets()[..2], [127, 8]);
    }
}
