//! Pages of plans: the preview, the saved plan of a file, and the approval.

use super::{Failure, Frame, Page, Shared, check_change, check_csrf, render};
use crate::{
    access::Caller,
    views::{
        Problem,
        plan::{Kept, Plan, Progress},
    },
};
use askama::Template;
use axum::{
    Extension, Form, Router,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use infra_core::{diagnostic::Diagnostic, urn::Pattern};
use serde::Deserialize;
use std::sync::Arc;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/plan", get(start).post(preview))
        .route("/plan/open", post(open))
        .route("/plan/{id}", get(page))
        .route("/plan/{id}/approve", post(approve))
}

#[derive(Template)]
#[template(path = "plan_start.html")]
struct StartPage {
    frame: Frame,
    topics: &'static str,
}

#[derive(Template)]
#[template(path = "plan.html")]
struct PlanPage {
    frame: Frame,
    kept: Arc<Kept>,
    progress: Progress,
    topics: &'static str,
}

impl PlanPage {
    fn plan(&self) -> &Plan {
        self.kept.plan()
    }

    fn may_approve(&self) -> bool {
        self.progress == Progress::Proposed && self.frame.allow_changes && self.frame.target == "local"
    }
}

async fn start(frame: Frame) -> impl IntoResponse {
    render(&StartPage { frame, topics: "" })
}

#[derive(Deserialize)]
struct Preview {
    csrf: String,
    /// URN of a resource to replace.
    #[serde(default)]
    replace: String,
}

async fn preview(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    frame: Frame,
    Form(form): Form<Preview>,
) -> Response {
    let planned = async {
        check_csrf(&caller, &form.csrf)?;
        let replace = (!form.replace.is_empty()).then(|| form.replace.parse::<Pattern>()).transpose();
        let replace = replace.map_err(|error| Problem::invalid(Diagnostic::error(error.to_string())))?;
        shared.plans.propose(&shared.context, replace.into_iter().collect()).await
    };
    show(planned.await, frame)
}

#[derive(Deserialize)]
struct Opened {
    csrf: String,
    plan: String,
}

async fn open(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    frame: Frame,
    Form(form): Form<Opened>,
) -> Response {
    let opened = async {
        check_csrf(&caller, &form.csrf)?;
        shared.plans.open(&shared.context, form.plan).await
    };
    show(opened.await, frame)
}

fn show(kept: Result<Arc<Kept>, Problem>, frame: Frame) -> Response {
    match kept {
        Ok(kept) => Redirect::to(&format!("/plan/{}", kept.plan().id)).into_response(),
        Err(problem) => Failure::of(frame)(problem).into_response(),
    }
}

async fn page(State(shared): State<Shared>, frame: Frame, Path(id): Path<String>) -> Page {
    match shared.plans.get(&id) {
        Ok(kept) => {
            let progress = kept.progress();
            Ok(render(&PlanPage { frame, kept, progress, topics: "stack clock" }))
        }
        Err(problem) => Err(Failure::of(frame)(problem)),
    }
}

#[derive(Deserialize)]
struct Approval {
    csrf: String,
}

async fn approve(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    frame: Frame,
    Path(id): Path<String>,
    Form(form): Form<Approval>,
) -> Page {
    let approved = || {
        check_csrf(&caller, &form.csrf)?;
        check_change(&frame)?;
        shared.plans.get(&id)?.approve(&shared.context)
    };
    match approved() {
        Ok(()) => Ok(Redirect::to(&format!("/plan/{id}")).into_response()),
        Err(problem) => Err(Failure::of(frame)(problem)),
    }
}
