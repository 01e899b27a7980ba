//! Headers of pages, unknown pages and methods.

use crate::shop::Shop;

pub(crate) fn every_page_has_security_headers(shop: &Shop) {
    let mut browser = shop.signed_in("ana");
    browser.add_book("Rayuela", "12.50", "3");
    for (path, status) in [
        ("/", 200),
        ("/register", 200),
        ("/login", 200),
        ("/book/catalog", 200),
        ("/book/my_books", 200),
        ("/book/add_book", 200),
        ("/book/edit_book/1", 200),
        ("/admin/users", 403),
        ("/payment/1", 404),
        ("/nothing", 404),
        ("/buy/1", 405),
    ] {
        let answer = browser.get(path);
        assert_eq!(answer.status, status, "{path}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("content-type", "text/html; charset=utf-8"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; img-src 'self';"), "{path}: {policy}");
        for loaded in ["<script", "<style", " style=", "http://", "https://", "src=\"//"] {
            assert!(!answer.body.contains(loaded), "{path} contains {loaded}");
        }
        assert!(answer.body.contains(r#"<meta name="viewport""#), "{path}");
    }
    let page = browser.page("/");
    let style = page.split(r#"<link rel="stylesheet" href=""#).nth(1).unwrap().split('"').next().unwrap().to_owned();
    let answer = browser.get(&style);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/css; charset=utf-8")));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(browser.get("/style.css?v=older").header("cache-control"), Some("no-cache"));
}

pub(crate) fn unknown_pages_and_methods_are_refused(shop: &Shop) {
    let mut browser = shop.signed_in("ana");
    for (path, allowed) in [
        ("/", "GET, HEAD"),
        ("/book/catalog", "GET, HEAD"),
        ("/book/add_book", "GET, HEAD, POST"),
        ("/book/delete_book/1", "POST"),
        ("/buy/1", "POST"),
        ("/logout", "GET, HEAD"),
    ] {
        let answer = browser.send(&format!("PATCH {path}"), &[], "");
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allowed)), "{path}");
        let answer = browser.send(&format!("BREW {path}"), &[], "");
        assert_eq!(answer.status, 405, "{path}");
    }
    let head = browser.send("HEAD /book/catalog", &[], "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(browser.send("GET /healthz", &[], "").body, r#"{"status":"ok"}"#);
    assert_eq!(browser.get("/metrics").status, 404, "metrics are on their own listener");
    let answer = browser.get(&format!("/{}", "x".repeat(20_000)));
    assert_eq!(answer.status, 431);
}
