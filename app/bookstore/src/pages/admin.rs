//! The list of users, for administrators.

use actix_web::{HttpRequest, http::StatusCode};
use askama::Template;

use super::{
    error::{Answer, Failure},
    frame::{self, Frame},
    pager::Pager,
    visit::Visit,
};
use crate::{entity::user, users as accounts};

/// Number of users on a page.
const PAGE: u64 = 50;

/// Responds with a page of the users.
pub(super) async fn users(visit: Visit, request: HttpRequest) -> Answer {
    if !visit.user()?.is_admin {
        return Err(Failure::Forbidden);
    }
    let mut pager = Pager::from(&request);
    let mut users = accounts::list(&visit.scope, pager.offset(PAGE), PAGE).await?;
    pager.cut(&mut users, PAGE);
    Ok(frame::html(StatusCode::OK, &UsersPage { frame: visit.frame("/admin/users", "Users"), users, pager })?)
}

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage {
    frame: Frame,
    users: Vec<user::Model>,
    pager: Pager,
}
