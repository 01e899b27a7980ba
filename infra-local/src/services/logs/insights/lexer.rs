//! Tokens of queries.

/// A token of a query.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A field, a command or a function: `@message`, `stats`, `detail.name`.
    Word(String),
    Text(String),
    Number(f64),
    /// A regular expression between slashes.
    Pattern(String),
    /// An operator or a punctuation mark.
    Mark(&'static str),
}

const MARKS: [&str; 14] = ["!=", ">=", "<=", "=", "<", ">", "(", ")", "[", "]", ",", "|", "*", "~"];

/// Splits a query into tokens. Lines that begin with `#` are comments.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let text = lines.join("\n");
    let (mut found, mut rest) = (Vec::new(), text.trim_start());
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '"' | '\'' => delimited(rest, first).map(|(text, after)| (Token::Text(text), after))?,
            '/' => delimited(rest, '/').map(|(text, after)| (Token::Pattern(text), after))?,
            '`' => delimited(rest, '`').map(|(text, after)| (Token::Word(text), after))?,
            _ => match MARKS.iter().find(|mark| rest.starts_with(**mark)) {
                Some(mark) => (Token::Mark(mark), &rest[mark.len()..]),
                None => word(rest)?,
            },
        };
        found.push(token);
        rest = after.trim_start();
    }
    Ok(found)
}

/// Reads a text up to its delimiter, which a backslash escapes.
fn delimited(text: &str, delimiter: char) -> Result<(String, &str), String> {
    let mut content = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((index, character)) = characters.next() {
        if character == delimiter {
            return Ok((content, &text[index + character.len_utf8()..]));
        }
        match (character, characters.clone().next()) {
            ('\\', Some((_, next))) if next == delimiter => {
                content.push(next);
                characters.next();
            }
            _ => content.push(character),
        }
    }
    Err(format!("unterminated {delimiter} in the query"))
}

fn word(text: &str) -> Result<(Token, &str), String> {
    let belongs = |character: char| character.is_alphanumeric() || "@._-:".contains(character);
    let end = text.find(|character: char| !belongs(character)).unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    if word.is_empty() {
        let character = text.chars().next().unwrap_or_default();
        return Err(format!("unexpected symbol found {character}"));
    }
    let token = word.parse().map_or_else(|_| Token::Word(word.to_owned()), Token::Number);
    Ok((token, after))
}
