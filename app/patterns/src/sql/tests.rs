//! Tests of the check: accepted and refused statements.
#![allow(clippy::unwrap_used)]

use super::*;

fn select(sql: &str) -> Result<String, String> {
    check(sql, Kind::Select).map(|checked| checked.sql).map_err(|error| error.to_string())
}

fn insert(sql: &str) -> Result<String, String> {
    check(sql, Kind::Insert).map(|checked| checked.sql).map_err(|error| error.to_string())
}

#[test]
fn queries_of_the_subset_are_written_again() {
    for (sql, expected) in [
        ("SELECT * FROM direct_table", "SELECT * FROM direct_table"),
        ("select ID,Column1 from Direct_Table where id>=1;", "SELECT id, column1 FROM direct_table WHERE id >= 1"),
        ("SELECT 'o''b', -1, - -1, 1.5e3", "SELECT 'o''b', - 1, - - 1, 1.5e3"),
        ("SELECT 'a -- b /* c */ ; $$'", "SELECT 'a -- b /* c */ ; $$'"),
        ("SELECT\u{a0}1\u{2003}FROM\tdirect_table\n", "SELECT 1 FROM direct_table"),
        ("SELECT 'ü牛\n\t'", "SELECT 'ü牛\n\t'"),
        (
            "SELECT count(*), MAX(id) AS largest FROM random_table",
            "SELECT count(*), max(id) AS largest FROM random_table",
        ),
        (
            "SELECT DISTINCT d.column1 AS c1 FROM direct_table d ORDER BY c1 DESC NULLS LAST LIMIT 5 OFFSET 2",
            "SELECT DISTINCT d.column1 AS c1 FROM direct_table d ORDER BY c1 DESC NULLS LAST LIMIT 5 OFFSET 2",
        ),
        ("SELECT direct_table.id FROM direct_table", "SELECT direct_table.id FROM direct_table"),
        (
            "WITH c AS (SELECT d.*, 1 AS n FROM direct_table d) SELECT x.id, x.n, c.column1 FROM (SELECT * FROM c) x, c",
            "WITH c AS (SELECT d.*, 1 AS n FROM direct_table d) SELECT x.id, x.n, c.column1 FROM (SELECT * FROM c) x, c",
        ),
        (
            "SELECT x.a, x.b FROM (SELECT id, column1 FROM direct_table UNION SELECT 1, 'x') AS x (a, b)",
            "SELECT x.a, x.b FROM (SELECT id, column1 FROM direct_table UNION SELECT 1, 'x') AS x (a, b)",
        ),
        (
            "SELECT x.id FROM (direct_table AS x JOIN random_table AS y ON x.id = y.id) WHERE y.column1 = 'a'",
            "SELECT x.id FROM (direct_table AS x JOIN random_table AS y ON x.id = y.id) WHERE y.column1 = 'a'",
        ),
        (
            "SELECT a.* FROM direct_table AS a LEFT JOIN random_table b ON a.id = b.id WHERE b.id IS NULL",
            "SELECT a.* FROM direct_table AS a LEFT JOIN random_table b ON a.id = b.id WHERE b.id IS NULL",
        ),
        (
            "WITH x (n) AS (SELECT id FROM direct_table), y AS (SELECT n FROM x) SELECT n FROM y",
            "WITH x (n) AS (SELECT id FROM direct_table), y AS (SELECT n FROM x) SELECT n FROM y",
        ),
        (
            "SELECT id FROM direct_table WHERE id IN (SELECT id FROM random_table) AND column1 NOT LIKE 'a%'",
            "SELECT id FROM direct_table WHERE id IN (SELECT id FROM random_table) AND column1 NOT LIKE 'a%'",
        ),
        (
            "SELECT id FROM direct_table UNION ALL (SELECT id FROM customized_table) ORDER BY 1",
            "SELECT id FROM direct_table UNION ALL (SELECT id FROM customized_table) ORDER BY 1",
        ),
        (
            "SELECT CASE WHEN id BETWEEN 1 AND 2 THEN 'low' ELSE column1 END FROM (SELECT * FROM direct_table) t",
            "SELECT CASE WHEN id BETWEEN 1 AND 2 THEN 'low' ELSE column1 END FROM (SELECT * FROM direct_table) t",
        ),
        (
            "SELECT column1, sum(id) FROM direct_table GROUP BY column1 HAVING count(DISTINCT id) > 1",
            "SELECT column1, sum(id) FROM direct_table GROUP BY column1 HAVING count(DISTINCT id) > 1",
        ),
    ] {
        assert_eq!(select(sql).as_deref(), Ok(expected), "{sql}");
        assert_eq!(select(expected).as_deref(), Ok(expected), "another check changes {expected}");
    }
}

