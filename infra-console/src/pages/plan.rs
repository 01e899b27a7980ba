//! Pages of plans: the preview, the saved plan of a file, and the approval.

use super::{
    Failure, Frame, Page, Shared, check_change,
    form::{Checked, Submitted},
    render,
};
use crate::views::{
    Problem,
    plan::{Kept, Plan, Progress},
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Redirect},
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
    /// URN of a resource to replace.
    #[serde(default)]
    replace: String,
}

async fn preview(State(shared): State<Shared>, frame: Frame, form: Submitted<Preview>) -> Page {
    let planned = async {
        let Checked(form) = form?;
        let replace = (!form.replace.is_empty()).then(|| form.replace.parse::<Pattern>()).transpose();
        let replace = replace.map_err(|error| Problem::invalid(Diagnostic::error(error.to_string())))?;
        shared.plans.propose(&shared.context, replace.into_iter().collect()).await
    };
    show(planned.await, frame)
}

#[derive(Deserialize)]
struct Opened {
    plan: String,
}

async fn open(State(shared): State<Shared>, frame: Frame, form: Submitted<Opened>) -> Page {
    let opened = async {
        let Checked(form) = form?;
        shared.plans.open(&shared.context, form.plan).await
    };
    show(opened.await, frame)
}

/// Redirects to the page of a plan.
#[expect(clippy::result_large_err, reason = "it is the result of handlers")]
fn show(kept: Result<Arc<Kept>, Problem>, frame: Frame) -> Page {
    let kept = kept.map_err(Failure::of(frame))?;
    Ok(Redirect::to(&format!("/plan/{}", kept.plan().id)).into_response())
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

/// The form of an approval has no fields.
#[derive(Deserialize)]
struct Approval {}

async fn approve(
    State(shared): State<Shared>,
    frame: Frame,
    Path(id): Path<String>,
    form: Submitted<Approval>,
) -> Page {
    let approved = || {
        let Checked(Approval {}) = form?;
        check_change(&frame)?;
        let kept = shared.plans.get(&id)?;
        kept.clone().approve(&shared.context)?;
        Ok(kept)
    };
    show(approved(), frame)
}
