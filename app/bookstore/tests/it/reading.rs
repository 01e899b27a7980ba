//! Reads from the reader, and from the writer after a write.

use kit::testing::{Postgres, Served, connect, wait_until};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::{Value, json};

use crate::{
    browser::Browser,
    shop::{LIMITS, PASSWORD, Shop, block_on, serve},
};

/// Writer and reader with the same user, `ana`, and other books. The reader is not a real replica, so that responses show
/// which server has answered.
struct Split {
    writer: Postgres,
    reader: Postgres,
    service: Served,
}

impl Split {
    fn start() -> Option<Self> {
        let (writer, reader) = (Postgres::start()?, Postgres::start()?);
        for (server, titles) in [(&writer, &["At the writer", "New at the writer"][..]), (&reader, &["At the reader"])]
        {
            let shop = Shop::on(&server.url());
            let ana = shop.client("ana");
            for title in titles {
                ana.add_book(title, "1", 9);
            }
        }
        let service = serve(&writer.url(), Some(&reader.url()), &[], LIMITS);
        Some(Self { writer, reader, service })
    }

    /// Returns the number of queries sent to the writer and to the reader.
    fn queries(&self) -> (u64, u64) {
        (
            metric(&self.service, r#"database_queries_total{endpoint="writer"}"#),
            metric(&self.service, r#"database_queries_total{endpoint="reader"}"#),
        )
    }

    /// Runs requests, and returns the number of queries that they sent to the writer and to the reader.
    fn count<T>(&self, requests: impl FnOnce() -> T) -> (T, (u64, u64)) {
        let before = self.queries();
        let result = requests();
        let after = self.queries();
        (result, (after.0 - before.0, after.1 - before.1))
    }
}

/// Returns the server that the catalog of a browser comes from.
fn catalog_of(browser: &mut Browser) -> &'static str {
    let page = browser.page("/book/catalog");
    match (page.contains("At the writer"), page.contains("At the reader")) {
        (true, false) => "writer",
        (false, true) => "reader",
        _ => panic!("not one of the servers: {page}"),
    }
}

/// Returns the value of a metric.
pub(crate) fn metric(service: &Served, name: &str) -> u64 {
    let metrics = service.metrics();
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {metrics}"));
    line.trim().parse().unwrap()
}

#[test]
fn reads_use_the_reader_until_the_client_has_written() {
    let Some(split) = Split::start() else {
        return;
    };
    let mut stranger = Browser::of(split.service.address);
    assert_eq!(split.count(|| catalog_of(&mut stranger)), ("reader", (0, 1)));
    let title = |path: &str| {
        let answer = split.service.send(&format!("GET {path}"), "");
        let book: Value = serde_json::from_str(&answer.body).unwrap();
        (answer.status, book["title"].as_str().map(str::to_owned))
    };
    let read = |title: &str| (200, Some(title.to_owned()));
    assert_eq!(split.count(|| title("/api/books/1")), (read("At the reader"), (0, 1)));
    // A new row that the reader does not have yet.
    assert_eq!(split.count(|| title("/api/books/2")), (read("New at the writer"), (1, 1)));
    assert_eq!(split.count(|| title("/api/books/3")), ((404, None), (1, 1)));

    // Signing in reads only.
    let mut ana = Browser::of(split.service.address);
    let ((), (written, _)) = split.count(|| ana.sign_in("ana"));
    assert_eq!((written, catalog_of(&mut ana)), (0, "reader"));
    ana.page("/book/add_book");
    let fields = [("title", "Mine"), ("author", "Ana"), ("price", "1"), ("stock", "1")];
    let answer = ana.post("/book/add_book", &fields);
    assert_eq!(answer.header("set-cookie"), Some("recent_write=1; Path=/; Max-Age=5; HttpOnly; SameSite=Lax"));
    // After the redirect: the user and the books.
    let (page, queries) = split.count(|| ana.page("/book/catalog"));
    assert!(page.contains("Mine"), "{page}");
    assert_eq!(queries, (2, 0));
    assert!(ana.page("/book/my_books").contains("Mine"));
    assert_eq!(catalog_of(&mut stranger), "reader", "other clients are not concerned");
    // The browser deletes the cookie when it expires.
    ana.cookies.remove("recent_write").unwrap();
    assert_eq!(catalog_of(&mut ana), "reader");

    // A registration is known at the sign-in, even to a client without cookies.
    let new = json!({ "name": "Ida", "email": "ida@example.org", "password": PASSWORD }).to_string();
    let answer = split.service.send("POST /api/register", &new);
    assert!(answer.status == 201 && answer.header("set-cookie").is_some(), "{answer:?}");
    assert_eq!(split.service.send("POST /api/login", &new).status, 200);
    // A refused change is no write.
    let answer = split.service.send("POST /api/register", &new);
    assert_eq!((answer.status, answer.header("set-cookie")), (409, None));
}

#[test]
fn the_writer_answers_while_the_reader_is_away() {
    let Some(split) = Split::start() else {
        return;
    };
    let mut browser = Browser::of(split.service.address);
    assert_eq!(catalog_of(&mut browser), "reader");
    split.reader.suspend();
    for _ in 0..3 {
        assert_eq!(catalog_of(&mut browser), "writer");
    }
    assert_eq!(split.service.send("GET /healthz", "").status, 200);
    assert_eq!(metric(&split.service, "database_reader_fallbacks_total"), 3);
    split.reader.resume();
    wait_until("the reader is asked again", || catalog_of(&mut browser) == "reader");
    // Reads need no writer.
    split.writer.suspend();
    assert_eq!(catalog_of(&mut browser), "reader");
}

#[test]
fn the_writer_answers_while_the_reader_is_silent() {
    let Some(split) = Split::start() else {
        return;
    };
    let mut browser = Browser::of(split.service.address);
    assert_eq!(catalog_of(&mut browser), "reader");
    block_on(async {
        let database = connect(&split.reader.url()).await;
        let lock = database.begin().await.unwrap();
        lock.execute_unprepared("LOCK TABLE bookstore_book IN ACCESS EXCLUSIVE MODE").await.unwrap();
        assert_eq!(catalog_of(&mut browser), "writer");
        assert_eq!(metric(&split.service, "database_reader_fallbacks_total"), 1);
        lock.rollback().await.unwrap();
    });
    wait_until("the reader is asked again", || catalog_of(&mut browser) == "reader");
}

#[test]
fn all_queries_use_the_writer_without_a_reader() {
    let shop = Shop::on_sqlite();
    wait_until("the service answers", || shop.service.send("GET /api/books", "").status == 200);
    let before = metric(&shop.service, r#"database_queries_total{endpoint="writer"}"#);
    assert_eq!(shop.service.send("GET /api/books", "").status, 200);
    assert_eq!(metric(&shop.service, r#"database_queries_total{endpoint="writer"}"#), before + 1);
    assert_eq!(metric(&shop.service, r#"database_queries_total{endpoint="reader"}"#), 0);
}
