//! Lists: search, sorting, pages, filters.

use super::site::{Browser, Site, first_row};

/// Returns the first cells of the rows, in order.
fn names(page: &str) -> Vec<String> {
    let rows = page.split("<tbody").nth(1).unwrap_or_default().split("<tr").skip(1);
    let first_link = |row: &str| row.split("</a>").next()?.rsplit('>').next().map(str::to_owned);
    rows.filter_map(first_link).collect()
}

fn numbered(site: &Site, count: u32) {
    site.add_tasks((1..=count).map(|number| {
        (
            format!("Task {number:03}"),
            format!("number {}", 1000 - number),
            format!("2026-01-02T03:{:02}:00Z", number % 60),
        )
    }));
}

fn listed(browser: &mut Browser, query: &str) -> Vec<String> {
    names(&browser.page(&format!("/admin/tasks/?{query}")))
}

pub(super) fn lists_are_searched(site: &Site) {
    let moment = || "2026-01-02T03:04:05Z".to_owned();
    site.add_tasks([
        ("Buy milk".to_owned(), "two bottles".to_owned(), moment()),
        ("Sell MILK".to_owned(), "100% of it".to_owned(), moment()),
        ("Call Eva".to_owned(), "about milk_powder".to_owned(), moment()),
        ("Rest".to_owned(), r"all day! \o/".to_owned(), moment()),
    ]);
    let mut browser = site.signed_in("eva");
    for (query, expected) in [
        ("q=", &["Rest", "Call Eva", "Sell MILK", "Buy milk"][..]),
        ("q=milk", &["Call Eva", "Sell MILK", "Buy milk"]),
        ("q=MILK+bottles", &["Buy milk"]),
        ("q=%22two+bottles%22", &["Buy milk"]),
        ("q=%22bottles+two%22", &[]),
        ("q=100%25", &["Sell MILK"]),
        ("q=%25", &["Sell MILK"]),
        ("q=_", &["Call Eva"]),
        ("q=!", &["Rest"]),
        ("q=%5C", &["Rest"]),
        ("q=%5Co%2F", &["Rest"]),
        ("q=%27+OR+1%3D1+--", &[]),
        ("q=mi%00lk+bottles", &["Buy milk"]),
    ] {
        assert_eq!(listed(&mut browser, query), expected, "{query}");
    }
    let page = browser.page("/admin/tasks/?q=nothing+like+it");
    assert!(page.contains("No task matches.") && page.contains(r#"value="nothing like it""#), "{page}");
    let many = "a+".repeat(5000);
    assert_eq!(listed(&mut browser, &format!("q={many}")), ["Rest", "Call Eva"]);
}

pub(super) fn lists_are_sorted_and_paged(site: &Site) {
    numbered(site, 130);
    let mut browser = site.signed_in("eva");
    let ends = |names: Vec<String>| (names.len(), names[0].clone(), names[names.len() - 1].clone());
    for (query, length, first, last) in [
        ("", 25, "Task 130", "Task 106"),
        ("page=2", 25, "Task 105", "Task 081"),
        ("page=6", 5, "Task 005", "Task 001"),
        ("page=7", 5, "Task 005", "Task 001"),
        ("page=18446744073709551615", 5, "Task 005", "Task 001"),
        ("size=100", 100, "Task 130", "Task 031"),
        ("size=100&page=2", 30, "Task 030", "Task 001"),
        ("sort=title", 25, "Task 001", "Task 025"),
        ("sort=-title&page=2", 25, "Task 105", "Task 081"),
        ("sort=description", 25, "Task 130", "Task 106"),
        ("sort=pub_date&size=50", 50, "Task 060", "Task 079"),
        ("q=%22Task+01%22", 10, "Task 019", "Task 010"),
    ] {
        assert_eq!(ends(listed(&mut browser, query)), (length, first.to_owned(), last.to_owned()), "{query}");
    }
    let page = browser.page("/admin/tasks/?q=Task&sort=title&page=2");
    assert!(page.contains("26–50 of 130"), "{page}");
    assert!(page.contains(r#"<a href="/admin/tasks/?q=Task&#38;sort=title" aria-label="Page 1">1</a>"#), "{page}");
    assert!(page.contains(r#"<span aria-current="page">2</span>"#));
    assert!(
        page.contains(r#"aria-sort="ascending"><a href="/admin/tasks/?q=Task&#38;sort=-title">Title</a>"#),
        "{page}"
    );
    let all_seen = (1..=6).flat_map(|page| listed(&mut browser, &format!("sort=pub_date&page={page}")));
    let mut all_seen: Vec<_> = all_seen.collect();
    all_seen.sort();
    all_seen.dedup();
    assert_eq!(all_seen.len(), 130, "no row is on two pages or on none");
}

pub(super) fn lists_are_filtered(site: &Site) {
    site.add_tasks(
        ["2026-01-01T23:59:59.999999Z", "2026-01-02T00:00:00Z", "2026-01-02T23:59:59.999999Z", "2026-01-03T00:00:00Z"]
            .map(|moment| (moment.to_owned(), "d".to_owned(), moment.to_owned())),
    );
    site.add_user("guest", false);
    let mut browser = site.signed_in("eva");
    let second = ["2026-01-02T23:59:59.999999Z", "2026-01-02T00:00:00Z"];
    assert_eq!(listed(&mut browser, "from=2026-01-02&until=2026-01-02"), second);
    assert_eq!(listed(&mut browser, "from=2026-01-03"), ["2026-01-03T00:00:00Z"]);
    assert_eq!(listed(&mut browser, "until=0001-01-01"), [""; 0]);
    assert_eq!(listed(&mut browser, "until=9999-12-31").len(), 4);
    let page = browser.page("/admin/tasks/?from=tomorrow");
    assert!(page.contains("“Published from” was not understood and is left out.") && names(&page).len() == 4, "{page}");

    for (query, expected) in
        [("", &["eva", "guest"][..]), ("staff=yes", &["eva"]), ("staff=no", &["guest"]), ("active=no", &[])]
    {
        assert_eq!(names(&browser.page(&format!("/admin/users/?{query}"))), expected, "{query}");
    }
}

pub(super) fn invalid_parameters_are_omitted(site: &Site) {
    numbered(site, 3);
    let mut browser = site.signed_in("eva");
    for query in [
        "sort=password_hash",
        "sort=-",
        "page=-1&size=1000000000",
        "page=0",
        "nothing=1&&=&%ff=%ff",
        "q=%ff",
        "sort=title%3BDROP+TABLE+tasks_task",
    ] {
        let expected = if query == "q=%ff" { 0 } else { 3 };
        assert_eq!(listed(&mut browser, query).len(), expected, "{query}");
    }
    assert!(!browser.page("/admin/users/?sort=password_hash").contains("argon2"));
}

pub(super) fn activity_is_read_only(site: &Site) {
    let rows = [
        "('2026-01-02T03:04:05+00:00', 'eva', 'GET', '/tasks/', 200, 1234, '127.0.0.1', 'one')",
        "('2026-01-03T03:04:05+00:00', NULL, 'POST', '/tasks/<b>', 404, 56, '127.0.0.2', 'two')",
    ];
    let columns = "time, username, method, path, status, duration_us, client, instance";
    site.execute(&format!("INSERT INTO tasks_activity ({columns}) VALUES {}", rows.join(", ")));
    let mut browser = site.signed_in("eva");
    for (query, expected) in [
        ("user=eva&status=2&until=2026-01-02", 1),
        ("status=4&q=127.0.0.2", 1),
        ("status=5", 0),
        ("method=POST&from=2026-01-03&until=2026-01-03", 1),
        ("q=two+b", 1),
    ] {
        assert_eq!(names(&browser.page(&format!("/admin/activity/?{query}"))).len(), expected, "{query}");
    }
    let page = browser.page("/admin/activity/?user=eva&until=2026-01-02");
    let address = first_row(&page);
    let row = browser.page(&address);
    assert!(row.contains("1.234 ms") && row.contains("/tasks/") && row.contains("one"), "{row}");
    assert!(!page.contains("type=\"checkbox\"") && !page.contains("/admin/activity/add"));
    assert_eq!(browser.post(&address, &[]).status, 405);
    assert_eq!(browser.get("/admin/activity/delete").status, 404);
    assert_eq!(browser.get("/admin/activity/add").status, 404);
}

pub(super) fn the_count_is_limited(site: &Site) {
    let row = "'2026-01-02T03:04:05+00:00', 'GET', '/tasks/', 200, 1, '127.0.0.1', 'one'";
    site.execute(&format!(
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100001) \
         INSERT INTO tasks_activity (time, method, path, status, duration_us, client, instance) \
         SELECT {row} FROM numbers"
    ));
    let mut browser = site.signed_in("eva");
    let page = browser.page("/admin/activity/");
    assert!(page.contains("1–25 of more than 100,000") && page.contains(">4000</a>"), "{page}");
    let last = browser.page("/admin/activity/?page=5000");
    assert!(last.contains("99,976–100,000 of more than 100,000"), "{last}");
    assert!(browser.page("/admin/").contains("<strong>more than 100,000</strong> Activity"));
}
