//! Sessions of the pools: read-only, limited in time, and with texts as in standard SQL.

use std::time::Duration;

use kit::testing::{MariaDb, Postgres};
use patterns::{
    cluster::{Access, Database, Pool, QueryError, migrate},
    sql::{self, Kind},
};

use crate::block_on;

const LIMIT: Duration = Duration::from_secs(4);

/// Runs a test with a database, and with its pools for reads and writes.
fn with_pools(url: &str, test: impl AsyncFnOnce(&Pool, &Pool)) {
    block_on(async {
        let database = Database::parse(url, "MANAGER_URL").unwrap();
        // The second call has nothing to do.
        migrate(&database).await.unwrap();
        migrate(&database).await.unwrap();
        let [read, write] = [Access::Read, Access::Write].map(|access| database.open(access, 2, LIMIT));
        test(&read, &write).await;
        read.close().await;
        write.close().await;
    });
}

async fn texts_of(pool: &Pool, sql: &str) -> String {
    serde_json::to_string(&pool.read(sql).await.unwrap()).unwrap()
}

fn refused(reason: &str) -> Result<(), QueryError> {
    Err(QueryError::Refused { reason: reason.to_owned() })
}

/// Parts of texts that are special somewhere.
const PARTS: &[&str] = &[
    "'",
    "''",
    "\"",
    "`",
    "--",
    "/*",
    "*/",
    ";",
    "#",
    "$$",
    "$1",
    "?",
    ":x",
    "@",
    "%",
    "_",
    "{table",
    "}",
    "[",
    "]",
    "(",
    ")",
    ",",
    "\n",
    "\r\n",
    "\t",
    " ",
    "ü",
    "牛",
    "😀",
    "\u{7f}",
    "\u{a0}",
    "\u{2028}",
    "N'",
    "E'",
    "X'",
    "0x41",
    "NULL",
    "DROP TABLE direct_table",
    "a",
    "Z",
    "0",
];

/// Inserts texts that are special somewhere, and reads them again.
async fn texts_are_stored_as_they_are(read: &Pool, write: &Pool) {
    let mut random = fastrand::Rng::with_seed(7);
    let texts: Vec<String> =
        (0..400).map(|_| (0..random.usize(0..12)).map(|_| PARTS[random.usize(..PARTS.len())]).collect()).collect();
    let accepted: Vec<_> = texts.iter().filter(|text| !text.contains('\u{7f}')).collect();
    let rows: Vec<_> =
        accepted.iter().enumerate().map(|(id, text)| format!("({id}, '{}')", text.replace('\'', "''"))).collect();
    let insert = format!("INSERT INTO random_table (id, column1) VALUES {}", rows.join(", "));
    let checked = sql::check(&insert, Kind::Insert).unwrap();
    assert_eq!(write.write(&checked.sql).await, Ok(()));
    let stored = texts_of(read, "SELECT column1 FROM random_table ORDER BY id").await;
    let expected: Vec<_> = accepted.iter().map(|text| [text]).collect();
    assert_eq!(stored, serde_json::to_string(&expected).unwrap());
}

/// Parts of statements, from which the check accepts some combinations.
const WORDS: &[&str] = &[
    "SELECT",
    "*",
    "FROM",
    "direct_table",
    "random_table",
    "AS x",
    "x.id",
    "WHERE",
    "id",
    "column1",
    "=",
    "<>",
    "1",
    "'a'",
    "(",
    ")",
    ",",
    "AND",
    "OR",
    "NOT",
    "IN",
    "LIKE",
    "UNION",
    "ALL",
    "WITH x AS (SELECT 1 AS n)",
    "n",
    "JOIN",
    "ON",
    "USING (id)",
    "count(*)",
    "lower(",
    "GROUP BY",
    "HAVING",
    "ORDER BY",
    "LIMIT",
    "OFFSET",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "BETWEEN",
    "EXISTS",
    "IS NULL",
    "-",
    "+",
    "/",
    "%",
    "TRUE",
    "DISTINCT",
    "CROSS JOIN",
    "NATURAL JOIN",
    "DESC",
    "NULLS LAST",
    "ROW",
    "VALUES",
    "INTO",
];

