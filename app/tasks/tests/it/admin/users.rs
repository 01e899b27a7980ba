//! Users in the admin site.

use super::site::{PASSWORD, Site, first_row};

pub(super) fn a_user_is_added_changed_and_deleted(site: &Site) {
    let mut browser = site.signed_in("eva");
    browser.page("/admin/users/add");
    let wrong = browser.post("/admin/users/add", &[("username", "a b"), ("password", "1234"), ("again", "12345")]);
    assert_eq!(wrong.status, 422);
    for fault in ["Enter a valid username.", "too short", "entirely numeric", "The two passwords differ."] {
        assert!(wrong.body.contains(fault), "{fault}: {}", wrong.body);
    }
    assert!(!wrong.body.contains("12345"), "a password is not sent back");
    let taken = browser.post("/admin/users/add", &[("username", "eva"), ("password", PASSWORD), ("again", PASSWORD)]);
    assert!(taken.status == 422 && taken.body.contains("A user with that username already exists."), "{}", taken.body);

    let add = [("username", "guest"), ("password", PASSWORD), ("again", PASSWORD)];
    let list = browser.submit("/admin/users/add", &add);
    assert!(list.contains("Added the user “guest”."), "{list}");
    assert!(!list.contains("argon2"), "{list}");
    assert_eq!(site.browser().sign_in("guest", PASSWORD).status, 422, "not of the staff yet");

    let guest_page = first_row(&browser.page("/admin/users/?q=guest"));
    let form = browser.page(&guest_page);
    assert!(form.contains(&format!("{guest_page}/password")) && !form.contains("argon2"), "{form}");
    browser.submit(&guest_page, &[("username", "guest2"), ("active", "yes"), ("staff", "yes"), ("superuser", "yes")]);
    let mut guest = site.signed_in("guest2");
    guest.page("/admin/users/");
    let taken = browser.post(&guest_page, &[("username", "eva"), ("active", "yes")]);
    assert!(taken.status == 422 && taken.body.contains("A user with that username already exists."), "{}", taken.body);
    guest.page("/admin/users/");

    browser.submit(&guest_page, &[("username", "guest2"), ("staff", "yes")]);
    assert_eq!(guest.get("/admin/users/").status, 303, "not active any more");
    let list = browser.submit("/admin/users/delete", &[("id", guest_page.rsplit('/').next().unwrap())]);
    assert!(list.contains("Deleted the user “guest2”."), "{list}");
    assert_eq!(browser.get(&guest_page).status, 404);
}

pub(super) fn users_cannot_revoke_their_own_rights(site: &Site) {
    site.add_user("adam", true);
    let mut browser = site.signed_in("eva");
    for missing in ["staff", "active", "superuser"] {
        let fields = [("username", "eva"), ("staff", "yes"), ("active", "yes"), ("superuser", "yes")];
        let fields: Vec<_> = fields.into_iter().filter(|(name, _)| *name != missing).collect();
        let answer = browser.post("/admin/users/1", &fields);
        assert_eq!(answer.status, 422);
        let errors = answer.body.split(&format!(r#"id="{missing}-errors""#)).nth(1).unwrap();
        assert!(errors.contains("you would lock yourself out"), "{}", answer.body);
    }
    assert!(!browser.page("/admin/users/1").contains("/admin/users/delete"));
    let why =
        "“eva” cannot be deleted: this is your account; another member of the staff has to do it. Nothing was deleted.";
    assert!(browser.page("/admin/users/delete?id=1&id=2").contains(why));
    let answer = browser.post("/admin/users/delete", &[("id", "1"), ("id", "2")]);
    assert!(answer.status == 409 && answer.body.contains(why), "{}", answer.body);
    let list = browser.page("/admin/users/");
    assert!(list.contains("eva") && list.contains("adam"), "{list}");
    let deactivated = browser.post("/admin/users/deactivate", &[("id", "1"), ("id", "2")]);
    assert!(deactivated.status == 409 && deactivated.body.contains("“eva” cannot be deactivated"), "{deactivated:?}");
    let eve = [("username", "eve"), ("staff", "yes"), ("active", "yes"), ("superuser", "yes")];
    browser.submit("/admin/users/1", &eve);
    assert!(browser.page("/admin/").contains("eve"));
}

pub(super) fn a_new_password_ends_the_other_sessions(site: &Site) {
    let mut browser = site.signed_in("eva");
    let mut elsewhere = site.signed_in("eva");
    site.execute(
        "INSERT INTO tasks_refresh_token (hash, user_id, family, expires_at) \
         VALUES ('h', 1, 'f', '2036-01-01T00:00:00+00:00')",
    );
    browser.page("/admin/users/1/password");
    let wrong = browser.post("/admin/users/1/password", &[("password", "short"), ("again", "other")]);
    assert!(wrong.status == 422 && wrong.body.contains("too short") && wrong.body.contains("differ"), "{}", wrong.body);
    elsewhere.page("/admin/");
    let new = "battery staple";
    let page = browser.submit("/admin/users/1/password", &[("password", new), ("again", new)]);
    assert!(page.contains("Changed the password of “eva”."), "{page}");
    assert_eq!(elsewhere.get("/admin/").status, 303);
    browser.page("/admin/");
    assert_eq!(site.browser().sign_in("eva", PASSWORD).status, 422);
    assert_eq!(site.browser().sign_in("eva", new).status, 303);
    let left = site.database(async |database| {
        use sea_orm::{EntityTrait, PaginatorTrait};
        tasks::entity::refresh_token::Entity::find().count(&database).await.unwrap()
    });
    assert_eq!(left, 0, "what was got for the password before is worth nothing");
}
