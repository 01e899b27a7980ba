//! Texts shortened or wrapped to a width, in characters.

/// Returns the width of a text without escape sequences.
pub(super) fn width(text: &str) -> usize {
    text.chars().count()
}

/// Shortens a text to the width `longest`, with `…` in place of its middle.
pub(super) fn shorten(text: &str, longest: usize) -> String {
    let length = width(text);
    if length <= longest {
        return text.to_owned();
    }
    let end = longest.saturating_sub(1) / 2;
    let start = longest.saturating_sub(1) - end;
    let (head, tail) = (text.chars().take(start), text.chars().skip(length - end));
    head.chain(['…']).chain(tail).collect()
}

/// Truncates a text to the width `longest`, with `…` in place of its end.
pub(super) fn cut(text: &str, longest: usize) -> String {
    if width(text) <= longest {
        return text.to_owned();
    }
    text.chars().take(longest.saturating_sub(1)).chain(['…']).collect()
}

/// Wraps every line between words. Continuation lines have the indentation of the line and of its label, such as `hint:`.
pub(crate) fn wrap(text: &str, longest: Option<usize>) -> String {
    let Some(longest) = longest else {
        return text.to_owned();
    };
    let lines: Vec<String> = text.lines().map(|line| wrap_line(line, longest)).collect();
    lines.join("\n")
}

fn wrap_line(line: &str, longest: usize) -> String {
    let content = line.trim_start_matches(' ');
    let start = width(line) - width(content);
    let label = content.split(' ').next().filter(|word| word.ends_with(':') && *word != content);
    let indent = start + label.map_or(0, |label| width(label) + 1);
    let mut wrapped = " ".repeat(start);
    let mut length = start;
    for (at, word) in content.split(' ').enumerate() {
        if at > 0 && length > indent && length + 1 + width(word) > longest {
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(indent));
            length = indent;
        } else if at > 0 {
            wrapped.push(' ');
            length += 1;
        }
        wrapped.push_str(word);
        length += width(word);
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortened_texts_keep_both_ends() {
        assert_eq!(shorten("vpc-0975cb3a3f38bdf08", 14), "vpc-097…8bdf08");
        assert_eq!(shorten("vpc-0975cb3a3f38bdf08", 21), "vpc-0975cb3a3f38bdf08");
        assert_eq!((shorten("abc", 1), shorten("abcdef", 4)), ("…".into(), "ab…f".into()));
    }

    #[test]
    fn lines_are_wrapped_between_words() {
        let text = "error: it is too long for one line\n  at: urn:infra:dev::web::aws:ec2:Subnet::net\n  hint: do this, then that";
        insta::assert_snapshot!(wrap(text, Some(24)), @r"
        error: it is too long
               for one line
          at: urn:infra:dev::web::aws:ec2:Subnet::net
          hint: do this, then
                that
        ");
        assert_eq!(wrap(text, None), text);
        assert_eq!(wrap("a  b\n\n    c", Some(80)), "a  b\n\n    c");
    }
}
