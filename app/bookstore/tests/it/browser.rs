//! Fixture: browsers.

use std::{collections::BTreeMap, net::SocketAddr};

use kit::testing::{Answer, send};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::shop::PASSWORD;

/// A browser with its cookies, and the tokens of the last page with forms.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) address: SocketAddr,
    pub(crate) cookies: BTreeMap<String, String>,
    pub(crate) form_token: String,
    /// Token of the first form that buys.
    pub(crate) purchase_token: String,
}

impl Browser {
    pub(crate) fn of(address: SocketAddr) -> Self {
        Self { address, cookies: BTreeMap::new(), form_token: String::new(), purchase_token: String::new() }
    }

    /// Requests a page.
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), &[], "")
    }

    /// Requests a page, which must exist.
    pub(crate) fn page(&mut self, path: &str) -> String {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// Sends a form with the token of the last page.
    pub(crate) fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.form_token.clone();
        self.post_with(&token, path, fields)
    }

    /// Sends a form, which must be accepted, and returns the location of the redirect.
    pub(crate) fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.post(path, fields);
        assert_eq!(answer.status, 302, "{path} {fields:?}: {}", answer.body);
        answer.header("location").unwrap().to_owned()
    }

    pub(crate) fn post_with(&mut self, token: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let fields = fields.iter().copied().chain([("csrf", token)]);
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let body: Vec<_> = fields.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        self.send(&format!("POST {path}"), &[("Content-Type", "application/x-www-form-urlencoded")], &body.join("&"))
    }

    pub(crate) fn register(&mut self, name: &str) {
        self.page("/register");
        let email = format!("{name}@example.org");
        assert_eq!(self.submit("/register", &[("name", name), ("email", &email), ("password", PASSWORD)]), "/login");
    }

    pub(crate) fn sign_in(&mut self, name: &str) {
        self.page("/login");
        let email = format!("{name}@example.org");
        assert_eq!(self.submit("/login", &[("email", &email), ("password", PASSWORD)]), "/book/catalog");
        self.page("/book/catalog");
    }

    /// Adds a book.
    pub(crate) fn add_book(&mut self, title: &str, price: &str, stock: &str) {
        self.page("/book/add_book");
        let fields = [("title", title), ("author", "An author"), ("price", price), ("stock", stock)];
        assert_eq!(self.submit("/book/add_book", &fields), "/book/catalog");
    }

    pub(crate) fn send(&mut self, request: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = headers.to_vec();
        if !cookies.is_empty() {
            headers.push(("Cookie", &cookies));
        }
        let answer = send(self.address, request, &headers, body);
        for (_, set) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            if set.contains("Max-Age=0;") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        for (token, name) in [(&mut self.form_token, "csrf"), (&mut self.purchase_token, "token")] {
            if let Some((_, after)) = answer.body.split_once(&format!(r#"name="{name}" value=""#)) {
                after.split('"').next().unwrap().clone_into(token);
            }
        }
        answer
    }
}

/// Returns the text of the page's alert.
pub(crate) fn alert(page: &str) -> &str {
    let (_, after) = page.split_once(r#"role="alert">"#).unwrap_or_else(|| panic!("no alert: {page}"));
    after.split('<').next().unwrap()
}

/// Returns the faults that a page shows, in their order.
pub(crate) fn faults(page: &str) -> Vec<&str> {
    let lists = page.split(r#"<ul class="errors""#).skip(1).map(|list| list.split("</ul>").next().unwrap());
    let items = lists.flat_map(|list| list.split("<li>").skip(1));
    items.map(|item| item.split("</li>").next().unwrap()).collect()
}
