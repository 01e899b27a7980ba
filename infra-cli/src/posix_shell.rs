//! Words and command lines for a POSIX shell.

/// Quotes a word.
pub(crate) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Returns words as a command line, in which plain words are not quoted.
pub(crate) fn command_line<'a>(words: impl IntoIterator<Item = &'a String>) -> String {
    let word = |word: &'a String| if is_plain(word) { word.clone() } else { quoted(word) };
    words.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_./:=,@+%".contains(letter))
}
