//! Fixture: the site, and browsers.

use kit::testing::{Answer, Served, connect, exchange, sqlite_url, wait_until};
use sea_orm::{ConnectionTrait, DatabaseConnection, EntityTrait, Set};
use tasks::{
    entity::task,
    timestamp,
    users::{NewUser, Role},
};
use tempfile::TempDir;

use crate::serve;

pub(super) const PASSWORD: &str = "correct horse";

/// The service with one user, `eva`, a superuser.
pub(super) struct Site {
    pub(super) service: Served,
    url: String,
    _directory: Option<TempDir>,
}

impl Site {
    /// Starts the service on a new SQLite file.
    pub(super) fn on_sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let site = Self::on(&sqlite_url(&directory));
        Self { _directory: Some(directory), ..site }
    }

    pub(super) fn on(url: &str) -> Self {
        let site = Self { service: serve(url), url: url.to_owned(), _directory: None };
        wait_until("the tables are there", || site.service.send("GET /healthz", "").status == 200);
        site.add_user("eva", true);
        site
    }

    /// Starts another instance on the same database.
    pub(super) fn other_instance(&self) -> Self {
        Self { service: serve(&self.url), url: self.url.clone(), _directory: None }
    }

    /// Runs a function on the database directly.
    pub(super) fn database<T>(&self, work: impl AsyncFnOnce(DatabaseConnection) -> T) -> T {
        block_on(async { work(connect(&self.url).await).await })
    }

    pub(super) fn execute(&self, sql: &str) {
        self.database(async |database| database.execute_unprepared(sql).await.unwrap());
    }

    /// Adds a user with all rights in the site, or without any.
    pub(super) fn add_user(&self, name: &str, is_superuser: bool) -> i64 {
        self.add(name, if is_superuser { Role::Superuser } else { Role::User })
    }

    /// Adds a user of the staff with permissions.
    pub(super) fn add_staff(&self, name: &str, permissions: &[&str]) -> i64 {
        let id = self.add(name, Role::Staff);
        self.permit(id, permissions);
        id
    }

    /// Replaces a user's own permissions.
    pub(super) fn permit(&self, user: i64, permissions: &[&str]) {
        self.execute(&format!("DELETE FROM tasks_user_permission WHERE user_id = {user}"));
        for permission in permissions {
            self.execute(&format!("INSERT INTO tasks_user_permission VALUES ({user}, '{permission}')"));
        }
    }

    fn add(&self, name: &str, role: Role) -> i64 {
        let new = NewUser::new(name, PASSWORD, role).unwrap();
        self.database(async |database| new.create(&database).await.unwrap().id)
    }

    /// Adds tasks by title, description and publication.
    pub(super) fn add_tasks(&self, tasks: impl IntoIterator<Item = (String, String, String)>) {
        let rows = tasks.into_iter().map(|(title, description, moment)| task::ActiveModel {
            title: Set(title),
            description: Set(description),
            pub_date: Set(timestamp::parse(&moment).unwrap()),
            ..Default::default()
        });
        self.database(async |database| task::Entity::insert_many(rows).exec(&database).await.unwrap());
    }

    pub(super) fn browser(&self) -> Browser<'_> {
        Browser { site: self, cookie: None, token: String::new() }
    }

    pub(super) fn signed_in(&self, name: &str) -> Browser<'_> {
        let mut browser = self.browser();
        let answer = browser.sign_in(name, PASSWORD);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/admin/")), "{}", answer.body);
        browser.get("/admin/");
        browser
    }
}

/// A browser with its cookie, and the token of the last form.
#[derive(Clone)]
pub(super) struct Browser<'a> {
    pub(super) site: &'a Site,
    pub(super) cookie: Option<String>,
    pub(super) token: String,
}

impl Browser<'_> {
    /// Requests a page.
    pub(super) fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, "", "")
    }

    /// Requests a page, which must exist.
    pub(super) fn page(&mut self, path: &str) -> String {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// Sends a form with the last token.
    pub(super) fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.token.clone();
        self.post_with(&token, path, fields)
    }

    /// Sends a form, which must be accepted, and returns the page of the redirect.
    pub(super) fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.post(path, fields);
        assert_eq!(answer.status, 303, "{path}: {}", answer.body);
        self.page(answer.header("location").unwrap())
    }

    pub(super) fn post_with(&mut self, token: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let fields = fields.iter().copied().chain([("csrf", token)]);
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send("POST", path, "Content-Type: application/x-www-form-urlencoded\r\n", &body)
    }

    pub(super) fn sign_in(&mut self, name: &str, password: &str) -> Answer {
        self.get("/admin/sign-in");
        self.post("/admin/sign-in", &[("username", name), ("password", password)])
    }

    /// Sends a request with further header lines.
    pub(super) fn send(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let cookie = self.cookie.as_ref().map_or_else(String::new, |cookie| format!("Cookie: {cookie}\r\n"));
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}");
        let answer = exchange(self.site.service.address, &format!("{head}\r\n{cookie}{headers}\r\n{body}"));
        if let Some(set) = answer.header("set-cookie") {
            self.cookie = set.split(';').next().map(str::to_owned);
        }
        if let Some((_, after)) = answer.body.split_once(r#"name="csrf" value=""#) {
            after.split('"').next().unwrap().clone_into(&mut self.token);
        }
        answer
    }
}

/// Returns the address of the first row in a list with this search.
pub(super) fn first_row(list: &str) -> String {
    let row = list.split("<tbody").nth(1).unwrap_or_else(|| panic!("no rows: {list}"));
    let address = row.split(r#"<a href=""#).nth(1).unwrap().split(['"', '?']).next();
    address.unwrap().to_owned()
}

/// Runs a future to completion.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
