//! `GET /_orchestrator`: the instances, the window, and counts.

use std::sync::atomic::Ordering::Relaxed;

use actix_web::{HttpResponse, web::Data};
use chrono::{SecondsFormat, Utc};
use serde_json::json;

use super::{fleet::Fleet, scaling::Scaling};

/// Answers with the state of the orchestrator.
pub(super) async fn show(fleet: Data<Fleet>, scaling: Data<Scaling>) -> HttpResponse {
    let (requests, left) = scaling.shown();
    let end = left.map(|left| (Utc::now() + left).to_rfc3339_opts(SecondsFormat::Millis, true));
    let settings = scaling.settings;
    let counts = &fleet.counts;
    HttpResponse::Ok().json(json!({
        "instances": fleet.shown(),
        "window": {
            "seconds": settings.window.as_secs_f64(),
            "ends": end,
            "requests": requests,
            "requests_per_instance": settings.requests_per_instance,
        },
        "counts": {
            "minimum": settings.minimum,
            "maximum": settings.maximum,
            "desired": fleet.desired(),
            "healthy": fleet.healthy(),
            "forwarded": counts.forwarded.load(Relaxed),
            "retried": counts.retried.load(Relaxed),
            "unavailable": counts.unavailable.load(Relaxed),
            "replaced": counts.replaced.load(Relaxed),
        },
    }))
}
