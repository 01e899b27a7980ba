//! Failover of the writer: restarts, moves, and lost connections.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::{fs::symlink, net::UnixStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use kit::{
    limits::Limits,
    testing::{Postgres, connect, send, wait_until},
};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;

use crate::{
    reading::metric,
    shop::{LIMITS, Shop, block_on, number_at, serve},
};

const BOOK: &str = r#"{"title":"Rayuela","author":"Cortázar","price":"12.50","stock":9}"#;
const BOOKS: &str = "SELECT COUNT(*) FROM bookstore_book";

/// Executes statements on a database, one after another.
fn execute(url: &str, statements: &[&str]) {
    block_on(async {
        let database = connect(url).await;
        for statement in statements {
            database.execute_unprepared(statement).await.unwrap();
        }
    });
}

/// Adds a trigger that terminates the connection of the first transaction that inserts into a table: during the statement,
/// or during the commit.
fn terminate_first_insert(url: &str, table: &str, trigger: &str) {
    execute(
        url,
        &[
            "CREATE SEQUENCE attempts",
            "CREATE FUNCTION terminate_first() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF nextval('attempts') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60); END IF; \
             RETURN NEW; END $$",
            &format!("{trigger} FOR EACH ROW EXECUTE FUNCTION terminate_first()").replace("{table}", table),
        ],
    );
}

const IN_STATEMENT: &str = "CREATE TRIGGER terminate BEFORE INSERT ON {table}";
const IN_COMMIT: &str = "CREATE CONSTRAINT TRIGGER terminate AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED";
const ATTEMPTS: &str = "SELECT last_value FROM attempts";

#[test]
fn a_write_waits_for_a_writer_that_restarts() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let shop = Shop::on(&postgres.url());
    let client = shop.client("ana");
    postgres.suspend();
    let (address, authorization) = (shop.service.address, client.authorization.clone());
    let writing = thread::spawn(move || send(address, "POST /api/books", &[("Authorization", &authorization)], BOOK));
    wait_until("the service repeats the request", || metric(&shop.service, "database_retries_total") > 0);
    postgres.resume();
    let answer = writing.join().unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(number_at(&postgres.url(), BOOKS), 1);
}

#[test]
fn a_lost_writer_is_503_within_the_time_limit() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let shop = Shop::on(&postgres.url());
    let client = shop.client("ana");
    let service = serve(&postgres.url(), None, &[], Limits { time: Duration::from_secs(3), ..LIMITS });
    wait_until("the service answers", || service.send("GET /healthz", "").status == 200);
    postgres.suspend();
    let authorization = [("Authorization", client.authorization.as_str())];
    for request in ["GET /api/books", "POST /api/books", "POST /api/buy", "GET /book/catalog"] {
        let answer = service.send_with(request, &authorization, BOOK);
        assert_eq!(answer.status, 503, "{request}: {answer:?}");
    }
    let health = service.send("GET /healthz", "");
    assert_eq!((health.status, health.body.as_str()), (503, r#"{"status":"unavailable"}"#));
    postgres.resume();
    wait_until("the service has healed", || service.send("GET /healthz", "").status == 200);
    assert_eq!(service.send_with("POST /api/books", &authorization, BOOK).status, 201);
}

#[test]
fn a_transaction_that_was_refused_is_repeated() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let shop = Shop::on(&postgres.url());
    let client = shop.client("ana");
    terminate_first_insert(&postgres.url(), "bookstore_book", IN_STATEMENT);
    assert_eq!(client.send("POST /api/books", BOOK).status, 201);
    assert_eq!((number_at(&postgres.url(), BOOKS), number_at(&postgres.url(), ATTEMPTS)), (1, 2));
    assert_eq!(metric(&shop.service, "database_retries_total"), 1);
}

#[test]
fn a_commit_without_a_response_is_not_repeated() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let shop = Shop::on(&postgres.url());
    let client = shop.client("ana");
    terminate_first_insert(&postgres.url(), "bookstore_book", IN_COMMIT);
    let unknown = json!({ "error": "The database did not confirm the change. Check whether it took effect before you repeat it." });
    let answer = client.send("POST /api/books", BOOK);
    assert_eq!((answer.status, answer.body), (503, unknown.to_string()));
    assert_eq!(number_at(&postgres.url(), ATTEMPTS), 1);
    // The client reads from the writer, to check whether the change took effect.
    assert_eq!(client.json("POST /api/my-books", &json!({}), 200), json!([]));
}

#[test]
fn a_purchase_is_repeated_after_a_commit_without_a_response() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let shop = Shop::on(&postgres.url());
    let client = shop.client("ana");
    let book = client.add_book("Rayuela", "12.50", 9);
    terminate_first_insert(&postgres.url(), "bookstore_purchase", IN_COMMIT);
    client.json("POST /api/buy", &json!({ "book_id": book, "quantity": 2 }), 201);
    assert_eq!(number_at(&postgres.url(), ATTEMPTS), 2);
    assert_eq!(number_at(&postgres.url(), "SELECT COUNT(*) FROM bookstore_purchase"), 1);
    assert_eq!(number_at(&postgres.url(), "SELECT CAST(stock AS BIGINT) FROM bookstore_book"), 7);
}

/// Returns the directory of a server's socket.
fn directory(server: &Postgres) -> String {
    server.url().split_once("?host=").unwrap().1.to_owned()
}

