//! Forms whose CSRF token is checked before their fields are read.

use super::{Shared, check_csrf};
use crate::{access::Caller, views::Problem};
use axum::{
    Extension,
    extract::{FromRequest, FromRequestParts, RawForm, Request},
    response::{IntoResponse, Response},
};
use infra_core::diagnostic::Diagnostic;
use serde::{Deserialize, de::value::MapDeserializer};

/// Name of the field with the CSRF token.
const CSRF: &str = "csrf";

/// The fields of a form, without its CSRF token.
pub(super) struct Checked<T>(pub(super) T);

/// The reason why a form is not accepted.
pub(super) struct Refused(Problem);

/// A form, or the reason why it is not accepted.
pub(super) type Submitted<T> = Result<Checked<T>, Refused>;

impl From<Refused> for Problem {
    fn from(Refused(problem): Refused) -> Self {
        problem
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0.status, self.0.diagnostic.to_string()).into_response()
    }
}

impl<T: for<'de> Deserialize<'de>> FromRequest<Shared> for Checked<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, shared: &Shared) -> Submitted<T> {
        let (mut parts, body) = request.into_parts();
        let caller = Extension::<Caller>::from_request_parts(&mut parts, shared).await;
        let Extension(caller) = caller.map_err(|error| invalid(&error.body_text()))?;
        let form = RawForm::from_request(Request::from_parts(parts, body), shared).await;
        let RawForm(bytes) = form.map_err(|error| invalid(&error.body_text()))?;
        let fields: Vec<(String, String)> = form_urlencoded::parse(&bytes).into_owned().collect();
        let (tokens, fields): (Vec<_>, Vec<_>) = fields.into_iter().partition(|(name, _)| name == CSRF);
        let token = tokens.first().map_or("", |(_, token)| token.as_str());
        check_csrf(&caller, token).map_err(Refused)?;
        let fields = MapDeserializer::<_, serde::de::value::Error>::new(fields.into_iter());
        T::deserialize(fields).map(Checked).map_err(|error| invalid(&error.to_string()))
    }
}

fn invalid(reason: &str) -> Refused {
    Refused(Problem::invalid(Diagnostic::error("the form is invalid").hint(reason)))
}
