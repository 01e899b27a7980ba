//! Pages with forms, for browsers.
//!
//! The server renders the pages from templates that are checked at compile time. There is no JavaScript, and no file of
//! another origin. Every form contains a token of its browser's session ([`kit::session`]).
//!
//! | module | content |
//! |---|---|
//! | `guard` | middleware: security headers, tokens of forms |
//! | `visit` | session and user of a request |
//! | `frame` | frame of all pages, redirects, style sheet |
//! | `form`, `pager` | pages with one form, pages of lists |
//! | `error` | errors, as pages |
//! | `front` | front page |
//! | `account` | registration, sign-in and sign-out |
//! | `books` | catalog, a user's books and purchases, forms of books |
//! | `buying` | purchase, payment and delivery |
//! | `admin` | list of users, for administrators |

mod account;
mod admin;
mod books;
mod buying;
mod error;
mod form;
mod frame;
mod front;
mod guard;
mod pager;
mod visit;

use actix_web::{
    Resource, Route,
    guard::{Any, Get, Head},
    web::{self, ServiceConfig},
};

use error::{Answer, Failure};

pub use books::Catalog;
pub use guard::protect;

/// Adds the pages to a server with `Data<Endpoints>`, `Data<Catalog>`, `Data<Sessions>` and `Data<SignInLimits>`.
pub fn routes(app: &mut ServiceConfig) {
    app.service(page_at("/", get().to(front::front)))
        .service(page_at("/style.css", get().to(front::style)))
        .service(page_at("/logout", get().to(account::sign_out)))
        .service(form_at("/register", get().to(account::registration), web::post().to(account::register)))
        .service(form_at("/login", get().to(account::sign_in_form), web::post().to(account::sign_in)))
        .service(page_at("/book/catalog", get().to(books::catalog)))
        .service(page_at("/book/my_books", get().to(books::of_user)))
        .service(form_at("/book/add_book", get().to(books::new), web::post().to(books::add)))
        .service(form_at("/book/edit_book/{id}", get().to(books::open), web::post().to(books::save)))
        .service(action_at("/book/delete_book/{id}", web::post().to(books::delete)))
        .service(action_at("/buy/{id}", web::post().to(buying::buy)))
        .service(form_at("/payment/{id}", get().to(buying::payment), web::post().to(buying::pay)))
        .service(form_at("/delivery/{id}", get().to(buying::delivery), web::post().to(buying::assign)))
        .service(page_at("/admin/users", get().to(admin::users)))
        .default_service(web::to(|| async { Answer::Err(Failure::NotFound) }));
}

fn page_at(path: &str, get: Route) -> Resource {
    web::resource(path.to_owned()).route(get).default_service(only("GET, HEAD"))
}

fn form_at(path: &str, get: Route, post: Route) -> Resource {
    web::resource(path.to_owned()).route(get).route(post).default_service(only("GET, HEAD, POST"))
}

fn action_at(path: &str, post: Route) -> Resource {
    web::resource(path.to_owned()).route(post).default_service(only("POST"))
}

fn get() -> Route {
    web::route().guard(Any(Get()).or(Head()))
}

/// Returns the route for all other methods.
fn only(allowed: &'static str) -> Route {
    web::to(move || async move { Answer::Err(Failure::Method(allowed)) })
}
