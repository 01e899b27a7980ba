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
    Resource,
    middleware::from_fn,
    web::{self, ServiceConfig},
};

use self::{
    delete::Deleted,
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
        .service(resource("/").route(web::get().to(home::show)))
        .service(resource("/sign-out").route(web::post().to(sign_in::sign_out)))
        .service(resource("/tasks/").route(web::get().to(list::show::<Task>)))
        .service(resource("/tasks/add").route(web::get().to(tasks::new)).route(web::post().to(tasks::add)))
        .service(deletion::<Task>("/tasks/delete"))
        .service(resource("/tasks/{id}").route(web::get().to(tasks::open)).route(web::post().to(tasks::save)))
        .service(resource("/users/").route(web::get().to(list::show::<User>)))
        .service(resource("/users/add").route(web::get().to(users::new)).route(web::post().to(users::add)))
        .service(deletion::<User>("/users/delete"))
        .service(resource("/users/{id}").route(web::get().to(users::open)).route(web::post().to(users::save)))
        .service(
            resource("/users/{id}/password")
                .route(web::get().to(users::new_password))
                .route(web::post().to(users::save_password)),
        )
        .service(resource("/activity/").route(web::get().to(list::show::<Activity>)))
        .service(resource("/activity/{id}").route(web::get().to(activity::open)))
        .default_service(web::to(|| async { Answer::Err(Failure::NotFound) }));
    app.service(
        web::scope("/admin")
            .wrap(from_fn(guard::protect))
            .service(resource("").route(web::get().to(|| async { page::redirect(page::HOME) })))
            .service(resource("/style.css").route(web::get().to(page::style)))
            .service(resource("/icon.svg").route(web::get().to(page::icon)))
            .service(resource("/sign-in").route(web::get().to(sign_in::show)).route(web::post().to(sign_in::sign_in)))
            .service(staff),
    );
}

fn deletion<E: Deleted>(path: &str) -> Resource {
    resource(path).route(web::get().to(delete::ask::<E>)).route(web::post().to(delete::perform::<E>))
}

/// A place that answers other methods with a page that says so.
fn resource(path: &str) -> Resource {
    web::resource(path.to_owned()).default_service(web::to(|| async { Answer::Err(Failure::Method) }))
}
