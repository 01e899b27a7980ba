//! Forms and deletion of tasks.

use kit::testing::wait_until;

use super::site::{Site, first_row};

const HTML: &str = r#"<script>alert("1")</script><img src=x onerror='alert(2)'>&amp;"#;
const ESCAPED: &str =
    "&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62;&#60;img src=x onerror=&#39;alert(2)&#39;&#62;&#38;amp;";

pub(super) fn a_task_is_added_changed_and_deleted(site: &Site) {
    let mut browser = site.signed_in("eva");
    assert!(browser.page("/admin/tasks/add").contains(r#"type="datetime-local""#));
    let add = [("title", " Buy milk "), ("description", "one\r\ntwo"), ("pub_date", "2026-01-02T03:04")];
    let list = browser.submit("/admin/tasks/add", &add);
    assert!(list.contains("Added the task “Buy milk”."), "{list}");
    assert!(!browser.page("/admin/tasks/").contains("Added the task"), "it is said once");
    let shown = site.service.send("GET /tasks/1", "").body;
    let expected = r#"{"id":1,"title":"Buy milk","pub_date":"2026-01-02T03:04:00.000000Z","description":"one\ntwo"}"#;
    assert_eq!(shown, expected);

    // The microseconds of the time are kept, although the form does not show them.
    site.execute("UPDATE tasks_task SET pub_date = '2026-01-02T03:04:05.123456+00:00'");
    let form = browser.page("/admin/tasks/1?list=q%3Dmilk");
    assert!(form.contains(r#"value="2026-01-02T03:04:05""#), "{form}");
    let change = [("title", "Buy oats"), ("description", "three"), ("pub_date", "2026-01-02T03:04:05")];
    let answer = browser.post("/admin/tasks/1?list=q%3Dmilk%26nonsense%3D1", &change);
    assert_eq!(answer.header("location"), Some("/admin/tasks/?q=milk"), "one comes back to the list as it was");
    assert!(browser.page("/admin/tasks/").contains("Saved the task “Buy oats”."));
    let shown = site.service.send("GET /tasks/1", "").body;
    let expected = r#"{"id":1,"title":"Buy oats","pub_date":"2026-01-02T03:04:05.123456Z","description":"three"}"#;
    assert_eq!(shown, expected);
    let change =
        [("title", "Buy oats"), ("description", "three"), ("pub_date", "2027-01-02T03:04:06"), ("then", "stay")];
    assert_eq!(browser.post("/admin/tasks/1", &change).header("location"), Some("/admin/tasks/1"));
    assert!(site.service.send("GET /tasks/1", "").body.contains("2027-01-02T03:04:06.000000Z"));

    let ask = browser.page("/admin/tasks/delete?id=1&list=q%3Doats");
    assert!(ask.contains("This task will be deleted permanently:") && ask.contains("Buy oats"), "{ask}");
    assert_eq!(site.service.send("GET /tasks/1", "").status, 200, "asking deletes nothing");
    let answer = browser.post("/admin/tasks/delete", &[("id", "1"), ("list", "q=oats")]);
    assert_eq!(answer.header("location"), Some("/admin/tasks/?q=oats"));
    assert!(browser.page("/admin/tasks/").contains("Deleted the task “Buy oats”."));
    assert_eq!(site.service.send("GET /tasks/1", "").status, 404);
    assert_eq!(browser.get("/admin/tasks/1").status, 404);
    assert_eq!(browser.post("/admin/tasks/1", &change).status, 404);
    assert!(browser.submit("/admin/tasks/delete", &[("id", "1")]).contains("Nothing was deleted"));
}

pub(super) fn changes_are_on_the_first_page(site: &Site) {
    let mut browser = site.signed_in("eva");
    browser.submit("/admin/tasks/add", &[("title", "t"), ("description", "d"), ("pub_date", "2026-01-02T03:04")]);
    wait_until("the change is in the activity", || browser.page("/admin/").contains(">/admin/tasks/add<"));
    let home = browser.page("/admin/");
    let row = home.split("<tbody").nth(1).unwrap();
    assert!(row.contains(">eva</td>") && !row.contains("/admin/sign-in"), "{home}");
    assert!(home.contains("<strong>1</strong> Tasks"), "{home}");
}

pub(super) fn faults_are_shown_beside_their_fields(site: &Site) {
    let mut browser = site.signed_in("eva");
    browser.page("/admin/tasks/add");
    let long = "é".repeat(201);
    for (fields, faults) in [
        (
            [("title", " "), ("description", ""), ("pub_date", "")],
            &[
                ("title", "This field may not be blank."),
                ("pub_date", "Datetime has wrong format."),
                ("description", "This field may not be blank."),
            ][..],
        ),
        (
            [("title", &*long), ("description", "kept as it was"), ("pub_date", "tomorrow")],
            &[
                ("title", "Ensure this field has no more than 200 characters."),
                ("pub_date", "Datetime has wrong format."),
            ],
        ),
        (
            [("title", "a\0b"), ("description", "kept as it was"), ("pub_date", "2026-01-02T03:04")],
            &[("title", "Null characters are not allowed.")],
        ),
    ] {
        let answer = browser.post("/admin/tasks/add", &fields);
        assert_eq!(answer.status, 422);
        assert!(answer.body.contains("Nothing was saved."), "{}", answer.body);
        for (field, fault) in faults {
            let errors = answer.body.split(&format!(r#"<ul class="errors" id="{field}-errors">"#)).nth(1);
            let errors = errors.unwrap_or_else(|| panic!("{field}: {}", answer.body)).split("</ul>").next().unwrap();
            assert!(errors.contains(fault), "{field}: {errors}");
            assert!(answer.body.contains(&format!(r#"aria-describedby="{field}-errors"#)), "{}", answer.body);
        }
        assert_eq!(answer.body.matches(r#"<ul class="errors""#).count(), faults.len());
        assert!(fields[1].1.is_empty() || answer.body.contains("\nkept as it was</textarea>"), "{}", answer.body);
    }
    assert_eq!(site.service.send("GET /tasks/", "").body, "[]");
}

pub(super) fn html_is_escaped(site: &Site) {
    let mut browser = site.signed_in("eva");
    browser.page("/admin/tasks/add");
    let list =
        browser.submit("/admin/tasks/add", &[("title", HTML), ("description", HTML), ("pub_date", "2026-01-02T03:04")]);
    let query: String = form_urlencoded::byte_serialize(HTML.as_bytes()).collect();
    let refused = browser.post("/admin/tasks/add", &[("title", HTML), ("description", HTML), ("pub_date", HTML)]).body;
    let not_signed_in = {
        let mut stranger = site.browser();
        stranger.get("/admin/sign-in");
        stranger.post("/admin/sign-in", &[("username", HTML), ("password", HTML), ("next", HTML)]).body
    };
    let user = browser.post("/admin/users/add", &[("username", HTML), ("password", "short")]).body;
    site.execute(&format!(
        "INSERT INTO tasks_activity (time, username, method, path, status, duration_us, client, instance) \
         VALUES ('2026-01-02T03:04:05+00:00', '{0}', 'GET', '{0}', 200, 1, '<b>', '{0}')",
        HTML.replace('\'', "''")
    ));
    let activity = browser.page("/admin/activity/?q=onerror");
    let one_request = first_row(&activity);
    for (what, page, escaped) in [
        ("list and notice", list, 3),
        ("search", browser.page(&format!("/admin/tasks/?q={query}")), 3),
        ("form", browser.page("/admin/tasks/1"), 4),
        ("refused form", refused, 3),
        ("delete", browser.page("/admin/tasks/delete?id=1"), 1),
        ("sign-in", not_signed_in, 1),
        ("user", user, 1),
        ("activity", activity, 2),
        ("filter", browser.page(&format!("/admin/activity/?user={query}")), 3),
        ("one request", browser.page(&one_request), 5),
    ] {
        assert_eq!(page.matches(ESCAPED).count(), escaped, "{what}: {page}");
        for raw in ["<script", "<img src=x", "onerror='", "<b>"] {
            assert!(!page.contains(raw), "{what}: {page}");
        }
    }
}

pub(super) fn several_tasks_are_deleted_at_once(site: &Site) {
    let moment = || "2026-01-02T03:04:05Z".to_owned();
    site.add_tasks((1..=4).map(|number| (format!("Task {number}"), "d".to_owned(), moment())));
    let mut browser = site.signed_in("eva");
    assert!(browser.page("/admin/tasks/?ticked=all").matches(" checked>").count() == 4);
    let ask = browser.page("/admin/tasks/delete?id=1&id=3&id=99&id=x");
    assert!(ask.contains("These 2 tasks will be deleted permanently:") && !ask.contains("Task 2"), "{ask}");
    let list = browser.submit("/admin/tasks/delete", &[("id", "1"), ("id", "3"), ("id", "99")]);
    assert!(list.contains("Deleted 2 tasks.") && list.contains("Task 2") && !list.contains("Task 3"), "{list}");
    assert!(browser.page("/admin/tasks/delete").contains("No rows are selected"));
}
