//! Middleware of all requests to the admin site, so that no handler can omit the checks.

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
use kit::{csrf::is_cross_site, form::is_form};
use sea_orm::DatabaseConnection;

use super::{error::Failure, form::Fields, page, pager, session, token::Token};
use crate::activity;

/// Middleware for the whole site: adds the security headers, and admits a form only from a page of the same browser.
/// Handlers extract the fields of the form as `ReqData<Fields>`.
pub(super) async fn protect(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut answer = match read_form(&mut request).await {
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

/// Middleware for pages of staff: redirects other users to the sign-in. Handlers extract `ReqData<Visit>`, and check its
/// permissions. Pages of their errors have the frame of the site.
pub(super) async fn staff_only(
    database: Data<DatabaseConnection>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let shows_notice = request.method() == Method::GET;
    match session::visit(&database, request.headers(), shows_notice).await {
        Ok(Some(visit)) => {
            activity::identify(request.request(), &visit.user.username);
            request.extensions_mut().insert(visit.clone());
            let answer = next.call(request).await?.map_into_boxed_body();
            let failure = answer.response().error().and_then(|error| error.as_error::<Failure>());
            match failure.filter(|failure| failure.status_code().is_client_error()).map(|failure| failure.page(&visit))
            {
                Some(page) => Ok(answer.into_response(page)),
                None => Ok(answer),
            }
        }
        Ok(None) => {
            let to = sign_in_for(&request);
            Ok(request.into_response(page::redirect(&to)))
        }
        Err(failure) => Ok(request.into_response(failure.error_response())),
    }
}

/// Security headers: no scripts, no files of other origins, no framing and no caching.
pub(crate) const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

async fn read_form(request: &mut ServiceRequest) -> Result<(), Failure> {
    // No other method has a route that changes data.
    if *request.method() != Method::POST {
        return Ok(());
    }
    if !is_form(request.headers()) {
        return Err(Failure::NotAForm);
    }
    let body = request.extract::<Bytes>().await.map_err(|_| Failure::NotAForm)?;
    let fields = Fields::parse(&body).ok_or(Failure::NotAForm)?;
    let token = Token::of(request.headers()).ok_or(Failure::Forged)?;
    if is_cross_site(request.headers()) || !token.validates(fields.text("csrf")) {
        return Err(Failure::Forged);
    }
    request.extensions_mut().insert(fields);
    Ok(())
}

fn sign_in_for(request: &ServiceRequest) -> String {
    let requested = request.uri().path_and_query().map_or("", |requested| requested.as_str());
    if request.method() != Method::GET || requested == page::HOME {
        return page::SIGN_IN.to_owned();
    }
    pager::with_query(page::SIGN_IN, [("next", requested)])
}
