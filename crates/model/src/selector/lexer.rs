//! The words and symbols of a label selector.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A key, a value, `in` or `notin`.
    Word(&'a str),
    /// One of `! = == != ( ) , > <`.
    Symbol(&'a str),
    /// Symbols that are no operator.
    Wrong(&'a str),
    End,
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(text) | Self::Symbol(text) => f.write_str(text),
            Self::Wrong(text) => write!(f, "error expected: keyword found '{text}'"),
            Self::End => Ok(()),
        }
    }
}

pub(super) struct Lexer<'a> {
    rest: &'a str,
}

const SYMBOLS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

const fn is_symbol(c: char) -> bool {
    matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    pub(super) fn next(&mut self) -> Token<'a> {
        let text = self.rest.trim_start_matches(is_blank);
        let Some(first) = text.chars().next() else {
            self.rest = "";
            return Token::End;
        };
        if is_symbol(first) {
            let symbol = SYMBOLS
                .into_iter()
                .find(|symbol| text.starts_with(symbol))
                .unwrap_or("");
            if symbol.is_empty() {
                self.rest = "";
                return Token::Wrong(text);
            }
            let (symbol, rest) = text.split_at(symbol.len());
            self.rest = rest;
            return Token::Symbol(symbol);
        }
        let end = text
            .find(|c| is_symbol(c) || is_blank(c))
            .unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.rest = rest;
        Token::Word(word)
    }

    pub(super) fn peek(&self) -> Token<'a> {
        Lexer { rest: self.rest }.next()
    }
}
