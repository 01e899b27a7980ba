//! Texts of programs: makes them safe to show, and searches them.

use memchr::memchr2_iter;

/// Removes the colours of terminals, replaces invisible characters that could hide or reorder text, and cuts the text.
pub(crate) fn clean(text: &str, longest: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(longest));
    let mut characters = text.chars();
    let mut length = 0;
    while let Some(character) = characters.next() {
        if length == longest {
            clean.push('…');
            break;
        }
        match character {
            '\u{1b}' => skip_escape(&mut characters),
            '\n' | '\t' => clean.push(character),
            other if other.is_control() || is_hidden(other) => clean.push('\u{fffd}'),
            other => clean.push(other),
        }
        length += 1;
    }
    clean.truncate(clean.trim_end().len());
    clean
}

/// Skips the rest of an escape sequence, such as `[31m`.
fn skip_escape(characters: &mut std::str::Chars<'_>) {
    if characters.as_str().starts_with('[') {
        characters.next();
        characters.find(|character| ('@'..='~').contains(character));
    }
}

/// Returns whether a character has no width, or changes the direction of the text after it.
fn is_hidden(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Returns whether a text contains another one, which is in lower case.
pub(crate) fn contains(text: &str, lower: &str) -> bool {
    let (text, wanted) = (text.as_bytes(), lower.as_bytes());
    let Some(first) = wanted.first() else { return true };
    if !lower.is_ascii() {
        return std::str::from_utf8(text).is_ok_and(|text| text.to_lowercase().contains(lower));
    }
    memchr2_iter(*first, first.to_ascii_uppercase(), text)
        .any(|at| text.get(at..at + wanted.len()).is_some_and(|part| part.eq_ignore_ascii_case(wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_removed_and_hidden_characters_are_shown() {
        assert_eq!(clean("\u{1b}[1;31mred\u{1b}[0m\tend\r\n", 100), "red\tend\u{fffd}");
        assert_eq!(clean("a\u{202e}b\u{7}c\u{200b}", 100), "a\u{fffd}b\u{fffd}c\u{fffd}");
        assert_eq!(clean("\u{1b}[never ends", 100), "ever ends");
        assert_eq!(clean("\u{1b}", 100), "");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(clean("ééé", 3), "ééé");
        assert_eq!(clean("éééé", 3), "ééé…");
    }
}
