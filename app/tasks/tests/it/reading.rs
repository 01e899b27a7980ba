//! Reads from a replica.

use kit::testing::{Postgres, Served, wait_until};
use tasks::{Migrations, Tasks};

use crate::{LIMITS, serve, settings_of};

/// Adds a task to a database.
fn add(url: &str, title: &str) {
    let body = format!(r#"{{"title":"{title}","pub_date":"2026-01-02T03:04Z","description":"d"}}"#);
    assert_eq!(serve(url).send("POST /tasks/", &body).status, 201);
}

#[test]
fn lists_are_read_from_an_available_replica() {
    let (Some(writer), Some(replica)) = (Postgres::start(), Postgres::start()) else {
        return;
    };
    // Not a real replica, so that responses show which server has answered.
    add(&writer.url(), "in the writer");
    add(&replica.url(), "in the replica");
    let settings = settings_of(&[("AUTH", "off")]);
    let start = async |context: kit::Context| Tasks::start(settings, &context).await.unwrap();
    let service = Served::start_with_reader::<Migrations, _>(&writer.url(), Some(&replica.url()), LIMITS, start);
    let title = |request: &str| {
        let answer = service.send(request, "");
        assert!(matches!(answer.status, 200 | 201), "{request}: {answer:?}");
        let start = answer.body.find("in the ").unwrap();
        answer.body[start..].split('"').next().unwrap().to_owned()
    };
    for list in ["GET /tasks/", "GET /tasks/get_all"] {
        assert_eq!(title(list), "in the replica");
    }
    for one in ["GET /tasks/1", "GET /tasks/get_single/1"] {
        assert_eq!(title(one), "in the writer");
    }

    replica.suspend();
    for _ in 0..3 {
        assert_eq!(title("GET /tasks/"), "in the writer");
    }
    assert_eq!(service.send("GET /healthz", "").status, 200);
    let metrics = service.metrics();
    assert!(metrics.contains("\ndatabase_reader_fallbacks_total 3\n"), "{metrics}");

    replica.resume();
    wait_until("the replica is asked again", || title("GET /tasks/") == "in the replica");
}
