//! What programs and libraries said when something went wrong, put so that it helps.

use std::error::Error;
use std::fmt;

use crate::inotify::{self, Inotify};

/// An error with its causes, in one line; what an outer one repeats of an inner one is said once.
pub(crate) struct Causes<'a>(pub(crate) &'a dyn Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let more = error.to_string();
            if !text.contains(&more) {
                text.push_str(": ");
                text.push_str(&more);
            }
            cause = error.source();
        }
        f.write_str(&text)
    }
}

/// The last `count` lines of what a program printed or logged, without empty ones.
pub(crate) fn last_lines(text: &[u8], count: usize) -> String {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// What is to be done about what nodes or their Pods `said`, as one more line; empty where nobody knows.
pub(crate) fn remedy(said: &str) -> String {
    if said.to_lowercase().contains("too many open files") {
        inotify::remedy(Inotify::of_machine())
    } else {
        String::new()
    }
}

/// `text` without the colours and other orders to a terminal that a console's log is full of.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split('\u{1b}');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let rest = match part.strip_prefix('[') {
            // Up to the letter that says what is ordered.
            Some(order) => order
                .split_once(|c: char| ('@'..='~').contains(&c))
                .map_or("", |(_, rest)| rest),
            None => part.get(1..).unwrap_or_default(),
        };
        out.push_str(rest);
    }
    out.replace('\r', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Failed {
        text: &'static str,
        source: Option<Box<Failed>>,
    }

    #[test]
    fn causes_that_are_repeated_are_said_once() {
        let chain = ["no answer: refused", "refused", "errno 111"];
        let error = chain.into_iter().rev().fold(None, |source, text| {
            let source = source.map(Box::new);
            Some(Failed { text, source })
        });
        assert_eq!(
            Causes(&error.unwrap()).to_string(),
            "no answer: refused: errno 111"
        );
    }

    #[test]
    fn a_console_is_read_without_its_colours() {
        let log =
            "\u{1b}[0;1;31mFailed to allocate: Too many open files\u{1b}[0m\r\n\u{1b}[!p\u{1b}7end";
        assert_eq!(plain(log), "Failed to allocate: Too many open files\nend");
    }

    #[test]
    fn empty_lines_do_not_count() {
        assert_eq!(last_lines(b"a\n\nb\n  \nc\n\n", 2), "b\nc");
        assert_eq!(last_lines(b"", 2), "");
    }
}
