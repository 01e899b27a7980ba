//! What every request to the admin site passes through, so that no handler can forget it.

use actix_web::{
    Error, HttpMessage, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::{Bytes, Data},
};
use sea_orm::DatabaseConnection;

use super::{error::Failure, form::Fields, page, pager, session, token::Token};
use crate::activity;

/// Middleware for all of the site: says to browsers what its pages may do, and lets a form through only when it came
/// from a page that the same browser was given. Handlers find the form's fields in `ReqData<Fields>`.
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

/// Middleware for what only staff may see: others are sent to sign in. Handlers find `ReqData<Visit>`, and check the
/// permissions in it; pages of what they refuse have the site's frame.
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

/// No scripts at all, nothing from elsewhere, in nobody's frame, and kept by no cache.
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
    // Nothing is changed by any other method: none has a route here.
    if *request.method() != Method::POST {
        return Ok(());
    }
    if !is_form(request.headers()) {
        return Err(Failure::NotAForm);
    }
    let body = request.extract::<Bytes>().await.map_err(|_| Failure::NotAForm)?;
    let fields = Fields::parse(&body).ok_or(Failure::NotAForm)?;
    let token = Token::of(request.headers()).ok_or(Failure::Forged)?;
    if is_cross_site(request.headers()) || !token.vouches_for(fields.text("csrf")) {
        return Err(Failure::Forged);
    }
    request.extensions_mut().insert(fields);
    Ok(())
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Browsers say where a request comes from; this comes on top of the form's token.
fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none")
}

fn sign_in_for(request: &ServiceRequest) -> String {
    let wanted = request.uri().path_and_query().map_or("", |wanted| wanted.as_str());
    if request.method() != Method::GET || wanted == page::HOME {
        return page::SIGN_IN.to_owned();
    }
    pager::with_query(page::SIGN_IN, [("next", wanted)])
}
