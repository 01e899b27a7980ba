//! The history of objects.

use sea_orm::{EntityTrait, QueryOrder};
use tasks::entity::admin_history::{Column, Entity, Model};

use super::site::{PASSWORD, Site};

fn entries(site: &Site) -> Vec<Model> {
    site.database(async |database| Entity::find().order_by_asc(Column::Id).all(&database).await.unwrap())
}

fn actions(site: &Site) -> Vec<(String, String, String)> {
    entries(site).into_iter().map(|entry| (entry.username, entry.action, entry.object_name)).collect()
}

pub(super) fn the_history_of_a_task_lists_its_changes(site: &Site) {
    let mut browser = site.signed_in("eva");
    let task = |title| [("title", title), ("description", "two\nbottles"), ("pub_date", "2026-01-02T03:04:05")];
    browser.submit("/admin/tasks/add", &task("Buy milk"));
    assert_eq!(browser.post("/admin/tasks/add", &task(" ")).status, 422);
    browser.submit("/admin/tasks/1", &task("Buy <oats>"));
    browser.submit("/admin/tasks/1", &task("Buy <oats>"));
    let page = browser.page("/admin/tasks/1/history?list=q%3Doats");
    let newest = page.split("<tbody").nth(1).unwrap().split("</tr>").next().unwrap().to_owned();
    for shown in [">eva</td>", ">Changed</td>", "<b>Title</b> <del>Buy milk</del> <ins>Buy &#60;oats&#62;</ins>"] {
        assert!(newest.contains(shown), "{shown}: {newest}");
    }
    assert!(!newest.contains("Description"), "only what differs: {newest}");
    assert!(page.contains(r#"<a href="/admin/tasks/1?list=q%3Doats">Buy &#60;oats&#62;</a>"#), "{page}");

    browser.submit("/admin/tasks/delete", &[("id", "1")]);
    let page = browser.page("/admin/tasks/1/history");
    assert!(page.contains("This task has been deleted.") && page.contains(">Deleted</td>"), "{page}");
    assert_eq!(browser.get("/admin/tasks/2/history").status, 404);
    let expected = [("Added", "Buy milk"), ("Changed", "Buy <oats>"), ("Deleted", "Buy <oats>")];
    let expected = expected.map(|(action, name)| ("eva".to_owned(), action.to_owned(), name.to_owned()));
    assert_eq!(actions(site), expected, "a form that is refused or changes nothing has no entry");

    let list = browser.page("/admin/history/?model=tasks&user=eva&q=milk");
    assert!(list.contains("1–2 of 2") && list.contains("Title: Buy milk → Buy &#60;oats&#62;"), "{list}");
    assert!(browser.page("/admin/history/2").contains("Title: Buy milk"));
}

pub(super) fn the_history_of_users_contains_no_passwords(site: &Site) {
    let guest = site.add_user("guest", false);
    let mut browser = site.signed_in("eva");
    browser.page("/admin/");
    let new = "battery staple";
    browser.submit(&format!("/admin/users/{guest}/password"), &[("password", new), ("again", new)]);
    let staff = [("username", "guest"), ("active", "yes"), ("staff", "yes"), ("permissions", "tasks.view")];
    browser.submit(&format!("/admin/users/{guest}"), &staff);
    browser.submit("/admin/users/add", &[("username", "noor"), ("password", PASSWORD), ("again", PASSWORD)]);
    browser.submit("/admin/users/deactivate", &[("id", &guest.to_string())]);
    let written = entries(site);
    let changes: Vec<_> = written.iter().map(|entry| (entry.action.as_str(), entry.changes.as_str())).collect();
    assert_eq!(changes[0], ("Changed password", "[]"));
    let rights = r#"[{"field":"Staff","from":"no","to":"yes"},{"field":"Permissions","from":"","to":"Tasks: view"}]"#;
    assert_eq!(changes[1], ("Changed", rights));
    assert_eq!(changes[3], ("Deactivated", r#"[{"field":"Active","from":"yes","to":"no"}]"#));
    assert_eq!(changes.len(), 4);
    for entry in &written {
        assert!(!entry.changes.contains("staple") && !entry.changes.contains("argon2"), "{entry:?}");
        assert!(!entry.changes.contains(PASSWORD) && entry.user_id == 1, "{entry:?}");
    }
}

pub(super) fn every_change_has_an_entry(site: &Site) {
    site.add_tasks([("Buy milk".to_owned(), "two bottles".to_owned(), "2026-01-02T03:04:05Z".to_owned())]);
    let guest = site.add_user("guest", false);
    let mut browser = site.signed_in("eva");
    let before = site.service.send("GET /tasks/", "").body;
    site.execute("ALTER TABLE tasks_admin_history RENAME TO elsewhere");
    let task = [("title", "t"), ("description", "d"), ("pub_date", "2026-01-02T03:04")];
    let password = [("password", "battery staple"), ("again", "battery staple")];
    let password_page = format!("/admin/users/{guest}/password");
    for (path, fields) in [
        ("/admin/tasks/add", &task[..]),
        ("/admin/tasks/1", &task),
        ("/admin/tasks/publish", &[("id", "1")]),
        ("/admin/tasks/delete", &[("id", "1")]),
        (password_page.as_str(), &password),
    ] {
        assert_eq!(browser.post(path, fields).status, 500, "{path}");
        browser.page("/admin/tasks/1");
    }
    assert_eq!(site.service.send("GET /tasks/", "").body, before);
    site.execute("ALTER TABLE elsewhere RENAME TO tasks_admin_history");
    browser.submit("/admin/tasks/1", &task);
}
