//! Formats events as lines of JSON: `{"timestamp":…,"level":…,<fields>,"span":{…}}`.
//!
//! The JSON format of tracing-subscriber parses the fields of a span again for every event. This one formats them as JSON
//! once, and copies the text.

use std::fmt::{self, Debug, Display, Write};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// Formats events as lines of JSON, and the fields of spans as the members of a JSON object.
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        line.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut line)?;
        write!(line, "\",\"level\":\"{}\",", event.metadata().level())?;
        Json.format_fields(line.by_ref(), event)?;
        if let Some(span) = context.lookup_current() {
            line.write_str(",\"span\":{")?;
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>().filter(|fields| !fields.is_empty()) {
                write!(line, "{fields},")?;
            }
            write!(line, "\"name\":\"{}\"}}", Escaped(span.name()))?;
        }
        line.write_str("}\n")
    }
}

impl<'writer> FormatFields<'writer> for Json {
    fn format_fields<R: RecordFields>(&self, line: Writer<'writer>, fields: R) -> fmt::Result {
        let mut object = Object { line, first: true, result: Ok(()) };
        fields.record(&mut object);
        object.result
    }

    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &tracing::span::Record<'_>,
    ) -> fmt::Result {
        if !current.fields.is_empty() {
            current.fields.push(',');
        }
        self.format_fields(current.as_writer(), fields)
    }
}

/// Members of a JSON object.
struct Object<'writer> {
    line: Writer<'writer>,
    first: bool,
    result: fmt::Result,
}

impl Object<'_> {
    /// Adds a field whose value is JSON.
    fn add(&mut self, field: &Field, value: impl Display) {
        let comma = if std::mem::take(&mut self.first) { "" } else { "," };
        let name = field.name().trim_start_matches("r#");
        self.result = self.result.and_then(|()| write!(self.line, "{comma}\"{name}\":{value}"));
    }
}

impl Visit for Object<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format_args!("\"{}\"", Escaped(format_args!("{value:?}"))));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("\"{}\"", Escaped(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() { self.add(field, value) } else { self.add(field, "null") }
    }
}

/// Returns a text with the escapes of a JSON string.
struct Escaped<T>(T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        while let Some(at) = text.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
            self.0.write_str(&text[..at])?;
            match text.as_bytes()[at] {
                b'\n' => self.0.write_str("\\n")?,
                plain @ (b'"' | b'\\') => write!(self.0, "\\{}", char::from(plain))?,
                control => write!(self.0, "\\u{control:04x}")?,
            }
            text = &text[at + 1..];
        }
        self.0.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use super::*;

    /// Returns the lines that are logged meanwhile, parsed and without their timestamps.
    fn logged(work: impl FnOnce()) -> Vec<Value> {
        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<Vec<u8>>>);

        impl std::io::Write for Lines {
            fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(line);
                Ok(line.len())
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().event_format(Json).fmt_fields(Json).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, work);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let parsed = text.lines().map(|line| {
            let mut line: Value = serde_json::from_str(line).expect(line);
            let timestamp = line.as_object_mut().unwrap().remove("timestamp").unwrap();
            assert!(timestamp.as_str().unwrap().ends_with('Z'), "{timestamp}");
            line
        });
        parsed.collect()
    }

    #[test]
    fn fields_keep_their_types() {
        let lines = logged(|| {
            tracing::info!(
                n = -1,
                u = 2_u64,
                half = 0.5,
                none = f64::NAN,
                yes = true,
                text = "a",
                user = None::<&str>,
                "b"
            );
        });
        let expected = json!({
            "level": "INFO", "message": "b", "n": -1, "u": 2, "half": 0.5, "none": null, "yes": true, "text": "a"
        });
        assert_eq!(lines, [expected]);
    }

    #[test]
    fn every_text_is_escaped() {
        let nasty = "\"}\\\n\r\t\0\u{1f}é\u{7f}\u{2028}";
        let lines = logged(|| tracing::warn!(nasty, shown = %nasty, "{nasty}"));
        assert_eq!(lines, [json!({ "level": "WARN", "message": nasty, "nasty": nasty, "shown": nasty })]);
    }

    #[test]
    fn a_line_contains_its_span() {
        let lines = logged(|| {
            let span = tracing::error_span!("request", request_id = "a\"b", more = tracing::field::Empty);
            span.in_scope(|| tracing::error!("one"));
            span.record("more", 7);
            span.in_scope(|| tracing::error!("two"));
            tracing::error_span!("bare").in_scope(|| tracing::error!("three"));
        });
        let spans: Vec<_> = lines.iter().map(|line| &line["span"]).collect();
        assert_eq!(
            spans,
            [
                &json!({ "name": "request", "request_id": "a\"b" }),
                &json!({ "name": "request", "request_id": "a\"b", "more": 7 }),
                &json!({ "name": "bare" }),
            ]
        );
    }
}
