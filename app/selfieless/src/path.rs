//! Names in paths.

use std::future::{Ready, ready};

use actix_web::{Error, FromRequest, HttpRequest, dev::Payload, web::Path};

use crate::refusal::Refusal;

/// The decoded parameter of a path, without null characters, which PostgreSQL refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment(pub String);

impl FromRequest for Segment {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ready(Path::<String>::from_request(request, payload).into_inner().and_then(|name| {
            let name = name.into_inner();
            if name.contains('\0') {
                return Err(Refusal::invalid("The path contains a null character.").into());
            }
            Ok(Self(name))
        }))
    }
}
