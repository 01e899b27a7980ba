//! Permissions: for every page, for links and buttons, and for granting permissions.

use kit::testing::exchange;
use sea_orm::EntityTrait;
use tasks::entity::user;

use super::site::{PASSWORD, Site};

const MODELS: [&str; 3] = ["tasks", "users", "groups"];
const TASK: &[(&str, &str)] = &[("title", "t"), ("description", "d"), ("pub_date", "2026-01-02T03:04")];

fn one_task(site: &Site) {
    site.add_tasks([("Buy milk".to_owned(), "two bottles".to_owned(), "2026-01-02T03:04:05Z".to_owned())]);
}

/// A request (method, path, form), and the permission that it needs.
type Page = (&'static str, String, &'static [(&'static str, &'static str)], String);

fn pages() -> Vec<Page> {
    let mut pages = Vec::new();
    for model in MODELS {
        let mut page = |method, path: &str, fields, verb: &str| {
            pages.push((method, format!("/admin/{model}/{path}"), fields, format!("{model}.{verb}")));
        };
        for path in ["", "1", "1/history", "export.csv", "export.json"] {
            page("GET", path, &[][..], "view");
        }
        page("GET", "add", &[], "add");
        page("POST", "add", &[], "add");
        page("POST", "1", &[], "change");
        page("GET", "delete?id=1", &[], "delete");
        page("POST", "delete", &[("id", "999")], "delete");
    }
    let mut page = |method, path: &str, fields, permission: &str| {
        pages.push((method, path.to_owned(), fields, permission.to_owned()));
    };
    page("POST", "/admin/tasks/add", TASK, "tasks.add");
    page("POST", "/admin/tasks/1", TASK, "tasks.change");
    page("GET", "/admin/tasks/publish?id=1", &[], "tasks.change");
    page("POST", "/admin/tasks/publish", &[("id", "1")], "tasks.change");
    for action in ["activate", "deactivate"] {
        page("GET", &format!("/admin/users/{action}?id=1"), &[], "users.change");
        page("POST", &format!("/admin/users/{action}"), &[("id", "999")], "users.change");
    }
    page("GET", "/admin/users/3/password", &[], "users.change");
    page("POST", "/admin/users/3/password", &[], "users.change");
    for model in ["activity", "history"] {
        for path in ["", "export.csv", "export.json"] {
            page("GET", &format!("/admin/{model}/{path}"), &[], &format!("{model}.view"));
        }
        page("GET", &format!("/admin/{model}/1"), &[], &format!("{model}.view"));
    }
    pages
}

pub(super) fn every_page_needs_its_permission(site: &Site) {
    one_task(site);
    let id = site.add_staff("noor", &[]);
    site.add_user("guest", false);
    site.execute("INSERT INTO tasks_group (name) VALUES ('Editors')");
    let mut browser = site.signed_in("noor");
    let mut permissions: Vec<String> = MODELS
        .iter()
        .flat_map(|model| ["view", "add", "change", "delete"].map(|verb| format!("{model}.{verb}")))
        .collect();
    permissions.extend(["activity.view", "history.view", "tasks.nonsense"].map(str::to_owned));
    for permission in permissions.iter().map(String::as_str).chain([""]) {
        site.permit(id, if permission.is_empty() { &[] } else { std::slice::from_ref(&permission) });
        for (method, path, fields, needed) in pages() {
            let status = match method {
                "GET" => browser.get(&path).status,
                _ => browser.post(&path, fields).status,
            };
            let implied = needed.strip_suffix(".view").is_some_and(|model| permission == format!("{model}.change"));
            // Only superusers may change users with more rights.
            let is_above = method == "POST" && path == "/admin/users/1";
            let is_permitted = (permission == needed || implied) && !is_above;
            assert_eq!(status != 403, is_permitted, "{method} {path} with {permission:?}: {status}");
        }
    }
}

