//! Middleware of all pages, so that no handler can omit the checks.

use actix_web::{
    Error, HttpMessage, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::{Bytes, Data},
};
use kit::{
    csrf::is_cross_site,
    form::{Fields, is_form},
    session::Sessions,
};

use super::{error::Failure, frame};

/// Paths of forms for browsers without a user.
const OPEN: [&str; 2] = ["/login", "/register"];

/// Middleware that adds the security headers, and admits a form only from a page of the same browser. Handlers extract the
/// fields of the form as `ReqData<Fields>`.
pub async fn protect(
    sessions: Data<Sessions>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut answer = match read_form(&sessions, &mut request).await {
        Ok(()) => next.call(request).await?.map_into_boxed_body(),
        Err(refusal) => request.into_response(refusal.error_response()),
    };
    for (name, value) in HEADERS {
        let headers = answer.headers_mut();
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    Ok(answer)
}

/// Security headers: no scripts, no files of other origins, no framing and no caching.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

async fn read_form(sessions: &Sessions, request: &mut ServiceRequest) -> Result<(), Failure> {
    // No other method has a route that changes data.
    if *request.method() != Method::POST {
        return Ok(());
    }
    if !is_form(request.headers()) {
        return Err(Failure::NotAForm);
    }
    let body = request.extract::<Bytes>().await.map_err(|_| Failure::NotAForm)?;
    let fields = Fields::parse(&body).ok_or(Failure::NotAForm)?;
    let session = sessions.of(request.headers());
    // A form of an expired session cannot be verified; it has no effect without a user either.
    let has_user = session.as_ref().is_some_and(|session| session.user().is_some());
    if !has_user && !OPEN.contains(&request.path()) {
        return Err(Failure::SignIn(frame::CATALOG.to_owned()));
    }
    let is_own = session.is_some_and(|session| session.validates(fields.text("csrf")));
    if !is_own || is_cross_site(request.headers()) {
        return Err(Failure::Forged);
    }
    request.extensions_mut().insert(fields);
    Ok(())
}