/// Runs random statements that the check accepts with the right to write. None changes a table, and none is more than one
/// statement to the database.
async fn accepted_queries_change_nothing(write: &Pool) {
    let mut random = fastrand::Rng::with_seed(11);
    let before = texts_of(write, "SELECT * FROM random_table ORDER BY id").await;
    let (mut accepted, mut succeeded) = (0, 0);
    for _ in 0..20_000 {
        let words: Vec<_> = (0..random.usize(2..9)).map(|_| WORDS[random.usize(..WORDS.len())]).collect();
        let starts = ["SELECT", "SELECT * FROM direct_table", "SELECT id FROM random_table WHERE"];
        let statement = format!("{} {}", starts[random.usize(..starts.len())], words.join(" "));
        if let Ok(checked) = sql::check(&statement, Kind::Select) {
            accepted += 1;
            match write.read(&checked.sql).await {
                Ok(_) => succeeded += 1,
                Err(QueryError::Refused { .. } | QueryError::TooLarge(_)) => (),
                Err(error) => panic!("{}: {error:?}", checked.sql),
            }
        }
    }
    assert!(accepted > 100 && succeeded > 50, "{accepted} accepted, {succeeded} succeeded");
    assert_eq!(texts_of(write, "SELECT * FROM random_table ORDER BY id").await, before);
}

#[test]
fn sessions_of_postgres_are_limited() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    with_pools(&postgres.url(), async |read, write| {
        let insert = "INSERT INTO direct_table (column1) VALUES ('a')";
        assert_eq!(write.write(insert).await, Ok(()));
        assert_eq!(read.write(insert).await, refused("cannot execute INSERT in a read-only transaction"));
        for pool in [read, write] {
            let slow = pool.read("SELECT pg_sleep(30)").await.map(drop);
            assert_eq!(slow, refused("canceling statement due to statement timeout"));
            assert_eq!(texts_of(pool, r"SELECT 'a\'").await, r#"[["a\\"]]"#, "a backslash is a character");
        }
        let types = "SELECT 1::smallint, 2, 3::bigint, TRUE, 1.5::real, 0.1::float8, 'NaN'::float8, 1.10, 'x'::char(3), \
                     '2026-01-02'::date, '{1,2}'::int[], '{\"a\": 1}'::jsonb, 'a'::bytea, NULL, ROW(1, 'b')";
        let expected =
            r#"[[1,2,3,true,1.5,0.1,"NaN","1.10","x  ","2026-01-02","{1,2}","{\"a\": 1}","\\x61",null,"(1,b)"]]"#;
        assert_eq!(texts_of(read, types).await, expected);
        assert_eq!(texts_of(read, "SELECT 1 WHERE FALSE").await, "[]");
        texts_are_stored_as_they_are(read, write).await;
        accepted_queries_change_nothing(write).await;
    });
}

#[test]
fn sessions_of_mariadb_are_limited() {
    let Some(mariadb) = MariaDb::start() else {
        return;
    };
    with_pools(&mariadb.url(), async |read, write| {
        let insert = "INSERT INTO direct_table (column1) VALUES ('a')";
        assert_eq!(write.write(insert).await, Ok(()));
        assert_eq!(read.write(insert).await, refused("Cannot execute statement in a READ ONLY transaction"));
        for pool in [read, write] {
            let slow = pool.read("SELECT count(*) FROM seq_1_to_1000000 a, seq_1_to_1000000 b").await.map(drop);
            let expected = "Query execution was interrupted (max_statement_time exceeded)";
            assert_eq!(slow, refused(expected));
            assert_eq!(texts_of(pool, r"SELECT 'a\'").await, r#"[["a\\"]]"#, "a backslash is a character");
            assert_eq!(texts_of(pool, "SELECT 'a' || 'b'").await, r#"[["ab"]]"#);
        }
        let types = "SELECT 1, CAST(2 AS UNSIGNED), 18446744073709551615, 1.10, 0.5e0, DATE '2026-01-02', NULL, 'ü'";
        assert_eq!(texts_of(read, types).await, r#"[[1,2,18446744073709551615,"1.10",0.5,"2026-01-02",null,"ü"]]"#);
        assert_eq!(texts_of(read, "SELECT 1 FROM direct_table WHERE FALSE").await, "[]");
        texts_are_stored_as_they_are(read, write).await;
        accepted_queries_change_nothing(write).await;
    });
}
