//! Tokens of a statement, without those that databases read differently.

use sqlparser::{
    keywords::Keyword,
    tokenizer::{Token, Tokenizer, Whitespace, Word},
};

use super::{
    DIALECT,
    error::{SqlError, shortened},
    limits::{MAX_BYTES, MAX_DEPTH, MAX_TOKENS},
};

/// Maximum length of an identifier, as in PostgreSQL.
const MAX_NAME: usize = 63;

/// Reads a statement. Names are in lower case, because databases differ in their case.
pub(super) fn read(sql: &str) -> Result<Vec<Token>, SqlError> {
    if sql.len() > MAX_BYTES {
        return Err(SqlError::TooLong);
    }
    let read = Tokenizer::new(&DIALECT, sql).tokenize();
    let read = read.map_err(|error| SqlError::Malformed { reason: error.to_string() })?;
    let mut allowed = Vec::with_capacity(read.len());
    let (mut depth, mut words, mut is_complete) = (0_usize, 0_usize, false);
    for token in read {
        let Some(token) = allow(token)? else { continue };
        match token {
            Token::SemiColon => {
                is_complete = true;
                continue;
            }
            _ if is_complete => return Err(SqlError::SeveralStatements),
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ if is_value(&token) => (),
            _ => words += 1,
        }
        if depth > MAX_DEPTH || words > MAX_TOKENS {
            return Err(SqlError::TooComplex);
        }
        allowed.push(token);
    }
    if allowed.is_empty() { Err(SqlError::Empty) } else { Ok(allowed) }
}

/// Returns the number of words, operators and opening parentheses, which is at least the depth of the tree.
pub(super) fn words(tokens: &[Token]) -> usize {
    tokens.iter().filter(|token| !is_value(token) && **token != Token::RParen).count()
}

/// Returns whether a token is a value or separates values, and so adds no level to the tree.
fn is_value(token: &Token) -> bool {
    matches!(token, Token::Comma | Token::Number(..) | Token::SingleQuotedString(_))
}

/// Returns the token in its general form, or `None` for white space.
fn allow(token: Token) -> Result<Option<Token>, SqlError> {
    match token {
        Token::Whitespace(Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_)) => {
            Err(SqlError::Comment)
        }
        Token::Whitespace(_) => Ok(None),
        Token::Word(word) if is_plain(&word) => {
            let Word { value, quote_style, keyword } = word;
            Ok(Some(Token::Word(Word { value: value.to_ascii_lowercase(), quote_style, keyword })))
        }
        Token::Number(number, false) if is_number(&number) => Ok(Some(Token::Number(number, false))),
        Token::SingleQuotedString(text) => {
            if text.contains('\\') {
                return Err(SqlError::Backslash);
            }
            if text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\r' | '\t')) {
                return Err(SqlError::ControlCharacter);
            }
            Ok(Some(Token::SingleQuotedString(text)))
        }
        Token::SemiColon
        | Token::Comma
        | Token::LParen
        | Token::RParen
        | Token::Period
        | Token::Eq
        | Token::Neq
        | Token::Lt
        | Token::Gt
        | Token::LtEq
        | Token::GtEq
        | Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod => Ok(Some(token)),
        other => Err(SqlError::Token { token: shortened(&other.to_string()) }),
    }
}

fn is_plain(word: &Word) -> bool {
    let Word { value, quote_style, keyword: _ } = word;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    quote_style.is_none() && value.len() <= MAX_NAME && value.bytes().all(is_name)
}

/// Returns whether a number has the same meaning in all databases: digits, a fraction and an exponent.
fn is_number(number: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (number, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let exponent = exponent.map(|exponent| exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    is_digits(whole) && fraction.is_none_or(is_digits) && exponent.is_none_or(is_digits)
}

/// Returns whether a name is a word of SQL.
pub(super) fn is_keyword(name: &str) -> bool {
    matches!(Token::make_keyword(name), Token::Word(word) if word.keyword != Keyword::NoKeyword)
}
