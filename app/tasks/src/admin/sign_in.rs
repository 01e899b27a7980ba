//! Sign-in and sign-out.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{Data, ReqData},
};
use askama::Template;
use kit::client;
use sea_orm::DatabaseConnection;

use super::{
    error::{Answer, Failure},
    form::Fields,
    page,
    session::{self, Visit},
    token::Token,
};
use crate::{
    activity,
    auth::{self, Authority, sign_in::SignInError},
};

/// Responds with the form, and with a token for a browser without one.
pub(super) async fn show(database: Data<DatabaseConnection>, request: HttpRequest) -> Answer {
    let next = next(&Fields::parse(request.query_string().as_bytes()).unwrap_or_default());
    if session::visit(&database, request.headers(), false).await?.is_some() {
        return Ok(page::redirect(&next));
    }
    let (token, is_new) = match Token::of(request.headers()) {
        Some(token) => (token, false),
        None => (Token::random()?, true),
    };
    let mut answer = SignInPage::new(&token, next).show(StatusCode::OK)?;
    if is_new {
        set(&mut answer, &token, &request);
    }
    Ok(answer)
}

/// Signs in. The message of a failure does not contain the reason, which would help to guess.
pub(super) async fn sign_in(
    authority: Data<Authority>,
    database: Data<DatabaseConnection>,
    request: HttpRequest,
    fields: ReqData<Fields>,
) -> Answer {
    let (username, password) = (fields.text("username"), fields.text("password").to_owned());
    let client = client::address(&request);
    let user = match auth::sign_in::sign_in(&authority, &database, username, password, client).await {
        Ok(user) if user.is_staff => user,
        Ok(_) | Err(SignInError::Wrong) => {
            let wrong = "Name and password do not belong to an active user of the staff.";
            return refuse(&request, &fields, StatusCode::UNPROCESSABLE_ENTITY, wrong);
        }
        Err(SignInError::TooMany(after)) => {
            let mut answer = refuse(&request, &fields, StatusCode::TOO_MANY_REQUESTS, &after.to_string())?;
            answer.headers_mut().insert(header::RETRY_AFTER, after.seconds().into());
            return Ok(answer);
        }
        Err(SignInError::Password(error)) => return Err(error.into()),
        Err(SignInError::Database(error)) => return Err(error.into()),
    };
    activity::identify(&request, &user.username);
    let token = session::open(&database, &user).await?;
    let mut answer = page::redirect(&next(&fields));
    set(&mut answer, &token, &request);
    Ok(answer)
}

/// Signs out, which invalidates the token of the browser.
pub(super) async fn sign_out(
    database: Data<DatabaseConnection>,
    visit: ReqData<Visit>,
    request: HttpRequest,
) -> Answer {
    session::close(&database, &visit).await?;
    let mut answer = page::redirect(page::SIGN_IN);
    set(&mut answer, &Token::random()?, &request);
    Ok(answer)
}

fn refuse(request: &HttpRequest, fields: &Fields, status: StatusCode, why: &str) -> Answer {
    let token = Token::of(request.headers()).ok_or(Failure::Forged)?;
    let (username, error) = (fields.text("username").to_owned(), Some(why.to_owned()));
    SignInPage { username, error, ..SignInPage::new(&token, next(fields)) }.show(status)
}

/// Returns the requested page, if it is in this site.
fn next(fields: &Fields) -> String {
    let next = fields.text("next");
    let inside = next.starts_with(page::HOME) && next.bytes().all(|byte| byte.is_ascii_graphic());
    if inside { next } else { page::HOME }.to_owned()
}

fn set(answer: &mut HttpResponse, token: &Token, request: &HttpRequest) {
    let over_https = request.connection_info().scheme() == "https";
    let cookie = header::HeaderValue::try_from(token.set_cookie(over_https));
    answer.headers_mut().append(header::SET_COOKIE, cookie.expect("a cookie of ours is ASCII"));
}

#[derive(Template)]
#[template(path = "admin/sign_in.html")]
struct SignInPage {
    style: &'static str,
    form_token: String,
    next: String,
    username: String,
    error: Option<String>,
}

impl SignInPage {
    fn new(token: &Token, next: String) -> Self {
        let (style, form_token) = (page::style_version(), token.form_token());
        Self { style, form_token, next, username: String::new(), error: None }
    }

    fn show(&self, status: StatusCode) -> Answer {
        Ok(page::html(status, self.render()?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_next_page_is_in_the_site() {
        let next = |next: &str| super::next(&Fields::parse(format!("next={next}").as_bytes()).unwrap());
        assert_eq!(next("/admin/tasks/%3Fq%3Dmilk"), "/admin/tasks/?q=milk");
        for outside in
            ["", "//evil.example/", "https://evil.example", "/tasks/", "/admin", "/admin/%0d%0aX: y", "/admin/é"]
        {
            assert_eq!(next(outside), "/admin/", "{outside}");
        }
    }
}
