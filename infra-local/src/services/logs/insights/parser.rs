//! The tokens of a query while it is parsed.

use super::lexer::{Token, tokens};

/// Reads the tokens of a query.
pub(super) struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    /// Returns a parser at the beginning of a text.
    pub(super) fn of(text: &str) -> Result<Parser, String> {
        Ok(Parser { tokens: tokens(text)?, at: 0 })
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += usize::from(token.is_some());
        token
    }

    /// Takes the next token if it is this mark.
    pub(super) fn takes(&mut self, mark: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Mark(next)) if *next == mark);
        self.at += usize::from(found);
        found
    }

    /// Takes the next token if it is this keyword, in any case.
    pub(super) fn takes_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(next)) if next.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, mark: &str) -> Result<(), String> {
        if self.takes(mark) {
            return Ok(());
        }
        Err(format!("expected {mark} instead of {}", Parser::shown(self.peek())))
    }

    pub(super) fn word(&mut self, what: &str) -> Result<String, String> {
        match self.next() {
            Some(Token::Word(word)) => Ok(word),
            other => Err(format!("expected {what} instead of {}", Parser::shown(other.as_ref()))),
        }
    }

    /// Reads elements between commas.
    pub(super) fn list<T>(&mut self, read: impl Fn(&mut Parser) -> Result<T, String>) -> Result<Vec<T>, String> {
        let mut found = vec![read(self)?];
        while self.takes(",") {
            found.push(read(self)?);
        }
        Ok(found)
    }

    /// Returns a token as messages name it.
    pub(super) fn shown(token: Option<&Token>) -> String {
        match token {
            None => "the end of the query".to_owned(),
            Some(Token::Word(word)) => format!("'{word}'"),
            Some(Token::Text(text)) => format!("\"{text}\""),
            Some(Token::Number(number)) => number.to_string(),
            Some(Token::Pattern(pattern)) => format!("/{pattern}/"),
            Some(Token::Mark(mark)) => format!("'{mark}'"),
        }
    }
}