/// Lets the name of the endpoint denote a server.
fn point(endpoint: &Path, server: &Postgres) {
    let next = endpoint.with_extension("next");
    symlink(directory(server), &next).unwrap();
    fs::rename(next, endpoint).unwrap();
}

#[test]
fn writes_follow_a_writer_that_moves() {
    let (Some(former), Some(latter)) = (Postgres::start(), Postgres::start()) else {
        return;
    };
    for server in [&former, &latter] {
        Shop::on(&server.url()).client("ana");
    }
    let place = tempfile::tempdir().unwrap();
    let endpoint = place.path().join("writer");
    point(&endpoint, &former);
    let shop = Shop::on(&format!("postgres://postgres@localhost/postgres?host={}", endpoint.display()));
    let client = shop.client_of("ana@example.org");
    assert_eq!(client.send("POST /api/books", BOOK).status, 201);
    assert_eq!(number_at(&former.url(), BOOKS), 1);

    // The former writer keeps its connections and refuses writes, as a replica does.
    point(&endpoint, &latter);
    execute(&former.url(), &["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"]);
    wait_until("a write has reached the new writer", || {
        let answer = client.send("POST /api/books", BOOK);
        assert_eq!(answer.status, 201, "{answer:?}");
        number_at(&latter.url(), BOOKS) > 0
    });
    assert!(metric(&shop.service, "database_retries_total") > 0);
    let connections = "SELECT COUNT(*) FROM pg_stat_activity \
                       WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    wait_until("no connection to the former writer is left", || number_at(&former.url(), connections) == 0);

    // A server that stops closes its connections.
    execute(&former.url(), &["ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"]);
    point(&endpoint, &former);
    latter.suspend();
    let before = number_at(&former.url(), BOOKS);
    let answer = client.send("POST /api/books", BOOK);
    assert_eq!((answer.status, number_at(&former.url(), BOOKS)), (201, before + 1), "{answer:?}");
}

/// Forwards TCP connections to a server, until the network of the connections fails silently.
struct Relay {
    address: SocketAddr,
    /// Number of failures. A connection forwards nothing after the next failure, and stays open.
    failures: Arc<AtomicUsize>,
}

impl Relay {
    fn start(socket: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, failures) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let shared = Arc::clone(&failures);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), UnixStream::connect(&socket).unwrap());
                let (other_client, other_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (there, back) = (Arc::clone(&shared), Arc::clone(&shared));
                thread::spawn(move || forward(client, server, &there));
                thread::spawn(move || forward(other_server, other_client, &back));
            }
        });
        Self { address, failures }
    }

    fn fail(&self) {
        self.failures.fetch_add(1, SeqCst);
    }
}

/// A stream of which a direction can be closed.
trait Stream: Read + Write {
    fn close(&self);
}

impl Stream for TcpStream {
    fn close(&self) {
        // The peer may have closed it already.
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Stream for UnixStream {
    fn close(&self) {
        // The peer may have closed it already.
        let _ = self.shutdown(Shutdown::Both);
    }
}

fn forward(mut from: impl Stream, mut to: impl Stream, failures: &AtomicUsize) {
    let before = failures.load(SeqCst);
    let mut bytes = [0; 4096];
    while let Ok(count) = from.read(&mut bytes) {
        let has_failed = failures.load(SeqCst) != before;
        match count {
            0 if has_failed => break,
            0 => return to.close(),
            _ if has_failed => {}
            _ if to.write_all(&bytes[..count]).is_err() => return from.close(),
            _ => {}
        }
    }
    // The connection stays open, as one whose network has failed.
    thread::park();
}

#[test]
fn connections_that_fail_silently_are_replaced() {
    const WRITES: i64 = 10;
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let relay = Relay::start(format!("{}/.s.PGSQL.5432", directory(&postgres)));
    let url = format!("postgres://postgres@{}/postgres", relay.address);
    let client = Shop::on(&postgres.url()).client("ana").authorization;
    let service = serve(&url, None, &[], Limits { time: Duration::from_secs(3), ..LIMITS });
    wait_until("the service answers", || service.send("GET /healthz", "").status == 200);
    let (address, authorization) = (service.address, [("Authorization", client.as_str())]);
    execute(
        &postgres.url(),
        &[
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$",
            "CREATE TRIGGER wait BEFORE INSERT ON bookstore_book FOR EACH ROW EXECUTE FUNCTION wait()",
        ],
    );
    // All connections of the pool wait for a response when the network fails.
    block_on(async {
        let database = connect(&postgres.url()).await;
        let lock = database.begin().await.unwrap();
        lock.execute_unprepared("SELECT pg_advisory_xact_lock(1)").await.unwrap();
        let writes: Vec<_> = (0..WRITES)
            .map(|_| {
                let client = client.clone();
                thread::spawn(move || send(address, "POST /api/books", &[("Authorization", &client)], BOOK).status)
            })
            .collect();
        let waiting = "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        let url = postgres.url();
        let reached = move || wait_until("all writes wait", || number_at(&url, waiting) == WRITES);
        thread::spawn(reached).join().unwrap();
        relay.fail();
        let statuses: Vec<_> = writes.into_iter().map(|write| write.join().unwrap()).collect();
        assert!(statuses.iter().all(|status| *status == 503), "{statuses:?}");
        lock.rollback().await.unwrap();
    });
    wait_until("the service writes again", || service.send_with("POST /api/books", &authorization, BOOK).status == 201);
}
