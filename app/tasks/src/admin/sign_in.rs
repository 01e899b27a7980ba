//! Signing in and out.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{Data, ReqData},
};
use askama::Template;
use chrono::Utc;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, DatabaseConnection, IntoActiveModel};

use super::{
    error::{Answer, Failure},
    form::Fields,
    page,
    session::{self, Visit},
    token::Token,
};
use crate::{entity::user, password, users};

/// Answers with the form, and with a token for whoever has none yet.
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

/// Signs in, or says that it cannot be; never why, for that would help who guesses.
pub(super) async fn sign_in(
    database: Data<DatabaseConnection>,
    request: HttpRequest,
    fields: ReqData<Fields>,
) -> Answer {
    let (username, next) = (fields.text("username"), next(&fields));
    let Some(user) = staff(&database, username, fields.text("password")).await? else {
        let token = Token::of(request.headers()).ok_or(Failure::Forged)?;
        let wrong = "Name and password do not belong to an active user of the staff.".to_owned();
        let page = SignInPage { username: username.to_owned(), error: Some(wrong), ..SignInPage::new(&token, next) };
        return page.show(StatusCode::UNPROCESSABLE_ENTITY);
    };
    let token = session::open(&database, &user).await?;
    let mut row = user.into_active_model();
    row.last_sign_in = Set(Some(Utc::now()));
    row.update(database.as_ref()).await?;
    let mut answer = page::redirect(&next);
    set(&mut answer, &token, &request);
    Ok(answer)
}

/// Signs out. The browser's token is worth nothing from then on.
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

/// The user, if the password is right and they may come in.
async fn staff(database: &DatabaseConnection, username: &str, given: &str) -> Result<Option<user::Model>, Failure> {
    let user = users::find(database, username).await?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let is_right = password::verify(given.to_owned(), hash).await?;
    Ok(user.filter(|user| is_right && user.is_active && user.is_staff))
}

/// Where one wanted to go, if that is in this site.
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
    fn one_goes_on_within_the_site_only() {
        let next = |next: &str| super::next(&Fields::parse(format!("next={next}").as_bytes()).unwrap());
        assert_eq!(next("/admin/tasks/%3Fq%3Dmilk"), "/admin/tasks/?q=milk");
        for outside in
            ["", "//evil.example/", "https://evil.example", "/tasks/", "/admin", "/admin/%0d%0aX: y", "/admin/é"]
        {
            assert_eq!(next(outside), "/admin/", "{outside}");
        }
    }
}
