//! Hostile statements, at the gatekeeper and directly at the trusted host.

use kit::testing::send;
use serde_json::json;

use crate::{KEY, post, start_gatekeeper, start_trusted_host, url};

/// Path, statement and reason.
const HOSTILE: &[(&str, &str, &str)] = &[
    ("/fetch_direct", "SELECT 1; DROP TABLE direct_table", "Only one statement is allowed"),
    ("/fetch_direct", "SELECT 1 -- x", "Comments are not allowed"),
    ("/fetch_direct", "SELECT /*!50000 1 */", "Comments are not allowed"),
    (
        "/fetch_direct",
        r"SELECT '\'; DROP TABLE direct_table; --'",
        "Backslashes are not allowed, because databases read them differently",
    ),
    ("/fetch_direct", "SELECT $$a$$", "$$a$$ is not allowed"),
    ("/fetch_direct", "SELECT \"id\" FROM direct_table", "\"id\" is not allowed"),
    (
        "/fetch_random",
        "SELECT * FROM pg_shadow",
        "Table pg_shadow is not allowed; the tables are direct_table, random_table and customized_table",
    ),
    (
        "/fetch_random",
        "SELECT id FROM direct_table WHERE id IN (SELECT 1 FROM information_schema.tables)",
        "Table information_schema.tables is not allowed; the tables are direct_table, random_table and customized_table",
    ),
    ("/fetch_random", "SELECT pg_sleep(10)", "Function pg_sleep is not allowed"),
    ("/fetch_random", "SELECT * FROM generate_series(1, 9)", "Function generate_series is not allowed"),
    ("/fetch_customized", "SELECT * INTO copies FROM direct_table", "SELECT INTO is not allowed"),
    ("/fetch_customized", "SELECT * FROM direct_table FOR UPDATE", "FOR UPDATE or FOR SHARE is not allowed"),
    ("/fetch_customized", "DELETE FROM direct_table", "Only SELECT is allowed on this path"),
    (
        "/fetch_customized",
        "SELECT ctid FROM direct_table",
        "Column ctid is not allowed; the columns are id, column1, column2 and the aliases of the statement",
    ),
    (
        "/populate_tables",
        "INSERT INTO direct_table SELECT * FROM direct_table",
        "An insertion of anything but VALUES is not allowed",
    ),
    (
        "/populate_tables",
        "INSERT INTO direct_table (column1) VALUES (pg_sleep(9))",
        "The expression pg_sleep(9) is not allowed",
    ),
    ("/populate_tables", "INSERT INTO direct_table VALUES (1) RETURNING *", "RETURNING is not allowed"),
    ("/populate_tables", "UPDATE direct_table SET column1 = 'a'", "Only INSERT is allowed on this path"),
    (
        "/populate_tables",
        "INSERT INTO {table}_copy VALUES (1)",
        "Table direct_table_copy is not allowed; the tables are direct_table, random_table and customized_table",
    ),
];

#[test]
fn both_checking_tiers_refuse_hostile_statements() {
    // No tier answers behind them: a statement that is passed on would be 502.
    let gatekeeper = start_gatekeeper(&[("TRUSTED_HOST_URL", "http://127.0.0.1:1")]);
    let trusted_host = start_trusted_host(&[("PROXY_URL", "http://127.0.0.1:1"), ("SIGNING_KEY", KEY)]);
    for (path, sql, reason) in HOSTILE {
        let expected = json!({ "error": reason }).to_string();
        for tier in [&gatekeeper, &trusted_host] {
            let answer = post(tier.address, path, &[], &json!({ "sql": sql }).to_string());
            assert_eq!(answer, (400, expected.clone()), "{sql}");
        }
    }
    let harmless = json!({ "sql": "SELECT * FROM direct_table" }).to_string();
    for (tier, next) in [(&gatekeeper, "trusted host"), (&trusted_host, "proxy")] {
        let expected = json!({ "error": format!("The {next} does not answer") }).to_string();
        assert_eq!(post(tier.address, "/fetch_direct", &[], &harmless), (502, expected));
    }
}

#[test]
fn large_statements_are_refused() {
    let gatekeeper = start_gatekeeper(&[("TRUSTED_HOST_URL", "http://127.0.0.1:1")]);
    let nested = format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(10_000));
    let long = format!("SELECT '{}'", "x".repeat(40_000));
    let chain = format!("SELECT 1{}", " + 1".repeat(5000));
    for (sql, reason) in [
        (nested, "The statement is too complex"),
        (chain, "The statement is too complex"),
        (long, "The statement is longer than 32768 bytes"),
    ] {
        let answer = post(gatekeeper.address, "/fetch_direct", &[], &json!({ "sql": sql }).to_string());
        assert_eq!(answer, (400, json!({ "error": reason }).to_string()));
    }
    let body = json!({ "sql": "x".repeat(70_000) }).to_string();
    let answer = post(gatekeeper.address, "/fetch_direct", &[], &body);
    assert_eq!(answer, (413, r#"{"detail":"The body is longer than 65536 bytes."}"#.to_owned()));
}

#[test]
fn the_gatekeeper_passes_no_headers_of_the_client_on() {
    // A trusted host that would accept a signature of the client would sign nothing itself.
    let trusted_host = start_trusted_host(&[("PROXY_URL", "http://127.0.0.1:1"), ("SIGNING_KEY", KEY)]);
    let gatekeeper = start_gatekeeper(&[("TRUSTED_HOST_URL", &url(trusted_host.address))]);
    let headers =
        [("X-Signature", "00"), ("X-Signature-Time", "0"), ("X-Signature-Nonce", "00"), ("X-Db-Node", "fake")];
    let answer = send(gatekeeper.address, "POST /fetch_direct", &headers, r#"{"sql":"SELECT 1"}"#);
    assert_eq!((answer.status, answer.body.as_str()), (502, r#"{"error":"The proxy does not answer"}"#));
    assert_eq!(answer.header("x-db-node"), None);
}
