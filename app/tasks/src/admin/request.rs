//! Request of a signed-in user, as an extractor.

use actix_web::{
    Error, FromRequest, HttpRequest,
    dev::Payload,
    web::{Data, ReqData},
};
use sea_orm::DatabaseConnection;
use std::future::{Ready, ready};

use super::{error::Failure, form::Fields, model::ModelAdmin, permission::Verb, query::ListQuery, session::Visit};

/// A request of a signed-in user.
pub(super) struct AdminRequest {
    pub(super) database: Data<DatabaseConnection>,
    pub(super) visit: ReqData<Visit>,
    pub(super) http: HttpRequest,
}

impl FromRequest for AdminRequest {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(http: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let database = Data::from_request(http, payload).into_inner();
        let visit = ReqData::from_request(http, payload).into_inner();
        ready(database.and_then(|database| Ok(Self { database, visit: visit?, http: http.clone() })))
    }
}

impl AdminRequest {
    /// Returns the row with an id from an address.
    pub(super) async fn find<E: ModelAdmin>(&self, id: &str) -> Result<E::Model, Failure> {
        E::find_by_id(parse_id(id)?).one(self.database.as_ref()).await?.ok_or(Failure::NotFound)
    }

    /// Returns whether the user may change or delete a row.
    pub(super) fn may<E: ModelAdmin>(&self, row: &E::Model, verb: Verb) -> bool {
        self.visit.may(E::SECTION, verb) && E::refusal(&self.visit, row, verb).is_none()
    }

    /// Returns the query of the list that the page was opened from. It is parsed and written again, so that it contains
    /// nothing else.
    pub(super) fn list_state<E: ModelAdmin>(&self) -> String {
        let query = Fields::parse(self.http.query_string().as_bytes()).unwrap_or_default();
        let grammar = E::grammar();
        ListQuery::parse(query.text("list"), &grammar).write(&grammar)
    }
}

/// Parses an id from an address. No row has an id that is not a number.
pub(super) fn parse_id(id: &str) -> Result<i64, Failure> {
    let digits = id.bytes().all(|byte| byte.is_ascii_digit());
    id.parse().ok().filter(|_| digits).ok_or(Failure::NotFound)
}
