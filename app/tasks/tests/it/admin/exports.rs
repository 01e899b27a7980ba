//! Exports of lists.

use kit::testing::Answer;
use serde_json::{Value, json};

use super::site::Site;

/// Returns the content of a chunked response.
fn content(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"), "it is streamed");
    let (mut rest, mut content) = (answer.body.as_str(), String::new());
    loop {
        let (length, after) = rest.split_once("\r\n").unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        content.push_str(&after[..length]);
        rest = &after[length + 2..];
        if length == 0 {
            return content;
        }
    }
}

pub(super) fn an_export_contains_the_filtered_list(site: &Site) {
    let moment = "2026-01-02T03:04:05.123456Z";
    for (title, description) in
        [("Buy milk", "two, or \"three\"\nbottles"), ("=HYPERLINK(1)", "milk"), ("Rest", "all day")]
    {
        site.add_tasks([(title.to_owned(), description.to_owned(), moment.to_owned())]);
    }
    let mut browser = site.signed_in("eva");
    let page = browser.page("/admin/tasks/?q=milk&sort=title&page=1");
    assert!(page.contains("/admin/tasks/export.csv?q=milk\"") && page.contains("/admin/tasks/export.json?q=milk\""));
    let csv = browser.get("/admin/tasks/export.csv?q=milk");
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(csv.header("content-disposition"), Some("attachment; filename=\"tasks.csv\""));
    assert_eq!(csv.header("cache-control"), Some("no-store"));
    let expected = format!(
        "title,description,pub_date,id\r\n\
         Buy milk,\"two, or \"\"three\"\"\nbottles\",{moment},1\r\n\
         '=HYPERLINK(1),milk,{moment},2\r\n"
    );
    assert_eq!(content(&csv), expected);

    let exported = browser.get("/admin/tasks/export.json?q=milk");
    assert_eq!(exported.header("content-type"), Some("application/json"));
    let rows: Value = serde_json::from_str(&content(&exported)).unwrap();
    let expected = json!([
        { "id": 1, "title": "Buy milk", "description": "two, or \"three\"\nbottles", "pub_date": moment },
        { "id": 2, "title": "=HYPERLINK(1)", "description": "milk", "pub_date": moment },
    ]);
    assert_eq!(rows, expected);
    assert_eq!(content(&browser.get("/admin/tasks/export.json?q=nothing")), "[]\n");
    assert_eq!(browser.get("/admin/tasks/export.xml").status, 404);
    assert_eq!(browser.post("/admin/tasks/export.csv", &[]).status, 405);
    assert_eq!(site.browser().get("/admin/tasks/export.csv").status, 303);
}

pub(super) fn an_export_contains_all_parts(site: &Site) {
    site.execute(
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2500) \
         INSERT INTO tasks_task (title, pub_date, description) \
         SELECT 'Task', '2026-01-02T03:04:05+00:00', 'd' FROM numbers",
    );
    let mut browser = site.signed_in("eva");
    let csv = content(&browser.get("/admin/tasks/export.csv"));
    let ids: Vec<u32> = csv.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().parse().unwrap()).collect();
    assert_eq!(ids, (1..=2500).collect::<Vec<_>>());
    let rows: Vec<Value> = serde_json::from_str(&content(&browser.get("/admin/tasks/export.json"))).unwrap();
    assert_eq!((rows.len(), &rows[2499]["id"]), (2500, &json!(2500)));
}

pub(super) fn an_export_contains_no_secrets(site: &Site) {
    let mut browser = site.signed_in("eva");
    let users = content(&browser.get("/admin/users/export.json?staff=yes"));
    let rows: Vec<Value> = serde_json::from_str(&users).unwrap();
    assert_eq!((rows.len(), &rows[0]["username"], &rows[0]["superuser"]), (1, &json!("eva"), &json!(true)));
    assert!(!users.contains("argon2") && !users.contains("password"), "{users}");
}
