//! The admin site: `/admin/`.
//!
//! Staff sign in and list, search, add, edit, export and delete tasks, users and groups, perform actions on several rows, and
//! view the activity and the history of every object, according to their permissions. The server renders the pages from
//! templates that are checked at compile time. There is no JavaScript, and no file of another origin. Sessions are in the
//! database, so any instance serves any request.
//!
//! actix-admin 0.9 was evaluated first. It has lists, forms and CSRF tokens for sea-orm 2, but no sign-in. Its pages load
//! styles and scripts from three content delivery networks, and need htmx and inline scripts for deletions and forms, which
//! excludes a strict Content-Security-Policy and a site without internet access.
//!
//! A model implements `model::ModelAdmin`, and `model::Editable` for forms, and is listed in `MODELS`. All pages are generic,
//! check permissions and write the history.
//!
//! | module | content |
//! |---|---|
//! | `guard` | middleware: security headers, tokens of forms, signed-in users |
//! | `token` | tokens of browsers and of forms |
//! | `session` | sessions of signed-in users, in the database |
//! | `request` | request of a signed-in user |
//! | `permission` | permissions of users |
//! | `model` | traits of models: columns, filters, actions, forms |
//! | `list`, `query`, `search`, `pager` | lists: columns, search, filters, sorting, pages |
//! | `edit`, `form` | pages of rows, and forms |
//! | `action` | deletion and other actions on selected rows |
//! | `history` | history of changes |
//! | `export` | lists as CSV and JSON |
//! | `page`, `error` | frame of all pages, and error pages |
//! | `tasks`, `users`, `groups`, `activity` | declarations of the models |
//! | `home`, `sign_in`, `password` | other pages |

mod action;
mod activity;
mod edit;
mod error;
mod export;
mod form;
mod groups;
mod guard;
mod history;
mod home;
mod list;
mod model;
mod page;
mod pager;
mod password;
mod permission;
mod query;
mod request;
mod search;
mod session;
mod sign_in;
mod tasks;
mod token;
mod users;

use actix_web::{
    Resource, Route,
    guard::{Any, Get, Head},
    middleware::from_fn,
    web::{self, ServiceConfig},
};
use futures::future::LocalBoxFuture;
use sea_orm::{DatabaseConnection, DbErr};

use self::{
    error::{Answer, Failure},
    model::{Editable, ModelAdmin},
    page::Section,
};
use crate::entity::{
    activity::Entity as Activity, admin_history::Entity as History, group::Entity as Group, task::Entity as Task,
    user::Entity as User,
};

pub(crate) use guard::HEADERS;
pub(crate) use page::style_version;

/// Models of the site, in the order of the menu.
const MODELS: [Registered; 5] = [
    Registered::editable::<Task>(),
    Registered::editable::<User>(),
    Registered::editable::<Group>(),
    Registered::read_only::<Activity>(),
    Registered::read_only::<History>(),
];

/// A model of the site.
struct Registered {
    section: Section,
    routes: fn(&mut ServiceConfig),
    count: for<'a> fn(&'a DatabaseConnection) -> LocalBoxFuture<'a, Result<u64, DbErr>>,
}

impl Registered {
    const fn editable<E: Editable>() -> Self {
        Self { section: E::SECTION, routes: editable_routes::<E>, count: count::<E> }
    }

    const fn read_only<E: ModelAdmin>() -> Self {
        Self { section: E::SECTION, routes: read_only_routes::<E>, count: count::<E> }
    }
}

fn count<E: ModelAdmin>(database: &DatabaseConnection) -> LocalBoxFuture<'_, Result<u64, DbErr>> {
    Box::pin(async move { list::count(database, &E::find()).await })
}

fn editable_routes<E: Editable>(app: &mut ServiceConfig) {
    let path = E::SECTION.path;
    app.service(form_at(&format!("/{path}/add"), get().to(edit::new::<E>), web::post().to(edit::add::<E>)));
    list_routes::<E>(app);
    app.service(form_at(&format!("/{path}/{{id}}"), get().to(edit::open::<E>), web::post().to(edit::save::<E>)))
        .service(page_at(&format!("/{path}/{{id}}/history"), get().to(history::of::<E>)));
    E::more_routes(app);
}

fn read_only_routes<E: ModelAdmin>(app: &mut ServiceConfig) {
    list_routes::<E>(app);
    app.service(page_at(&format!("/{}/{{id}}", E::SECTION.path), get().to(edit::look::<E>)));
}

fn list_routes<E: ModelAdmin>(app: &mut ServiceConfig) {
    let path = E::SECTION.path;
    let (ask, perform) = (get().to(action::ask::<E>), web::post().to(action::perform::<E>));
    app.service(page_at(&format!("/{path}/"), get().to(list::show::<E>)))
        .service(page_at(&format!("/{path}/export.csv"), get().to(export::csv::<E>)))
        .service(page_at(&format!("/{path}/export.json"), get().to(export::json::<E>)))
        .service(form_at(&format!("/{path}/{{action:[a-z]+}}"), ask, perform));
}

/// Adds the site to a server with `Data<DatabaseConnection>`.
pub fn routes(app: &mut ServiceConfig) {
    let mut staff = web::scope("")
        .wrap(from_fn(guard::staff_only))
        .service(page_at("/", get().to(home::show)))
        .service(action_at("/sign-out", web::post().to(sign_in::sign_out)));
    for model in &MODELS {
        staff = staff.configure(model.routes);
    }
    let staff = staff.default_service(web::to(|| async { Answer::Err(Failure::NotFound) }));
    app.service(
        web::scope("/admin")
            .wrap(from_fn(guard::protect))
            .service(page_at("", get().to(|| async { page::redirect(page::HOME) })))
            .service(page_at("/style.css", get().to(page::style)))
            .service(page_at("/icon.svg", get().to(page::icon)))
            .service(form_at("/sign-in", get().to(sign_in::show), web::post().to(sign_in::sign_in)))
            .service(staff),
    );
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
