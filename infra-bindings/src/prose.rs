//! Descriptions as documentation comments.
//!
//! Descriptions in schemas mix Markdown, reStructuredText and HTML. rustdoc must not find code to run, links to items or
//! unclosed tags in them.

/// Longest description, in characters. Some schemas contain a chapter.
const LONGEST: usize = 1200;

/// Width of a line of text, without the indentation.
const WIDTH: usize = 110;

/// Converts a description to lines of Markdown.
pub(crate) fn lines(description: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in shortened(&without_tags(description)).lines() {
        let text = escaped(&paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
        match (text.strip_prefix("+ ").or_else(|| text.strip_prefix("* ")), lines.last()) {
            _ if text.is_empty() => {}
            (Some(item), last) => {
                if last
                    .is_some_and(|last: &String| !last.is_empty() && !last.starts_with("- ") && !last.starts_with("  "))
                {
                    lines.push(String::new());
                }
                lines.extend(wrapped(&format!("- {item}"), "  "));
            }
            (None, last) => {
                if last.is_some_and(|last| !last.is_empty()) {
                    lines.push(String::new());
                }
                lines.extend(wrapped(&text, ""));
            }
        }
    }
    lines
}

/// Cuts a long description at the end of a word.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => {
            let end = text[..end].rfind(char::is_whitespace).unwrap_or(end);
            format!("{} …", text[..end].trim_end())
        }
        None => text.to_owned(),
    }
}

/// Removes HTML tags. `<code>` becomes a code span.
fn without_tags(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        plain.push_str(&rest[..start]);
        let inside = &rest[start + 1..];
        let name = inside.trim_start_matches('/');
        let end = inside.find('>').filter(|_| name.starts_with(|c: char| c.is_ascii_alphabetic()));
        match end.map(|end| (end, name.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default())) {
            Some((end, tag)) if TAGS.contains(&tag.to_ascii_lowercase().as_str()) => {
                plain.push_str(match tag {
                    "code" => "`",
                    "p" | "br" | "li" | "ul" | "ol" => "\n",
                    _ => "",
                });
                rest = &inside[end + 1..];
            }
            _ => {
                plain.push('<');
                rest = inside;
            }
        }
    }
    plain + rest
}

/// Tags that descriptions contain. Other text in angle brackets is a placeholder.
const TAGS: &[&str] = &["a", "b", "br", "caution", "code", "i", "important", "li", "note", "ol", "p", "pre", "ul"];

/// Escapes one line. Code spans and links to web pages are kept.
fn escaped(line: &str) -> String {
    let line = line.replace("```", "`").replace("``", "`");
    // An unclosed code span would extend to the next paragraph.
    let has_spans = line.matches('`').count().is_multiple_of(2);
    let mut text = String::new();
    let mut in_span = false;
    let mut rest = line.as_str();
    while let Some(letter) = rest.chars().next() {
        if !in_span && let Some((link, after)) = link(rest) {
            text.push_str(&link);
            rest = after;
            continue;
        }
        match letter {
            '`' if has_spans => {
                in_span = !in_span;
                text.push('`');
            }
            '`' => text.push('\''),
            '[' | ']' | '<' | '>' | '|' | '\\' if !in_span => text.extend(['\\', letter]),
            // A line that begins with it would be a heading.
            '#' if text.is_empty() => text.push_str("\\#"),
            letter if letter.is_control() => text.push(' '),
            letter => text.push(letter),
        }
        rest = &rest[letter.len_utf8()..];
    }
    text
}

/// Returns the link at the beginning of a text, and the rest: `[text](https://…)`, or an address alone.
fn link(text: &str) -> Option<(String, &str)> {
    if text.starts_with("https://") || text.starts_with("http://") {
        let end = text.find(|c: char| c.is_whitespace() || "()<>[]`'\",;|".contains(c)).unwrap_or(text.len());
        let address = text[..end].trim_end_matches(['.', ':']);
        return Some((format!("<{address}>"), &text[address.len()..]));
    }
    let label = text.strip_prefix('[')?;
    let (label, target) = label.split_once("](")?;
    let (address, rest) = target.split_once(')')?;
    let is_plain = |part: &str, also: &str| part.chars().all(|c| c.is_alphanumeric() || also.contains(c));
    let is_link =
        is_plain(label, " -_.,:;()'/+&") && address.starts_with("http") && is_plain(address, "-._~:/?#@!$&'*+,;=%");
    is_link.then(|| (format!("[{label}]({address})"), rest))
}

/// Wraps a text. Further lines begin with `indent`.
fn wrapped(text: &str, indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::replace(&mut line, indent.to_owned()));
        } else if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&guarded(word, line.trim().is_empty() && !lines.is_empty()));
    }
    lines.push(line);
    lines
}

/// Escapes a word that would begin a list, a heading or a quotation at the start of a line.
fn guarded(word: &str, starts_line: bool) -> String {
    let begins_block = starts_line
        && (word.starts_with(['-', '+', '*', '#', '=', '~'])
            || word.trim_end_matches(['.', ')']).parse::<u64>().is_ok());
    if begins_block && word.starts_with(|c: char| c.is_ascii_digit()) {
        return word.replace('.', "\\.").replace(')', "\\)");
    }
    if begins_block { format!("\\{word}") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_safe_for_rustdoc() {
        let text = "The ``Name`` of <your-queue>, see [Queues](https://example.com/q_(1)) or https://example.com/x.\n\n    fn main() {}\n\
                    # Heading [Item] <p>Use <code>a[0]</code> </p>\n + one\n + two `open\n```rust\npanic!()\n```";
        insta::assert_snapshot!(lines(text).join("\n"), @r"
        The `Name` of \<your-queue\>, see \[Queues\](<https://example.com/q_>(1)) or <https://example.com/x>.

        fn main() {}

        \# Heading \[Item\]

        Use `a[0]`

        - one
        - two 'open

        'rust

        panic!()

        '
        ");
    }

    #[test]
    fn long_descriptions_are_wrapped_and_cut() {
        let lines = lines(&"word - 1. ".repeat(400));
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH + 1), "{lines:?}");
        assert!(lines.last().is_some_and(|last| last.ends_with('…')));
        let starts_block = |line: &String| line.starts_with("- ") || line.starts_with("1. ");
        assert!(!lines.iter().any(starts_block), "{lines:?}");
    }
}
