//! Actions on ticked rows, on one page and on all.

use chrono::Utc;

use super::site::Site;

fn tasks(site: &Site, count: u32) {
    site.add_tasks((1..=count).map(|number| {
        (format!("Task {number:03}"), format!("number {}", number % 2), "2026-01-02T03:04:05Z".to_owned())
    }));
}

pub(super) fn publish_sets_the_publication_of_ticked_tasks(site: &Site) {
    tasks(site, 3);
    let mut browser = site.signed_in("eva");
    let ask = browser.page("/admin/tasks/publish?id=1&id=3&list=q%3DTask");
    assert!(ask.contains("These 2 tasks will have the current time as publication:"), "{ask}");
    assert!(ask.contains("Task 001") && ask.contains("Task 003") && !ask.contains("Task 002"), "{ask}");
    let published = |id: u32| !site.service.send(&format!("GET /tasks/{id}"), "").body.contains("2026-01-02");
    assert!(!published(1), "asking changes nothing");
    let answer = browser.post("/admin/tasks/publish", &[("id", "1"), ("id", "3"), ("list", "q=Task")]);
    assert_eq!(answer.header("location"), Some("/admin/tasks/?q=Task"));
    assert!(browser.page("/admin/tasks/").contains("Published 2 tasks."));
    assert_eq!([1, 2, 3].map(published), [true, false, true]);
    let history = browser.page("/admin/tasks/3/history");
    let today = Utc::now().format("%Y-%m-").to_string();
    assert!(history.contains(">Published</td>") && history.contains("<del>2026-01-02 03:04:05</del>"), "{history}");
    assert!(history.contains(&format!("<ins>{today}")), "{history}");
    assert_eq!(browser.get("/admin/tasks/explode?id=1").status, 404);
    assert_eq!(browser.post("/admin/tasks/explode", &[("id", "1")]).status, 404);
}

pub(super) fn deactivate_ends_the_sessions_of_users(site: &Site) {
    let guest = site.add_user("guest", true);
    let mut guest_browser = site.signed_in("guest");
    let mut browser = site.signed_in("eva");
    let id = guest.to_string();
    let list = browser.submit("/admin/users/deactivate", &[("id", &id)]);
    assert!(list.contains("Deactivated the user “guest”."), "{list}");
    assert_eq!(guest_browser.get("/admin/").status, 303);
    browser.submit("/admin/users/activate", &[("id", &id)]);
    site.signed_in("guest");
}

pub(super) fn an_action_applies_to_all_rows_of_a_list(site: &Site) {
    tasks(site, 60);
    let mut browser = site.signed_in("eva");
    let page = browser.page("/admin/tasks/?q=%22number+1%22&ticked=all");
    let every = "/admin/tasks/?q=%22number+1%22&#38;ticked=every";
    assert!(page.contains(every) && page.contains("Tick all 30 tasks"), "{page}");
    let page = browser.page("/admin/tasks/?q=%22number+1%22&ticked=every");
    assert!(page.contains("All 30 tasks of this list are ticked, also those on other pages."), "{page}");
    assert!(page.contains(r#"name="every" value="yes""#), "{page}");

    let list = "q=%22number+1%22";
    let ask = browser.page("/admin/tasks/delete?every=yes&list=q%3D%2522number%2B1%2522");
    assert!(ask.contains("These 30 tasks will be deleted permanently:"), "{ask}");
    assert!(ask.contains(r#"name="expected" value="30""#) && !ask.contains("Task 002"), "{ask}");
    // A row was added meanwhile: a row that the user has not seen is not deleted.
    tasks(site, 1);
    let fields = [("every", "yes"), ("list", list), ("expected", "30")];
    let answer = browser.post("/admin/tasks/delete", &fields);
    assert!(answer.status == 409 && answer.body.contains("so nothing was done"), "{answer:?}");
    assert!(answer.body.contains(r#"name="expected" value="31""#), "{answer:?}");
    assert!(browser.page("/admin/tasks/").contains("of 61"));
    let fields = [("every", "yes"), ("list", list), ("expected", "31")];
    let page = browser.submit("/admin/tasks/delete", &fields);
    assert!(page.contains("Deleted 31 tasks."), "{page}");
    let left = browser.page("/admin/tasks/");
    assert!(left.contains("of 30") && left.contains("Task 060") && !left.contains("Task 059"), "{left}");
    assert!(browser.page("/admin/history/").contains("of 31"), "each has an entry");
}

pub(super) fn an_action_on_too_many_rows_is_refused(site: &Site) {
    site.execute(
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10001) \
         INSERT INTO tasks_task (title, pub_date, description) \
         SELECT 'Task', '2026-01-02T03:04:05+00:00', 'd' FROM numbers",
    );
    let mut browser = site.signed_in("eva");
    let ask = browser.page("/admin/tasks/delete?every=yes");
    assert!(ask.contains("These are more than 10,000 tasks") && !ask.contains("class=\"danger\""), "{}", ask.len());
    let answer = browser.post("/admin/tasks/delete", &[("every", "yes"), ("expected", "10001")]);
    assert_eq!(answer.status, 409);
    site.execute("DELETE FROM tasks_task WHERE id = 1");
    let page = browser.submit("/admin/tasks/delete", &[("every", "yes"), ("expected", "10000")]);
    assert!(page.contains("Deleted 10,000 tasks."), "{page}");
    assert!(browser.page("/admin/history/").contains("of 10,000"));
}
