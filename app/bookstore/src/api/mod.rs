//! JSON API under `/api/`.
//!
//! A user is identified by the header `Authorization: Bearer <token>` with a token of `POST /api/login`, never by a cookie,
//! so no request needs a token against forgery. A refusal is `{"error": "reason"}`.
//!
//! | module | content |
//! |---|---|
//! | `error` | errors as responses |
//! | `caller` | tokens, and the user of a request |
//! | `account` | registration and sign-in |
//! | `books` | books |
//! | `buying` | purchases, payments and deliveries |
//! | [`openapi`], `schemas` | the OpenAPI document |

mod account;
mod books;
mod buying;
mod caller;
mod error;
pub mod openapi;
mod schemas;

use actix_web::{
    Resource, Route,
    guard::{Any, Get, Head},
    http::Method,
    web::{self, ServiceConfig},
};

use error::{Answer, Refusal};

/// Adds the routes to a scope `/api` with `Data<Endpoints>`, `Data<Sessions>` and `Data<SignInLimits>`.
pub fn routes(app: &mut ServiceConfig) {
    app.service(post_at("/register", web::post().to(account::register)))
        .service(post_at("/login", web::post().to(account::sign_in)))
        .service(get_at("/check_login", get().to(account::check)))
        .service(
            web::resource("/books")
                .route(get().to(books::list))
                .route(web::post().to(books::add))
                .default_service(only("GET, HEAD, POST")),
        )
        .service(
            web::resource("/books/{id}")
                .route(get().to(books::find))
                .route(web::put().to(books::change))
                .route(web::delete().to(books::delete))
                .default_service(only("GET, HEAD, PUT, DELETE")),
        )
        .service(post_at("/my-books", web::post().to(books::of_caller)))
        .service(post_at("/buy", web::post().to(buying::buy)))
        .service(post_at("/payment", web::post().to(buying::pay)))
        .service(post_at("/delivery/assignment", web::post().to(buying::assign)))
        .service(get_at("/delivery/providers", get().to(buying::providers)))
        .service(get_at("/openapi.json", get().to(openapi::show)))
        .default_service(web::to(|| async { Answer::Err(Refusal::NoRoute) }));
}

fn post_at(path: &str, post: Route) -> Resource {
    web::resource(path.to_owned()).route(post).default_service(only("POST"))
}

fn get_at(path: &str, get: Route) -> Resource {
    web::resource(path.to_owned()).route(get).default_service(only("GET, HEAD"))
}

fn get() -> Route {
    web::route().guard(Any(Get()).or(Head()))
}

/// Returns the route for all other methods.
fn only(allowed: &'static str) -> Route {
    web::to(move |method: Method| async move { Answer::Err(Refusal::Method(method, allowed)) })
}
