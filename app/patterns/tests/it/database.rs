//! Sessions of the pools: read-only, limited in time, and with texts as in standard SQL.

use std::time::Duration;

use kit::testing::{MariaDb, Postgres};
use patterns::cluster::{Access, Database, Pool, QueryError, migrate};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a test with a database, and with its pools for reads and writes.
fn with_pools(url: &str, test: impl AsyncFnOnce(&Pool, &Pool)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let database = Database::parse(url, "MANAGER_URL").unwrap();
        // The second call has nothing to do.
        migrate(&database).await.unwrap();
        migrate(&database).await.unwrap();
        let [read, write] = [Access::Read, Access::Write].map(|access| database.open(access, 2, SECOND));
        test(&read, &write).await;
        read.close().await;
        write.close().await;
    });
}

async fn texts(pool: &Pool, sql: &str) -> String {
    serde_json::to_string(&pool.read(sql).await.unwrap()).unwrap()
}

fn refused(reason: &str) -> Result<(), QueryError> {
    Err(QueryError::Refused { reason: reason.to_owned() })
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
            assert_eq!(texts(pool, r"SELECT 'a\'").await, r#"[["a\\"]]"#, "a backslash is a character");
        }
        let types = "SELECT 1::smallint, 2, 3::bigint, TRUE, 1.5::real, 0.1::float8, 'NaN'::float8, 1.10, 'x'::char(3), \
                     '2026-01-02'::date, '{1,2}'::int[], '{\"a\": 1}'::jsonb, 'a'::bytea, NULL, ROW(1, 'b')";
        let expected =
            r#"[[1,2,3,true,1.5,0.1,"NaN","1.10","x  ","2026-01-02","{1,2}","{\"a\": 1}","\\x61",null,"(1,b)"]]"#;
        assert_eq!(texts(read, types).await, expected);
        assert_eq!(texts(read, "SELECT 1 WHERE FALSE").await, "[]");
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
            assert_eq!(texts(pool, r"SELECT 'a\'").await, r#"[["a\\"]]"#, "a backslash is a character");
            assert_eq!(texts(pool, "SELECT 'a' || 'b'").await, r#"[["ab"]]"#);
        }
        let types = "SELECT 1, CAST(2 AS UNSIGNED), 18446744073709551615, 1.10, 0.5e0, DATE '2026-01-02', NULL, 'ü'";
        assert_eq!(texts(read, types).await, r#"[[1,2,18446744073709551615,"1.10",0.5,"2026-01-02",null,"ü"]]"#);
        assert_eq!(texts(read, "SELECT 1 FROM direct_table WHERE FALSE").await, "[]");
    });
}
