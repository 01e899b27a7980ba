//! `GET /metrics`: requests and their latency, in Prometheus' text format.
//!
//! Metrics have a separate listener, `METRICS_LISTEN`: a load balancer forwards every path of the clients' listener, and
//! the names of routes and their traffic are for operators only.

use std::{
    collections::BTreeMap,
    fmt::Write,
    io,
    net::TcpListener,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use actix_web::{
    App, Error, HttpResponse, HttpServer,
    body::MessageBody,
    dev::{ServerHandle, ServiceRequest, ServiceResponse},
    http::{Method, StatusCode},
    middleware::{Next, from_fn},
    rt,
    web::{self, Data},
};

use crate::{connection, limits::Limits, reply};

/// Upper bounds of the latency histogram, in milliseconds.
const BUCKETS_MS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];

/// Number and latency of requests by method, route and status, and the counters of the service.
#[derive(Debug, Default)]
pub struct Metrics {
    series: RwLock<BTreeMap<Labels, Arc<Histogram>>>,
    counters: RwLock<BTreeMap<&'static str, Counter>>,
}

/// A counter, with a value for each of its labels. The label of a single value is empty.
#[derive(Debug)]
struct Counter {
    help: &'static str,
    values: BTreeMap<String, Arc<AtomicU64>>,
}

/// The route is the pattern (`/tasks/{id}`), so that the number of series is bounded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Labels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Debug, Default)]
struct Histogram {
    /// Requests per bucket, each counted once, in the first bucket that fits.
    buckets: [AtomicU64; BUCKETS_MS.len()],
    count: AtomicU64,
    sum_micros: AtomicU64,
}

impl Metrics {
    /// Returns the counter with this name, which starts at 0. By the conventions of Prometheus, its name ends in `_total`
    /// and the help is a sentence.
    pub fn counter(&self, name: &'static str, help: &'static str) -> Arc<AtomicU64> {
        self.value(name, help, String::new())
    }

    /// Returns the value of a counter with a label, such as `("endpoint", "writer")`.
    pub fn labelled_counter(
        &self,
        name: &'static str,
        help: &'static str,
        (label, value): (&'static str, &'static str),
    ) -> Arc<AtomicU64> {
        self.value(name, help, format!("{{{label}=\"{value}\"}}"))
    }

    fn value(&self, name: &'static str, help: &'static str, label: String) -> Arc<AtomicU64> {
        let mut counters = self.counters.write().unwrap_or_else(PoisonError::into_inner);
        let counter = counters.entry(name).or_insert_with(|| Counter { help, values: BTreeMap::new() });
        Arc::clone(counter.values.entry(label).or_default())
    }

    fn record(&self, labels: Labels, latency: Duration) {
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner).get(&labels).cloned();
        let histogram = known.unwrap_or_else(|| {
            Arc::clone(self.series.write().unwrap_or_else(PoisonError::into_inner).entry(labels).or_default())
        });
        let bucket = BUCKETS_MS.iter().position(|bound| latency <= Duration::from_millis(*bound));
        if let Some(bucket) = bucket {
            histogram.buckets[bucket].fetch_add(1, Relaxed);
        }
        histogram.count.fetch_add(1, Relaxed);
        histogram.sum_micros.fetch_add(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Renders everything in Prometheus' text format. Latencies are in seconds.
    pub fn render(&self) -> String {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        let mut requests = String::from(
            "# HELP http_requests_total Requests answered.\n\
             # TYPE http_requests_total counter\n",
        );
        let mut latency = String::from(
            "# HELP http_request_duration_seconds Time from a request's head to its answer's head.\n\
             # TYPE http_request_duration_seconds histogram\n",
        );
        for (Labels { method, route, status }, histogram) in series.iter() {
            let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
            // Writes to a String cannot fail.
            let _ = histogram.render(&labels, &mut requests, &mut latency);
        }
        let mut counters = String::new();
        for (name, Counter { help, values }) in self.counters.read().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = writeln!(counters, "# HELP {name} {help}\n# TYPE {name} counter");
            for (label, value) in values {
                let _ = writeln!(counters, "{name}{label} {}", value.load(Relaxed));
            }
        }
        requests + &latency + &counters
    }
}

