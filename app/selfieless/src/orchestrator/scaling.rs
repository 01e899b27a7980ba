//! The number of instances, which follows the number of requests in a window.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{fleet::Fleet, settings};

/// Counter of the requests in a window.
pub(super) struct Scaling {
    pub(super) settings: settings::Scaling,
    window: Mutex<Window>,
    opened: Notify,
}

#[derive(Default)]
struct Window {
    requests: u64,
    /// End of the window. The first window starts with the first request.
    end: Option<Instant>,
}

impl Scaling {
    pub(super) fn new(settings: settings::Scaling) -> Arc<Self> {
        Arc::new(Self { settings, window: Mutex::default(), opened: Notify::new() })
    }

    /// Counts a request.
    pub(super) fn record(&self) {
        let mut window = self.window();
        window.requests += 1;
        if window.end.is_none() {
            window.end = Some(Instant::now() + self.settings.window);
            self.opened.notify_one();
        }
    }

    /// Returns the number of requests in the window, and the time until its end.
    pub(super) fn shown(&self) -> (u64, Option<Duration>) {
        let window = self.window();
        (window.requests, window.end.map(|end| end.saturating_duration_since(Instant::now())))
    }

    /// Sets the number of instances at the end of each window, forever.
    pub(super) async fn run(self: Arc<Self>, fleet: Arc<Fleet>) {
        loop {
            let Some(end) = self.window().end else {
                self.opened.notified().await;
                continue;
            };
            sleep_until(end).await;
            let requests = self.next_window(end);
            let instances = self.settings.instances(requests);
            tracing::info!(requests, instances, "a window has ended");
            fleet.scale_to(instances);
        }
    }

    /// Starts the next window, and returns the number of requests in the previous one.
    fn next_window(&self, end: Instant) -> u64 {
        let mut window = self.window();
        window.end = Some(end + self.settings.window);
        std::mem::take(&mut window.requests)
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl settings::Scaling {
    /// Returns the number of instances for this number of requests in a window.
    fn instances(&self, requests: u64) -> usize {
        let needed = usize::try_from(requests / self.requests_per_instance).unwrap_or(usize::MAX).saturating_add(1);
        needed.clamp(self.minimum, self.maximum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_of_requests_needs_another_instance() {
        let window = Duration::from_mins(2);
        let scaling = settings::Scaling { minimum: 1, maximum: 10, window, requests_per_instance: 20 };
        for (requests, instances) in [(0, 1), (19, 1), (20, 2), (39, 2), (40, 3), (179, 9), (180, 10), (u64::MAX, 10)] {
            assert_eq!(scaling.instances(requests), instances, "{requests}");
        }
        // The number in the text of the original.
        let scaling = settings::Scaling { requests_per_instance: 10, ..scaling };
        for (requests, instances) in [(0, 1), (9, 1), (10, 2), (19, 2), (20, 3), (90, 10), (100, 10)] {
            assert_eq!(scaling.instances(requests), instances, "{requests}");
        }
        assert_eq!(settings::Scaling { minimum: 3, ..scaling }.instances(0), 3);
        assert_eq!(settings::Scaling { requests_per_instance: 1, ..scaling }.instances(u64::MAX), 10);
    }

    #[test]
    fn the_first_request_opens_the_first_window() {
        let settings =
            settings::Scaling { minimum: 1, maximum: 10, window: Duration::from_mins(2), requests_per_instance: 20 };
        let scaling = Scaling::new(settings);
        assert_eq!(scaling.shown(), (0, None));
        scaling.record();
        scaling.record();
        let (requests, left) = scaling.shown();
        assert_eq!(requests, 2);
        assert!(left.is_some_and(|left| left <= settings.window));
        assert_eq!(scaling.next_window(Instant::now()), 2);
        assert_eq!(scaling.shown().0, 0);
    }
}
