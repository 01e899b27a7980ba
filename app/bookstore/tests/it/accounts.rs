//! Registration, sign-in and sessions.

use kit::{
    session::{Session, Sessions},
    testing::wait_until,
};

use crate::{
    browser::{alert, faults},
    shop::{KEY, PASSWORD, Shop},
};

pub(crate) fn a_user_registers_and_signs_in_and_out(shop: &Shop) {
    let mut browser = shop.browser();
    let form = browser.get("/register");
    let cookie = form.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax"), "{cookie}");
    browser.register("ana");
    let before = browser.cookies["bookstore_session"].clone();
    browser.sign_in("ana");
    assert_ne!(browser.cookies["bookstore_session"], before, "a session that was planted before is worth nothing");
    assert!(browser.page("/").contains("You are signed in as ana"));
    assert!(browser.page("/book/my_books").contains("You sell no books yet."));

    let answer = browser.get("/logout");
    assert_eq!((answer.status, answer.header("location")), (302, Some("/login")));
    assert_eq!(browser.get("/book/my_books").status, 302);
    assert!(!browser.page("/").contains("You are signed in"));

    // The sign-in ignores case and spaces of the address.
    browser.page("/login");
    let fields = [("email", " Ana@Example.ORG "), ("password", PASSWORD)];
    assert_eq!(browser.submit("/login", &fields), "/book/catalog");

    let secure = shop.other_instance(&[("COOKIE_SECURE", "true")]);
    let cookie = secure.browser().get("/login").header("set-cookie").unwrap().to_owned();
    assert!(cookie.ends_with("; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
}

pub(crate) fn refused_registrations_show_their_faults(shop: &Shop) {
    let mut browser = shop.signed_in("ana");
    let taken = "A user with this email address exists already.";
    let (required, address) = ("This value is required.", "Enter an email address such as ana@example.org.");
    let (short, long) = ("This password is too short. It must contain at least 8 characters.", "x".repeat(151));
    for (name, email, password, expected) in [
        ("Ana", "ana@example.org", PASSWORD, &[taken][..]),
        ("Ana", "ANA@example.org", PASSWORD, &[taken]),
        ("", "", "", &[required, required, required]),
        (" ", "ana", "horse", &[required, address, short]),
        (&long, "eva@example.org", PASSWORD, &["Use at most 150 characters."]),
        ("Eva", &format!("{long}@example.org"), PASSWORD, &["Use at most 150 characters."]),
        ("E\0va", "eva@example.org", PASSWORD, &["Remove the null character."]),
        ("Eva", "e va@example.org", "12345678", &[address, "This password is entirely numeric."]),
    ] {
        browser.page("/register");
        let answer = browser.post("/register", &[("name", name), ("email", email), ("password", password)]);
        assert_eq!((answer.status, faults(&answer.body)), (200, expected.to_vec()), "{name} {email}");
        assert!(password.is_empty() || !answer.body.contains(password), "a password is not sent back");
    }
    assert_eq!(shop.number("SELECT COUNT(*) FROM bookstore_user"), 2);

    for (email, password) in [
        ("ana@example.org", "wrong horse"),
        ("ana@example.org", ""),
        ("nobody@example.org", PASSWORD),
        ("", ""),
        ("a\0na@example.org", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
    ] {
        let mut browser = shop.browser();
        browser.page("/login");
        let answer = browser.post("/login", &[("email", email), ("password", password)]);
        let message = "The email address or the password is wrong.";
        assert_eq!((answer.status, alert(&answer.body)), (200, message), "{email}");
        assert_eq!(browser.get("/book/my_books").status, 302, "{email}");
    }
}

pub(crate) fn a_sign_in_leads_to_the_requested_page(shop: &Shop) {
    let mut browser = shop.browser();
    browser.register("ana");
    for (path, location) in [
        ("/book/my_books", "/login?next=%2Fbook%2Fmy_books"),
        ("/book/add_book", "/login?next=%2Fbook%2Fadd_book"),
        ("/book/edit_book/1", "/login?next=%2Fbook%2Fedit_book%2F1"),
        ("/payment/1?x=1", "/login?next=%2Fpayment%2F1%3Fx%3D1"),
        ("/delivery/1", "/login?next=%2Fdelivery%2F1"),
        ("/admin/users", "/login?next=%2Fadmin%2Fusers"),
    ] {
        let answer = browser.get(path);
        assert_eq!((answer.status, answer.header("location")), (302, Some(location)), "{path}");
    }
    let credentials = [("email", "ana@example.org"), ("password", PASSWORD)];
    for (next, location) in [
        ("%2Fbook%2Fmy_books", "/book/my_books"),
        ("/book/my_books", "/book/my_books"),
        ("%2F%2Fevil.example", "/book/catalog"),
        ("%2F%5Cevil.example", "/book/catalog"),
        ("https%3A%2F%2Fevil.example", "/book/catalog"),
        ("%2F%0d%0aX%3A+y", "/book/catalog"),
    ] {
        let mut browser = browser.clone();
        let page = browser.page(&format!("/login?next={next}"));
        assert!(page.contains(&format!(r#"name="next" value="{location}""#)), "{next}: {page}");
        let fields = [("next", location), credentials[0], credentials[1]];
        assert_eq!(browser.submit("/login", &fields), location);
    }
    // The sent form is not trusted either.
    browser.page("/login");
    let fields = [("next", "//evil.example"), credentials[0], credentials[1]];
    assert_eq!(browser.submit("/login", &fields), "/book/catalog");
}

pub(crate) fn forms_need_their_token(shop: &Shop) {
    let book = [("title", "t"), ("author", "a"), ("price", "1"), ("stock", "1")];
    let other = shop.signed_in("eva");
    let mut browser = shop.signed_in("ana");
    browser.page("/book/add_book");
    for token in ["", "x", &other.form_token, &browser.form_token[1..]] {
        for path in
            ["/book/add_book", "/book/edit_book/1", "/book/delete_book/1", "/buy/1", "/payment/1", "/delivery/1"]
        {
            assert_eq!(browser.clone().post_with(token, path, &book).status, 403, "{path} {token}");
        }
    }
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let body = format!("title=t&author=a&price=1&stock=1&csrf={}", browser.form_token);
    let mut send = |headers: &[(&str, &str)], body: &str| browser.send("POST /book/add_book", headers, body).status;
    assert_eq!(send(&[form], "title=t&author=a&price=1&stock=1"), 403);
    assert_eq!(send(&[form, ("Sec-Fetch-Site", "cross-site")], &body), 403);
    assert_eq!(send(&[("Content-Type", "text/plain")], &body), 415);
    assert_eq!(send(&[], &body), 415);
    assert_eq!(send(&[form], "title=%FF"), 415);
    assert_eq!(shop.number("SELECT COUNT(*) FROM bookstore_book"), 0);
    assert_eq!(send(&[form, ("Sec-Fetch-Site", "same-origin")], &body), 302);

    // Forged sign-ins and registrations are refused as well.
    let mut stranger = shop.browser();
    let fields = [("name", "Ida"), ("email", "ida@example.org"), ("password", PASSWORD)];
    for path in ["/login", "/register"] {
        assert_eq!(stranger.post(path, &fields).status, 403, "{path} without a session");
    }
    stranger.page("/login");
    assert_eq!(stranger.post_with(&other.form_token, "/register", &fields).status, 403);
    assert_eq!(stranger.post("/register", &fields).status, 302);
    // The token before the sign-in is not that of the signed-in user.
    let before = stranger.form_token.clone();
    stranger.sign_in("ida");
    assert_eq!(stranger.post_with(&before, "/book/add_book", &book).status, 403);
}

pub(crate) fn an_expired_session_leads_to_the_sign_in(shop: &Shop) {
    let mut browser = shop.signed_in("ana");
    let settings = |key: &str, seconds: &str| {
        let (key, seconds) = (key.to_owned(), seconds.to_owned());
        Sessions::from("bookstore_session", &move |name| match name {
            "SECRET_KEY" => Some(key.clone()),
            "SESSION_SECONDS" => Some(seconds.clone()),
            _ => None,
        })
        .unwrap()
    };
    let forge = |sessions: &Sessions, user: i64| {
        let cookie = sessions.set_cookie(&Session::new(Some(user)).unwrap()).unwrap();
        let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        pair.strip_prefix("bookstore_session=").unwrap().to_owned()
    };
    let valid = forge(&settings(KEY, "60"), 1);
    let other_key = forge(&settings(&"x".repeat(32), "60"), 1);
    let unknown_user = forge(&settings(KEY, "60"), 99);
    let expiring = forge(&settings(KEY, "1"), 1);
    browser.cookies.insert("bookstore_session".into(), expiring.clone());
    wait_until("the session has expired", || browser.get("/book/my_books").status == 302);
    for (cookie, status) in [(valid, 200), (other_key, 302), (unknown_user, 302), (expiring, 302)] {
        browser.cookies.insert("bookstore_session".into(), cookie);
        assert_eq!(browser.get("/book/my_books").status, status);
        if status == 302 {
            let answer = browser.post("/buy/1", &[("quantity", "1")]);
            assert!(matches!(answer.status, 302 | 403), "{answer:?}");
        }
    }
}

pub(crate) fn attempts_are_rate_limited(shop: &Shop) {
    let limits = [("AUTH_ATTEMPTS_PER_USER", "5"), ("AUTH_ATTEMPTS_PER_CLIENT", "9")];
    let shop = shop.other_instance(&limits);
    let mut browser = shop.browser();
    browser.page("/login");
    let credentials = [("email", "ana@example.org"), ("password", "a guess")];
    let statuses: Vec<_> = (0..6).map(|_| browser.post("/login", &credentials).status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429]);
    let refused = browser.post("/login", &credentials);
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert!(alert(&refused.body).starts_with("Too many attempts. Try again in "), "{}", refused.body);

    // Other addresses, until the limit of the client.
    let refused = (0..9).map(|number| {
        let email = format!("user{number}@example.org");
        browser.post("/register", &[("name", "n"), ("email", &email), ("password", PASSWORD)])
    });
    let refused = refused.into_iter().find(|answer| answer.status != 302).unwrap();
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").is_some());
    assert!(refused.body.contains(r#"value="user"#), "the form is shown again");
}

pub(crate) fn only_administrators_see_the_users(shop: &Shop) {
    let mut browser = shop.signed_in("ana");
    assert_eq!(browser.get("/admin/users").status, 403);
    assert!(!browser.page("/").contains("/admin/users"));
    let mut admin = shop.browser();
    admin.sign_in("admin");
    let users = admin.page("/admin/users");
    for shown in ["admin@example.org", "administrator", "ana@example.org"] {
        assert!(users.contains(shown), "{shown}: {users}");
    }
    assert!(!users.contains("argon2"), "{users}");
    assert!(admin.page("/").contains("/admin/users"));
    // Another start creates no second administrator.
    shop.other_instance(&[]).browser().page("/");
    assert_eq!(shop.number("SELECT COUNT(*) FROM bookstore_user WHERE is_admin"), 1);
}
