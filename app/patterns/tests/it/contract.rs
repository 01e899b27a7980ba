//! The contract: requests to the gatekeeper and their exact responses.

use kit::testing::{send, wait_until};
use serde_json::{Value, json};

use crate::{Cluster, Tiers};

/// Path, body, status, response and node.
type Case = (&'static str, &'static str, u16, &'static str, Option<&'static str>);

const MANAGER: Option<&str> = Some("manager");

/// Requests with the same responses on all databases.
const CASES: &[Case] = &[
    ("/fetch_direct", r#"{"sql":"SELECT * FROM direct_table"}"#, 200, "[]", MANAGER),
    (
        "/populate_tables",
        r#"{"sql":"INSERT INTO {table} (column1, column2) VALUES ('column1_value', 'column2_value')"}"#,
        200,
        r#"{"message":"Insert query executed successfully in direct_table"}"#,
        MANAGER,
    ),
    (
        "/populate_tables",
        r#"{"sql":"INSERT INTO {table} (column1, column2) VALUES ('a', NULL), ('', 'ü牛')","table":"random_table"}"#,
        200,
        r#"{"message":"Insert query executed successfully in random_table"}"#,
        MANAGER,
    ),
    (
        "/populate_tables",
        r#"{"sql":"insert into customized_table (column1, column2) values ('o''b', 'x\n\"; -- /* # %');"}"#,
        200,
        r#"{"message":"Insert query executed successfully in customized_table"}"#,
        MANAGER,
    ),
    (
        "/fetch_direct",
        r#"{"sql":"SELECT * FROM direct_table"}"#,
        200,
        r#"[[1,"column1_value","column2_value"]]"#,
        MANAGER,
    ),
    (
        "/fetch_direct",
        r#"{"sql":"SELECT * FROM random_table ORDER BY id"}"#,
        200,
        r#"[[1,"a",null],[2,"","ü牛"]]"#,
        MANAGER,
    ),
    (
        "/fetch_direct",
        r#"{"sql":"SELECT column1, column2 FROM customized_table WHERE column1 = 'o''b'"}"#,
        200,
        r#"[["o'b","x\n\"; -- /* # %"]]"#,
        MANAGER,
    ),
    (
        "/fetch_direct",
        r#"{"sql":"SELECT count(*), max(id), min(column2), -1, 'x' FROM random_table"}"#,
        200,
        r#"[[2,2,"ü牛",-1,"x"]]"#,
        MANAGER,
    ),
    (
        "/fetch_direct",
        r#"{"sql":"WITH x AS (SELECT r.id AS n FROM random_table r JOIN direct_table d ON r.id = d.id) SELECT n FROM x"}"#,
        200,
        "[[1]]",
        MANAGER,
    ),
    (
        "/fetch_direct",
        r#"{"sql":"SELECT id FROM direct_table UNION ALL SELECT id FROM random_table ORDER BY id DESC LIMIT 2"}"#,
        200,
        "[[2],[1]]",
        MANAGER,
    ),
    ("/populate_tables", "{}", 400, r#"{"error":"No SQL query provided"}"#, None),
    ("/fetch_direct", "", 400, r#"{"error":"No SQL query provided"}"#, None),
    ("/fetch_random", r#"{"sql":""}"#, 400, r#"{"error":"No SQL query provided"}"#, None),
    ("/fetch_customized", r#"{"sql":null}"#, 400, r#"{"error":"No SQL query provided"}"#, None),
    ("/fetch_direct", "SELECT", 400, r#"{"error":"The body is not JSON: expected value at line 1 column 1"}"#, None),
    ("/fetch_direct", "[]", 400, r#"{"error":"The body is not a JSON object"}"#, None),
    ("/fetch_direct", r#"{"sql":["SELECT 1"]}"#, 400, r#"{"error":"\"sql\" is not a string"}"#, None),
    (
        "/populate_tables",
        r#"{"sql":"INSERT INTO {table} (column1) VALUES ('a')","table":"users"}"#,
        400,
        r#"{"error":"\"table\" is not direct_table, random_table or customized_table"}"#,
        None,
    ),
    (
        "/populate_tables",
        r#"{"sql":"SELECT * FROM direct_table"}"#,
        400,
        r#"{"error":"Only INSERT is allowed on this path"}"#,
        None,
    ),
    (
        "/fetch_random",
        r#"{"sql":"INSERT INTO direct_table (column1) VALUES ('a')"}"#,
        400,
        r#"{"error":"Only SELECT is allowed on this path"}"#,
        None,
    ),
    (
        "/fetch_direct",
        r#"{"sql":"SELECT 1; DROP TABLE direct_table"}"#,
        400,
        r#"{"error":"Only one statement is allowed"}"#,
        None,
    ),
    ("/nowhere", "{}", 404, r#"{"detail":"Not found."}"#, None),
];

/// Requests whose responses differ between databases: path, body, status, and the responses of PostgreSQL and of MariaDB.
const DIFFERENT: &[(&str, &str, u16, [&str; 2])] = &[
    (
        "/populate_tables",
        r#"{"sql":"INSERT INTO direct_table (id) VALUES (1)"}"#,
        500,
        [
            r#"{"error":"duplicate key value violates unique constraint \"direct_table_pkey\""}"#,
            r#"{"error":"Duplicate entry '1' for key 'PRIMARY'"}"#,
        ],
    ),
    (
        "/populate_tables",
        r#"{"sql":"INSERT INTO direct_table (id) VALUES ('x')"}"#,
        500,
        [
            r#"{"error":"invalid input syntax for type integer: \"x\""}"#,
            r#"{"error":"Incorrect integer value: 'x' for column `main_db`.`direct_table`.`id` at row 1"}"#,
        ],
    ),
    (
        "/fetch_direct",
        r#"{"sql":"SELECT id FROM direct_table GROUP BY column1 HAVING count(count(id)) > 1"}"#,
        500,
        [r#"{"error":"aggregate function calls cannot be nested"}"#, r#"{"error":"Invalid use of group function"}"#],
    ),
    (
        "/fetch_direct",
        r#"{"sql":"SELECT TRUE, id = 1, 1.50, 1e0, sum(id) FROM direct_table GROUP BY id"}"#,
        200,
        [r#"[[true,true,"1.50","1",1]]"#, r#"[[1,1,"1.50",1.0,"1"]]"#],
    ),
];

#[test]
fn the_contract_is_kept_on_postgres() {
    if let Some(cluster) = Cluster::postgres() {
        keeps_the_contract(&cluster.start_tiers(), 0);
    }
}

#[test]
fn the_contract_is_kept_on_mariadb() {
    if let Some(cluster) = Cluster::mariadb() {
        keeps_the_contract(&cluster.start_tiers(), 1);
    }
}

fn keeps_the_contract(tiers: &Tiers, database: usize) {
    let mut wrong = Vec::new();
    let mut compare = |path: &str, body: &str, status: u16, expected: &str, node: Option<&str>| {
        let answer = tiers.gatekeeper.send(&format!("POST {path}"), body);
        let actual = (answer.status, answer.body.as_str(), answer.header("x-db-node"));
        if actual != (status, expected, node) || answer.header("content-type") != Some("application/json") {
            wrong.push(format!("{path} {body}: {answer:?}\ninstead of {status} {expected} by {node:?}"));
        }
    };
    for (path, body, status, expected, node) in CASES {
        compare(path, body, *status, expected, *node);
    }
    for (path, body, status, expected) in DIFFERENT {
        compare(path, body, *status, expected[database], MANAGER);
    }
    let too_long = format!(r#"{{"sql":"INSERT INTO direct_table (column1) VALUES ('{}')"}}"#, "x".repeat(256));
    let expected = [
        r#"{"error":"value too long for type character varying(255)"}"#,
        r#"{"error":"Data too long for column 'column1' at row 1"}"#,
    ];
    compare("/populate_tables", &too_long, 500, expected[database], MANAGER);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    workers_read_what_the_manager_wrote(tiers);
    a_large_result_is_refused(tiers);
    other_methods_are_refused(tiers);
    every_tier_names_itself(tiers);
}

fn workers_read_what_the_manager_wrote(tiers: &Tiers) {
    for node in ["worker-0", "worker-1"] {
        wait_until("the worker runs a read of the replicated rows", || {
            let answer = tiers.fetch("random", "SELECT * FROM direct_table");
            assert_eq!(answer.status, 200, "{answer:?}");
            let by = answer.header("x-db-node").unwrap();
            assert!(by.starts_with("worker-"), "{answer:?}");
            by == node && answer.body == r#"[[1,"column1_value","column2_value"]]"#
        });
    }
    let answer = tiers.fetch("customized", "SELECT id FROM direct_table");
    assert_eq!((answer.status, answer.body.as_str()), (200, "[[1]]"));
    assert!(["manager", "worker-0", "worker-1"].contains(&answer.header("x-db-node").unwrap()), "{answer:?}");
}

fn a_large_result_is_refused(tiers: &Tiers) {
    let rows = vec!["('x')"; 200].join(",");
    let inserted = tiers.insert(&format!("INSERT INTO customized_table (column1) VALUES {rows}"));
    assert_eq!(inserted.status, 200, "{inserted:?}");
    let answer = tiers.fetch("direct", "SELECT a.id FROM customized_table a CROSS JOIN customized_table b");
    let expected = r#"{"error":"The result has more than 10000 rows or 8388608 bytes; add a LIMIT"}"#;
    assert_eq!((answer.status, answer.body.as_str(), answer.header("x-db-node")), (400, expected, MANAGER));
    let answer = tiers.fetch("direct", "SELECT count(*) FROM customized_table a CROSS JOIN customized_table b");
    assert_eq!((answer.status, answer.body.as_str()), (200, "[[40401]]"));
}

fn other_methods_are_refused(tiers: &Tiers) {
    for tier in [&tiers.gatekeeper, &tiers.trusted_host, &tiers.proxy] {
        for (path, allowed) in [
            ("/populate_tables", "POST"),
            ("/fetch_direct", "POST"),
            ("/fetch_random", "POST"),
            ("/fetch_customized", "POST"),
            ("/health_check", "GET, HEAD"),
            ("/openapi.json", "GET, HEAD"),
            ("/healthz", "GET, HEAD"),
        ] {
            let answer = tier.send(&format!("PATCH {path}"), "");
            assert_eq!((answer.status, answer.header("allow")), (405, Some(allowed)), "{path}");
        }
    }
}

fn every_tier_names_itself(tiers: &Tiers) {
    for (tier, name) in
        [(&tiers.gatekeeper, "gatekeeper"), (&tiers.trusted_host, "trusted host"), (&tiers.proxy, "proxy")]
    {
        let answer = tier.send("GET /health_check", "");
        let expected = format!("<!doctype html><title>{name}</title><p>The {name} is running.</p>\n");
        assert_eq!((answer.status, answer.body), (200, expected));
        assert_eq!(
            answer.headers.iter().find(|(name, _)| name == "content-type").unwrap().1,
            "text/html; charset=utf-8"
        );
        let health = tier.send("GET /healthz", "");
        assert_eq!((health.status, health.body.as_str()), (200, r#"{"status":"ok"}"#), "{name}");
        assert!(tier.metrics().contains(r#"route="/health_check",status="200"} 1"#), "{name}");
    }
}

#[test]
fn a_request_keeps_its_id_in_all_tiers() {
    let Some(cluster) = Cluster::postgres() else {
        return;
    };
    let tiers = cluster.start_tiers();
    let body = json!({ "sql": "SELECT 1" }).to_string();
    for tier in [&tiers.gatekeeper, &tiers.trusted_host] {
        let answer = send(tier.address, "POST /fetch_direct", &[("X-Request-Id", "abc-1")], &body);
        assert_eq!((answer.status, answer.header("x-request-id")), (200, Some("abc-1")));
    }
}

#[test]
fn any_number_of_proxies_migrates_at_once() {
    for cluster in [Cluster::postgres(), Cluster::mariadb()].into_iter().flatten() {
        let urls = cluster.urls();
        let all = [(); 4].map(|()| Tiers::start(&urls[0], &urls[1..], &[]));
        for tiers in &all {
            wait_until("the tables exist", || tiers.gatekeeper.send("GET /healthz", "").status == 200);
        }
        let ids: Vec<Value> = all
            .iter()
            .map(|tiers| {
                assert_eq!(tiers.insert("INSERT INTO direct_table (column1) VALUES ('a')").status, 200);
                serde_json::from_str(&tiers.fetch("direct", "SELECT max(id) FROM direct_table").body).unwrap()
            })
            .collect();
        assert_eq!(ids, [json!([[1]]), json!([[2]]), json!([[3]]), json!([[4]])]);
    }
}
