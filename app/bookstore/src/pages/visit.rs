//! Session and user of a request, as an extractor.

use std::{net::IpAddr, pin::Pin};

use actix_web::{Error, FromRequest, HttpRequest, HttpResponse, dev::Payload, http::header, web::Data};
use kit::{
    client,
    endpoints::Scope,
    log,
    session::{Session, SessionError, Sessions},
};

use super::{
    error::Failure,
    frame::{Frame, style_version},
};
use crate::{entity::user, users};

/// A request of a browser.
pub(super) struct Visit {
    /// Reads and writes of the request.
    pub(super) scope: Scope,
    /// Signed-in user.
    pub(super) user: Option<user::Model>,
    /// Address of the browser.
    pub(super) client: Option<IpAddr>,
    sessions: Data<Sessions>,
    session: Session,
    is_new: bool,
    /// Path and query.
    target: String,
}

impl Visit {
    async fn of(scope: Scope, sessions: Data<Sessions>, request: HttpRequest) -> Result<Self, Failure> {
        let (session, is_new) = match sessions.of(request.headers()) {
            Some(session) => (session, false),
            None => (Session::new(None)?, true),
        };
        let user = match session.user() {
            Some(id) => users::find(&scope, id).await?,
            None => None,
        };
        if let Some(user) = &user {
            log::identify(&request, &user.email);
        }
        let target = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
        let client = client::address(&request);
        Ok(Self { scope, user, client, sessions, session, is_new, target })
    }

    /// Returns the frame of a page. `section` is its path in the menu, or `""`.
    pub(super) fn frame(&self, section: &'static str, title: impl Into<String>) -> Frame {
        let user = self.user.as_ref();
        Frame {
            title: title.into(),
            section,
            user: user.map(|user| user.name.clone()),
            is_admin: user.is_some_and(|user| user.is_admin),
            style: style_version(),
        }
    }

    /// Returns the signed-in user.
    ///
    /// # Errors
    /// [`Failure::SignIn`] without one.
    pub(super) fn user(&self) -> Result<&user::Model, Failure> {
        self.user.as_ref().ok_or_else(|| Failure::SignIn(self.target.clone()))
    }

    /// Returns the token of forms.
    pub(super) fn form_token(&self) -> String {
        self.session.form_token()
    }

    /// Adds the cookie of a new session to a page with a form.
    pub(super) fn with_session(&self, mut answer: HttpResponse) -> Result<HttpResponse, Failure> {
        if self.is_new {
            answer.headers_mut().append(header::SET_COOKIE, self.sessions.set_cookie(&self.session)?);
        }
        Ok(answer)
    }

    /// Adds the cookie of a new session of a user, which replaces the previous one.
    pub(super) fn sign_in(&self, user: &user::Model, mut answer: HttpResponse) -> Result<HttpResponse, SessionError> {
        let session = Session::new(Some(user.id))?;
        answer.headers_mut().append(header::SET_COOKIE, self.sessions.set_cookie(&session)?);
        Ok(answer)
    }
}

impl FromRequest for Visit {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let scope = Scope::from_request(request, payload).into_inner();
        let sessions = Data::<Sessions>::from_request(request, payload).into_inner();
        let request = request.clone();
        Box::pin(async move { Ok(Self::of(scope?, sessions?, request).await?) })
    }
}
