//! Runs the orchestrator, from its settings to the stop of its last instance.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};

use actix_web::rt;
use futures::future::join_all;
use kit::{
    Front, Ports, Service,
    listen::ListenError,
    log,
    metrics::Metrics,
    settings::{SettingError, Variables},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, timeout_at},
};

use super::{
    Orchestrator, Settings,
    fleet::Fleet,
    runtime::{self, Launch, RuntimeError},
    scaling::Scaling,
    settings::SettingsError,
    supervisor::Supervisor,
};

/// Time limit of the whole stop, since the signal. The kit's part takes at most 8 s.
const STOP: Duration = Duration::from_secs(10);
/// Least time limit of the stop of all instances, after the last response.
const LEAST_STOP: Duration = Duration::from_secs(2);

/// Error of the orchestrator.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A setting of the kit is invalid.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A setting is invalid.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The port cannot be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The runtime of the instances is unavailable.
    #[error("{0}")]
    Runtime(String),
    /// The last port of the metrics would exceed 65535.
    #[error("METRICS_LISTEN leaves no ports for the metrics of {0} instances; lower its port")]
    MetricsPorts(usize),
    /// The operating system has refused the threads or the listener.
    #[error("the server failed: {0}")]
    Server(#[from] io::Error),
}

impl From<RuntimeError> for RunError {
    fn from(error: RuntimeError) -> Self {
        Self::Runtime(error.to_string())
    }
}

/// Runs the orchestrator until SIGTERM or SIGINT. Then it completes running requests, and stops the instances.
///
/// # Errors
/// [`RunError`], which names the setting to change.
pub fn run(variables: Variables) -> Result<(), RunError> {
    log::start(variables);
    let front = Front::from(variables)?;
    let settings = Settings::from(variables)?;
    rt::System::new().block_on(async {
        let ports = Ports::from(variables)?;
        let address = ports.listener.local_addr()?;
        let metrics_address = ports.metrics_listener.as_ref().map(std::net::TcpListener::local_addr).transpose()?;
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let signal_time = Arc::new(OnceLock::new());
        let received = Arc::clone(&signal_time);
        let stop = async move {
            tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
            received.get_or_init(Instant::now);
        };

        let maximum = settings.scaling.maximum;
        let launches = launches(settings.first_port, maximum, address, metrics_address)?;
        let runtime = runtime::of(&settings.runtime, address)?;
        runtime.prepare().await?;
        let metrics = Arc::new(Metrics::default());
        let fleet = Fleet::new(settings.first_port, maximum, &metrics);
        // All tasks run on this thread: the kernel kills the children of a thread that exits.
        let supervisors: Vec<_> = launches
            .into_iter()
            .enumerate()
            .map(|(slot, launch)| {
                let (fleet, runtime, times) = (Arc::clone(&fleet), runtime.clone(), settings.times);
                rt::spawn(Supervisor { slot, fleet, runtime, launch, times }.run())
            })
            .collect();
        fleet.scale_to(settings.scaling.minimum);
        let scaling = Scaling::new(settings.scaling);
        let windows = rt::spawn(Arc::clone(&scaling).run(Arc::clone(&fleet)));

        println!("orchestrator listens on http://{address}");
        if let Some(metrics) = metrics_address {
            println!("orchestrator serves metrics on http://{metrics}/metrics");
        }
        let application = Orchestrator { fleet: Arc::clone(&fleet), scaling };
        let served = Service { ports, front, storage: None, metrics, application }.run_until(stop).await;
        windows.abort();
        fleet.scale_to(0);
        let end = *signal_time.get_or_init(Instant::now) + STOP;
        stop_all(&fleet, supervisors, end.max(Instant::now() + LEAST_STOP)).await;
        Ok(served?)
    })
}

/// Waits until all instances have stopped. Processes that remain are killed when their supervisors are dropped.
async fn stop_all(fleet: &Fleet, supervisors: Vec<rt::task::JoinHandle<()>>, deadline: Instant) {
    let stopped = async {
        while !fleet.is_stopped() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if timeout_at(deadline, stopped).await.is_err() {
        tracing::error!("not all instances have stopped in time; the remaining ones are killed");
    }
    for supervisor in &supervisors {
        supervisor.abort();
    }
    // Aborted tasks drop their instances when they are polled again.
    join_all(supervisors).await;
}

/// Returns the addresses of the instances.
fn launches(
    first_port: u16,
    maximum: usize,
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
) -> Result<Vec<Launch>, RunError> {
    let target = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let launch = |slot: usize| {
        let slot = u16::try_from(slot).ok()?;
        let port = first_port.checked_add(slot)?;
        let metrics = match metrics_address {
            Some(metrics) => Some(SocketAddr::new(metrics.ip(), metrics.port().checked_add(slot)?.checked_add(1)?)),
            None => None,
        };
        Some(Launch { listen: SocketAddr::new(address.ip(), port), target: SocketAddr::new(target, port), metrics })
    };
    (0..maximum).map(launch).collect::<Option<_>>().ok_or(RunError::MetricsPorts(maximum))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn instances_have_consecutive_ports_on_the_host_of_the_orchestrator() {
        let address = "0.0.0.0:80".parse().unwrap();
        let metrics = Some("127.0.0.1:9100".parse().unwrap());
        let launches = launches(8000, 2, address, metrics).unwrap();
        assert_eq!(launches[0].listen, "0.0.0.0:8000".parse().unwrap());
        assert_eq!(launches[1].target, "127.0.0.1:8001".parse().unwrap());
        assert_eq!(launches[1].metrics, Some("127.0.0.1:9102".parse().unwrap()));
        let error = super::launches(8000, 10, address, Some("127.0.0.1:65530".parse().unwrap())).unwrap_err();
        assert!(error.to_string().starts_with("METRICS_LISTEN leaves no ports"), "{error}");
    }
}