impl Histogram {
    fn render(&self, labels: &str, requests: &mut String, latency: &mut String) -> std::fmt::Result {
        let name = "http_request_duration_seconds";
        let mut cumulated = 0;
        for (bound, bucket) in BUCKETS_MS.iter().zip(&self.buckets) {
            cumulated += bucket.load(Relaxed);
            let bound = Duration::from_millis(*bound).as_secs_f64();
            writeln!(latency, "{name}_bucket{{{labels},le=\"{bound}\"}} {cumulated}")?;
        }
        // Read last, so that no bucket exceeds the total when a request is counted concurrently.
        let count = self.count.load(Relaxed).max(cumulated);
        let sum = Duration::from_micros(self.sum_micros.load(Relaxed)).as_secs_f64();
        writeln!(latency, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}")?;
        writeln!(latency, "{name}_sum{{{labels}}} {sum}")?;
        writeln!(latency, "{name}_count{{{labels}}} {count}")?;
        writeln!(requests, "http_requests_total{{{labels}}} {count}")
    }
}

/// Starts a server for `/metrics` alone. The caller stops it through the handle.
///
/// # Errors
/// The error of the operating system, if it refuses the threads or the listener.
pub(crate) fn serve(listener: TcpListener, metrics: Arc<Metrics>, limits: Limits) -> io::Result<ServerHandle> {
    let metrics = Data::from(metrics);
    let app = move || {
        App::new()
            .app_data(metrics.clone())
            .wrap(from_fn(connection::track))
            .service(
                web::resource("/metrics")
                    .route(web::get().to(show))
                    .route(web::head().to(show))
                    .default_service(reply::only("GET, HEAD")),
            )
            .default_service(web::to(|| async { reply::detail(StatusCode::NOT_FOUND, "Not found.") }))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .client_request_timeout(limits.time)
        .keep_alive(connection::KEEP_ALIVE)
        .on_connect(move |stream, data| connection::watch(stream, data, limits.time))
        .listen(listener)?
        .run();
    let handle = server.handle();
    rt::spawn(server);
    Ok(handle)
}

async fn show(metrics: Data<Metrics>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(metrics.render())
}

/// Middleware that counts a request and times it.
pub(crate) async fn count(
    metrics: Data<Metrics>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let start = Instant::now();
    let method = method_label(request.method());
    let route = request.match_pattern().unwrap_or_else(|| "unmatched".to_owned());
    let answer = next.call(request).await;
    let status = match &answer {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    metrics.record(Labels { method, route, status: status.as_u16() }, start.elapsed());
    answer
}

/// Returns the label of a method. Unknown methods share one, so that clients cannot create series.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_in_seconds() {
        let metrics = Metrics::default();
        for millis in [5, 6, 30_000] {
            let labels = Labels { method: "GET", route: "/tasks/{id}".into(), status: 200 };
            metrics.record(labels, Duration::from_millis(millis));
        }
        let text = metrics.render();
        let labels = r#"method="GET",route="/tasks/{id}",status="200""#;
        for line in [
            format!("http_requests_total{{{labels}}} 3"),
            format!("http_request_duration_seconds_bucket{{{labels},le=\"0.005\"}} 1"),
            format!("http_request_duration_seconds_bucket{{{labels},le=\"0.01\"}} 2"),
            format!("http_request_duration_seconds_bucket{{{labels},le=\"10\"}} 2"),
            format!("http_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 3"),
            format!("http_request_duration_seconds_sum{{{labels}}} 30.011"),
            format!("http_request_duration_seconds_count{{{labels}}} 3"),
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\nis not in\n{text}");
        }
    }

    #[test]
    fn counters_of_the_service_are_rendered() {
        let metrics = Metrics::default();
        metrics.counter("cups_total", "Cups of tea.").fetch_add(2, Relaxed);
        metrics.counter("cups_total", "Cups of tea.").fetch_add(1, Relaxed);
        let expected = "# HELP cups_total Cups of tea.\n# TYPE cups_total counter\ncups_total 3\n";
        assert!(metrics.render().ends_with(expected), "{}", metrics.render());
    }

    #[test]
    fn a_counter_has_a_value_for_each_label() {
        let metrics = Metrics::default();
        for (kind, cups) in [("green", 2), ("black", 1)] {
            metrics.labelled_counter("cups_total", "Cups of tea.", ("kind", kind)).fetch_add(cups, Relaxed);
        }
        let expected = "# HELP cups_total Cups of tea.\n# TYPE cups_total counter\n\
                        cups_total{kind=\"black\"} 1\ncups_total{kind=\"green\"} 2\n";
        assert!(metrics.render().ends_with(expected), "{}", metrics.render());
    }

    #[test]
    fn unknown_methods_share_a_label() {
        assert_eq!(method_label(&Method::from_bytes(b"BREW").unwrap()), "OTHER");
        assert_eq!(method_label(&Method::PATCH), "PATCH");
    }
}
