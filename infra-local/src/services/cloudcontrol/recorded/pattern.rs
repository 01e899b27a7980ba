//! Regular expressions of schemas, which are those of ECMA-262.

use regex_lite::Regex;

/// Returns whether a text matches a pattern somewhere; `None` for a pattern that cannot be evaluated here, such as one
/// with look-ahead.
pub(super) fn matches(pattern: &str, text: &str) -> Option<bool> {
    let pattern = translated(pattern)?;
    let regex = regex_lite::RegexBuilder::new(&pattern).size_limit(1 << 20).build();
    regex.ok().map(|regex: Regex| regex.is_match(text))
}

/// Replaces classes of Unicode by larger ones: of all characters outside of ASCII. So no text is refused wrongly.
fn translated(pattern: &str) -> Option<String> {
    let mut translated = String::with_capacity(pattern.len());
    let mut in_class = false;
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("\\p{") {
            let (name, after) = after.split_once('}')?;
            let class = match name {
                "L" | "IsL" | "Letter" => r"a-zA-Z\x{80}-\x{10FFFF}",
                "N" | "Nd" => r"0-9\x{80}-\x{10FFFF}",
                "Z" | "Zs" => r" \x{80}-\x{10FFFF}",
                "S" => r"$+<=>^`|~\x{80}-\x{10FFFF}",
                "P" => r##"!"#%&'()*,\-./:;?@\[\\\]_{}\x{80}-\x{10FFFF}"##,
                "M" => r"\x{80}-\x{10FFFF}",
                _ => return None,
            };
            let (open, close) = if in_class { ("", "") } else { ("[", "]") };
            translated.extend([open, class, close]);
            rest = after;
            continue;
        }
        let mut length = letter.len_utf8();
        match letter {
            '\\' => {
                let escaped = rest[1..].chars().next()?;
                length += escaped.len_utf8();
                // ECMA-262 allows to escape any character.
                if "/_:=@!\"'%&,;<>`~ ".contains(escaped) {
                    translated.push(escaped);
                } else if escaped == 'u' {
                    let code = rest.get(2..6)?;
                    translated.extend([r"\x{", code, "}"]);
                    length = 6;
                } else {
                    translated.push_str(&rest[..length]);
                }
            }
            // A bracket within a class is a character.
            '[' if in_class => translated.push_str("\\["),
            '[' => {
                in_class = true;
                translated.push('[');
                if rest[1..].starts_with('^') {
                    translated.push('^');
                    length += 1;
                }
            }
            ']' => {
                in_class = false;
                translated.push(']');
            }
            // regex-lite has set operations, which ECMA-262 lacks.
            '&' | '~' if in_class => {
                translated.push('\\');
                translated.push(letter);
            }
            letter => translated.push(letter),
        }
        rest = &rest[length..];
    }
    Some(translated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_schemas_are_evaluated() {
        for (pattern, text, expected) in [
            ("^[a-z]+$", "abc", Some(true)),
            ("^[a-z]+$", "abC", Some(false)),
            (r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$", "Größe 1/2", Some(true)),
            (r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$", "a#b", Some(false)),
            (r"^\p{L}+$", "1", Some(false)),
            (r"^[[a\]]+\/\_$", "[a]/_", Some(true)),
            (r"^[\u0020-\u007E]*$", "abc", Some(true)),
            (r"^(?!aws).*$", "aws", None),
            ("[", "a", None),
            ("\\", "a", None),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
