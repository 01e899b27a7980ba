//! Exports of a filtered list as CSV or JSON, with all columns, ordered by ID.
//!
//! Rows are read in parts while the response is sent, with a statement for each part, so that an export holds little memory
//! and no connection, for any number of rows and for slow clients.

use actix_web::{HttpResponse, HttpResponseBuilder, http::header, web::Bytes};
use futures::{Stream, StreamExt, stream};
use sea_orm::{ColumnTrait, DatabaseConnection, DbErr, QueryFilter, QueryOrder, QuerySelect, Select};

use super::{
    error::{Answer, Failure},
    model::{Cell, ModelAdmin},
    permission::Verb,
    query::ListQuery,
    request::AdminRequest,
    search,
};

/// Number of rows in a statement.
const PART: u64 = 1000;

/// Responds with the list as CSV (RFC 4180), with a line of column names.
pub(super) async fn csv<E: ModelAdmin>(request: AdminRequest) -> Answer {
    let parts = parts::<E>(&request).await?;
    let names: Vec<_> = E::columns().iter().map(|column| column.name).collect();
    let head = stream::iter([Ok(Bytes::from(names.join(",") + "\r\n"))]);
    let lines = parts.map(|part| {
        let columns = E::columns();
        let line = |row: &E::Model| columns.iter().map(|column| csv_value(&(column.cell)(row))).collect::<Vec<_>>();
        part.map(|rows| Bytes::from(rows.iter().map(|row| line(row).join(",") + "\r\n").collect::<String>()))
    });
    Ok(file::<E>("text/csv; charset=utf-8", "csv").streaming(head.chain(lines)))
}

/// Responds with the list as an array of JSON objects.
pub(super) async fn json<E: ModelAdmin>(request: AdminRequest) -> Answer {
    let parts = parts::<E>(&request).await?;
    let objects = parts.enumerate().map(|(number, part)| {
        let columns = E::columns();
        let object = |row: &E::Model| {
            let pairs = columns.iter().map(|column| format!("\"{}\":{}", column.name, (column.cell)(row).value()));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
        };
        part.map(|rows| {
            let objects = rows.iter().map(object).collect::<Vec<_>>().join(",\n");
            Bytes::from(if number == 0 { objects } else { format!(",\n{objects}") })
        })
    });
    let (head, end) = (stream::iter([Ok(Bytes::from_static(b"["))]), stream::iter([Ok(Bytes::from_static(b"]\n"))]));
    Ok(file::<E>("application/json", "json").streaming(head.chain(objects).chain(end)))
}

fn file<E: ModelAdmin>(kind: &str, extension: &str) -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    let disposition = format!("attachment; filename=\"{}.{extension}\"", E::SECTION.path);
    answer.insert_header((header::CONTENT_TYPE, kind)).insert_header((header::CONTENT_DISPOSITION, disposition));
    answer
}

/// Returns the rows in non-empty parts. The first part is already read, so that an unavailable database is an error
/// response.
async fn parts<E: ModelAdmin>(
    request: &AdminRequest,
) -> Result<impl Stream<Item = Result<Vec<E::Model>, DbErr>> + use<E>, Failure> {
    request.visit.require(E::SECTION, Verb::View)?;
    let query = ListQuery::parse(request.http.query_string(), &E::grammar());
    let database = DatabaseConnection::clone(&request.database);
    let (select, _) = search::narrowed::<E>(&query, database.get_database_backend());
    let mut parts = Box::pin(read(database, select));
    let first = parts.next().await.transpose()?;
    Ok(stream::iter(first.map(Ok)).chain(parts))
}

fn read<E: ModelAdmin>(
    database: DatabaseConnection,
    select: Select<E>,
) -> impl Stream<Item = Result<Vec<E::Model>, DbErr>> {
    stream::try_unfold(Some(i64::MIN), move |after| {
        let (database, select) = (database.clone(), select.clone());
        async move {
            let Some(after) = after else {
                return Ok(None);
            };
            let part = select.filter(E::key().gt(after)).order_by_asc(E::key()).limit(PART);
            let rows =
                part.all(&database).await.inspect_err(|error| tracing::error!(%error, "an export is cut off"))?;
            let Some(last) = rows.last() else {
                return Ok(None);
            };
            let next = (rows.len() as u64 == PART).then(|| E::id(last));
            Ok(Some((rows, next)))
        }
    })
}

fn csv_value(cell: &Cell) -> String {
    let text = match cell {
        Cell::Text(text) | Cell::Long(text) => defused(text),
        Cell::Nothing => String::new(),
        other => match other.value() {
            serde_json::Value::String(text) => text,
            value => value.to_string(),
        },
    };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// Returns a text that spreadsheets do not interpret as a formula, with an apostrophe before it. JSON contains the exact
/// value.
fn defused(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_values_are_escaped_in_csv() {
        for (text, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=1+1", "'=1+1"),
            ("@SUM(A1,A2)", "\"'@SUM(A1,A2)\""),
            ("-1", "'-1"),
            ("a=b", "a=b"),
        ] {
            assert_eq!(csv_value(&Cell::Text(text.to_owned())), expected);
        }
        assert_eq!(csv_value(&Cell::Number(-1)), "-1");
        assert_eq!(csv_value(&Cell::Flag(true)), "true");
        assert_eq!(csv_value(&Cell::Nothing), "");
    }
}