pub(super) fn pages_offer_only_what_is_permitted(site: &Site) {
    one_task(site);
    let id = site.add_staff("noor", &[]);
    let mut browser = site.signed_in("noor");
    let home = browser.page("/admin/");
    assert!(home.contains("You have no permissions yet.") && !home.contains("Latest changes"), "{home}");
    assert!(!home.contains(r#"<a href="/admin/tasks/""#), "{home}");

    site.permit(id, &["tasks.view"]);
    let (home, list, row) = (browser.page("/admin/"), browser.page("/admin/tasks/"), browser.page("/admin/tasks/1"));
    assert!(home.contains(r#"<a href="/admin/tasks/""#) && !home.contains("/admin/users/\""), "{home}");
    assert!(!home.contains("/admin/tasks/add"), "{home}");
    for missing in ["/admin/tasks/add", "checkbox", "/admin/tasks/delete", "/admin/tasks/publish"] {
        assert!(!list.contains(missing), "{missing}: {list}");
    }
    assert!(row.contains("two bottles") && row.contains("/admin/tasks/1/history"), "{row}");
    assert!(!row.contains("Save") && !row.contains("/admin/tasks/delete"), "{row}");

    site.permit(id, &["tasks.change"]);
    let (list, row) = (browser.page("/admin/tasks/"), browser.page("/admin/tasks/1"));
    assert!(list.contains("/admin/tasks/publish") && !list.contains("/admin/tasks/delete"), "{list}");
    assert!(row.contains("Save") && !row.contains("/admin/tasks/delete"), "{row}");

    site.permit(id, &["tasks.view", "tasks.delete", "tasks.add"]);
    let (list, row) = (browser.page("/admin/tasks/"), browser.page("/admin/tasks/1"));
    assert!(!list.contains("/admin/tasks/publish") && list.contains("/admin/tasks/delete"), "{list}");
    assert!(list.contains("/admin/tasks/add") && !row.contains("Save"), "{list}");
}

pub(super) fn groups_grant_permissions(site: &Site) {
    one_task(site);
    let id = site.add_staff("noor", &[]);
    let mut eva = site.signed_in("eva");
    eva.page("/admin/groups/add");
    let group = [("name", "Editors"), ("permissions", "tasks.change"), ("permissions", "tasks.nonsense")];
    let list = eva.submit("/admin/groups/add", &group);
    assert!(list.contains("Added the group “Editors”."), "{list}");
    let taken = eva.post("/admin/groups/add", &[("name", "Editors")]);
    assert!(taken.status == 422 && taken.body.contains("A group with that name already exists."), "{}", taken.body);
    assert_eq!(eva.post("/admin/groups/add", &[("name", " ")]).status, 422);

    let mut noor = site.signed_in("noor");
    assert_eq!(noor.get("/admin/tasks/1").status, 403);
    let user = format!("/admin/users/{id}");
    let member = [("username", "noor"), ("active", "yes"), ("staff", "yes"), ("groups", "1"), ("groups", "99")];
    eva.submit(&user, &member);
    assert!(noor.page("/admin/tasks/1").contains("Save"));
    let form = eva.page(&user);
    assert!(form.contains(r#"name="groups" value="1" checked"#), "{form}");
    let history = eva.page(&format!("{user}/history"));
    assert!(history.contains("<b>Groups</b>") && history.contains("<ins>Editors</ins>"), "{history}");

    // With another permission instead.
    eva.submit("/admin/groups/1", &[("name", "Editors"), ("permissions", "tasks.view")]);
    assert!(!noor.page("/admin/tasks/1").contains("Save"));
    eva.submit("/admin/groups/delete", &[("id", "1")]);
    assert_eq!(noor.get("/admin/tasks/1").status, 403);
}

pub(super) fn rights_are_not_escalated(site: &Site) {
    let id = site.add_staff("noor", &["users.add", "users.change", "users.delete", "groups.add", "groups.change"]);
    let other = site.add_staff("li.wei", &[]);
    let guest = site.add_user("guest", false);
    let mut noor = site.signed_in("noor");
    let has_rights = |id: i64| {
        let user = site.database(async |database| user::Entity::find_by_id(id).one(&database).await.unwrap().unwrap());
        user.is_superuser || user.is_staff && user.username != "noor"
    };

    // Fields that the form does not contain are ignored.
    let form = noor.page(&format!("/admin/users/{guest}"));
    assert!(!form.contains(r#"name="staff""#) && !form.contains(r#"name="permissions""#), "{form}");
    let rights = [("active", "yes"), ("staff", "yes"), ("superuser", "yes"), ("permissions", "tasks.view")];
    let named = |name: &'static str| rights.into_iter().chain([("username", name)]).collect::<Vec<_>>();
    noor.submit(&format!("/admin/users/{guest}"), &named("guest"));
    noor.submit(&format!("/admin/users/{id}"), &named("noor"));
    let mut new = named("new");
    new.extend([("password", PASSWORD), ("again", PASSWORD)]);
    noor.submit("/admin/users/add", &new);
    assert!(!has_rights(guest) && !has_rights(id) && !has_rights(guest + 1));

    // Users with other permissions cannot be changed either.
    for above in [1, other] {
        let page = noor.page(&format!("/admin/users/{above}"));
        assert!(page.contains("only a superuser can change users of the staff") && !page.contains("Save"), "{page}");
        let change = noor.post(&format!("/admin/users/{above}"), &named("taken.over"));
        let password = [("password", "battery staple"), ("again", "battery staple")];
        let password = noor.post(&format!("/admin/users/{above}/password"), &password);
        assert_eq!((change.status, password.status), (403, 403));
        for action in ["delete", "deactivate"] {
            let answer = noor.post(&format!("/admin/users/{action}"), &[("id", &above.to_string())]);
            assert_eq!(answer.status, 409, "{action}");
        }
    }
    let password = noor.page(&format!("/admin/users/{id}/password"));
    assert!(password.contains("New password for noor"), "everybody may change their own: {password}");

    // A user cannot grant a group more than their own permissions.
    let refused = noor.post("/admin/groups/add", &[("name", "All"), ("permissions", "tasks.delete")]);
    let why = "You can grant only your own permissions. You do not have: tasks.delete.";
    assert!(refused.status == 422 && refused.body.contains(why), "{}", refused.body);
    noor.submit("/admin/groups/add", &[("name", "All"), ("permissions", "users.change")]);
    let group = site.signed_in("eva").page("/admin/groups/");
    assert!(group.contains(">All</a>"), "{group}");
}

pub(super) fn a_refusal_is_a_page_of_the_site(site: &Site) {
    site.add_staff("noor", &["tasks.view"]);
    let mut noor = site.signed_in("noor");
    for (path, status, title) in [
        ("/admin/users/", 403, "Not permitted"),
        ("/admin/nothing", 404, "Not found"),
        ("/admin/tasks/nothing/at/all", 404, "Not found"),
        ("/admin/tasks/77", 404, "Not found"),
    ] {
        let answer = noor.get(path);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, Some("text/html; charset=utf-8")),
            "{path}"
        );
        assert!(answer.body.contains(&format!("<h1>{title}</h1>")), "{path}: {}", answer.body);
        assert!(answer.body.contains(r#"<a href="/admin/tasks/""#), "with the menu: {}", answer.body);
    }
    // For browsers, also outside of the admin site.
    let ask = |accept: &str| {
        let head = format!("GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: {accept}\r\n\r\n");
        exchange(site.service.address, &head)
    };
    let page = ask("text/html,application/xhtml+xml");
    assert!(page.status == 404 && page.body.contains("<h1>Not found</h1>"), "{page:?}");
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    let json = ask("*/*");
    assert_eq!((json.status, json.body.as_str()), (404, r#"{"detail":"Not found."}"#));
}
