//! What is wrong with a file, and where: one value per problem, rendered with the source line.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// A text that was read, and where from.
pub struct Source {
    /// The file, as it was named.
    pub path: PathBuf,
    /// Its text.
    pub text: Arc<str>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Source({}, {} bytes)",
            self.path.display(),
            self.text.len()
        )
    }
}

/// A range of bytes of a source.
#[derive(Clone, Debug)]
pub struct Location {
    /// The source.
    pub source: Arc<Source>,
    /// First byte and the one behind the last.
    pub span: Range<usize>,
}

impl Location {
    /// The start of the file, where nothing better is known.
    pub fn start_of(path: &Path) -> Self {
        Self {
            source: Arc::new(Source {
                path: path.to_owned(),
                text: Arc::from(""),
            }),
            span: 0..0,
        }
    }

    /// Line and column of the first byte, both from 1, columns in characters.
    pub fn line_and_column(&self) -> (usize, usize) {
        let text = &self.source.text;
        let start = floor_boundary(text, self.span.start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot be run.
    Error,
    /// The file can be run, but is probably not meant so.
    Warning,
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug)]
pub struct Problem {
    /// How bad.
    pub severity: Severity,
    /// The code by which `wavetank explain` knows it, as `WT001`; only warnings have one.
    pub code: Option<&'static str>,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// Where.
    pub location: Location,
    /// Said under the source line: what was expected, or what to do; may be empty.
    pub label: String,
    /// Said below, for what is not about this line; may be empty.
    pub note: String,
}

impl Problem {
    /// The problem as text in the manner of rustc, without a newline at the end.
    pub fn render(&self, styled: bool) -> String {
        self.render_as(false, styled)
    }

    /// As [`render`](Self::render); with `mild` a warning is called a note.
    pub fn render_as(&self, mild: bool, styled: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning if mild => Level::NOTE,
            Severity::Warning => Level::WARNING,
        };
        let path = self.location.source.path.display().to_string();
        let (window, line) = self.window();
        let mut title = level.primary_title(self.message.as_str());
        if let Some(code) = self.code {
            title = title.id(code);
        }
        let mut group = title;
        let text = &self.location.source.text[window.clone()];
        let group = if self.location.source.text.is_empty() {
            group = group.id_url("");
            group.element(annotate_snippets::Origin::path(path))
        } else {
            let span = self.clip(&window);
            let mut annotation = AnnotationKind::Primary.span(span);
            if !self.label.is_empty() {
                annotation = annotation.label(self.label.as_str());
            }
            group.element(
                Snippet::source(text)
                    .path(path)
                    .line_start(line)
                    .annotation(annotation),
            )
        };
        let group = match (
            self.location.source.text.is_empty(),
            self.label.is_empty(),
            self.note.is_empty(),
        ) {
            (true, false, _) => group.element(Level::HELP.message(self.label.as_str())),
            (_, _, false) => group.element(Level::NOTE.message(self.note.as_str())),
            _ => group,
        };
        let renderer = if styled {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer
            .render(&[group])
            .lines()
            .map(str::trim_end)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The lines that are shown: bytes, and the number of the first. At most three lines, each cut near the span.
    fn window(&self) -> (Range<usize>, usize) {
        let text = &self.location.source.text;
        let start = floor_boundary(text, self.location.span.start);
        let (line, _) = self.location.line_and_column();
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let from = floor_boundary(text, line_start.max(start.saturating_sub(2000)));
        let last = floor_boundary(text, self.location.span.end.clamp(start, start + 4000));
        let mut to = from;
        for _ in 0..3 {
            to = text[to..].find('\n').map_or(text.len(), |at| to + at + 1);
            if to >= last {
                break;
            }
        }
        let to = floor_boundary(text, to.min(start + 4000));
        (from..to.max(start), line)
    }

    /// The span within the window, at least one character wide where there is one, and never over a line end.
    fn clip(&self, window: &Range<usize>) -> Range<usize> {
        let text = &self.location.source.text;
        let start = floor_boundary(text, self.location.span.start).clamp(window.start, window.end);
        let end = floor_boundary(text, self.location.span.end).clamp(start, window.end);
        let shown = text[start..end].trim_end();
        let shown = shown.lines().next().unwrap_or_default();
        let length = match shown.len() {
            0 => text[start..window.end]
                .chars()
                .next()
                .filter(|next| *next != '\n' && *next != '\r')
                .map_or(0, char::len_utf8),
            length => length,
        };
        start - window.start..start + length - window.start
    }

    pub(crate) fn sort_key(&self) -> (PathBuf, usize, String) {
        (
            self.location.source.path.clone(),
            self.location.span.start,
            self.message.clone(),
        )
    }
}

/// The file is not a scenario: every problem that was found, in file order. Not empty.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{} is not a scenario, problems found: {}", path.display(), problems.len())]
pub struct Problems {
    /// The file.
    pub path: PathBuf,
    /// Errors, then warnings, each in file order.
    pub problems: Vec<Problem>,
}

impl Problems {
    /// A single problem.
    pub(crate) fn one(path: &Path, problem: Problem) -> Self {
        Self {
            path: path.to_owned(),
            problems: vec![problem],
        }
    }

    /// All problems as text, with an empty line between two.
    pub fn render(&self, styled: bool) -> String {
        self.problems
            .iter()
            .map(|problem| problem.render(styled))
            .collect::<Vec<_>>()
            .join("\n\n")
    }
}

/// The candidate that is most like `text`, when one is near enough to be a slip of the finger.
pub(crate) fn nearest<'a>(
    text: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (text.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .filter(|candidate| *candidate != text)
        .map(|candidate| (distance(text, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be changed, added, dropped or swapped with their neighbour; case counts half (rounded down).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.chars().take(128).collect(), b.chars().take(128).collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (index, row) in rows.iter_mut().enumerate() {
        row[0] = index * 2;
    }
    for (index, cell) in rows[0].iter_mut().enumerate() {
        *cell = index * 2;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let cost = match (a[i - 1], b[j - 1]) {
                (x, y) if x == y => 0,
                (x, y) if x.eq_ignore_ascii_case(&y) => 1,
                _ => 2,
            };
            let mut best = (rows[i - 1][j] + 2)
                .min(rows[i][j - 1] + 2)
                .min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 2);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()] / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_candidate_is_a_slip_of_the_finger_away() {
        assert_eq!(nearest("chekout", ["checkout", "web"]), Some("checkout"));
        assert_eq!(nearest("presync", ["PreSync", "PostSync"]), Some("PreSync"));
        assert_eq!(nearest("orders", ["waves", "phases"]), None);
        assert_eq!(nearest("sycn", ["sync"]), Some("sync"));
    }

    #[test]
    fn a_span_outside_the_text_is_no_panic() {
        let source = Arc::new(Source {
            path: "x.yaml".into(),
            text: Arc::from("a: é\n"),
        });
        for span in [0..100, 100..100, 4..5, 3..3, 6..6] {
            let location = Location {
                source: Arc::clone(&source),
                span,
            };
            let problem = Problem {
                severity: Severity::Error,
                code: None,
                message: "m".into(),
                location,
                label: "l".into(),
                note: "n".into(),
            };
            assert!(problem.render(false).contains("x.yaml"));
        }
    }
}