#[test]
fn insertions_of_the_subset_are_written_again() {
    for (sql, target, expected) in [
        (
            "insert into direct_table(column1,column2) values('a','b')",
            Table::Direct,
            "INSERT INTO direct_table (column1, column2) VALUES ('a', 'b')",
        ),
        (
            "INSERT INTO RANDOM_TABLE VALUES (DEFAULT, NULL, 'x'), (-7, '', 'Robert''); DROP TABLE students;--');",
            Table::Random,
            "INSERT INTO random_table VALUES (DEFAULT, NULL, 'x'), (- 7, '', 'Robert''); DROP TABLE students;--')",
        ),
    ] {
        let checked = check(sql, Kind::Insert).unwrap();
        assert_eq!((checked.sql.as_str(), checked.target), (expected, Some(target)), "{sql}");
        assert_eq!(insert(expected).as_deref(), Ok(expected), "another check changes {expected}");
    }
}

#[test]
fn hostile_queries_are_refused() {
    const TABLES: &str = "is not allowed; the tables are direct_table, random_table and customized_table";
    let mut wrong = Vec::new();
    for (sql, reason) in [
        // Stacked statements and comments.
        ("SELECT 1; DROP TABLE direct_table", "Only one statement is allowed"),
        ("SELECT 1;;SELECT 2", "Only one statement is allowed"),
        (";SELECT 1", "Only one statement is allowed"),
        (";", "The statement is empty"),
        ("SELECT 1 -- comment", "Comments are not allowed"),
        ("SELECT 1--1", "Comments are not allowed"),
        ("SELECT /* comment */ 1", "Comments are not allowed"),
        ("SELECT /*!50000 1 */", "Comments are not allowed"),
        ("SELECT /* /* */ 1 */", "Comments are not allowed"),
        ("SELECT 1 /*", "The statement cannot be parsed: Unexpected EOF"),
        ("SELECT 1 # comment", "# is not allowed"),
        // Texts that databases read differently.
        (r"SELECT 'a\' OR 1=1'", "Unterminated string literal"),
        (r"SELECT 'a\', ' OR 1=1 --'", "Backslashes are not allowed"),
        (r"SELECT '\'; DROP TABLE direct_table; --'", "Backslashes are not allowed"),
        ("SELECT E'a'", ""),
        ("SELECT U&'a'", ""),
        ("SELECT N'a'", ""),
        ("SELECT x'41'", ""),
        ("SELECT b'1'", ""),
        ("SELECT 0x41", ""),
        ("SELECT $$a$$", "$$ is not allowed"),
        ("SELECT $1", "$1 is not allowed"),
        ("SELECT \"id\" FROM direct_table", "\"id\" is not allowed"),
        ("SELECT `id` FROM direct_table", "` is not allowed"),
        ("SELECT [id] FROM direct_table", "[ is not allowed"),
        ("SELECT 'a' 'b'", ""),
        ("SELECT 'a\0b'", "Control characters are not allowed"),
        ("SELECT 'a", "The statement cannot be parsed: Unterminated string literal"),
        ("SELECT id FROM direct_tàble", ""),
        ("SELECT 'a' || 'b'", "|| is not allowed"),
        ("SELECT @@version", ""),
        ("SELECT @x := 1", ""),
        ("SELECT id::text FROM direct_table", ":: is not allowed"),
        ("SELECT 1 WHERE 1 <=> 1", ""),
        // Tables of the system, in every position.
        ("SELECT * FROM pg_user", TABLES),
        ("SELECT * FROM information_schema.tables", TABLES),
        ("SELECT * FROM mysql.user", TABLES),
        ("SELECT * FROM public.direct_table", TABLES),
        ("SELECT * FROM direct_table, pg_shadow", TABLES),
        ("SELECT * FROM direct_table JOIN pg_shadow ON TRUE", TABLES),
        ("SELECT * FROM (SELECT * FROM pg_shadow) x", TABLES),
        ("SELECT * FROM (direct_table JOIN pg_shadow ON TRUE)", TABLES),
        ("SELECT id FROM direct_table WHERE id IN (SELECT 1 FROM pg_shadow)", TABLES),
        ("SELECT id FROM direct_table WHERE EXISTS (SELECT 1 FROM pg_shadow)", TABLES),
        ("SELECT (SELECT 1 FROM pg_shadow)", TABLES),
        ("SELECT id FROM direct_table ORDER BY (SELECT 1 FROM pg_shadow)", TABLES),
        ("SELECT id FROM direct_table UNION SELECT 1 FROM pg_shadow", TABLES),
        ("WITH x AS (SELECT * FROM pg_shadow) SELECT * FROM x", TABLES),
        ("WITH users AS (SELECT * FROM users) SELECT * FROM users", TABLES),
        ("WITH x AS (SELECT * FROM y), y AS (SELECT 1) SELECT * FROM x", TABLES),
        ("WITH pg_user AS (SELECT 1) SELECT * FROM pg_user", "pg_user is not allowed as an alias"),
        ("SELECT * FROM (WITH s AS (SELECT 1) SELECT 1) x, s", "WITH in a subquery is not allowed"),
        ("WITH RECURSIVE x AS (SELECT 1) SELECT * FROM x", "WITH RECURSIVE is not allowed"),
        ("WITH x AS (DELETE FROM direct_table RETURNING id) SELECT * FROM x", ""),
        ("WITH x AS (INSERT INTO direct_table VALUES (1)) SELECT * FROM x", ""),
        ("TABLE pg_shadow", ""),
        ("SELECT * FROM direct_table UNION TABLE pg_shadow", ""),
        ("VALUES (1)", ""),
        // Functions and names that call functions.
        ("SELECT pg_sleep(10)", "Function pg_sleep is not allowed"),
        ("SELECT sleep(10)", "Function sleep is not allowed"),
        ("SELECT pg_read_file('/etc/passwd')", "Function pg_read_file is not allowed"),
        ("SELECT load_file('/etc/passwd')", "Function load_file is not allowed"),
        ("SELECT pg_catalog.count(id) FROM direct_table", "Function pg_catalog.count is not allowed"),
        ("SELECT * FROM generate_series(1, 1000000000)", "Function generate_series is not allowed"),
        ("SELECT * FROM direct_table, LATERAL generate_series(1, 9)", ""),
        ("SELECT * FROM direct_table(1)", "Function direct_table is not allowed"),
        ("SELECT repeat('a', 1000000000)", "Function repeat is not allowed"),
        ("SELECT set_config('default_transaction_read_only', 'off', FALSE)", "Function set_config is not allowed"),
        ("SELECT current_user", "is not allowed"),
        ("SELECT session_user", "is not allowed"),
        ("SELECT user", "is not allowed"),
        ("SELECT current_catalog", "is not allowed"),
        ("SELECT current_timestamp", "is not allowed"),
        ("SELECT localtime", "is not allowed"),
        ("SELECT utc_date", "Column utc_date is not allowed"),
        ("SELECT id AS utc_date, utc_date FROM direct_table", "utc_date is not allowed as an alias"),
        ("SELECT id AS current_user, current_user FROM direct_table", "is not allowed"),
        ("SELECT t.row_to_json FROM direct_table t", "Column t.row_to_json is not allowed"),
        ("SELECT t.row_to_json AS row_to_json FROM direct_table t", "Column t.row_to_json is not allowed"),
        (
            "SELECT q.to_json FROM (SELECT id FROM direct_table) q, (SELECT 1 AS to_json) z",
            "Column q.to_json is not allowed",
        ),
        (
            "SELECT q.to_json FROM direct_table q WHERE EXISTS (SELECT 1 FROM (SELECT 1 AS to_json) q)",
            "Column q.to_json is not allowed",
        ),
        ("SELECT x.text FROM (SELECT * FROM direct_table) x", "is not allowed"),
        ("WITH x (n) AS (SELECT id FROM direct_table) SELECT x.id FROM x", "Column x.id is not allowed"),
        ("SELECT d.id FROM direct_table AS e", "Column d.id is not allowed"),
        ("SELECT direct_table.id FROM direct_table AS e", "Column direct_table.id is not allowed"),
        ("SELECT d.* FROM direct_table AS e", "Column d.* is not allowed"),
        ("SELECT t FROM direct_table t", "Column t is not allowed"),
        ("SELECT count(t) FROM direct_table t", "Column t is not allowed"),
        ("SELECT 1 AS xmin, xmin FROM direct_table", "xmin is not allowed as an alias"),
        ("SELECT xmin, ctid FROM direct_table", "Column ctid is not allowed"),
        ("SELECT tableoid FROM direct_table", "Column tableoid is not allowed"),
        ("SELECT count(id) OVER () FROM direct_table", "A window function is not allowed"),
        ("SELECT count(*) FILTER (WHERE TRUE) FROM direct_table", ""),
        ("SELECT CAST(id AS text) FROM direct_table", "The expression CAST(id AS TEXT) is not allowed"),
        ("SELECT date '2026-01-01'", ""),
        ("SELECT interval '1 day'", ""),
        ("SELECT ARRAY[1]", "[ is not allowed"),
        ("SELECT ROW(1, 2)", "Function row is not allowed"),
        ("SELECT (1, 2)", "The expression (1, 2) is not allowed"),
        ("SELECT a.b.c FROM direct_table a", "The expression a.b.c is not allowed"),
        // Clauses.
        ("SELECT * INTO copies FROM direct_table", "SELECT INTO is not allowed"),
        ("SELECT * FROM direct_table INTO OUTFILE '/tmp/x'", ""),
        ("SELECT * FROM direct_table FOR UPDATE", "FOR UPDATE or FOR SHARE is not allowed"),
        ("SELECT * FROM direct_table FOR SHARE", "FOR UPDATE or FOR SHARE is not allowed"),
        ("SELECT * FROM direct_table LOCK IN SHARE MODE", ""),
        ("SELECT * FROM direct_table PROCEDURE ANALYSE()", ""),
        ("SELECT * FROM direct_table LIMIT (SELECT 1)", "LIMIT or OFFSET without a number is not allowed"),
        ("SELECT * FROM direct_table FETCH FIRST 1 ROW ONLY", "FETCH is not allowed"),
        ("SELECT * FROM direct_table TABLESAMPLE SYSTEM (1)", ""),
        ("SELECT TOP 1 id FROM direct_table", ""),
        ("SELECT DISTINCT ON (id) id FROM direct_table", "DISTINCT ON is not allowed"),
        ("SELECT id FROM direct_table GROUP BY ROLLUP (id)", ""),
        ("SELECT id FROM direct_table LIKE 'a' ESCAPE '!'", ""),
        ("SELECT id FROM direct_table WHERE column1 LIKE 'a' ESCAPE '!'", "A part of the statement is not allowed"),
        // Other statements.
        ("INSERT INTO direct_table (column1) VALUES ('a')", "Only SELECT is allowed on this path"),
        ("UPDATE direct_table SET column1 = 'a'", "Only SELECT is allowed on this path"),
        ("DELETE FROM direct_table", "Only SELECT is allowed on this path"),
        ("DROP TABLE direct_table", "Only SELECT is allowed on this path"),
        ("EXPLAIN SELECT 1", "Only SELECT is allowed on this path"),
        ("SET search_path = x", "Only SELECT is allowed on this path"),
        ("SHOW TABLES", ""),
        ("COPY direct_table TO PROGRAM 'id'", ""),
        ("DO $$ BEGIN END $$", ""),
        ("BEGIN", "Only SELECT is allowed on this path"),
        ("nonsense", "The statement cannot be parsed"),
    ] {
        wrong.extend(difference(sql, select(sql), reason));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns a description if a statement is not refused for this reason.
fn difference(sql: &str, checked: Result<String, String>, reason: &str) -> Option<String> {
    let is_expected = matches!(&checked, Err(refused) if refused.contains(reason));
    (!is_expected).then(|| format!("{sql}: {checked:?} instead of {reason}"))
}

#[test]
fn hostile_insertions_are_refused() {
    let mut wrong = Vec::new();
    for (sql, reason) in [
        ("INSERT INTO users (column1) VALUES ('a')", "Table users is not allowed"),
        ("INSERT INTO mysql.user VALUES ('a')", "Table mysql.user is not allowed"),
        ("INSERT INTO direct_table (password) VALUES ('a')", "Column password is not allowed"),
        ("INSERT INTO direct_table SELECT * FROM direct_table", "An insertion of anything but VALUES is not allowed"),
        ("INSERT INTO direct_table (column1) VALUES ((SELECT 1))", "The expression (SELECT 1) is not allowed"),
        ("INSERT INTO direct_table (column1) VALUES (pg_sleep(9))", "The expression pg_sleep(9) is not allowed"),
        ("INSERT INTO direct_table (column1) VALUES (current_user)", "is not allowed"),
        ("INSERT INTO direct_table (column1) VALUES (1 + 1)", "The expression 1 + 1 is not allowed"),
        ("INSERT INTO direct_table (column1) VALUES ('a') RETURNING *", "RETURNING is not allowed"),
        ("INSERT INTO direct_table VALUES (1) ON CONFLICT DO NOTHING", "is not allowed"),
        ("INSERT INTO direct_table VALUES (1) ON DUPLICATE KEY UPDATE id = 1", "is not allowed"),
        ("INSERT INTO direct_table DEFAULT VALUES", ""),
        ("INSERT IGNORE INTO direct_table VALUES (1)", ""),
        ("INSERT OVERWRITE direct_table VALUES (1)", ""),
        ("REPLACE INTO direct_table VALUES (1)", ""),
        ("INSERT INTO direct_table VALUES (1); DELETE FROM direct_table", "Only one statement is allowed"),
        ("INSERT INTO direct_table VALUES (1) /* */", "Comments are not allowed"),
        (r"INSERT INTO direct_table (column1) VALUES ('\')", "Backslashes are not allowed"),
        ("WITH x AS (SELECT 1) INSERT INTO direct_table VALUES (1)", "Only INSERT is allowed on this path"),
        ("SELECT * FROM direct_table", "Only INSERT is allowed on this path"),
        ("DELETE FROM direct_table", "Only INSERT is allowed on this path"),
        ("INSERT INTO {table} VALUES (1)", "{ is not allowed"),
    ] {
        wrong.extend(difference(sql, insert(sql), reason));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn large_statements_are_refused() {
    let long = format!("SELECT '{}'", "x".repeat(MAX_BYTES));
    let rows = |count| format!("INSERT INTO direct_table (id) VALUES {}", vec!["(1)"; count].join(","));
    assert_eq!(select(&long), Err(SqlError::TooLong.to_string()));
    assert!(insert(&rows(MAX_ROWS)).is_ok());
    assert_eq!(insert(&rows(MAX_ROWS + 1)), Err(SqlError::TooManyRows.to_string()));
    // The written statement is longer than the text of the client.
    assert_eq!(select(&format!("SELECT {}1", "1,".repeat(MAX_BYTES / 2 - 10))), Err(SqlError::TooLong.to_string()));
    let nested = |depth: usize, inner: &str| format!("{}{inner}{}", "(".repeat(depth), ")".repeat(depth));
    assert!(select(&format!("SELECT {}", nested(MAX_DEPTH, "1"))).is_ok());
    for complex in [
        format!("SELECT {}", nested(MAX_DEPTH + 1, "1")),
        format!("SELECT {}", nested(10_000, "1")),
        format!("SELECT 1{}", " + 1".repeat(MAX_TOKENS)),
        format!("SELECT {}1", "- ".repeat(MAX_TOKENS)),
        format!("SELECT {}1", "NOT ".repeat(MAX_TOKENS)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(MAX_TOKENS / 2)),
        format!("SELECT 1 FROM {}", vec!["direct_table"; 20].join(", ")),
    ] {
        assert_eq!(select(&complex), Err(SqlError::TooComplex.to_string()), "{complex}");
    }
}

#[test]
fn a_chain_at_the_limit_is_checked() {
    // The longest chains that the tokens permit must not overflow the stack of a thread.
    for (start, link) in [
        ("SELECT 1", " + 1"),
        ("SELECT 1", " IS NULL"),
        ("SELECT 1", " UNION SELECT 1"),
        ("SELECT -1", " NOT LIKE 'a'"),
    ] {
        let words = link.matches(char::is_alphabetic).count().min(1) + link.matches(' ').count();
        let chain = format!("{start}{}", link.repeat((MAX_TOKENS - 10) / words.max(1)));
        // Both results are correct: the statement may be within the subset or not.
        let checked = select(&chain);
        assert!(checked.as_ref().map_or(true, |sql| sql.starts_with("SELECT")), "{checked:?}");
    }
}

#[test]
fn parentheses_at_the_limit_are_checked_quickly() {
    let (open, close) = ("(".repeat(MAX_DEPTH), ")".repeat(MAX_DEPTH));
    for sql in [
        format!("SELECT * FROM {open}direct_table{close}"),
        format!("SELECT * FROM {open}SELECT 1{close} x"),
        format!("{open}SELECT 1{close}"),
        format!("SELECT id FROM direct_table WHERE id IN {open}SELECT 1{close}"),
        format!("SELECT {open}{}", "1 IN ("),
    ] {
        // No exponential time: the harness would time out.
        let _ = select(&sql);
    }
}

#[test]
fn repetitions_of_any_keyword_overflow_no_stack() {
    // An overflow aborts the test, and a parser that needs exponential time never finishes.
    for word in sqlparser::keywords::ALL_KEYWORDS {
        for repeated in [
            format!("{word} ").repeat(MAX_TOKENS - 5),
            format!("{word} NOT ").repeat(MAX_TOKENS / 2 - 5),
            format!("{word} (").repeat(MAX_DEPTH),
            format!("CASE {word} ").repeat(MAX_TOKENS / 2 - 5),
        ] {
            let sql = format!("SELECT {repeated}");
            assert!(select(&sql).is_err(), "{sql}");
        }
    }
}

/// The deepest statements that are checked on the thread of the caller need three quarters of the smallest stack, which has
/// 2 MiB.
#[test]
fn short_statements_fit_in_the_stack_of_the_caller() {
    let deepest = [
        format!("SELECT {}1{}", "(".repeat(MAX_DEPTH), ")".repeat(MAX_DEPTH)),
        format!("SELECT {}1", "NOT ".repeat(FEW_TOKENS - 1)),
        format!("SELECT {}1", "- ".repeat(FEW_TOKENS - 1)),
        format!("SELECT 1{}", " + 1".repeat(FEW_TOKENS - 1)),
        "SELECT 1 IN (SELECT 1 IN (SELECT 1 IN (SELECT 1)))".to_owned(),
        "SELECT x FROM (SELECT 1 AS x) AS y WHERE NOT x = 1".to_owned(),
    ];
    let thread = thread::Builder::new().stack_size(1536 * 1024).spawn(move || {
        for sql in deepest {
            assert!(tokens::words(&tokens::read(&sql).unwrap()) <= FEW_TOKENS + 1, "{sql}");
            // The result does not matter.
            let _ = check_here(tokens::read(&sql).unwrap(), Kind::Select);
        }
    });
    thread.unwrap().join().unwrap();
}
