//! Registration, sign-in and sign-out.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{Data, ReqData},
};
use kit::{form::Fields, limit::SignInLimits, password::MAX_CHARACTERS, session::Sessions};

use super::{
    error::{Answer, Failure},
    form::{Field, FormPage, Kind},
    frame,
    visit::Visit,
};
use crate::{
    entity::user::{EMAIL_CHARACTERS, NAME_CHARACTERS},
    input::{Faults, Given},
    users::{self, AccountError},
};

/// Names of the fields of both forms.
const NAMES: [&str; 3] = ["name", "email", "password"];

/// Responds with the form of a new user.
pub(super) async fn registration(visit: Visit) -> Answer {
    registration_page(&visit).show(&visit, StatusCode::OK)
}

/// Registers a user, who then signs in.
pub(super) async fn register(visit: Visit, limits: Data<SignInLimits>, fields: ReqData<Fields>) -> Answer {
    let given = Given::form(&fields, &NAMES);
    let mut page = registration_page(&visit);
    match users::register(&visit.scope, &limits, &given, visit.client).await {
        Ok(_) => Ok(frame::redirect(frame::LOGIN)),
        Err(AccountError::Invalid(faults)) => {
            page.refuse(&given, &faults);
            page.show(&visit, StatusCode::OK)
        }
        Err(AccountError::Taken) => {
            page.refuse(&given, &Faults::one("email", &AccountError::Taken.to_string()));
            page.show(&visit, StatusCode::OK)
        }
        Err(AccountError::TooMany(after)) => {
            page.refill(&given);
            page.error = Some(after.to_string());
            later(page.show(&visit, StatusCode::TOO_MANY_REQUESTS)?, after.seconds())
        }
        Err(error) => Err(error.into()),
    }
}

fn registration_page(visit: &Visit) -> FormPage {
    let mut page = FormPage::new(visit, "/register", "Register", "Register");
    page.fields = vec![
        Field::new("name", "Name", Kind::Text).limit(NAME_CHARACTERS).autocomplete("name"),
        Field::new("email", "Email address", Kind::Email).limit(EMAIL_CHARACTERS).autocomplete("username"),
        Field::new("password", "Password", Kind::Password).limit(MAX_CHARACTERS).autocomplete("new-password"),
    ];
    page.link = Some(("I have an account", frame::LOGIN));
    page
}

/// Responds with the form of the sign-in.
pub(super) async fn sign_in_form(visit: Visit, request: HttpRequest) -> Answer {
    let query = Fields::parse(request.query_string().as_bytes()).unwrap_or_default();
    sign_in_page(&visit, next_page(&query)).show(&visit, StatusCode::OK)
}

/// Signs in, with a new session.
pub(super) async fn sign_in(visit: Visit, limits: Data<SignInLimits>, fields: ReqData<Fields>) -> Answer {
    let given = Given::form(&fields, &NAMES);
    let next = next_page(&fields);
    let error = match users::sign_in(&visit.scope, &limits, &given, visit.client).await {
        Ok(user) => return Ok(visit.sign_in(&user, frame::redirect(&next))?),
        Err(error) => error,
    };
    let mut page = sign_in_page(&visit, next);
    page.refill(&given);
    page.error = Some(error.to_string());
    match error {
        AccountError::Wrong => page.show(&visit, StatusCode::OK),
        AccountError::TooMany(after) => later(page.show(&visit, StatusCode::TOO_MANY_REQUESTS)?, after.seconds()),
        other => Err(other.into()),
    }
}

fn sign_in_page(visit: &Visit, next: String) -> FormPage {
    let mut page = FormPage::new(visit, frame::LOGIN, "Sign in", "Sign in");
    page.fields = vec![
        Field::new("email", "Email address", Kind::Email).limit(EMAIL_CHARACTERS).autocomplete("username"),
        Field::new("password", "Password", Kind::Password).limit(MAX_CHARACTERS).autocomplete("current-password"),
    ];
    page.hidden = vec![("next", next)];
    page.link = Some(("Create an account", "/register"));
    page
}

/// Signs out: deletes the cookie of the session.
pub(super) async fn sign_out(sessions: Data<Sessions>) -> Answer {
    let mut answer = frame::redirect(frame::LOGIN);
    answer.headers_mut().append(header::SET_COOKIE, sessions.delete_cookie()?);
    Ok(answer)
}

fn later(mut answer: HttpResponse, seconds: u64) -> Result<HttpResponse, Failure> {
    answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    Ok(answer)
}

/// Returns the requested target if it is a path of this site, else the catalog. Browsers treat `//` and `/\` as the start of
/// another site.
fn next_page(fields: &Fields) -> String {
    let next = fields.text("next");
    let is_path = next.starts_with('/') && !next.starts_with("//") && !next.contains('\\');
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic());
    if is_path && is_plain { next } else { frame::CATALOG }.to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_next_page_is_in_the_site() {
        let next = |next: &str| next_page(&Fields::parse(format!("next={next}").as_bytes()).unwrap());
        assert_eq!(next("/book/my_books%3Fpage%3D2"), "/book/my_books?page=2");
        for outside in [
            "",
            "book",
            "//evil.example/",
            "/%5Cevil.example",
            "/%09/evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/%0d%0aX: y",
            "/é",
        ] {
            assert_eq!(next(outside), frame::CATALOG, "{outside}");
        }
    }
}
