//! Tests of the check with random statements.

use proptest::prelude::*;

use super::*;

/// Fragments from which random statements are composed.
const FRAGMENTS: &[&str] = &[
    "SELECT",
    "*",
    "FROM",
    "direct_table",
    "random_table",
    "pg_shadow",
    "information_schema.tables",
    "WHERE",
    "id",
    "=",
    "1",
    "'a'",
    "''",
    "'",
    "(",
    ")",
    ",",
    ";",
    "--",
    "/*",
    "*/",
    "AND",
    "OR",
    "NOT",
    "IN",
    "LIKE",
    "UNION",
    "ALL",
    "WITH",
    "x",
    "AS",
    "JOIN",
    "ON",
    "count",
    "pg_sleep",
    "INSERT INTO",
    "VALUES",
    "column1",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "FOR UPDATE",
    "INTO",
    "\\",
    "\"",
    "`",
    "$$",
    "E'",
    "#",
    "CASE",
    "WHEN",
    "THEN",
    "END",
    "BETWEEN",
    "EXISTS",
    "IS NULL",
    "-",
    "+",
    ".",
    "::",
    "\0",
    "ü",
    "CAST",
    "INTERVAL",
    "ARRAY",
    "[",
    "]",
    "{table}",
    "OVER",
    "LATERAL",
    "RETURNING",
    "DROP TABLE",
    "UPDATE",
    "DELETE",
];

/// Words that no accepted statement contains.
const HOSTILE: &[&str] =
    &["information_schema", "for", "into", "drop", "delete", "update", "returning", "lateral", "over", "cast", "array"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_text_never_panics(text in "\\PC{0,200}") {
        let _ = (check(&text, Kind::Select), check(&text, Kind::Insert));
    }

    #[test]
    fn accepted_statements_stay_within_the_subset(
        parts in prop::collection::vec(prop::sample::select(FRAGMENTS), 0..25),
        spaced in any::<bool>(),
    ) {
        let body = parts.join(if spaced { " " } else { "" });
        for sql in [body.clone(), format!("SELECT {body}"), format!("SELECT id FROM direct_table WHERE {body}"), format!("INSERT INTO direct_table VALUES {body}")] {
            for kind in [Kind::Select, Kind::Insert] {
                if let Ok(Checked { sql: accepted, target }) = check(&sql, kind) {
                    prop_assert_eq!(target.is_some(), kind == Kind::Insert);
                    prop_assert_eq!(check(&accepted, kind).map(|again| again.sql), Ok(accepted.clone()), "{}", sql);
                    let outside = without_texts(&accepted).to_lowercase().replacen("insert into", "insert", 1);
                    let mut words = outside.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
                    let is_hostile = |word: &str| word.starts_with("pg_") || HOSTILE.contains(&word);
                    prop_assert!(!words.any(is_hostile), "{} became {}", sql, accepted);
                    let is_strange = |character: char| !character.is_ascii_alphanumeric() && !" _.,()*+-<>=%/".contains(character);
                    prop_assert!(!outside.contains(is_strange), "{} became {}", sql, accepted);
                    prop_assert!(!outside.contains("--") && !outside.contains("/*"), "{} became {}", sql, accepted);
                }
            }
        }
    }

    #[test]
    fn any_text_stays_one_literal(text in "\\PC{0,40}") {
        let sql = format!("INSERT INTO direct_table (column1) VALUES ('{}')", text.replace('\'', "''"));
        match check(&sql, Kind::Insert) {
            Ok(checked) => prop_assert_eq!(checked.sql, sql),
            Err(error) => prop_assert!(text.contains('\\'), "{}: {}", sql, error),
        }
    }
}

/// Returns SQL without its quoted texts, as the SQL standard reads them.
fn without_texts(sql: &str) -> String {
    sql.split('\'').step_by(2).collect()
}
