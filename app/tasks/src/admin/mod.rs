//! The admin site: `/admin/`.
//!
//! Staff sign in and list, search, add, edit and delete tasks and users, and look at the activity. Pages are made by
//! the server from templates that are checked when the service is compiled; there is no JavaScript and nothing is
//! loaded from elsewhere. Sessions are in the database, so any instance answers any request.
//!
//! actix-admin 0.9 was looked at first. It brings lists, forms and CSRF tokens for sea-orm 2, but no sign-in of its
//! own, its pages load their styles and scripts from three content delivery networks, and as they need htmx and inline
//! scripts for deleting and for forms, neither a strict Content-Security-Policy nor a site without internet is possible.
//!
//! | module | what it does |
//! |---|---|
//! | `guard` | what every request passes: security headers, the form's token, who is signed in |
//! | `token` | the browser's token and the forms' tokens |
//! | `session` | who is signed in, in the database |
//! | `list`, `query`, `pager` | lists: columns, search, filters, sorting, pages |
//! | `edit`, `form`, `delete` | forms, and deleting after asking |
//! | `page`, `error` | what all pages share |
//! | `home`, `sign_in`, `tasks`, `users`, `activity` | the pages |

mod activity;
mod delete;
mod edit;
mod error;
mod form;
mod guard;
mod home;
mod list;
mod page;
mod pager;
mod query;
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

use self::{
    error::{Answer, Failure},
    list::Listed,
    page::Section,
};
use crate::entity::{activity::Entity as Activity, task::Entity as Task, user::Entity as User};

pub(crate) use guard::HEADERS;
pub(crate) use page::style_version;

/// What has pages, in the order of the menu.
const SECTIONS: [Section; 3] = [Task::SECTION, User::SECTION, Activity::SECTION];

/// Adds the site to a server whose data holds the `DatabaseConnection`.
pub fn routes(app: &mut ServiceConfig) {
    let staff = web::scope("")
        .wrap(from_fn(guard::staff_only))
        .service(page_at("/", get().to(home::show)))
        .service(action_at("/sign-out", web::post().to(sign_in::sign_out)))
        .service(page_at("/tasks/", get().to(list::show::<Task>)))
        .service(form_at("/tasks/add", get().to(tasks::new), web::post().to(tasks::add)))
        .service(form_at("/tasks/delete", get().to(delete::ask::<Task>), web::post().to(delete::perform::<Task>)))
        .service(form_at("/tasks/{id}", get().to(tasks::open), web::post().to(tasks::save)))
        .service(page_at("/users/", get().to(list::show::<User>)))
        .service(form_at("/users/add", get().to(users::new), web::post().to(users::add)))
        .service(form_at("/users/delete", get().to(delete::ask::<User>), web::post().to(delete::perform::<User>)))
        .service(form_at("/users/{id}", get().to(users::open), web::post().to(users::save)))
        .service(form_at("/users/{id}/password", get().to(users::new_password), web::post().to(users::save_password)))
        .service(page_at("/activity/", get().to(list::show::<Activity>)))
        .service(page_at("/activity/{id}", get().to(activity::open)))
        .default_service(web::to(|| async { Answer::Err(Failure::NotFound) }));
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

/// Answers every other method.
fn only(allowed: &'static str) -> Route {
    web::to(move || async move { Answer::Err(Failure::Method(allowed)) })
}
