//! Sign-in, and the lifetime of sessions.

use kit::testing::exchange;

use super::site::{PASSWORD, Site};

pub(super) fn staff_signs_in_and_out(site: &Site) {
    let mut browser = site.browser();
    let sent_away = browser.get("/admin/tasks/?q=milk");
    let sign_in = "/admin/sign-in?next=%2Fadmin%2Ftasks%2F%3Fq%3Dmilk";
    assert_eq!((sent_away.status, sent_away.header("location")), (303, Some(sign_in)));

    let form = browser.get(sign_in);
    let cookie = form.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; Path=/admin; HttpOnly; SameSite=Strict"), "{cookie}");
    assert!(form.body.contains(r#"name="next" value="/admin/tasks/?q=milk""#), "{}", form.body);
    let before = browser.clone();

    let fields = [("username", "eva"), ("password", PASSWORD), ("next", "/admin/tasks/?q=milk")];
    let signed_in = browser.post("/admin/sign-in", &fields);
    assert_eq!((signed_in.status, signed_in.header("location")), (303, Some("/admin/tasks/?q=milk")));
    assert_ne!(browser.cookie, before.cookie, "a token that was planted before is worth nothing");
    assert_eq!(before.clone().get("/admin/").status, 303);
    assert!(browser.page("/admin/tasks/?q=milk").contains("eva"));
    assert_eq!(browser.get("/admin/sign-in").header("location"), Some("/admin/"));

    let mut thief = browser.clone();
    let signed_out = browser.post("/admin/sign-out", &[]);
    assert_eq!((signed_out.status, signed_out.header("location")), (303, Some("/admin/sign-in")));
    assert_eq!(browser.get("/admin/").status, 303);
    assert_eq!(thief.get("/admin/").status, 303, "the session is over, not only forgotten by one browser");

    let over_https = site.browser().send("GET", "/admin/sign-in", "X-Forwarded-Proto: https\r\n", "");
    assert!(over_https.header("set-cookie").unwrap().ends_with("; Secure"), "{over_https:?}");
}

pub(super) fn other_users_cannot_sign_in(site: &Site) {
    site.add_user("guest", false);
    site.add_user("gone", true);
    site.execute("UPDATE tasks_user SET is_active = FALSE WHERE username = 'gone'");
    let mut answers = Vec::new();
    for (name, password) in [
        ("eva", "wrong horse"),
        ("eva", ""),
        ("Eva", PASSWORD),
        ("guest", PASSWORD),
        ("gone", PASSWORD),
        ("nobody", PASSWORD),
        ("", ""),
        ("e\0va", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
    ] {
        let mut browser = site.browser();
        let answer = browser.sign_in(name, password);
        assert_eq!(answer.status, 422, "{name}");
        assert!(!answer.body.contains(PASSWORD), "a password is not sent back");
        assert_eq!(browser.get("/admin/tasks/").status, 303, "{name}");
        answers.push(answer.body.split(r#"role="alert">"#).nth(1).unwrap().split('<').next().unwrap().to_owned());
    }
    answers.dedup();
    assert_eq!(
        answers,
        ["Name and password do not belong to an active user of the staff."],
        "no hint at what was wrong"
    );
}

pub(super) fn sign_ins_are_rate_limited(site: &Site) {
    let mut browser = site.browser();
    let refused = (0..40).map(|_| browser.sign_in("eva", "a guess")).find(|answer| answer.status != 422).unwrap();
    assert_eq!(refused.status, 429);
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert!(refused.body.contains("Too many attempts. Try again in "), "{}", refused.body);
}

pub(super) fn forms_need_their_token(site: &Site) {
    let add = [("title", "t"), ("description", "d"), ("pub_date", "2026-01-02T03:04")];
    let other = site.signed_in("eva");
    let mut browser = site.signed_in("eva");
    for token in ["", "x", &other.token, &browser.token[1..]] {
        assert_eq!(browser.clone().post_with(token, "/admin/tasks/add", &add).status, 403, "{token}");
        assert_eq!(browser.clone().post_with(token, "/admin/sign-out", &[]).status, 403, "{token}");
    }
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let body = format!("title=t&description=d&pub_date=2026-01-02T03:04&csrf={}", browser.token);
    let mut send =
        |method: &str, headers: &str, body: &str| browser.send(method, "/admin/tasks/add", headers, body).status;
    assert_eq!(send("POST", form, "title=t&description=d&pub_date=2026-01-02T03:04"), 403);
    assert_eq!(send("POST", &format!("{form}Sec-Fetch-Site: cross-site\r\n"), &body), 403);
    assert_eq!(send("POST", "Content-Type: text/plain\r\n", &body), 415);
    assert_eq!(send("POST", "", &body), 415);
    assert_eq!(send("POST", form, "title=%FF"), 415);
    assert_eq!(send("PUT", form, &body), 405);
    assert_eq!(send("DELETE", form, &body), 405);
    assert!(browser.page("/admin/tasks/").contains("There are no tasks yet."), "nothing came of all that");
    assert_eq!(
        browser.send("POST", "/admin/tasks/add", &format!("{form}Sec-Fetch-Site: same-origin\r\n"), &body).status,
        303
    );

    // A forged sign-in is refused as well.
    let mut stranger = site.browser();
    let fields = [("username", "eva"), ("password", PASSWORD)];
    assert_eq!(stranger.post("/admin/sign-in", &fields).status, 403, "without a cookie");
    stranger.get("/admin/sign-in");
    assert_eq!(stranger.post_with(&other.token, "/admin/sign-in", &fields).status, 403, "with the token of another");
    assert_eq!(stranger.post("/admin/sign-in", &fields).status, 303);
}

pub(super) fn sessions_expire(site: &Site) {
    for (what, change) in [
        ("idle", "UPDATE tasks_admin_session SET seen_at = '2026-01-01T00:00:00+00:00'"),
        ("old", "UPDATE tasks_admin_session SET created_at = '2026-01-01T00:00:00+00:00'"),
        ("another password", "UPDATE tasks_user SET password_hash = '$argon2id$other'"),
        ("not active", "UPDATE tasks_user SET is_active = FALSE"),
        ("not staff", "UPDATE tasks_user SET is_staff = FALSE"),
        ("deleted", "DELETE FROM tasks_user"),
    ] {
        site.execute("DELETE FROM tasks_user");
        site.add_user("eva", true);
        let mut browser = site.signed_in("eva");
        browser.page("/admin/tasks/");
        site.execute(change);
        let answer = browser.get("/admin/tasks/");
        assert_eq!(answer.header("location"), Some("/admin/sign-in?next=%2Fadmin%2Ftasks%2F"), "{what}");
        let answer = browser.post("/admin/tasks/delete", &[("id", "1")]);
        assert_eq!(answer.header("location"), Some("/admin/sign-in"), "{what}");
    }
}

pub(super) fn sessions_are_valid_at_every_instance(site: &Site) {
    let browser = site.signed_in("eva");
    let other = site.other_instance();
    let mut moved = super::site::Browser { site: &other, ..browser.clone() };
    moved.page("/admin/tasks/");
    let add = [("title", "Through another"), ("description", "d"), ("pub_date", "2026-01-02T03:04")];
    let added = super::site::Browser { site: &other, ..browser.clone() }.post("/admin/tasks/add", &add);
    assert_eq!(added.status, 303, "a form of one instance is taken by another");
    assert!(browser.clone().page("/admin/tasks/").contains("Added the task “Through another”."));
    assert_eq!(moved.post("/admin/sign-out", &[]).status, 303);
    assert_eq!(browser.clone().get("/admin/tasks/").status, 303);
}

pub(super) fn every_response_has_security_headers(site: &Site) {
    let mut browser = site.signed_in("eva");
    for (path, status) in [
        ("/admin", 303),
        ("/admin/", 200),
        ("/admin/tasks/", 200),
        ("/admin/tasks/add", 200),
        ("/admin/tasks/7", 404),
        ("/admin/tasks/-1", 404),
        ("/admin/tasks/99999999999999999999", 404),
        ("/admin/tasks/x%00", 404),
        ("/admin/users/99/password", 404),
        ("/admin/nothing", 404),
        ("/admin/sign-out", 405),
        ("/admin/activity/", 200),
    ] {
        let answer = browser.get(path);
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; img-src 'self';"), "{path}: {policy}");
        for loaded in ["<script", "<style", " style=", "http://", "https://", "src=\"//"] {
            assert!(!answer.body.contains(loaded), "{path} contains {loaded}");
        }
    }
    let head = browser.send("HEAD", "/admin/tasks/", "", "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for (path, allowed) in [
        ("/admin/tasks/", "GET, HEAD"),
        ("/admin/tasks/1", "GET, HEAD, POST"),
        ("/admin/sign-out", "POST"),
        ("/admin/sign-in", "GET, HEAD, POST"),
    ] {
        let answer = browser.send("PATCH", path, "", "");
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allowed)), "{path}");
    }
    let front = site.browser().get("/");
    assert_eq!((front.status, front.header("x-frame-options")), (200, Some("DENY")));
    for link in ["/docs", "/tasks/", "/admin/"] {
        assert!(front.body.contains(&format!(r#"<a href="{link}">"#)), "{link}: {}", front.body);
    }
    let page = browser.page("/admin/");
    let style = page.split(r#"<link rel="stylesheet" href=""#).nth(1).unwrap().split('"').next().unwrap().to_owned();
    let answer = site.browser().get(&style);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/css; charset=utf-8")));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(site.browser().get("/admin/style.css?v=older").header("cache-control"), Some("no-cache"));
    assert_eq!(site.browser().get("/admin/icon.svg").header("content-type"), Some("image/svg+xml"));
    let signed_out = exchange(site.service.address, "GET /admin/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!((signed_out.status, signed_out.header("x-frame-options")), (303, Some("DENY")));
}
