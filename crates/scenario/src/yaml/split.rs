//! Splits a stream at its document separators.

use std::ops::Range;

/// The documents of `text` as byte ranges: each begins at its `---` line, or at the start of the stream.
///
/// A line that begins with `---` and a blank or its end separates documents wherever it stands: neither a block scalar
/// nor a quoted text may hold one at the first column (YAML 1.2.2, section 9.1.2). `...` ends a document; directives
/// stand before the `---` that they belong to and go with it. Ranges that hold only blanks and comments are left out.
pub(crate) fn split(text: &str) -> Vec<Range<usize>> {
    let mut documents = Vec::new();
    let (mut start, mut at, mut empty) = (0, 0, true);
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\n', '\r']);
        if is_marker(bare, "---") {
            if !empty {
                documents.push(start..at);
                start = at;
            } else if !directives_only(&text[start..at]) {
                start = at;
            }
            empty = is_blank(&bare[3..]);
        } else if is_marker(bare, "...") {
            if !empty {
                documents.push(start..at);
            }
            (start, empty) = (at + line.len(), true);
        } else if !(is_blank(bare) || empty && bare.starts_with('%')) {
            empty = false;
        }
        at += line.len();
    }
    if !empty {
        documents.push(start..at);
    }
    documents
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

fn is_blank(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

fn directives_only(text: &str) -> bool {
    text.lines().any(|line| line.starts_with('%'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(text: &str) -> Vec<&str> {
        split(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn separators_stand_at_the_first_column() {
        assert_eq!(
            documents("a: 1\n---\nb: |\n  ---\n  x\n--- {c: 1}\n"),
            ["a: 1\n", "---\nb: |\n  ---\n  x\n", "--- {c: 1}\n"]
        );
        assert_eq!(
            documents("a: 1\r\n---\r\nb: 2\r\n"),
            ["a: 1\r\n", "---\r\nb: 2\r\n"]
        );
        assert_eq!(
            documents("--- # first\na: 1\n----\n"),
            ["--- # first\na: 1\n----\n"]
        );
    }

    #[test]
    fn documents_of_comments_are_none() {
        assert_eq!(
            documents("# x\n---\n# y\n---\n---\na: 1\n---\n"),
            ["---\na: 1\n"]
        );
        assert_eq!(documents(""), Vec::<&str>::new());
    }

    #[test]
    fn directives_and_end_markers_are_known() {
        assert_eq!(
            documents("%YAML 1.2\n---\na: 1\n...\n---\nb: 1\n"),
            ["%YAML 1.2\n---\na: 1\n", "---\nb: 1\n"]
        );
    }
}
